"""The archive: copied by another user, verified, out of the receiving user's reach; and what a reading key may do."""

from __future__ import annotations

import datetime as dt
import grp
import hashlib
import json
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps import locks
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.folder import ARRIVED
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import encode
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import utc_text
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import Child
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.signatures import KEYGEN, Signers
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import until
from ansible_collections.taaraxtak.production.tests.integration.dumps_offers import DATA, NAME, Store, name_of
from ansible_collections.taaraxtak.production.tests.integration.test_dumps_store import FREE, small_disk

__all__ = ["small_disk"]

WHOLE = [NAME, f"{NAME}.manifest.json"]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def archive(store: Store, **options: t.Any) -> str:
    """Archive what came in; what it complains of, with an exit status that agrees."""
    done = store.run("archive", **options)
    assert done.returncode == (1 if done.stderr else 0), done
    return done.stderr


def test_what_came_in_is_copied_and_then_removed(store: Store) -> None:
    assert store.give()["ok"]
    before = {path.name: (path.stat().st_ino, path.read_bytes()) for path in store.incoming.iterdir()}

    assert archive(store) == ""

    assert store.files() == []
    assert store.files(store.archive) == WHOLE
    for path in store.archive.iterdir():
        found = path.stat()
        inode, content = before[path.name]
        assert found.st_ino != inode
        if path.name == NAME:
            assert path.read_bytes() == content
        else:
            archived, came = json.loads(path.read_bytes()), json.loads(content)
            assert archived.pop("received") >= came.pop("received")
            assert archived == came
        assert (stat.S_IMODE(found.st_mode), found.st_nlink) == (0o440, 1)


@pytest.mark.parametrize("received", ["1999-01-01T00:00:00Z", "2999-01-01T00:00:00Z"])
def test_the_time_that_counts_is_the_archivers_and_not_the_receiving_users(store: Store, received: str) -> None:
    assert store.give()["ok"]
    change_manifest(store, lambda manifest: manifest.update(received=received))
    before = utc_text(dt.datetime.now(dt.UTC))
    assert archive(store) == ""
    (row,) = store.dumps()
    assert before <= row["received"] <= utc_text(dt.datetime.now(dt.UTC))


def test_a_dump_archived_by_a_run_that_died_is_known_whatever_its_time(store: Store) -> None:
    assert store.give()["ok"]
    came = {path.name: path.read_bytes() for path in store.incoming.iterdir()}
    assert archive(store) == ""
    for name, content in came.items():
        (store.incoming / name).write_bytes(content)
    change_manifest(store, lambda manifest: manifest.update(received="1999-01-01T00:00:00Z"))
    assert archive(store) == ""
    assert (store.files(), store.files(store.archive)) == ([], WHOLE)
    assert store.dumps()[0]["received"] > "2000"


def test_two_hundred_signatures_leave_no_file_open(store: Store) -> None:
    offer, signers = store.offer(), Signers(str(store.signers), shutil.which("ssh-keygen") or KEYGEN)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(200):
        signers.verify(offer.trailer, offer.signature.decode())
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_what_a_program_said_is_known_after_its_end() -> None:
    child = Child(["/bin/sh", "-c", "echo why >&2; exit 3"], name="it", keep_stderr=True)
    child.wait()
    child.end()
    assert child.said() == "why"
    assert child.complaint() == "it failed with exit status 3: why"


def test_an_empty_folder_is_no_failure(store: Store) -> None:
    assert archive(store) == ""


def test_a_dump_with_a_second_name_is_not_archived(store: Store) -> None:
    """The receiving user could change it through that name once it had been looked at."""
    for index, victim in enumerate(WHOLE):
        assert store.give(store.offer(name_of(1 + index)))["ok"]
        path = store.incoming / victim.replace("01-01-", f"01-0{1 + index}-")
        os.link(path, store.folder / f"second{index}")
    assert archive(store).count("is not a regular file with one name") == 2
    assert store.files(store.archive) == []


