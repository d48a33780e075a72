# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore with all its proofs beside `zstd -dc FILE | psql -X -1`, of the sample collector's database.

Prints tables and writes build/bench/restore.json. It measures; it does not judge.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import typing as t
import urllib.parse
from pathlib import Path

from .common import Target, table, target_table, write
from .dump.measure import pipeline
from .dump.server import SUPERUSER, Server
from .dump.ways import COMMAND, Ours
from .dump.wire import Sshd

RUNS = 3
# Rows of the sample collector by the GB of text that they make.
SIZES = {"0.1 GB": 900_000, "1 GB": 9_000_000}
QUICK = {"0.02 GB": 180_000}
PLAIN, OURS = "zstd -dc FILE | psql -X -1", "dump-restore, all proofs"
MEMORY_MB = 128
# What a dump is of must belong to somebody who is no superuser, as under the policy.
OWNER = "bench_owner"
OWN = """
DO $$ DECLARE one record; BEGIN
  FOR one IN SELECT oid::regclass AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
  LOOP EXECUTE format('ALTER TABLE %s OWNER TO bench_owner', one.name); END LOOP; END $$
"""

Row = dict[str, t.Any]


def main() -> int:
    """Everything, one after the other: what runs at once would measure itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small database only, and one run of each")
    quick = parser.parse_args().quick
    rows: list[Row] = []
    with Server() as server, tempfile.TemporaryDirectory(prefix="bench-restore-") as folder:
        server.run_sql("postgres", f"CREATE ROLE {OWNER}")
        with Sshd(Path(folder)) as sshd:
            for size, count in (QUICK if quick else SIZES).items():
                rows += measure_size(server, sshd, Path(folder) / f"rows-{count}", (size, count), 1 if quick else RUNS)
    heads = ("", "size", "wall s", "cpu s", "server cpu s", "peak MB", "disk bytes")
    keys = ("wall_s", "cpu_s", "server_cpu_s", "peak_mb", "disk_bytes")
    print(table(heads, [(row["name"], row["size"], *(median(row, key) for key in keys)) for row in rows]))
    targets = judge(rows)
    print()
    print(target_table(targets))
    print(f"written to {write('restore', rows, targets)}")
    return 0


def measure_size(server: Server, sshd: Sshd, folder: Path, what: tuple[str, int], runs: int) -> list[Row]:
    """A row for each way."""
    size, count = what
    database = f"bench_{count}"
    print(f"{size}: the sample collector writes {count} rows, and they are dumped", flush=True)
    server.fill(database, count)
    server.run_sql(database, OWN)
    folder.mkdir()
    sshd.own(folder)
    ours = Ours(server, sshd, folder / f"ours-{count}", database).way(OURS)
    ours.prepare()
    pipeline(ours.commands, server.pid)
    ours.finish()
    (dump,) = (
        path for path in (folder / f"ours-{count}" / "archive").glob("*.sql.zst") if ".globals." not in path.name
    )
    found: list[Row] = [{"name": name, "size": size} for name in (PLAIN, OURS)]
    for number in range(runs):
        for row in found:
            print(f"  {number + 1} of {runs}: {row['name']}", flush=True)
            server.run_sql("postgres", "DROP DATABASE IF EXISTS bench_copy", "CHECKPOINT")
            commands = plain(server, dump) if row["name"] == PLAIN else proved(server, dump, folder / f"ours-{count}")
            cost = pipeline(commands, server.pid)
            for key in ("wall_s", "cpu_s", "server_cpu_s", "peak_mb", "disk_bytes"):
                row.setdefault(key, []).append(round(getattr(cost, key), 3))
    server.run_sql("postgres", "DROP DATABASE IF EXISTS bench_copy")
    server.drop(database)
    return found


def plain(server: Server, dump: Path) -> list[list[str]]:
    """What people do by hand, into a database that they have made."""
    server.run_sql("postgres", "CREATE DATABASE bench_copy TEMPLATE template0")
    where = [f"--host={server.socket}", f"--port={server.port}", f"--username={SUPERUSER}", "--dbname=bench_copy"]
    psql = [str(server.bindir / "psql"), "-X", "-1", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", *where]
    return [["zstd", "-q", "-dc", str(dump)], psql]


def proved(server: Server, dump: Path, folder: Path) -> list[list[str]]:
    """Our own, database included."""
    command = folder / "restore"
    text = COMMAND.format(python=sys.executable, lib=str(folder / "lib"), module="restore.command", config="")
    command.write_text(text.replace("main('')", "main()"))
    command.chmod(0o755)
    url = f"postgresql://{SUPERUSER}@/bench_copy?host={urllib.parse.quote(str(server.socket))}&port={server.port}"
    options = [f"--file={dump}", f"--signers={folder / 'signers'}", "--keep-previous=0", f"--bindir={server.bindir}"]
    return [["/usr/bin/env", f"PGURL={url}", str(command), *options]]


def median(row: Row, key: str) -> float | None:
    """Of one row's figures."""
    return float(statistics.median(row[key])) if row.get(key) else None


def judge(rows: t.Sequence[Row]) -> list[Target]:
    """The figures to reach, at the largest size."""
    largest = rows[-1]["size"]
    walls = {row["name"]: median(row, "wall_s") for row in rows if row["size"] == largest}
    mine, theirs = walls[OURS], walls[PLAIN]
    ratio = round(mine / theirs, 2) if mine and theirs else None
    peak = max(value for row in rows if row["name"] == OURS for value in row["peak_mb"])
    disk = max(value for row in rows if row["name"] == OURS for value in row["disk_bytes"])
    return [
        Target(f"time, proof included, {largest}", "<= 1.5 x", ratio, None if ratio is None else ratio <= 1.5),
        Target("memory of our processes, any size", f"<= {MEMORY_MB} MB", peak, peak <= MEMORY_MB),
        Target("bytes written outside of the cluster", "<= 0", disk, disk <= 0),
    ]


if __name__ == "__main__":
    sys.exit(main())
