# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What passwd, shadow and group say of accounts; of a password only its state and the kind of its hash.

glibc reads more than is written down in passwd(5): a line of four fields, or of eight, is an account too. Such a line
is none that a host is made with: nothing is told then, and the audit says so.
"""

from __future__ import annotations

import re
import typing as t

# crypt(5)
_KINDS = {
    "1": "md5", "2a": "bcrypt", "2b": "bcrypt", "2y": "bcrypt", "5": "sha256", "6": "sha512", "7": "scrypt",
    "gy": "gost-yescrypt", "y": "yescrypt",
}  # fmt: skip
# Debian's own way of saying that nobody logs in.
_NO_SHELLS = ("/usr/sbin/nologin", "/sbin/nologin", "/usr/bin/false", "/bin/false")


# The last one is (uid_t) -1, which means none.
_MOST = 2**32 - 2


def password(field: str) -> tuple[str, str]:
    """The state of a password's field (none, locked, set) and the kind of its hash, "" where there is none."""
    if field == "":
        return "none", ""
    if field[0] in "!*" or field == "x":
        return "locked", ""
    parts = field.split("$")
    return "set", _KINDS.get(parts[1], "unknown") if len(parts) > 2 else "des"


def is_login(shell: str) -> bool:
    """Whether *shell* lets somebody in; none at all is /bin/sh."""
    return shell not in _NO_SHELLS


def rows(text: str, fields: int, name: str) -> list[list[str]]:
    """The lines of the file *name*; ValueError where one hasn't that many fields, or could be read in two ways."""
    found = []
    # a line ends here alone: not at a form feed, as Python has it
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split(":")
        # NIS gives names that begin with a sign a meaning of their own
        if len(words) != fields or not words[0] or words[0][0] in "+-" or line[0].isspace() or "\0" in line:
            raise ValueError(f"line {number} of {name} is not as {name}(5) has it")
        found.append(words)
    return found


def number(text: str, name: str) -> int:
    """The number of an account or group; ValueError where others could read another one."""
    if not re.fullmatch(r"0|[1-9][0-9]{0,9}", text) or int(text) > _MOST:
        raise ValueError(f"{text!r} in {name} is no number of an account or group")
    return int(text)


def accounts(passwd: str, shadow: str, today: int) -> list[dict[str, t.Any]]:
    """Every account; *today* is in days since 1970, as shadow(5) has it."""
    hidden: dict[str, list[str]] = {}
    for row in rows(shadow, 9, "shadow"):
        # the first one counts
        hidden.setdefault(row[0], row)
    found = []
    for fields in rows(passwd, 7, "passwd"):
        own = hidden.get(fields[0], [])
        state, kind = password(own[1] if fields[1] == "x" and own else fields[1])
        ends = own[7] if own else ""
        found.append(
            {
                "name": fields[0], "uid": number(fields[2], "passwd"), "gid": number(fields[3], "passwd"),
                "home": fields[5], "shell": fields[6], "password": state, "hash": kind,
                "login": is_login(fields[6]), "expired": ends.isdecimal() and int(ends) <= today,
            }
        )  # fmt: skip
    return found


def groups(
    group: str,
    listed: t.Iterable[t.Mapping[str, t.Any]],
    elsewhere: t.Iterable[tuple[str, int, t.Sequence[str]]] = (),
) -> dict[str, list[str]]:
    """Who is in every group that has members, by *listed* accounts' own group too.

    What counts is the number: who is in one of two groups that share it is in both. *elsewhere*: groups of other places
    than the file, with number and members.
    """
    named = [(row[0], number(row[2], "group"), row[3].split(",")) for row in rows(group, 4, "group")]
    named += [(name, gid, list(names)) for name, gid, names in elsewhere]
    members: dict[int, set[str]] = {}
    for _name, gid, names in named:
        members.setdefault(gid, set()).update(one.strip() for one in names if one.strip())
    for account in listed:
        members.setdefault(account["gid"], set()).add(account["name"])
    found: dict[str, set[str]] = {}
    for name, gid, _names in named:
        found.setdefault(name, set()).update(members[gid])
    return {name: sorted(those) for name, those in found.items() if those}