@pytest.mark.parametrize("victim", [0, 1])
def test_a_link_to_a_file_is_not_followed(store: Store, victim: int) -> None:
    assert store.give()["ok"]
    path = store.incoming / WHOLE[victim]
    path.rename(store.folder / "elsewhere")
    path.symlink_to(store.folder / "elsewhere")
    assert "could not be read" in archive(store)
    assert store.files(store.archive) == []


def test_a_pipe_is_not_waited_for(store: Store) -> None:
    assert store.give()["ok"]
    for name in WHOLE:
        (store.incoming / name).unlink()
        os.mkfifo(store.incoming / name)
    assert "is not a regular file" in archive(store)


@pytest.mark.parametrize("data", [DATA.swapcase(), DATA[:-1], DATA + b"x"])
def test_data_changed_after_it_came_in_is_not_archived(store: Store, data: bytes) -> None:
    assert store.give()["ok"]
    (store.incoming / NAME).unlink()
    (store.incoming / NAME).write_bytes(data)
    assert "was changed after it had come in" in archive(store)
    assert store.files(store.archive) == []
    assert store.files() == WHOLE


def change_manifest(store: Store, change: t.Callable[[dict[str, t.Any]], object]) -> None:
    path = store.incoming / WHOLE[1]
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.unlink()
    path.write_bytes(encode(manifest))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda manifest: manifest["trailer"].update(raw_bytes=1), "signature is wrong"),
        (lambda manifest: manifest.update(signature=""), "has either a signature or is that of an adopted dump"),
        (lambda manifest: manifest.update(signature="", adopted=True), "is not signed"),
        (lambda manifest: manifest.update(signature="nonsense"), "signed by a key that is not known"),
        (lambda manifest: manifest.update(more=1), "more"),
    ],
)
def test_a_manifest_changed_after_it_came_in_is_not_archived(
    store: Store, change: t.Callable[[dict[str, t.Any]], object], reason: str
) -> None:
    assert store.give()["ok"]
    change_manifest(store, change)
    assert reason in archive(store)
    assert store.files(store.archive) == []


def test_the_signature_of_another_key_is_not_archived(store: Store) -> None:
    assert store.give()["ok"]
    signers = store.signers.read_text()
    public = store.make_key("another").with_suffix(".pub").read_text()
    store.signers.write_text(f'production namespaces="taaraxtak-dump" {public}')
    assert "signed by a key that is not known" in archive(store)
    store.signers.write_text(signers)
    assert archive(store) == ""


def test_a_dump_under_anothers_name_is_not_archived(store: Store) -> None:
    assert store.give()["ok"]
    for name in WHOLE:
        (store.incoming / name).rename(store.incoming / name.replace("01-01-", "01-02-"))
    assert f"is the manifest of {NAME}" in archive(store)
    assert store.files(store.archive) == []


def test_one_that_is_refused_does_not_hold_up_the_next(store: Store) -> None:
    for day in (1, 2):
        assert store.give(store.offer(name_of(day)))["ok"]
    (store.incoming / NAME).unlink()
    said = archive(store)
    assert NAME in said
    assert name_of(2) not in said
    assert store.files(store.archive) == [name_of(2), f"{name_of(2)}.manifest.json"]


def test_an_archived_dump_is_never_overwritten(store: Store) -> None:
    assert store.give()["ok"]
    assert archive(store) == ""
    before = {path.name: path.read_bytes() for path in store.archive.iterdir()}
    # Signed, with the same name, and put there by somebody who has the receiving user's rights.
    offer = store.offer(data=b"other")
    (store.incoming / NAME).write_bytes(offer.data)
    manifest = {
        "format": 3,
        "received": "2026-01-01T00:02:00Z",
        "signature": offer.signature.decode(),
        "trailer": json.loads(offer.trailer),
    }
    (store.incoming / WHOLE[1]).write_bytes(encode(manifest))
    assert "nothing is ever overwritten" in archive(store)
    assert {path.name: path.read_bytes() for path in store.archive.iterdir()} == before


