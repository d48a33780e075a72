# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database that is dumped: the sample collector's rows in a quiet scratch cluster."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import psycopg2
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import SUPERUSER, ScratchCluster

from ..common import ROOT

# Nothing but the dump is at work, and what it reads lies in memory: each run finds the same.
QUIET = {"autovacuum": "off", "checkpoint_timeout": "1d", "max_wal_size": "2GB", "shared_buffers": "512MB"}
READER = "dumper"


class Server(ScratchCluster):
    """A server with a database for each size, and the role that reads for a dump."""

    def __init__(self) -> None:
        super().__init__(settings=QUIET)
        # Stands for /run, which is in memory on a host and not in every container.
        self.volatile = Path(tempfile.mkdtemp(prefix="bench-dump-", dir="/dev/shm"))

    def __enter__(self) -> Server:
        super().__enter__()
        self.run_sql("postgres", f"CREATE ROLE {READER} LOGIN BYPASSRLS", f"GRANT pg_read_all_data TO {READER}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        shutil.rmtree(self.volatile)

    @property
    def pid(self) -> int:
        """Of the postmaster."""
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def fill(self, database: str, rows: int) -> None:
        """A *database* with *rows* rows, vacuumed: reading what was just loaded would write hint bits."""
        self.run_sql("postgres", f"CREATE DATABASE {database}")
        with tempfile.TemporaryDirectory(prefix="bench-dump-app-") as folder:
            app = Path(folder) / "app"
            shutil.copytree(ROOT / "sample" / "collector", app)
            login = {"host": str(self.socket), "port": self.port, "user": SUPERUSER, "dbname": database}
            (app / "config.py").write_text(f"config = {{'postgres': {login!r}}}\n")
            for command in (["create_tables.py"], ["collect.py", "--rows", str(rows)]):
                subprocess.run([sys.executable, "-B", *command], cwd=app, check=True, stdout=subprocess.DEVNULL)
        self.run_sql(database, "VACUUM (FREEZE, ANALYZE)", "CHECKPOINT")

    def drop(self, database: str) -> None:
        """Give its space back."""
        self.run_sql("postgres", f"DROP DATABASE {database}", "CHECKPOINT")

    def wal_position(self) -> int:
        """Bytes of WAL since the cluster was made."""
        return int(self.run_sql("postgres", "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")[0][0])

    def pg_dump(self, database: str) -> list[str]:
        """pg_dump as everyone here runs it, to stdout."""
        where = [f"--host={self.socket}", f"--port={self.port}", f"--username={READER}", f"--dbname={database}"]
        return [str(self.bindir / "pg_dump"), "--no-password", *where]

    def run_sql(self, database: str, *statements: str) -> list[tuple[object, ...]]:
        connection = psycopg2.connect(host=str(self.socket), port=self.port, user=SUPERUSER, dbname=database)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()
