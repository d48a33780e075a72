# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file holds, in a word: who has accepted it as it is, has accepted nothing that comes into its place."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from .reading import kind

# What is larger is told by its size and when it was last changed: anybody can make a file of a terabyte in a moment.
_MOST_BYTES = 256 * 1024 * 1024
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_NOFOLLOW


def digest(path: str) -> str:
    """The beginning of the SHA-256 of the file at *path*; or what is there: ``link to x``, ``nothing``."""
    try:
        opened = os.open(path, _FLAGS)
    except OSError:
        return _other(path)
    try:
        state = os.fstat(opened)
        if not stat.S_ISREG(state.st_mode):
            return kind(state.st_mode)
        if state.st_size > _MOST_BYTES:
            return f"{state.st_size} bytes of {state.st_ctime_ns}"
        with os.fdopen(opened, "rb", closefd=False) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    finally:
        os.close(opened)


def _other(path: str) -> str:
    try:
        mode = os.lstat(path).st_mode
        return f"link to {Path(path).readlink()}" if stat.S_ISLNK(mode) else kind(mode)
    except OSError:
        return "nothing"
