# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan what all databases share: roles, their settings and memberships, and the databases' own ACLs."""

from __future__ import annotations

import dataclasses
import typing as t

from . import settings
from .acl import Acl, AclItem, Change, after_owner_change, difference, missing
from .catalog import CatalogRole, Cluster, Database
from .model import PUBLIC, Policy, Role
from .plan_acl import acl_statements, public_pairs
from .statements import Access, Name, Part, Plan, Skipped, Statement, Target, Value, joined, shown

# Options of CREATE ROLE and ALTER ROLE: the attribute of model.Role and catalog.CatalogRole, and the word.
ATTRIBUTES = {
    "login": "LOGIN",
    "inherit": "INHERIT",
    "superuser": "SUPERUSER",
    "createdb": "CREATEDB",
    "createrole": "CREATEROLE",
    "replication": "REPLICATION",
    "bypassrls": "BYPASSRLS",
}
# What PostgreSQL grants on a database that nobody has granted anything on.
NEW_DATABASE = tuple((PUBLIC, privilege) for privilege in ("CONNECT", "TEMPORARY"))
# Since 16 a membership has the options INHERIT and SET, and one row for each grantor.
MEMBERSHIP_OPTIONS = 160000


def protected_roles(policy: Policy, cluster: Cluster) -> frozenset[str]:
    """The superusers of the wanted state: nothing is revoked from them, since no privilege binds them."""
    live = {role.name for role in cluster.roles.values() if role.superuser and role.name not in policy.roles}
    return frozenset(live | {role.name for role in policy.roles.values() if role.superuser})


def check_login(policy: Policy, cluster: Cluster) -> None:
    """ValueError where the role of this very connection would be locked out."""
    name = cluster.login_role
    role = policy.roles.get(name)
    if policy.authoritative and role is not None and not (role.superuser and role.login):
        raise ValueError(
            f"roles.{name}: this is the role that logs in here, and the policy takes login or superuser from it: "
            "log in as another superuser, or leave it out of the policy"
        )


def missing_databases(policy: Policy, cluster: Cluster) -> tuple[Statement, ...]:
    """CREATE DATABASE for those of the scope that aren't there: to be run outside of a transaction."""
    return tuple(
        Statement("create", ("CREATE DATABASE ", Name((name,))), after=(f"database {shown(name)}",))
        for name in policy.databases
        if name not in cluster.databases
    )


def plan_cluster(policy: Policy, cluster: Cluster) -> Plan:
    """The statements that make the cluster's roles and databases what *policy* wants; ValueError as ``check_login``.

    A database that is not there yet counts as new-made: ``missing_databases`` are to be created before these run.
    """
    check_login(policy, cluster)
    statements: list[Statement] = []
    skipped: list[Skipped] = []
    for role in policy.roles.values():
        live = cluster.roles.get(role.name)
        if live is None:
            statements.append(_create_role(role))
        elif policy.authoritative:
            if live.has_password and role.name == cluster.login_role:
                skipped.append(Skipped(f"password of {shown(role.name)}", "it is the role that logs in here"))
                live = dataclasses.replace(live, has_password=False)
            statements += _alter_role(role, live)
    for role in policy.roles.values():
        if policy.authoritative or role.name not in cluster.roles:
            statements += _settings(role, cluster)
    statements += _memberships(policy, cluster)
    statements += _databases(policy, cluster)
    return Plan(tuple(statements), tuple(skipped))


def _attribute(role: Role | CatalogRole, name: str) -> str:
    return ("" if getattr(role, name) else "NO") + ATTRIBUTES[name]


def _role_line(role: Role | CatalogRole, attributes: t.Iterable[str]) -> str:
    words = [_attribute(role, name) for name in attributes if name in ATTRIBUTES]
    limit = [f"CONNECTION LIMIT {role.connection_limit}"] if "connection_limit" in attributes else []
    return f"role {shown(role.name)}: {' '.join(words + limit)}"


