# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packets of SFTP, version 3, as every server speaks it (draft-ietf-secsh-filexfer-02): bytes in, bytes out."""

from __future__ import annotations

import dataclasses
import struct

INIT, VERSION = 1, 2
OPEN, CLOSE, READ, WRITE = 3, 4, 5, 6
OPENDIR, READDIR, REMOVE, STAT, RENAME, EXTENDED = 11, 12, 13, 17, 18, 200
STATUS, HANDLE, DATA, NAME, ATTRS = 101, 102, 103, 104, 105
OK, END_OF_FILE, NO_SUCH_FILE = 0, 1, 2
# To open: for reading; or for writing a file that must not be there yet.
TO_READ, TO_MAKE = 0x01, 0x02 | 0x08 | 0x20
FSYNC = b"fsync@openssh.com"
PROTOCOL = 3
# A server must take packets of 34,000 bytes; what is larger is no packet.
CHUNK = 32768
PACKET_LIMIT = 1 << 18
_SIZE, _OWNERS, _MODE, _TIMES, _MORE = 0x1, 0x2, 0x4, 0x8, 0x80000000


def uint32(value: int) -> bytes:
    return struct.pack(">I", value)


def uint64(value: int) -> bytes:
    return struct.pack(">Q", value)


def text(value: bytes) -> bytes:
    return uint32(len(value)) + value


def packet(kind: int, *parts: bytes) -> bytes:
    """A packet of this *kind*, its length first."""
    body = b"".join(parts)
    return uint32(len(body) + 1) + bytes([kind]) + body


class Taker:
    """Takes values off the front of a packet; ValueError where it is too short."""

    def __init__(self, content: bytes) -> None:
        self._rest = content

    def take(self, size: int) -> bytes:
        if len(self._rest) < size:
            raise ValueError("the server sent a packet that is cut short")
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def uint32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def uint64(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def text(self) -> bytes:
        return self.take(self.uint32())

    def size(self) -> int | None:
        """The size out of a file's attributes, None where the server does not say it; the rest goes by."""
        flags = self.uint32()
        size = self.uint64() if flags & _SIZE else None
        for flag, length in ((_OWNERS, 8), (_MODE, 4), (_TIMES, 8)):
            if flags & flag:
                self.take(length)
        if flags & _MORE:
            for _pair in range(self.uint32()):
                self.text()
                self.text()
        return size

    @property
    def empty(self) -> bool:
        return not self._rest


@dataclasses.dataclass(frozen=True)
class Answer:
    """One packet of the server's: its kind, the number of the request, and what is in it."""

    kind: int
    number: int
    content: bytes

    def status(self) -> tuple[int, str]:
        """The code and the server's own words; ValueError where it is no status."""
        if self.kind != STATUS:
            raise ValueError(f"the server answered with a packet of type {self.kind}")
        taker = Taker(self.content)
        code = taker.uint32()
        return code, "" if taker.empty else taker.text().decode("utf-8", "replace")

    def entries(self) -> list[tuple[str, int | None]]:
        """Names and sizes of a part of a folder."""
        taker = Taker(self.content)
        found = []
        for _entry in range(taker.uint32()):
            name = taker.text().decode("utf-8", "surrogateescape")
            taker.text()
            found.append((name, taker.size()))
        return found


class Packets:
    """Packets out of bytes that come in pieces of any size."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> None:
        self._pending += chunk

    def take(self) -> tuple[int, bytes] | None:
        """The next one, None where it is not whole yet; ValueError where it is none."""
        if len(self._pending) < 4:
            return None
        length = int.from_bytes(self._pending[:4], "big")
        if not 1 <= length <= PACKET_LIMIT:
            # A login shell's greeting would look like a very long packet.
            raise ValueError("what answers is no SFTP server: does the account's shell print something?")
        if len(self._pending) < 4 + length:
            return None
        kind, content = self._pending[4], bytes(self._pending[5 : 4 + length])
        del self._pending[: 4 + length]
        return kind, content
