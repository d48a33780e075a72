# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask sudo what each account may run."""

from __future__ import annotations

import concurrent.futures
import typing as t
from pathlib import Path

from . import accounts
from .parsing.sudo import rules
from .running import run

SUDO = "/usr/bin/sudo"


def look() -> dict[str, t.Any]:
    """The rules of every account but root, which may do everything without."""
    if not Path(SUDO).exists():
        return {"installed": False, "rules": []}
    names = [name for name, _home in accounts.names() if name != "root"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        listed = list(pool.map(_of, names))
    return {"installed": True, "rules": [one for found in listed for one in found]}


def _of(name: str) -> list[dict[str, t.Any]]:
    # 1: it may run nothing
    return [{"account": name, **rule} for rule in rules(run([SUDO, "-n", "-ll", "-U", name], statuses=(0, 1)))]
