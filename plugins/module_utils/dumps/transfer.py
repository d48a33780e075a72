# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One dump on its way from the source to a store."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import signal
import subprocess
import time
import types
import typing as t

from .frames import END, Section, prefix, section
from .manifest import Abort, Ack, Header, Trailer, encode, read_ack, read_trailer
from .names import DumpName, absent, utc_text
from .processes import ENDING_SIGNALS, Child, Clock, DumpError

# Source and sender share a clock; so long may sudo and Python take to start, or the source between two dumps.
NAME_AGE = dt.timedelta(minutes=5)
ACK_LIMIT = 1 << 16
# After a failure the store may still say why.
LAST_WORDS = 10.0
# What is told to a store that takes nothing any more need not wait.
ABORT_TIMEOUT = 2.0
# When the answer is lost the store may still be writing to its disk: so it is asked again.
SETTLE_DELAYS = (0.0, 1.0, 5.0)
SETTLE_TIMEOUT = 60.0
SETTLING = sum(SETTLE_DELAYS) + len(SETTLE_DELAYS) * SETTLE_TIMEOUT


class InterruptedRunError(DumpError):
    """A signal asked this run to end."""


class SourceFailedError(DumpError):
    """The source says of itself that this dump failed."""

    def __init__(self, abort: Abort) -> None:
        super().__init__(f"the source failed: {abort.reason}")
        self.final = abort.final


class RefusedError(DumpError):
    """The store says why it does not hold the dump."""

    def __init__(self, why: str, *, final: bool) -> None:
        super().__init__(why)
        self.final = final


class UnknownOutcomeError(DumpError):
    """The store may hold the dump: it was given everything, and neither its answer nor a later one came."""

    def __init__(self, trailer: Trailer, signature: bytes, why: str) -> None:
        super().__init__(why)
        self.trailer = trailer
        self.signature = signature


class Interruption:
    """Turns the first signal that asks this program to end into an exception, but not just after the store's word."""

    def __init__(self) -> None:
        self._holding = False
        self._came = ""

    def listen(self) -> None:
        """From here on."""
        for number in ENDING_SIGNALS:
            signal.signal(number, self._handle)

    def hold(self) -> None:
        """What the store has said must be noted before anything else."""
        self._holding = True

    def release(self) -> None:
        """It is noted; InterruptedRunError where a signal has come."""
        self._holding = False
        if self._came:
            raise InterruptedRunError(self._came)

    def _handle(self, number: int, frame: types.FrameType | None) -> None:
        first, self._came = not self._came, f"interrupted by {signal.Signals(number).name}"
        # Only once: a second one must not cut the cleaning up short.
        if first and not self._holding:
            raise InterruptedRunError(self._came)


class Streams(t.Protocol):
    """What streams are read from, part by part: a run of the source, or rows that were saved here (`Source`)."""

    aborted: bool

    def part(self, clock: Clock) -> tuple[Section, bytes]: ...

    def check(self, clock: Clock, *, last: bool) -> None: ...

    def leave(self) -> None: ...


