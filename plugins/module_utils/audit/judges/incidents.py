# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the incidents of the repository stand: one that was carried out needs its after-action report."""

from __future__ import annotations

import typing as t

from ..model import CONTROLLER, Expected, Finding, Kind, Rule, Source

RULES = (
    Rule(
        "incident-overdue", "high", "deleters", "an incident has no after-action report, and should have one by now",
        "write it: make incident-report INCIDENT=incidents/NAME",
    ),
    Rule(
        "incident-void", "medium", "deleters", "something of an incident does not fit together any more",
        "read the sentence: docs/incidents.md says what to do",
    ),
    Rule(
        "incident-unverified", "medium", "looked", "approvals are not verified: the inventory names no approvers",
        "name them in database_approvers, with their keys",
    ),
)  # fmt: skip


def judge(source: Source, _expected: Expected) -> t.Iterator[Finding]:
    """``incidents`` are mappings: ``name``, ``word`` (docs/incidents.md), ``why``, ``overdue`` and ``unverified``."""
    for one in source.data["incidents"]:
        rule = "incident-overdue" if one["overdue"] else "incident-void" if one["word"] == "void" else ""
        if rule:
            evidence = f"{one['name']} is {one['word']}" + (f": {one['why']}" if one.get("why") else "")
            yield Finding(rule, source.host, f"incident {one['name']}", evidence)
        if one["unverified"]:
            evidence = f"whether the approval of {one['name']} is one nobody knows: no approvers are named"
            yield Finding("incident-unverified", source.host, f"incident {one['name']}", evidence)


KIND = Kind("incidents", "Incidents", (CONTROLLER,), judge, RULES)
