# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge that asks PostgreSQL what a panel's SQL would come to, as the very role that Grafana logs in as.

Each query is explained, never run: EXPLAIN without ANALYZE makes a plan and checks privileges, and no row is read,
no volatile function called, no CTE that changes data carried out. What planning does run are immutable and stable
functions of the query, as that role, in a transaction that is READ ONLY, has a timeout and is rolled back.

A text that holds more than one statement, or one that is no query, never reaches the server; so none can end that
transaction. Whether it is still open is looked at afterwards all the same.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import typing as t

from ..postgres.connection import connect
from . import macros, plans
from .document import Dashboard
from .panels import Query, queries, variables
from .reading import ChangesError, only_query
from .variables import Context
from .verdicts import BROKEN, REFUSED, SLOW, WORKS, Checked

with contextlib.suppress(ImportError):  # said by connect(), which is called first
    import psycopg2
    import psycopg2.extensions

if t.TYPE_CHECKING:
    Connection: t.TypeAlias = psycopg2.extensions.connection

# Longer than any plan takes; a query that needs more is one to look at.
PLANNING_TIMEOUT_MS = 5000
# Some 100 MB of the sample's rows: much for a panel that is drawn anew each minute, for everybody who looks at it.
SLOW_ROWS = 1_000_000
# Any will do: whether there is a time filter is asked, not how much it lets through.
RANGE = dt.timedelta(days=1)
# The strings of SQL are read here as the server reads them, whatever settings the role has.
SESSION = (
    "-c jit=off -c standard_conforming_strings=on -c default_transaction_read_only=on -c lock_timeout=2s"
    " -c idle_in_transaction_session_timeout=60s -c statement_timeout={timeout}"
)
# Values that nobody has said: one of them is of the type that the query wants.
PLACEHOLDERS = ("1", "2000-01-01T00:00:00Z", "00000000-0000-0000-0000-000000000000", "192.0.2.1", "true", "x")
PRIVILEGE, TIMEOUT = "42501", "57014"
# The class of errors about values: a text where a number has to be.
VALUES = "22"
# A lock, or the server's end: these say nothing of the query.
MEANWHILE = ("55P03", "57P01", "57P02", "57P03", "25P03")

WHO = """
SELECT session_user, rolsuper, current_setting('transaction_read_only') = 'on'
FROM pg_roles WHERE rolname = session_user
"""
RELATIONS = """
SELECT n.nspname, c.relname, c.reltuples,
  coalesce(array_agg(a.attname::text) FILTER (WHERE a.attname IS NOT NULL), '{}')
FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS wanted (schema, name)
JOIN pg_namespace n ON n.nspname = wanted.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name
LEFT JOIN (pg_attribute a JOIN pg_type t ON t.oid = a.atttypid)
  ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  AND coalesce(nullif(t.typbasetype, 0), t.oid) IN ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
GROUP BY n.nspname, c.relname, c.reltuples
"""
# What of the words in a query the role may not use. A schema without USAGE hides what is in it.
MISSING = """
SELECT n.nspname, 'USAGE on schema ' || quote_ident(n.nspname)
FROM pg_namespace n
WHERE n.nspname = ANY(%(words)s) AND NOT has_schema_privilege(n.oid, 'USAGE')
UNION ALL
SELECT c.relname, 'SELECT on '
  || CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' WHEN 'f' THEN 'foreign table '
     WHEN 'S' THEN 'sequence ' ELSE 'table ' END
  || quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = ANY(%(words)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname NOT LIKE 'pg\\_temp%%'
  AND NOT has_table_privilege(c.oid, 'SELECT') AND NOT has_any_column_privilege(c.oid, 'SELECT')
  AND (pg_table_is_visible(c.oid) OR n.nspname = ANY(%(words)s))
UNION ALL
SELECT c.relname, 'SELECT on column ' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) || ' of table '
  || quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relname = ANY(%(words)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND NOT has_table_privilege(c.oid, 'SELECT') AND has_any_column_privilege(c.oid, 'SELECT')
  AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT') AND (a.attname = ANY(%(words)s) OR %(star)s)
  AND (pg_table_is_visible(c.oid) OR n.nspname = ANY(%(words)s))
GROUP BY n.nspname, c.relname
UNION ALL
SELECT p.proname, 'EXECUTE on function ' || p.oid::regprocedure
FROM pg_proc p WHERE p.proname = ANY(%(words)s) AND NOT has_function_privilege(p.oid, 'EXECUTE')
ORDER BY 1, 2
"""


def check(
    params: t.Mapping[str, t.Any],
    database: str,
    pairs: t.Sequence[tuple[Query, Context]],
    *,
    slow_rows: int = SLOW_ROWS,
    timeout_ms: int = PLANNING_TIMEOUT_MS,
) -> list[Checked]:
    """What came of each query of *pairs*; *params* are a module's login options, of the role that Grafana uses.

    ValueError where the role is a superuser, the server is out of reach or lost on the way, or a lock stands in the
    way: then nothing can be said.
    """
    connection = connect(params, database=database, session=SESSION.format(timeout=timeout_ms))
    try:
        connection.set_session(readonly=True, autocommit=False)
        checker = _Checker(connection, slow_rows, timeout_ms)
        return [checker.checked(query, context) for query, context in pairs]
    except psycopg2.Error as error:
        raise ValueError(f"the check could not go on: {_said(error)}") from error
    finally:
        connection.close()


