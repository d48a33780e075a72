# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render pg_hba.conf and pg_ident.conf from the policy: who may log in where. Both files are owned whole."""

from __future__ import annotations

import re

from .model import PUBLIC, Policy

MAP = "taaraxtak"
# The role that the server's own OS user logs in as; break-glass.
SUPERUSER = "postgres"
# Words with a meaning of their own in the database and user fields, unless they stand in quotes.
# Source: token_is_keyword() in PostgreSQL's src/backend/libpq/hba.c.
KEYWORDS = frozenset({"all", "sameuser", "samerole", "samegroup", "replication"})
HEADER = """\
# Owned whole by the Ansible collection taaraxtak.production (module pg_access), which writes it from the
# access policy and replaces whatever else is written here. To change who may log in, change the policy.
"""


def quoted(name: str) -> str:
    """*name* as one token of pg_hba.conf or pg_ident.conf that means this very name; ValueError where none can.

    In quotes a keyword is a plain name, + and @ lose their meaning, and a doubled quote is one. A leading slash makes a
    regular expression even so (since 16), and a line feed ends the line.
    """
    if name.startswith("/") or re.search(r"[\r\n\0]", name):
        raise ValueError(f"pg_hba.conf can't name {name!r}: choose another name, or set hba to false")
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def render_hba(policy: Policy) -> str:
    """pg_hba.conf: the server's own user, a row for each role and database that the policy lets it connect to, no more.

    The first row that matches decides, so what is not named ends at a reject.
    """
    rows = [f"local all {SUPERUSER} peer"]
    for role in policy.roles.values():
        if role.login and role.os_users:
            for database in connectable(policy, role.name):
                rows.append(f"local {quoted(database)} {quoted(role.name)} peer map={MAP}")
    rows += [
        "local all all reject",
        "host all all all reject",
        # "all" leaves replication out.
        "local replication all reject",
        "host replication all all reject",
    ]
    return HEADER + "\n" + "\n".join(rows) + "\n"


def render_ident(policy: Policy) -> str:
    """pg_ident.conf: which OS user may log in as which role."""
    rows = [
        f"{MAP} {quoted(user)} {quoted(role.name)}"
        for role in policy.roles.values()
        if role.login
        for user in role.os_users
    ]
    return HEADER + "".join("\n" + row for row in rows) + "\n"


def connectable(policy: Policy, role: str) -> list[str]:
    """The databases that the policy lets *role* connect to: by itself, as PUBLIC or by a role that it inherits."""
    holders = {PUBLIC}
    new = [role]
    while new:
        name = new.pop()
        if name not in holders:
            holders.add(name)
            held = policy.roles.get(name)
            new += held.member_of if held is not None and held.inherit else ()
    granted = {
        database
        for grant in policy.grants
        if grant.kind == "database" and "CONNECT" in grant.privileges and holders.intersection(grant.to)
        for database in grant.names
    }
    return [database for database in policy.databases if database in granted]
