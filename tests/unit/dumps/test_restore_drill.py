"""The drill's own decisions: what it chooses, what it makes of the globals, what the two sides say to each other."""

from __future__ import annotations

import dataclasses
import datetime as dt
import socket
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import Manifest, Trailer
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName, utc_text
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import Clock, DumpError
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.cluster import bindir_for
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.developer import differences, table
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.drill import choose
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.roles import adapted
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.sandbox import creation
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.wire import Order, Wire
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.scan import Scanner, TableData
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.survey import Held
from hypothesis import given
from hypothesis import strategies as st

START = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def trailer(name: DumpName, **changes: t.Any) -> Trailer:
    values: dict[str, t.Any] = {
        "name": name,
        "started": utc_text(name.started),
        "finished": utc_text(name.started),
        "statuses": {},
        "bytes": 1,
        "sha256": "0" * 64,
        "raw_bytes": 1,
        "tables": {},
        "sequences": {},
        "via_root": (),
        "versions": {},
        "settings": {},
        "extensions": {},
    }
    return Trailer(**{**values, **changes})


def held(day: int, *, database: str = "app", kind: str = "dump", signed: bool = True, signer: str = "one") -> Held:
    name = DumpName(database, START + dt.timedelta(days=day), kind)
    return Held(Manifest(utc_text(name.started), trailer(name), "signature"), signed, verified=False, signer=signer)


# --- What is drilled -------------------------------------------------------------------------------------------------


def test_the_newest_signed_dump_of_each_database_is_chosen() -> None:
    found = [held(1), held(2), held(3, signed=False), held(4, kind="globals"), held(1, database="other")]
    choice = choose(found, ("app",))
    assert [str(name) for name in choice.newest] == [
        "app_2026-11-03-00.00.00.sql.zst",
        "other_2026-11-02-00.00.00.sql.zst",
    ]
    assert [str(name) for name in choice.older] == ["app_2026-11-02-00.00.00.sql.zst"]


def test_a_host_with_a_newer_dump_does_not_hide_anothers() -> None:
    found = [held(1), held(2), held(3, signer="two"), held(4, signer="two")]
    choice = choose(found, ("app",))
    assert [name.started.day for name in choice.newest] == [3, 5]
    assert choice.older[0].started.day in (2, 4)
    assert choice.lacking == ()


def test_the_older_one_is_any_of_them() -> None:
    found = [held(day) for day in range(4)]
    seen = {choose(found, ()).older[0] for _again in range(200)}
    assert len(seen) == 3


def test_a_database_without_a_signed_dump_is_lacking() -> None:
    choice = choose([held(1, signed=False)], ("app",))
    assert (choice.newest, choice.older, choice.lacking) == ((), (), ("app",))


# --- The globals -----------------------------------------------------------------------------------------------------

GLOBALS = b"""\\restrict KEY
CREATE ROLE app;
ALTER ROLE app WITH NOSUPERUSER;
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER;
GRANT pg_monitor TO app GRANTED BY postgres;
\\unrestrict KEY
"""


def test_the_superuser_of_the_beginning_is_not_made_again() -> None:
    bootstrap, (text,) = adapted(GLOBALS, {"app", "postgres"})
    assert bootstrap == "postgres"
    assert text == GLOBALS.replace(b"CREATE ROLE postgres;\n", b"")


def test_the_same_line_in_a_comment_stays() -> None:
    comment = b"COMMENT ON ROLE app IS 'a;\nCREATE ROLE postgres;\n';\n"
    _bootstrap, (text,) = adapted(
        GLOBALS.replace(b"CREATE ROLE postgres", comment + b"CREATE ROLE postgres"), {"postgres"}
    )
    assert comment in text
    assert text.count(b"CREATE ROLE postgres;") == 1


def test_another_superuser_leaves_the_roles_as_they_are() -> None:
    bootstrap, (text,) = adapted(GLOBALS.replace(b"postgres", b"boss"), {"app", "boss"})
    assert bootstrap.startswith("drill_")
    assert b"CREATE ROLE boss;" in text


@pytest.mark.parametrize(
    "line",
    [
        b"CREATE TABLESPACE fast OWNER app LOCATION '/srv/fast';",
        b'CREATE TABLESPACE "F a\'st" OWNER "A""b" LOCATION \'/srv/it\'\'s\';',
    ],
)
def test_a_tablespace_is_made_without_its_folder(line: bytes) -> None:
    _bootstrap, (text,) = adapted(GLOBALS.replace(b"GRANT pg", line + b"\nGRANT pg"), {"postgres"})
    assert text.startswith(b"\\restrict KEY\nSET allow_in_place_tablespaces = on;\n")
    assert line[: line.rindex(b" LOCATION")] + b" LOCATION '';\n" in text
    assert b"/srv" not in text


# --- The conversation ------------------------------------------------------------------------------------------------


