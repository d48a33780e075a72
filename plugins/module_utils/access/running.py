# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge that changes PostgreSQL: run statements in a transaction that proves itself before it commits."""

from __future__ import annotations

import contextlib
import typing as t

from .plan.statements import Name, Plan, Secret, Statement, Value
from .postgres import query

try:
    import psycopg2
    import psycopg2.errors
    from psycopg2 import sql
except ImportError:  # said by connect(), which is called first
    pass

if t.TYPE_CHECKING:
    from .postgres import Connection

MASK = "********"
# What two administrators at once can get, by SQLSTATE: whoever reads anew and tries again gets on.
# 40001 serialization_failure, 40P01 deadlock_detected, 23505 a catalogue's own unique index, 42704 and 42P01, 42883,
# 3F000: what was there a moment ago is dropped, 42710 and 42P06: what was missing is there.
MEANWHILE = frozenset({"40001", "40P01", "23505", "42704", "42P01", "42883", "42703", "3F000", "42710", "42P06"})
# XX000 is any internal error, so its text decides. Source: simple_heap_update() in src/backend/access/heap/heapam.c.
CONCURRENTLY = ("tuple concurrently updated", "tuple concurrently deleted", "cache lookup failed")
# A password's verifier is no password, and still nobody's to read: no log of the server's gets it.
UNLOGGED = (
    "SELECT set_config('log_statement', 'none', true), set_config('log_min_duration_statement', '-1', true),"
    " set_config('log_min_duration_sample', '-1', true), set_config('log_transaction_sample_rate', '0', true),"
    " set_config('log_min_error_statement', 'panic', true),"
    # Where the extension isn't loaded, this is a name like any other.
    " set_config('pg_stat_statements.track_utility', 'off', true)"
)
# By relation, since a blocked statement has been cancelled by the time that we ask.
HOLDERS = """
SELECT DISTINCT a.pid, a.usename, a.application_name, a.state
FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_class c ON c.oid = l.relation
  JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND n.nspname = %(schema)s AND c.relname = %(name)s AND a.pid <> pg_backend_pid()
ORDER BY a.pid
"""


class MeanwhileError(ValueError):
    """Somebody else changed the catalogue at the same time: nothing was done, and a new plan may get on."""


class UncertainError(ValueError):
    """The connection was lost before the server had answered a COMMIT: the statements are done, or they are not."""

    def __init__(self, message: str, uncertain: tuple[str, ...]) -> None:
        super().__init__(message)
        self.uncertain = uncertain


def check_lock_timeout(connection: Connection, value: str) -> None:
    """ValueError where *value* is no lock_timeout: said before anything is changed. Nothing is set by this."""
    try:
        query(connection, "SELECT set_config('lock_timeout', %(value)s, true)", {"value": value})
    except ValueError as error:
        raise ValueError(
            f"lock_timeout: {value!r} is no time that PostgreSQL knows: write it as 5s or 500ms"
        ) from error


def text(connection: Connection, statement: Statement, *, masked: bool = True) -> str:
    """A statement's SQL; a secret in it is only there where it is not *masked*."""
    parts: list[sql.Composable] = []
    for part in statement.parts:
        if isinstance(part, Name):
            parts.append(sql.Identifier(*part.parts))
        elif isinstance(part, Value):
            parts.append(sql.Literal(part.text))
        elif isinstance(part, Secret):
            parts.append(sql.SQL(f"'{MASK}'") if masked else sql.Literal(part.text))
        else:
            parts.append(sql.SQL(part))
    return sql.Composed(parts).as_string(connection)


def run_alone(connection: Connection, statement: Statement) -> None:
    """Run a statement that refuses to be in a transaction; ValueError where it fails.

    UncertainError where the connection was lost meanwhile.
    """
    _execute(connection, statement, alone=True)


def run(
    connection: Connection, statements: t.Sequence[Statement], lock_timeout: str, left: t.Callable[[], Plan]
) -> None:
    """Run *statements* in one transaction, and commit it if *left*, which plans anew inside of it, has nothing to do.

    MeanwhileError where something is left or gone that wasn't when *statements* were planned; ValueError where one
    fails. Nothing of the transaction stays then. UncertainError where the COMMIT was not answered. *lock_timeout* is
    how long a statement waits for a lock, in PostgreSQL's words.
    """
    connection.autocommit = False
    try:
        query(connection, "SELECT set_config('lock_timeout', %(value)s, true)", {"value": lock_timeout})
        if any(isinstance(part, Secret) for statement in statements for part in statement.parts):
            query(connection, UNLOGGED)
        for statement in statements:
            _execute(connection, statement)
        remaining = left().statements
        if remaining:
            lines = "; ".join(text(connection, statement) for statement in remaining)
            raise MeanwhileError(f"rolled back, since it would have left undone: {lines}")
        try:
            connection.commit()
        except psycopg2.Error as error:
            if connection.closed:
                raise _unanswered("COMMIT", error, tuple(text(connection, one) for one in statements)) from error
            raise _failure("COMMIT", error) from error
    finally:
        with contextlib.suppress(psycopg2.Error):  # a lost connection has nothing to roll back
            connection.rollback()
            connection.autocommit = True


def _execute(connection: Connection, statement: Statement, *, alone: bool = False) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(text(connection, statement, masked=False))
    except psycopg2.errors.LockNotAvailable as error:
        failed = _failure(text(connection, statement), error)
        raise ValueError(f"{failed}; {_holders(connection, statement)}") from error
    except psycopg2.Error as error:
        if alone and connection.closed:
            line = text(connection, statement)
            raise _unanswered(line, error, (line,)) from error
        raise _failure(text(connection, statement), error) from error


def _failure(line: str, error: psycopg2.Error) -> ValueError:
    """What to raise for a refused statement. The server's text is left out where it could quote a secret."""
    said = error.diag.message_primary or str(error).strip()
    meanwhile = error.pgcode in MEANWHILE or any(one in said for one in CONCURRENTLY)
    return (MeanwhileError if meanwhile else ValueError)(f"{line} failed: {said}")


def _unanswered(line: str, error: psycopg2.Error, uncertain: tuple[str, ...]) -> UncertainError:
    said = " ".join(str(error).split())
    return UncertainError(
        f"{line} was not answered ({said}): whether this part was done is not known: plan anew", uncertain
    )


def _holders(connection: Connection, statement: Statement) -> str:
    """Who holds locks on the statement's relation, for the sentence of a lock timeout."""
    if statement.relation is None:
        return "another session is changing the same thing: try again"
    schema, name = statement.relation
    try:
        connection.rollback()
        rows = query(connection, HOLDERS, {"schema": schema, "name": name})
    except (psycopg2.Error, ValueError):
        return "who holds it could not be read: try again"
    if not rows:
        return "whoever held the lock has let it go: try again"
    held = ", ".join(
        f"pid {pid} ({role}, {application or 'no application name'}, {state})" for pid, role, application, state in rows
    )
    return f"it is held by {held}: wait for it, or end that session"
