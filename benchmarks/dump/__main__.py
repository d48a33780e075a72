# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dump of the sample collector's database over ssh: the limit, the seed's pipeline, a plain zstd, and ours.

Prints tables and writes build/bench/dump.json. It measures; it does not judge.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from ..common import target_table, write
from .measure import pipeline
from .results import Row, judge, report
from .server import Server
from .ways import Way, ways
from .wire import Sshd

RUNS = 3
# Rows of the sample collector by the GB of text that they make.
SIZES = {"0.1 GB": 900_000, "1 GB": 9_000_000}
QUICK = {"0.02 GB": 180_000}
# The database takes 1.2 times its text, WAL of the loading twice that at most, the dumps less than half.
SPACE = 5 * 115


def main() -> int:
    """Everything, one after the other: what runs at once would measure itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small database only, and one run of each")
    quick = parser.parse_args().quick
    runs = 1 if quick else RUNS
    rows: list[Row] = []
    with Server() as server:
        for size, count in (QUICK if quick else SIZES).items():
            rows += measure_size(server, size, count, runs)
    report(rows, runs)
    targets = judge(rows)
    print()
    print(target_table(targets))
    print(f"written to {write('dump', rows, targets)}")
    return 0


def progress(text: str) -> None:
    """One line at once: the whole takes minutes."""
    print(text, flush=True)


def measure_size(server: Server, size: str, count: int, runs: int) -> list[Row]:
    """A row for each way."""
    free = shutil.disk_usage(server.folder).free
    if free < SPACE * count:
        why = f"{SPACE * count >> 20} MiB must be free in {tempfile.gettempdir()}, and there are {free >> 20}"
        progress(f"{size}: {why}")
        return [{"name": "all", "size": size, "why_not": why}]
    progress(f"{size}: the sample collector writes {count} rows")
    database = f"bench_{count}"
    server.fill(database, count)
    with tempfile.TemporaryDirectory(prefix="bench-dump-") as folder, Sshd(Path(folder)) as sshd:
        every = ways(server, sshd, Path(folder), database)
        found: list[Row] = [{"name": way.name, "size": size} for way in every]
        # In turns, so that what else the machine does falls on all of them.
        for number in range(runs):
            for way, row in zip(every, found, strict=True):
                progress(f"  {number + 1} of {runs}: {way.name}")
                measure(server, way, row)
    server.drop(database)
    return found


def measure(server: Server, way: Way, row: Row) -> None:
    """One run of *way*, its figures added to *row*."""
    if way.why_not:
        row["why_not"] = way.why_not
        return
    way.prepare()
    wal = server.wal_position()
    try:
        cost = pipeline(way.commands, server.pid)
        more = way.finish()
    except RuntimeError as error:
        row["why_not"] = str(error)
        return
    figures = {
        "wall_s": round(cost.wall_s, 3),
        "cpu_s": round(cost.cpu_s, 3),
        "server_cpu_s": round(cost.server_cpu_s, 2),
        "peak_mb": round(cost.peak_mb, 1),
        "peak_rss_mb": round(cost.peak_rss_mb, 1),
        "disk_bytes": cost.disk_bytes,
        "wal_bytes": server.wal_position() - wal,
        "output_bytes": way.taken(),
        **more,
    }
    for key, value in figures.items():
        row.setdefault(key, []).append(value)


if __name__ == "__main__":
    sys.exit(main())
