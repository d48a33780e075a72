# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``dump-send``: carry one dump from the source on this host to the store on another, and know that it arrived.

It succeeds on one thing alone: the store's answer that it holds the dump, with the size and SHA-256 seen here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import fcntl
import hashlib
import os
import signal
import subprocess
import time
import types
import typing as t

from .config import read_settings
from .frames import END, Section, StreamDecoder, prefix, section
from .manifest import Abort, Ack, Header, Trailer, encode, read_ack, read_trailer
from .names import DumpName, absent, utc_text
from .processes import ENDING_SIGNALS, Child, Clock, DumpError, hold_signals, say

PROGRAM = "dump-send"
CONFIG = "/etc/taaraxtak/dump-send.json"
# Source and sender share a clock; so long may sudo and Python take to start.
NAME_AGE = dt.timedelta(minutes=5)
ACK_LIMIT = 1 << 16
# After a failure the store may still say why, and after the trailer the source has only to exit.
LAST_WORDS = 10.0
# What is told to a store that takes nothing any more need not wait.
ABORT_TIMEOUT = 2.0
# When the answer is lost the store may still be writing to its disk: so it is asked again.
SETTLE_DELAYS = (0.0, 1.0, 5.0)
SETTLE_TIMEOUT = 60.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """The keys of the settings' file. The verbs ``receive`` and ``stat NAME`` are put after ``store_command``."""

    source_command: tuple[str, ...]
    store_command: tuple[str, ...]
    database: str
    lock_file: str = "/run/taaraxtak-backup/dump-send.lock"
    idle_timeout: float = 900.0
    overall_timeout: float = 6 * 3600.0


class InterruptedRunError(DumpError):
    """A signal asked this run to end."""


class UnknownOutcomeError(DumpError):
    """The store may hold the dump: it was given everything, and neither its answer nor a later one came."""

    def __init__(self, name: DumpName, why: str) -> None:
        super().__init__(f"whether {name} is stored is not known: ask with dump-store list ({why})")


