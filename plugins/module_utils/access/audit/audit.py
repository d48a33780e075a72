# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit a server against its policy: what a plan would change, what no plan closes, and what is asserted."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ..catalog.model import Cluster, Objects
from ..plan.cluster import plan_cluster
from ..plan.database import plan_database
from ..plan.statements import Statement, shown
from ..policy.model import Policy
from . import code as audit_code
from . import drift
from . import owners as audit_owners
from . import state as audit_state
from .assertions import Checked, Checker
from .effective import Effective
from .facts import Facts
from .findings import Finding, ordered
from .held import Held
from .things import Things


@dataclasses.dataclass(frozen=True)
class Audit:
    """The findings, the worst first, and every assertion of the policy."""

    findings: tuple[Finding, ...]
    assertions: tuple[Checked, ...]

    @property
    def passed(self) -> bool:
        """Nothing was found, and every assertion holds."""
        return not self.findings and all(one.passed for one in self.assertions)


def audit(
    policy: Policy,
    cluster: Cluster,
    objects_by_database: t.Mapping[str, Objects],
    *,
    today: datetime.date,
    effective: t.Mapping[str, Effective] | None = None,
) -> Audit:
    """Audit *cluster* and the databases read from it, as the policy's authoritative mode would have them.

    *today* is the day that exceptions are judged by. *effective*, by database, saves making it again: it has to be of
    every role that can log in.
    """
    wanted = dataclasses.replace(policy, mode="authoritative")
    # Whoever reads this, the plan is of the server: nothing is going to lock this session out.
    found = _cluster_drift(wanted, dataclasses.replace(cluster, login_role=cluster.bootstrap))
    closed = {finding.link: finding.id for finding in found}
    found += audit_state.of_cluster(policy, cluster, closed)
    checked = {assertion.id: Checked(assertion.id) for assertion in policy.assertions}
    for database, objects in objects_by_database.items():
        held = (effective or {}).get(database) or Effective(cluster, objects)
        here = _database_drift(wanted, cluster, objects, held.things)
        facts = Facts(policy, cluster, objects, held, [*found, *here])
        here += [*audit_code.find(facts), *audit_state.of_database(facts), *audit_owners.find(facts)]
        checker = Checker(facts, [*found, *here], today)
        for assertion in policy.assertions:
            checker.check(assertion, checked[assertion.id])
        found += here + checker.findings
    return Audit(tuple(ordered(found)), tuple(checked.values()))


def _cluster_drift(policy: Policy, cluster: Cluster) -> list[Finding]:
    held = Held(cluster, None, None)
    return _planned(policy, held, lambda: plan_cluster(policy, cluster).statements, None)


def _database_drift(policy: Policy, cluster: Cluster, objects: Objects, things: Things) -> list[Finding]:
    held = Held(cluster, objects, things)

    def plan() -> t.Iterable[Statement]:
        return plan_database(policy, cluster, objects, skip_missing=True).statements

    return _planned(policy, held, plan, objects.database)


def _planned(
    policy: Policy, held: Held, plan: t.Callable[[], t.Iterable[Statement]], database: str | None
) -> list[Finding]:
    """The drift, or the sentence of why there is no plan."""
    try:
        return drift.findings(policy, held, plan(), database)
    except ValueError as error:
        where = "the cluster" if database is None else f"database {shown(database)}"
        return [
            Finding(
                severity="high",
                rule="no-plan",
                role="",
                database=database,
                object=where,
                privilege="",
                path=(),
                evidence=str(error),
                remedy="change the policy or the server as the sentence says",
            )
        ]
