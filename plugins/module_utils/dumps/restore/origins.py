# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the bytes of a dump come from: a file that is open, or what a command writes, which ssh is as a rule."""

from __future__ import annotations

import os
import select
import stat
import subprocess
import typing as t

from ..processes import PIPE_SIZE, Child, DumpError

# Seconds in which a command must write something, or end.
IDLE = 300.0
# By these ssh finds its keys and its agent.
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK")


class Origin(t.Protocol):
    """The stored bytes of one dump, opened to be read once."""

    @property
    def descriptor(self) -> int:
        """Where they are read."""

    @property
    def idle(self) -> float | None:
        """Seconds in which something must come; None where nothing can fail to."""

    def finish(self) -> None:
        """After the last byte: DumpError where it was not the last."""

    def kill(self) -> None:
        """No more is wanted; what is being read ends."""

    def close(self) -> None:
        """Nothing of it is left."""


class FileOrigin:
    """An open file."""

    idle: float | None = None

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "rb", buffering=0)

    @property
    def descriptor(self) -> int:
        return self._file.fileno()

    def finish(self) -> None:
        """Its size, and where there is a manifest its SHA-256, say whether that was all."""

    def kill(self) -> None:
        """A file does not make anybody wait."""

    def close(self) -> None:
        self._file.close()


class CommandOrigin:
    """What a command writes."""

    def __init__(self, command: t.Sequence[str], idle: float = IDLE) -> None:
        self.idle: float | None = idle
        self._child = _start(command)

    @property
    def descriptor(self) -> int:
        return self._child.output

    def finish(self) -> None:
        self._child.wait(self.idle)
        if self._child.process.returncode != 0:
            raise DumpError(f"the store did not give the dump: {complaint(self._child)}")

    def kill(self) -> None:
        self._child.kill()

    def close(self) -> None:
        self._child.kill()
        self._child.end()


def ask(command: t.Sequence[str], limit: int, idle: float = IDLE) -> bytes:
    """All that *command* writes; DumpError where that is more than *limit* bytes, or the command failed."""
    child = _start(command)
    answer = bytearray()
    poll = select.poll()
    poll.register(child.output, select.POLLIN)
    try:
        while True:
            if not poll.poll(idle * 1000):
                raise DumpError(f"the store said nothing for {idle:g} s")
            piece = os.read(child.output, PIPE_SIZE)
            if not piece:
                break
            answer += piece
            if len(answer) > limit:
                raise DumpError(f"the store's answer is longer than {limit} bytes")
        child.wait(idle)
    finally:
        child.kill()
        child.end()
    if child.process.returncode != 0:
        raise DumpError(f"the store did not answer: {complaint(child)}")
    return bytes(answer)


def complaint(child: Child) -> str:
    """Why *child* failed, in a line that is safe to show: the first that it wrote, for the rest is advice."""
    status = child.process.returncode
    how = f"was ended by signal {-status}" if status < 0 else f"failed with exit status {status}"
    said = printable(child.said().partition("\n")[0]).strip()
    return f"{child.name} {how}" + (f": {said}" if said else "")


def printable(text: str) -> str:
    """*text* without what a terminal would obey: others wrote it."""
    return "".join(each if each.isprintable() else "?" for each in text)


def open_file(path: str, **options: t.Any) -> tuple[int, os.stat_result]:
    """A descriptor of the regular file *path* and what it is; DumpError where it is none or can't be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, **options)
    except OSError as error:
        raise DumpError(f"{path} could not be read: {error.strerror}") from None
    return checked(descriptor, path)


def checked(descriptor: int, file: str) -> tuple[int, os.stat_result]:
    """The same *descriptor* and what it is; closed, and DumpError, where that is no regular file."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise DumpError(f"{file} is no file")
    return descriptor, found


def _start(command: t.Sequence[str]) -> Child:
    return Child(
        command,
        name=os.path.basename(command[0]),  # noqa: PTH119 (a word of a command, and no path of ours)
        keep_stderr=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        cwd="/",
        env={**{key: os.environ[key] for key in _KEPT if key in os.environ}, "LC_ALL": "C"},
    )