@contextlib.contextmanager
def only_one(path: str) -> t.Iterator[None]:
    """Hold the lock on the file *path*; DumpError where another process does."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DumpError(f"the lock could not be opened: {error}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            raise DumpError(f"another dump is under way (process {holder}): this one was not started") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


class Transfer:
    """One dump on its way."""

    def __init__(self, settings: Settings, source: Child, store: Child) -> None:
        self._settings = settings
        self._source = source
        self._store = store
        self._clock = Clock(idle=settings.idle_timeout, overall=settings.overall_timeout)
        self._digest = hashlib.sha256()
        self._size = 0
        self._begun = False
        os.set_blocking(store.input, False)

    def run(self) -> Trailer:
        """The trailer of the dump that the store now holds; DumpError says why it holds none, or may not hold it."""
        try:
            trailer = self._relay()
        except InterruptedRunError:
            # No time for last words: the end of the stream without a trailer says enough.
            self._store.kill()
            raise
        except DumpError as error:
            raise DumpError(self._abort(str(error))) from error
        try:
            self._write(END, section(encode(trailer.document())))
            self._store.close_input()
            settled = self._settled(trailer)
            # What is left changes nothing, and a signal must not deny what the store has said.
            hold_signals()
        except InterruptedRunError as interruption:
            raise UnknownOutcomeError(trailer.name, str(interruption)) from None
        return settled

    def _relay(self) -> Trailer:
        """Hand on header and data; the trailer is kept back, and given only where everything was right."""
        decoder = StreamDecoder()
        header: Header | None = None
        ending: bytes | None = None
        while chunk := self._clock.read(self._source.output, "waiting for the source"):
            try:
                for part, content in decoder.feed(chunk):
                    if part is Section.HEADER:
                        header = self._checked(Header.read(content))
                        self._begun = True
                        self._write(section(content))
                    elif part is Section.DATA:
                        self._digest.update(content)
                        self._size += len(content)
                        self._write(prefix(len(content)), content)
                    else:
                        ending = content
            except ValueError as error:
                raise DumpError(f"the source's stream is wrong: {error}") from error
        status = self._source.wait(LAST_WORDS)
        if header is None or ending is None:
            raise DumpError(f"the source ended before its stream did (exit status {status}): its own message says why")
        try:
            trailer = read_trailer(ending)
        except ValueError as error:
            raise DumpError(f"the source's stream is wrong: {error}") from error
        if isinstance(trailer, Abort):
            raise DumpError(f"the source failed: {trailer.reason}")
        if status != 0:
            raise DumpError(f"the source ended with exit status {status} although its trailer says ok")
        if trailer.name != header.name:
            raise DumpError("the source's header and trailer name different dumps")
        if (trailer.bytes, trailer.sha256) != (self._size, self._digest.hexdigest()):
            raise DumpError(
                f"what arrived from the source ({self._size} bytes, sha256 {self._digest.hexdigest()}) is not what it "
                f"sent ({trailer.bytes} bytes, sha256 {trailer.sha256})"
            )
        return trailer

    def _checked(self, header: Header) -> Header:
        if header.name.database != self._settings.database:
            raise DumpError(f"the source dumps {header.name.database}, not {self._settings.database}")
        age = dt.datetime.now(dt.UTC) - header.name.started
        if not -NAME_AGE < age < NAME_AGE:
            raise DumpError(f"the source names its dump {header.name}, but it is {utc_text(header.name.started + age)}")
        return header

    def _write(self, *parts: bytes) -> None:
        try:
            self._clock.write(self._store.input, "writing to the store", *parts)
        except OSError as error:
            raise DumpError(f"the connection to the store broke: {error}") from error

    def _abort(self, reason: str) -> str:
        """Tell the store, in the stream, that there will be no dump; the reason, with the store's own if it has one."""
        # First of all the source: it holds a snapshot and locks.
        self._source.close_input()
        if not self._begun:
            return reason
        try:
            # Within a frame that was cut short this would be data, and then the end of the stream refuses it.
            Clock(idle=ABORT_TIMEOUT, overall=ABORT_TIMEOUT).write(
                self._store.input, "aborting", END, section(encode(Abort(reason=reason).document()))
            )
        except DumpError:
            self._store.kill()
            return reason
        except OSError:
            # It does not listen any more: perhaps it has said why.
            pass
        self._store.close_input()
        try:
            ack = self._ack(Clock(idle=LAST_WORDS, overall=LAST_WORDS))
        except (ValueError, DumpError):
            return reason
        # The store repeats what it was told; what it says of itself is news.
        return reason if ack.ok or reason in ack.reason else f"{reason}; the store says: {ack.reason}"

    def _ack(self, clock: Clock) -> Ack:
        """The store's answer: one line. ValueError or DumpError where none came."""
        answer = b""
        while chunk := clock.read(self._store.output, "waiting for the store's answer"):
            answer += chunk
            if b"\n" in answer or len(answer) > ACK_LIMIT:
                break
        return read_ack(answer)

    def _settled(self, trailer: Trailer) -> Trailer:
        try:
            ack = self._ack(self._clock)
        except (ValueError, DumpError) as error:
            return self._asked(trailer, str(error))
        return _matching(ack, trailer)

    def _asked(self, trailer: Trailer, lost: str) -> Trailer:
        """The answer was lost: whether the dump is there decides."""
        answer, known = "", False
        for delay in SETTLE_DELAYS:
            time.sleep(delay)
            try:
                # These programs run without Ansible: there is no module whose run_command could be called.
                # pylint: disable-next=ansible-bad-function
                done = subprocess.run(
                    [*self._settings.store_command, "stat", str(trailer.name)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    timeout=SETTLE_TIMEOUT,
                    check=False,
                )
                ack = read_ack(done.stdout)
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                answer, known = str(error), False
                continue
            if ack.ok:
                return _matching(ack, trailer)
            answer, known = ack.reason, ack.reason == absent(trailer.name)
        # Only its last word counts: it may have gone on writing after an earlier one.
        if not known:
            raise UnknownOutcomeError(trailer.name, f"its answer was lost: {lost}; asked for the dump: {answer}")
        raise DumpError(f"the store's answer was lost ({lost}), and asked for the dump it says: {answer}")


def _matching(ack: Ack, trailer: Trailer) -> Trailer:
    if not ack.ok:
        raise DumpError(f"the store refused the dump: {ack.reason}")
    if (ack.name, ack.bytes, ack.sha256) != (str(trailer.name), trailer.bytes, trailer.sha256):
        raise DumpError(
            f"the store holds {ack.name} ({ack.bytes} bytes, sha256 {ack.sha256}), not {trailer.name} "
            f"({trailer.bytes} bytes, sha256 {trailer.sha256})"
        )
    return trailer


def send(settings: Settings) -> Trailer:
    """Make one dump and bring it to the store; DumpError says why it is not there."""
    with contextlib.ExitStack() as children:
        source = Child(
            settings.source_command, name="the source", stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/"
        )
        children.callback(source.end)
        store = Child(
            [*settings.store_command, "receive"],
            name="the connection to the store",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
        )
        children.callback(store.end)
        return Transfer(settings, source, store).run()


def _interrupted(number: int, frame: types.FrameType | None) -> None:
    raise InterruptedRunError(f"interrupted by {signal.Signals(number).name}")


def main(config: str = CONFIG) -> int:
    """Send one dump: 0 where the store holds it, else 1 and a line that says why, or that it may hold it."""
    for number in ENDING_SIGNALS:
        signal.signal(number, _interrupted)
    began = time.monotonic()
    try:
        settings = read_settings(Settings, config)
        with only_one(settings.lock_file):
            trailer = send(settings)
    except UnknownOutcomeError as error:
        say(PROGRAM, str(error), error=True)
        return 1
    except (DumpError, ValueError, OSError) as error:
        say(PROGRAM, f"no dump was stored: {error}", error=True)
        return 1
    took = time.monotonic() - began
    say(
        PROGRAM,
        f"{trailer.name} is stored: {trailer.rows} rows of {len(trailer.tables)} tables in {trailer.bytes} bytes, "
        f"sha256 {trailer.sha256}, {took:.1f} s",
    )
    return 0
