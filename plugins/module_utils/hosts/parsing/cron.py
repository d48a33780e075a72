# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of cron, as crontab(5) has them."""

from __future__ import annotations

import re

_ASSIGNED = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*\s*=|^['\"]")


def jobs(text: str, *, account: str = "") -> list[dict[str, str]]:
    """Every job with its schedule, account and command; a system's table, without *account*, names it in each line."""
    found = []
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#") or _ASSIGNED.match(stripped):
            continue
        times = 1 if stripped.startswith("@") else 5
        words = stripped.split(None, times if account else times + 1)
        schedule, rest = " ".join(words[:times]), words[times:]
        who = account or (rest.pop(0) if rest else "")
        found.append({"schedule": schedule, "account": who, "command": rest[0] if rest else ""})
    return found


def read_by_cron(name: str) -> bool:
    """Whether cron reads a file of this name in its folders."""
    return re.fullmatch(r"[A-Za-z0-9_-]+", name) is not None
