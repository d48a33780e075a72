# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL program's text through zstd, and age where it is encrypted: read on its way, hashed where it ends."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import fcntl
import hashlib
import os
import subprocess
import time
import typing as t
from pathlib import Path

from .config import MAY_BE_EMPTY
from .frames import FRAME_LIMIT
from .guard import Guard, Task
from .names import GLOBALS, DumpName
from .postgres import APPLICATION, CONNECTION_CHECK, NO_TIMEOUTS, WRITTEN_ALIKE
from .processes import GRACE, PIPE_SIZE, Child, DumpError, write_all

# None of the caller's PG* variables, no agent, no home. A dump and that of its copy must write a value alike, whatever
# server, database and role have set; pg_dump does not set the time zone either.
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    "PGOPTIONS": f"{CONNECTION_CHECK} {NO_TIMEOUTS} {WRITTEN_ALIKE}",
    "PGTZ": "UTC",
    "PGAPPNAME": APPLICATION,
}
# A second pair of hands must be able to open what is encrypted.
FEWEST_RECIPIENTS = 2
# Seconds. At 200 MB/s, which is more than a server's one process gives, 200 kB come in it.
PAUSE = 0.001


@dataclasses.dataclass(frozen=True)
class Settings:
    """The keys of the source's settings. ``role`` is the database role, "" for that of the OS user; times in seconds.

    ``databases`` may be dumped and nothing else; the globals bear the name of the first. ``recipients`` are age's
    public keys: none, or at least two.
    """

    databases: tuple[str, ...]
    bindir: str
    socket: str
    signing_key: str
    port: int = 5432
    role: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)
    level: int = 3
    threads: int = 2
    recipients: tuple[str, ...] = dataclasses.field(default=(), metadata=MAY_BE_EMPTY)
    leave_out_large_objects: bool = False
    lock_wait_timeout: int = 60
    # The snapshot holds back vacuum: no dump may hold it longer than this.
    overall_timeout: float = 6 * 3600.0
    zstd: str = "/usr/bin/zstd"
    age: str = "/usr/bin/age"
    ssh_keygen: str = "/usr/bin/ssh-keygen"

    def __post_init__(self) -> None:
        if not 1 <= self.level <= 19:
            raise ValueError(f"level must be 1 to 19, as zstd has them, not {self.level}")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"port must be 1 to 65535, not {self.port}")
        for database in self.databases:
            # Each must be able to be part of a file's name.
            DumpName(database, dt.datetime.now(dt.UTC))
        if GLOBALS in self.databases or len(set(self.databases)) != len(self.databases):
            raise ValueError(f"databases must name each database once, and none may be called {GLOBALS}")
        # The key alone: what is behind it is a comment.
        keys = {tuple(recipient.split()[:2]) for recipient in self.recipients}
        if keys and len(keys) < FEWEST_RECIPIENTS:
            raise ValueError(
                f"recipients must hold {FEWEST_RECIPIENTS} different keys at least: whoever loses the only one loses "
                "the dumps"
            )

    def connection(self) -> list[str]:
        """The arguments by which a program of PostgreSQL finds the server."""
        role = [f"--username={self.role}"] if self.role else []
        return ["--no-password", f"--host={self.socket}", f"--port={self.port}", *role]

    def program(self, name: str) -> str:
        """The versioned program: Debian's own in /usr/bin guesses a cluster."""
        return str(Path(self.bindir) / name)


@dataclasses.dataclass(frozen=True)
class Output:
    """What came out at the end."""

    bytes: int
    sha256: str


