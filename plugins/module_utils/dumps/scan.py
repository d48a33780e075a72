# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read pg_dump's plain text as it flows by: rows, bytes and SHA-256 of each table's COPY data, setval lines, the end.

Inside a COPY block nothing is done line by line: newlines are counted, the bytes hashed, the terminator looked for.
Between the blocks (the schema, small beside the data) whole lines go through a lexer of PostgreSQL's quoting, so that
the words ``COPY x FROM stdin;`` in a function's body, a comment or a name are not taken for a block. What it can't
read is a ValueError, never a guess.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import typing as t

from .ddl import Ddl, Statements

COMPLETE = b"-- PostgreSQL database dump complete\n"
# A line of the schema longer than this is no pg_dump's; it bounds what is held in memory.
LINE_LIMIT = 16 << 20
# The same for a whole statement.
STATEMENT_LIMIT = LINE_LIMIT
_TERMINATOR = b"\\.\n"

IDENTIFIER = rb'(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_]*)'
_COPY = re.compile(rb"COPY (%s)\.(%s) (?:\(%s(?:, %s)*\))? FROM stdin;\n" % ((IDENTIFIER,) * 4))
_QUALIFIED = re.compile(rb"(%s)\.(%s)" % ((IDENTIFIER,) * 2))
_SETVAL = re.compile(rb"SELECT pg_catalog\.setval\('((?:[^']|'')+)', (-?[0-9]+), (true|false)\);\n")
_RESTRICT = re.compile(rb"\\(?:un)?restrict [A-Za-z0-9]+\n")
_SIMPLE = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)

# What changes the lexer's state outside quotes. An identifier may hold a dollar sign, so E' and $tag$ begin after none.
# Each branch begins with a character of its own: re then skips to those.
_TOKEN = re.compile(
    rb"--[^\n]*|/\*|'|\"|\$(?<![A-Za-z0-9_$\x80-\xff]\$)(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$|;|\\"
)
_ESCAPING = re.compile(rb"(?<![A-Za-z0-9_$\x80-\xff])[eE]'")
_ESCAPED_END = re.compile(rb"\\.|'", re.DOTALL)
_BLOCK_COMMENT = re.compile(rb"/\*|\*/")


@dataclasses.dataclass(frozen=True)
class TableData:
    """The COPY data of a table: rows, bytes with a newline for each row, and their SHA-256 in hexadecimal."""

    rows: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class SequenceValue:
    """What setval gives a sequence."""

    value: int
    called: bool


@dataclasses.dataclass(frozen=True)
class Scanned:
    """What a whole dump holds; the names are those of `qualified`."""

    raw_bytes: int
    tables: dict[str, TableData]
    sequences: dict[str, SequenceValue]
    ddl: Ddl
    # Of the tables that were to be summed in any order.
    sums: dict[str, int] = dataclasses.field(default_factory=dict)


def qualified(schema: str, name: str) -> str:
    """``schema.name``, each part quoted unless it is plain lower case, whatever a version calls a keyword."""
    return f"{quoted(schema)}.{quoted(name)}"


def quoted(name: str) -> str:
    """One part of a name, as `qualified` has it."""
    return name if _SIMPLE.fullmatch(name) else '"' + name.replace('"', '""') + '"'


class _Table:
    """The running sums of a table; a table loaded through its partition root comes in several blocks."""

    def __init__(self) -> None:
        self.rows = 0
        self.bytes = 0
        self.digest = hashlib.sha256()
        self.sum: RowSum | None = None


class RowSum:
    """The sum of the SHA-256 of each row, modulo 2^256: the same in whatever order they come."""

    def __init__(self) -> None:
        self.value = 0
        self._held = b""

    def add(self, piece: bytes | memoryview) -> None:
        """Take the next piece, which may end within a row."""
        *rows, self._held = (self._held + piece).split(b"\n")
        for row in rows:
            self.value += int.from_bytes(hashlib.sha256(row).digest(), "big")
        self.value %= 1 << 256