def _create_role(role: Role) -> Statement:
    words = [_attribute(role, name) for name in ATTRIBUTES]
    text = f" {' '.join(words)} CONNECTION LIMIT {role.connection_limit}"
    line = _role_line(role, [*ATTRIBUTES, "connection_limit"])
    return Statement("create", ("CREATE ROLE ", Name((role.name,)), text), after=(line,))


def _alter_role(role: Role, live: CatalogRole) -> list[Statement]:
    names = [name for name in (*ATTRIBUTES, "connection_limit") if getattr(role, name) != getattr(live, name)]
    statements = []
    alter: tuple[Part, ...] = ("ALTER ROLE ", Name((role.name,)))
    if names:
        words = [_attribute(role, name) for name in names if name in ATTRIBUTES]
        words += [f"CONNECTION LIMIT {role.connection_limit}"] if "connection_limit" in names else []
        parts = (*alter, f" {' '.join(words)}")
        statements.append(Statement("alter", parts, (_role_line(live, names),), (_role_line(role, names),)))
    # Who logs in from elsewhere, without an OS user of this host, may need one.
    if live.has_password and (role.os_users or not role.login):
        line = f"role {shown(role.name)} has a password"
        statements.append(Statement("alter", (*alter, " PASSWORD NULL"), before=(line,)))
    return statements


def _settings(role: Role, cluster: Cluster) -> list[Statement]:
    statements = []
    live = {}
    for setting in cluster.settings:
        if setting.role != role.name:
            continue
        name = setting.name.lower()
        if setting.database is None and name in role.settings:
            live[name] = setting.elements
            continue
        place: tuple[Part, ...] = () if setting.database is None else (" IN DATABASE ", Name((setting.database,)))
        line = _setting_line(role.name, setting.name, setting.elements, setting.database)
        parts = ("ALTER ROLE ", Name((role.name,)), *place, " RESET ", Name(tuple(setting.name.split("."))))
        statements.append(Statement("setting", parts, before=(line,)))
    for name, elements in role.settings.items():
        if live.get(name) == elements:
            continue
        values = joined([Value(element)] for element in elements)
        parts = ("ALTER ROLE ", Name((role.name,)), " SET ", Name(tuple(name.split("."))), " TO ", *values)
        before = (_setting_line(role.name, name, live[name], None),) if name in live else ()
        statements.append(Statement("setting", parts, before, (_setting_line(role.name, name, elements, None),)))
    return statements


def _setting_line(role: str, name: str, elements: tuple[str, ...], database: str | None) -> str:
    place = "" if database is None else f" in {shown(database)}"
    value = ", ".join(shown(element) for element in elements) if name in settings.LISTS else elements[0]
    return f"role {shown(role)}{place}: {name} = {value}"


def _memberships(policy: Policy, cluster: Cluster) -> list[Statement]:
    """Revoke what exceeds first: since 16 that may cascade, and a second grantor's row is an excess in itself."""
    options = cluster.version >= MEMBERSHIP_OPTIONS
    protected = protected_roles(policy, cluster)
    wanted = {(above, role.name): role for role in policy.roles.values() for above in role.member_of}
    kept: set[tuple[str, str]] = set()
    revokes: list[Statement] = []
    changes: list[Statement] = []
    for row in cluster.memberships:
        pair = (row.role, row.member)
        if not policy.authoritative:
            kept.add(pair)
            continue
        if not policy.roles.keys() & {row.role, row.member}:
            continue
        by: tuple[Part, ...] = (" GRANTED BY ", Name((row.grantor,))) if options else ()
        names: tuple[Part, ...] = (Name((row.role,)), " FROM ", Name((row.member,)), *by, " CASCADE")
        line = f"role {shown(row.member)} is a member of {shown(row.role)}"
        foreign = options and row.grantor != cluster.bootstrap
        if pair not in wanted or foreign:
            if row.member not in protected:
                access = Access(row.member, (), "membership", (shown(row.role),))
                before = f"{line} (granted by {shown(row.grantor)})" if foreign else line
                revokes.append(Statement("revoke", ("REVOKE ", *names), before=(before,), access=access))
            continue
        kept.add(pair)
        if row.admin and row.member in protected:
            continue
        if row.admin:
            access = Access(row.member, (), "membership", (shown(row.role),), grant_option=True)
            parts: tuple[Part, ...] = ("REVOKE ADMIN OPTION FOR ", *names)
            revokes.append(Statement("revoke", parts, before=(f"{line}, with admin option",), access=access))
        if options and (row.inherit, row.set) != (wanted[pair].inherit, True):
            before = f"{line}, with INHERIT {row.inherit}, SET {row.set}"
            changes.append(_grant_membership(row.role, wanted[pair], options, before=(before,)))
    new = [_grant_membership(pair[0], role, options) for pair, role in wanted.items() if pair not in kept]
    return revokes + changes + new


