# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings that no plan closes: unlisted roles, weak passwords, replication, row level security, extensions' ACLs."""

from __future__ import annotations

import typing as t

from ..catalog.model import Cluster
from ..plan.acl import Acl
from ..plan.statements import Name, Part, role_shown, shown
from ..policy.model import PREDEFINED, PUBLIC, Policy
from .drift import ATTACKS, MIGHTY
from .facts import Facts, unlisted
from .findings import Finding, grantee_sql, sql_text
from .reach import Link
from .things import BITS, COLUMNS

# What makes a role that the policy doesn't know of dangerous, and how much.
UNLISTED = {
    "superuser": ("SUPERUSER", "critical"),
    "bypassrls": ("BYPASSRLS", "high"),
    "createrole": ("CREATEROLE", "high"),
    "replication": ("REPLICATION", "high"),
    "login": ("LOGIN", "medium"),
}
WEAK = ("md5", "other")
READ_ALL = "pg_read_all_data"
READING = ("ALL", "SELECT", "*", "r")


def of_cluster(policy: Policy, cluster: Cluster, closed: t.Mapping[Link, str]) -> t.Iterator[Finding]:
    """The findings of the cluster that are not in *closed*."""
    for finding in (*_unlisted(policy, cluster), *_passwords(policy, cluster), *_settings(policy, cluster)):
        if finding.link not in closed:
            yield finding


def of_database(facts: Facts) -> t.Iterator[Finding]:
    """The findings of one database."""
    yield from _replication(facts)
    yield from _row_security(facts)
    yield from _extensions(facts)
    setting = ("", f"database {shown(facts.database)}", "lo_compat_privileges")
    if facts.objects.lo_compat and setting not in facts.closed:
        yield Finding(
            severity="high",
            rule="lo-compat",
            role=PUBLIC,
            database=facts.database,
            object=f"database {shown(facts.database)}",
            privilege="lo_compat_privileges",
            path=("PUBLIC", "every large object"),
            evidence="lo_compat_privileges is on: no privilege on a large object is checked",
            remedy="ALTER SYSTEM RESET lo_compat_privileges",
        )


def _unlisted(policy: Policy, cluster: Cluster) -> t.Iterator[Finding]:
    for role in cluster.roles.values():
        if not unlisted(policy, cluster, role.name):
            continue
        for attribute, (word, severity) in UNLISTED.items():
            if getattr(role, attribute):
                yield Finding(
                    severity=severity,
                    rule="unlisted-role",
                    role=role.name,
                    database=None,
                    object=f"role {shown(role.name)}",
                    privilege=word,
                    path=(shown(role.name), word),
                    evidence=f"role {shown(role.name)} is not in the policy and has {word}",
                    remedy=f"ALTER ROLE {grantee_sql(role.name)} NO{word}",
                )
    for row in cluster.memberships:
        held = cluster.roles.get(row.role)
        # A role's attributes aren't inherited, but they count after SET ROLE.
        words = [word for key, (word, _severity) in UNLISTED.items() if key != "login" and getattr(held, key, False)]
        if (words or row.role.startswith(PREDEFINED)) and unlisted(policy, cluster, row.member):
            has = f", which has {', '.join(words)}" if words else ""
            yield Finding(
                severity="critical" if row.role in MIGHTY or words else "medium",
                rule="unlisted-membership",
                role=row.member,
                database=None,
                object=f"role {shown(row.role)}",
                privilege="MEMBER",
                path=(shown(row.member), f"member of {shown(row.role)}"),
                evidence=f"role {shown(row.member)} is not in the policy and is a member of {shown(row.role)}{has}",
                remedy=f"REVOKE {grantee_sql(row.role)} FROM {grantee_sql(row.member)} CASCADE",
            )


def _passwords(policy: Policy, cluster: Cluster) -> t.Iterator[Finding]:
    for role in cluster.roles.values():
        if role.password in WEAK and not policy.ignores(role.name):
            kind = "md5" if role.password == "md5" else "neither SCRAM nor md5"  # noqa: S105 (a kind, no password)
            yield Finding(
                severity="medium",
                rule="weak-password",
                role=role.name,
                database=None,
                object=f"role {shown(role.name)}",
                privilege="PASSWORD",
                path=(shown(role.name), "PASSWORD"),
                evidence=f"the verifier of role {shown(role.name)} is {kind}",
                remedy="set password_encryption to scram-sha-256, and the password again",
            )


def _settings(policy: Policy, cluster: Cluster) -> t.Iterator[Finding]:
    for one in cluster.settings:
        held = cluster.roles.get(one.role or "")
        # The planner looks after the policy's roles, its databases, and what holds for all.
        if held is None or not held.login or one.role in policy.roles or policy.ignores(held.name):
            continue
        if one.name.lower() in ATTACKS:
            value = ", ".join(one.elements)
            where: tuple[Part, ...] = () if one.database is None else (" IN DATABASE ", Name((one.database,)))
            yield Finding(
                severity="low",
                rule="role-setting",
                role=held.name,
                database=one.database,
                object=f"role {shown(held.name)}",
                privilege=one.name.lower(),
                path=(shown(held.name), f"session starts with {one.name}"),
                evidence=f"role {shown(held.name)} is not in the policy and starts with {one.name} = {value}",
                remedy=sql_text(("ALTER ROLE ", Name((held.name,)), *where, " RESET ", Name((one.name,)))),
            )


