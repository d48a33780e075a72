# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Room on the disks."""

from __future__ import annotations

import typing as t

from ..model import Expected, Finding, Kind, Rule, Source

# Below it PostgreSQL, and the store's reserve, have no room for a bad day.
MIN_PERCENT = 10
RULES = (
    Rule("disk-full", "high", "dumps", "a file system has hardly any room", "free some, or have it made larger"),
    Rule("inodes-full", "high", "dumps", "a file system has no room for files", "find the folder with so many"),
)  # fmt: skip


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``min_percent`` (10) of room and of inodes."""
    least = expected.of(source.host).get("min_percent", MIN_PERCENT)
    for one in source.data["places"]:
        about = f"file system of {one['path']}"
        if one["percent_free"] < least:
            evidence = f"less than {least} % of the file system of {one['path']} are free"
            yield Finding("disk-full", source.host, about, evidence)
        if one["percent_inodes_free"] < least:
            yield Finding(
                "inodes-full", source.host, about, f"less than {least} % of the inodes of {one['path']} are free"
            )


KIND = Kind("disk", "Room", ("production_hosts", "store_hosts"), judge, RULES, of_host=True)
