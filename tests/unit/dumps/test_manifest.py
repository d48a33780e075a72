"""The documents of a dump: read as written, and refused where anything is amiss."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.ddl import Ddl
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import (
    Abort,
    Ack,
    Header,
    Manifest,
    Request,
    Trailer,
    encode,
    read_ack,
    read_trailer,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import (
    DUMP,
    GLOBALS,
    SAVED,
    DumpName,
    utc_text,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.scan import SequenceValue, TableData
from hypothesis import given
from hypothesis import strategies as st

NAME = DumpName("taaraxtak", dt.datetime(2026, 11, 22, 3, tzinfo=dt.UTC))
TRAILER = Trailer(
    name=NAME,
    started=utc_text(NAME.started),
    finished="2026-11-22T03:01:00Z",
    statuses={"pg_dump": 0, "zstd": 0},
    bytes=100,
    sha256="0" * 64,
    raw_bytes=1000,
    tables={"public.a": TableData(rows=2, bytes=10, sha256="a" * 64), "public.b": TableData(3, 9, "b" * 64)},
    sequences={"public.s": SequenceValue(value=-1, called=True)},
    via_root=("public.b",),
    versions={"server": "15.8"},
    settings={"encoding": "UTF8"},
    extensions={"plpgsql": "1.0"},
    left_out=("large objects",),
    ddl=Ddl(sha256="d" * 64, kinds={"INDEX": 1, "TABLE": 2}),
)
SIGNATURE = "-----BEGIN SSH SIGNATURE-----\n…\n-----END SSH SIGNATURE-----\n"

SHA256 = st.text("0123456789abcdef", min_size=64, max_size=64)
COUNTS = st.integers(0, 2**63)
TEXTS = st.dictionaries(st.text(), st.text(), max_size=3)
TRAILERS = st.builds(
    Trailer,
    name=st.builds(DumpName, st.just("taaraxtak"), st.just(NAME.started), st.just(DUMP), st.booleans()),
    started=st.just("2026-11-22T03:00:00Z"),
    finished=st.just("2026-11-22T03:00:01Z"),
    statuses=st.dictionaries(st.text(), st.just(0), max_size=3),
    bytes=COUNTS,
    sha256=SHA256,
    raw_bytes=COUNTS,
    tables=st.dictionaries(st.text(), st.builds(TableData, COUNTS, COUNTS, SHA256), max_size=4),
    sequences=st.dictionaries(st.text(), st.builds(SequenceValue, st.integers(), st.booleans()), max_size=4),
    via_root=st.lists(st.text(), max_size=3).map(tuple),
    versions=TEXTS,
    settings=TEXTS,
    extensions=TEXTS,
    left_out=st.lists(st.text(), max_size=3).map(tuple),
    roles=COUNTS,
    ddl=st.none() | st.builds(Ddl, SHA256, st.dictionaries(st.text(), COUNTS, max_size=3)),
)


@given(trailer=TRAILERS)
def test_a_trailer_is_read_as_written(trailer: Trailer) -> None:
    content = encode(trailer.document())
    assert read_trailer(content) == trailer
    assert Trailer.read(json.loads(content)).signed == content


@given(trailer=TRAILERS, adopted=st.booleans())
def test_a_manifest_is_read_as_written(trailer: Trailer, adopted: bool) -> None:
    signature = "" if adopted else SIGNATURE
    manifest = Manifest(received="2026-11-22T03:02:00Z", trailer=trailer, signature=signature, adopted=adopted)
    assert Manifest.read(encode(manifest.document())) == manifest


def test_header_abort_and_answers_are_read_as_written() -> None:
    header = Header(name=NAME, started="2026-11-22T03:00:00Z")
    assert Header.read(encode(header.document())) == header
    for abort in (Abort(reason="it's broken", statuses={"pg_dump": -9}), Abort(reason="no such database", final=True)):
        assert read_trailer(encode(abort.document())) == abort
    for ack in (Ack(name=str(NAME), bytes=1, sha256="0" * 64), Ack(reason="no"), Ack(reason="full", final=True)):
        assert read_ack(encode(ack.document())) == ack
    request = Request(("globals", "taaraxtak"))
    assert Request.read(encode(request.document())) == request


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"protocol": 1, "artefacts": ["a"]}, "speaks protocol 1, this one 3"),
        ({"artefacts": ["a"]}, "lacks protocol"),
        ({"protocol": 3, "artefacts": []}, "must name what it wants"),
        ({"protocol": 3, "artefacts": ["a", "a"]}, "each thing once"),
        ({"protocol": 3, "artefacts": [1]}, "not a name"),
        ({"protocol": 3, "artefacts": "a"}, "not of type list"),
        ({"protocol": 3, "artefacts": ["a"], "to": "me"}, "not known here: to"),
    ],
)
def test_a_request_with_anything_amiss_is_refused(document: t.Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Request.read(encode(document))


def test_globals_hold_no_tables() -> None:
    globals_name = DumpName("taaraxtak", NAME.started, GLOBALS)
    empty = dataclasses.replace(TRAILER, name=globals_name, tables={}, sequences={}, extensions={}, ddl=None, roles=4)
    assert read_trailer(encode(empty.document())) == empty
    for changed in (dataclasses.replace(TRAILER, name=globals_name), dataclasses.replace(empty, ddl=TRAILER.ddl)):
        with pytest.raises(ValueError, match="names tables"):
            read_trailer(encode(changed.document()))


def test_saved_rows_are_of_tables_and_of_nothing_else() -> None:
    name = DumpName("taaraxtak", NAME.started, SAVED)
    rows = dataclasses.replace(TRAILER, name=name, sequences={}, extensions={}, ddl=None)
    assert read_trailer(encode(rows.document())) == rows
    for part in ("sequences", "extensions", "ddl"):
        changed = dataclasses.replace(rows, **{part: getattr(TRAILER, part)})
        with pytest.raises(ValueError, match="saved rows names"):
            read_trailer(encode(changed.document()))


def test_a_manifest_is_signed_or_adopted() -> None:
    for signature, adopted in (("", False), (SIGNATURE, True)):
        with pytest.raises(ValueError, match="either a signature or"):
            Manifest(received="2026-11-22T03:02:00Z", trailer=TRAILER, signature=signature, adopted=adopted)
    document = Manifest(received="2026-11-22T03:02:00Z", trailer=TRAILER, signature=SIGNATURE).document()
    with pytest.raises(ValueError, match="either a signature or"):
        Manifest.read(encode({**document, "signature": ""}))


def test_the_rows_of_a_dump_are_those_of_its_tables() -> None:
    assert TRAILER.rows == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ok": "yes"}, "ok in the trailer is not of type bool"),
        ({"bytes": -1}, "bytes in the trailer is below zero"),
        ({"bytes": True}, "bytes in the trailer is not of type int"),
        ({"bytes": "1"}, "bytes in the trailer is not of type int"),
        ({"sha256": "0" * 63}, "sha256 in the trailer is not a SHA-256"),
        ({"sha256": "A" * 64}, "sha256 in the trailer is not a SHA-256"),
        ({"name": "../x"}, "is not the name of a dump"),
        ({"database": "other"}, "differs from the database, kind or encryption"),
        ({"kind": "globals"}, "differs from the database, kind or encryption"),
        ({"encrypted": True}, "differs from the database, kind or encryption"),
        ({"left_out": [1]}, "not a name"),
        ({"started": "yesterday"}, "is not a time"),
        ({"tables": {"a": {"rows": 1}}}, "lacks bytes"),
        ({"tables": {"a": 1}}, "is not an object"),
        ({"tables": []}, "not of type dict"),
        ({"sequences": {"a": {"value": 1, "called": 1}}}, "not of type bool"),
        ({"statuses": {"pg_dump": 1}}, "says ok although pg_dump failed"),
        ({"statuses": {"pg_dump": "0"}}, "not of type int"),
        ({"via_root": [1]}, "not a name"),
        ({"ddl": None}, "ddl in the trailer is not of type dict"),
        ({"ddl": {"sha256": "d" * 64}}, "lacks kinds"),
        ({"ddl": {"sha256": "d" * 64, "kinds": {"TABLE": -1}}}, "TABLE in the trailer's ddl's kinds is below zero"),
        ({"versions": {"server": 15}}, "not of type str"),
        ({"surprise": 1}, "not known here: surprise"),
    ],
)
def test_a_trailer_with_anything_amiss_is_refused(changes: dict[str, t.Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_trailer(encode({**TRAILER.document(), **changes}))


@pytest.mark.parametrize("key", sorted(TRAILER.document().keys() - {"ddl"}))
def test_a_trailer_that_lacks_anything_is_refused(key: str) -> None:
    document = TRAILER.document()
    del document[key]
    with pytest.raises(ValueError, match=f"lacks {key}"):
        read_trailer(encode(document))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"ok": false}', "can be written again"),
        (b'{"ok":false,"ok":true}', "can be written again"),
        (b'{"ok":false,"reason":"x"}', "lacks statuses"),
        (b"{}", "lacks ok"),
    ],
)
def test_what_is_no_trailer_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_trailer(content)


@given(content=st.binary())
def test_noise_is_never_a_document(content: bytes) -> None:
    for read in (read_trailer, read_ack, Header.read, Manifest.read, Request.read):
        with pytest.raises(ValueError, match=r"."):
            read(content)


def test_another_protocol_or_format_is_named() -> None:
    header = Header(name=NAME, started="2026-11-22T03:00:00Z").document()
    with pytest.raises(ValueError, match="speaks protocol 1, this one 3"):
        Header.read(encode({**header, "protocol": 1}))
    manifest = Manifest(received="2026-11-22T03:02:00Z", trailer=TRAILER, signature=SIGNATURE).document()
    for other in (1, 4):
        with pytest.raises(ValueError, match=f"has format {other}; this version reads formats 2 and 3"):
            Manifest.read(encode({**manifest, "format": other}))


def test_a_manifest_from_before_schemas_were_compared_is_read_and_its_signature_still_holds() -> None:
    trailer = {key: value for key, value in TRAILER.document().items() if key != "ddl"}
    document = {"format": 2, "received": "2026-11-22T03:02:00Z", "signature": SIGNATURE, "trailer": trailer}
    manifest = Manifest.read(encode(document))
    assert manifest.trailer.ddl is None
    assert manifest.trailer.signed == encode(trailer)
    with pytest.raises(ValueError, match="of format 2 has no ddl"):
        Manifest.read(encode({**document, "trailer": TRAILER.document()}))


def test_the_manifest_of_a_failed_dump_is_none() -> None:
    manifest = Manifest(received="2026-11-22T03:02:00Z", trailer=TRAILER, signature=SIGNATURE).document()
    with pytest.raises(ValueError, match="a dump that failed"):
        Manifest.read(encode({**manifest, "trailer": Abort(reason="x").document()}))


def test_documents_can_not_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TRAILER.bytes = 1  # type: ignore[misc]
