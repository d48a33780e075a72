# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured: rows held against the figures to reach, and as tables for people."""

from __future__ import annotations

import statistics
import typing as t

from ..common import Target, table
from .ways import AGE, LIMIT, OURS, SEED

# One of build/bench/dump.json: name and size, then a figure for each run, or "why_not".
Row = dict[str, t.Any]
LARGE, SMALL = "1 GB", "0.1 GB"
MEMORY_MB = 128


def median(rows: t.Sequence[Row], name: str, size: str, key: str = "wall_s") -> float | None:
    """The median of one row's figures; None where they couldn't be measured."""
    for row in rows:
        values = [value for value in row.get(key, ()) if value is not None]
        if (row["name"], row["size"]) == (name, size) and values and "why_not" not in row:
            return float(statistics.median(values))
    return None


def judge(rows: t.Sequence[Row]) -> list[Target]:
    """The figures to reach, at the largest size."""

    def ratio(of: float | None, to: float | None) -> float | None:
        return None if of is None or not to else round(of / to, 3)

    def at_most(name: str, limit: float, value: float | None, unit: str = "") -> Target:
        return Target(name, f"<= {limit:g}{unit}", value, None if value is None else value <= limit)

    def at_least(name: str, limit: float, value: float | None, unit: str = "") -> Target:
        return Target(name, f">= {limit:g}{unit}", value, None if value is None else value >= limit)

    def worst(name: str, key: str) -> float | None:
        values = [value for row in rows if row["name"] == name and "why_not" not in row for value in row.get(key, ())]
        return max(values, default=None)

    targets = []
    for name in (OURS, AGE):
        wall = median(rows, name, LARGE)
        output = ratio(median(rows, name, LARGE, "output_bytes"), median(rows, SEED, LARGE, "output_bytes"))
        targets += [
            at_most(f"{name}: time against the limit", 1.5, ratio(wall, median(rows, LIMIT, LARGE)), " x"),
            at_least(f"{name}: faster than the seed", 5, ratio(median(rows, SEED, LARGE), wall), " x"),
            at_least(
                f"{name}: smaller than the seed's output",
                10,
                None if output is None else round(100 - output * 100, 1),
                " %",
            ),
            at_most(f"{name}: memory, any size", MEMORY_MB, worst(name, "peak_mb"), " MB"),
            at_most(f"{name}: bytes to production's disk, any size", 0, worst(name, "disk_bytes")),
        ]
    return [*targets, *_growth(rows)]


def _growth(rows: t.Sequence[Row]) -> list[Target]:
    """Ten times the text may take ten times as long, and no more memory but what the machine's mood is."""
    wall, memory = (
        None if small is None or large is None else round(large / small, 2)
        for small, large in (
            (median(rows, OURS, SMALL, key), median(rows, OURS, LARGE, key)) for key in ("wall_s", "peak_mb")
        )
    )
    return [
        Target(f"{OURS}: time, {LARGE} to {SMALL}", "<= 10 x", wall, None if wall is None else wall <= 10),
        Target(f"{OURS}: memory, {LARGE} to {SMALL}", "<= 1.25 x", memory, None if memory is None else memory <= 1.25),
    ]


def report(rows: t.Sequence[Row], runs: int) -> None:
    """Print *rows* as a table, and below it what it leaves out."""
    heads = (
        "",
        "size",
        "wall s",
        "x limit",
        "cpu s",
        "server cpu s",
        "peak MB",
        "RSS MB",
        "disk bytes",
        "WAL bytes",
        "output MB",
    )
    cells = []
    for row in rows:
        name, size = row["name"], row["size"]
        wall, limit = median(rows, name, size), median(rows, LIMIT, size)
        output = median(rows, name, size, "output_bytes")
        cells.append(
            (
                name,
                size,
                wall,
                wall / limit if wall and limit else None,
                *(median(rows, name, size, key) for key in ("cpu_s", "server_cpu_s", "peak_mb", "peak_rss_mb")),
                *(max(row.get(key) or [0]) for key in ("disk_bytes", "wal_bytes")),
                None if output is None else output / 1e6,
            )
        )
    print(f"\nDumps over ssh to loopback (medians of {runs}; the server's own CPU apart; bytes are the most of a run)")
    print(table(heads, cells))
    print()
    for row in rows:
        if "text_bytes" in row:
            took = median(rows, row["name"], row["size"], "archive_s")
            text = row["text_bytes"][0] / 1e6
            print(f"{row['name']}, {row['size']}: {text:.1f} MB of text; archived in {took:.2f} s more")
        if "why_not" in row:
            print(f"{row['name']}, {row['size']}: NOT MEASURED: {row['why_not']}")
