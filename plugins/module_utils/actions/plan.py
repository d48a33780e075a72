# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The before-action report: what before.yml says, read into frozen dataclasses.

``read`` refuses what it does not fully understand: of a plan that deletes rows nothing may be guessed.
docs/incident.schema.json says the same to editors.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from .expected import Expected, read_expected
from .written import LinedFields, Written

VERSION = 1
FILE = "before.yml"
REQUIRED = (
    *("version", "incident", "problem", "cause", "reporter", "devops_contacted", "host", "database", "steps", "assess"),
    *("max_rows", "lock_timeout", "statement_timeout", "max_dump_age", "expires"),
)
PLAN_KEYS = (*REQUIRED, "invariants", "break_glass")
STEP_KEYS = (
    *("id", "why", "sql", "expect_rows", "allow_ddl", "allow_truncate", "allow_without_where"),
    *("cascades", "triggers", "functions"),
)
ASSESSMENT_KEYS = ("id", "why", "query", "before", "after", "functions")
INVARIANT_KEYS = ("id", "why", "query", "functions")
ROWS_KEYS = ("min", "max")

# A folder's name: the day and a few words.
INCIDENT = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])-[a-z0-9]+(?:-[a-z0-9]+)*"
INCIDENT_LENGTH = 80
ID = r"[a-z0-9]+(?:-[a-z0-9]+)*"
HOST = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?"
TABLE = r"[^.\s\"]+\.[^.\s\"]+"
FUNCTION = r"(?:[a-z_][a-z0-9_]*\.)?[a-z_][a-z0-9_]*"
# All the rows that one action touches are saved and read again by people: more is a migration.
MOST_ROWS = 1_000_000
LONGEST_LOCK, LONGEST_STATEMENT, OLDEST_DUMP = "10min", "6h", "30d"
# A statement that people can't read at a glance is none that they can approve.
MOST_SQL = 64 * 1024
# Bytes of before.yml, half of yamls.MAX_BYTES: what is written of an action holds its statements again, and is read.
MOST_PLAN = 128 * 1024

# What rules and undo take for granted of the session that runs the statements; set LOCAL before the first of them.
# Nothing without a schema means anything but PostgreSQL's own, a quote ends where the parser saw it end, rows that a
# policy would hide are an error, and each value's text is the whole value.
SESSION = {
    "search_path": "pg_catalog, pg_temp",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "client_encoding": "UTF8",
    "row_security": "off",
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}


@dataclasses.dataclass(frozen=True)
class Rows:
    """How many rows a statement may touch: from *least* to *most*."""

    least: int
    most: int

    def met_by(self, rows: int) -> bool:
        """Whether so many *rows* are as expected."""
        return self.least <= rows <= self.most

    def __str__(self) -> str:
        return str(self.least) if self.least == self.most else f"{self.least} to {self.most}"


