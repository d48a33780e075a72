# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Room on the disks."""

from __future__ import annotations

import typing as t

from ..model import Expected, Finding, Kind, Rule, Source

# Below it PostgreSQL, and the store's reserve, have no room for a bad day.
MIN_PERCENT = 10
# Steps below it: who accepts the one has not accepted the next.
STEPS = (5, 2, 1)
RULES = (
    Rule("disk-full", "high", "dumps", "a file system has hardly any room", "free some, or have it made larger"),
    Rule("inodes-full", "high", "dumps", "a file system has no room for files", "find the folder with so many"),
)  # fmt: skip


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``min_percent`` (10) of room and of inodes."""
    least = expected.of(source.host).get("min_percent", MIN_PERCENT)
    if not source.data["places"]:
        raise ValueError("it has looked at no file system")
    for one in source.data["places"]:
        about = f"file system of {one['path']}"
        for rule, key, what in (("disk-full", "free", "file system"), ("inodes-full", "inodes_free", "inodes")):
            below = [step for step in (least, *STEPS) if one[f"percent_{key}"] < step <= least]
            if below:
                evidence = f"less than {min(below)} % of the {what} of {one['path']} are free"
                yield Finding(rule, source.host, about, evidence)


KIND = Kind("disk", "Room", ("production_hosts", "store_hosts"), judge, RULES, of_host=True)
