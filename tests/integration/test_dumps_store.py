"""What the store takes in and under which name, what the sending key may ask, how a commit can and can't go wrong."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.folder import PARTIAL_AGE, Folder, sweep
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.frames import END, prefix, section
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import encode
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.quota import Limits, Room
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import until
from ansible_collections.taaraxtak.production.tests.integration.dumps_offers import DATA, NAME, Store, name_of

WHOLE = [NAME, f"{NAME}.manifest.json"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_a_whole_and_signed_dump_is_taken_in(store: Store) -> None:
    offer = store.offer()
    answer = store.give(offer)
    trailer = json.loads(offer.trailer)
    assert answer == {"ok": True, "name": NAME, "bytes": len(DATA), "sha256": trailer["sha256"]}
    assert store.files() == WHOLE
    assert (store.incoming / NAME).read_bytes() == DATA
    manifest = json.loads((store.incoming / WHOLE[1]).read_bytes())
    assert manifest["trailer"] == trailer
    assert manifest["signature"].encode() == offer.signature


def test_globals_and_what_is_encrypted_are_taken_in(store: Store) -> None:
    for name in (name_of(1, kind="globals"), f"{name_of(1)}.age"):
        kind = {"tables": {}} if "globals" in name else {}
        assert store.give(store.offer(name, **kind))["ok"]
    assert [(row["kind"], row["encrypted"]) for row in store.dumps()] == [("globals", False), ("dump", True)]


# --- What is not what was signed ------------------------------------------------------------------------------------


def test_a_dump_without_a_signature_is_refused(store: Store) -> None:
    offer = store.offer()
    offer.signature = b""
    answer = store.give(offer)
    assert (answer["reason"], answer["final"]) == ("the dump is not signed", True)
    assert store.files() == []


def test_a_signature_by_another_key_is_refused(store: Store) -> None:
    offer = store.offer()
    offer.signature = store.sign(offer.trailer, key=store.make_key("other_key"))
    answer = store.give(offer)
    assert "signed by a key that is not known here" in answer["reason"]
    assert answer["final"]
    assert store.files() == []


def test_a_signature_for_another_purpose_is_refused(store: Store) -> None:
    offer = store.offer()
    offer.signature = store.sign(offer.trailer, namespace="git")
    assert "signature is wrong" in store.give(offer)["reason"]
    assert store.files() == []


@pytest.mark.parametrize("signature", [b"no signature", b"\xff\xfe", b"-----BEGIN SSH SIGNATURE-----\n"])
def test_what_is_no_signature_is_refused(store: Store, signature: bytes) -> None:
    offer = store.offer()
    offer.signature = signature
    assert not store.give(offer)["ok"]
    assert store.files() == []


def test_a_trailer_forged_after_it_was_signed_is_refused(store: Store) -> None:
    offer = store.offer()
    trailer = json.loads(offer.trailer)
    trailer["tables"]["public.few"]["rows"] = 3
    offer.trailer = encode(trailer)
    assert "signature is wrong" in store.give(offer)["reason"]
    assert store.files() == []


def test_the_trailer_of_another_dump_is_refused(store: Store) -> None:
    offer, other = store.offer(), store.offer(name_of(2))
    offer.trailer, offer.signature = other.trailer, other.signature
    assert "header names" in store.give(offer)["reason"]
    assert store.files() == []


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x", DATA.swapcase(), b""])
def test_data_that_is_not_what_was_signed_is_refused(store: Store, data: bytes) -> None:
    offer = store.offer()
    offer.data = data
    assert "is not what was sent" in store.give(offer)["reason"]
    assert store.files() == []


def test_a_store_that_does_not_know_who_signs_takes_nothing(store: Store) -> None:
    store.signers.unlink()
    assert "the keys that may sign could not be read" in store.give()["reason"]
    assert store.files() == []


@pytest.mark.parametrize("part", ["header", "data", "trailer", "signature"])
def test_a_stream_that_ends_early_is_refused(store: Store, part: str) -> None:
    offer = store.offer()
    stream = b""
    for name in ("header", "data", "trailer", "signature"):
        content = getattr(offer, name)
        if name == part:
            stream += prefix(len(content)) + content[:-1]
            break
        stream += section(content)
    assert "ended before" in store.ask("receive", stream)["reason"]
    assert store.files() == []


def test_a_stream_without_its_very_last_end_is_refused(store: Store) -> None:
    assert "ended before" in store.ask("receive", store.offer().stream()[: -len(END)])["reason"]
    assert store.files() == []


@pytest.mark.parametrize("final", [True, False])
def test_an_abort_leaves_nothing(store: Store, *, final: bool) -> None:
    offer = store.offer()
    offer.trailer = encode({"ok": False, "reason": "pg_dump failed", "statuses": {"pg_dump": 1}, "final": final})
    offer.signature = b""
    answer = store.give(offer)
    assert (answer["reason"], answer["final"]) == ("the sender aborted: pg_dump failed", final)
    assert store.files() == []


# --- Names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken", ["", ".manifest.json", ".partial"])
def test_a_name_is_never_used_again(store: Store, taken: str) -> None:
    (store.incoming / f"{NAME}{taken}").write_bytes(b"first")
    assert "already" in store.give()["reason"]
    assert [(path.name, path.read_bytes()) for path in store.incoming.iterdir()] == [(f"{NAME}{taken}", b"first")]


@pytest.mark.parametrize("taken", ["", ".manifest.json"])
def test_a_name_in_the_archive_is_never_used_again(store: Store, taken: str) -> None:
    (store.archive / f"{NAME}{taken}").write_bytes(b"first")
    assert "already" in store.give()["reason"]
    assert store.files() == []


@pytest.mark.parametrize(
    "name",
    [
        "../escape_2026-01-01-00.00.00.sql.zst",
        "/tmp/x_2026-01-01-00.00.00.sql.zst",
        "",
        ".",
        "x.sql.zst",
        "a\nb",
        "a\0b",
        f"{NAME}\n",
        f"{NAME}.manifest.json",
        "x" * 10_000,
        "x" * 10_000 + "_2026-01-01-00.00.00.sql.zst",
        "\udce4_2026-01-01-00.00.00.sql.zst",
    ],
)
def test_a_hostile_name_is_refused(store: Store, name: str) -> None:
    offer = store.offer()
    offer.header = encode({**json.loads(offer.header), "name": name})
    answer = store.give(offer)
    assert "is not the name of a dump" in answer["reason"]
    assert answer["final"]
    assert len(answer["reason"]) < 500
    assert store.files() == []


def test_a_link_planted_in_the_store_is_not_followed(store: Store, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"safe")
    (store.incoming / f"{NAME}.partial").symlink_to(victim)
    assert store.give()["ok"] is False
    assert victim.read_bytes() == b"safe"


def test_another_protocol_is_refused_for_good(store: Store) -> None:
    offer = store.offer()
    offer.header = encode({**json.loads(offer.header), "protocol": 1})
    answer = store.give(offer)
    assert "speaks protocol 1" in answer["reason"]
    assert answer["final"]


# --- Quota and space ------------------------------------------------------------------------------------------------


def test_no_more_dumps_than_allowed_come_within_a_day(store: Store) -> None:
    store.configure(quota_dumps=2)
    assert store.give(store.offer(name_of(1)))["ok"]
    assert store.run("archive").returncode == 0
    assert store.give(store.offer(name_of(2)))["ok"]
    answer = store.give(store.offer(name_of(3)))
    assert "2 dumps came within a day" in answer["reason"]
    assert answer["final"]
    # The name says another day; the store's own clock counts.
    yesterday = time.time() - 24 * 3600 - 60
    os.utime(store.archive / f"{name_of(1)}.manifest.json", (yesterday, yesterday))
    assert store.give(store.offer(name_of(3)))["ok"]


def test_transfers_under_way_count_too(store: Store) -> None:
    store.configure(quota_dumps=1)
    first = store.start("ssh", command="receive", stdin=subprocess.PIPE)
    assert first.stdin is not None
    first.stdin.write(section(store.offer(name_of(1)).header))
    first.stdin.flush()
    until(store.files, "the first to begin")
    assert "1 dumps came within a day" in store.give(store.offer(name_of(2)))["reason"]
    first.communicate()


def test_all_dumps_together_have_a_quota(store: Store) -> None:
    store.configure(quota_bytes=20_000)
    assert store.give(store.offer(name_of(1), b"x" * 8_000))["ok"]
    assert store.run("archive").returncode == 0
    # The next is expected to have 9,600 bytes, so it is refused before it is sent.
    answer = store.give(store.offer(name_of(2), b"x" * 8_000))
    assert answer["ok"], answer
    answer = store.give(store.offer(name_of(3), b"x"))
    assert "the store's quota is used up" in answer["reason"]
    assert answer["final"]
    assert store.files() == [name_of(2), f"{name_of(2)}.manifest.json"]


def test_one_dump_has_a_limit_of_its_own(store: Store) -> None:
    store.configure(max_bytes=len(DATA) - 1)
    answer = store.give()
    assert "larger than" in answer["reason"]
    assert answer["final"]
    assert store.files() == []


FREE = "folder.Folder.free = lambda self: {free}"


@pytest.mark.parametrize(
    ("free", "taken"),
    [
        # 1.2 times the last of its kind, twice, and the reserve.
        (2 * 12_000 + (1 << 20), True),
        (2 * 12_000 + (1 << 20) - 1, False),
    ],
)
def test_room_is_wanted_for_the_dump_and_its_copy(store: Store, free: int, *, taken: bool) -> None:
    assert store.give(store.offer(name_of(1), b"x" * 10_000))["ok"]
    # Of another kind, later and larger.
    assert store.give(store.offer(name_of(1, database="other"), b"x" * 50_000))["ok"]
    assert store.run("archive").returncode == 0
    store.sabotage(FREE.format(free=free))
    answer = store.give(store.offer(name_of(2)))
    assert answer["ok"] is taken, answer
    if not taken:
        assert "the store is full" in answer["reason"]
        assert not answer["final"]


def test_the_free_space_is_looked_at_again_while_it_is_written(store: Store) -> None:
    store.sabotage(f"reception.SPACE_CHECK = 1000; {FREE.format(free='(1 << 20) + 5000')}")
    assert store.give(store.offer(name_of(1), b"x" * 900))["ok"]
    offer = store.offer(name_of(2), b"x" * 9000)
    frames = b"".join(prefix(500) + b"x" * 500 for _ in range(18)) + END
    stream = section(offer.header) + frames + section(offer.trailer) + section(offer.signature)
    assert "the store is full" in store.ask("receive", stream)["reason"]
    assert store.files() == [name_of(1), f"{name_of(1)}.manifest.json"]


@pytest.fixture
def small_disk(tmp_path: Path) -> t.Iterator[t.Callable[[Path, int], None]]:
    """A function that makes a folder a disk of so many KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted: list[Path] = []

    def mount(path: Path, kib: int) -> None:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", path], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"no disk can be mounted here: {done.stderr}")
        mounted.append(path)

    yield mount
    for path in mounted:
        subprocess.run(["umount", path], check=True)


