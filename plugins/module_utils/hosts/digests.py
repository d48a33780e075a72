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

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_NOFOLLOW


def digest(path: str) -> str:
    """The beginning of the SHA-256 of the file at *path*; or what is there: ``link to x``, ``nothing``."""
    try:
        opened = os.open(path, _FLAGS)
    except OSError:
        return _other(path)
    try:
        mode = os.fstat(opened).st_mode
        if not stat.S_ISREG(mode):
            return kind(mode)
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
