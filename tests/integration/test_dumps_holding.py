"""Who could hold the store up: holders of locks, readers who don't read, refused dumps, many transfers at once."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import stat
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps import locks
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.folder import Folder
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.frames import section
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName, utc_text
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.scan import TableData
from ansible_collections.taaraxtak.production.tests.integration import dumps_offers
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import until
from ansible_collections.taaraxtak.production.tests.integration.dumps_offers import DATA, NAME, Store, name_of
from ansible_collections.taaraxtak.production.tests.integration.test_dumps_archive import (
    WHOLE,
    Accounts,
    accounts,
    archive,
    store,
)
from ansible_collections.taaraxtak.production.tests.integration.test_dumps_store import FREE

__all__ = ["accounts", "store"]


# --- Locks ----------------------------------------------------------------------------------------------------------


MODES = """
import os
real = os.fsync
def look(descriptor):
    path = os.readlink(f"/proc/self/fd/{{descriptor}}")
    if path.endswith(".partial") and os.path.dirname(path).endswith("/archive"):
        with open({seen!r}, "a") as file:
            file.write(f"{{os.fstat(descriptor).st_mode & 0o777:o}} {{os.fstat(descriptor).st_nlink}}, ")
    real(descriptor)
os.fsync = look
"""


def test_what_is_being_archived_is_its_owners_alone_until_it_is_named(store: Store) -> None:
    """Whoever may open a partial could hold its lock, and the archiver would take it for one under way."""
    assert store.give()["ok"]
    seen = store.folder / "modes"
    store.sabotage(MODES.format(seen=str(seen)))
    assert archive(store) == ""
    # Data and manifest as they are written; then, whole but still without a name, for their readers too.
    assert seen.read_text() == "400 1, 400 1, 440 1, 440 1, "
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.archive.iterdir()} == {0o440}


@pytest.mark.parametrize("account", ["as_receiver", "as_reader"])
def test_whoever_may_only_read_the_archive_does_not_stop_the_archiver(accounts: Accounts, account: str) -> None:
    store, other = accounts.store, getattr(accounts, account)
    assert store.give(**accounts.as_receiver)["ok"]
    lock = locks.lock_of(str(store.archive))
    assert "PermissionError" in accounts.python("open(sys.argv[1])", lock, **other)
    with subprocess.Popen(
        ["/usr/bin/flock", "--exclusive", store.archive, "/bin/cat"], stdin=subprocess.PIPE, cwd="/", **other
    ) as holder:
        until(lambda: not free(store.archive), "the folder to be held")
        assert archive(store, **accounts.as_archiver) == ""
        holder.communicate(timeout=10)
    assert store.files(store.archive) == WHOLE


def free(path: Path) -> bool:
    """Whether nobody holds the lock of *path*."""
    return subprocess.run(["flock", "--nonblock", path, "true"], check=False).returncode == 0


def test_a_lock_that_is_not_given_back_is_told_and_not_waited_for_for_ever(store: Store) -> None:
    assert store.give()["ok"]
    lock = Path(locks.lock_of(str(store.archive)))
    lock.touch(0o600)
    store.sabotage("from dumps import locks; locks.LOCK_TIMEOUT = 0.3")
    with subprocess.Popen(["flock", lock, "cat"], stdin=subprocess.PIPE) as holder:
        until(lambda: not free(lock), "the lock to be held")
        assert f"has held the lock {lock} for 0.3 s" in archive(store)
        holder.communicate(timeout=10)
    assert (store.files(), store.files(store.archive)) == (WHOLE, [])
    assert archive(store) == ""


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_lock_that_others_may_hold_is_refused(store: Store, mode: int) -> None:
    assert store.give()["ok"]
    lock = Path(locks.lock_of(str(store.archive)))
    lock.touch()
    lock.chmod(mode)
    assert "can be held by others" in archive(store)
    assert store.files(store.archive) == []


def test_a_lock_made_by_root_does_not_shut_its_owner_out(accounts: Accounts) -> None:
    store = accounts.store
    lock = Path(locks.lock_of(str(store.archive)))
    lock.unlink()
    with Folder(str(store.archive)).alone():
        assert lock.stat().st_uid == accounts.archiver
    assert store.give(**accounts.as_receiver)["ok"]
    assert archive(store, **accounts.as_archiver) == ""


def test_a_file_is_made_though_somebody_looks_whether_it_is_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look takes the lock for a moment, between the making of the file and its own lock."""
    real = os.open
    looking: list[subprocess.Popen[bytes]] = []

    def looked_at(path: str, flags: int, *more: t.Any, **options: t.Any) -> int:
        descriptor = real(path, flags, *more, **options)
        if flags & os.O_CREAT:
            looking.append(subprocess.Popen(["flock", "--shared", tmp_path / path, "sleep", "1"]))
            until(lambda: subprocess.run(["flock", "-n", tmp_path / path, "true"], check=False).returncode, "the look")
        return descriptor

    monkeypatch.setattr(os, "open", looked_at)
    os.close(Folder(str(tmp_path)).create("made"))
    assert [each.wait() for each in looking] == [0]