def test_a_disk_that_runs_full_leaves_nothing(store: Store, small_disk: t.Callable[[Path, int], None]) -> None:
    small_disk(store.incoming, 512)
    store.configure(reserve_bytes=0)
    answer = store.give(store.offer(data=os.urandom(800_000)))
    assert "No space left" in answer["reason"]
    assert store.files() == []
    assert store.give()["ok"]


def test_a_disk_that_is_full_only_when_it_is_brought_there_leaves_nothing(store: Store) -> None:
    store.sabotage("""
import errno, os
def full(descriptor):
    raise OSError(errno.ENOSPC, "No space left on device")
os.fsync = full
""")
    assert "No space left" in store.give()["reason"]
    assert store.files() == []


# --- The commit -----------------------------------------------------------------------------------------------------

# The link, the removal or the bringing to the disk with a number, and what happens right after or instead.
STRIKE = """
import os, signal
calls, real = [], folder.Folder.{method}
def strike(self, *names):
    if self.path != {incoming!r}:
        return real(self, *names)
    calls.append(names)
    if {failing} and len(calls) == {number}:
        raise OSError(5, "Input/output error")
    done = real(self, *names)
    if len(calls) == {number}:
        os.kill(os.getpid(), signal.{signal})
    return done
folder.Folder.{method} = strike
"""