def check_dashboards(
    params: t.Mapping[str, t.Any],
    database: str,
    dashboards: t.Sequence[Dashboard],
    now: dt.datetime,
    *,
    values: t.Mapping[str, t.Any] | None = None,
    slow_rows: int = SLOW_ROWS,
    timeout_ms: int = PLANNING_TIMEOUT_MS,
) -> list[Checked]:
    """What came of every query of *dashboards*, for the last day before *now*.

    *values* are those of variables, by name. ValueError as in `check`, and for what is not built as a dashboard.
    """
    pairs = []
    unknown = set(values or ())
    for one in dashboards:
        try:
            context = Context(now - RANGE, now, variables(one.data, values), dashboard=one.uid)
            pairs += [(query, context) for query in queries(one.data)]
        except ValueError as error:
            raise ValueError(f"the dashboard {one.title}: {error}") from error
        unknown -= set(context.variables)
    if unknown:
        raise ValueError(f"no dashboard has a variable {', '.join(sorted(unknown))}, for which a value was given")
    return check(params, database, pairs, slow_rows=slow_rows, timeout_ms=timeout_ms)


class _Checker:
    """One connection, query after query, each in a transaction of its own."""

    def __init__(self, connection: Connection, slow_rows: int, timeout_ms: int) -> None:
        self._connection = connection
        self._slow_rows = slow_rows
        self._timeout_ms = timeout_ms
        ((self.role, superuser, read_only),) = self._query(WHO, {})
        connection.rollback()
        if superuser:
            raise ValueError(
                f"{self.role} is a superuser, who is refused nothing: log in as the role that Grafana uses"
            )
        if not read_only:
            raise ValueError("the server did not begin a read-only transaction")

    def checked(self, query: Query, context: Context) -> Checked:
        """Of one query. A value that was only put in for want of one is tried in several types."""
        found = Checked(query, BROKEN)
        placeholders = PLACEHOLDERS if any(one.placeholder for one in context.variables.values()) else PLACEHOLDERS[:1]
        for value in placeholders:
            state, found = self._explained(query, context.with_placeholder(value))
            if not state.startswith(VALUES):
                return found
        if len(placeholders) > 1:
            why = f"{found.why} (none is in the file: give the variable a value)"
            return Checked(query, found.result, why)
        return found

    def _explained(self, query: Query, context: Context) -> tuple[str, Checked]:
        """The SQLSTATE, empty without an error, and what it means."""
        try:
            text = only_query(macros.translate(query.sql, context))
        except ChangesError as error:
            return "", Checked(query, REFUSED, str(error))
        except ValueError as error:
            return "", Checked(query, BROKEN, str(error))
        try:
            plan = self._plan(text)
            return "", self._of_plan(query, plan, context)
        except psycopg2.Error as error:
            state = error.pgcode or ""
            if not state or self._connection.closed or state in MEANWHILE:
                raise ValueError(f"{query.panel} of {query.title} could not be checked: {_said(error)}") from error
            self._connection.rollback()
            return state, self._of_error(query, state, _said(error), text)
        finally:
            if not self._connection.closed:
                self._connection.rollback()

    def _plan(self, text: str) -> plans.Node:
        with self._connection.cursor() as cursor:
            # The options in parentheses, so that no ANALYZE of the text's own can follow.
            cursor.execute("EXPLAIN (VERBOSE, FORMAT JSON) " + text)
            answered, rows = cursor.statusmessage, cursor.fetchall()
        open_still = self._connection.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_INTRANS
        if answered != "EXPLAIN" or not open_still:
            raise ValueError(f"the server took a query for more than one: {text}")
        ((answer,),) = rows
        plan: plans.Node = answer[0]["Plan"]
        return plan

    def _of_plan(self, query: Query, plan: plans.Node, context: Context) -> Checked:
        change = plans.changes(plan)
        if change is not None:
            return Checked(query, REFUSED, f"it does {change}, and the transaction only reads")
        tables = plans.scanned(plan)
        rows = self._query(RELATIONS, {"schemas": [one[0] for one in tables], "names": [one[1] for one in tables]})
        relations = {(row[0], row[1]): plans.Relation(frozenset(row[3]), row[2]) for row in rows}
        why = plans.slow(plan, relations, self._slow_rows, macros.range_marks(context)) if self._slow_rows else None
        return Checked(query, WORKS if why is None else SLOW, why or "")

    def _of_error(self, query: Query, state: str, said: str, text: str) -> Checked:
        if state == TIMEOUT:
            return Checked(query, SLOW, f"planning it alone takes more than {self._timeout_ms / 1000:g} s")
        if state == PRIVILEGE:
            missing = self._missing(said, text)
            # With SELECT on everything it names, the query asks for more than that.
            lacks = f"{self.role} lacks {' and '.join(missing)}" if missing else f"{said}, and not for want of SELECT"
            return Checked(query, REFUSED, lacks, missing)
        pitfall = macros.hint(query.sql)
        return Checked(query, BROKEN, f"{said} ({pitfall})" if pitfall else said)

    def _missing(self, said: str, text: str) -> tuple[str, ...]:
        """The grants that *text* lacks, by the catalogue; where the server names one of the objects, of that alone."""
        words = sorted({_name(word) for word in re.findall(r'"(?:[^"]|"")+"|[^\W\d][\w$]*', text)})
        rows = self._query(MISSING, {"words": words, "star": "*" in text})
        told = [row for row in rows if re.search(rf"(?<![\w]){re.escape(row[0])}(?![\w])", said)]
        return tuple(dict.fromkeys(row[1] for row in told or rows))

    def _query(self, sql: str, values: t.Mapping[str, t.Any]) -> list[tuple[t.Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())


def _name(word: str) -> str:
    """An identifier as the catalogue has it."""
    return word[1:-1].replace('""', '"') if word.startswith('"') else word.lower()


def _said(error: psycopg2.Error) -> str:
    """The server's sentence, without the lines about where."""
    return (error.diag.message_primary or str(error)).strip().split("\n")[0]
