# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every part of an audit asks: who counts, what the policy wants, and what a plan closes already."""

from __future__ import annotations

import typing as t

from ..catalog.model import Cluster, Objects
from ..policy.model import PREDEFINED, PUBLIC, Policy
from .effective import Effective
from .findings import Finding
from .reach import Link


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