def strike(store: Store, method: str, number: int, *, signal: str = "SIGTERM", failing: bool = False) -> None:
    store.sabotage(
        STRIKE.format(method=method, number=number, signal=signal, failing=failing, incoming=str(store.incoming))
    )


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.parametrize(("method", "call"), [("link", 1), ("sync", 1), ("link", 2), ("unlink", 1), ("sync", 3)])
def test_a_signal_does_not_tear_a_commit(store: Store, method: str, call: int, signal: str) -> None:
    strike(store, method, call, signal=signal)
    assert store.give()["ok"]
    assert store.files() == WHOLE


def test_a_signal_before_the_commit_leaves_nothing(store: Store) -> None:
    strike(store, "stat", 1)
    assert store.give()["reason"] == "interrupted by SIGTERM"
    assert store.files() == []


@pytest.mark.parametrize(("method", "call"), [("link", 1), ("sync", 1), ("link", 2), ("sync", 2)])
def test_a_commit_that_the_disk_fails_leaves_nothing(store: Store, method: str, call: int) -> None:
    strike(store, method, call, failing=True)
    assert "the dump could not be written" in store.give()["reason"]
    assert store.files() == []


@pytest.mark.parametrize(("method", "call"), [("unlink", 1), ("unlink", 2), ("sync", 3)])
def test_a_fault_after_the_commit_does_not_deny_it(store: Store, method: str, call: int) -> None:
    strike(store, method, call, failing=True)
    assert store.give()["ok"]
    store.sabotage("")
    assert [row["name"] for row in store.dumps()] == [NAME]
    assert store.run("archive").returncode == 0
    assert store.files(store.archive) == WHOLE


