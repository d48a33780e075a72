# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One dump on its way to a plain store: written under another name, read back, compared, then named; manifest last."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import time
import typing as t

from ..frames import Section, StreamDecoder
from ..manifest import Abort, Ack, Header, Manifest, Trailer, encode, read_trailer
from ..names import DumpName, manifest_owner, utc_text
from ..processes import Clock, DumpError, FinalError, hold_signals, say
from ..signatures import Signers
from .files import Files, UnknownError, partials
from .guarantees import S3, Kept

STDIN, STDOUT = 0, 1
# What is read back may take longer than the sender waits for a word. A blank is no word, but shows that we live.
ALIVE_EVERY = 10.0
PROGRAM = "dump-carry"


class Reception:
    """What `dump-send` brings, given on to *files*. *signers* are asked, where there are any, before it is named."""

    def __init__(self, files: Files, clock: Clock, *, max_bytes: int, signers: Signers | None = None) -> None:
        self._files = files
        self._clock = clock
        self._max_bytes = max_bytes
        self._signers = signers
        self._decoder = StreamDecoder()
        self._parts: list[tuple[Section, bytes]] = []
        self._digest = hashlib.sha256()
        self._size = 0
        self._written: list[str] = []

    def run(self) -> Ack:
        """Receive a whole dump; DumpError says why there is none, UnknownError that there may be one all the same."""
        try:
            section, content = self._part()
            if section is not Section.HEADER:
                raise FinalError(f"the stream is wrong: it begins with a {section.value}")
            try:
                name = Header.read(content).name
            except ValueError as error:
                raise FinalError(f"the stream is wrong: {error}") from None
            return self._receive(name)
        except BaseException as error:
            # A connection that broke must not be what cleans up.
            self._files.close()
            if not self._clean():
                raise UnknownError(f"{error}; whether the dump is there is not known") from error
            raise

    def _receive(self, name: DumpName) -> Ack:
        files = self._files
        for taken in (name.manifest, str(name)):
            if files.has(taken):
                raise DumpError(f"{taken} is here already, and nothing is ever overwritten")
        # It lies beside the data until they are a dump: of s3 an object of its own.
        self._written.append(partials(name)[1])
        files.begin(name)
        self._write(str(name), self._data())
        manifest = self._proved(name)
        self._read_back(str(name), manifest.trailer.bytes, manifest.trailer.sha256)
        content = encode(manifest.document()) + b"\n"
        if files.place.kind == S3:
            # The object is what publishes: so it is written when all else is certain, and never half.
            hold_signals()
        # Before the data have their name: without anything beside them nobody would know that their run was cut.
        self._write(name.manifest, [content])
        self._read_back(name.manifest, len(content), hashlib.sha256(content).hexdigest())
        self._place(str(name))
        # Up to the answer: interrupted in between, it would deny a dump that is there.
        hold_signals()
        self._place(name.manifest)
        self._written.clear()
        files.end(name)
        return Ack(name=str(name), bytes=manifest.trailer.bytes, sha256=manifest.trailer.sha256)

    def _write(self, name: str, pieces: t.Iterable[bytes]) -> None:
        temporary = self._files.temporary(name)
        if temporary not in self._written:
            self._written.append(temporary)
        self._files.write(temporary, pieces)

    def _place(self, name: str) -> None:
        if name not in self._written:
            # Where the answer is lost it may be done. Once the other name is gone it can't be any more.
            self._written.insert(self._written.index(self._files.temporary(name)), name)
        self._files.place_file(name)

    def _part(self) -> tuple[Section, bytes]:
        while not self._parts:
            chunk = self._clock.read(STDIN, "waiting for the sender")
            if not chunk:
                raise DumpError("the stream ended before its signature")
            try:
                self._parts += self._decoder.feed(chunk)
            except ValueError as error:
                raise DumpError(f"the stream is wrong: {error}") from error
        return self._parts.pop(0)

    def _data(self) -> t.Iterator[bytes]:
        """The dump's bytes; where the sender says that there is no dump this raises, so that no file seems whole."""
        section, content = self._part()
        while section is Section.DATA:
            self._size += len(content)
            if self._size > self._max_bytes:
                raise FinalError(f"the dump is larger than the {self._max_bytes} bytes that one may have")
            self._digest.update(content)
            yield content
            section, content = self._part()
        try:
            ending = read_trailer(content)
        except ValueError as error:
            raise DumpError(f"the stream is wrong: {error}") from error
        if isinstance(ending, Abort):
            raise (FinalError if ending.final else DumpError)(f"the sender aborted: {ending.reason}")
        self._parts.insert(0, (section, content))

    def _proved(self, name: DumpName) -> Manifest:
        """The manifest of what was sent; DumpError where that is not what was signed."""
        trailer = read_trailer(self._part()[1])
        _section, signature = self._part()
        if not isinstance(trailer, Trailer) or trailer.name != name:
            raise DumpError(f"the stream's header names {name}, its trailer another dump")
        if (trailer.bytes, trailer.sha256) != (self._size, self._digest.hexdigest()):
            raise DumpError(
                f"what arrived ({self._size} bytes, sha256 {self._digest.hexdigest()}) is not what was sent "
                f"({trailer.bytes} bytes, sha256 {trailer.sha256})"
            )
        if not self._decoder.ended:
            raise DumpError("the stream goes on after its end")
        try:
            armoured = signature.decode("ascii")
        except UnicodeDecodeError:
            raise FinalError("the dump's signature is not text") from None
        if not armoured.strip():
            raise FinalError("the dump is not signed")
        if self._signers is not None:
            self._signers.verify(trailer.signed, armoured)
        received = utc_text(dt.datetime.now(dt.UTC))
        kept = Kept.at(self._files.place.kind, *self._files.lacks())
        return Manifest(received=received, trailer=trailer, signature=armoured, kept=kept)

    def _read_back(self, name: str, size: int, sha256: str) -> None:
        """DumpError unless the store gives back what it was given."""
        digest, seen, said = hashlib.sha256(), 0, time.monotonic()
        for piece in self._files.read(self._files.temporary(name)):
            digest.update(piece)
            seen += len(piece)
            if time.monotonic() - said > ALIVE_EVERY:
                said = time.monotonic()
                with contextlib.suppress(OSError):
                    os.write(STDOUT, b" ")
        if (seen, digest.hexdigest()) != (size, sha256):
            raise DumpError(
                f"read back, {name} at {self._files.place.name} has {seen} bytes and the sha256 {digest.hexdigest()}, "
                f"not {size} bytes and {sha256}"
            )

    def _clean(self) -> bool:
        """Remove what was written, the manifest first; whether it is certain that there is no dump."""
        # Data never go while their manifest may be there: a whole dump is left, or what a pruning host sweeps.
        while self._written:
            name = self._written[-1]
            try:
                self._files.remove(name)
            except (DumpError, OSError) as error:
                say(PROGRAM, f"{name} could not be removed: {error}", error=True)
                return not any(map(manifest_owner, self._written))
            self._written.pop()
        return True
