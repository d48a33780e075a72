# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a query is expected to answer, and whether what the server answered is that."""

from __future__ import annotations

import dataclasses
import decimal
import typing as t

from .written import LinedFields

# As YAML's edge gives them.
Value: t.TypeAlias = "str | int | decimal.Decimal | bool | None"
# An answer that people compare by eye.
MOST_LINES = 200


@dataclasses.dataclass(frozen=True)
class Expected:
    """The rows of an answer, in order; one value that was written alone is one row of one column."""

    rows: tuple[tuple[Value, ...], ...]

    def met_by(self, rows: t.Sequence[t.Sequence[object]]) -> bool:
        """Whether the *rows*, as psycopg2 gives them, are these: as many, in this order, each value the same."""
        return [len(row) for row in rows] == [len(row) for row in self.rows] and all(
            same(wanted, found)
            for wanted_row, found_row in zip(self.rows, rows, strict=True)
            for wanted, found in zip(wanted_row, found_row, strict=True)
        )

    def __str__(self) -> str:
        return shown(self.rows)


def same(wanted: Value, found: object) -> bool:
    """Whether *found* is *wanted*: a number equals a number alone, true is not 1, and NULL is only NULL.

    A text is held against whatever else the server gave, as it is written.
    """
    if wanted is None or found is None or isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(wanted, (int, decimal.Decimal)):
        if not isinstance(found, (int, float, decimal.Decimal)):
            return False
        return decimal.Decimal(str(found)) == decimal.Decimal(wanted)
    return not isinstance(found, (int, float, decimal.Decimal)) and str(found) == wanted


def shown(rows: t.Sequence[t.Sequence[object]]) -> str:
    """An answer in a line: one value by itself, rows in brackets."""
    if len(rows) == 1 and len(rows[0]) == 1:
        return _word(rows[0][0])
    return "; ".join("(" + ", ".join(_word(value) for value in row) + ")" for row in rows) or "no rows"


def _word(value: object) -> str:
    if value is None:
        return "NULL"
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_expected(read: LinedFields, where: str, value: object) -> Expected:
    """A value, or a list of rows that are lists of values."""
    if not isinstance(value, list):
        return Expected(((_value(read, where, value),),))
    if len(value) > MOST_LINES:
        read.say(where, f"this is more than {MOST_LINES} rows: ask for fewer, or for their count")
    rows = []
    for key, row in read.sequence(where, value):
        if not isinstance(row, list) or not row:
            read.say(key, "write a row as a list of its values")
            continue
        rows.append(tuple(_value(read, at, one) for at, one in read.sequence(key, row)))
    if len({len(row) for row in rows}) > 1:
        read.say(where, "the rows have different numbers of values: write each with all its columns")
    return Expected(tuple(rows))


def _value(read: LinedFields, where: str, value: object) -> Value:
    if value is None or isinstance(value, (str, int, decimal.Decimal)):
        return value
    read.say(where, "write a value: text, a number, true, false or null")
    return None
