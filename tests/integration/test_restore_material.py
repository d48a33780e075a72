"""What may be restored: from the archive, with a reading key, from a file; named by strangers, proved or not."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import encode
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore import material as materials
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.material import (
    Material,
    check_signature,
    from_archive,
    from_command,
    from_file,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.reading import Reading
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.signatures import Signers
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import until
from ansible_collections.taaraxtak.production.tests.integration.restore_materials import (
    NAME,
    OLD,
    OTHER,
    Shelf,
    children_of,
    text,
    zstd,
)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def read(material: Material) -> bytes:
    with Reading(material) as reading:
        whole = b"".join(reading)
        reading.finish()
        assert reading.taken == material.size
    return whole


# --- Each way gives the dump ----------------------------------------------------------------------------------------


def test_an_archived_dump_is_read(shelf: Shelf) -> None:
    manifest = shelf.put()
    material = from_archive(shelf.open, NAME)
    assert (material.name, material.manifest, material.file) == (NAME, manifest, str(NAME))
    assert (material.packing, material.encrypted, material.database) == ("zst", False, "taaraxtak")
    assert read(material) == text()
    assert read(material) == text()


def test_a_named_dump_is_fetched_with_a_reading_key(shelf: Shelf) -> None:
    shelf.put()
    shelf.put(OTHER, text(2000))
    material = from_command([str(shelf.ssh)], name=str(NAME))
    assert (material.name, material.size) == (NAME, (shelf.archive / str(NAME)).stat().st_size)
    assert read(material) == text()
    until(lambda: children_of(os.getpid()) == [], "the reader's children to be gone")


@pytest.mark.parametrize("database", ["", "taaraxtak"])
def test_the_newest_dump_is_fetched_where_none_is_named(shelf: Shelf, database: str) -> None:
    shelf.put()
    shelf.put(OTHER, text(2000))
    # Received last, and made long before.
    shelf.put(DumpName.parse("taaraxtak_2020-01-01-00.00.00.sql.zst"), adopted=True, received="2026-06-01T00:00:00Z")
    material = from_command([str(shelf.ssh)], database=database)
    assert material.name == OTHER
    assert read(material) == text(2000)


def test_an_adopted_dump_is_taken_where_there_is_no_other(shelf: Shelf) -> None:
    shelf.put(adopted=True, received="2026-06-01T00:00:00Z")
    shelf.put(OTHER, adopted=True, received="2026-05-01T00:00:00Z")
    assert from_command([str(shelf.ssh)]).name == OTHER


@pytest.mark.parametrize(
    ("file", "packing"),
    [
        (str(NAME), "zst"),
        ("any name.sql.zst", "zst"),
        (OLD, "gz"),
        ("taaraxtak_2021-03-04-05.06.07.sql.gz", "gz"),
        ("x.sql.gz", "gz"),
        ("x.sql", "sql"),
    ],
)
def test_a_file_is_read_by_the_end_of_its_name(tmp_path: Path, file: str, packing: str) -> None:
    path = tmp_path / file
    path.write_bytes({"zst": zstd, "gz": gzip.compress, "sql": bytes}[packing](text()))
    material = from_file(str(path))
    assert (material.packing, material.encrypted, material.manifest) == (packing, False, None)
    assert material.size == path.stat().st_size
    assert read(material) == text()


@pytest.mark.parametrize("file", [OLD, OLD.replace(".tar", "")])
def test_an_old_file_has_the_name_under_which_it_would_be_adopted(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_bytes(gzip.compress(text()))
    assert str(from_file(str(tmp_path / file)).name) == "taaraxtak_2021-03-04-05.06.07.sql.zst"


def test_a_file_with_its_manifest_beside_it_is_proved(shelf: Shelf) -> None:
    manifest = shelf.put()
    material = from_file(str(shelf.archive / str(NAME)))
    assert (material.name, material.manifest) == (NAME, manifest)
    assert check_signature(material, shelf.signing, unproved=False) == "production"
    assert read(material) == text()


def test_a_file_that_was_renamed_with_its_manifest_is_known_by_that(shelf: Shelf, tmp_path: Path) -> None:
    shelf.put()
    for end in ("", ".manifest.json"):
        (shelf.archive / f"{NAME}{end}").rename(tmp_path / f"mine.sql.zst{end}")
    assert from_file(str(tmp_path / "mine.sql.zst")).name == NAME


# --- What is none ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("x.dump", "is no dump by its name"),
        ("x.tar.gz", "is no dump by its name"),
        ("missing.sql", "could not be read: No such file"),
        ("empty.sql", "is empty"),
        ("folder.sql", "is no file"),
        ("pipe.sql.gz", "is no file"),
        ("taaraxtak_2026-01-01-00.00.00.globals.sql.zst", "holds the cluster's roles"),
    ],
)
def test_what_is_no_dump_is_refused(tmp_path: Path, file: str, said: str) -> None:
    for name in ("x.dump", "x.tar.gz", "taaraxtak_2026-01-01-00.00.00.globals.sql.zst"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "empty.sql").touch()
    (tmp_path / "folder.sql").mkdir()
    os.mkfifo(tmp_path / "pipe.sql.gz")
    with pytest.raises(DumpError, match=said):
        from_file(str(tmp_path / file))


def test_a_dump_that_is_not_in_the_archive_is_refused(shelf: Shelf) -> None:
    with pytest.raises(DumpError, match=f"there is no dump {NAME} here"):
        from_archive(shelf.open, NAME)
    with pytest.raises(DumpError, match=f"ssh failed with exit status 1: dump-store: there is no dump {NAME} here"):
        from_command([str(shelf.ssh)], name=str(NAME))
    with pytest.raises(DumpError, match="holds no archived dump of taaraxtak"):
        from_command([str(shelf.ssh)], database="taaraxtak")


@pytest.mark.parametrize("name", ["list", "../x", "a b", "-x", "taaraxtak_2026-02-30-00.00.00.sql.zst"])
def test_a_name_that_is_none_is_never_asked_for(shelf: Shelf, name: str) -> None:
    asked = shelf.folder / "asked"
    shelf.connect(f"open({str(asked)!r}, 'w')")
    with pytest.raises(DumpError, match="is not the name of a dump"):
        from_command([str(shelf.ssh)], name=name)
    assert not asked.exists()


def test_a_dump_of_another_database_is_refused(shelf: Shelf) -> None:
    shelf.put()
    with pytest.raises(DumpError, match="is a dump of taaraxtak, not of other"):
        from_command([str(shelf.ssh)], name=str(NAME), database="other")


def test_of_several_databases_one_must_be_chosen(shelf: Shelf) -> None:
    shelf.put()
    shelf.put(DumpName("other", NAME.started))
    with pytest.raises(DumpError, match="dumps of other, taaraxtak: say which database"):
        from_command([str(shelf.ssh)])
    assert from_command([str(shelf.ssh)], database="other").database == "other"


ROW = {"name": str(NAME), "archived": True, "adopted": False, "received": "2026-01-02T03:05:00Z"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "could not be read"),
        (b"{}", "it is no list"),
        (b"[1]", "is no object"),
        (b"[NaN]", "NaN is no JSON"),
        (b"[" * 100_000, "could not be read"),
        (json.dumps([{**ROW, "name": "../../etc/passwd"}]).encode(), "is not the name of a dump"),
        (json.dumps([{**ROW, "name": f"{NAME}\n"}]).encode(), "is not the name of a dump"),
        (json.dumps([{**ROW, "archived": "yes"}]).encode(), "not of type bool"),
        (json.dumps([{**ROW, "received": "\x1b[2J"}]).encode(), "is not a time"),
        (json.dumps([{**ROW, "archived": False}]).encode(), "no archived dump"),
        (json.dumps([{**ROW, "name": str(NAME).replace(".sql", ".globals.sql")}]).encode(), "no archived dump"),
        (b"\xff", "could not be read"),
        (b"[" + b" " * 2000 + b"]", "longer than 1000 bytes"),
    ],
)
def test_a_list_that_is_none_is_refused(
    shelf: Shelf, answer: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(materials, "LIST_LIMIT", 1_000 if b" " * 2000 in answer else 1 << 20)
    (shelf.folder / "answer").write_bytes(answer)
    shelf.connect(f"sys.stdout.buffer.write(open({str(shelf.folder / 'answer')!r}, 'rb').read()); sys.exit(0)")
    with pytest.raises(DumpError, match=said):
        from_command([str(shelf.ssh)])
    assert children_of(os.getpid()) == []


def test_a_list_in_which_something_is_wrong_is_no_answer(shelf: Shelf) -> None:
    shelf.put()
    shelf.put(OTHER)
    (shelf.archive / OTHER.manifest).write_bytes(b"{}")
    with pytest.raises(DumpError, match="the store did not answer: ssh failed with exit status 1: dump-store: "):
        from_command([str(shelf.ssh)])
    assert from_command([str(shelf.ssh)], name=str(NAME)).name == NAME


def test_a_store_that_says_nothing_is_given_up(shelf: Shelf) -> None:
    shelf.connect("import time; time.sleep(60)")
    with pytest.raises(DumpError, match=r"the store said nothing for 0\.5 s"):
        from_command([str(shelf.ssh)], idle=0.5)
    assert children_of(os.getpid()) == []


def test_a_store_that_cannot_be_reached_is_said_without_what_a_terminal_obeys(shelf: Shelf) -> None:
    shelf.connect(r"sys.stderr.write('no route\x1b[2J\nmore\n'); sys.exit(255)")
    with pytest.raises(DumpError) as raised:
        from_command([str(shelf.ssh)])
    assert str(raised.value) == "the store did not answer: ssh failed with exit status 255: no route?[2J"
    with pytest.raises(DumpError, match="could not be started"):
        from_command([str(shelf.folder / "nothing")])
    with pytest.raises(DumpError, match="there is no command"):
        from_command([])


def test_another_dumps_manifest_is_refused_by_its_name(shelf: Shelf) -> None:
    shelf.put()
    other = encode(shelf.put(OTHER).document())
    (shelf.archive / NAME.manifest).write_bytes(other)
    with pytest.raises(DumpError, match=f"is the manifest of {OTHER}"):
        from_archive(shelf.open, NAME)
    with pytest.raises(DumpError, match=f"is the manifest of {OTHER}"):
        from_file(str(shelf.archive / str(NAME)))
    (shelf.folder / "manifest").write_bytes(other)
    shelf.connect(f"sys.stdout.buffer.write(open({str(shelf.folder / 'manifest')!r}, 'rb').read()); sys.exit(0)")
    with pytest.raises(DumpError, match=f"the store gave the manifest of {OTHER} for that of {NAME}"):
        from_command([str(shelf.ssh)], name=str(NAME))


def test_a_manifest_that_is_too_large_is_not_read(shelf: Shelf) -> None:
    shelf.connect("import os\nwhile True: os.write(1, b' ' * 1000000)")
    with pytest.raises(DumpError, match=r"longer than 33554432 bytes"):
        from_command([str(shelf.ssh)], name=str(NAME))
    shelf.put()
    with (shelf.archive / NAME.manifest).open("r+b") as file:
        file.truncate(1 << 26)
    with pytest.raises(DumpError, match="larger than any manifest"):
        from_file(str(shelf.archive / str(NAME)))


@pytest.mark.parametrize("content", [b"", b"{}", b'{"format": 2}', b"\xff"])
def test_a_manifest_that_is_none_is_refused(shelf: Shelf, content: bytes) -> None:
    shelf.put()
    (shelf.archive / NAME.manifest).write_bytes(content)
    for get in (lambda: from_archive(shelf.open, NAME), lambda: from_file(str(shelf.archive / str(NAME)))):
        with pytest.raises(DumpError, match=r"manifest\.json could not be read"):
            get()


def test_a_file_of_another_size_than_its_manifest_says_is_refused(shelf: Shelf) -> None:
    manifest = shelf.put()
    path = shelf.archive / str(NAME)
    path.write_bytes(path.read_bytes()[:-1])
    for get in (lambda: from_archive(shelf.open, NAME), lambda: from_file(str(path))):
        with pytest.raises(DumpError, match=f"should have {manifest.trailer.bytes} bytes"):
            get()


# --- Signatures -----------------------------------------------------------------------------------------------------


def test_a_right_signature_tells_who_made_the_dump(shelf: Shelf) -> None:
    shelf.put()
    material = from_archive(shelf.open, NAME)
    assert check_signature(material, shelf.signing, unproved=False) == "production"
    assert check_signature(material, shelf.signing, unproved=True) == "production"


@pytest.mark.parametrize("unproved", [False, True])
def test_a_wrong_signature_is_refused_always(shelf: Shelf, unproved: bool) -> None:
    shelf.put(key=shelf.make_key("foreign"))
    with pytest.raises(DumpError, match=f"{NAME} is refused: the dump is signed by a key that is not known here"):
        check_signature(from_archive(shelf.open, NAME), shelf.signing, unproved=unproved)
    document = shelf.put().document()
    document["trailer"]["tables"] = {}
    (shelf.archive / NAME.manifest).write_bytes(encode(document))
    with pytest.raises(DumpError, match=f"{NAME} is refused: the dump's signature is wrong"):
        check_signature(from_archive(shelf.open, NAME), shelf.signing, unproved=unproved)
    with pytest.raises(DumpError, match="the keys that may sign could not be read"):
        check_signature(from_archive(shelf.open, NAME), Signers("/nowhere"), unproved=unproved)


def test_what_nobody_signed_must_be_asked_for_as_unproved(shelf: Shelf) -> None:
    shelf.put(adopted=True)
    plain = shelf.folder / "x.sql"
    plain.write_bytes(text())
    shelf.put(OTHER)
    for material, signers, said in (
        (from_archive(shelf.open, NAME), shelf.signing, "was adopted"),
        (from_file(str(plain)), shelf.signing, "has no manifest"),
        (from_archive(shelf.open, OTHER), None, "nothing proves who made it: give signers"),
    ):
        with pytest.raises(DumpError, match=f"{said}.*say unproved: true"):
            check_signature(material, signers, unproved=False)
        assert check_signature(material, signers, unproved=True) == ""
