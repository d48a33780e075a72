# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a copy again: pg_dump writes it, and several sessions at once the rows of large tables, as pg_dump would.

One session gives a server's one process: it makes text more slowly than it is read. The rows of a new table lie in the
order in which they came. So ranges of its pages are asked for in turns, and put one behind the other: these are the
bytes that COPY of the whole gives. Nothing hangs on that being so: they are held against the dump's digest, and where
they differ pg_dump alone decides.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import queue
import secrets
import threading
import types
import typing as t

from ..pipeline import flowing
from ..processes import GRACE, Child, DumpError, write_all
from ..scan import Scanned, Scanner, TableData, qualified
from .session import Session, composed

if t.TYPE_CHECKING:
    from ..ddl import Statements
    from .server import Server

# Each is one more process of the server's.
SESSIONS = 2
# In pages of 8 kB: what is smaller is read as fast by pg_dump.
LARGE = 8192
RANGE = 1024
# Pieces of a megabyte that a session may be ahead, and seconds after which a thread looks whether it is to end.
AHEAD = 8
PIECE = 1 << 20
LOOK = 0.2
# As pg_dump sets them, beside what the environment says for both.
SETTINGS = (
    "SET client_encoding = UTF8; SET datestyle = ISO; SET intervalstyle = postgres; SET extra_float_digits = 3; "
    "SET row_security = off; SET search_path = ''; SET jit = off; SET max_parallel_workers_per_gather = 0; "
    # Without it each range would be a scan of the whole.
    "SET enable_tidscan = on;\n"
)
# Ordinary tables in the server's own format, with the columns that COPY writes; an extension's pg_dump knows better.
_TABLES = """
SELECT n.nspname, c.relname, format('%I.%I', n.nspname, c.relname), pg_relation_size(c.oid) / 8192,
       string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_am m ON m.oid = c.relam AND m.amname = 'heap'
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
 WHERE c.relkind = 'r' AND pg_relation_size(c.oid) >= {} * 8192::bigint
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND d.deptype = 'e')
 GROUP BY c.oid, n.nspname, c.relname ORDER BY 1, 2
"""


@dataclasses.dataclass(frozen=True)
class Large:
    """A table that is read so: ``shown`` is its name in SQL, ``pages`` how many it has, ``columns`` what is written."""

    schema: str
    name: str
    shown: str
    pages: int
    columns: str

    @property
    def qualified(self) -> str:
        """As a scan names it."""
        return qualified(self.schema, self.name)

    @property
    def left_out(self) -> str:
        """The option that has pg_dump leave its rows out; in quotes nothing of a name is a pattern."""
        quoted = (each.replace('"', '""') for each in (self.schema, self.name))
        return '--exclude-table-data="{}"."{}"'.format(*quoted)

    def statements(self) -> t.Iterator[str]:
        """The COPY of each range; the last one has no end."""
        for start in range(0, max(self.pages, 1), RANGE):
            end = f" AND ctid < '({start + RANGE},0)'" if start + RANGE < self.pages else ""
            where = f"ctid >= '({start},0)'{end}"
            # The names are quoted by the server.
            yield f"COPY (SELECT {self.columns} FROM ONLY {self.shown} WHERE {where}) TO STDOUT;\n"  # noqa: S608


def large_tables(session: Session, known: t.Container[str]) -> list[Large]:
    """The large ones among the *known* tables."""
    found = [Large(*row) for row in session.rows(composed(_TABLES, LARGE))]
    return [table for table in found if table.qualified in known]


def read_again(
    server: Server,
    copy: str,
    timezone: str,
    unordered: t.Collection[str],
    tables: t.Sequence[Large],
    tell: t.Callable[[t.Callable[[], dict[str, t.Any]]], None],
) -> tuple[Scanned, Statements]:
    """What *copy* holds and its statements; the rows of the *tables* by sessions of their own, beside pg_dump.

    *tell* is called all the time, with what says how far it is. DumpError where anything fails.
    """
    scanner = Scanner(unordered)
    with Readers(tables, lambda: server.reader(copy, timezone), scanner) as readers:
        pg_dump = server.pg_dump(copy, timezone, *(table.left_out for table in tables))
        try:
            for chunk in flowing(pg_dump.output):
                scanner.feed(chunk)
                tell(scanner.progress)
            pg_dump.wait()
            if problem := pg_dump.complaint():
                raise DumpError(f"the copy could not be dumped to compare it: {problem}")
        except BaseException:
            pg_dump.kill()
            raise
        finally:
            pg_dump.end()
        scanned, found = scanner.finish(), readers.read(tell)
    # pg_dump has written none of theirs, or the one would hide the other.
    if twice := scanned.tables.keys() & found.keys():
        raise DumpError(f"pg_dump has written the rows of {', '.join(sorted(twice))}, which were to be left out")
    return dataclasses.replace(scanned, tables={**scanned.tables, **found}), scanner.statements


