# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the policy gives one role in one database, be it by itself, by PUBLIC or by a role whose privileges it has."""

from __future__ import annotations

import typing as t

from ..catalog.model import Cluster
from ..policy.model import FUTURE, PREDEFINED, PUBLIC, Grant, Policy

# What PostgreSQL's own roles may do with every table.
PREDEFINED_TABLES = {
    "pg_read_all_data": ("SELECT",),
    "pg_write_all_data": ("INSERT", "UPDATE", "DELETE"),
    "pg_maintain": ("MAINTAIN",),
}
# Privilege: the columns that it is given on, or None for the whole table.
Given = dict[str, t.Optional[frozenset[str]]]  # noqa: UP045 (evaluated at run time)
# The name of a table that isn't there yet. No name has this character, so no pattern names it but by a ``*``.
UNMADE = "\0"


class Rights:
    """What *policy* gives *role* in *database*.

    ``held`` are the roles whose privileges it has, ``settable`` those that it may SET ROLE to; itself is in both.
    """

    def __init__(self, policy: Policy, cluster: Cluster, role: str, database: str) -> None:
        self.policy = policy
        self._cluster = cluster
        self.held = self._closure(role, inherited=True) | {PUBLIC}
        self.settable = self._closure(role, inherited=False)
        # The owner of a database is a member of pg_database_owner, which no row says.
        owner = cluster.databases[database].owner if database in cluster.databases else None
        if owner in self.held:
            self.held |= {"pg_database_owner"}
        listed = policy.roles.get(role)
        self.superuser = (
            listed.superuser if listed is not None else role in cluster.roles and cluster.roles[role].superuser
        )
        self.grants = [one for one in policy.grants if one.in_database(database) and not self.held.isdisjoint(one.to)]
        self._defaults = [
            one
            for one in policy.default_privileges
            if (not one.databases or database in one.databases) and not self.held.isdisjoint(one.to)
        ]

    def owns(self, schema: str) -> bool:
        """Whether *schema* and what is in it belongs to it."""
        return self.policy.owner_of(schema) in self.held

    def named(self, kind: str, name: str, privilege: str) -> bool:
        """Whether it has *privilege* on what has one *name*: the database, a schema."""
        return any(one.kind == kind and privilege in one.privileges and one.names_one(name) for one in self.grants)

    def routine(self, schema: str, name: str, arguments: str) -> bool:
        """Whether it is granted EXECUTE on the routine."""
        return any(one.kind == "routines" and one.covers(schema, name, arguments) for one in self.grants)

    def table(self, grants: t.Iterable[Grant]) -> Given:
        """What it may do with a table or view that *grants*, some of its own, are of. Its ownership is left aside."""
        given: Given = {privilege: None for role in self.held for privilege in PREDEFINED_TABLES.get(role, ())}
        for one in grants:
            for privilege in one.privileges:
                before = given.get(privilege, frozenset())
                given[privilege] = before | set(one.columns) if one.columns and before is not None else None
        return given

    def future(self, schema: str, kind: str) -> frozenset[str]:
        """What it may do with the tables or sequences (*kind*) that the owner of *schema* will make in it."""
        given = {
            privilege
            for one in self.grants
            if one.future and one.kind == kind and not one.columns and one.covers(schema, UNMADE)
            for privilege in one.privileges
        }
        owner = self.policy.owner_of(schema)
        for default in self._defaults:
            if default.creator == owner and FUTURE[default.kind] == FUTURE[kind] and default.schema in (None, schema):
                given |= default.privileges
        if kind == "tables":
            given |= {privilege for role in self.held for privilege in PREDEFINED_TABLES.get(role, ())}
        return frozenset(given)

    def _closure(self, role: str, *, inherited: bool) -> frozenset[str]:
        """*role* and whom it reaches by memberships as the policy wants them."""
        reached = {role}
        waiting = [role]
        while waiting:
            fresh = set(self._next(waiting.pop(), inherited=inherited)) - reached
            reached |= fresh
            waiting += fresh
        return frozenset(reached)

    def _next(self, role: str, *, inherited: bool) -> list[str]:
        listed = self.policy.roles.get(role)
        if listed is not None:
            members = listed.memberships
            return [one.role for one in members if (listed.inherits(one) if inherited else one.set)]
        # PostgreSQL's own are members of each other (pg_monitor); those of other roles the policy doesn't give.
        mine = self._cluster.memberships if role.startswith(PREDEFINED) else ()
        return [one.role for one in mine if one.member == role]
