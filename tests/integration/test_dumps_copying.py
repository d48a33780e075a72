"""A store that takes another's place has what that one had: copied by a reading key, each dump as it was signed."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName, utc_text
from ansible_collections.taaraxtak.production.tests.integration.dumps_keeping import DAY, HOUR, NOW, Keeping


class Pair:
    """The store that is left, and the one that takes its place."""

    def __init__(self, folder: Path) -> None:
        for name in ("old", "new"):
            (folder / name).mkdir()
        self.old, self.new = Keeping(folder / "old"), Keeping(folder / "new")
        shutil.copy(self.old.signers, self.new.signers)
        # As sshd starts the forced command of a reading key.
        self.reader = folder / "reader"
        self.sabotage("")

    def sabotage(self, statement: str) -> None:
        """What the other side does before it answers; $SSH_ORIGINAL_COMMAND is what it is asked."""
        self.reader.write_text(
            f'#!/bin/sh\nexport SSH_ORIGINAL_COMMAND="$*"\n{statement}\nexec {self.old.command} read\n'
        )
        self.reader.chmod(0o755)

    def copy(self) -> tuple[int, str]:
        done = self.new.run("copy", "--", str(self.reader))
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def path(store: Keeping, name: DumpName) -> Path:
    return store.archive / str(name)


def test_everything_is_copied_once_and_counts_as_it_did(pair: Pair) -> None:
    names = [pair.old.put(NOW - age) for age in (40 * DAY, 2 * DAY, HOUR)]
    names.append(pair.old.put(NOW - HOUR, started=NOW - 90 * DAY, adopted=True))
    status, said = pair.copy()
    assert status == 0, said
    assert "4 of 4 dumps were copied" in said
    for name in names:
        old, new = path(pair.old, name), path(pair.new, name)
        assert new.read_bytes() == old.read_bytes()
        assert Path(f"{new}.manifest.json").read_bytes() == Path(f"{old}.manifest.json").read_bytes()
        assert new.stat().st_mode & 0o777 == 0o440
    assert pair.new.sentences() == pair.old.sentences()
    assert [one.keep for one in pair.new.prune(dry=True)] == [one.keep for one in pair.old.prune(dry=True)]
    assert "0 of 4 dumps were copied, 0 could not be, the others were here" in pair.copy()[1]


def test_what_a_drill_found_elsewhere_does_not_count_here(pair: Pair) -> None:
    pair.old.put(NOW - HOUR, verified=True)
    assert pair.copy()[0] == 0
    assert not any(held.verified is not None for held in pair.new.check().groups)


def test_what_is_copied_is_none_of_the_dumps_that_may_come_in_a_day(pair: Pair) -> None:
    now = dt.datetime.now(dt.UTC)
    for hours in range(3):
        pair.old.put(now - 2 * DAY - hours * HOUR)
    assert pair.copy()[0] == 0
    pair.new.configure(quota_dumps=1)
    assert pair.new.give(pair.old.offer())["ok"]


def test_what_is_not_signed_by_a_key_that_is_known_here_is_not_copied(pair: Pair) -> None:
    good, bad = pair.old.put(NOW - 2 * HOUR), pair.old.put(NOW - HOUR, key=pair.old.make_key("another"))
    status, said = pair.copy()
    assert status == 1
    assert f"{bad} was not copied: the dump is signed by a key that is not known here" in said
    assert path(pair.new, good).exists()
    assert pair.new.files(pair.new.archive) == [str(good), good.manifest]


@pytest.mark.parametrize("change", [b"x", b"", b"changed entirely, and as long as it may be " * 100])
def test_what_was_changed_there_is_not_copied(pair: Pair, change: bytes) -> None:
    name = pair.old.put(NOW - HOUR)
    data = path(pair.old, name).read_bytes()
    pair.sabotage(f'case "$1" in fetch) cat {pair.reader}.data; exit 0;; esac')
    Path(f"{pair.reader}.data").write_bytes(change if len(change) > len(data) else data[:-1] + change)
    status, said = pair.copy()
    assert status == 1
    assert "what came is not what its manifest says" in said
    assert pair.new.files(pair.new.archive) == []


def test_a_connection_that_breaks_leaves_nothing_and_the_next_run_goes_on(pair: Pair) -> None:
    name = pair.old.put(NOW - HOUR)
    pair.sabotage('case "$1" in fetch) head -c 10 /dev/zero; exit 255;; esac')
    status, said = pair.copy()
    assert status == 1
    assert "exit status 255" in said
    assert pair.new.files(pair.new.archive) == []
    pair.sabotage("")
    assert pair.copy()[0] == 0
    assert path(pair.new, name).exists()


def test_another_dump_of_the_same_name_is_not_overwritten(pair: Pair) -> None:
    name = pair.old.put(NOW - HOUR)
    assert pair.new.put(NOW - HOUR, adopted=True) == name
    before = path(pair.new, name).with_suffix(".zst.manifest.json").read_bytes()
    status, said = pair.copy()
    assert status == 1
    assert "nothing is ever overwritten" in said
    assert path(pair.new, name).with_suffix(".zst.manifest.json").read_bytes() == before


def test_what_both_were_brought_in_one_second_is_in_both(pair: Pair) -> None:
    name = pair.old.put(NOW - HOUR)
    assert pair.new.put(NOW - HOUR, {"public.ooni": 99}, key=pair.old.key) == name
    status, said = pair.copy()
    assert status == 0, said
    assert "0 could not be, the others were here" in said


def test_a_time_that_is_yet_to_come_is_not_taken_over(pair: Pair) -> None:
    name = pair.old.put(dt.datetime.now(dt.UTC) + DAY)
    assert pair.copy()[0] == 0
    (row,) = pair.new.dumps()
    assert row["name"] == str(name)
    assert row["received"] <= utc_text(dt.datetime.now(dt.UTC))


def test_where_there_is_no_room_nothing_is_copied(pair: Pair) -> None:
    pair.old.put(NOW - HOUR)
    pair.new.keep(quota_bytes=10)
    status, said = pair.copy()
    assert status == 1
    assert "quota" in said
    assert pair.new.files(pair.new.archive) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_only_the_archives_owner_copies(pair: Pair) -> None:
    pair.old.put(NOW - HOUR)
    os.chown(pair.new.archive, 65534, 65534)
    status, said = pair.copy()
    assert status == 1
    assert "only the archive's owner" in said