def test_a_full_archive_leaves_the_dump_where_it_came_in(store: Store) -> None:
    assert store.give()["ok"]
    usual = store.command.read_text()
    store.sabotage(FREE.format(free=1 << 20))
    assert "the archive is full" in archive(store)
    assert (store.files(), store.files(store.archive)) == (WHOLE, [])
    store.command.write_text(usual)
    assert archive(store) == ""
    assert store.files(store.archive) == WHOLE


def test_an_archive_that_runs_full_while_it_is_copied_leaves_the_dump_where_it_came_in(
    store: Store, small_disk: t.Callable[[Path, int], None]
) -> None:
    assert store.give(store.offer(data=os.urandom(800_000)))["ok"]
    small_disk(store.archive, 512)
    store.sabotage(FREE.format(free=1 << 40))
    assert "No space left" in archive(store)
    assert (store.files(), store.files(store.archive)) == (WHOLE, [])


def test_an_archive_that_is_full_only_when_it_is_brought_to_the_disk(store: Store) -> None:
    assert store.give()["ok"]
    store.sabotage("""
import errno, os
def full(descriptor):
    raise OSError(errno.ENOSPC, "No space left on device")
os.fsync = full
""")
    assert "No space left" in archive(store)
    assert (store.files(), store.files(store.archive)) == (WHOLE, [])


@pytest.mark.parametrize(
    ("module", "name", "call"),
    [
        ("os", "fsync", 1),
        ("os", "link", 1),
        ("os", "fsync", 3),
        ("os", "link", 2),
        ("os", "unlink", 1),
        ("os", "unlink", 2),
        ("os", "unlink", 3),
        ("os", "unlink", 4),
    ],
)
def test_an_archiver_that_is_killed_is_made_good_by_the_next(store: Store, module: str, name: str, call: int) -> None:
    assert store.give()["ok"]
    usual = store.command.read_text()
    store.sabotage(f"""
import os, signal
calls, real = [], {module}.{name}
def strike(*given, **more):
    done = real(*given, **more)
    calls.append(given)
    if len(calls) == {call}:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
{module}.{name} = strike
""")
    assert store.run("archive").returncode == -9
    store.command.write_text(usual)
    # Wherever it was cut, the dump is in one of the two, whole.
    assert store.ask(f"stat {NAME}")["ok"]
    assert archive(store) == ""
    assert store.files(store.archive) == WHOLE
    assert (store.archive / NAME).read_bytes() == DATA
    assert [name for name in store.files() if name.endswith(".json")] == []


def test_an_archiver_that_is_told_to_end_leaves_nothing(store: Store) -> None:
    assert store.give()["ok"]
    store.sabotage("""
import os, signal
real = os.fsync
def strike(descriptor):
    os.kill(os.getpid(), signal.SIGTERM)
    real(descriptor)
os.fsync = strike
""")
    done = store.run("archive")
    assert done.returncode == 1
    assert "interrupted by SIGTERM" in done.stderr
    assert (store.files(), store.files(store.archive)) == (WHOLE, [])


def test_a_dump_that_is_just_coming_in_starts_the_next_run(store: Store) -> None:
    """A run waits for nobody: what arrives leaves a mark, which systemd looks for when the archiver has ended."""
    stream = store.offer().stream()
    coming = store.start("ssh", command="receive", stdin=subprocess.PIPE)
    assert coming.stdin is not None
    coming.stdin.write(stream[:-1])
    coming.stdin.flush()
    until(store.files, "the transfer to begin")
    assert archive(store) == ""
    assert not (store.incoming / ARRIVED).exists()
    coming.stdin.write(stream[-1:])
    out, _err = coming.communicate()
    assert json.loads(out)["ok"]
    assert store.files(store.archive) == []
    assert (store.incoming / ARRIVED).exists()
    assert archive(store) == ""
    assert store.files(store.archive) == WHOLE
    assert [*store.incoming.iterdir()] == []


