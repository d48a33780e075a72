# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command costs: its own time and memory, and what it makes the server do."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import subprocess
import tempfile
import time
import typing as t

import psycopg2
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import SUPERUSER, ScratchCluster

from .estate import DATABASE

# Nothing but the command writes: no autovacuum, no checkpoint, no standby's snapshots in the WAL.
QUIET = {
    "autovacuum": "off",
    "checkpoint_timeout": "1d",
    "max_wal_size": "16GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "synchronous_commit": "off",
    "shared_buffers": "512MB",
    "max_locks_per_transaction": "2048",
}
CHUNK = 500
# A statement that arrived, by either of the protocol's ways.
ARRIVED = re.compile(r"LOG:  (?:statement|execute [^:]*): ")
WRITTEN = """
SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint, pg_current_wal_insert_lsn() - '0/0'::pg_lsn
FROM pg_stat_sys_tables WHERE schemaname = 'pg_catalog'
"""


@dataclasses.dataclass(frozen=True)
class Command:
    """A program as it is started; ``good`` are its exit statuses that aren't failures."""

    argv: tuple[str, ...]
    stdin: str = ""
    env: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    good: tuple[int, ...] = (0,)


@dataclasses.dataclass(frozen=True)
class Run:
    """One run: seconds, seconds of CPU and MiB (of the process and of those it waited for), and what it said."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    output: str


def run(command: Command) -> Run:
    """Run *command* to its end; ValueError with its last lines where it fails."""
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as said:
        given.write(command.stdin)
        given.seek(0)
        begun = time.monotonic()
        process = subprocess.Popen(
            command.argv, stdin=given, stdout=said, stderr=subprocess.STDOUT, env={**os.environ, **command.env}
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        output = said.read()
    if process.returncode not in command.good:
        raise ValueError(f"{command.argv[0]} failed with exit status {process.returncode}: {output[-2000:]}")
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, output)


class Server(ScratchCluster):
    """A quiet scratch cluster that counts what a command makes it do."""

    def __init__(self) -> None:
        super().__init__(settings=QUIET)

    @property
    def dsn(self) -> str:
        """libpq's connection string to the estate's database."""
        return f"host={self.socket} port={self.port} user={SUPERUSER} dbname={DATABASE}"

    @contextlib.contextmanager
    def connect(self, database: str = DATABASE) -> t.Iterator[t.Any]:
        """A psycopg2 cursor in autocommit mode."""
        connection = psycopg2.connect(host=str(self.socket), port=self.port, user=SUPERUSER, dbname=database)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def load(self, statements: t.Iterable[str], database: str = DATABASE) -> None:
        """Run *statements*, CHUNK of them in a transaction."""
        every = list(statements)
        with self.connect(database) as cursor:
            for first in range(0, len(every), CHUNK):
                cursor.execute(";\n".join(every[first : first + CHUNK]))

    def settle(self) -> None:
        """Vacuum, so that readers have nothing left to tidy up."""
        for database in ("postgres", DATABASE):
            with self.connect(database) as cursor:
                cursor.execute("VACUUM (FREEZE, ANALYZE)")
                cursor.execute("CHECKPOINT")

    def written(self, command: Command) -> tuple[int, int]:
        """Catalogue rows that *command* inserted, updated or deleted (rolled back or not), and bytes of WAL."""
        before = self._written()
        run(command)
        after = self._written()
        return after[0] - before[0], after[1] - before[1]

    def _written(self) -> tuple[int, int]:
        time.sleep(1.2)  # a session reports its counts at its end, at the latest a second after its last transaction
        with self.connect() as cursor:
            cursor.execute(WRITTEN)
            rows, lsn = cursor.fetchone()
            return int(rows), int(lsn)

    def queries(self, command: Command) -> int:
        """Statements that a run of *command* sends: the server logs each one."""
        with self._logged():
            before = len(self.log())
            run(command)
            return len(ARRIVED.findall(self.log()[before:]))

    @contextlib.contextmanager
    def _logged(self) -> t.Iterator[None]:
        with self.connect("postgres") as cursor:
            cursor.execute("ALTER SYSTEM SET log_statement = 'all'")
            cursor.execute("SELECT pg_reload_conf()")
        time.sleep(0.5)  # the signal has to reach the postmaster before the next session begins
        try:
            yield
        finally:
            with self.connect("postgres") as cursor:
                cursor.execute("ALTER SYSTEM RESET log_statement")
                cursor.execute("SELECT pg_reload_conf()")
            time.sleep(0.5)
