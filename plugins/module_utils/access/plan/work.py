# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of one database's plan share: who is protected, what is wanted, and what has been planned so far."""

from __future__ import annotations

import typing as t

from ..catalog.model import Cluster, Objects, Relation
from ..policy.model import PREDEFINED, PUBLIC, Grant, Policy
from .acl import NOTHING, Acl, Change, Pair, after_owner_change, difference, missing
from .acl_statements import public_pairs
from .cluster import powers, protected_roles
from .statements import Name, Part, Skipped, Statement, Target, role_shown, shown
from .wanted import Lying, Wants


class Work:
    """A plan in the making, of the *objects* of one database."""

    def __init__(self, policy: Policy, cluster: Cluster, objects: Objects) -> None:
        self.policy = policy
        self.cluster = cluster
        self.objects = objects
        self.protected = protected_roles(policy, cluster)
        self.powers = powers(policy, cluster, objects.database)
        self.owners: list[Statement] = []
        self.changes: list[tuple[Target, Change]] = []
        self.skipped: list[Skipped] = []
        self.place = f" in {shown(objects.database)}"

    def grants(self, kind: str) -> list[Grant]:
        """The policy's grants of *kind*, a key of model.PRIVILEGES, that hold in this database."""
        return [
            grant for grant in self.policy.grants if grant.kind == kind and grant.in_database(self.objects.database)
        ]

    def lying(self, kind: str, there: t.Iterable[tuple[str, str, str]]) -> Lying:
        """What is granted on whole objects of *kind*; *there* as in Lying."""
        return Lying(self.policy, [grant for grant in self.grants(kind) if not grant.columns], there)

    def difference(self, owner: str, acl: Acl, wanted: Wants, through: t.Collection[Pair] = frozenset()) -> Change:
        """How *acl* becomes what is *wanted*, or gets what it lacks in the modes that take nothing away."""
        if not self.policy.authoritative:
            return missing(owner, acl, wanted.pairs, wanted.grantable)
        if not self.policy.public:
            wanted = Wants(wanted.pairs | public_pairs(acl), wanted.grantable)
        return self.exact(owner, acl, wanted, through)

    def exact(self, owner: str, acl: Acl, wanted: Wants, through: t.Collection[Pair] = frozenset()) -> Change:
        """How *acl* becomes what is *wanted*, whatever the policy says of PUBLIC."""
        return difference(owner, acl, wanted.pairs, self.protected, wanted.grantable, self.powers, through)

    def change(self, target: Target, change: Change) -> None:
        """Plan *change*, if it is one."""
        if change != NOTHING:
            self.changes.append((target, change))

    def compare(self, target: Target, owner: str, acl: Acl, wanted: Wants) -> None:
        """Plan what makes *acl* what is *wanted*."""
        self.change(target, self.difference(owner, acl, wanted))

    def new_owner(self, schema: str, owner: str) -> str:
        """Whom something in *schema* belongs to in the end, if now to *owner*."""
        wanted = self.policy.owner_of(schema)
        # What another tool's role owns is managed by that tool.
        if wanted is None or not self.policy.authoritative or self.policy.ignores(owner):
            return owner
        return wanted

    def owned(self, noun: str, target: Target, owner: str, acl: Acl, *, relation: bool = False) -> tuple[str, Acl]:
        """Plan the change of the object's owner, if any; who owns it then, and its ACL then.

        *noun* as in ALTER ... OWNER TO. *relation*: the statement locks the relation of this name.
        """
        new = self.new_owner(target.name[0], owner)
        if new == owner:
            return owner, acl
        parts: tuple[Part, ...] = (f"ALTER {noun} ", *target.parts, " OWNER TO ", Name((new,)))
        line = f"{noun.lower()} {target}{self.place} is owned by "
        locked = (target.name[0], target.name[1]) if relation else None
        self.owners.append(Statement("owner", parts, (line + shown(owner),), (line + shown(new),), relation=locked))
        return new, after_owner_change(acl, owner, new)

    def leave_extension(self, target: Target, owner: str, acl: Acl, initial: Acl) -> None:
        """Say what somebody granted on an extension's object: its ACL is the extension's own, as it is to pg_dump."""
        made_with = {(item.grantee, item.privilege, item.grantable) for item in initial}
        left_alone = {owner, *self.protected, *(() if self.policy.public else (PUBLIC,))}
        exceeding: dict[str, set[str]] = {}
        for item in acl:
            left = item.grantee in left_alone or (item.grantee, item.privilege, item.grantable) in made_with
            if not left:
                exceeding.setdefault(item.grantee, set()).add(item.privilege)
        if exceeding:
            may = "; ".join(f"{role_shown(role)} {', '.join(sorted(held))}" for role, held in sorted(exceeding.items()))
            why = f"belongs to an extension, whose privileges are left alone, and these were granted since: {may}"
            self.skipped.append(Skipped(f"{target.noun.lower()} {target}{self.place}", why, warn=True))


def with_initial(wanted: Wants, acl: Acl, initial: Acl) -> Wants:
    """What is *wanted* of an object that PostgreSQL made, whose ACL is *acl*: what it was made with stays.

    What is gone of that isn't wanted back: somebody has taken it away on purpose.
    """
    given = {(item.grantee, item.privilege): item.grantable for item in initial}
    held = {pair for item in acl if (pair := (item.grantee, item.privilege)) in given}
    return Wants(wanted.pairs | held, wanted.grantable | {pair for pair in held if given[pair]})


def predefined(acl: Acl) -> Acl:
    """What PostgreSQL gave to its predefined roles."""
    return tuple(item for item in acl if item.grantee.startswith(PREDEFINED))


def relation_target(relation: Relation, column: str | None = None) -> Target:
    """*relation*, or its *column*, as GRANT names it."""
    noun = "SEQUENCE" if relation.kind == "S" else "TABLE"
    return Target(noun, (relation.schema, relation.name), column=column)