# --- Refusals ---------------------------------------------------------------------------------------------------------


def test_what_is_refused_is_told_once_a_day(store: Store) -> None:
    noted = store.folder / "refusals"
    store.configure(refusals=str(noted))
    assert store.give()["ok"]
    (store.incoming / NAME).unlink()
    (store.incoming / NAME).write_bytes(DATA.swapcase())
    assert "was changed after it had come in" in archive(store)
    assert [archive(store) for _ in range(2)] == ["", ""]
    # Another one is told of, and it alone.
    assert store.give(store.offer(name_of(2)))["ok"]
    (store.incoming / name_of(2)).unlink()
    told = archive(store)
    assert name_of(2) in told
    assert NAME not in told
    told_at = json.loads(noted.read_text())
    old = utc_text(dt.datetime.now(dt.UTC) - dt.timedelta(hours=24))
    noted.write_text(json.dumps({what: old if what.startswith(NAME) else at for what, at in told_at.items()}))
    told = archive(store)
    assert NAME in told
    assert name_of(2) not in told
    assert stat.S_IMODE(noted.stat().st_mode) == 0o600


def test_another_reason_is_told_of_though_the_dump_was(store: Store) -> None:
    store.configure(refusals=str(store.folder / "refusals"))
    assert store.give()["ok"]
    for free in (999, 998):
        store.sabotage(FREE.format(free=free))
        # How many bytes are free is no other reason.
        assert ("the archive is full" in archive(store)) is (free == 999)
    store.sabotage("")
    (store.incoming / NAME).unlink()
    (store.incoming / NAME).write_bytes(DATA.swapcase())
    assert "was changed after it had come in" in archive(store)
    assert archive(store) == ""


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', '{"x": "never"}'])
def test_where_it_is_not_known_what_was_told_it_is_told(store: Store, content: str) -> None:
    noted = store.folder / "refusals"
    store.configure(refusals=str(noted))
    assert store.give()["ok"]
    (store.incoming / NAME).unlink()
    noted.write_text(content)
    assert NAME in archive(store)
    assert archive(store) == ""


def test_what_was_told_and_can_not_be_noted_is_told_again(store: Store) -> None:
    store.configure(refusals=str(store.folder / "none" / "refusals"))
    assert store.give()["ok"]
    (store.incoming / NAME).unlink()
    for _ in range(2):
        told = archive(store)
        assert NAME in told
        assert "could not be noted" in told


@pytest.mark.parametrize("name", [NAME, "another dump's", "no dump's"])
def test_nobody_waits_for_what_holds_a_lock(store: Store, name: str) -> None:
    """Whoever holds the lock of such a partial would keep the archiver for hours."""
    name = name_of(3) if name == "another dump's" else name
    assert store.give()["ok"]
    (store.incoming / NAME).unlink()
    with (store.incoming / f"{name}.partial").open("w") as partial:
        fcntl.flock(partial, fcntl.LOCK_EX)
        told = archive(store)
    # Its own lock says that it is still coming; nobody else's keeps it.
    assert (NAME in told) is (name != NAME)
    assert (store.incoming / f"{name}.partial").exists()


# --- Who asks, and does not read the answer --------------------------------------------------------------------------


def unread(store: Store, descriptor: int) -> str:
    """What a reading key's owner is told at the other of the two, who never reads from this one."""
    store.configure(idle_timeout=0.3)
    read, write = os.pipe()
    other = {1: "stderr", 2: "stdout"}[descriptor]
    with subprocess.Popen(
        [store.command, "read"],
        stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "SSH_ORIGINAL_COMMAND": "list"},
        text=True,
        **{"stdout": write, "stderr": write, other: subprocess.PIPE},  # type: ignore[call-overload]
    ) as process:
        os.close(write)
        try:
            heard = dict(zip(("stdout", "stderr"), process.communicate(timeout=30), strict=True))[other]
        finally:
            process.kill()
    os.close(read)
    assert process.returncode == 1
    return str(heard)