@pytest.mark.parametrize(("method", "call"), [("link", 1), ("sync", 1), ("link", 2), ("sync", 2), ("unlink", 1)])
def test_a_store_killed_while_it_commits_has_the_whole_dump_or_none(store: Store, method: str, call: int) -> None:
    strike(store, method, call, signal="SIGKILL")
    done = store.run("ssh", command="receive", given=store.offer().stream())
    assert done.returncode == -9
    store.sabotage("")
    there = store.ask(f"stat {NAME}")
    assert there["ok"] is ((method, call) in [("link", 2), ("sync", 2), ("unlink", 1)]), there
    assert store.run("archive").returncode == 0
    assert store.files(store.archive) == (WHOLE if there["ok"] else [])
    assert store.ask(f"stat {NAME}")["ok"] is there["ok"]


@pytest.mark.parametrize("call", [1, 2])
def test_a_name_taken_at_the_last_moment_is_left_alone(store: Store, call: int) -> None:
    store.sabotage(f"""
calls, real = [], folder.Folder.link
def late(self, name, new):
    calls.append(new)
    if len(calls) == {call}:
        open({str(store.incoming)!r} + "/" + new, "w").close()
    real(self, name, new)
folder.Folder.link = late
""")
    assert "is here already" in store.give()["reason"]
    assert [(store.incoming / name).stat().st_size for name in store.files()] == [0]


@pytest.mark.parametrize("where", ["fsync", "clean", "hold_signals"])
def test_two_signals_at_once_leave_nothing(store: Store, where: str) -> None:
    """As systemd sends them to a session that it ends: the second while the first is cleaned up after."""
    store.sabotage(
        f"""
import os, signal
def strike(*arguments):
    for number in (signal.SIGTERM, signal.SIGHUP) if {where != "clean"} else (signal.SIGHUP,):
        os.kill(os.getpid(), number)
"""
        + {
            "fsync": "os.fsync = strike",
            "hold_signals": """
def full(*arguments):
    raise OSError(28, "No space left on device")
os.fsync, real = full, reception.hold_signals
def hold():
    strike()
    real()
reception.hold_signals = hold
""",
            "clean": """
def first(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
os.fsync, real = first, reception.hold_signals
def hold():
    strike()
    real()
reception.hold_signals = hold
""",
        }[where]
    )
    assert store.give()["reason"].startswith("interrupted by SIG")
    assert store.files() == []