def _replication(facts: Facts) -> t.Iterator[Finding]:
    # Owned by a role that the policy ignores, either is meant.
    for one in facts.objects.publications:
        if facts.policy.ignores(one.owner):
            continue
        tables = [name for name in one.tables if facts.policy.in_scope(name.partition(".")[0].strip('"'))]
        if one.all_tables or tables:
            what = "all tables" if one.all_tables else ", ".join(tables)
            yield _at(
                facts,
                rule="publication",
                role=one.owner,
                object=f"publication {shown(one.name)}",
                path=(shown(one.owner), f"publication {shown(one.name)}", "REPLICATION"),
                evidence=f"whoever may replicate reads {what} by the publication {shown(one.name)}",
                remedy=f"DROP PUBLICATION {shown(one.name)}",
            )
    for subscription in facts.objects.subscriptions:
        if facts.policy.ignores(subscription.owner):
            continue
        name = shown(subscription.name)
        yield _at(
            facts,
            rule="subscription",
            role=subscription.owner,
            object=f"subscription {name}",
            path=(f"the publisher of {name}", f"writes as {shown(subscription.owner)}"),
            evidence=f"what another server publishes is written here by the subscription {name}",
            remedy=f"DROP SUBSCRIPTION {name}",
        )


def _at(facts: Facts, **parts: t.Any) -> Finding:
    return Finding(severity="medium", database=facts.database, privilege="REPLICATION", **parts)


def _row_security(facts: Facts) -> t.Iterator[Finding]:
    """Where row level security hides rows from whom the policy lets read: a dump without them is not whole."""
    policies: dict[int, list[t.Collection[str]]] = {}
    for one in facts.objects.row_policies:
        if one.permissive and one.command in READING:
            policies.setdefault(one.oid, []).append(one.roles)
    for relation in facts.objects.relations:
        if not relation.rls:
            continue
        number = facts.things.by_oid[relation.oid]
        for role in facts.policy.roles.values():
            held = facts.cluster.roles.get(role.name)
            if held is None or not role.login or held.bypassrls or held.superuser:
                continue
            holders = facts.effective.holders(role.name)
            if relation.owner in holders and not relation.rls_forced:
                continue
            select = BITS["SELECT"]
            if not facts.effective.mask(role.name, number) & (select | select << COLUMNS):
                continue
            shown_to = any(holders.keys() & set(roles) for roles in policies.get(relation.oid, ()))
            if shown_to and READ_ALL not in holders:
                continue
            name = shown(relation.schema, relation.name)
            yield Finding(
                severity="low",
                rule="row-security",
                role=role.name,
                database=facts.database,
                object=f"table {name}",
                privilege="SELECT",
                path=(shown(role.name), f"SELECT on table {name}", "row level security"),
                evidence=f"row level security is on for {name}, and {shown(role.name)}, who may read it, sees "
                + ("only what policies show: pg_dump refuses it" if shown_to else "no row of it"),
                remedy=f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY",
            )


def _extensions(facts: Facts) -> t.Iterator[Finding]:
    held: list[tuple[str, str, Acl, Acl]] = [
        (f"routine {shown(one.schema, one.name)}({one.arguments})", one.owner, one.acl, one.initial)
        for one in facts.objects.routines
        if one.extension and not one.system
    ]
    held += [
        (f"{'sequence' if one.kind == 'S' else 'table'} {shown(one.schema, one.name)}", one.owner, one.acl, one.initial)
        for one in facts.objects.relations
        if one.extension
    ]
    named = (
        ("language", facts.objects.languages),
        ("foreign data wrapper", facts.objects.wrappers),
        ("foreign server", facts.objects.servers),
    )
    for noun, ones in named:
        held += [(f"{noun} {shown(one.name)}", one.owner, one.acl, one.initial) for one in ones if one.extension]
    for where, owner, acl, initial in held:
        made_with = {(item.grantee, item.privilege) for item in initial}
        for item in acl:
            exceeds = (item.grantee, item.privilege) not in made_with and item.grantee != owner
            link = (item.grantee, where, item.privilege)
            if exceeds and facts.bound(item.grantee) and link not in facts.closed:
                yield Finding(
                    severity="medium",
                    rule="extension-privilege",
                    role=item.grantee,
                    database=facts.database,
                    object=where,
                    privilege=item.privilege,
                    path=(role_shown(item.grantee), f"{item.privilege} on {where}"),
                    evidence=f"{where} belongs to an extension, and {item.privilege} was granted to "
                    f"{role_shown(item.grantee)} since",
                    remedy=f"REVOKE {item.privilege} ON {where.upper().split(' ')[0]} {where.partition(' ')[2]} FROM "
                    f"{grantee_sql(item.grantee)} CASCADE",
                )
