# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What passwd and shadow say of accounts; of a password only its state and the kind of its hash."""

from __future__ import annotations

import typing as t

# crypt(5)
_KINDS = {
    "1": "md5", "2a": "bcrypt", "2b": "bcrypt", "2y": "bcrypt", "5": "sha256", "6": "sha512", "7": "scrypt",
    "gy": "gost-yescrypt", "y": "yescrypt",
}  # fmt: skip
# Debian's own way of saying that nobody logs in.
_NO_SHELLS = ("/usr/sbin/nologin", "/sbin/nologin", "/usr/bin/false", "/bin/false")


def password(field: str) -> tuple[str, str]:
    """The state of a password's field (none, locked, set) and the kind of its hash, "" where there is none."""
    if field == "":
        return "none", ""
    if field[0] in "!*" or field == "x":
        return "locked", ""
    parts = field.split("$")
    return "set", _KINDS.get(parts[1], "unknown") if len(parts) > 2 else "des"


def accounts(passwd: str, shadow: str, today: int) -> list[dict[str, t.Any]]:
    """Every account; *today* is in days since 1970, as shadow(5) has it."""
    hidden = {line.split(":")[0]: line.split(":") for line in shadow.splitlines() if ":" in line}
    found = []
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) != 7:
            continue
        own = hidden.get(fields[0], [])
        state, kind = password(own[1] if fields[1] == "x" and len(own) > 1 else fields[1])
        ends = own[7] if len(own) > 7 else ""
        found.append(
            {
                "name": fields[0], "uid": int(fields[2]), "home": fields[5], "shell": fields[6], "password": state,
                "hash": kind, "login": fields[6] not in _NO_SHELLS, "expired": ends.isdecimal() and int(ends) <= today,
            }
        )  # fmt: skip
    return found


def groups(group: str) -> dict[str, list[str]]:
    """The members of every group that has some beside those whose own it is."""
    rows = [line.split(":") for line in group.splitlines()]
    return {row[0]: sorted(row[3].split(",")) for row in rows if len(row) == 4 and row[3]}
