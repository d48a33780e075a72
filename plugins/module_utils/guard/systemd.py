# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arm a way back, confirm the change or take it back at once: systemd does it, also when nobody is there any more.

In this order: ``begin`` gives a folder, what has to be put back is kept in it, ``arm``, the change, a new connection,
``confirm``. All but ``also_then`` are called with ``one_at_a_time`` held.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import typing as t
from pathlib import Path

from ..files.whole import replace, sync_folder
from ..hosts.running import attempt
from .undo import UNITS, Undo, folder_of, paths_of, service_of, timer_of, units_of, with_command

# sshd, nftables and their like reload in a second: longer than this and something hangs.
PATIENCE_S = 60

# Gone with a restart, as is whoever holds a lock.
LOCKS = "/run"
# The file in a change's folder that tells it from another run's.
WHICH = "change"

# systemctl's exit status for a unit that it does not know: a timer that has done its work.
NOT_LOADED = 5


@contextlib.contextmanager
def one_at_a_time(name: str) -> t.Iterator[None]:
    """Two runs that make, confirm or undo the change *name* wait for each other."""
    folder_of(name)  # refuses a name that leads elsewhere
    handle = os.open(
        f"{LOCKS}/taaraxtak-undo-{name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def pending(name: str, change: str | None = None) -> bool:
    """Whether the change *name*, and where *change* says which: that very one, is neither confirmed nor taken back."""
    folder = Path(folder_of(name))
    return folder.exists() and (change is None or change == which(name))


def which(name: str) -> str:
    """What tells the pending change *name* from that of another run; "" where there is none."""
    try:
        return (Path(folder_of(name)) / WHICH).read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def begin(name: str) -> Path:
    """A folder of root's for what has to be put back; ValueError where the last change *name* is not settled."""
    folder = Path(folder_of(name))
    if folder.exists():
        raise ValueError(f"the last change {name} is neither confirmed nor taken back")
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700)
    (folder / WHICH).write_text(secrets.token_hex(8), encoding="ascii")
    return folder


def arm(undo: Undo) -> None:
    """From now on the host itself undoes the change, *undo.seconds* from now or at its next start."""
    # what is kept has to be on the disk before what replaces it is
    os.sync()
    link, _timer, service = (Path(path) for path in paths_of(undo.name))
    for path, text in units_of(undo).items():
        replace(Path(path), text.encode(), mode=0o644)
    link.parent.mkdir(exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(service)
    sync_folder(link.parent)
    _systemctl("daemon-reload")
    # an undo of the past that has failed is none of this change's; systemd may not know of one
    _run("reset-failed", service_of(undo.name))
    _systemctl("restart", timer_of(undo.name))


def also_then(name: str, command: tuple[str, ...], change: str | None = None) -> None:
    """From now on *command*, which may fail, is part of the undo of the change *name*.

    ValueError where there is no such change, or it is another run's than *change*.
    """
    with one_at_a_time(name):
        if not pending(name, change):
            raise ValueError(_gone(name))
        service = Path(f"{UNITS}/{service_of(name)}")
        replace(service, with_command(service.read_text(encoding="utf-8"), command).encode())
        _systemctl("daemon-reload")


def confirm(name: str, change: str | None = None) -> bool:
    """The change stays. False where there is none, unless *change* says which one has to be there.

    ValueError where that one is gone, or it is being taken back already.
    """
    if not pending(name, change):
        if change is None:
            return False
        raise ValueError(_gone(name))
    _stop_timer(name)
    try:
        # "failed": not all of it is taken back
        state = _systemctl("show", "--property=ActiveState", "--value", service_of(name))
        if state != "inactive" or not pending(name, change):
            raise ValueError(_gone(name))
    except ValueError:
        if Path(f"{UNITS}/{timer_of(name)}").exists():
            _systemctl("start", timer_of(name))
        raise
    _forget(name)
    return True


def put_back(name: str, change: str | None = None) -> bool:
    """Undo the change now. False where there is none to undo, or only another than *change*."""
    if not pending(name, change):
        return False
    if Path(f"{UNITS}/{service_of(name)}").exists():
        # waits until it is done, also where the timer has begun it
        _status, said = _run("start", service_of(name))
        if pending(name):
            raise ValueError(
                f"not all of the change {name} could be taken back: {said}. See journalctl -u {service_of(name)}; what "
                f"was there is kept in {folder_of(name)}, and systemctl start {service_of(name)} tries again"
            )
    # where it was armed at no time nothing was changed yet
    _forget(name)
    return True


def _gone(name: str) -> str:
    return (
        f"the change {name} was not confirmed in time, or another run has taken its place: the host puts back what was "
        "there, so run it again"
    )


def _stop_timer(name: str) -> None:
    status, said = _run("stop", timer_of(name))
    if status not in (0, NOT_LOADED):
        raise ValueError(f"{timer_of(name)} could not be stopped: {said}")


def _forget(name: str) -> None:
    _stop_timer(name)
    for path in paths_of(name):
        Path(path).unlink(missing_ok=True)
    if Path(folder_of(name)).exists():
        shutil.rmtree(folder_of(name))
    _systemctl("daemon-reload")


def _systemctl(*arguments: str) -> str:
    status, said = _run(*arguments)
    if status != 0:
        raise ValueError(f"systemctl {' '.join(arguments)} failed with exit status {status}: {said}")
    return said


def _run(*arguments: str) -> tuple[int, str]:
    """The exit status of systemctl, and what it said."""
    done = attempt(["/usr/bin/systemctl", *arguments], together=True, patience=PATIENCE_S)
    return done.returncode, done.stdout.decode("utf-8", "replace").strip()
