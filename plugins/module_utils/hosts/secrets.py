# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owners and modes of the files that hold secrets. None of them is opened."""

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path

from .owners import folders, group, user
from .reading import kind

# Of a folder also what it gives to those that are made in it.
_LISTS = ("system.posix_acl_access", "system.posix_acl_default")


def look(paths: t.Sequence[str]) -> dict[str, t.Any]:
    """What each of *paths* is, whose, and what else lets somebody in."""
    return {"files": [_file(path) for path in paths]}


def _file(path: str) -> dict[str, t.Any]:
    try:
        state = os.lstat(path)
    except FileNotFoundError:
        return {"path": path, "kind": "nothing", "owner": "", "group": "", "mode": "", "acl": "", "folder": {}}
    names = [name for name in os.listxattr(path, follow_symlinks=False) if name in _LISTS]
    acl = " ".join(f"{name} {os.getxattr(path, name, follow_symlinks=False).hex()}" for name in sorted(names))
    return {
        "path": path, "kind": kind(state.st_mode), "owner": user(state.st_uid), "group": group(state.st_gid),
        "mode": f"{stat.S_IMODE(state.st_mode):04o}", "acl": acl,
        "folder": next(iter(folders([str(Path(path).parent)])), {}),
    }  # fmt: skip