def test_two_that_come_at_once_do_not_overrun_the_quota(tmp_path: Path) -> None:
    incoming, archive = tmp_path / "incoming", tmp_path / "archive"
    for made in (incoming, archive):
        made.mkdir()
    limits = Limits(dump=1000, all=1500, reserve=0, a_day=10)
    first, second = (Room(limits, Folder(str(incoming)), Folder(str(archive))) for _ in range(2))
    for room, day in ((first, 1), (second, 2)):
        # Neither sees more of the other than that it has begun.
        room.look(DumpName.parse(name_of(day)))
        (incoming / f"{name_of(day)}.partial").write_bytes(b"")
    for day in (1, 2):
        (incoming / f"{name_of(day)}.partial").write_bytes(bytes(1000))

    (incoming / f"{name_of(1)}.partial").rename(incoming / name_of(1))
    first.settle(1000)
    (incoming / f"{name_of(2)}.partial").rename(incoming / name_of(2))
    with pytest.raises(DumpError, match="used up meanwhile: 1000 bytes lie there, this dump has 1000") as refused:
        second.settle(1000)
    assert not refused.value.final


# --- What dead runs leave -------------------------------------------------------------------------------------------


def test_what_a_killed_store_leaves_is_swept_a_day_later(store: Store) -> None:
    old, young, stuck, busy = (
        store.incoming / f"{name_of(day)}{suffix}"
        for day, suffix in ((1, ".partial"), (2, ".partial"), (3, ""), (4, ".partial"))
    )
    for path in (old, young, stuck, busy):
        path.write_bytes(b"x")
    # A run that died between the two links.
    os.link(stuck, f"{stuck}.partial")
    yesterday = time.time() - 24 * 3600 - 60
    for path in (old, stuck, busy):
        os.utime(path, (yesterday, yesterday))

    with busy.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert store.give(store.offer(name_of(9)))["ok"]

    assert not old.exists()
    assert not stuck.exists()
    assert young.exists()
    assert busy.exists()


def test_data_without_a_manifest_is_swept_a_day_later(store: Store) -> None:
    assert store.give()["ok"]
    alone = store.incoming / name_of(3)
    alone.write_bytes(b"x")
    # Its own age counts, not that of what was copied there with the times kept.
    os.utime(alone, (0, 0))
    other = store.incoming / "notes.txt"
    other.write_bytes(b"x")
    folder = Folder(str(store.incoming))

    sweep(folder, time.time() + PARTIAL_AGE - 60, data=True)
    assert alone.exists()

    # As in the archive, where a manifest that was lost must not take its data with it.
    sweep(folder, time.time() + PARTIAL_AGE + 60)
    assert alone.exists()

    sweep(folder, time.time() + PARTIAL_AGE + 60, data=True)
    assert not alone.exists()
    assert store.files() == sorted([*WHOLE, other.name])


# --- What may be asked ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "",
        "ls",
        "receive; ls",
        "receive x",
        " receive",
        "RECEIVE",
        "stat",
        "stat ../x",
        f"stat {NAME}\n",
        f"stat\n{NAME}",
        "stat a b",
        "stat " + "x" * 9999,
        "list",
        "archive",
        "read",
        "prune",
        f"fetch {NAME}",
        "scp -t x",
        "internal-sftp",
        "\x1b]0;title\x07",
        "x" * 9999,
    ],
)
def test_the_sending_key_may_receive_and_stat_only(store: Store, command: str) -> None:
    answer = store.ask(command)
    assert (answer["ok"], answer["final"]) == (False, True)
    assert len(answer["reason"]) < 500
    assert answer["reason"].isprintable()
    assert store.files() == []


def test_stat_tells_of_a_dump_wherever_it_is(store: Store) -> None:
    given = store.give()
    assert store.ask(f"stat {NAME}") == given
    assert store.run("archive").returncode == 0
    assert store.files() == []
    assert store.ask(f"stat {NAME}") == given