class Readers:
    """A context: sessions that read the *tables*, each started by *start* with a pipe to it and one from it.

    What the *scanner* has seen goes before, to say how far all is.
    """

    def __init__(self, tables: t.Sequence[Large], start: t.Callable[[], Child], scanner: Scanner) -> None:
        self._tables = tables
        self._start = start
        self._scanner = scanner
        self._readers: list[_Reader] = []
        self._seen: dict[str, t.Any] = {"table": "", "rows": 0, "bytes": 0}

    def __enter__(self) -> t.Self:
        orders = [statement for table in self._tables for statement in table.statements()]
        try:
            for number in range(min(SESSIONS, len(orders))):
                self._readers.append(_Reader(self._start(), orders[number::SESSIONS]))
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        for reader in self._readers:
            reader.close()

    def progress(self) -> dict[str, t.Any]:
        """As `Scanner.progress`."""
        before = self._scanner.progress()
        return {**self._seen, **{key: self._seen[key] + before[key] for key in ("rows", "bytes")}}

    def read(self, tell: t.Callable[[t.Callable[[], dict[str, t.Any]]], None]) -> dict[str, TableData]:
        """The sums of each table."""
        found, turn = {}, 0
        for table in self._tables:
            self._seen["table"] = table.qualified
            rows, size, digest = 0, 0, hashlib.sha256()
            for _statement in table.statements():
                for piece in self._readers[turn % SESSIONS].range():
                    lines = piece.count(b"\n")
                    rows += lines
                    size += len(piece)
                    digest.update(piece)
                    self._seen["rows"] += lines
                    self._seen["bytes"] += len(piece)
                    tell(self.progress)
                turn += 1
            found[table.qualified] = TableData(rows=rows, bytes=size, sha256=digest.hexdigest())
        for reader in self._readers:
            reader.finish()
        return found


class _Reader:
    """One session: a thread asks it for one range after the other, and is so far ahead of who takes the rows."""

    def __init__(self, psql: Child, statements: t.Sequence[str]) -> None:
        self._psql = psql
        self._statements = statements
        # No row of anybody's is this one.
        self._mark = secrets.token_hex(24).encode() + b"\n"
        self._pieces: queue.Queue[bytes | Exception | None] = queue.Queue(AHEAD)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="again", daemon=True)
        self._thread.start()

    def range(self) -> t.Iterator[bytes]:
        """The pieces of the range that comes next; DumpError where the session failed."""
        while (piece := self._pieces.get()) is not None:
            if isinstance(piece, Exception):
                self._psql.wait(GRACE)
                raise DumpError(self._psql.complaint() or f"the copy could not be read: {piece}")
            yield piece

    def finish(self) -> None:
        """All was read: the session ends, so that nobody is connected to the copy. DumpError where it ends badly."""
        self._thread.join()
        self._psql.close_input()
        self._psql.wait(GRACE)
        if problem := self._psql.complaint():
            raise DumpError(f"the copy could not be read: {problem}")

    def close(self) -> None:
        """No process is left, and no thread."""
        self._ended.set()
        self._psql.kill()
        self._thread.join()
        self._psql.end()

    def _run(self) -> None:
        try:
            write_all(self._psql.input, SETTINGS.encode())
            text = self._text()
            for statement in self._statements:
                mark = f"COPY (SELECT '{self._mark.decode().strip()}') TO STDOUT;\n"
                write_all(self._psql.input, statement.encode(), mark.encode())
                for piece in text:
                    if not self._put(piece):
                        return
                    if piece is None:
                        break
                else:
                    raise EOFError("psql ended")
        except Exception as error:  # pylint: disable=broad-exception-caught
            self._put(error)

    def _text(self) -> t.Iterator[bytes | None]:
        """What comes, in pieces of some size, and None at the end of each range; it waits for nothing behind that."""
        held = bytearray()
        for chunk in flowing(self._psql.output):
            held += chunk
            if held.endswith(self._mark):
                del held[-len(self._mark) :]
                if held:
                    yield bytes(held)
                held.clear()
                yield None
            elif len(held) >= PIECE:
                # The mark may have begun.
                yield bytes(held[: -len(self._mark)])
                del held[: -len(self._mark)]

    def _put(self, piece: bytes | Exception | None) -> bool:
        """Hand it on; False where nobody takes it any more."""
        while not self._ended.is_set():
            with contextlib.suppress(queue.Full):
                self._pieces.put(piece, timeout=LOOK)
                return True
        return False
