# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit of access answers, as plain lists and texts: the module pg_access_info, and the command pg-access."""

from __future__ import annotations

import datetime
import typing as t

from . import inspecting
from .audit.audit import audit
from .audit.effective import Effective, listed
from .audit.findings import summary
from .policy.model import Policy
from .policy.reader import parse

if t.TYPE_CHECKING:
    from .postgres import Params

GATHER = ("matrix", "effective", "grid", "findings", "probes", "export")


def gathered(params: Params, gather: set[str]) -> dict[str, t.Any]:
    """What *gather*, words of GATHER, asks for; ValueError where the server can't be read.

    *params* are login options, and ``policy``, ``database``, ``roles`` and ``all_roles`` as pg_access_info has them.
    """
    answer: dict[str, t.Any] = {"unread": []}
    if gather - {"export"}:
        answer = of_policy(params, parse(params["policy"]), gather)
    if "export" in gather:
        answer["exported"], unread = inspecting.read_policy(params, params["database"])
        answer["unread"] += [one for one in unread if one not in answer["unread"]]
    return answer


def of_policy(params: Params, policy: Policy, gather: set[str]) -> dict[str, t.Any]:
    """What is to be gathered with a policy."""
    seen = inspecting.see(
        params,
        policy,
        database=params["database"],
        roles=params["roles"],
        all_roles=params["all_roles"],
        with_matrix="matrix" in gather,
        with_objects=bool(gather & {"effective", "grid", "findings", "probes"}),
    )
    answer: dict[str, t.Any] = {"missing_roles": list(seen.missing_roles), "unread": seen.unread}
    if "matrix" in gather:
        answer["matrix"] = seen.matrix
    if seen.cluster is None:
        return answer
    passed = not seen.unread
    # Of every role that can log in: the audit asks for all, the answer for some.
    known = {name: Effective(seen.cluster, objects) for name, objects in seen.objects.items()}
    if "effective" in gather:
        answer["effective"] = [one for held in known.values() for one in listed(held, seen.roles)]
    if "findings" in gather:
        done = audit(policy, seen.cluster, seen.objects, today=datetime.date.today(), effective=known)
        answer["findings"] = [one.as_dict() for one in done.findings]
        answer["assertions"] = [one.as_dict() for one in done.assertions]
        answer["summary"] = {**summary(done.findings)}
        passed = passed and done.passed
    if "grid" in gather:
        answer["grid"] = drawn(answer, known, seen)
    if "probes" in gather:
        answer["probes"] = probed(params, policy, seen)
        counts = inspecting.tried(answer["probes"])
        answer.setdefault("summary", {})["probes"] = counts
        # As whom nothing was tried, of them nothing is known.
        untried = inspecting.untried(policy, answer["probes"])
        passed = passed and counts["passed"] > 0 and counts["failed"] == 0 and not untried
    if gather & {"findings", "probes"}:
        answer["passed"] = passed
    return answer


def drawn(answer: dict[str, t.Any], known: dict[str, Effective], seen: inspecting.Seen) -> list[dict[str, t.Any]]:
    """The access matrix of each database, with what *answer* has found of it."""
    # A module compiles all that it imports in each run, and most runs draw nothing.
    from ..audit.grid import grids

    effective = [one for held in known.values() for one in listed(held, seen.roles)]
    return grids({**answer, "effective": effective})


def probed(params: Params, policy: Policy, seen: inspecting.Seen) -> list[dict[str, t.Any]]:
    """The results of the probes in every database that was read."""
    # A module compiles all that it imports in each run, and most runs probe nothing.
    from . import probing
    from .probes import probes

    if seen.cluster is None:
        return []
    roles = [*seen.roles, *seen.missing_roles] if params["roles"] is not None or params["all_roles"] else None
    return [
        result.as_dict()
        for name, objects in seen.objects.items()
        for result in probing.run(params, name, probes.plan(policy, seen.cluster, objects, roles))
    ]
