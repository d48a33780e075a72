# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of cron, as crontab(5) has them."""

from __future__ import annotations

import hashlib
import re
import typing as t

_PLAIN = ("BASH_ENV", "CRON_TZ", "ENV", "HOME", "LOGNAME", "MAILFROM", "MAILTO", "PATH", "SHELL", "TZ", "USER")
# No job begins with a letter or a quotation mark.
_ASSIGNED = re.compile(r"""^(['"]?)([^'"= \t]+)\1[ \t]*=[ \t]*(.*)$""", re.DOTALL)


def jobs(text: str, *, account: str = "") -> list[dict[str, t.Any]]:
    """Every job with its schedule, account, command and ``environment``, what the lines before it set.

    A system's table, without *account*, names the account in each line.
    """
    found: list[dict[str, t.Any]] = []
    environment: dict[str, str] = {}
    # a line ends here alone: not at a form feed, as Python has it
    for line in text.split("\n"):
        stripped = line.strip(" \t")
        if not stripped or stripped.startswith("#"):
            continue
        if (stripped[0].isalpha() or stripped[0] in "_'\"") and (match := _ASSIGNED.match(stripped)):
            environment[match.group(2)] = _shown(match.group(2), match.group(3).strip("'\""))
            continue
        times = 1 if stripped.startswith("@") else 5
        words = re.split(r"[ \t]+", stripped, maxsplit=times if account else times + 1)
        schedule, rest = " ".join(words[:times]), words[times:]
        who = account or (rest.pop(0) if rest else "")
        command = rest[0] if rest else ""
        found.append({"schedule": schedule, "account": who, "command": command, "environment": dict(environment)})
    return found


def _shown(name: str, value: str) -> str:
    """The value, or where it may be a password its digest."""
    return (
        value if name in _PLAIN else f"sha256 {hashlib.sha256(value.encode('utf-8', 'backslashreplace')).hexdigest()}"
    )


def read_by_cron(name: str) -> bool:
    """Whether cron reads a file of this name in its folders."""
    return re.fullmatch(r"[A-Za-z0-9_-]+", name) is not None
