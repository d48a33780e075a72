# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""What psql is given of a dump: its text without the dump's own \restrict lines, and ours round the whole.

The key in a dump's own \restrict line is known to whoever wrote the dump, who could end it. Ours is made for this one
restore: psql refuses every command of its own until it comes back, at the end.

One way is left. psql before the fix of CVE-2026-18408 runs what stands in backquotes behind \unrestrict, and looks at
the key afterwards. The scanner refuses such a line outside quotes and rows, but a hostile dump may let psql see the end
of a quote where the scanner sees none (by a setting, or by an encoding). So that line is refused wherever it stands.
"""

from __future__ import annotations

import re
import typing as t

from ..scan import Scanned, Scanner

_KEY = re.compile(r"[A-Za-z0-9]{32,}", re.ASCII)
_UNRESTRICT = b"\\unrestrict"
# A second backslash before it, as rows have, makes it another command, which psql refuses.
_BACKQUOTED = re.compile(rb"(?<!\\)(\\unrestrict)([^\n]*)")


class Text:
    """Feed it the dump in pieces of any size and give psql what comes back; then `finish`."""

    def __init__(self, scanner: Scanner, key: str) -> None:
        """*scanner* has seen nothing yet; *key* was made at random for this one restore."""
        if _KEY.fullmatch(key) is None:
            raise ValueError("the key of \\restrict must be at least 32 letters and digits")
        self._scanner = scanner
        self._key = key.encode()
        self._taken = 0
        self._held = b""
        self._begun = False
        # The last bytes, in which the word may begin, and whether it stands in the line that goes on.
        self._edge = b""
        self._unrestricting = False

    def feed(self, chunk: bytes) -> list[bytes | memoryview]:
        """What of the text can be given on; ValueError where the scanner refuses it. Rows pass uncopied."""
        self._refuse(chunk)
        begin, parts = self._taken - len(self._held), (self._held, chunk)
        self._scanner.feed(chunk)
        self._taken += len(chunk)
        end = self._taken - self._scanner.held
        given: list[bytes | memoryview] = []
        if not self._begun:
            given.append(b"\\restrict " + self._key + b"\n")
            self._begun = True
        for start, stop in self._kept(begin, end):
            given += _between(parts, start - begin, stop - begin)
        self._held = b"".join(_between(parts, end - begin, self._taken - begin))
        return given

    def finish(self) -> tuple[Scanned, bytes]:
        """What the text held and the last line for psql; ValueError unless the text was complete."""
        return self._scanner.finish(), b"\\unrestrict " + self._key + b"\n"

    def _refuse(self, chunk: bytes) -> None:
        """ValueError where psql may read something else than the scanner, and run it."""
        # psql's lines end at a zero byte. PostgreSQL's text holds none.
        if chunk.find(b"\0") >= 0:
            raise ValueError("the dump holds a zero byte, which is in no text that pg_dump writes")
        if self._unrestricting:
            end = chunk.find(b"\n")
            _refuse_backquote(chunk[:end] if end >= 0 else chunk)
            self._unrestricting = end < 0
        edge, width = self._edge, len(_UNRESTRICT)
        if chunk.rfind(_UNRESTRICT) >= 0 or _UNRESTRICT in edge + chunk[:width]:
            joined = edge + chunk
            for found in _BACKQUOTED.finditer(joined):
                if found.end(1) > len(edge):
                    _refuse_backquote(found[2])
                    self._unrestricting = found.end() == len(joined)
        self._edge = (edge + chunk[-width:])[-width:]

    def _kept(self, begin: int, end: int) -> t.Iterator[tuple[int, int]]:
        """From where to where the text stays, between the lines that go."""
        for start, stop in self._scanner.restricts:
            yield begin, start
            begin = stop
        self._scanner.restricts.clear()
        yield begin, end


def _between(parts: t.Sequence[bytes], start: int, stop: int) -> t.Iterator[bytes | memoryview]:
    """The bytes of all *parts* together from *start* to *stop*, as views where a part isn't taken whole."""
    for part in parts:
        first, last = max(start, 0), min(stop, len(part))
        if first < last:
            yield part if (first, last) == (0, len(part)) else memoryview(part)[first:last]
        start -= len(part)
        stop -= len(part)


def _refuse_backquote(line: bytes) -> None:
    if b"`" in line:
        raise ValueError(
            "the dump holds \\unrestrict with a backquote, behind which psql may run a command of the shell"
        )
