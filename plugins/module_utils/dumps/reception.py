# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One dump on its way in: written under a temporary name, compared with what was sent and signed, then named."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import syslog

from .folder import Folder, Publication
from .frames import Section, StreamDecoder
from .manifest import Abort, Ack, Header, Manifest, Trailer, encode, read_trailer
from .names import DumpName, utc_text
from .processes import Clock, DumpError, FinalError, hold_signals, write_all
from .quota import Room
from .signatures import Signers

STDIN = 0
# So much is written between two looks at the free space.
SPACE_CHECK = 64 << 20


class Reception:
    """One dump on its way in."""

    def __init__(self, incoming: Folder, archive: Folder, room: Room, signers: Signers, clock: Clock) -> None:
        self._incoming = incoming
        self._archive = archive
        self._room = room
        self._signers = signers
        self._clock = clock
        self._publication = Publication(incoming)
        self._digest = hashlib.sha256()
        self._size = 0
        self._name: DumpName | None = None
        self._file = -1

    def run(self) -> Ack:
        """Receive a whole dump; DumpError says why there is none, and nothing is left of it."""
        try:
            ack = self._receive()
        except OSError as error:
            raise DumpError(f"the dump could not be written: {error}") from error
        finally:
            try:
                # A signal that came before is handled, and raises, in here.
                hold_signals()
            finally:
                self._clean()
        self._announce()
        return ack

    def _announce(self) -> None:
        """Start the archiver, last of all: it leaves a dump alone whose partial is locked."""
        try:
            self._incoming.announce()
        except OSError as error:
            syslog.syslog(syslog.LOG_WARNING, f"the archiver's timer has to find {self._name}: {error}")

    def _clean(self) -> None:
        try:
            self._publication.clean()
        except OSError as error:
            # The answer is about the dump; what is left lying about is swept another day.
            syslog.syslog(syslog.LOG_WARNING, f"what is left of the transfer could not be removed: {error}")

    def _receive(self) -> Ack:
        decoder = StreamDecoder()
        ending: Trailer | Abort = Abort(reason="it sent no trailer")
        signature = b""
        while not decoder.ended:
            chunk = self._clock.read(STDIN, "waiting for the sender")
            if not chunk:
                raise DumpError("the stream ended before its signature")
            try:
                for part, content in decoder.feed(chunk):
                    if part is Section.HEADER:
                        self._begin(_header(content))
                    elif part is Section.DATA:
                        self._write(content)
                    elif part is Section.TRAILER:
                        ending = read_trailer(content)
                    else:
                        signature = content
            except ValueError as error:
                raise DumpError(f"the stream is wrong: {error}") from error
        if isinstance(ending, Abort):
            raise (FinalError if ending.final else DumpError)(f"the sender aborted: {ending.reason}")
        return self._commit(ending, signature)

    def _begin(self, name: DumpName) -> None:
        # Alone: two that come at once must not both find the last place, nor the same name.
        with self._incoming.alone():
            for folder in (self._incoming, self._archive, self._incoming):
                for taken in (str(name), name.manifest):
                    if folder.stat(taken) is not None:
                        raise DumpError(f"{taken} is here already, and nothing is ever overwritten")
            self._room.look(name)
            try:
                self._file = self._publication.create(str(name))
            except FileExistsError:
                raise DumpError(f"{name} is being received already") from None
            self._room.mark(self._file)
        self._name = name

    def _write(self, content: bytes) -> None:
        before, self._size = self._size, self._size + len(content)
        if before // SPACE_CHECK != self._size // SPACE_CHECK:
            self._room.check(before)
        self._room.within(self._size)
        self._digest.update(content)
        write_all(self._file, content)

    def _commit(self, trailer: Trailer, signature: bytes) -> Ack:
        """Everything on the disk first, then the data's name, then the manifest's: from then on the dump is there."""
        if trailer.name != self._name:
            raise DumpError(f"the stream's header names {self._name}, its trailer {trailer.name}")
        if (trailer.bytes, trailer.sha256) != (self._size, self._digest.hexdigest()):
            raise DumpError(
                f"what arrived ({self._size} bytes, sha256 {self._digest.hexdigest()}) is not what was sent "
                f"({trailer.bytes} bytes, sha256 {trailer.sha256})"
            )
        try:
            armoured = signature.decode("ascii")
        except UnicodeDecodeError:
            raise FinalError("the dump's signature is not text") from None
        self._signers.verify(trailer.signed, armoured)
        name = trailer.name
        os.fsync(self._file)
        manifest = Manifest(received=utc_text(dt.datetime.now(dt.UTC)), trailer=trailer, signature=armoured)
        descriptor = self._publication.create(name.manifest)
        write_all(descriptor, encode(manifest.document()), b"\n")
        os.fsync(descriptor)
        with self._incoming.alone():
            # Up to the answer: interrupted in between, it would deny a dump that is there.
            hold_signals()
            self._publication.publish(str(name))
            self._room.settle(self._size)
            self._publication.publish(name.manifest)
            self._publication.committed = True
        return Ack(name=str(name), bytes=trailer.bytes, sha256=trailer.sha256)


def _header(content: bytes) -> DumpName:
    """The name in the header; FinalError for another protocol or a name that is none: neither gets better."""
    try:
        return Header.read(content).name
    except ValueError as error:
        raise FinalError(f"the stream is wrong: {error}") from None
