# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of source that the audit knows, in the order of the report, and the rules of each.

A new source is a file in judges/ with a KIND, named here; docs/audit-report.md says what it looks like.
"""

from __future__ import annotations

from .judges import (
    access,
    accounts,
    certificates,
    clock,
    dashboards,
    disk,
    dumps,
    firewall,
    freshness,
    incidents,
    jobs,
    keys,
    packages,
    privileged_files,
    provider,
    secrets,
    server,
    sessions,
    sockets,
    sshd,
    stores,
    sudo_rules,
    units,
    upgrades,
)
from .model import Kind, Rule

KINDS: tuple[Kind, ...] = (
    access.KIND, server.KIND, sessions.KIND, freshness.KIND, dumps.KIND, stores.KIND,
    provider.KIND, dashboards.KIND, incidents.KIND,
    # What host_access_info says of each host.
    accounts.KIND, sudo_rules.KIND, keys.KIND, sshd.KIND, firewall.KIND, sockets.KIND, jobs.KIND, privileged_files.KIND,
    secrets.KIND, certificates.KIND, packages.KIND, upgrades.KIND, units.KIND, disk.KIND, clock.KIND,
)  # fmt: skip

# The audit's own rules; what they say can be no accepted deviation.
OWN = "audit"
OWN_RULES = (
    Rule(
        "source-unreadable", "high", "looked", "something could not be looked at, so that nothing is known of it",
        "mend what the evidence says, or declare the source absent with a reason in audit_absent",
    ),
    Rule(
        "unused-absence", "low", "looked", "a source is declared absent, and is there, or isn't known",
        "take it out of audit_absent",
    ),
    Rule(
        "expired-deviation", "medium", "looked", "the last day of an accepted deviation is over",
        "mend what it was for, or write a later day and a reason into audit_accepted",
    ),
    Rule(
        "unused-deviation", "low", "looked", "a deviation is accepted that isn't there",
        "take it out of audit_accepted",
    ),
)  # fmt: skip


def rules(kinds: tuple[Kind, ...] = KINDS) -> dict[str, tuple[str, Rule]]:
    """By its id every rule, with the id of its source; ValueError where two have one id."""
    found: dict[str, tuple[str, Rule]] = {}
    listed = [(kind.id, rule) for kind in kinds for rule in kind.rules]
    for source, rule in [*listed, *((OWN, rule) for rule in OWN_RULES)]:
        if rule.id in found:
            raise ValueError(f"two rules have the id {rule.id}")
        found[rule.id] = (source, rule)
    return found