class Transfer:
    """What flows between the source's next stream and one connection to a store.

    The source may have begun while the store was still asked about the dump before: for that long, in which the store
    may be silent for *idle* seconds, its name waits to be read.
    """

    def __init__(
        self,
        source: Streams,
        command: t.Sequence[str],
        clock: Clock,
        interruption: Interruption,
        *,
        idle: float = 0.0,
    ) -> None:
        self._oldest = NAME_AGE + dt.timedelta(seconds=idle + SETTLING)
        self._source = source
        self._command = command
        self._clock = clock
        self._interruption = interruption
        self._store: Child | None = None
        self._digest = hashlib.sha256()
        self._size = 0

    def run(self, artefact: str, *, last: bool) -> tuple[Trailer, bytes]:
        """The trailer and signature of the dump that the store now holds.

        DumpError says why it holds none, or may not hold it. Signals are held back from then on.
        """
        with contextlib.ExitStack() as children:
            header, content = self._header(artefact)
            # Only now: a source that never speaks needs no connection.
            store = Child(
                [*self._command, "receive"],
                name="the connection to the store",
                keep_stderr=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd="/",
            )
            self._store = store
            children.callback(store.end)
            os.set_blocking(store.input, False)
            try:
                self._write(section(content))
                trailer, signature = self._relay(header, last=last)
            except InterruptedRunError:
                # No time for last words: the end of the stream without a trailer says enough.
                store.kill()
                raise
            except DumpError as error:
                raise self._aborted(error) from error
            try:
                try:
                    self._write(END, section(trailer.signed), section(signature))
                except InterruptedRunError:
                    raise
                except DumpError as error:
                    # It can't hold what it did not get wholly.
                    raise self._explained(error) from error
                store.close_input()
                self._settle(trailer, signature)
                # What is left changes nothing, and a signal must not deny what the store has said.
                self._interruption.hold()
            except InterruptedRunError as interruption:
                raise UnknownOutcomeError(trailer, signature, str(interruption)) from None
            return trailer, signature

    def _header(self, artefact: str) -> tuple[Header, bytes]:
        part, content = self._source.part(self._clock)
        try:
            if part is not Section.HEADER:
                raise ValueError(f"it begins with a {part.value}")
            header = Header.read(content)
        except ValueError as error:
            raise DumpError(f"the source's stream is wrong: {error}") from error
        if header.name.artefact != artefact:
            raise DumpError(f"the source dumps {header.name.artefact}, not {artefact}")
        age = dt.datetime.now(dt.UTC) - header.name.started
        if not -NAME_AGE < age < self._oldest:
            raise DumpError(f"the source names its dump {header.name}, but it is {utc_text(header.name.started + age)}")
        return header, content

    def _relay(self, header: Header, *, last: bool) -> tuple[Trailer, bytes]:
        """Hand on the data; the trailer is kept back, and given only where everything was right."""
        part, content = self._source.part(self._clock)
        while part is Section.DATA:
            self._digest.update(content)
            self._size += len(content)
            self._write(prefix(len(content)), content)
            part, content = self._source.part(self._clock)
        _part, signature = self._source.part(self._clock)
        try:
            trailer = read_trailer(content)
        except ValueError as error:
            raise DumpError(f"the source's stream is wrong: {error}") from error
        if isinstance(trailer, Abort):
            self._source.aborted = True
            raise SourceFailedError(trailer)
        self._source.check(self._clock, last=last)
        if trailer.name != header.name:
            raise DumpError("the source's header and trailer name different dumps")
        if not signature:
            raise DumpError("the source's trailer is not signed")
        if (trailer.bytes, trailer.sha256) != (self._size, self._digest.hexdigest()):
            raise DumpError(
                f"what arrived from the source ({self._size} bytes, sha256 {self._digest.hexdigest()}) is not what it "
                f"sent ({trailer.bytes} bytes, sha256 {trailer.sha256})"
            )
        return trailer, signature

    @property
    def _connection(self) -> Child:
        if self._store is None:
            raise TypeError("the store was not connected to yet")
        return self._store

    def _write(self, *parts: bytes) -> None:
        try:
            self._clock.write(self._connection.input, "writing to the store", *parts)
        except OSError as error:
            raise DumpError(f"the connection to the store broke: {error}") from error

    def _aborted(self, error: DumpError) -> DumpError:
        """Tell the store, in the stream, that there will be no dump; the error, with the store's own reason if any."""
        if not isinstance(error, SourceFailedError):
            # First of all the source: it holds a snapshot and locks.
            self._source.leave()
        store = self._connection
        try:
            # Within a frame that was cut short this would be data, and then the end of the stream refuses it.
            Clock(idle=ABORT_TIMEOUT, overall=ABORT_TIMEOUT).write(
                store.input, "aborting", END, section(encode(Abort(reason=str(error)).document())), section(b"")
            )
        except DumpError:
            store.kill()
            return error
        except OSError:
            # It does not listen any more: perhaps it has said why.
            pass
        return self._explained(error)

    def _explained(self, error: DumpError) -> DumpError:
        """The error, with the store's own reason if there is any: it is given no more."""
        store, reason = self._connection, str(error)
        store.close_input()
        try:
            ack = self._ack(Clock(idle=LAST_WORDS, overall=LAST_WORDS))
        except (ValueError, DumpError):
            # What ssh says of itself.
            said = store.said()
            return DumpError(f"{reason}; the connection to the store says: {said}") if said else error
        # The store repeats what it was told; what it says of itself is news.
        if ack.ok or reason in ack.reason:
            return error
        return RefusedError(f"{reason}; the store says: {ack.reason}", final=ack.final)

    def _ack(self, clock: Clock) -> Ack:
        """The store's answer: one line. ValueError or DumpError where none came."""
        answer = b""
        while chunk := clock.read(self._connection.output, "waiting for the store's answer"):
            answer += chunk
            if b"\n" in answer or len(answer) > ACK_LIMIT:
                break
        return read_ack(answer)

    def _settle(self, trailer: Trailer, signature: bytes) -> None:
        try:
            ack = self._ack(self._clock)
        except (ValueError, DumpError) as error:
            said = self._connection.said()
            settle(self._command, trailer, signature, f"{error}; {said}" if said else str(error))
        else:
            _check(ack, trailer)


def settle(command: t.Sequence[str], trailer: Trailer, signature: bytes, lost: str) -> None:
    """The answer was lost: whether the dump is there decides. DumpError where it is not, or where that is not known."""
    answer, known = "", False
    for delay in SETTLE_DELAYS:
        time.sleep(delay)
        try:
            ack = ask(command, trailer.name)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            answer, known = str(error), False
            continue
        if ack.ok:
            _check(ack, trailer)
            return
        answer, known = ack.reason, ack.reason == absent(trailer.name)
    # Only its last word counts: it may have gone on writing after an earlier one.
    if not known:
        raise UnknownOutcomeError(trailer, signature, f"its answer was lost: {lost}; asked for the dump: {answer}")
    raise DumpError(f"the store's answer was lost ({lost}), and asked for the dump it says: {answer}")


def ask(command: t.Sequence[str], name: DumpName) -> Ack:
    """The store's answer to ``stat``; ValueError, OSError or SubprocessError where there was none."""
    # These programs run without Ansible: there is no module whose run_command could be called.
    # pylint: disable-next=ansible-bad-function
    done = subprocess.run(
        [*command, "stat", str(name)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=SETTLE_TIMEOUT,
        check=False,
    )
    return read_ack(done.stdout)


def _check(ack: Ack, trailer: Trailer) -> None:
    if not ack.ok:
        raise RefusedError(f"the store refused the dump: {ack.reason}", final=ack.final)
    if (ack.name, ack.bytes, ack.sha256) != (str(trailer.name), trailer.bytes, trailer.sha256):
        raise DumpError(
            f"the store holds {ack.name} ({ack.bytes} bytes, sha256 {ack.sha256}), not {trailer.name} "
            f"({trailer.bytes} bytes, sha256 {trailer.sha256})"
        )
