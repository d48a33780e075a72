# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on the host: the lock that lets one run write at a time, and the server's own files as they are."""

from __future__ import annotations

import contextlib
import fcntl
import os
import typing as t
from pathlib import Path


@contextlib.contextmanager
def lock(path: str) -> t.Iterator[None]:
    """Hold *path* locked; ValueError where another process holds it or it can't be opened. The file stays.

    A lock in a file, and not an advisory lock in the database: that one any reader could hold.
    """
    try:
        descriptor = _open(path)
    except OSError as error:
        raise ValueError(
            f"could not open the lock file {path}: {error.strerror}: remove it or name another in lock_file"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"another run holds {path}: wait until it is done") from error
        yield
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    # Never O_CREAT on a file that is there: the kernel refuses that in /run/lock where another user made it.
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):
            return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        return os.open(path, flags)


def read(path: str) -> tuple[bytes, float]:
    """(content, time of change in seconds since 1970) of *path*; ValueError where it can't be read.

    The time is the kernel's own: that of the content can be set to any by whoever changed it.
    """
    try:
        with Path(path).open("rb") as file:
            return file.read(), os.fstat(file.fileno()).st_ctime
    except OSError as error:
        raise ValueError(
            f"could not read {path}: {error.strerror}: run this on the server's host as root "
            "with login_os_user, or set hba to false"
        ) from error