class Pipeline:
    """The programs of one artefact."""

    def __init__(self, settings: Settings, guard: Guard) -> None:
        self._settings = settings
        self._guard = guard
        self._children: list[Child] = []

    def run(
        self,
        arguments: list[str],
        *,
        look: t.Callable[[bytes], None],
        send: t.Callable[[bytes], None],
        beside: t.Callable[[], t.Any],
        cancel: t.Callable[[], None],
    ) -> tuple[Output, t.Any]:
        """Show the text of the program *arguments* to *look*, and *send* what comes out, in pieces.

        *beside* is done meanwhile in another thread, which *cancel* ends; its result comes back too. DumpError where
        anything failed, once all have ended.
        """
        producer = self._start(Path(arguments[0]).name, arguments, stdin=subprocess.DEVNULL)
        zstd = self._start("zstd", self._zstd(), stdin=subprocess.PIPE)
        last = zstd
        if self._settings.recipients:
            last = self._start("age", self._age(), stdin=zstd.process.stdout)
            zstd.close_output()

        def stop() -> None:
            self._kill()
            cancel()

        task = Task(beside, stop)
        pump = Task(lambda: _pump(producer, zstd, look), stop)
        digest, size = hashlib.sha256(), 0
        try:
            while piece := os.read(last.output, min(PIPE_SIZE, FRAME_LIMIT)):
                digest.update(piece)
                size += len(piece)
                send(piece)
            last.wait(GRACE)
            pump.join()
            for child in self._children:
                child.wait()
            # In this order: what was done beside says nothing of worth once it was cancelled.
            problems = [text for child in self._children if (text := child.complaint())]
            problems += [str(each.error) for each in (pump, task) if each.error is not None]
            if problems:
                stop()
        except BaseException:
            stop()
            raise
        finally:
            pump.join()
            task.join()
        if not problems and task.error is not None:
            problems.append(str(task.error))
        if problems:
            raise DumpError("; ".join(problems))
        for child in self._children:
            if said := " ".join(child.said().split()):
                self._guard.warn(f"{child.name}: {said}")
        return Output(bytes=size, sha256=digest.hexdigest()), task.result

    def close(self) -> None:
        """No program is left."""
        self._kill()
        for child in self._children:
            child.wait()

    def statuses(self) -> dict[str, int]:
        """The exit status of each program that has ended."""
        return {
            child.name: child.process.returncode for child in self._children if child.process.returncode is not None
        }

    def versions(self, program: str) -> dict[str, str]:
        """What *program* and those behind it say of their version."""
        asked = {program: self._settings.program(program), "zstd": self._settings.zstd}
        if self._settings.recipients:
            asked["age"] = self._settings.age
        return {name: _version(path, self._guard) for name, path in asked.items()}

    def _start(self, name: str, arguments: list[str], **options: t.Any) -> Child:
        child = Child(
            arguments, name=name, keep_stderr=True, stdout=subprocess.PIPE, cwd="/", env=ENVIRONMENT, **options
        )
        self._children.append(child)
        return self._guard.child(child)

    def _kill(self) -> None:
        for child in self._children:
            child.kill()

    def _zstd(self) -> list[str]:
        settings = self._settings
        return [settings.zstd, "--quiet", "--stdout", f"-{settings.level}", f"-T{settings.threads}", "-"]

    def _age(self) -> list[str]:
        return [self._settings.age, *(f"--recipient={recipient}" for recipient in self._settings.recipients)]


def flowing(descriptor: int) -> t.Iterator[bytes]:
    """What pg_dump writes to the pipe *descriptor*, to its end.

    It writes 4 kB at a time. To read as often would cost more than all else here, for pg_dump too, which wakes its
    reader: so after a small read the pipe is left alone for a moment. It takes several times that long to fill.
    """
    enough = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ) // 8
    while piece := os.read(descriptor, PIPE_SIZE):
        yield piece
        if len(piece) < enough:
            time.sleep(PAUSE)


def _pump(producer: Child, zstd: Child, look: t.Callable[[bytes], None]) -> None:
    """Hand the text on to zstd and read it as it goes by."""
    try:
        for piece in flowing(producer.output):
            write_all(zstd.input, piece)
            look(piece)
    except BrokenPipeError:
        # Its own exit status says why, once there is one.
        with contextlib.suppress(DumpError):
            zstd.wait(GRACE)
        raise DumpError(f"zstd stopped before {producer.name} ended") from None
    finally:
        zstd.close_input()


def _version(program: str, guard: Guard) -> str:
    child = guard.child(
        Child(
            [program, "--version"],
            name=program,
            keep_stderr=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd="/",
            env=ENVIRONMENT,
        )
    )
    return child.heard(f"the version of {program} is not known").decode("utf-8", "replace").strip()
