# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the store's disk, its quota and its archive."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
import typing as t

from .hosts import ARCHIVE, FOLDER, FREEZE_AT, INCOMING, STORE, Estate, until
from .running import WHOLE, Fault, Seen, wrong_files
from .scripts import FREEZE

DISK = "/run/faultbed-disk"
COMMAND = "/usr/local/bin/dump-store"
ARCHIVER = r"/usr/bin/python3 -I /usr/local/bin/dump-store archive"
# Takes every byte that is left.
FILL = """
import os, sys
with open(sys.argv[1], "wb", buffering=0) as file:
    for size in (1 << 20, 1 << 12, 1):
        try:
            while True:
                file.write(bytes(size))
        except OSError:
            pass
"""


@contextlib.contextmanager
def small_disk(estate: Estate, megabytes: int, *, whole: bool = False) -> t.Iterator[list[str]]:
    """The store's folder, copied to a disk of its own where so much is free; the list takes what is wrong there.

    What lies below is as it was, afterwards; what lies on the small disk is compared too.
    """
    store = estate.store
    used = int(store.check("du", "-sm", FOLDER).split()[0])
    problems: list[str] = []
    with paused(estate):
        store.check("mkdir", "-p", DISK)
        store.check("mount", "-t", "tmpfs", "-o", f"size={used + megabytes}m,mode=0755", "tmpfs", DISK)
        try:
            store.check("cp", "-a", f"{FOLDER}/.", DISK)
            store.check("mount", "--bind", DISK, FOLDER)
            try:
                before = estate.files()
                yield problems
                store.check("rm", "-f", f"{FOLDER}/ballast")
                if units(estate):
                    store.run("systemctl", "start", service(estate))
                wrong = wrong_files(before, estate.files(), whole=whole)
                problems += [f"on the small disk: {text}" for text in wrong]
            finally:
                until(lambda: store.run("umount", FOLDER).returncode == 0, "the small disk to be free")
        finally:
            until(lambda: store.run("umount", DISK).returncode == 0, "the small disk to go")


def fill(estate: Estate) -> None:
    """Leave no byte free in the store's folder."""
    estate.store.check("python3", "-I", "-c", FILL, f"{FOLDER}/ballast")


def units(estate: Estate) -> list[str]:
    """What starts the archiver: path units and timers."""
    asked = ["systemctl", "list-unit-files", "--no-legend", "--plain", "--type=path,timer", "*dump*"]
    names = [line.split()[0] for line in estate.store.run(*asked).stdout.splitlines()]
    return [name for name in names if "arch" in name]


def service(estate: Estate) -> str:
    """The archiver's own unit."""
    found = units(estate)
    if not found:
        raise RuntimeError("the store has no unit that archives")
    return found[0].rsplit(".", 1)[0] + ".service"


@contextlib.contextmanager
def paused(estate: Estate) -> t.Iterator[None]:
    """Nothing starts the archiver by itself."""
    names = units(estate)
    if names:
        estate.store.check("systemctl", "stop", *names)
        estate.store.check("systemctl", "stop", service(estate))
    try:
        yield
    finally:
        if names:
            estate.store.run("systemctl", "reset-failed", *names, service(estate))
            estate.store.check("systemctl", "start", *names)


def nearly_full(estate: Estate) -> Seen:
    """The disk has no room for a dump as large as the last: nothing is written."""
    with small_disk(estate, 20) as problems:
        run = estate.send()
    return Seen(run.status, run.said, problems)


def full_at_write(estate: Estate) -> Seen:
    """The disk fills in the middle of a dump for which there was room when it began."""
    with estate.settings(estate.store, STORE, reserve_bytes=1 << 20), small_disk(estate, 200) as problems:
        with estate.held() as sender:
            fill(estate)
        run = estate.ended(sender)
    return Seen(run.status, run.said, problems)


def full_at_sync(estate: Estate) -> Seen:
    """fsync says ENOSPC, as a file system that allocates late does; no disk here does, so the call is made to."""
    wrong = (
        "import errno, os\n\ndef full(descriptor):\n    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n\n"
        "os.fsync = full\nsys.exit(main())"
    )
    with estate.text(estate.store, COMMAND, lambda text: text.replace("sys.exit(main())", wrong)):
        return Seen.of(estate.send())


def over_size(estate: Estate) -> Seen:
    with estate.settings(estate.store, STORE, max_bytes=4_000_000):
        return Seen.of(estate.send())


def over_quota(estate: Estate) -> Seen:
    with estate.settings(estate.store, STORE, quota_bytes=60_000_000):
        return Seen.of(estate.send())


def over_number(estate: Estate) -> Seen:
    with estate.settings(estate.store, STORE, quota_dumps=1):
        return Seen.of(estate.send())


def archived(estate: Estate, run_status: int) -> list[str]:
    """What is wrong where the archive did not take, in the end, what the sender was told is stored."""
    problems = [] if run_status == 0 else ["nothing was received"]
    estate.store.run("systemctl", "start", service(estate))
    waiting = [path for path in estate.files().rows if path.startswith(f"{INCOMING}/")]
    return problems + ([f"NOT ARCHIVED in the end: {', '.join(waiting)}"] if waiting else [])


def archive_log(estate: Estate, since: float) -> str:
    """What the archiver's unit and program said."""
    asked = ["journalctl", "-q", "-o", "cat", "--since", f"@{since:.3f}", "-u", service(estate)]
    return f"{estate.store.check(*asked)}\n{estate.journal(since)}"


