# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge to PostgreSQL: read the catalogue's snapshot, and run statements in a transaction that proves itself."""

from __future__ import annotations

import contextlib
import typing as t

from ..postgres.connection import connect
from . import catalog, effective
from .catalog import Cluster, Objects
from .model import Pattern, Policy
from .plan_cluster import MEMBERSHIP_OPTIONS
from .statements import Name, Plan, Statement, Value

try:
    import psycopg2
    import psycopg2.errors
    from psycopg2 import sql
except ImportError:  # said by connect(), which is called first
    pass

if t.TYPE_CHECKING:
    import psycopg2.extensions

    Connection: t.TypeAlias = psycopg2.extensions.connection

Params = t.Mapping[str, t.Any]
# Where the cluster is read and changed: the database that initdb makes for this.
MAINTENANCE = "postgres"
# What CREATE DATABASE copies: read in place of a database that is not there yet.
TEMPLATE = "template1"
HOLDERS = """
SELECT DISTINCT a.pid, a.usename, a.application_name, a.state
FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_class c ON c.oid = l.relation
  JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND n.nspname = %(schema)s AND c.relname = %(name)s AND a.pid <> pg_backend_pid()
ORDER BY a.pid
"""


@contextlib.contextmanager
def session(params: Params, database: str) -> t.Iterator[Connection]:
    """A connection in autocommit mode, in which no name of ours can mean anything but PostgreSQL's own."""
    connection = connect(params, database=database)
    try:
        connection.autocommit = True
        connection.set_client_encoding("UTF8")
        query(connection, "SELECT set_config('search_path', 'pg_catalog, pg_temp', false)")
        yield connection
    finally:
        connection.close()


def query(connection: Connection, text: str, values: t.Mapping[str, t.Any] | None = None) -> list[tuple[t.Any, ...]]:
    """The rows of a query; ValueError where the server refuses it."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(text, values)
            return cursor.fetchall()
        except psycopg2.Error as error:
            raise ValueError(f"could not read the catalogue: {str(error).strip()}") from error


def check_lock_timeout(connection: Connection, value: str) -> None:
    """ValueError where *value* is no lock_timeout: said before anything is changed. Nothing is set by this."""
    try:
        query(connection, "SELECT set_config('lock_timeout', %(value)s, true)", {"value": value})
    except ValueError as error:
        raise ValueError(
            f"lock_timeout: {value!r} is no time that PostgreSQL knows: write it as 5s or 500ms"
        ) from error


@contextlib.contextmanager
def snapshot(connection: Connection) -> t.Iterator[None]:
    """One READ ONLY transaction that sees one moment: it can't even be assigned a transaction id."""
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
    try:
        yield
    finally:
        if not connection.closed:
            connection.rollback()
            connection.set_session(isolation_level="default", readonly="default", autocommit=True)


def read_cluster(connection: Connection) -> Cluster:
    """What all databases share, as the connection's transaction sees it; the login role has to be a superuser."""
    (server,) = query(connection, catalog.SERVER)
    version, login_role, superuser, _bootstrap = server
    if not superuser:
        raise ValueError(f"the role {login_role} is no superuser: log in as one (postgres, by become_user: postgres)")
    memberships = catalog.MEMBERSHIPS_16 if version >= MEMBERSHIP_OPTIONS else catalog.MEMBERSHIPS
    return catalog.cluster(
        server,
        query(connection, catalog.ROLES),
        query(connection, catalog.ROLE_SETTINGS),
        query(connection, memberships),
        query(connection, catalog.DATABASES),
        query(connection, catalog.DATABASE_ACLS),
    )


def read_objects(connection: Connection, policy: Policy, cluster: Cluster, database: str) -> Objects:
    """What is in the scope of the database that *connection* is connected to, under the name *database*."""
    scope = {"schemas": list(policy.schemas)}
    patterns = policy.revoke_execute
    routines: list[tuple[t.Any, ...]] = []
    routine_acls: list[tuple[t.Any, ...]] = []
    if patterns:
        names = {"routine_schemas": [one.schema for one in patterns], "routine_names": [_like(one) for one in patterns]}
        routines = query(connection, catalog.ROUTINES, names)
        routine_acls = query(connection, catalog.ROUTINE_ACLS, {"routines": [row[0] for row in routines]})
    return catalog.objects(
        database,
        cluster.names,
        schemas=query(connection, catalog.SCHEMAS, scope),
        schema_acls=query(connection, catalog.SCHEMA_ACLS, scope),
        relations=query(connection, catalog.RELATIONS, scope),
        relation_acls=query(connection, catalog.RELATION_ACLS, scope),
        column_acls=query(connection, catalog.COLUMN_ACLS, scope),
        default_acls=query(connection, catalog.DEFAULT_ACLS, scope),
        routines=routines,
        routine_acls=routine_acls,
        definers=query(connection, catalog.DEFINERS, {**scope, "login_roles": _login_roles(policy)}),
    )