def test_what_arrives_after_the_last_look_leaves_a_mark(store: Store) -> None:
    """The last look is over, the archiver has not ended: systemd would see no event."""
    assert store.give()["ok"]
    other = name_of(2)
    store.sabotage("""
import os, time
real, passes = archive.Archiver.once, []
def once(self, *leave):
    outcome = real(self, *leave)
    passes.append(outcome)
    while len(passes) == 2 and not os.path.exists(self._incoming.path + "/.arrived"):
        time.sleep(0.01)
    return outcome
archive.Archiver.once = once
""")
    archiver = store.start("archive")
    until(lambda: store.files(store.archive) == WHOLE and store.files() == [], "the first dump to be archived")
    assert store.give(store.offer(other))["ok"]
    assert archiver.wait(20) == 0
    assert (store.incoming / ARRIVED).exists()
    assert other in store.files()
    store.sabotage("")
    assert archive(store) == ""
    assert other in store.files(store.archive)
    assert [*store.incoming.iterdir()] == []


@pytest.mark.parametrize("kind", ["folder", "link", "fifo"])
def test_a_mark_that_is_none_does_not_start_the_archiver_without_end(store: Store, kind: str) -> None:
    mark = store.incoming / ARRIVED
    if kind == "folder":
        (mark / "full").mkdir(parents=True)
    elif kind == "link":
        mark.symlink_to(store.archive)
    else:
        os.mkfifo(mark)
    assert store.give()["ok"]
    assert archive(store) == ""
    assert not os.path.lexists(mark)
    assert store.files(store.archive) == WHOLE


def test_a_dump_that_could_not_be_announced_is_there_all_the_same(store: Store) -> None:
    store.sabotage("""
from dumps.folder import Folder
def announce(self):
    raise OSError(28, "No space left on device")
Folder.announce = announce
""")
    assert store.give()["ok"]
    assert store.files() == WHOLE
    assert not (store.incoming / ARRIVED).exists()


# --- As on the host: with the accounts it has there ------------------------------------------------------------------


class Accounts:
    """The store with a folder for each of two accounts, and programs run as one of them."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.receiver = pwd.getpwnam("daemon").pw_uid
        self.archiver = pwd.getpwnam("bin").pw_uid
        group = grp.getgrnam("bin").gr_gid
        self.listers = grp.getgrnam("games").gr_gid
        self.readers = grp.getgrnam("man").gr_gid
        os.chown(self.store.incoming, self.receiver, group)
        self.store.incoming.chmod(0o2770)
        os.chown(self.store.archive, self.archiver, self.listers)
        self.store.archive.chmod(0o2750)
        for locked, owner in ((self.store.incoming, self.receiver), (self.store.archive, self.archiver)):
            lock = Path(locks.lock_of(str(locked)))
            lock.touch(0o600)
            os.chown(lock, owner, -1)
        self.store.configure(readers="man")
        self.as_receiver = {"user": self.receiver, "group": self.receiver, "extra_groups": [self.listers]}
        self.as_archiver = {"user": self.archiver, "group": group, "extra_groups": [self.listers, self.readers]}
        self.as_reader = {"user": 65534, "group": self.readers, "extra_groups": [self.listers]}

    def python(self, code: str, *arguments: object, **account: t.Any) -> str:
        """What a line of Python raises or prints."""
        done = subprocess.run(
            ["/usr/bin/python3", "-I", "-c", f"import os, sys\n{code}", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **account,
        )
        return done.stdout + done.stderr


@pytest.fixture
def accounts() -> t.Iterator[Accounts]:
    if os.geteuid() != 0:
        pytest.skip("only root can become other accounts")
    if not shutil.which("python3", path="/usr/bin"):
        pytest.skip("the accounts need a Python of the system's")
    # Others may not look into pytest's own folders.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        made = Accounts(Path(folder))
        command = made.store.command.read_text().split("\n", 1)[1]
        made.store.command.write_text("#!/usr/bin/python3 -I\n" + command)
        yield made


CHANGES = {
    "write": "open(sys.argv[1], 'r+b').write(b'changed')",
    "truncate": "os.truncate(sys.argv[1], 0)",
    "remove": "os.unlink(sys.argv[1])",
    "rename": "os.rename(sys.argv[1], sys.argv[1] + '.gone')",
    "replace": "os.rename(sys.argv[2], sys.argv[1])",
    "mode": "os.chmod(sys.argv[1], 0o666)",
    "owner": "os.chown(sys.argv[1], os.getuid(), -1)",
    "times": "os.utime(sys.argv[1], (0, 0))",
    "link": "os.link(sys.argv[1], sys.argv[2] + '.link')",
    "beside": "open(sys.argv[1] + '.beside', 'w')",
    "folder": "os.rename(os.path.dirname(sys.argv[1]), os.path.dirname(sys.argv[1]) + '.gone')",
    "folder's mode": "os.chmod(os.path.dirname(sys.argv[1]), 0o777)",
}


def state(path: Path) -> tuple[object, ...]:
    """A file's content and all of its inode but the time of the last look."""
    found = path.stat()
    return path.read_bytes(), found.st_ino, found.st_mode, found.st_uid, found.st_gid, found.st_nlink, found.st_ctime_ns


