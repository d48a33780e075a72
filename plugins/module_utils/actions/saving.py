# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Saved rows on their way to the dump stores: compressed in memory, signed as dumps are, acknowledged by each store.

Nothing of them comes to this host's disk. The process is root's. It signs as the user that signs dumps, since
ssh-keygen takes no key of root's own that others may read, and starts the connections as the one that sends them.
"""

from __future__ import annotations

import collections
import datetime as dt
import hashlib
import os
import subprocess
import typing as t

from ..dumps.frames import FRAME_LIMIT, Section
from ..dumps.manifest import SIGNATURE_NAMESPACE, Header, Trailer, encode
from ..dumps.names import SAVED, DumpName, utc_text
from ..dumps.pipeline import ENVIRONMENT
from ..dumps.pipeline import Settings as Source
from ..dumps.processes import Child, Clock, DumpError, write_all
from ..dumps.scan import TableData
from ..dumps.signatures import signed, signer
from ..dumps.stores import Settings as Sending
from ..dumps.transfer import Interruption, Transfer
from . import saved
from .interface import CarryingError, Values
from .undo import Table

# Compressed, in memory. A million rows of a kilobyte are about so many.
MOST_BYTES = 512 << 20
_LOOK_EVERY = 1000
RUNUSER = "/usr/sbin/runuser"


class Counted:
    """Rows that are kept nowhere: of a dry run, and of a rehearsal."""

    def __init__(self, about: saved.About) -> None:
        self._writer = saved.Writer(about, lambda _line: None)

    @property
    def rows(self) -> int:
        return self._writer.rows

    def table(self, step: str, done: str, table: Table) -> None:
        self._writer.table(step, done, table)

    def row(self, values: Values) -> None:
        self._writer.row(values)

    def finish(self) -> tuple[str, str]:
        return "", ""


class ToStores:
    """Rows that each of the stores gets, signed as *signer* and sent as *user* ("": as who runs this)."""

    def __init__(
        self,
        about: saved.About,
        source: Source,
        sending: Sending,
        interruption: Interruption,
        *,
        user: str,
        signer: str,
    ) -> None:
        self._about = about
        self._source = source
        self._sending = sending
        self._interruption = interruption
        self._user = user
        self._signer = signer
        self._memory = os.memfd_create("saved")
        self._children: list[Child] = []
        try:
            last = subprocess.PIPE if source.recipients else self._memory
            arguments = [source.zstd, "--quiet", "--stdout", f"-{source.level}", f"-T{source.threads}", "-"]
            self._zstd = self._start("zstd", arguments, subprocess.PIPE, last)
            if source.recipients:
                age = [source.age, *(f"--recipient={recipient}" for recipient in source.recipients)]
                self._start("age", age, self._zstd.process.stdout, self._memory)
                self._zstd.close_output()
            self._writer = saved.Writer(about, self._write)
        except DumpError as error:
            self.close()
            raise CarryingError(str(error)) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Nothing of it is left here."""
        for child in self._children:
            child.kill()
            child.end()
        self._children.clear()
        memory, self._memory = self._memory, -1
        if memory >= 0:
            os.close(memory)

    @property
    def rows(self) -> int:
        return self._writer.rows

    def table(self, step: str, done: str, table: Table) -> None:
        self._writer.table(step, done, table)

    def row(self, values: Values) -> None:
        self._writer.row(values)
        if self._writer.rows % _LOOK_EVERY == 0 and os.fstat(self._memory).st_size > MOST_BYTES:
            raise CarryingError(
                f"the saved rows are larger than {MOST_BYTES >> 20} MiB, which are held in memory: make several plans"
            )

    def finish(self) -> tuple[str, str]:
        """CarryingError unless every store has acknowledged them."""
        try:
            self._writer.end()
            for child in self._children:
                child.close_input()
                child.wait(self._sending.idle_timeout)
            complaints = [child.complaint() for child in self._children if child.complaint()]
            if complaints:
                raise DumpError("; ".join(complaints))
            trailer = self._trailer()
            signature = self._signed(trailer)
            for store in self._sending.stores:
                self._send(store.command, trailer, signature)
        except DumpError as error:
            raise CarryingError(f"the saved rows are not stored: {error}") from error
        return str(trailer.name), trailer.sha256

    def _write(self, line: bytes) -> None:
        try:
            write_all(self._zstd.input, line)
        except OSError as error:
            raise CarryingError(f"the saved rows could not be compressed: {error}") from error

    def _start(self, name: str, arguments: t.Sequence[str], stdin: t.Any, stdout: t.Any) -> Child:
        child = Child(arguments, name=name, keep_stderr=True, stdin=stdin, stdout=stdout, cwd="/", env=ENVIRONMENT)
        self._children.append(child)
        return child

    def _trailer(self) -> Trailer:
        digest, size = hashlib.sha256(), 0
        for piece in self._pieces():
            digest.update(piece)
            size += len(piece)
        now = dt.datetime.now(dt.UTC)
        tables = self._writer.tables.items()
        return Trailer(
            name=DumpName(self._about.database, now, SAVED, bool(self._source.recipients)),
            started=utc_text(now),
            finished=utc_text(now),
            statuses={child.name: child.process.returncode for child in self._children},
            bytes=size,
            sha256=digest.hexdigest(),
            raw_bytes=self._writer.size,
            tables={name: TableData(one.rows, one.bytes, one.digest.hexdigest()) for name, one in tables},
            sequences={},
            via_root=(),
            versions={"saved": str(saved.VERSION)},
            settings={},
            extensions={},
        )

    def _signed(self, trailer: Trailer) -> bytes:
        become = _become(self._signer)
        child = signer(
            self._source.ssh_keygen, self._source.signing_key, SIGNATURE_NAMESPACE, ENVIRONMENT, become=become
        )
        try:
            return signed(child, trailer.signed, "the saved rows could not be signed")
        finally:
            child.kill()
            child.end()

    def _send(self, command: t.Sequence[str], trailer: Trailer, signature: bytes) -> None:
        sending = self._sending
        transfer = Transfer(
            _Stream(trailer, signature, self._pieces()),
            [*_become(self._user), *command],
            Clock(idle=sending.idle_timeout, overall=sending.overall_timeout),
            self._interruption,
        )
        transfer.run(SAVED, last=True)
        # It is held for the store's word, which is noted now.
        self._interruption.release()

    def _pieces(self) -> t.Iterator[bytes]:
        place = 0
        while piece := os.pread(self._memory, FRAME_LIMIT, place):
            place += len(piece)
            yield piece


def _become(user: str) -> list[str]:
    return [RUNUSER, "-u", user, "--"] if user else []


class _Stream:
    """The parts of the stream, as the source of dumps gives them."""

    def __init__(self, trailer: Trailer, signature: bytes, pieces: t.Iterator[bytes]) -> None:
        self.aborted = False
        header = Header(name=trailer.name, started=trailer.started)
        self._first = collections.deque([(Section.HEADER, encode(header.document()))])
        self._pieces = pieces
        self._last = collections.deque([(Section.TRAILER, trailer.signed), (Section.SIGNATURE, signature)])

    def part(self, clock: Clock) -> tuple[Section, bytes]:
        if self._first:
            return self._first.popleft()
        for piece in self._pieces:
            return Section.DATA, piece
        return self._last.popleft()

    def check(self, clock: Clock, *, last: bool) -> None:
        """It was checked when it was made."""

    def leave(self) -> None:
        """There is nobody who makes it."""
