# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every part of an audit asks: who counts, what the policy wants, and what a plan closes already."""

from __future__ import annotations

import typing as t

from ..catalog.model import Cluster, Objects
from ..plan.statements import shown
from ..policy.model import PREDEFINED, PUBLIC, Policy
from .effective import Effective
from .findings import Finding
from .reach import Link
from .things import Thing

# Views have had security_invoker since.
INVOKER = 150000


class Facts:
    """One database under audit. ``closed`` are the links of the findings that a plan closes."""

    def __init__(
        self, policy: Policy, cluster: Cluster, objects: Objects, effective: Effective, drift: t.Iterable[Finding]
    ) -> None:
        self.policy = policy
        self.cluster = cluster
        self.objects = objects
        self.effective = effective
        self.things = effective.things
        self.database = objects.database
        self._of_use: dict[tuple[str, str], bool] = {}
        self.closed: dict[Link, str] = {}
        for finding in drift:
            if not finding.opens:
                continue
            self.closed.setdefault(finding.link, finding.id)

    def bound(self, role: str) -> bool:
        """Whether privileges bind *role*: not a superuser's, not another tool's, not PostgreSQL's own."""
        if role == PUBLIC:
            return True
        held = self.cluster.roles.get(role)
        return (
            held is not None
            and not held.superuser
            and not role.startswith(PREDEFINED)
            and not self.policy.ignores(role)
        )

    def granted_routine(self, role: str, schema: str, name: str, arguments: str) -> bool:
        """Whether the policy itself grants EXECUTE on the routine to *role*."""
        return any(
            grant.kind == "routines"
            and role in grant.to
            and grant.in_database(self.database)
            and grant.covers(schema, name, arguments)
            for grant in self.policy.grants
        )

    def mask(self, role: str, number: int) -> int:
        """What *role* or PUBLIC holds on a thing, as itself."""
        if role == PUBLIC:
            return self.things.of(PUBLIC).get(self.things.all[number].place, {}).get(number, 0)
        return self.effective.mask(role, number)

    def of_use(self, holder: str, number: int) -> bool:
        """Whether somebody who can log in makes use of *holder*'s privileges on a thing out of the scope."""
        place = self.things.all[number].place
        if (holder, place) not in self._of_use:
            effective = self.effective
            self._of_use[holder, place] = any(
                holder in effective.holders(way.acting) and effective.usable(way.acting, place)
                for role in effective.roles
                if self.bound(role) and effective.connects(role)
                for way in effective.reach.ways(role)
            )
        return self._of_use[holder, place]

    def invokes(self, thing: Thing) -> bool:
        """Whether it is a view that could have its invoker's rights: since 15, and no materialized one."""
        if self.cluster.version < INVOKER:
            return False
        relations = (*self.objects.relations, *self.objects.outside_relations)
        return any(one.kind == "v" and shown(one.schema, one.name) == thing.name for one in relations)

    def superuser(self, role: str) -> bool:
        """Whether nothing binds *role*."""
        return self.effective.reach.superuser(role)


def unlisted(policy: Policy, cluster: Cluster, role: str) -> bool:
    """Whether *role* is nobody's that the policy knows of."""
    return (
        role not in policy.roles
        and not role.startswith(PREDEFINED)
        and role not in (cluster.bootstrap, cluster.login_role)
        and not policy.ignores(role)
    )