def test_a_reader_who_does_not_read_the_list_is_not_waited_for(store: Store) -> None:
    tables = {f"public.{'t' * 40}_{number}": TableData(rows=1, bytes=1, sha256="0" * 64) for number in range(2000)}
    assert store.give(store.offer(tables=tables))["ok"]
    assert archive(store) == ""
    assert "nothing moved for 0.3 s, while writing the list" in unread(store, 1)


def test_a_reader_who_does_not_read_what_is_wrong_is_not_waited_for(store: Store) -> None:
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    for number in range(600):
        (store.archive / str(DumpName(f"lost{number}", start))).touch()
    assert json.loads(unread(store, 2)) == []


def test_a_reader_is_told_of_everything_that_is_wrong(store: Store) -> None:
    """More sentences than one write takes parts: IOV_MAX is 1024."""
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    for number in range(1100):
        (store.archive / str(DumpName(f"lost{number}", start))).touch()
    done = store.run("read", command="list")
    assert (done.returncode, json.loads(done.stdout)) == (1, [])
    assert done.stderr.count("has no manifest") == 1100


# --- Several transfers at once --------------------------------------------------------------------------------------


def ask_with(store: Store, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """From now on sshd says that it is this key."""
    path = store.folder / f"auth{number}"
    path.write_text(f"publickey ssh-ed25519 AAAA{number}\n")
    monkeypatch.setitem(dumps_offers.SMALL_ENVIRONMENT, "SSH_USER_AUTH", str(path))


def begun(store: Store, name: str, **options: t.Any) -> subprocess.Popen[bytes]:
    """A transfer that has begun, and waits."""
    process = store.start("ssh", command="receive", stdin=subprocess.PIPE, **options)
    assert process.stdin is not None
    process.stdin.write(section(store.offer(name).header))
    process.stdin.flush()
    # It is there a moment before its lock is.
    folder = Folder(str(store.incoming))
    until(lambda: folder.live(f"{name}.partial"), f"{name} to begin")
    return process


@pytest.mark.parametrize(("spare", "taken"), [(0, True), (-1, False)])
def test_room_that_was_promised_to_another_transfer_is_not_promised_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch, spare: int, *, taken: bool
) -> None:
    assert store.give(store.offer(name_of(1), b"x" * 10_000))["ok"]
    assert store.run("archive").returncode == 0
    first = begun(store, name_of(2))
    ask_with(store, monkeypatch, 1)
    # Both are expected to have 12,000 bytes and a copy; the first has written nothing yet.
    store.sabotage(FREE.format(free=4 * 12_000 + (1 << 20) + spare))
    answer = store.give(store.offer(name_of(3)))
    assert answer["ok"] is taken, answer
    if not taken:
        assert "48000 are needed" in answer["reason"]
        assert not answer["final"]
    first.communicate()
    # Of a transfer that is dead nothing is held.
    assert store.give(store.offer(name_of(4)))["ok"] is True


def test_the_quota_counts_what_is_yet_to_come_of_others(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.give(store.offer(name_of(1), b"x" * 10_000))["ok"]
    assert store.run("archive").returncode == 0
    store.configure(quota_bytes=30_000)
    first = begun(store, name_of(2))
    ask_with(store, monkeypatch, 1)
    answer = store.give(store.offer(name_of(3)))
    assert "the store's quota would be used up" in answer["reason"]
    assert not answer["final"]
    first.communicate()
    assert store.give(store.offer(name_of(3)))["ok"]


def test_one_key_has_but_so_many_transfers_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.configure(at_once=2)
    ask_with(store, monkeypatch, 0)
    under_way = [begun(store, name_of(day)) for day in (1, 2)]
    answer = store.give(store.offer(name_of(3)))
    assert answer["reason"].startswith("2 transfers of this key are under way, and no more may be at once")
    assert not answer["final"]
    # Another key's is another's, and what is asked is no transfer.
    ask_with(store, monkeypatch, 1)
    assert store.give(store.offer(name_of(4)))["ok"]
    ask_with(store, monkeypatch, 0)
    assert store.ask(f"stat {name_of(4)}")["ok"]
    under_way[0].kill()
    under_way[0].communicate()
    assert store.give(store.offer(name_of(3)))["ok"]
    under_way[1].communicate()


def test_a_key_that_can_not_be_told_brings_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(dumps_offers.SMALL_ENVIRONMENT, "SSH_USER_AUTH", str(store.folder / "none"))
    assert "which key this is could not be read" in store.give()["reason"]
    assert store.files() == []