def _grant_membership(above: str, role: Role, options: bool, before: tuple[str, ...] = ()) -> Statement:
    # Said in full since 16, where the default depends on the role's INHERIT at the time of the grant.
    text = f" WITH ADMIN FALSE, INHERIT {str(role.inherit).upper()}, SET TRUE" if options else ""
    parts: tuple[Part, ...] = ("GRANT ", Name((above,)), " TO ", Name((role.name,)), text)
    how = "" if role.inherit else " (by SET ROLE only)"
    line = f"role {shown(role.name)} is a member of {shown(above)}{how}"
    access = Access(role.name, (), "membership", (shown(above),))
    return Statement("grant", parts, before, (line,), access)


def _databases(policy: Policy, cluster: Cluster) -> list[Statement]:
    protected = protected_roles(policy, cluster)
    owners: list[Statement] = []
    changes: list[tuple[Target, Change]] = []
    new = tuple(AclItem(role, cluster.login_role, privilege) for role, privilege in NEW_DATABASE)
    created = [Database(name, cluster.login_role, new) for name in policy.databases if name not in cluster.databases]
    for database in [*cluster.databases.values(), *created]:
        acl, owner = database.acl, database.owner
        target = Target("DATABASE", (database.name,))
        if database.name not in policy.databases:
            if policy.authoritative and policy.revoke_connect:
                changes.append((target, _without_public(owner, acl)))
            continue
        wanted = _wanted(policy, database.name)
        if not policy.authoritative:
            changes.append((target, missing(owner, acl, wanted)))
            continue
        # An owner may drop the database and grant on it: the policy gives that to the schemas' owners and superusers.
        if owner not in protected and owner not in policy.owners.values():
            owners.append(_database_owner(database.name, owner, cluster.bootstrap))
            acl, owner = after_owner_change(acl, owner, cluster.bootstrap), cluster.bootstrap
        if not policy.public and not policy.revoke_connect:
            wanted |= public_pairs(acl)
        changes.append((target, difference(owner, acl, wanted, protected)))
    return [*owners, *acl_statements(changes, database=None)]


def _wanted(policy: Policy, database: str) -> set[tuple[str, str]]:
    return {
        (role, privilege)
        for grant in policy.grants
        if grant.kind == "database" and database in grant.names
        for role in grant.to
        for privilege in grant.privileges
    }


def _without_public(owner: str, acl: Acl) -> Change:
    """Take a database that is out of scope from PUBLIC, and leave what anybody else may do there."""
    public = [item for item in acl if item.grantee == PUBLIC]
    if all(item.grantor == owner for item in public):
        return Change(revokes=frozenset((PUBLIC, item.privilege) for item in public))
    others = {(item.grantee, item.privilege) for item in acl if item.grantee != PUBLIC}
    return difference(owner, acl, others, ())


def _database_owner(name: str, old: str, new: str) -> Statement:
    parts = ("ALTER DATABASE ", Name((name,)), " OWNER TO ", Name((new,)))
    line = f"database {shown(name)} is owned by "
    return Statement("owner", parts, (line + shown(old),), (line + shown(new),))
