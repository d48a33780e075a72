# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo: a new before.yml from the rows that an action saved. It goes through the same gates as any other plan."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import typing as t
import unicodedata

from ..dumps.names import utc_text
from . import codec
from .expected import Expected
from .plan import INCIDENT_LENGTH, MOST_PLAN, MOST_SQL, Plan
from .written import duration_text

DELETED, UPDATED, INSERTED = "deleted", "updated", "inserted"
# As format_type() writes types, with their schemas.
_TYPE = re.compile(r'[A-Za-z0-9_ ".,()\[\]-]+')
# Below MOST_SQL by what stands around the rows.
_ROOM = MOST_SQL // 2


@dataclasses.dataclass(frozen=True)
class Column:
    """A column as the catalogue has it; *type* as format_type() writes it, *key*: part of the primary key.

    *identity*: GENERATED ALWAYS AS IDENTITY, which an INSERT may be told to write and an UPDATE may not.
    """

    name: str
    type: str
    key: bool = False
    generated: bool = False
    identity: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table that rows were saved of."""

    schema: str
    name: str
    columns: tuple[Column, ...]

    @property
    def quoted(self) -> str:
        return f"{_name(self.schema)}.{_name(self.name)}"


@dataclasses.dataclass(frozen=True)
class Touched:
    """The rows of *table* that one step has *done* something to, as they were before (`INSERTED`: as they are now).

    Each row has a text or None for each column of the table, in the same order.
    """

    step: str
    done: str
    table: Table
    rows: tuple[tuple[str | None, ...], ...]


def undo(
    plan: Plan,
    touched: t.Sequence[Touched],
    now: dt.datetime,
    assigned: t.Mapping[str, t.Collection[str]] | None = None,
    *,
    name: str = "",
) -> str:
    """The text of a before.yml that undoes *plan*, whose steps have *touched* these rows, in the order of the steps.

    What people have to say is left empty, so that nobody can rehearse it before they have. Its assessments are those of
    *plan* with before and after exchanged. ValueError where the rows can't be told apart, or are too many for a plan.

    *assigned*: the columns that a step has assigned to; others of its rows are left as they are now. *name*: how the
    incident is called.
    """
    steps = []
    parts = zip(touched, _set_back(plan, touched, assigned or {}), strict=True)
    for number, (one, columns) in enumerate(reversed([part for part in parts if part[0].rows]), 1):
        for part, (sql, count) in enumerate(_statements(one, columns), 1):
            steps.append((f"undo-{number}-{part}", _why(one), sql, count))
    if not steps:
        raise ValueError("no rows were saved: there is nothing to undo")
    # That of an undo is one more: on the same day it would have the same name.
    slug = re.sub(r"^[0-9-]{11}", "", plan.incident)
    incident = name or f"{now:%Y-%m-%d}-undo-{slug}"[:INCIDENT_LENGTH].rstrip("-")
    lines = [
        f"# Undoes {plan.incident}. Write problem, cause, reporter and expires; then rehearse it.",
        "version: 1",
        f"incident: {incident}",
        'problem: ""',
        'cause: ""',
        'reporter: ""',
        f"devops_contacted: {utc_text(now)}",
        f"host: {plan.host}",
        f"database: {codec.scalar(plan.database)}",
        "steps:",
        *_step_lines(steps),
        "assess:",
    ]
    for assessed in plan.assess:
        lines += [f"  - id: {assessed.id}", f"    query: {codec.scalar(assessed.query)}"]
        lines += [f"    before: {_expected(assessed.after)}", f"    after: {_expected(assessed.before)}"]
        lines += _functions(assessed.functions)
    if plan.invariants:
        lines.append("invariants:")
    for invariant in plan.invariants:
        lines += [f"  - id: {invariant.id}", f"    query: {codec.scalar(invariant.query)}"]
        lines += _functions(invariant.functions)
    lines += [
        f"max_rows: {sum(count for _id, _why, _sql, count in steps)}",
        f"lock_timeout: {duration_text(plan.lock_timeout)}",
        f"statement_timeout: {duration_text(plan.statement_timeout)}",
        f"max_dump_age: {duration_text(plan.max_dump_age)}",
        'expires: ""',
    ]
    text = "\n".join(lines) + "\n"
    size = len(text.encode())
    if size > MOST_PLAN:
        raise ValueError(
            f"the undo would have {size // 1024} KiB, and a plan has at most {MOST_PLAN // 1024}: restore the dump"
            " of before beside the database, and copy the rows over"
        )
    return text


def _set_back(
    plan: Plan, touched: t.Sequence[Touched], assigned: t.Mapping[str, t.Collection[str]]
) -> list[t.Collection[str]]:
    """For each of *touched* the columns that its step alone can have changed; [] where that may be all of them.

    What foreign keys reach is saved before the rows of the step's own table, and a trigger may write what it likes.
    """
    last = {one.step: number for number, one in enumerate(touched) if one.done == UPDATED}
    fired = {step.id: step.triggers for step in plan.steps}
    found: list[t.Collection[str]] = []
    for number, one in enumerate(touched):
        table = f"{one.table.schema}.{one.table.name}."
        free = any(trigger.startswith(table) for trigger in fired.get(one.step, ()))
        found.append(assigned.get(one.step, ()) if last.get(one.step) == number and not free else ())
    return found


def check_keys(touched: t.Sequence[Touched], assigned: t.Mapping[str, t.Collection[str]]) -> None:
    """ValueError where a step has *assigned* to a column of a key: the rows can't be found by the key that they had."""
    for one in touched:
        keys = [column.name for column in one.table.columns if column.key and column.name in assigned.get(one.step, ())]
        if one.done == UPDATED and one.rows and keys:
            raise ValueError(
                f"{one.step} has changed {', '.join(keys)}, of the primary key of {one.table.schema}.{one.table.name}:"
                " which row was which can't be told, so write the undo by hand"
            )