@pytest.mark.parametrize("account", ["as_receiver", "as_reader"])
@pytest.mark.parametrize("change", CHANGES)
def test_neither_receiver_nor_reader_can_change_or_delete_what_is_archived(
    accounts: Accounts, change: str, account: str
) -> None:
    store = accounts.store
    assert store.give(**accounts.as_receiver)["ok"]
    assert archive(store, **accounts.as_archiver) == ""
    own = store.incoming / "own"
    accounts.python("open(sys.argv[1], 'w').write('own')", own, **accounts.as_receiver)
    for name in WHOLE:
        before = state(store.archive / name)
        said = accounts.python(CHANGES[change], store.archive / name, own, **getattr(accounts, account))
        assert "PermissionError" in said
        assert state(store.archive / name) == before
    assert store.files(store.archive) == WHOLE


@pytest.mark.parametrize("victim", [0, 1])
def test_a_hard_link_made_before_gives_no_hold_on_what_is_archived(accounts: Accounts, victim: int) -> None:
    """The receiving user keeps another name of what came in: it is not archived; without it, a copy is."""
    store = accounts.store
    assert store.give(**accounts.as_receiver)["ok"]
    held = store.incoming / "held"
    accounts.python("os.link(sys.argv[1], sys.argv[2])", store.incoming / WHOLE[victim], held, **accounts.as_receiver)
    assert "is not a regular file with one name" in archive(store, **accounts.as_archiver)
    assert store.files(store.archive) == []

    # One whom it did not see: an open descriptor counts as no name.
    hold = "file = os.open(sys.argv[1], os.O_RDONLY); os.chmod(sys.argv[1], 0o600)\n"
    write = "file = os.open(sys.argv[1], os.O_RDWR); input(); os.pwrite(file, b'changed', 0); print('written')"
    held.unlink()
    with subprocess.Popen(
        ["/usr/bin/python3", "-I", "-c", f"import os, sys\n{hold}{write}", str(store.incoming / WHOLE[victim])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **accounts.as_receiver,
    ) as holder:
        until(lambda: (store.incoming / WHOLE[victim]).stat().st_mode & 0o777 == 0o600, "the file to be held")
        # The archiver reads by its group.
        (store.incoming / WHOLE[victim]).chmod(0o640)
        assert archive(store, **accounts.as_archiver) == ""
        content = (store.archive / WHOLE[victim]).read_bytes()
        assert holder.communicate("\n")[0] == "written\n"
    assert (store.archive / WHOLE[victim]).read_bytes() == content
    assert (store.archive / NAME).read_bytes() == DATA


def test_what_is_archived_belongs_to_the_archiver_and_is_read_by_two_groups(accounts: Accounts) -> None:
    store = accounts.store
    assert store.give(**accounts.as_receiver)["ok"]
    assert archive(store, **accounts.as_archiver) == ""
    found = [(store.archive / name).stat() for name in WHOLE]
    assert [(file.st_uid, file.st_gid, stat.S_IMODE(file.st_mode)) for file in found] == [
        (accounts.archiver, accounts.readers, 0o440),
        (accounts.archiver, accounts.listers, 0o440),
    ]
    # The receiving user answers `stat`, for which the manifest is enough.
    assert store.ask(f"stat {NAME}", **accounts.as_receiver)["ok"]
    reads = "print(len(open(sys.argv[1], 'rb').read()))"
    assert "PermissionError" in accounts.python(reads, store.archive / NAME, **accounts.as_receiver)
    assert accounts.python(reads, store.archive / NAME, **accounts.as_reader) == f"{len(DATA)}\n"


def test_a_reader_sees_nothing_of_what_is_not_archived(accounts: Accounts) -> None:
    store = accounts.store
    assert store.give(**accounts.as_receiver)["ok"]
    assert json.loads(store.run("read", command="list", **accounts.as_reader).stdout) == []
    assert "PermissionError" in accounts.python("os.listdir(sys.argv[1])", store.incoming, **accounts.as_reader)
    assert archive(store, **accounts.as_archiver) == ""
    assert len(json.loads(store.run("read", command="list", **accounts.as_reader).stdout)) == 1


# --- The reading key --------------------------------------------------------------------------------------------------


def test_a_reading_key_lists_and_fetches(store: Store) -> None:
    data = os.urandom(3_000_000)
    assert store.give(store.offer(data=data))["ok"]
    assert archive(store) == ""
    listed = store.run("read", command="list")
    assert listed.returncode == 0
    assert [(row["name"], row["archived"]) for row in json.loads(listed.stdout)] == [(NAME, True)]
    with store.start("read", command=f"fetch {NAME}") as process:
        fetched, _err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert hashlib.sha256(fetched).digest() == hashlib.sha256(data).digest()
    manifest = store.run("read", command=f"manifest {NAME}")
    assert manifest.stdout.encode() == (store.archive / WHOLE[1]).read_bytes()


@pytest.mark.parametrize(
    "command",
    [
        "",
        "ls",
        "receive",
        f"stat {NAME}",
        "list --json",
        "list; id",
        "fetch",
        "fetch ../signers",
        "fetch /etc/passwd",
        f"fetch {NAME}.manifest.json",
        f"fetch {NAME}\n",
        f"fetch  {NAME}",
        f"manifest {NAME} x",
        "fetch " + "x" * 9999,
        "archive",
        "prune",
        "scp -f x",
        "internal-sftp",
        "x" * 9999,
    ],
)
def test_a_reading_key_may_do_nothing_else(store: Store, command: str) -> None:
    assert store.give()["ok"]
    assert archive(store) == ""
    done = store.run("read", command=command, given=store.offer(name_of(2)).stream() if command == "receive" else b"")
    assert (done.returncode, done.stdout) == (1, "")
    assert 0 < len(done.stderr) < 500
    assert done.stderr.removesuffix("\n").isprintable()
    assert (store.files(), store.files(store.archive)) == ([], WHOLE)


def test_what_is_not_archived_is_not_fetched(store: Store) -> None:
    assert store.give()["ok"]
    for verb in ("fetch", "manifest"):
        done = store.run("read", command=f"{verb} {NAME}")
        assert (done.returncode, done.stdout) == (1, "")
        assert f"there is no dump {NAME} here" in done.stderr
