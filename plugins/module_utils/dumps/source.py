# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``dump-source``: write a database's dump to stdout, proved as it flows.

It is the one command that the backup user may run as the dumping user, and it takes no arguments. Whoever starts it
holds its stdin open; when that ends, so do pg_dump, zstd and the sessions. Nothing is written to a disk. What goes
wrong is said in the stream's trailer, on stderr and by the exit status.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import os
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

from .config import read_settings
from .counts import Counted, compare
from .frames import END, FRAME_LIMIT, prefix, section
from .manifest import Abort, Header, Trailer, encode
from .names import DumpName, utc_text
from .postgres import CONNECTION_CHECK, Snapshot
from .processes import PIPE_SIZE, Child, DumpError, say, widen, write_all
from .scan import Scanner

PROGRAM = "dump-source"
CONFIG = "/etc/taaraxtak/dump-source.json"
STDIN, STDOUT = 0, 1
# Of a differing dump so many tables are named in the reason.
DIFFERENCES_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Settings:
    """The keys of the settings' file. ``role`` is the database role, "" for that of the OS user; times in seconds."""

    database: str
    bindir: str
    socket: str
    port: int = 5432
    role: str = ""
    level: int = 3
    threads: int = 2
    lock_wait_timeout: int = 60
    # The snapshot holds back vacuum: no dump may hold it longer than this.
    overall_timeout: float = 6 * 3600.0
    zstd: str = "/usr/bin/zstd"

    def __post_init__(self) -> None:
        if not 1 <= self.level <= 19:
            raise ValueError(f"level must be 1 to 19, as zstd has them, not {self.level}")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"port must be 1 to 65535, not {self.port}")


class Guard:
    """Ends everything as soon as stdin does, or the time is over, whatever the main thread waits for."""

    def __init__(self, overall_timeout: float) -> None:
        self._lock = threading.Lock()
        self._children: list[Child] = []
        self._snapshot: Snapshot | None = None
        threading.Thread(target=self._watch_input, daemon=True).start()
        timer = threading.Timer(overall_timeout, self._give_up, [f"the dump took longer than {overall_timeout:g} s"])
        timer.daemon = True
        timer.start()

    def holds(self, thing: Child | Snapshot) -> None:
        """End *thing* too."""
        with self._lock:
            if isinstance(thing, Snapshot):
                self._snapshot = thing
            else:
                self._children.append(thing)

    def _watch_input(self) -> None:
        if os.read(STDIN, 1):
            self._give_up("the sender wrote to the source, which takes no input")
        self._give_up("the sender is gone")

    def _give_up(self, why: str) -> None:
        # Never released: what the main thread begins now is killed with this process (PR_SET_PDEATHSIG).
        self._lock.acquire()
        for child in self._children:
            child.kill()
        if self._snapshot is not None:
            self._snapshot.cancel()
        say(PROGRAM, why, error=True)
        os._exit(1)


