# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who waits for whom: one run at a time, the lock beside a folder, and how many transfers, and which, are one key's.

Whoever may open a file for reading may hold its lock, and a folder's readers may open the folder. So the lock is a file
of its own, beside the folder, that nobody but the folder's owner may open.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import struct
import time
import typing as t

from .processes import DumpError

LOCK_SUFFIX = ".lock"
# Under a folder's lock nothing takes longer than a look at each dump's signature.
LOCK_TIMEOUT = 300.0
# Between two tries.
PAUSE = 0.05
# sshd's `ExposeAuthInfo` writes into this file which key it was.
KEY_FILE = "SSH_USER_AUTH"
# One line with a key has less.
KEY_LIMIT = 1 << 14
# struct flock: type, whence, start, length, and a process id that is not used.
_LOCK = "hhqqi4x"


def lock_of(folder: str) -> str:
    """The lock of a folder."""
    return f"{folder.rstrip('/')}{LOCK_SUFFIX}"


@contextlib.contextmanager
def alone(folder: str, owner: int, timeout: float | None = None) -> t.Iterator[None]:
    """The lock of the *folder* of the user *owner*, held; DumpError where another holds it for *timeout* seconds."""
    path, limit = lock_of(folder), LOCK_TIMEOUT if timeout is None else timeout
    descriptor = _opened(path, owner, os.O_RDONLY)
    try:
        try:
            hold(descriptor, limit)
        except TimeoutError:
            raise DumpError(
                f"another process has held the lock {path} for {limit:g} s: see with lslocks which, and why it hangs"
            ) from None
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def only_one(path: str, what: str, advice: str) -> t.Iterator[None]:
    """The lock on the file *path*, held by one run of *what* at a time; ValueError with *advice* where one is there."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ValueError(f"the lock {path} could not be opened: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            raise ValueError(f"another {what} is under way (process {holder}): {advice}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def hold(descriptor: int, timeout: float) -> None:
    """Lock what is open; TimeoutError where another holds it for *timeout* seconds."""
    end = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise TimeoutError("somebody else holds its lock") from None
        time.sleep(PAUSE)


@contextlib.contextmanager
def seat(folder: str, owner: int, key: str, number: int) -> t.Iterator[None]:
    """One of the *number* transfers that *key* may have at once; DumpError where all are under way.

    Each is a locked byte of the folder's lock, which the kernel gives back however its holder ends. These locks and
    flock's do not see each other.
    """
    descriptor = _opened(lock_of(folder), owner, os.O_RDWR)
    try:
        first = mark_of(key) * number
        if not any(_locked(descriptor, first + each) for each in range(number)):
            raise DumpError(
                f"{number} transfers of this key are under way, and no more may be at once: see whether another run of "
                "dump-send goes on, or wait until what is left of one is given up"
            )
        yield
    finally:
        os.close(descriptor)


def mark(descriptor: int, key: str) -> None:
    """Mark the file that is being written here as the *key*'s, until it is closed: one byte of it is locked."""
    _locked(descriptor, mark_of(key))


def mark_of(key: str) -> int:
    """The number that stands for a key."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:5], "big")


def marked(descriptor: int) -> int | None:
    """The mark of whoever writes the file, None where there is none."""
    wanted = struct.pack(_LOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _whence, start, _length, _process = struct.unpack(_LOCK, fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, wanted))
    return None if kind == fcntl.F_UNLCK else int(start)


def asking_key() -> str:
    """The key that sshd let in, "" where it does not say."""
    path = os.environ.get(KEY_FILE)
    if not path:
        return ""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 (read up to a limit)
            return file.read(KEY_LIMIT)
    except OSError as error:
        raise DumpError(f"which key this is could not be read: {error}") from error


def _opened(path: str, owner: int, access: int) -> int:
    """A descriptor of the lock *path*, made where it is not there yet; DumpError where others could hold it."""
    flags = access | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            descriptor = _made(path, owner, flags)
    except OSError as error:
        raise DumpError(f"the lock {path} could not be opened: {error.strerror}: run the role dump_store") from error
    found = os.fstat(descriptor)
    if found.st_uid != owner or not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077:
        os.close(descriptor)
        raise DumpError(f"the lock {path} can be held by others than its folder's owner: run the role dump_store")
    return descriptor


def _made(path: str, owner: int, flags: int) -> int:
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)
    if os.geteuid() == 0:
        # Root's hand must not shut its owner out.
        os.fchown(descriptor, owner, -1)
    return descriptor


def _locked(descriptor: int, byte: int) -> bool:
    wanted = struct.pack(_LOCK, fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)
    except (BlockingIOError, PermissionError):
        return False
    return True