class Scanner:
    """Feed it the text in pieces of any size, then `finish`."""

    # The line that says that all is there, and how the statements begin that are read.
    complete: t.ClassVar[bytes] = COMPLETE
    captured: t.ClassVar[tuple[bytes, ...]] = (b"COPY ", b"SELECT pg_catalog.setval(")

    def __init__(self, unordered: t.Collection[str] = ()) -> None:
        # The tables whose rows are summed in any order too.
        self._unordered = unordered
        # All statements of the schema.
        self.statements = Statements()
        # Where its \restrict and \unrestrict lines begin and end, in bytes from the beginning; may be cleared.
        self.restricts: list[tuple[int, int]] = []
        self._raw_bytes = 0
        self._held = b""
        self._tables: dict[str, _Table] = {}
        self._sequences: dict[str, SequenceValue] = {}
        self._complete = False
        # Inside a COPY block: its table's name and sums, and whether what comes next begins a line.
        self._block = ""
        self._table: _Table | None = None
        self._line_start = True
        # Outside: the quote that is open ("" for none), the depth of a comment, whether a statement has begun.
        self._quote = b""
        self._depth = 0
        self._open = False
        self._statement_open = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take the next piece; ValueError where the text is none that pg_dump writes."""
        self._raw_bytes += len(chunk)
        text = self._held + chunk if self._held else chunk
        self._held = b""
        position = 0
        while position < len(text):
            position = self._rows(text, position) if self._table is not None else self._lines(text, position)

    @property
    def held(self) -> int:
        """How many of the last bytes wait for those that follow them."""
        return len(self._held)

    def progress(self) -> dict[str, t.Any]:
        """The table that flows by, all rows and all bytes until now; another thread may ask."""
        tables = list(self._tables.values())
        return {
            "table": self._block if self._table is not None else "",
            "rows": sum(table.rows for table in tables),
            "bytes": self._raw_bytes,
        }

    def finish(self) -> Scanned:
        """The sums; ValueError unless the text was complete."""
        if self._table is not None:
            raise ValueError(f"the dump ends within the rows of {self._block}")
        if self._held:
            raise ValueError("the dump ends within a line")
        if self._quote or self._depth or self._open:
            raise ValueError("the dump ends within a statement")
        if not self._complete:
            raise ValueError("the dump lacks its last line, which says that it is complete")
        tables = {
            name: TableData(rows=table.rows, bytes=table.bytes, sha256=table.digest.hexdigest())
            for name, table in self._tables.items()
        }
        sums = {name: table.sum.value for name, table in self._tables.items() if table.sum is not None}
        return Scanned(self._raw_bytes, tables, self._sequences, self.statements.ddl(), sums)

    # Inside a COPY block

    def _rows(self, text: bytes, start: int) -> int:
        """Take the rows in *text* from *start*; where to go on."""
        if self._line_start:
            head = text[start : start + 3]
            if head == _TERMINATOR:
                self._table = None
                return start + 3
            if _TERMINATOR.startswith(head):
                self._held = text[start:]
                return len(text)
        # From the end, which CPython does in half the time: in most pieces there is none.
        if text.rfind(b"\n\\.\n", start) >= 0:
            found = text.find(b"\n\\.\n", start)
            self._add(text, start, found + 1)
            self._table = None
            return found + 4
        end = len(text)
        if text.endswith(b"\n\\."):
            end -= 2
        elif text.endswith(b"\n\\"):
            end -= 1
        self._add(text, start, end)
        self._held = text[end:]
        return len(text)

    def _add(self, text: bytes, start: int, end: int) -> None:
        if self._table is not None and end > start:
            self._table.rows += text.count(b"\n", start, end)
            self._table.bytes += end - start
            piece = text if (start, end) == (0, len(text)) else memoryview(text)[start:end]
            self._table.digest.update(piece)
            if self._table.sum is not None:
                self._table.sum.add(piece)
            self._line_start = text[end - 1] == 0x0A

    # Between the blocks

    def _lines(self, text: bytes, start: int) -> int:
        begin = self._raw_bytes - len(text)
        while start < len(text):
            end = text.find(b"\n", start) + 1
            if not end:
                if len(text) - start > LINE_LIMIT:
                    raise ValueError(f"a line of the dump's schema is longer than {LINE_LIMIT} bytes")
                self._held = text[start:]
                return len(text)
            if self._line(text[start:end]):
                self.restricts.append((begin + start, begin + end))
            start = end
            if self._table is not None:
                break
        return start

    def _line(self, line: bytes) -> bool:
        """Take a line; whether it is pg_dump's \\restrict or \\unrestrict."""
        if not (self._quote or self._depth or self._open):
            if line.startswith(b"--"):
                self._complete = self._complete or line == self.complete
                return False
            if line == b"\n":
                return False
            if line.startswith(b"\\"):
                if _RESTRICT.fullmatch(line) is None:
                    raise ValueError(f"the dump holds a psql command: {_shown(line)}")
                return True
            if self._complete:
                raise ValueError("the dump goes on after the line that says that it is complete")
        self._statement_open += line
        self._lex(line)
        if not (self._quote or self._depth or self._open):
            statement = bytes(self._statement_open)
            self._statement_open.clear()
            self._ended(statement)
        elif len(self._statement_open) > STATEMENT_LIMIT:
            raise ValueError(f"a statement of the dump's schema is longer than {STATEMENT_LIMIT} bytes")
        return False

    def _ended(self, statement: bytes) -> None:
        if statement.startswith(self.captured):
            self._statement(statement)
        else:
            self.statements.add(statement)

    def _statement(self, statement: bytes) -> None:
        copy = _COPY.fullmatch(statement)
        if copy is not None:
            self._block = qualified(unquote(copy[1]), unquote(copy[2]))
            self._table = self._tables.setdefault(self._block, _Table())
            if self._block in self._unordered and self._table.sum is None:
                self._table.sum = RowSum()
            self._line_start = True
            return
        setval = _SETVAL.fullmatch(statement)
        name = _QUALIFIED.fullmatch(setval[1].replace(b"''", b"'")) if setval is not None else None
        if setval is None or name is None:
            raise ValueError(f"the dump holds a statement that could not be read: {_shown(statement)}")
        sequence = qualified(unquote(name[1]), unquote(name[2]))
        self._sequences[sequence] = SequenceValue(value=int(setval[2]), called=setval[3] == b"true")

    def _lex(self, line: bytes) -> None:
        """Carry the state of quotes, comments and statements over a whole line."""
        if not (self._depth or self._quote) and _TOKEN.search(line) is None:
            self._open = self._open or not line.isspace()
            return
        position = 0
        while position < len(line):
            if self._depth:
                position = self._in_comment(line, position)
            elif self._quote:
                position = self._in_quote(line, position)
            else:
                position = self._in_sql(line, position)

    def _in_sql(self, line: bytes, start: int) -> int:
        token = _TOKEN.search(line, start)
        end = len(line) if token is None else token.start()
        if not self._open and line[start:end].strip():
            self._open = True
        if token is None:
            return end
        found = token[0]
        if found == b";":
            self._open = False
        elif found == b"/*":
            self._depth = 1
        elif found == b"\\":
            raise ValueError(f"the dump holds a psql command: {_shown(line)}")
        elif found == b"'" and token.start() > start and _ESCAPING.match(line, token.start() - 1):
            self._quote = b"E'"
            self._open = True
        elif not found.startswith(b"--"):
            self._quote = found
            self._open = True
        return token.end()

    def _in_quote(self, line: bytes, start: int) -> int:
        """A doubled quote ends and begins again, which leaves the same state as staying inside."""
        if self._quote == b"E'":
            escaped = _ESCAPED_END.search(line, start)
            while escaped is not None and escaped[0] != b"'":
                escaped = _ESCAPED_END.search(line, escaped.end())
            if escaped is None:
                return len(line)
            if line[escaped.end() : escaped.end() + 1] == b"'":
                return escaped.end() + 1
            self._quote = b""
            return escaped.end()
        found = line.find(self._quote, start)
        if found < 0:
            return len(line)
        end = found + len(self._quote)
        self._quote = b""
        return end

    def _in_comment(self, line: bytes, start: int) -> int:
        mark = _BLOCK_COMMENT.search(line, start)
        if mark is None:
            return len(line)
        self._depth += 1 if mark[0] == b"/*" else -1
        return mark.end()


def scan(chunks: t.Iterable[bytes]) -> Scanned:
    """Scan a whole dump that comes in *chunks*."""
    scanner = Scanner()
    for chunk in chunks:
        scanner.feed(chunk)
    return scanner.finish()


def unquote(identifier: bytes) -> str:
    """The name that an identifier in SQL stands for."""
    text = identifier.decode("utf-8")
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def _shown(line: bytes) -> str:
    return repr(line[:120].decode("utf-8", "replace"))
