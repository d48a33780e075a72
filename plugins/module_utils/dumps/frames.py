# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stream between source, sender and store.

A frame is a length (unsigned, 32 bit, big-endian) and that many bytes; a frame of length zero ends a section. A stream
is four sections: the header (a JSON document), the data (the compressed dump), the trailer (a JSON document) and the
signature of the trailer's very bytes (empty where the trailer says that the dump failed). So the end of the bytes is
never taken for the end of the dump. The source writes several streams, one after the other; a store takes one.
"""

from __future__ import annotations

import enum
import struct
import typing as t

_LENGTH = struct.Struct(">I")
# As much as a widened pipe holds, so that a frame is one read and one write.
FRAME_LIMIT = 1 << 20
HEADER_LIMIT = 1 << 16
# About 160 bytes for each table: room for 100,000 of them.
TRAILER_LIMIT = 1 << 24
SIGNATURE_LIMIT = 1 << 14
END = _LENGTH.pack(0)


class Section(enum.Enum):
    """The sections of a stream, in their order."""

    HEADER = "header"
    DATA = "data"
    TRAILER = "trailer"
    SIGNATURE = "signature"


_ORDER = tuple(Section)
_LIMITS = {Section.HEADER: HEADER_LIMIT, Section.TRAILER: TRAILER_LIMIT, Section.SIGNATURE: SIGNATURE_LIMIT}


def prefix(size: int) -> bytes:
    """The length that goes before *size* bytes; ValueError unless 1 to `FRAME_LIMIT`."""
    if not 0 < size <= FRAME_LIMIT:
        raise ValueError(f"a frame holds 1 to {FRAME_LIMIT} bytes, not {size}")
    return _LENGTH.pack(size)


def section(content: bytes) -> bytes:
    """*content* as a whole section: its frames and the end."""
    parts = []
    for start in range(0, len(content), FRAME_LIMIT):
        part = content[start : start + FRAME_LIMIT]
        parts += [prefix(len(part)), part]
    return b"".join([*parts, END])


class FrameDecoder:
    """Frames out of bytes that come in pieces of any size."""

    def __init__(self) -> None:
        self._pending = bytearray()

    @property
    def inside(self) -> bool:
        """Whether a frame has begun that has not ended."""
        return bool(self._pending)

    def feed(self, chunk: bytes) -> t.Iterator[bytes]:
        """The frames that *chunk* completes, b"" for an end; ValueError where one is larger than the limit."""
        self._pending += chunk
        position = 0
        try:
            while len(self._pending) - position >= _LENGTH.size:
                (size,) = _LENGTH.unpack_from(self._pending, position)
                if size > FRAME_LIMIT:
                    raise ValueError(f"a frame of {size} bytes is larger than the limit of {FRAME_LIMIT}")
                end = position + _LENGTH.size + size
                if len(self._pending) < end:
                    break
                payload = bytes(memoryview(self._pending)[position + _LENGTH.size : end])
                position = end
                yield payload
        finally:
            del self._pending[:position]


class StreamDecoder:
    """The four sections out of bytes that come in pieces of any size.

    Header, trailer and signature are given whole, data frame by frame. `ended` is true after the signature's end alone,
    or, where streams follow each other (*many*), between two of them.
    """

    def __init__(self, *, many: bool = False) -> None:
        self._many = many
        self._frames = FrameDecoder()
        self._at = 0
        self._document = bytearray()

    @property
    def ended(self) -> bool:
        """Whether the stream is complete, and nothing of another one has come."""
        return self._at == (0 if self._many else len(_ORDER)) and not (self._frames.inside or self._document)

    def feed(self, chunk: bytes) -> list[tuple[Section, bytes]]:
        """What *chunk* completes; ValueError for a frame or document over its limit and for bytes after the end."""
        found: list[tuple[Section, bytes]] = []
        for payload in self._frames.feed(chunk):
            if self._at == len(_ORDER):
                raise ValueError("the stream goes on after its end")
            current = _ORDER[self._at]
            if current is Section.DATA:
                if payload:
                    found.append((current, payload))
                else:
                    self._at += 1
            elif payload:
                self._document += payload
                if len(self._document) > _LIMITS[current]:
                    raise ValueError(f"the {current.value} is larger than {_LIMITS[current]} bytes")
            else:
                found.append((current, bytes(self._document)))
                self._document.clear()
                self._at += 1
                if self._many:
                    self._at %= len(_ORDER)
        if self._at == len(_ORDER) and self._frames.inside:
            raise ValueError("the stream goes on after its end")
        return found