def archive_full(estate: Estate, *, early: bool) -> Seen:
    """The dump was received; then, before or in the middle of its copy, the disk fills."""
    with estate.settings(estate.store, STORE, reserve_bytes=1 << 20), small_disk(estate, 400, whole=True) as problems:
        run = estate.send()
        received = {path.rsplit("/", 1)[1] for path in estate.store_proofs()}
        began = time.time()
        if early:
            fill(estate)
            status = estate.store.run("systemctl", "start", service(estate)).returncode
        else:
            with stopped_archiver(estate) as starting:
                fill(estate)
            status = starting.wait(timeout=60)
        said = archive_log(estate, began)
        whole = {path.rsplit("/", 1)[1] for path, proved in estate.store_proofs().items() if proved}
        problems += [f"LOST: {name}" for name in received - whole]
        lying = estate.store.run("ls", ARCHIVE).stdout
        problems += [f"LEFT in the archive: {name}" for name in lying.split() if name.endswith(".partial")]
        estate.store.check("rm", f"{FOLDER}/ballast")
        problems += archived(estate, run.status)
    return Seen(status, said, problems)


@contextlib.contextmanager
def stopped_archiver(estate: Estate) -> t.Iterator[subprocess.Popen[str]]:
    """The archiver, stopped in the middle of its copy; afterwards it goes on, if it is alive."""
    freezer = estate.store.start("python3", "-I", "-c", FREEZE, ARCHIVE, str(FREEZE_AT), ARCHIVER)
    if freezer.stdout is None or freezer.stdout.readline() != "ready\n":
        raise RuntimeError("the archive could not be watched")
    starting = estate.store.start("systemctl", "start", service(estate))
    answer = freezer.stdout.readline()
    freezer.communicate(timeout=60)
    stopped = json.loads(answer) if answer else []
    if not stopped:
        raise RuntimeError("the archiver could not be stopped in its copy")
    try:
        yield starting
    finally:
        estate.store.run("kill", "-CONT", *map(str, stopped))


def killed_archiver(estate: Estate) -> Seen:
    """Killed in the middle of a copy: nothing half is in the archive, and the next one takes the dump whole."""
    with paused(estate):
        run = estate.send()
        began = time.time()
        with stopped_archiver(estate) as starting:
            estate.store.signal(ARCHIVER, signal.SIGKILL)
            starting.wait(timeout=60)
            halves = [path for path, proved in estate.store_proofs().items() if not proved and path.startswith(ARCHIVE)]
        said = archive_log(estate, began)
        problems = [f"HALF in the archive: {path}" for path in halves] + archived(estate, run.status)
    return Seen(starting.returncode, said, problems)


def tampered(change: t.Sequence[str], undo: t.Sequence[str] = ()) -> t.Callable[[Estate], Seen]:
    """What the receiving user does to a dump before it is archived; `{}` is its path."""

    def inject(estate: Estate) -> Seen:
        with paused(estate):
            run = estate.send()
            if run.status:
                raise RuntimeError(run.said)
            (path,) = (name for name in estate.store_proofs() if name.startswith(INCOMING) and ".globals." not in name)
            for command in change:
                estate.store.check("sh", "-c", command.format(path), user="dumps")
            began = time.time()
            status = estate.store.run("systemctl", "start", service(estate)).returncode
            said = archive_log(estate, began)
            lying = estate.store.run("ls", ARCHIVE).stdout.split()
            problems = ["ARCHIVED all the same"] if path.rsplit("/", 1)[1] in lying else []
            for command in undo:
                estate.store.check("sh", "-c", command.format(path), user="dumps")
            if undo:
                problems += archived(estate, 0)
            else:
                estate.store.check("sh", "-c", f"rm -f {path}*")
        return Seen(status, said, problems)

    return inject


FLIP = "chmod u+w {0} && printf X | dd of={0} bs=1 seek=1000000 conv=notrunc status=none"

FAULTS = (
    Fault("the store has no room for a dump like the last", nearly_full, "the store is full"),
    Fault("store's disk full at write", full_at_write, "No space left|the store is full", quick=True),
    Fault("store's disk full at fsync (the call made to fail)", full_at_sync, "No space left"),
    Fault(
        "disk full before the archive's copy", lambda estate: archive_full(estate, early=True), "the archive is full"
    ),
    Fault("disk full in the archive's copy", lambda estate: archive_full(estate, early=False), "No space left"),
    Fault("the dump larger than one may be", over_size, "larger than the"),
    Fault("quota of bytes reached", over_quota, "quota"),
    Fault("quota of dumps a day reached", over_number, "within a day"),
    Fault("archiver killed in its copy", killed_archiver, "killed|signal|KILL", WHOLE, quick=True),
    Fault("received dump changed before it is archived", tampered([FLIP]), "is not what its manifest says"),
    Fault(
        "received dump cut before it is archived", tampered(["chmod u+w {0} && truncate -s 1000 {0}"]), "is not what"
    ),
    Fault(
        "manifest changed before it is archived",
        tampered(['chmod u+w {0}.manifest.json && sed -i \'s/"rows":/"rows":1/\' {0}.manifest.json']),
        "signature is wrong",
    ),
    Fault(
        "a hard link to a received dump, made before it is archived",
        tampered(["ln {0} {0}.mine"], ["rm {0}.mine"]),
        "is not a regular file with one name",
        WHOLE,
    ),
    Fault(
        "a symbolic link in place of a received dump",
        tampered(["mv {0} {0}.mine && ln -s {0}.mine {0}"], ["mv -f {0}.mine {0}"]),
        "could not be read|not a regular file",
        WHOLE,
    ),
)
