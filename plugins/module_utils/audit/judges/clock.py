# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock, by which dumps and rows are dated."""

from __future__ import annotations

import typing as t

from ..model import Expected, Finding, Kind, Rule, Source

RULES = (
    Rule("clock-adrift", "medium", "dumps", "nobody keeps the clock right", "run playbooks/site.yml; chronyc tracking"),
)


def judge(source: Source, _expected: Expected) -> t.Iterator[Finding]:
    """Whether it is synchronised."""
    if not source.data["synchronised"]:
        yield Finding("clock-adrift", source.host, "clock", "the clock is not synchronised")


KIND = Kind("clock", "The clock", ("production_hosts", "store_hosts"), judge, RULES, of_host=True)
