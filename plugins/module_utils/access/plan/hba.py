# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render pg_hba.conf and pg_ident.conf from the policy: who may log in where. Both files are owned whole."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ..catalog.model import CatalogRole
from ..policy.model import PUBLIC, HostLogin, Policy, Role
from .statements import Skipped, shown

# The map of the host's own users, and one apart for certificates: a certificate of alice is no user alice of this host.
MAP = "taaraxtak"
CERT_MAP = "taaraxtak_cert"
# The role that the server's own OS user logs in as; break-glass.
SUPERUSER = "postgres"
# The role that a restore makes and removes again, with a password that nobody else ever has.
RESTORER = "taaraxtak_restore_login"
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
    """pg_hba.conf: the server's own user, a restore's, then a row for each role and database that the policy connects.

    The first row that matches decides: narrower addresses stand before wider ones, and what is not named ends at a
    reject. From other hosts there is TLS or nothing. ValueError where a name can't be written.
    """
    rows = [f"local all {SUPERUSER} peer" + (f" map={MAP}" if _superuser_s(policy) else "")]
    rows.append(f"local all {RESTORER} scram-sha-256")
    for role in policy.roles.values():
        if role.login and role.os_users and role.name != SUPERUSER:
            rows += [f"local {place} peer map={MAP}" for place in _places(policy, role)]
    hosts = [(role, host) for role in policy.roles.values() if role.login for host in role.hosts]
    for role, host in sorted(hosts, key=lambda pair: _narrowness(pair[1])):
        method = f"cert map={CERT_MAP}" if host.method == "cert" else host.method
        rows += [f"hostssl {place} {host.address} {method}" for place in _places(policy, role)]
    rows += [
        "local all all reject",
        "host all all all reject",
        # "all" leaves replication out.
        "local replication all reject",
        "host replication all all reject",
    ]
    return HEADER + "\n" + "\n".join(rows) + "\n"


def render_ident(policy: Policy) -> str:
    """pg_ident.conf: which OS user may log in as which role, and that a certificate's common name is the role's."""
    rows = []
    for role in policy.roles.values():
        if role.login:
            users = role.os_users if role.name != SUPERUSER else _superuser_s(policy)
            rows += [f"{MAP} {quoted(user)} {quoted(role.name)}" for user in users]
            if any(host.method == "cert" for host in role.hosts):
                rows.append(f"{CERT_MAP} {quoted(role.name)} {quoted(role.name)}")
    return HEADER + "".join("\n" + row for row in rows) + "\n"


def shut_out(policy: Policy, roles: t.Mapping[str, CatalogRole]) -> list[Skipped]:
    """The ignored ones among the server's *roles* that log in: the files have no row for them."""
    return [
        Skipped(
            f"logins of {shown(role.name)}",
            "are rejected by pg_hba.conf, which has rows for the policy's roles only, and ignore.roles names this one: "
            "write it under roles, or set hba to false",
            warn=True,
        )
        for role in roles.values()
        if role.login and role.name != SUPERUSER and policy.ignores(role.name)
    ]


def connectable(policy: Policy, role: str) -> list[str]:
    """The databases that the policy lets *role* connect to: by itself, as PUBLIC or by a role that it inherits."""
    holders = {PUBLIC}
    new = [role]
    while new:
        name = new.pop()
        if name not in holders:
            holders.add(name)
            held = policy.roles.get(name)
            new += [member.role for member in held.memberships if held.inherits(member)] if held is not None else []
    grants = [
        grant
        for grant in policy.grants
        if grant.kind == "database" and "CONNECT" in grant.privileges and holders.intersection(grant.to)
    ]
    return [database for database in policy.databases if any(grant.names_one(database) for grant in grants)]


def _superuser_s(policy: Policy) -> tuple[str, ...]:
    """The OS users that log in as SUPERUSER, its own among them; none where its own is the only one."""
    role = policy.roles.get(SUPERUSER)
    users = (SUPERUSER, *(role.os_users if role is not None and role.login else ()))
    return tuple(dict.fromkeys(users)) if set(users) != {SUPERUSER} else ()


def _places(policy: Policy, role: Role) -> list[str]:
    """The database and user fields of the rows of *role*."""
    return [f"{quoted(database)} {quoted(role.name)}" for database in connectable(policy, role.name)]


def _narrowness(host: HostLogin) -> tuple[int, int]:
    """A key that sorts narrower addresses before the wider ones that hold them."""
    network = ipaddress.ip_network(host.address)
    return network.version, -network.prefixlen
