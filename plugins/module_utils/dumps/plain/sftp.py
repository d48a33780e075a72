# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store that speaks SFTP, by a client of our own: what sftp(1) sends must lie in a file here."""

from __future__ import annotations

import os
import typing as t

from ..names import DumpName
from ..processes import DumpError
from . import sftp_wire as wire
from .files import AbsentError, Files, Place, Run, partials

# Requests under way: enough for a fast line, and their answers fit into a pipe.
WINDOW = 64


class Sftp(Files):
    """The files behind the subsystem ``sftp`` of an ssh command."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._session: _Session | None = None

    def names(self) -> dict[str, int | None]:
        handle = self._asked(wire.OPENDIR, self.place.folder or ".", kind=wire.HANDLE)
        found: dict[str, int | None] = {}
        try:
            while True:
                answer = self._now.ask(wire.READDIR, handle)
                if answer.kind == wire.STATUS:
                    self._check(answer, self.place.folder or ".", allowed=(wire.END_OF_FILE,))
                    return {name: size for name, size in found.items() if name not in (".", "..")}
                found.update(answer.entries())
        finally:
            self._now.ask(wire.CLOSE, handle)

    def read(self, name: str) -> t.Iterator[bytes]:
        handle = self._open(name, wire.TO_READ)
        try:
            yield from self._data(handle, name)
        finally:
            self._now.ask(wire.CLOSE, handle)

    def write(self, name: str, pieces: t.Iterable[bytes]) -> None:
        handle = self._open(name, wire.TO_MAKE)
        session, waiting, offset = self._now, [], 0
        for piece in pieces:
            for start in range(0, len(piece), wire.CHUNK):
                part = piece[start : start + wire.CHUNK]
                waiting.append(session.begin(wire.WRITE, handle, wire.uint64(offset), wire.text(part)))
                offset += len(part)
                if len(waiting) >= WINDOW:
                    self._check(session.answer(waiting.pop(0)), name)
        for number in waiting:
            self._check(session.answer(number), name)
        if wire.FSYNC in session.extensions:
            self._check(session.ask(wire.EXTENDED, wire.text(wire.FSYNC), handle), name)
        self._check(session.ask(wire.CLOSE, handle), name)

    def place_file(self, name: str) -> None:
        # In this version of the protocol it fails where the new name is taken.
        old, new = self._path(self.temporary(name)), self._path(name)
        self._check(self._now.ask(wire.RENAME, old, new), name)

    def withdraw(self, name: DumpName) -> None:
        sign = partials(name)[0]
        self.remove(sign)
        answer = self._now.ask(wire.RENAME, self._path(name.manifest), self._path(sign))
        self._check(answer, name.manifest, allowed=(wire.OK, wire.NO_SUCH_FILE))

    def remove(self, name: str) -> None:
        answer = self._now.ask(wire.REMOVE, self._path(name))
        self._check(answer, name, allowed=(wire.OK, wire.NO_SUCH_FILE))

    def lacks(self) -> tuple[str, ...]:
        return () if wire.FSYNC in self._now.extensions else ("on-disk",)

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    @property
    def _now(self) -> _Session:
        """The connection, made when it is needed."""
        if self._session is None:
            self._session = _Session(self.place)
        return self._session

    def _path(self, name: str) -> bytes:
        return wire.text(os.fsencode(self.place.path(name)))

    def _open(self, name: str, how: int) -> bytes:
        return self._handle(
            self._now.ask(wire.OPEN, self._path(name), wire.uint32(how), wire.uint32(0)), name, wire.HANDLE
        )

    def _asked(self, request: int, path: str, *, kind: int) -> bytes:
        return self._handle(self._now.ask(request, wire.text(os.fsencode(path))), path, kind)

    def _handle(self, answer: wire.Answer, name: str, kind: int) -> bytes:
        if answer.kind == kind:
            return answer.content
        self._check(answer, name)
        raise DumpError(f"{self.place.name} answered about {name} with a packet of type {answer.kind}")

    def _check(self, answer: wire.Answer, name: str, allowed: tuple[int, ...] = (wire.OK,)) -> None:
        try:
            code, words = answer.status()
        except ValueError as error:
            raise DumpError(f"{self.place.name}: {error}") from None
        if code in allowed:
            return
        sentence = f"{self.place.name} says of {name}: {words or 'it failed'} (status {code})"
        raise (AbsentError if code == wire.NO_SUCH_FILE else DumpError)(sentence)

    def _data(self, handle: bytes, name: str) -> t.Iterator[bytes]:
        """The file's content, asked for in advance; a part that comes short is asked for again, in its turn."""
        session, offset = self._now, 0
        waiting: list[tuple[int, int, int]] = []
        while True:
            while len(waiting) < WINDOW:
                number = session.begin(wire.READ, handle, wire.uint64(offset), wire.uint32(wire.CHUNK))
                waiting.append((number, offset, wire.CHUNK))
                offset += wire.CHUNK
            number, at, wanted = waiting.pop(0)
            answer = session.answer(number)
            if answer.kind != wire.DATA:
                self._check(answer, name, allowed=(wire.END_OF_FILE,))
                for number, _at, _wanted in waiting:
                    session.answer(number)
                return
            data = wire.Taker(answer.content).text()
            if not 0 < len(data) <= wanted:
                raise DumpError(f"{self.place.name} gave {len(data)} bytes of {name} where {wanted} were asked for")
            if len(data) < wanted:
                rest = wanted - len(data)
                number = session.begin(wire.READ, handle, wire.uint64(at + len(data)), wire.uint32(rest))
                waiting.insert(0, (number, at + len(data), rest))
            yield data


class _Session:
    """Numbered requests, and their answers in whatever order they come."""

    def __init__(self, place: Place) -> None:
        self._place = place
        command = place.command
        self._run = Run([command[0], "-s", *command[1:], "sftp"], place, writing=True)
        self._packets = wire.Packets()
        self._answers: dict[int, wire.Answer] = {}
        self._number = 0
        self._run.write(wire.packet(wire.INIT, wire.uint32(wire.PROTOCOL)))
        kind, content = self._packet()
        taker = wire.Taker(content)
        if kind != wire.VERSION or taker.uint32() < wire.PROTOCOL:
            raise DumpError(f"{place.name} does not speak version {wire.PROTOCOL} of SFTP")
        self.extensions: dict[bytes, bytes] = {}
        while not taker.empty:
            name = taker.text()
            self.extensions[name] = taker.text()

    def ask(self, kind: int, *content: bytes) -> wire.Answer:
        return self.answer(self.begin(kind, *content))

    def begin(self, kind: int, *content: bytes) -> int:
        self._number = (self._number + 1) % (1 << 32)
        self._run.write(wire.packet(kind, wire.uint32(self._number), *content))
        return self._number

    def answer(self, number: int) -> wire.Answer:
        while number not in self._answers:
            kind, content = self._packet()
            taken = int.from_bytes(content[:4], "big")
            self._answers[taken] = wire.Answer(kind, taken, content[4:])
        return self._answers.pop(number)

    def close(self) -> None:
        self._run.__exit__()

    def _packet(self) -> tuple[int, bytes]:
        try:
            while (found := self._packets.take()) is None:
                piece = next(self._run.read(), b"")
                if not piece:
                    self._run.finish()
                    raise DumpError(f"{self._place.name} ended the connection")
                self._packets.feed(piece)
        except ValueError as error:
            raise DumpError(f"{self._place.name}: {error}") from None
        return found