def _step_lines(steps: t.Sequence[tuple[str, str, str, int]]) -> t.Iterator[str]:
    for step_id, why, sql, count in steps:
        yield f"  - id: {step_id}"
        yield f"    why: {codec.scalar(why)}"
        yield "    sql: |"
        yield from (f"      {line}" for line in sql.split("\n"))
        yield f"    expect_rows: {count}"


def _functions(functions: t.Sequence[str]) -> list[str]:
    return [f"    functions: [{', '.join(map(codec.scalar, functions))}]"] if functions else []


def _expected(expected: Expected) -> str:
    if len(expected.rows) == 1 and len(expected.rows[0]) == 1:
        return _value(expected.rows[0][0])
    return "[" + ", ".join("[" + ", ".join(map(_value, row)) + "]" for row in expected.rows) + "]"


def _value(value: t.Any) -> str:
    if value is None:
        return "null"
    # A Decimal's own text may have an exponent, which is no number in a plan.
    return codec.scalar(value) if isinstance(value, (str, bool, int)) else f"{value:f}"


def _why(one: Touched) -> str:
    table = f"{one.table.schema}.{one.table.name}"
    return {
        DELETED: f"Brings back what {one.step} took out of {table}.",
        UPDATED: f"Sets back what {one.step} changed in {table}.",
        INSERTED: f"Takes out what {one.step} added to {table}.",
    }[one.done]


def _statements(one: Touched, columns: t.Collection[str]) -> t.Iterator[tuple[str, int]]:
    """Each statement with the number of its rows; as many as are needed for none to be too long.

    An UPDATE sets *columns*, or all of them where there are none.
    """
    if one.done not in (DELETED, UPDATED, INSERTED):
        raise ValueError(f"{one.done} is nothing that is known to happen to rows")
    for column in one.table.columns:
        if _TYPE.fullmatch(column.type) is None:
            raise ValueError(f"{column.type} is no type's name")
    for row in one.rows:
        if len(row) != len(one.table.columns):
            raise ValueError(f"a saved row of {one.table.schema}.{one.table.name} has not the table's columns")
    for rows in _parts(one.rows):
        if one.done == DELETED:
            yield _insert(one.table, rows), len(rows)
        else:
            yield _by_key(one.table, rows, columns, update=one.done == UPDATED), len(rows)


def _parts(rows: t.Sequence[tuple[str | None, ...]]) -> t.Iterator[list[tuple[str | None, ...]]]:
    part: list[tuple[str | None, ...]] = []
    size = 0
    for row in rows:
        # A literal is longer than its text: by quotes, a cast, and escapes.
        length = sum(len(literal(value)) + 60 for value in row)
        if length > _ROOM:
            raise ValueError(
                "a saved row is too long for a plan: restore the dump beside the database, and copy it over"
            )
        if part and size + length > _ROOM:
            yield part
            part, size = [], 0
        part.append(row)
        size += length
    yield part


def _insert(table: Table, rows: t.Sequence[tuple[str | None, ...]]) -> str:
    written = [number for number, column in enumerate(table.columns) if not column.generated]
    names = ", ".join(_name(table.columns[number].name) for number in written)
    values = ",\n".join("  (" + ", ".join(literal(row[number]) for number in written) + ")" for row in rows)
    return f"INSERT INTO {table.quoted} ({names}) OVERRIDING SYSTEM VALUE VALUES\n{values}"


def _by_key(table: Table, rows: t.Sequence[tuple[str | None, ...]], columns: t.Collection[str], *, update: bool) -> str:
    """UPDATE of *columns* (none: all) to the values of *rows*, or DELETE, of the rows with their keys."""
    key = [number for number, column in enumerate(table.columns) if column.key]
    if not key:
        raise ValueError(
            f"{table.schema}.{table.name} has no primary key, so its rows can't be told apart: write the undo by hand"
        )
    rest = [
        number
        for number, column in enumerate(table.columns)
        if update
        and not (column.key or column.generated or column.identity)
        and column.name in (columns or [column.name])
    ]
    if update and not rest:
        raise ValueError(
            f"{table.schema}.{table.name} is all key, so its rows can't be set back: write the undo by hand"
        )
    taken = [*key, *rest]
    values = ",\n".join(
        "  (" + ", ".join(f"CAST({literal(row[number])} AS {table.columns[number].type})" for number in taken) + ")"
        for row in rows
    )
    places = ", ".join(f"c{number}" for number in taken)
    where = " AND ".join(f"now.{_name(table.columns[number].name)} = was.c{number}" for number in key)
    source = f"(VALUES\n{values}\n) AS was ({places})"
    if not update:
        return f"DELETE FROM {table.quoted} AS now\nUSING {source}\nWHERE {where}"  # noqa: S608 (quoted above)
    sets = ", ".join(f"{_name(table.columns[number].name)} = was.c{number}" for number in rest)
    return f"UPDATE {table.quoted} AS now SET {sets}\nFROM {source}\nWHERE {where}"  # noqa: S608 (quoted above)


def literal(value: str | None) -> str:
    """A text as SQL has it, on one line and with nothing in it that nobody sees."""
    if value is None:
        return "NULL"
    written = "".join(_character(one) for one in value)
    return f"E'{written}'" if "\\" in written else f"'{written}'"


def _character(one: str) -> str:
    if one in ("'", "\\"):
        return one * 2
    if unicodedata.category(one) in codec.UNSEEN:
        return f"\\u{ord(one):04X}" if ord(one) <= 0xFFFF else f"\\U{ord(one):08X}"
    return one


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