def test_stat_says_of_no_dump_that_there_is_none(store: Store) -> None:
    assert store.ask(f"stat {NAME}")["reason"] == f"there is no dump {NAME} here"


def test_stat_finds_a_dump_that_is_archived_between_its_looks(store: Store) -> None:
    given = store.give()
    store.sabotage(f"""
import subprocess
real = folder.Folder.manifest
def late(self, name):
    if self.path == {str(store.incoming)!r}:
        subprocess.run([{str(store.folder / "archiver")!r}, "archive"], stdout=2, check=True)
    return real(self, name)
folder.Folder.manifest = late
""")
    hampered = store.command
    store.command = store.folder / "archiver"
    store.sabotage("")
    store.command = hampered
    assert store.ask(f"stat {NAME}") == given
    assert store.files() == []


def test_stat_denies_nothing_that_may_yet_be_committed(store: Store) -> None:
    """The store is stuck in an fsync, and the one that asks has lost its answer."""
    store.sabotage(
        """
import os, time
real = os.fsync
def slow(descriptor):
    if "partial" in os.readlink("/proc/self/fd/" + str(descriptor)):
        open({held!r}, "w").close()
        while os.path.exists({held!r}):
            time.sleep(0.05)
    real(descriptor)
os.fsync = slow
""".format(held=str(store.folder / "held"))
    )
    stream = store.offer().stream()
    stuck = store.start("ssh", command="receive", stdin=subprocess.PIPE)
    assert stuck.stdin is not None
    stuck.stdin.write(stream)
    stuck.stdin.close()
    held = store.folder / "held"
    until(held.exists, "the store to be stuck")

    answer = store.ask(f"stat {NAME}")

    assert answer["reason"] == f"{NAME} is being received: ask again"
    assert not answer["final"]
    end = time.monotonic() + 20
    while stuck.poll() is None and time.monotonic() < end:
        held.unlink(missing_ok=True)
        time.sleep(0.05)
    assert stuck.stdout is not None
    assert json.loads(stuck.stdout.read())["ok"]
    assert stuck.stderr is not None
    stuck.stdout.close()
    stuck.stderr.close()
    assert store.ask(f"stat {NAME}")["ok"]


def test_what_came_in_is_for_its_user_and_the_archivers_group(store: Store) -> None:
    assert store.give(umask=0o077)["ok"]
    found = [(store.incoming / name).stat() for name in store.files()]
    assert [(file.st_mode & 0o777, file.st_nlink) for file in found] == [(0o440, 1)] * 2


# --- The list -------------------------------------------------------------------------------------------------------


def test_the_list_says_what_is_where(store: Store) -> None:
    given = store.give()
    assert store.run("archive").returncode == 0
    assert store.give(store.offer(name_of(2)))["ok"]
    rows = store.dumps()
    assert [(row["name"], row["archived"]) for row in rows] == [(NAME, True), (name_of(2), False)]
    manifest = json.loads((store.archive / WHOLE[1]).read_bytes())
    assert rows[0] == {
        "name": NAME,
        "database": "taaraxtak",
        "kind": "dump",
        "encrypted": False,
        "archived": True,
        "adopted": False,
        "bytes": len(DATA),
        "sha256": given["sha256"],
        "rows": 2,
        "tables": {"public.few": 2},
        "started": manifest["trailer"]["started"],
        "received": manifest["received"],
        "drill": None,
    }
    plain = store.run("list")
    assert plain.returncode == 0
    assert [line.endswith("  archived") for line in plain.stdout.splitlines()] == [True, False]


def test_the_list_tells_of_what_is_no_dump(store: Store) -> None:
    assert store.give()["ok"]
    (store.incoming / NAME).unlink()
    (store.incoming / NAME).write_bytes(b"short")
    (store.archive / name_of(2)).write_bytes(b"no manifest")

    listed = store.run("list")

    assert listed.returncode == 1
    assert listed.stdout == ""
    assert "5 bytes" in listed.stderr
    assert f"{name_of(2)} has no manifest, so it is no dump: remove it" in listed.stderr
