# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sender's side of the source: what it is asked for, its streams one after the other, what it says meanwhile."""

from __future__ import annotations

import collections
import contextlib
import json
import subprocess
import threading
import typing as t

from .frames import Section, StreamDecoder
from .guard import WARNING
from .manifest import Request, encode
from .processes import MESSAGE_LIMIT, Child, Clock, DumpError, write_all

# After its last stream the source has only to exit.
LAST_WORDS = 10.0
_LINE_LIMIT = 1 << 16


class SourceLostError(DumpError):
    """The source ended, or never began: there is nothing more to read from it."""


class Source:
    """One run of the source for the artefacts that are *wanted*."""

    def __init__(
        self, command: t.Sequence[str], wanted: t.Sequence[str], told: t.Callable[[dict[str, t.Any]], None]
    ) -> None:
        self._child = Child(
            command,
            name="the source",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
        )
        self._told = told
        self._said: collections.deque[str] = collections.deque(maxlen=20)
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()
        self._decoder = StreamDecoder(many=True)
        self._parts: collections.deque[tuple[Section, bytes]] = collections.deque()
        # Whether one of its streams ended with an abort: then it exits with 1, rightly.
        self.aborted = False
        self._left = False
        # Where it is gone already, what it said is told with the first part that it can't give.
        with contextlib.suppress(OSError):
            write_all(self._child.input, encode(Request(tuple(wanted)).document()), b"\n")

    @property
    def between(self) -> bool:
        """Whether it is just between two streams, so that the next one can be read."""
        if self._left or self._parts:
            return False
        return self._decoder.ended and self._child.process.poll() is None

    def part(self, clock: Clock) -> tuple[Section, bytes]:
        """The next part; SourceLostError where there is none any more."""
        while not self._parts:
            chunk = clock.read(self._child.output, "waiting for the source")
            if not chunk:
                status = self._child.wait(LAST_WORDS)
                raise SourceLostError(f"the source ended before its stream did (exit status {status}){self._words()}")
            try:
                self._parts.extend(self._decoder.feed(chunk))
            except ValueError as error:
                raise DumpError(f"the source's stream is wrong: {error}") from error
        return self._parts.popleft()

    def check(self, clock: Clock, *, last: bool) -> None:
        """Whether a stream whose trailer says ok may be believed; after the *last* one the source must have ended."""
        if last and clock.read(self._child.output, "waiting for the source to end"):
            raise DumpError("the source's stream is wrong: it goes on after all that was asked for")
        status = self._child.wait(LAST_WORDS) if last else self._child.process.poll()
        if status and not (self.aborted and status == 1):
            raise DumpError(f"the source ended with exit status {status} although its trailer says ok{self._words()}")

    def leave(self) -> None:
        """It holds a snapshot and locks: let it go now."""
        self._left = True
        self._child.close_input()

    def end(self) -> None:
        """Nothing of it is left."""
        self._child.end()
        self._listening.join(LAST_WORDS)
        if self._child.process.stderr is not None:
            self._child.process.stderr.close()

    def warnings(self) -> list[str]:
        """What it said of dumps that went well; all of it once it has ended."""
        return [text for text in self._said if f": {WARNING}" in text]

    def _words(self) -> str:
        self._listening.join(LAST_WORDS)
        return f": {'; '.join(self._said)[-MESSAGE_LIMIT:]}" if self._said else ""

    def _listen(self) -> None:
        """Its stderr: lines of JSON say how far it is; the rest is for the reason if it fails."""
        stream = self._child.process.stderr
        if stream is None:
            return
        for line in iter(lambda: stream.readline(_LINE_LIMIT), b""):
            try:
                state = json.loads(line)["progress"]
            except (ValueError, TypeError, KeyError, RecursionError):
                if text := line.decode("utf-8", "replace").strip():
                    self._said.append(text)
                continue
            if isinstance(state, dict):
                self._told(state)
