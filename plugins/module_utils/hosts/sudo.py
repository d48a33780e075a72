# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask sudo what each account may run."""

from __future__ import annotations

import concurrent.futures
import typing as t
from pathlib import Path

from . import accounts
from .parsing.sudo import defaults, rules
from .running import run

SUDO = "/usr/bin/sudo"


def look() -> dict[str, t.Any]:
    """The rules of every account but root, which may do everything without; by which settings they hold."""
    if not Path(SUDO).exists():
        return {"installed": False, "rules": [], "defaults": []}
    names = [name for name, _home in accounts.names() if name != "root"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        listed = list(pool.map(_of, names))
    said = dict(zip(names, listed, strict=True))
    return {
        "installed": True,
        "rules": [{"account": name, **rule} for name, printed in said.items() for rule in rules(printed)],
        "defaults": [{"account": name, "text": one} for name, printed in said.items() for one in defaults(printed)],
    }


def _of(name: str) -> str:
    # 1: it may run nothing
    return run([SUDO, "-n", "-ll", "-U", name], statuses=(0, 1))
