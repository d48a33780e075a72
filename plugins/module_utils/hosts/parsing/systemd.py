# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``systemctl show`` and ``systemctl … --output=json`` print."""

from __future__ import annotations

import json
import typing as t


def shown(printed: str) -> list[dict[str, str]]:
    """The properties of each unit."""
    blocks = [block for block in printed.split("\n\n") if block.strip()]
    return [dict(line.partition("=")[::2] for line in block.strip().splitlines()) for block in blocks]


def listed(printed: str) -> list[dict[str, t.Any]]:
    """The rows of a list; ValueError where it is none."""
    rows = json.loads(printed)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("systemctl did not print a list")
    return rows
