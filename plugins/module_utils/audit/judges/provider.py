# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the provider's API said of the hosts: the report that playbooks/linode.yml writes where it verifies."""

from __future__ import annotations

import datetime as dt
import typing as t

from ..model import CONTROLLER, Expected, Finding, Kind, Rule, Source

# Backups are daily: what was said longer ago says nothing of the last one.
MAX_HOURS = 26
# The clocks of two machines may differ by so much.
CLOCK_STEP = dt.timedelta(hours=1)

_VERIFY = "run playbooks/linode.yml with linode_verify=true"
RULES = (
    Rule(
        "provider-problem", "high", "dumps", "at the provider something is not as it is asked for",
        "read the sentence: docs/linode.md says what it is about",
    ),
    Rule("provider-late", "medium", "dumps", "nobody has asked the provider lately", _VERIFY),
    Rule("provider-unasked", "high", "dumps", "the provider was not asked about a host of production", _VERIFY),
)  # fmt: skip


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``labels`` of the hosts that must be there, and ``max_hours`` since they were asked about."""
    seen, own = set(), expected.of(source.host)
    hours = own.get("max_hours", MAX_HOURS)
    for one in source.data["hosts"]:
        label = one["label"]
        seen.add(label)
        for sentence in one["problems"]:
            yield Finding("provider-problem", source.host, f"instance {label}", sentence, key=f"{label}\0{sentence}")
        at = dt.datetime.fromisoformat(str(one["verified_at"]).replace("Z", "+00:00"))
        # Nor does a time that is yet to come say anything of the last one.
        if not expected.now - dt.timedelta(hours=hours) <= at <= expected.now + CLOCK_STEP:
            evidence = f"the provider was not asked about {label} within the last {hours} hours"
            yield Finding("provider-late", source.host, f"instance {label}", evidence)
    for label in sorted(set(own.get("labels", [])) - seen):
        yield Finding("provider-unasked", source.host, f"instance {label}", f"the provider said nothing of {label}")


KIND = Kind("provider", "The provider's backups", (CONTROLLER,), judge, RULES)
