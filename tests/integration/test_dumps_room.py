"""Room that is promised: whose a transfer under way is, what waits for its copy, what adoption leaves to others."""

from __future__ import annotations

import contextlib
import gzip
import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps import locks
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.folder import Folder
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.quota import Limits, Room
from ansible_collections.taaraxtak.production.tests.integration.dumps_keeping import Keeping
from ansible_collections.taaraxtak.production.tests.integration.dumps_offers import name_of
from ansible_collections.taaraxtak.production.tests.integration.test_dumps_adopt import NEW, OLD, TEXT
from ansible_collections.taaraxtak.production.tests.integration.test_dumps_holding import ask_with, begun
from ansible_collections.taaraxtak.production.tests.integration.test_dumps_store import FREE

RESERVE = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> Keeping:
    """A store that has archived a dump of 10,000 bytes, so that the next is expected to have 12,000."""
    made = Keeping(tmp_path)
    assert made.give(made.offer(name_of(1), b"x" * 10_000))["ok"]
    assert made.run("archive").returncode == 0
    return made


def test_an_attempt_whose_network_broke_does_not_stop_the_next(store: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_with(store, monkeypatch, 0)
    # Their receivers do not know it yet.
    under_way = [begun(store, name_of(day)) for day in (2, 3)]
    store.sabotage(FREE.format(free=2 * 12_000 + RESERVE))
    ask_with(store, monkeypatch, 1)
    assert "48000 are needed" in store.give(store.offer(name_of(4)))["reason"]
    ask_with(store, monkeypatch, 0)
    # Of another artefact they are no attempts; nothing is known of its size.
    store.sabotage(FREE.format(free=2 * 12_000 + RESERVE - 1))
    assert "24000 are needed" in store.give(store.offer(name_of(4, database="other")))["reason"]
    store.sabotage(FREE.format(free=2 * 12_000 + RESERVE))
    assert store.give(store.offer(name_of(4)))["ok"]
    for process in under_way:
        process.communicate()


def test_each_key_is_promised_one_dump_of_each_artefact(store: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    under_way = []
    for key, day in ((0, 2), (0, 3), (0, 4), (1, 5)):
        ask_with(store, monkeypatch, key)
        under_way.append(begun(store, name_of(day)))
    ask_with(store, monkeypatch, 2)
    # Of two hosts each brings its own database of that name.
    for spare in (-1, 0):
        store.sabotage(FREE.format(free=3 * 2 * 12_000 + RESERVE + spare))
        answer = store.give(store.offer(name_of(6)))
        assert answer["ok"] is (spare == 0), answer
    for process in under_way:
        process.communicate()


def test_the_mark_of_a_key_goes_with_its_writer(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    descriptor = folder.create("x")
    with contextlib.closing(os.fdopen(folder.open("x"))) as reader:
        assert locks.marked(reader.fileno()) is None
        locks.mark(descriptor, "a key")
        assert locks.marked(reader.fileno()) == locks.mark_of("a key")
        # A look takes nothing away.
        assert folder.live("x")
        assert locks.marked(reader.fileno()) == locks.mark_of("a key")
        os.close(descriptor)
        assert locks.marked(reader.fileno()) is None


def room(store: Keeping, free: int, monkeypatch: pytest.MonkeyPatch, *, one_device: bool = True) -> Room:
    """The room where so many bytes are free, besides the reserve."""
    monkeypatch.setattr(Folder, "free", lambda self: free + RESERVE)
    if not one_device:
        monkeypatch.setattr(Folder, "device", lambda self: hash(self.path))
    limits = Limits(dump=1 << 30, all=1 << 34, reserve=RESERVE, a_day=10)
    return Room(limits, Folder(str(store.incoming)), Folder(str(store.archive)))


@pytest.mark.parametrize("copied", [0, 4_000, 8_000])
def test_what_waits_for_its_copy_is_promised_its_room(
    store: Keeping, monkeypatch: pytest.MonkeyPatch, copied: int
) -> None:
    assert store.give(store.offer(name_of(2, database="other"), b"x" * 8_000))["ok"]
    (store.archive / f"{name_of(2, database='other')}.partial").write_bytes(bytes(copied))
    name, needed = DumpName.parse(name_of(3)), 2 * 12_000 + 8_000 - copied
    room(store, needed, monkeypatch).look(name)
    with pytest.raises(DumpError, match=f"{needed} are needed"):
        room(store, needed - 1, monkeypatch).look(name)


def test_of_what_is_archived_no_copy_is_yet_to_come(store: Keeping, monkeypatch: pytest.MonkeyPatch) -> None:
    name = name_of(1)
    for file in (name, f"{name}.manifest.json"):
        # An archiver was killed before it had removed them.
        (store.incoming / file).write_bytes((store.archive / file).read_bytes())
    room(store, 2 * 12_000, monkeypatch).look(DumpName.parse(name_of(3)))


@pytest.mark.parametrize(("one_device", "promised"), [(True, 24_000), (False, 12_000)])
def test_adoption_takes_nothing_that_was_promised(
    store: Keeping, monkeypatch: pytest.MonkeyPatch, promised: int, *, one_device: bool
) -> None:
    transfer = begun(store, name_of(2))
    room(store, 500 + promised, monkeypatch, one_device=one_device).adopting(500, written=0)
    adopting = room(store, 499 + promised, monkeypatch, one_device=one_device)
    with pytest.raises(DumpError, match=f"{500 + promised} are needed"):
        adopting.adopting(500, written=0)
    # What is written of it was weighed before; what is more was not.
    adopting.adopting(500, written=500)
    with pytest.raises(DumpError, match=f"{promised} are needed"):
        room_that_filled(adopting, promised - 1, monkeypatch)
    transfer.communicate()


def room_that_filled(adopting: Room, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Folder, "free", lambda self: free + RESERVE)
    adopting.adopting(501, written=501)


def test_adoption_leaves_the_quota_that_was_promised(store: Keeping) -> None:
    old = store.folder / OLD
    old.write_bytes(gzip.compress(TEXT))
    used = sum(path.stat().st_size for path in store.archive.iterdir())
    transfer = begun(store, name_of(2))
    store.keep(quota_bytes=used + old.stat().st_size + 12_000 - 1)
    assert "those that are coming 12000 more" in store.run("adopt", str(old)).stderr
    transfer.communicate()
    assert store.run("adopt", str(old)).returncode == 0


@pytest.mark.parametrize("adopting", [True, False])
def test_what_gets_its_name_elsewhere_at_the_same_moment_does_not_overrun_the_quota(
    store: Keeping, *, adopting: bool
) -> None:
    """Adoption and reception hold different locks: each may have looked before the other named."""
    old = store.folder / OLD
    old.write_bytes(gzip.compress(TEXT))
    other = (store.incoming if adopting else store.archive) / "other"
    quota = {"quota_bytes": 5_000_000}
    store.keep(**quota)
    store.configure(**quota)
    store.sabotage(f"""
import pathlib
real = folder.Folder.link
def link(self, name, new):
    pathlib.Path({str(other)!r}).write_bytes(bytes(5_000_000))
    real(self, name, new)
folder.Folder.link = link
""")
    if adopting:
        done = store.run("adopt", str(old))
        assert done.returncode == 1
        said = done.stderr
    else:
        said = store.give(store.offer(name_of(2)))["reason"]
    assert "the store's quota was used up meanwhile" in said
    left: t.Sequence[str] = [*store.files(), *store.files(store.archive)]
    assert sorted(left) == sorted([name_of(1), f"{name_of(1)}.manifest.json", "other"])
    assert NEW not in left