class Task(threading.Thread):
    """A thread whose failure is kept and handed on; it stops the rest when it fails."""

    def __init__(self, work: t.Callable[[], t.Any], stop: t.Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._stop_rest = stop
        self.result: t.Any = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._work()
        except Exception as error:
            self.error = error
            self._stop_rest()


class Dump:
    """One run: pg_dump, zstd, the scan between them and the counts beside them."""

    def __init__(self, settings: Settings, name: DumpName, guard: Guard) -> None:
        self._settings = settings
        self._name = name
        self._guard = guard
        self._children: list[Child] = []
        self._scanner = Scanner()

    def run(self, send: t.Callable[[bytes], None]) -> Trailer | Abort:
        """Send the compressed dump in pieces; then what the trailer has to say."""
        settings = self._settings
        try:
            snapshot = Snapshot(
                database=settings.database,
                socket=settings.socket,
                port=settings.port,
                role=settings.role,
                lock_wait_timeout=settings.lock_wait_timeout,
            )
        except DumpError as error:
            return Abort(reason=str(error))
        self._guard.holds(snapshot)
        try:
            return self._run(snapshot, send)
        except DumpError as error:
            return Abort(reason=str(error), statuses=self._statuses())
        finally:
            self._kill()
            for child in self._children:
                child.wait()
            snapshot.close()

    def _run(self, snapshot: Snapshot, send: t.Callable[[bytes], None]) -> Trailer | Abort:
        versions = {"server": snapshot.server_version(), **self._program_versions()}
        extensions, database = snapshot.extensions(), snapshot.settings()
        pg_dump = self._start("pg_dump", self._pg_dump(snapshot.id), env=self._environment(), stdin=subprocess.DEVNULL)
        zstd = self._start("zstd", self._zstd(), stdin=subprocess.PIPE)

        def stop() -> None:
            self._kill()
            snapshot.cancel()

        counting = Task(snapshot.count, stop)
        scanning = Task(lambda: self._pump(pg_dump, zstd), stop)
        digest, size = hashlib.sha256(), 0
        try:
            while piece := os.read(zstd.output, min(PIPE_SIZE, FRAME_LIMIT)):
                digest.update(piece)
                size += len(piece)
                send(piece)
            scanning.join()
            for child in self._children:
                child.wait()
            # In this order: what the counting says after it was cancelled is no reason.
            problems = [text for child in self._children if (text := child.complaint())]
            problems += [str(task.error) for task in (scanning, counting) if task.error is not None]
            if problems:
                stop()
        except BaseException:
            stop()
            raise
        finally:
            scanning.join()
            counting.join()
        if not problems and counting.error is not None:
            problems.append(str(counting.error))
        if problems:
            return Abort(reason="; ".join(problems), statuses=self._statuses())
        try:
            scanned = self._scanner.finish()
        except ValueError as error:
            return Abort(reason=str(error), statuses=self._statuses())
        counted: list[Counted] = counting.result
        compared = compare(counted, {table: data.rows for table, data in scanned.tables.items()})
        if compared.differences:
            shown = "; ".join(compared.differences[:DIFFERENCES_SHOWN])
            rest = len(compared.differences) - DIFFERENCES_SHOWN
            reason = f"the dump is not what the snapshot holds: {shown}" + (f"; and {rest} more" if rest > 0 else "")
            return Abort(reason=reason, statuses=self._statuses())
        return Trailer(
            name=self._name,
            started=utc_text(self._name.started),
            finished=utc_text(dt.datetime.now(dt.UTC)),
            statuses=self._statuses(),
            bytes=size,
            sha256=digest.hexdigest(),
            raw_bytes=scanned.raw_bytes,
            tables=scanned.tables,
            sequences=scanned.sequences,
            via_root=compared.via_root,
            versions=versions,
            settings=database,
            extensions=extensions,
        )

    def _pump(self, pg_dump: Child, zstd: Child) -> None:
        """Hand the text on to zstd and read it as it goes by."""
        try:
            while piece := os.read(pg_dump.output, PIPE_SIZE):
                write_all(zstd.input, piece)
                self._scanner.feed(piece)
        except BrokenPipeError:
            # Its own exit status says why.
            raise DumpError("zstd stopped before the dump ended") from None
        finally:
            zstd.close_input()

    def _start(self, name: str, arguments: list[str], **options: t.Any) -> Child:
        child = Child(arguments, name=name, keep_stderr=True, stdout=subprocess.PIPE, cwd="/", **options)
        self._children.append(child)
        self._guard.holds(child)
        return child

    def _kill(self) -> None:
        for child in self._children:
            child.kill()

    def _statuses(self) -> dict[str, int]:
        return {
            child.name: child.process.returncode for child in self._children if child.process.returncode is not None
        }

    def _environment(self) -> dict[str, str]:
        # None of the caller's PG* variables.
        return {
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "PGOPTIONS": CONNECTION_CHECK,
            "PGAPPNAME": "taaraxtak dump",
        }

    def _pg_dump(self, snapshot: str) -> list[str]:
        settings = self._settings
        role = [f"--username={settings.role}"] if settings.role else []
        return [
            # The versioned program: Debian's pg_dump in /usr/bin guesses a cluster.
            str(Path(settings.bindir) / "pg_dump"),
            "--format=plain",
            "--encoding=UTF8",
            f"--snapshot={snapshot}",
            f"--lock-wait-timeout={settings.lock_wait_timeout}s",
            "--no-password",
            f"--host={settings.socket}",
            f"--port={settings.port}",
            *role,
            f"--dbname={settings.database}",
        ]

    def _zstd(self) -> list[str]:
        return [
            self._settings.zstd,
            "--quiet",
            "--stdout",
            f"-{self._settings.level}",
            f"-T{self._settings.threads}",
            "-",
        ]

    def _program_versions(self) -> dict[str, str]:
        return {
            "pg_dump": _version([str(Path(self._settings.bindir) / "pg_dump"), "--version"]),
            "zstd": _version([self._settings.zstd, "--version"]),
        }


def _version(arguments: list[str]) -> str:
    try:
        # These programs run without Ansible: there is no module whose run_command could be called.
        # pylint: disable-next=ansible-bad-function
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, cwd="/")
    except (OSError, subprocess.SubprocessError) as error:
        raise DumpError(f"{arguments[0]} could not be asked for its version: {error}") from error
    return done.stdout.strip()


def main(config: str = CONFIG) -> int:
    """Write one stream to stdout: 0 where its trailer says ok, else 1."""
    if len(sys.argv) > 1:
        say(PROGRAM, "takes no arguments: what is dumped is in its settings", error=True)
        return 1
    try:
        settings = read_settings(Settings, config)
        name = DumpName(settings.database, dt.datetime.now(dt.UTC))
    except ValueError as error:
        say(PROGRAM, str(error), error=True)
        return 1
    guard = Guard(settings.overall_timeout)
    widen(STDOUT)
    try:
        write_all(STDOUT, section(encode(Header(name=name, started=utc_text(name.started)).document())))
        ending = Dump(settings, name, guard).run(lambda piece: write_all(STDOUT, prefix(len(piece)), piece))
        write_all(STDOUT, END, section(encode(ending.document())))
    except OSError as error:
        say(PROGRAM, f"the stream could not be written: {error}", error=True)
        return 1
    if isinstance(ending, Abort):
        say(PROGRAM, ending.reason, error=True)
        return 1
    return 0
