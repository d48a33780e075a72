# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``grafana_dashboards`` with ``state: compared`` says: how production's Grafana differs from the repository."""

from __future__ import annotations

import typing as t

from ..model import Expected, Finding, Kind, Rule, Source

RULES = (
    Rule(
        "dashboard-edited", "medium", "dashboards", "a dashboard is not as the repository has it",
        "run playbooks/site.yml; keep the change by a pull request, from make export-dashboards",
    ),
    Rule(
        "dashboard-unknown", "medium", "dashboards", "the server has a dashboard that the repository hasn't",
        "export it and open a pull request, or remove it in Grafana",
    ),
    Rule(
        "dashboard-missing", "medium", "dashboards", "the server lacks a dashboard of the repository",
        "run playbooks/site.yml",
    ),
    Rule(
        "dashboard-not-provisioned", "medium", "dashboards", "a dashboard can be edited in place",
        "remove it in Grafana, then run playbooks/site.yml",
    ),
)  # fmt: skip
# The key of the module's answer, the rule, and what is said of the dashboard.
_ANSWERS = (
    ("updated", "dashboard-edited", "differs from the repository's"),
    ("added", "dashboard-unknown", "is at the server alone"),
    ("removed", "dashboard-missing", "is in the repository alone"),
    ("not_provisioned", "dashboard-not-provisioned", "does not come from a file there"),
)


def judge(source: Source, _expected: Expected) -> t.Iterator[Finding]:
    """Each difference that the module has found."""
    differences = source.data.get("differences", {})
    for key, rule, said in _ANSWERS:
        for uid in source.data[key]:
            evidence = f"the dashboard {uid} {said}"
            # Of one that isn't there nothing was seen.
            value = differences.get(uid, "") if key == "updated" else ""
            if key in ("added", "not_provisioned"):
                value = source.data["contents"][uid]
            yield Finding(rule, source.host, f"dashboard {uid}", evidence, value=value)


KIND = Kind("dashboards", "Grafana's dashboards", ("dashboards_hosts",), judge, RULES)
