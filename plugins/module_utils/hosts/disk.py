# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Room on the file systems that matter."""

from __future__ import annotations

import os
import typing as t


def look(paths: t.Sequence[str]) -> dict[str, t.Any]:
    """What is free below each of *paths*, in bytes and in per cent, and of inodes."""
    return {"places": [_place(path) for path in paths]}


def _place(path: str) -> dict[str, t.Any]:
    state = os.statvfs(path)
    return {
        "path": path, "bytes_free": state.f_bavail * state.f_frsize,
        "percent_free": round(100 * state.f_bavail / state.f_blocks, 1) if state.f_blocks else 100.0,
        # a file system that makes inodes as it needs them says that it has none
        "percent_inodes_free": round(100 * state.f_favail / state.f_files, 1) if state.f_files else 100.0,
    }  # fmt: skip
