# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the ACLs of what all databases share: the databases themselves, parameters and tablespaces."""

from __future__ import annotations

import typing as t

from ..catalog.model import Cluster, Database
from ..policy.model import PUBLIC, Grant, Policy
from .acl import Acl, AclItem, Change, Pair, Powers, after_owner_change, difference, missing
from .acl_statements import acl_statements, left_over, public_pairs
from .statements import Name, Skipped, Statement, Target, shown

# What PostgreSQL grants on a database that nobody has granted anything on.
NEW_DATABASE = tuple((PUBLIC, privilege) for privilege in ("CONNECT", "TEMPORARY"))
# The server that parameters' ACLs came with.
PARAMETER_ACLS = 150000


def plan_shared(
    policy: Policy, cluster: Cluster, protected: t.Collection[str], powers: Powers
) -> tuple[list[Statement], list[Skipped]]:
    """The owners and ACLs of databases, and the ACLs of parameters and tablespaces; and what is left and why.

    ValueError where the policy grants on what can't be there.
    """
    return _Shared(policy, cluster, protected, powers).plan()


class _Shared:
    def __init__(self, policy: Policy, cluster: Cluster, protected: t.Collection[str], powers: Powers) -> None:
        self.policy = policy
        self.cluster = cluster
        self.protected = protected
        self.powers = powers
        self.owners: list[Statement] = []
        self.changes: list[tuple[Target, Change]] = []

    def plan(self) -> tuple[list[Statement], list[Skipped]]:
        new = tuple(AclItem(role, self.cluster.login_role, privilege) for role, privilege in NEW_DATABASE)
        created = [
            Database(name, self.cluster.login_role, new)
            for name in self.policy.databases
            if name not in self.cluster.databases
        ]
        for database in [*self.cluster.databases.values(), *created]:
            if database.name in self.policy.databases:
                self._database(database)
            elif self.policy.authoritative and self.policy.revoke_connect:
                self.changes.append((Target("DATABASE", (database.name,)), self._without_public(database)))
        self._parameters()
        self._tablespaces()
        return [*self.owners, *acl_statements(self.changes, database=None)], left_over(self.changes, database=None)

    def _grants(self, kind: str) -> list[Grant]:
        return [grant for grant in self.policy.grants if grant.kind == kind]

    def _compare(self, target: Target, owner: str, acl: Acl, grants: t.Iterable[Grant]) -> None:
        """Plan what makes *acl* what *grants* give."""
        wanted: set[Pair] = set()
        grantable: set[Pair] = set()
        for grant in grants:
            pairs = {(role, privilege) for role in grant.to for privilege in grant.privileges}
            wanted |= pairs
            grantable |= pairs if grant.grant_option else set()
        if not self.policy.authoritative:
            change = missing(owner, acl, wanted, grantable)
        else:
            if not self.policy.public and not (target.noun == "DATABASE" and self.policy.revoke_connect):
                wanted |= public_pairs(acl)
            change = difference(owner, acl, wanted, self.protected, grantable, self.powers)
        self.changes.append((target, change))

    def _database(self, database: Database) -> None:
        acl, owner = database.acl, database.owner
        new = self._owner(database)
        if new != owner:
            self.owners.append(_database_owner(database.name, owner, new))
            acl, owner = after_owner_change(acl, owner, new), new
        grants = [
            grant
            for grant in self._grants("database")
            if grant.names_one(database.name) and grant.in_database(database.name)
        ]
        self._compare(Target("DATABASE", (database.name,)), owner, acl, grants)

    def _owner(self, database: Database) -> str:
        """Whom it belongs to in the end.

        An owner may drop the database and grant on it: unless the policy says whose it is, it gives that to superusers
        and the schemas' owners.
        """
        policy, owner = self.policy, database.owner
        if not policy.authoritative and database.name in self.cluster.databases:
            return owner
        if database.name in policy.database_owners:
            return policy.database_owners[database.name]
        if not policy.authoritative or owner in self.protected or owner in policy.owners.values():
            return owner
        return self.cluster.bootstrap

    def _without_public(self, database: Database) -> Change:
        """Take a database that is out of scope from PUBLIC, and leave what anybody else may do there."""
        others = [item for item in database.acl if item.grantee != PUBLIC]
        if len(others) == len(database.acl):
            return Change()
        wanted = {(item.grantee, item.privilege) for item in others}
        grantable = {(item.grantee, item.privilege) for item in others if item.grantable}
        everybody = {item.grantee for item in others}
        return difference(database.owner, database.acl, wanted, everybody, grantable, self.powers)

    def _parameters(self) -> None:
        grants = self._grants("parameters")
        if grants and self.cluster.version < PARAMETER_ACLS:
            raise ValueError(
                "the policy grants on parameters, which PostgreSQL has privileges on since 15: leave it out"
            )
        named = dict.fromkeys(name for grant in grants for name in grant.names)
        for name in named:
            if "*" in name:
                raise ValueError(
                    f"the policy grants on the parameters {name}, and the catalogue lists only those that somebody has "
                    "granted on: name each"
                )
        for name in [*self.cluster.parameters, *(name for name in named if name not in self.cluster.parameters)]:
            wanted = [grant for grant in grants if grant.names_one(name)]
            acl = self.cluster.parameters.get(name, ())
            self._compare(Target("PARAMETER", tuple(name.split("."))), self.cluster.bootstrap, acl, wanted)

    def _tablespaces(self) -> None:
        grants = self._grants("tablespaces")
        there = {tablespace.name for tablespace in self.cluster.tablespaces}
        for name in (name for grant in grants for name in grant.names if "*" not in name):
            if name not in there:
                raise ValueError(
                    f"the policy grants on the tablespace {name}, which is not there: make it, or mend the name"
                )
        for tablespace in self.cluster.tablespaces:
            wanted = [grant for grant in grants if grant.names_one(tablespace.name)]
            self._compare(Target("TABLESPACE", (tablespace.name,)), tablespace.owner, tablespace.acl, wanted)


def _database_owner(name: str, old: str, new: str) -> Statement:
    parts = ("ALTER DATABASE ", Name((name,)), " OWNER TO ", Name((new,)))
    line = f"database {shown(name)} is owned by "
    return Statement("owner", parts, (line + shown(old),), (line + shown(new),))
