# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows that an action touches, as lines of JSON: written as they come, read again for the undo.

The first line says what they are of; then for each step and table a line that describes it, and a line for each row;
the last one has the number of all rows and the SHA-256 of all that is before it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing as t

from ..dumps.manifest import encode
from .undo import DELETED, INSERTED, UPDATED, Column, Table, Touched

VERSION = 1
Values: t.TypeAlias = "tuple[str | None, ...]"


@dataclasses.dataclass(frozen=True)
class About:
    """What the rows are of; *plan_sha256* is that of its before.yml."""

    incident: str
    plan_sha256: str
    host: str
    database: str


@dataclasses.dataclass
class Tally:
    """The rows of one table, with bytes and SHA-256 of their lines."""

    rows: int = 0
    bytes: int = 0
    digest: t.Any = dataclasses.field(default_factory=hashlib.sha256)


class Writer:
    """Gives each line to *write*. ``tables`` has the `Tally` of each, by ``schema.table``."""

    def __init__(self, about: About, write: t.Callable[[bytes], None]) -> None:
        self._write_on = write
        self._digest = hashlib.sha256()
        self._now = Tally()
        self.size = 0
        self.rows = 0
        self.tables: dict[str, Tally] = {}
        self._line({"version": VERSION, **dataclasses.asdict(about)})

    @property
    def sha256(self) -> str:
        """Of all that was written until now."""
        return self._digest.hexdigest()

    def table(self, step: str, done: str, table: Table) -> None:
        """What follows are rows of *table* that *step* has *done* something to (`undo.DELETED` and its like)."""
        self._now = self.tables.setdefault(f"{table.schema}.{table.name}", Tally())
        self._line({"step": step, "done": done, "table": dataclasses.asdict(table)})

    def row(self, values: Values) -> None:
        """One row, in the order of its table's columns."""
        line = self._line({"row": list(values)})
        self.rows += 1
        self._now.rows += 1
        self._now.bytes += len(line)
        self._now.digest.update(line)

    def end(self) -> None:
        """There are no more."""
        self._line({"rows": self.rows, "sha256": self.sha256})

    def _line(self, document: t.Mapping[str, t.Any]) -> bytes:
        line = encode(document) + b"\n"
        self._digest.update(line)
        self.size += len(line)
        self._write_on(line)
        return line


def read(lines: t.Iterable[bytes]) -> tuple[About, tuple[Touched, ...]]:
    """What a `Writer` has written, line by line; ValueError where it is not whole."""
    digest, about, parts, ended = hashlib.sha256(), None, _Parts(), False
    for line in lines:
        document = _document(line)
        if ended:
            raise ValueError("the saved rows go on after their end")
        if about is None:
            about = _about(document)
        elif "sha256" in document:
            if (document["sha256"], document.get("rows")) != (digest.hexdigest(), parts.count):
                raise ValueError("the saved rows are not those that were written: their SHA-256 or number differs")
            ended = True
        else:
            parts.take(document)
        digest.update(line)
    if about is None or not ended:
        raise ValueError("the saved rows are not whole: their last line is missing")
    return about, tuple(parts.touched())


class _Parts:
    """The tables and their rows, in order."""

    def __init__(self) -> None:
        self.count = 0
        self._heads: list[tuple[str, str, Table]] = []
        self._rows: list[list[Values]] = []

    def take(self, document: dict[str, t.Any]) -> None:
        if document.keys() == {"row"} and self._heads:
            self._rows[-1].append(self._row(document["row"]))
            self.count += 1
        elif document.keys() == {"step", "done", "table"}:
            self._heads.append((_text(document["step"]), _done(document["done"]), _table(document["table"])))
            self._rows.append([])
        else:
            raise ValueError("the saved rows hold a line that is not known")

    def _row(self, values: object) -> Values:
        columns = self._heads[-1][2].columns
        if not isinstance(values, list) or not all(value is None or isinstance(value, str) for value in values):
            raise ValueError("a saved row is no list of texts")
        if len(values) != len(columns):
            raise ValueError("a saved row has not as many values as its table has columns")
        return tuple(values)

    def touched(self) -> t.Iterator[Touched]:
        for (step, done, table), rows in zip(self._heads, self._rows, strict=True):
            yield Touched(step, done, table, tuple(rows))


def _document(line: bytes) -> dict[str, t.Any]:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("the saved rows hold a line that is not JSON") from None
    if not isinstance(document, dict) or encode(document) + b"\n" != line:
        raise ValueError("the saved rows hold a line that is not written as they are")
    return document


def _about(document: dict[str, t.Any]) -> About:
    if document.pop("version", None) != VERSION:
        raise ValueError(f"these are no saved rows of version {VERSION}")
    if document.keys() != {field.name for field in dataclasses.fields(About)}:
        raise ValueError("the first line does not say what the saved rows are of")
    return About(**{name: _text(value) for name, value in document.items()})


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("the saved rows hold a name that is no text")
    return value


def _done(value: object) -> str:
    if value not in (DELETED, UPDATED, INSERTED):
        raise ValueError("the saved rows do not say what happened to them")
    return str(value)


def _table(value: object) -> Table:
    if not isinstance(value, dict) or value.keys() != {"schema", "name", "columns"}:
        raise ValueError("the saved rows do not say of which table they are")
    if not isinstance(value["columns"], list):
        raise ValueError("the saved rows do not say of which columns they are")
    return Table(_text(value["schema"]), _text(value["name"]), tuple(_column(one) for one in value["columns"]))


def _column(value: object) -> Column:
    if not isinstance(value, dict) or value.keys() != {field.name for field in dataclasses.fields(Column)}:
        raise ValueError("the saved rows do not say of which columns they are")
    flags = {name: value[name] for name in ("key", "generated", "identity")}
    if not all(isinstance(flag, bool) for flag in flags.values()):
        raise ValueError("the saved rows do not say which columns are key, generated or identity")
    return Column(_text(value["name"]), _text(value["type"]), **flags)
