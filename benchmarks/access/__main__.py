# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pg_access beside its peers: the same cluster, the same wanted state, nothing to change, check only.

Prints tables and writes build/bench/access.json. It measures; it does not judge.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import typing as t
from pathlib import Path

from ..common import ROOT, target_table, write
from . import estate, holes, loading, peers, playbooks, specs
from .measure import Command, Run, Server, run
from .results import Row, judge, report

RUNS = 3


def main() -> int:
    """Everything, one after the other: what runs at once would measure itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the smallest size only, and one run of each")
    quick = parser.parse_args().quick
    runs = 1 if quick else RUNS
    missing = peers.prepare()
    rows: list[Row] = []
    for size in estate.SIZES[:1] if quick else estate.SIZES:
        rows += measure_size(size, runs, missing)
    for tables in playbooks.SIZES[:1] if quick else playbooks.SIZES:
        rows += measure_playbooks(tables, runs)
    targets = judge(rows)
    report(rows, runs)
    print()
    print(target_table(targets))
    print(f"written to {write('access', rows, targets)}")
    return 0


def progress(text: str) -> None:
    """One line at once: the whole takes minutes."""
    print(text, flush=True)


@contextlib.contextmanager
def loaded(cluster: t.Iterable[str], database: t.Iterable[str]) -> t.Iterator[tuple[Server, Path]]:
    """A quiet server with that in it, and a folder for what is written beside."""
    with Server() as server, tempfile.TemporaryDirectory(prefix="bench-access-") as folder:
        server.load([f"CREATE DATABASE {estate.DATABASE}"], "postgres")
        server.load(cluster, "postgres")
        server.load(database)
        server.settle()
        yield server, Path(folder)


def measure_size(size: estate.Size, runs: int, missing: t.Mapping[str, str]) -> list[Row]:
    """One row for each tool, and two for effective access."""
    progress(f"{size.name}: {size.tables} tables, {size.logins} login roles")
    made = estate.make(size)
    with loaded(loading.cluster(made), loading.database(made)) as (server, folder):
        tools = peers.tools(server, made, folder, missing)
        rows = [measure_tool(tool, server, size, runs) for tool in tools]
        rows += measure_effective(server, made, runs)
        if size is estate.SIZES[0]:
            working = [tool for tool, row in zip(tools, rows, strict=False) if "why_not" not in row]
            found = holes.seen(server, made, working)
            for tool, row in zip(tools, rows, strict=False):
                if tool.name in found:
                    row["holes"] = found[tool.name]
    return rows


def measure_tool(tool: peers.Tool, server: Server, size: estate.Size, runs: int) -> Row:
    """The costs of *tool*'s dry run; ``why_not`` in their place where it can't be run."""
    row: Row = {"name": tool.name, "size": size.name}
    if tool.beyond:
        row["beyond"] = tool.beyond
    if tool.why_not is not None:
        return row | {"why_not": tool.why_not}
    try:
        results = cost(row, tool.command, server, runs)
        row["planned"] = tool.planned(results[-1].output)
    except ValueError as error:
        row["why_not"] = str(error)
    return row


def cost(row: Row, command: Command, server: Server, runs: int) -> list[Run]:
    """Run *command* once to warm up, *runs* times for the clock, and once for each other figure; into *row*."""
    progress(f"  {row['name']}")
    run(command)
    results = [run(command) for _ in range(runs)]
    row["wall_s"] = [round(one.wall_s, 3) for one in results]
    row["cpu_s"] = [round(one.cpu_s, 3) for one in results]
    row["peak_mb"] = [round(one.peak_mb, 1) for one in results]
    row["rows_rewritten"], row["wal_bytes"] = server.written(command)
    row["queries"] = server.queries(command)
    return results


def measure_effective(server: Server, made: estate.Estate, runs: int) -> list[Row]:
    """Effective access of all roles: our core, with paths, and the server's has_table_privilege, without."""
    given = json.dumps({"login": peers.login(server), "written": specs.ours(made)})
    env = {"PYTHONPATH": str(ROOT)}

    def command(word: str) -> Command:
        return Command((sys.executable, "-m", "benchmarks.access.effective", word), stdin=given, env=env)

    rows: list[Row] = []
    for name, word in (("effective access, with paths", "paths"), ("has_table_privilege of all", "cross_product")):
        row: Row = {"name": name, "size": made.size.name}
        try:
            row |= json.loads(cost(row, command(word), server, runs)[-1].output)
            if word == "paths":
                row["agrees"] = json.loads(run(command("agree")).output)
        except ValueError as error:
            row["why_not"] = str(error)
        rows.append(row)
    return rows


def measure_playbooks(tables: int, runs: int) -> list[Row]:
    """A small policy as tasks: ten of community.postgresql, one of ours; ``tasks_s`` without Ansible's own start."""
    progress(f"a small policy as tasks, on {tables} tables")
    rows: list[Row] = []
    with loaded(playbooks.cluster(), playbooks.database(tables)) as (server, folder):
        books = {
            "a playbook without tasks": [],
            "community.postgresql, ten tasks": playbooks.ten_tasks(server),
            "pg_access, one task": playbooks.one_task(server, folder),
        }
        for name, tasks in books.items():
            row: Row = {"name": name, "size": f"{tables} tables"}
            try:
                results = cost(row, playbooks.playbook(folder, f"tasks-{len(rows)}", tasks), server, runs)
                row["planned"] = playbooks.changed(results[-1].output)
                start = statistics.median(rows[0]["wall_s"]) if rows else 0.0
                row["tasks_s"] = [round(one.wall_s - start, 3) for one in results] if rows else [0.0]
            except ValueError as error:
                row["why_not"] = str(error)
            rows.append(row)
    return rows


if __name__ == "__main__":
    sys.exit(main())
