# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a file that somebody else may have put there: nothing is waited for, and no link of theirs leads elsewhere."""

from __future__ import annotations

import os
import stat

# Keys, tables of cron and settings of sshd have some kilobytes.
MOST_BYTES = 1024 * 1024
_KINDS = (
    (stat.S_ISREG, "file"), (stat.S_ISDIR, "directory"), (stat.S_ISLNK, "link"), (stat.S_ISSOCK, "socket"),
    (stat.S_ISFIFO, "pipe"),
)  # fmt: skip


class OddError(ValueError):
    """It is no file, or too large."""


def kind(mode: int) -> str:
    """What is there, in a word."""
    return next((word for test, word in _KINDS if test(mode)), "device")


def text(path: str, *, follow: bool = False) -> str:
    """What is in the file at *path*; OddError where it is none, or a link and *follow* isn't said."""
    if not follow and stat.S_ISLNK(os.lstat(path).st_mode):
        raise OddError("it is a link")
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        opened = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        # a socket can't be opened, and a link may have come just now
        raise OddError(f"it can't be opened: {error.strerror}") from error
    try:
        mode = os.fstat(opened).st_mode
        if not stat.S_ISREG(mode):
            raise OddError(f"it is a {kind(mode)}")
        with open(opened, "rb", closefd=False) as file:
            content = file.read(MOST_BYTES + 1)
    finally:
        os.close(opened)
    if len(content) > MOST_BYTES:
        raise OddError("it is larger than such a file is")
    return content.decode("utf-8", "surrogateescape")
