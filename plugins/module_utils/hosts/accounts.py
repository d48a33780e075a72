# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts of this host. No hash leaves this file."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

from .parsing import accounts as parsing


def look() -> dict[str, t.Any]:
    """Accounts, and the members of groups."""
    today = int(time.time() // 86400)
    passwd, shadow, group = (_text(f"/etc/{name}") for name in ("passwd", "shadow", "group"))
    return {"accounts": parsing.accounts(passwd, shadow, today), "groups": parsing.groups(group)}


def names() -> list[tuple[str, str]]:
    """Each account's name and home."""
    return [(fields[0], fields[5]) for fields in _rows() if len(fields) == 7]


def _rows() -> list[list[str]]:
    return [line.split(":") for line in _text("/etc/passwd").splitlines()]


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="surrogateescape")
