# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is and was connected to the server, as ``pg_server_info`` read its log, and whether the policy lets them in."""

from __future__ import annotations

import typing as t

from ..model import Document, Expected, Finding, Kind, Rule, Source

RULES = (
    Rule(
        "login-unexpected", "high", "devops", "somebody was let in whom the policy doesn't let in",
        "find out who it was; the server's log has the time and the process",
    ),
)  # fmt: skip


def judge(source: Source, _expected: Expected) -> t.Iterator[Finding]:
    """Each kind of login that the policy does not know."""
    for one in source.data["unexpected"]:
        yield Finding(
            "login-unexpected", source.host, f"login of {one['role']}", _told(one), who=one["role"],
            key="\0".join(str(one[key]) for key in ("role", "database", "address", "identity", "method")),
        )  # fmt: skip


def _told(one: Document) -> str:
    place = "over the unix socket" if one["address"] == "[local]" else f"from {one['address']}"
    to = f" to {one['database']}" if one["database"] else ""
    if one["identity"] is None:
        return f"{one['role']} is connected{to} {place}"
    proved = f", as {one['identity']} by {one['method']}" if one["identity"] else ", without any proof"
    return f"{one['role']} was let in{to} {place}{proved}"


KIND = Kind("sessions", "Who was connected", ("database_hosts",), judge, RULES, partial=True)
