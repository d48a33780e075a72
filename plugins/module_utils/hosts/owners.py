# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the numbers that files and sockets have."""

from __future__ import annotations

import grp
import pwd
import stat
import typing as t
from pathlib import Path


def user(number: int) -> str:
    """The account's name, or its number where it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def group(number: int) -> str:
    """The group's name, or its number."""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def folders(paths: t.Iterable[str]) -> list[dict[str, str]]:
    """Those of *paths* that are folders, with owner and mode: who can write there puts files of their own."""
    states = {path: Path(path).stat() for path in sorted(set(paths)) if Path(path).is_dir()}
    return [
        {"path": path, "owner": user(state.st_uid), "mode": f"{stat.S_IMODE(state.st_mode):04o}"}
        for path, state in states.items()
    ]
