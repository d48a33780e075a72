# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the files of a plain store, whatever carries them."""

from __future__ import annotations

import abc
import dataclasses
import os
import re
import select
import subprocess
import typing as t

from ..config import MAY_BE_EMPTY
from ..names import MANIFEST_SUFFIX, PARTIAL_SUFFIX, DumpName
from ..processes import PIPE_SIZE, Child, Clock, DumpError
from .guarantees import PLAIN

# Seconds in which a store must do something.
IDLE = 300.0
OVERALL = 6 * 3600.0
# By it ssh finds the agent of a person; rclone finds nothing of the caller's.
_KEPT = ("SSH_AUTH_SOCK",)
# It becomes a word of another host's shell.
_FOLDER = re.compile(r"[A-Za-z0-9_./-]*", re.ASCII)


class AbsentError(DumpError):
    """There is no such file: of all failures the one that proves that."""


class UnknownError(DumpError):
    """It can't be said whether the dump is there: whoever sent it has to ask."""


@dataclasses.dataclass(frozen=True)
class Place:
    """A plain store. ``command`` are the words that connect: of ssh with the host, of rclone with its settings' file.

    ``folder``: where the files lie, "" for the account's own; of s3 the bucket, and what goes before the names in it.
    """

    name: str
    kind: str
    command: tuple[str, ...]
    folder: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)
    idle_timeout: float = IDLE
    overall_timeout: float = OVERALL

    def __post_init__(self) -> None:
        if self.kind not in PLAIN:
            raise ValueError(f"the kind of the store {self.name} is {', '.join(PLAIN)}, not {self.kind!r}")
        if _FOLDER.fullmatch(self.folder) is None or self.folder.startswith("-") or ".." in self.folder.split("/"):
            raise ValueError(
                f"the folder of the store {self.name} has letters, digits, _, ., - and / alone, no - first and no .."
            )
        if self.kind == "s3" and not self.folder.strip("/"):
            raise ValueError(f"the store {self.name} needs its bucket as its folder")

    def clock(self) -> Clock:
        return Clock(idle=self.idle_timeout, overall=self.overall_timeout)

    def path(self, name: str) -> str:
        """The file *name* in the folder."""
        folder = self.folder.rstrip("/") if self.folder != "/" else ""
        return f"{folder}/{name}" if self.folder else name


class Files(abc.ABC):
    """The files of a plain store. DumpError wherever it can't be said that something was done."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def begin(self, name: DumpName) -> None:  # noqa: B027 (most have nothing to do)
        """A dump of this name is about to come."""

    def end(self, name: DumpName) -> None:  # noqa: B027 (most have nothing to do)
        """The dump of this name has come."""

    def temporary(self, name: str) -> str:
        """What the file *name* is called until it was read back."""
        return f"{name}{PARTIAL_SUFFIX}"

    @abc.abstractmethod
    def names(self) -> dict[str, int | None]:
        """All files, and the size of each where the store says it."""

    @abc.abstractmethod
    def read(self, name: str) -> t.Iterator[bytes]:
        """What is in a file, to its end; AbsentError where there is none."""

    @abc.abstractmethod
    def write(self, name: str, pieces: t.Iterable[bytes]) -> None:
        """A new file; where *pieces* raises, what is there of it is no whole file."""

    @abc.abstractmethod
    def place_file(self, name: str) -> None:
        """Give what is `temporary` its own name."""

    @abc.abstractmethod
    def withdraw(self, name: DumpName) -> None:
        """Take a dump's manifest away, and leave a sign beside its data (`partials`) that they are to go."""

    @abc.abstractmethod
    def remove(self, name: str) -> None:
        """Remove one file, which may be gone already."""

    def forget(self, name: DumpName) -> None:  # noqa: B027 (most have nothing to do)
        """Nothing of this dump is there any more."""

    def sweep(self) -> None:  # noqa: B027 (most have nothing to do)
        """Remove what the store itself keeps of transfers that were cut."""

    def content(self, name: str, limit: int) -> bytes:
        """All that is in a small file; DumpError where it is larger than *limit*."""
        content = bytearray()
        for piece in self.read(name):
            content += piece
            if len(content) > limit:
                raise DumpError(f"{name} at {self.place.name} has more than {limit} bytes")
        return bytes(content)

    def manifests(self, names: t.Sequence[DumpName], limit: int) -> t.Iterator[tuple[DumpName, bytes | DumpError]]:
        """The manifest of each, or why it can't be read."""
        for name in names:
            try:
                yield name, self.content(name.manifest, limit)
            except DumpError as error:
                yield name, error

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return name in self.names()

    def lacks(self) -> tuple[str, ...]:
        """What this one does not promise beside what none of its kind does: keys of `guarantees.LOST`."""
        return ()

    def close(self) -> None:  # noqa: B027 (most have nothing to do)
        """Nothing is left of the connection."""


def partials(name: DumpName) -> tuple[str, ...]:
    """Those of them that are no dump's any more once a run is over."""
    return (f"{name}{MANIFEST_SUFFIX}{PARTIAL_SUFFIX}", f"{name}{PARTIAL_SUFFIX}")


def environment() -> dict[str, str]:
    """For ssh and rclone: no variable of the caller's that would be a setting."""
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    return {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **kept, "LC_ALL": "C"}


class Run:
    """One command that talks to the store, ended in any case."""

    def __init__(self, command: t.Sequence[str], place: Place, *, writing: bool = False) -> None:
        self.place = place
        self.clock = place.clock()
        self.child = Child(
            command,
            name=f"the connection to {place.name}",
            keep_stderr=True,
            stdin=subprocess.PIPE if writing else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd="/",
            env=environment(),
        )
        if writing:
            os.set_blocking(self.child.input, False)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *raised: object) -> None:
        # Where its end was waited for this changes nothing; else it must not take what came for the whole.
        self.child.kill()
        self.child.end()

    def write(self, content: bytes) -> None:
        try:
            self.clock.write(self.child.input, f"writing to {self.place.name}", content)
        except OSError as error:
            self.clock.wait(self.child.output, select.POLLIN | select.POLLHUP, f"waiting for {self.place.name} to end")
            raise DumpError(f"{self.place.name} took no more: {self._why() or error}") from error

    def read(self) -> t.Iterator[bytes]:
        """What it says, to the end of that."""
        while piece := self.clock.read(self.child.output, f"waiting for {self.place.name}"):
            yield piece

    def finish(self) -> None:
        """DumpError unless it ended well."""
        self.child.close_input()
        self.child.wait(self.place.idle_timeout)
        if problem := self.child.complaint():
            raise DumpError(problem)

    def _why(self) -> str:
        try:
            self.child.wait(5.0)
        except DumpError as error:
            return str(error)
        return self.child.complaint()


def said(run: Run, limit: int = PIPE_SIZE * 16) -> bytes:
    """All that a command says; DumpError where it failed or says more than *limit* bytes."""
    answer = bytearray()
    for piece in run.read():
        answer += piece
        if len(answer) > limit:
            raise DumpError(f"{run.place.name} says more than {limit} bytes")
    run.finish()
    return bytes(answer)
