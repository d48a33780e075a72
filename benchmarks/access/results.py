# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured: rows held against the figures to reach, and as tables for people."""

from __future__ import annotations

import statistics
import typing as t

from ..common import Target, table
from . import estate, playbooks

# One of build/bench/access.json: name and size, then figures, or "why_not".
Row = dict[str, t.Any]


def median(rows: t.Sequence[Row], name: str, size: str, key: str = "wall_s") -> float | None:
    """The median of one row's figures; None where they couldn't be measured."""
    for row in rows:
        if (row["name"], row["size"]) == (name, size) and row.get(key):
            return float(statistics.median(row[key]))
    return None


def judge(rows: t.Sequence[Row]) -> list[Target]:
    """The figures to reach, at the largest size."""
    large, small, policy = estate.SIZES[-1].name, estate.SIZES[0].name, f"{playbooks.SIZES[0]} tables"

    def at_most(name: str, limit: float, value: float | None) -> Target:
        return Target(name, f"<= {limit:g} s", value and round(value, 3), None if value is None else value <= limit)

    def faster(name: str, times: float, other: float | None, mine: float | None) -> Target:
        value = None if not other or not mine else other / mine
        return Target(name, f">= {times:g} x", value and round(value, 2), None if value is None else value >= times)

    mine = median(rows, "pg_access", large)
    ten, one = "community.postgresql, ten tasks", "pg_access, one task"
    ours = [row for row in rows if row["name"].startswith("pg_access")]
    rewritten = None if any("why_not" in row for row in ours) else sum(row["rows_rewritten"] for row in ours)
    (found,) = (row.get("holes") for row in rows if (row["name"], row["size"]) == ("pg_access", small))
    return [
        at_most("plan, large", 3, mine),
        *(
            faster(f"plan, large: faster than {name}", times, median(rows, name, large), mine)
            for name, times in (("pgbedrock", 4), ("pgsesame", 4), ("ldap2pg", 1))
        ),
        at_most("effective access with paths, large", 5, median(rows, "effective access, with paths", large)),
        Target(
            "planted holes seen",
            "all",
            f"{sum(found.values())} of {len(found)}" if found else None,
            all(found.values()) if found else None,
        ),
        Target("catalogue rows rewritten", "0", rewritten, None if rewritten is None else rewritten == 0),
        faster(
            "small policy: one task against ten",
            8,
            median(rows, ten, policy, "tasks_s"),
            median(rows, one, policy, "tasks_s"),
        ),
        faster("the same, with the start of ansible-playbook", 8, median(rows, ten, policy), median(rows, one, policy)),
    ]


def report(rows: t.Sequence[Row], runs: int) -> None:
    """Print *rows* as tables, and below them what they leave out."""
    heads = ("", "size", "wall s", "cpu s", "peak MB", "queries", "rewritten", "WAL bytes", "planned")
    cells = [
        (
            row["name"],
            row["size"],
            *(statistics.median(row[key]) if row.get(key) else None for key in ("wall_s", "cpu_s", "peak_mb")),
            *(row.get(key) for key in ("queries", "rows_rewritten", "wal_bytes", "planned")),
        )
        for row in rows
    ]
    print(f"\nDry runs on a cluster that is as it should be (medians of {runs})")
    print(table(heads, cells))
    planted = {row["name"]: row["holes"] for row in rows if "holes" in row}
    if planted:
        print("\nHoles planted, and who sees them")
        names = list(next(iter(planted.values())))
        seen = [(name, *("seen" if found[name] else "no" for found in planted.values())) for name in names]
        print(table(("hole", *planted), [*seen, ("all", *(sum(found.values()) for found in planted.values()))]))
    notes = {row["name"]: f"can't say: {row['beyond']}" for row in rows if "beyond" in row}
    notes |= {f"{row['name']}, {row['size']}": f"NOT MEASURED: {row['why_not']}" for row in rows if "why_not" in row}
    notes |= {
        f"{row['name']}, {row['size']}": "{ours} privileges on tables; has_table_privilege says {theirs}".format(
            **row["agrees"]
        )
        for row in rows
        if "agrees" in row
    }
    print()
    for name, note in notes.items():
        print(f"{name}: {note}")
