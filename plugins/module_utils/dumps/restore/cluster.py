# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's cluster: made for one dump, reached by a socket in a folder of its own, gone with this process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
import types
import typing as t
from pathlib import Path

from ..processes import ENDING_SIGNALS, GRACE, Child, DumpError, say

PROGRAM = "dump-drill"
PREFIX = "taaraxtak-drill-"
# Port numbers name the socket's file alone.
PORT = 5432
# initdb, and a server's start on a busy machine.
START_TIMEOUT = 120.0
# What is above what ALTER ROLE and ALTER DATABASE in the globals may have set.
OPTIONS = (
    "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c role=none "
    "-c default_transaction_read_only=off -c log_min_messages=fatal -c log_min_error_statement=panic"
)
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "jit": "off",
    "huge_pages": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    # One transaction makes all tables, and holds a lock on each, its indexes and its sequences: 160,000 of them.
    "max_connections": "20",
    "max_locks_per_transaction": "8192",
    "shared_buffers": "128MB",
    "maintenance_work_mem": "128MB",
    "timezone": "UTC",
    # What a dump's text holds is nobody's to read in a log.
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",
}
# The pages that are not loaded as they are need more than their text; and what initdb makes.
SPACE_FACTOR = 1.5
SPACE_BASE = 256 << 20


def bindir_for(server: str, root: str) -> str:
    """The programs of the dump's major version below Debian's *root*, else of the next newer one that is here."""
    try:
        wanted = int(server.split(".")[0].split(" ")[0])
    except ValueError:
        raise DumpError(f"the manifest names no version of a server: {server!r}") from None
    here = sorted(int(path.name) for path in Path(root).glob("[0-9]*") if (path / "bin" / "initdb").exists())
    fitting = [major for major in here if major >= wanted]
    if not fitting:
        known = ", ".join(map(str, here)) or "none"
        raise DumpError(
            f"the dump is of PostgreSQL {wanted}, and this host has {known}: install postgresql-{wanted} or newer"
        )
    return f"{root}/{fitting[0]}/bin"


def sweep(parent: str) -> None:
    """Remove the folders of drills that were killed; whoever runs holds a lock on its own."""
    for path in Path(parent).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path)
            finally:
                os.close(descriptor)


class Cluster:
    """A cluster that lives as long as the ``with`` block, below the folder *parent*."""

    def __init__(self, bindir: str, superuser: str, *, parent: str, raw_bytes: int) -> None:
        self.bindir = bindir
        self.superuser = superuser
        self._parent = parent
        self._raw_bytes = raw_bytes
        self._lock = -1
        self._server: Child | None = None
        self._others: list[Child] = []
        self.folder = Path()

    def __enter__(self) -> Cluster:
        sweep(self._parent)
        self._check_space()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=self._parent))
        try:
            self._lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._make()
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        # What cleans up must not be cut short, and nothing comes after it.
        for number in ENDING_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self.kill()
        for child in (*self._others, *([self._server] if self._server else [])):
            with contextlib.suppress(DumpError):
                child.wait(2 * GRACE)
            child.kill()
            child.end()
        try:
            shutil.rmtree(self.folder)
        except OSError as failure:
            # Not in silence: a drill a week would fill the disk. The next one sweeps it.
            say(PROGRAM, f"{self.folder} could not be removed: {failure}", error=True)
        if self._lock >= 0:
            os.close(self._lock)

    @property
    def login(self) -> dict[str, t.Any]:
        """How the access package logs in, as the superuser."""
        return {"login_unix_socket": str(self.folder), "login_port": PORT, "login_user": self.superuser}

    def kill(self) -> None:
        """End all that runs, at once; another thread may ask."""
        for child in self._others:
            child.kill()
        if self._server is not None and self._server.process.poll() is None:
            # Immediate shutdown: a postmaster that is killed leaves sessions that compute.
            self._server.process.send_signal(signal.SIGQUIT)

    def psql(self, database: str, *, together: bool) -> Child:
        """psql, that is given text on its standard input and stops at the first error.

        *together*: in one transaction, in which a new table's rows stay in their order, so that the copy gives back the
        same text.
        """
        return self._program(
            "psql",
            *("--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--file=-"),
            *(["--single-transaction"] if together else []),
            f"--dbname={database}",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )

    def pg_dump(self, database: str, *options: str) -> Child:
        """pg_dump, whose text is on its standard output."""
        return self._program(
            "pg_dump",
            *("--format=plain", "--encoding=UTF8", "--no-password", *options),
            f"--dbname={database}",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )

    def _program(self, name: str, *arguments: str, **options: t.Any) -> Child:
        login = [f"--host={self.folder}", f"--port={PORT}", f"--username={self.superuser}"]
        child = Child(
            [f"{self.bindir}/{name}", *login, *arguments],
            name=name,
            keep_stderr=True,
            env={**self._environment, "PGOPTIONS": OPTIONS},
            cwd="/",
            **options,
        )
        self._others.append(child)
        return child

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}

    @property
    def _data(self) -> str:
        return f"{self.folder}/data"

    def _check_space(self) -> None:
        found = os.statvfs(self._parent)
        free, needed = found.f_bavail * found.f_frsize, int(SPACE_FACTOR * self._raw_bytes) + SPACE_BASE
        if free < needed:
            raise DumpError(f"{self._parent} has {free} bytes free, and the drill of this dump needs {needed}")

    def _make(self) -> None:
        arguments = [
            *(f"--pgdata={self._data}", f"--username={self.superuser}", "--encoding=UTF8", "--locale=C.UTF-8"),
            # Only this account reaches the folder.
            *("--auth-local=trust", "--auth-host=reject", "--no-sync", "--no-instructions"),
        ]
        child = Child(
            [f"{self.bindir}/initdb", *arguments],
            name="initdb",
            keep_stderr=True,
            env=self._environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        self._others.append(child)
        child.wait(START_TIMEOUT)
        if problem := child.complaint():
            raise DumpError(f"the sandbox's cluster could not be made: {problem}")

    def _start(self) -> None:
        settings = {**SETTINGS, "unix_socket_directories": str(self.folder), "port": str(PORT)}
        self._server = Child(
            [f"{self.bindir}/postgres", "-D", self._data, *(f"--{name}={value}" for name, value in settings.items())],
            name="postgres",
            keep_stderr=True,
            env=self._environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        end = time.monotonic() + START_TIMEOUT
        while not self._ready():
            if self._server.process.poll() is not None or time.monotonic() > end:
                raise DumpError(f"the sandbox's server did not start: {self._server.said() or 'it said nothing'}")
            time.sleep(0.05)

    def _ready(self) -> bool:
        """The server's own word, the eighth line of its file."""
        try:
            lines = Path(f"{self._data}/postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"
