# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe, its statements, and the questions to the catalogue that guard it."""

from __future__ import annotations

import dataclasses

from ..plan.statements import Name, Part, Statement, Value

REFUSED, ALLOWED = "refused", "allowed"
# Stand in a Name or Value for what is only known when the probe runs: the guard's column, and a name that nothing has.
# PostgreSQL's names can't have their first character.
COLUMN, FRESH = "\0column", "\0fresh"


@dataclasses.dataclass(frozen=True)
class Probe:
    """One thing to try as ``role``, in a transaction of its own that is rolled back.

    ``expect`` is refused or allowed. ``setup`` runs first, as the superuser. ``guard`` answers one row: whether to try
    (NULL: there is nothing to try it on), and a column that the statement may want as COLUMN. ``user_code``: planning
    or running the statement may call routines of whoever owns the objects. ``stands_for``: how many tables are like
    this one. ``left_out`` is why it isn't run at all.
    """

    role: str
    database: str
    what: str
    expect: str
    statement: Statement
    guard: Statement | None = None
    setup: tuple[Statement, ...] = ()
    user_code: bool = False
    stands_for: int = 1
    left_out: str | None = None

    @property
    def id(self) -> str:
        """The same in every run, and no other probe's."""
        return f"{self.database}/{self.role}/{self.expect}/{self.what}"

    @property
    def ddl(self) -> bool:
        """Whether the statement itself fires event triggers."""
        return str(next(iter(self.statement.parts), "")).startswith(("CREATE ", "DROP ", "ALTER "))

    @property
    def sqlstate(self) -> str | None:
        """What has to be answered: insufficient_privilege, or None for no error."""
        return "42501" if self.expect == REFUSED else None


def statement(*parts: Part) -> Statement:
    """Something to run."""
    return Statement("probe", parts)


def filled(one: Statement, column: str | None, fresh: str) -> Statement:
    """*one* with its stand-ins replaced."""
    known = {COLUMN: column or COLUMN, FRESH: fresh}

    def part(old: Part) -> Part:
        if isinstance(old, Name):
            return Name(tuple(known.get(name, name) for name in old.parts))
        return Value(known.get(old.text, old.text)) if isinstance(old, Value) else old

    parts = tuple(part(old) for old in one.parts)
    return dataclasses.replace(one, parts=parts)


def unless(*may: Part) -> Statement:
    """The guard that allows trying unless the expression *may*, what the role may do, is true."""
    return statement("SELECT NOT (", *may, "), NULL")


def unless_owner(role: str, schema: str, name: str, *, of_schema: bool) -> Statement:
    """The guard unless *role* has the rights of the relation's owner, or (*of_schema*) of the schema's."""
    me = Value(role)
    also = (" OR pg_has_role(", me, ", n.nspowner, 'USAGE')") if of_schema else ()
    return statement(
        "SELECT NOT (pg_has_role(",
        me,
        ", c.relowner, 'USAGE')",
        *also,
        "), NULL FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ",
        *_is(schema, name),
    )


def unless_table(role: str, schema: str, name: str, privileges: str) -> Statement:
    """The guard unless *role* has one of *privileges* (separated by commas) on the whole relation."""
    return statement(
        "SELECT NOT has_table_privilege(",
        Value(role),
        f", c.oid, '{privileges}'), NULL FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ",
        *_is(schema, name),
    )


def unless_column(role: str, schema: str, name: str, privilege: str, given: frozenset[str]) -> Statement:
    """The guard that finds a column, none of *given*, on which the catalogue refuses *privilege*."""
    refused: tuple[Part, ...] = ("NOT has_column_privilege(", Value(role), f", a.attrelid, a.attnum, '{privilege}')")
    return _columns(schema, name, refused, given)


def any_column(schema: str, name: str) -> Statement:
    """The guard that finds a column, whatever may be done with it."""
    return _columns(schema, name, ("true",), frozenset())


def _columns(schema: str, name: str, refused: tuple[Part, ...], given: frozenset[str]) -> Statement:
    # A generated column is the last choice, since it takes nothing but DEFAULT.
    besides: list[Part] = []
    for column in sorted(given):
        besides += [" AND a.attname <> ", Value(column)]
    return statement(
        "SELECT CASE WHEN count(*) > 0 THEN count(*) FILTER (WHERE x.refused) > 0 END,"
        " (array_agg(x.attname::text ORDER BY x.generated, x.attnum) FILTER (WHERE x.refused))[1]"
        " FROM (SELECT a.attname, a.attnum, a.attgenerated <> '' AS generated, ",
        *refused,
        " AS refused FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE a.attnum > 0 AND NOT a.attisdropped AND ",
        *_is(schema, name),
        *besides,
        ") x",
    )


def _is(schema: str, name: str) -> tuple[Part, ...]:
    return ("n.nspname = ", Value(schema), " AND c.relname = ", Value(name))
