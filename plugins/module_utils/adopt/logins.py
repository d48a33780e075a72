# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins by peer on top of the pg_hba.conf and pg_ident.conf of a server that is adopted: the rest stays as it is."""

from __future__ import annotations

import re
import typing as t

from ..access.plan.hba import HEADER, MAP, SUPERUSER, connectable, quoted
from ..access.policy.reader import parse

BEGIN = (
    "# BEGIN taaraxtak.production: who logs in by peer while this server is adopted; below it is what stood here before"
)
END = "# END taaraxtak.production"
_BLOCK = re.compile(rf"^{re.escape(BEGIN)}\n.*?^{re.escape(END)}\n", re.MULTILINE | re.DOTALL)


def with_logins(hba: str, ident: str, policy: t.Mapping[str, t.Any], accounts: t.Iterable[str]) -> dict[str, str]:
    """The two files' texts, ``hba`` and ``ident``, with rows on top for the roles of *policy* of these OS *accounts*.

    Rows from an earlier call are replaced; without accounts there are none. ValueError where the policy is wrong, where
    an account is nobody's, or where pg_access owns the files already.
    """
    if hba.startswith(HEADER):
        raise ValueError("pg_hba.conf is the policy's own already: nothing is put on top of it")
    wanted = parse(policy)
    asked = set(accounts)
    roles = [one for one in wanted.roles.values() if one.login and one.name != SUPERUSER and asked & set(one.os_users)]
    nobodies = asked - {user for role in roles for user in role.os_users}
    if nobodies:
        raise ValueError(f"no role of the policy has {', '.join(sorted(nobodies))} among its os_users")
    rows = [
        f"local {quoted(database)} {quoted(role.name)} peer map={MAP}"
        for role in roles
        for database in connectable(wanted, role.name)
    ]
    maps = [f"{MAP} {quoted(user)} {quoted(role.name)}" for role in roles for user in role.os_users if user in asked]
    return {"hba": _on_top(hba, rows), "ident": _on_top(ident, maps)}


def sessions(policy: t.Mapping[str, t.Any], accounts: t.Iterable[str]) -> list[dict[str, str]]:
    """Logins that prove the rows of `with_logins`: each ``account`` as each ``role`` of its own, to a ``database``."""
    wanted = parse(policy)
    asked = set(accounts)
    return [
        {"account": user, "role": role.name, "database": databases[0]}
        for role in wanted.roles.values()
        if role.login and role.name != SUPERUSER and (databases := list(connectable(wanted, role.name)))
        for user in role.os_users
        if user in asked
    ]


def _on_top(text: str, rows: t.Sequence[str]) -> str:
    """*text* with the block of *rows* before all else: the first row that matches decides."""
    rest = _BLOCK.sub("", text)
    return "".join(f"{line}\n" for line in (BEGIN, *rows, END)) + rest if rows else rest