def read_matrix(params: Params, policy: Policy, database: str | None = None) -> list[dict[str, t.Any]]:
    """``effective.matrix`` of the policy's login roles, in *database* or in every database of the scope.

    ValueError where *database* is out of scope or can't be read.
    """
    if database is not None and database not in policy.databases:
        raise ValueError(
            f"the database {database} is not in the policy's scope: write one of {', '.join(policy.databases)}"
        )
    roles = _login_roles(policy)
    rows = []
    for name in policy.databases if database is None else (database,):
        with session(params, name) as connection, snapshot(connection):
            values = effective.values(connection.server_version, roles, policy.schemas)
            rows += effective.matrix(name, query(connection, effective.MATRIX, values))
    return rows


def _login_roles(policy: Policy) -> list[str]:
    return [role.name for role in policy.roles.values() if role.login]


def _like(pattern: Pattern) -> str:
    """A pattern as LIKE has it."""
    literal = pattern.name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return literal.replace("*", "%")


def text(connection: Connection, statement: Statement) -> str:
    """A statement's SQL."""
    parts = [
        sql.Identifier(*part.parts)
        if isinstance(part, Name)
        else sql.Literal(part.text)
        if isinstance(part, Value)
        else sql.SQL(part)
        for part in statement.parts
    ]
    return sql.Composed(parts).as_string(connection)


def run_alone(connection: Connection, statement: Statement) -> None:
    """Run a statement that refuses to be in a transaction; ValueError where it fails."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(text(connection, statement))
    except psycopg2.Error as error:
        raise ValueError(_failed(text(connection, statement), error)) from error


def run(
    connection: Connection, statements: t.Sequence[Statement], lock_timeout: str, left: t.Callable[[], Plan]
) -> None:
    """Run *statements* in one transaction, and commit it if *left*, which plans anew inside of it, has nothing to do.

    ValueError where a statement fails or something is left; nothing of the transaction stays then. *lock_timeout* is
    how long a statement waits for a lock, in PostgreSQL's words.
    """
    connection.autocommit = False
    try:
        query(connection, "SELECT set_config('lock_timeout', %(value)s, true)", {"value": lock_timeout})
        for statement in statements:
            _execute(connection, statement)
        remaining = left().statements
        if remaining:
            lines = "; ".join(text(connection, statement) for statement in remaining)
            raise ValueError(f"rolled back, since it would have left undone: {lines}")
        connection.commit()
    finally:
        if not connection.closed:
            connection.rollback()
            connection.autocommit = True


def _execute(connection: Connection, statement: Statement) -> None:
    line = text(connection, statement)
    try:
        with connection.cursor() as cursor:
            cursor.execute(line)
    except psycopg2.errors.LockNotAvailable as error:
        connection.rollback()
        raise ValueError(f"{_failed(line, error)}; {_holders(connection, statement)}") from error
    except psycopg2.Error as error:
        raise ValueError(_failed(line, error)) from error


def _failed(line: str, error: psycopg2.Error) -> str:
    return f"{line} failed: {error.diag.message_primary or str(error).strip()}"


def _holders(connection: Connection, statement: Statement) -> str:
    """Who holds locks on the statement's relation, for the sentence of a lock timeout."""
    if statement.relation is None:
        return "another session is changing the same thing: try again"
    schema, name = statement.relation
    rows = query(connection, HOLDERS, {"schema": schema, "name": name})
    if not rows:
        return "whoever held the lock has let it go: try again"
    held = ", ".join(
        f"pid {pid} ({role}, {application or 'no application name'}, {state})" for pid, role, application, state in rows
    )
    return f"it is held by {held}: wait for it, or end that session"