def ends() -> tuple[Wire, Wire, tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    clocks = [Clock(idle=5, overall=5) for _end in range(2)]
    return (
        Wire(here.fileno(), here.fileno(), clocks[0], other="the sandbox"),
        Wire(there.fileno(), there.fileno(), clocks[1], other="the drill"),
        (here, there),
    )


@given(st.lists(st.binary(min_size=1, max_size=3000), max_size=8), st.dictionaries(st.text(), st.text(), max_size=3))
def test_texts_and_documents_arrive_as_they_were_sent(pieces: list[bytes], document: dict[str, str]) -> None:
    here, there, sockets = ends()
    here.say(document)
    for piece in pieces:
        here.text(memoryview(piece))
    here.end()
    here.say(document)
    assert there.heard() == document
    assert b"".join(there.pieces()) == b"".join(pieces)
    assert there.heard() == document
    for each in sockets:
        each.close()


def test_an_end_in_the_middle_is_no_end() -> None:
    here, there, sockets = ends()
    here.text(b"half")
    sockets[0].close()
    with pytest.raises(DumpError, match="went away in the middle"):
        list(there.pieces())
    sockets[1].close()


ORDER = Order(
    database="app",
    raw_bytes=1,
    settings={"encoding": "UTF8", "collate": "C", "ctype": "C"},
    versions={"server": "17.1"},
    extensions={},
    bootstrap="postgres",
    large_objects=False,
    policy=None,
)


def test_an_order_is_read_as_it_was_written() -> None:
    assert Order.read(ORDER.document()) == ORDER


def test_an_order_of_another_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="speaks protocol 7"):
        Order.read(ORDER.document() | {"protocol": 7})


# --- The cluster -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"encoding": "LATIN1", "collate": "C", "ctype": "de_DE"}, ["ENCODING", "LATIN1", "LC_CTYPE", "de_DE"]),
        ({"provider": "i", "locale": "de"}, ["LOCALE_PROVIDER icu", "ICU_LOCALE", "de"]),
        ({"provider": "b", "locale": "C.UTF-8"}, ["LOCALE_PROVIDER builtin", "BUILTIN_LOCALE", "C.UTF-8"]),
    ],
)
def test_the_database_is_made_as_it_was(settings: dict[str, str], said: list[str]) -> None:
    parts = creation(dataclasses.replace(ORDER, settings=settings)).parts
    text = " ".join(part if isinstance(part, str) else str(part[0]) for part in parts)
    assert "TEMPLATE template0" in text
    assert all(each in text for each in said), text


@pytest.mark.parametrize(("wanted", "found"), [("15.3", "15"), ("16.1 (Debian)", "17"), ("17.0", "17")])
def test_the_dumps_version_or_the_next_newer_one_is_taken(tmp_path: t.Any, wanted: str, found: str) -> None:
    for version in ("15", "17"):
        (tmp_path / version / "bin").mkdir(parents=True)
        (tmp_path / version / "bin" / "initdb").touch()
    assert bindir_for(wanted, str(tmp_path)) == f"{tmp_path}/{found}/bin"


def test_an_older_server_is_refused(tmp_path: t.Any) -> None:
    with pytest.raises(DumpError, match="this host has none"):
        bindir_for("15.3", str(tmp_path))


# --- Copies for developers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [("public.seen", ("public", "seen")), ('"A b"."c""d"', ("A b", 'c"d')), ('s."x.y"', ("s", "x.y"))],
)
def test_a_table_is_named_as_in_a_manifest(text: str, names: tuple[str, str]) -> None:
    assert table(text) == names


@pytest.mark.parametrize("text", ["seen", "public.Seen", "public.seen; DROP", "a.b.c", ""])
def test_what_names_no_table_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a table"):
        table(text)


def scanned(rows: dict[str, int]) -> t.Any:
    scanner = Scanner()
    for name, number in rows.items():
        scanner.feed(f"COPY {name} (x) FROM stdin;\n".encode() + b"1\n" * number + b"\\.\n")
    scanner.feed(b"-- PostgreSQL database dump complete\n")
    return scanner.finish()


@pytest.mark.parametrize(
    ("copy", "without", "problems"),
    [
        ({"a.one": 1}, {"a.two"}, []),
        ({"a.one": 1, "a.two": 2}, {"a.two"}, ["a.two has rows, which were to be left out"]),
        ({"a.one": 2}, {"a.two"}, ["a.one is not as in the signed dump"]),
        ({}, {"a.two"}, ["a.one is not as in the signed dump"]),
        ({"a.one": 1, "a.new": 1}, {"a.two"}, ["a.new is not as in the signed dump"]),
    ],
)
def test_a_copy_is_the_signed_dump_without_what_is_left_out(
    copy: dict[str, int], without: set[str], problems: list[str]
) -> None:
    whole = scanned({"a.one": 1, "a.two": 2})
    signed = trailer(DumpName("app", START), tables=whole.tables)
    assert isinstance(whole.tables["a.one"], TableData)
    assert differences(signed, scanned(copy), without) == problems