@dataclasses.dataclass(frozen=True)
class Step:
    """One statement, and how many rows it touches (None: DDL, which counts none).

    ``cascades`` are the tables that foreign keys may reach, ``triggers`` those that may fire, as ``schema.table`` and
    ``schema.table.trigger``; ``functions`` are those of the statement that are not known to be harmless.
    """

    id: str
    why: str
    sql: str
    rows: Rows | None
    allow_ddl: bool = False
    allow_truncate: bool = False
    allow_without_where: bool = False
    cascades: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Assessment:
    """A query whose answer shows the fault *before* the steps, and that it is gone *after* them."""

    id: str
    query: str
    before: Expected
    after: Expected
    why: str = ""
    functions: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Invariant:
    """A query whose answer the steps must not change."""

    id: str
    query: str
    why: str = ""
    functions: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be done to *database* on *host*, why, and by what it is judged.

    Timeouts and the age that the rehearsal's dump may have are in milliseconds. ``break_glass`` is the reason why
    nobody else could approve it; "" in every other case.
    """

    incident: str
    problem: str
    cause: str
    reporter: str
    devops_contacted: dt.datetime
    host: str
    database: str
    steps: tuple[Step, ...]
    assess: tuple[Assessment, ...]
    invariants: tuple[Invariant, ...]
    max_rows: int
    lock_timeout: int
    statement_timeout: int
    max_dump_age: int
    expires: dt.datetime
    break_glass: str = ""


def problems(written: Written) -> list[str]:
    """What is wrong with a plan: sentences that begin with the line and say what to write. [] is good."""
    return _read(written)[1]


def read(written: Written) -> Plan:
    """The plan that *written* says; ValueError with all its ``problems``, one a line."""
    plan, found = _read(written)
    if found:
        raise ValueError(f"{FILE} has problems:\n" + "\n".join(f"- {problem}" for problem in found))
    return plan


class _PlanFields(LinedFields):
    def rows(self, where: str, value: object) -> Rows:
        if isinstance(value, int):
            count = self.count(where, value, 0, MOST_ROWS)
            return Rows(count, count)
        written = self.mapping(where, value, known=ROWS_KEYS, required=ROWS_KEYS)
        least, most = (self.count(f"{where}.{key}", written.get(key, 0), 0, MOST_ROWS) for key in ROWS_KEYS)
        if least > most:
            self.say(where, f"min {least} is above max {most}: write the smaller number first")
        return Rows(least, most)

    def id(self, where: str, value: object, taken: set[str]) -> str:
        read = self.matching(where, value, ID, "a word such as remove-duplicates")
        if len(read) > INCIDENT_LENGTH:
            self.say(where, f"write a word of at most {INCIDENT_LENGTH} letters")
        if read and read in taken:
            self.say(where, f"{read} stands here twice: write another word")
        taken.add(read)
        return read

    def some(self, where: str, value: object) -> list[tuple[str, t.Any]]:
        """The items of a list that is not empty."""
        read = self.sequence(where, value)
        if value == []:
            self.say(where, "the list is empty: write at least one item")
        return read

    def sql(self, where: str, value: object) -> str:
        read = self.text(where, value)
        if len(read) > MOST_SQL:
            self.say(where, f"the statement is longer than {MOST_SQL // 1024} KiB: make steps of it")
        return read

    def listed(self, where: str, value: object, pattern: str, like: str) -> tuple[str, ...]:
        """Texts of *pattern*, each once."""
        read = tuple(self.matching(key, item, pattern, like) for key, item in self.some(where, value))
        if len(set(read)) < len(read):
            self.say(where, "something stands here twice: write it once")
        return read

    def functions(self, where: str, written: dict[str, t.Any]) -> tuple[str, ...]:
        if "functions" not in written:
            return ()
        return self.listed(f"{where}.functions", written["functions"], FUNCTION, "a function such as public.f")

    def why(self, where: str, written: dict[str, t.Any]) -> str:
        return self.text(f"{where}.why", written["why"]) if "why" in written else ""


def _read(written: Written) -> tuple[Plan, list[str]]:
    read = _PlanFields(written.lines)
    top = read.mapping(FILE, written.data, known=PLAN_KEYS, required=REQUIRED)
    if "version" in top and (top["version"] != VERSION or isinstance(top["version"], bool)):
        read.say("version", f"write {VERSION}, the only version there is")
    got = _Got(top)
    taken: set[str] = set()
    plan = Plan(
        incident=_incident(read, top["incident"]) if "incident" in top else "",
        problem=got(read.text, "problem", ""),
        cause=got(read.text, "cause", ""),
        reporter=got(read.text, "reporter", ""),
        devops_contacted=got(read.time, "devops_contacted", _NEVER),
        host=read.matching("host", top["host"], HOST, "what `hostname` says there") if "host" in top else "",
        database=got(read.name, "database", "") or "",
        steps=tuple(_step(read, key, one, taken) for key, one in got(read.some, "steps", [])),
        assess=tuple(_assessment(read, key, one, taken) for key, one in got(read.some, "assess", [])),
        invariants=tuple(_invariant(read, key, one, taken) for key, one in got(read.some, "invariants", [])),
        max_rows=read.count("max_rows", top["max_rows"], 0, MOST_ROWS) if "max_rows" in top else 0,
        lock_timeout=got(_limited(read, LONGEST_LOCK), "lock_timeout", 1),
        statement_timeout=got(_limited(read, LONGEST_STATEMENT), "statement_timeout", 1),
        max_dump_age=got(_limited(read, OLDEST_DUMP), "max_dump_age", 1),
        expires=got(read.time, "expires", _NEVER),
        break_glass=got(read.text, "break_glass", ""),
    )
    if not read.problems:
        _judge(read, plan)
    return plan, read.problems


_NEVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class _Got:
    """Reads a key of the top where it is there; a missing one was said already."""

    def __init__(self, top: dict[str, t.Any]) -> None:
        self._top = top

    def __call__(self, reader: t.Callable[[str, object], t.Any], key: str, absent: t.Any) -> t.Any:
        return reader(key, self._top[key]) if key in self._top else absent


def _limited(read: _PlanFields, longest: str) -> t.Callable[[str, object], int]:
    return lambda where, value: read.duration(where, value, longest)


def _incident(read: _PlanFields, value: object) -> str:
    name = read.matching("incident", value, INCIDENT, "the folder's name, such as 2026-11-22-duplicate-rows")
    if len(name) > INCIDENT_LENGTH:
        read.say("incident", f"write a name of at most {INCIDENT_LENGTH} letters")
    return name


def _step(read: _PlanFields, where: str, value: object, taken: set[str]) -> Step:
    written = read.mapping(where, value, known=STEP_KEYS, required=("id", "why", "sql"))
    flags = {}
    for key in ("allow_ddl", "allow_truncate", "allow_without_where"):
        flags[key] = read.flag(f"{where}.{key}", written.get(key, False))
    if "expect_rows" not in written and not flags["allow_ddl"]:
        read.say_of_key(where, "expect_rows", "the key expect_rows is missing: write it")
    if "expect_rows" in written and flags["allow_ddl"]:
        read.say(f"{where}.expect_rows", "DDL counts no rows: leave expect_rows or allow_ddl out")
    return Step(
        id=read.id(f"{where}.id", written.get("id", "x"), taken if "id" in written else set()),
        why=read.why(where, written),
        sql=read.sql(f"{where}.sql", written["sql"]) if "sql" in written else "",
        rows=read.rows(f"{where}.expect_rows", written["expect_rows"]) if "expect_rows" in written else None,
        cascades=_named(read, where, written, "cascades", TABLE, "a table such as public.measurements"),
        triggers=_named(read, where, written, "triggers", rf"{TABLE}\.[^.\s\"]+", "schema.table.trigger"),
        functions=read.functions(where, written),
        **flags,
    )


def _named(
    read: _PlanFields, where: str, written: dict[str, t.Any], key: str, pattern: str, like: str
) -> tuple[str, ...]:
    return read.listed(f"{where}.{key}", written[key], pattern, like) if key in written else ()


def _assessment(read: _PlanFields, where: str, value: object, taken: set[str]) -> Assessment:
    written = read.mapping(where, value, known=ASSESSMENT_KEYS, required=("id", "query", "before", "after"))
    return Assessment(
        id=read.id(f"{where}.id", written.get("id", "x"), taken if "id" in written else set()),
        query=read.sql(f"{where}.query", written["query"]) if "query" in written else "",
        before=read_expected(read, f"{where}.before", written.get("before")),
        after=read_expected(read, f"{where}.after", written.get("after")),
        why=read.why(where, written),
        functions=read.functions(where, written),
    )


def _invariant(read: _PlanFields, where: str, value: object, taken: set[str]) -> Invariant:
    written = read.mapping(where, value, known=INVARIANT_KEYS, required=("id", "query"))
    return Invariant(
        id=read.id(f"{where}.id", written.get("id", "x"), taken if "id" in written else set()),
        query=read.sql(f"{where}.query", written["query"]) if "query" in written else "",
        why=read.why(where, written),
        functions=read.functions(where, written),
    )


def _judge(read: _PlanFields, plan: Plan) -> None:
    """What one key says of another."""
    try:
        dt.date.fromisoformat(plan.incident[:10])
    except ValueError:
        read.say("incident", f"there is no day {plan.incident[:10]}: write one that is")
    least = sum(step.rows.least for step in plan.steps if step.rows)
    if least > plan.max_rows:
        read.say("max_rows", f"the steps touch at least {least} rows: write a number that is not below")
    if plan.lock_timeout > plan.statement_timeout:
        read.say("lock_timeout", "it is above statement_timeout: write a shorter time")
    if plan.expires <= plan.devops_contacted:
        read.say("expires", "that is before devops was contacted: write a later time")
    if all(one.before == one.after for one in plan.assess):
        read.say("assess", "no answer differs after the steps: write a query that shows that the fault is gone")
