# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge to PostgreSQL that only reads: sessions and the catalogue's snapshot. running.py changes things."""

from __future__ import annotations

import contextlib
import typing as t

from ..postgres.connection import SESSION, connect
from .catalog import queries
from .catalog import snapshot as rows_to
from .catalog.model import Cluster, Objects
from .policy.model import Policy

with contextlib.suppress(ImportError):  # said by connect(), which is called first
    import psycopg2

if t.TYPE_CHECKING:
    import psycopg2.extensions

    Connection: t.TypeAlias = psycopg2.extensions.connection

Params = t.Mapping[str, t.Any]
# Where the cluster is read and changed: the database that initdb makes for this.
MAINTENANCE = "postgres"
# What CREATE DATABASE copies: read in place of a database that is not there yet.
TEMPLATE = "template1"
# Set as the session begins, which costs no query, and is above what ALTER ROLE and ALTER DATABASE have set.
OWN = "-c search_path=pg_catalog,pg_temp -c role=none -c default_transaction_read_only=off"


class Scope(t.NamedTuple):
    """What of a database is the policy's: all roles' names, the rows of queries.SCHEMAS, snapshot.scope's values."""

    names: rows_to.Names
    schemas: list[tuple[t.Any, ...]]
    values: dict[str, t.Any]


@contextlib.contextmanager
def session(params: Params, database: str) -> t.Iterator[Connection]:
    """A connection in autocommit mode, as who logged in, in which no name of ours means anything but PostgreSQL's.

    ValueError where it is lost.
    """
    connection = connect(params, database=database, session=f"{SESSION} {OWN}")
    try:
        connection.autocommit = True
        connection.set_client_encoding("UTF8")
        yield connection
    except psycopg2.Error as error:
        raise _lost(error) from error
    finally:
        connection.close()


def query(connection: Connection, text: str, values: t.Mapping[str, t.Any] | None = None) -> list[tuple[t.Any, ...]]:
    """The rows of a query; ValueError where the server refuses it."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(text, values)
            return cursor.fetchall()
    except psycopg2.Error as error:
        raise ValueError(f"could not read the catalogue: {str(error).strip()}") from error


def _lost(error: psycopg2.Error) -> ValueError:
    return ValueError(f"the session with the server failed: {str(error).strip()}")


@contextlib.contextmanager
def snapshot(connection: Connection) -> t.Iterator[None]:
    """One READ ONLY transaction that sees one moment: it can't even be assigned a transaction id.

    ValueError where the connection is lost meanwhile.
    """
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
    try:
        yield
    finally:
        if not connection.closed:
            try:
                connection.rollback()
                connection.set_session(isolation_level="default", readonly="default", autocommit=True)
            except psycopg2.Error as error:
                raise _lost(error) from error


def read_cluster(connection: Connection) -> Cluster:
    """What all databases share, as the connection's transaction sees it; the login role has to be a superuser."""
    (server,) = query(connection, queries.SERVER)
    version, login_role, superuser = server[:3]
    if not superuser:
        raise ValueError(f"the role {login_role} is no superuser: log in as one (postgres, by become_user: postgres)")
    rows = {key: query(connection, text) for key, text in queries.cluster(version).items()}
    return rows_to.cluster(server, rows)


def read_objects(connection: Connection, policy: Policy, cluster: Cluster, database: str) -> Objects:
    """What is in the scope of the database that *connection* is connected to, under the name *database*.

    It takes queries.count() queries, whatever is in the database. What only an audit asks for is left empty.
    """
    return read_scoped(connection, cluster, database, read_scope(connection, policy))


def read_scope(connection: Connection, policy: Policy) -> Scope:
    """What of the database is *policy*'s, as the connection's transaction sees it."""
    names = rows_to.names_of(query(connection, queries.ROLE_NAMES))
    schemas = query(connection, queries.SCHEMAS)
    return Scope(names, schemas, rows_to.scope(policy, schemas))


def read_scoped(connection: Connection, cluster: Cluster, database: str, scope: Scope) -> Objects:
    """``read_objects`` of a scope that is known."""
    names, schemas, values = scope
    rows = {key: query(connection, text, values) for key, text in queries.members(cluster.version).items()}
    found = {key: [row[0] for row in rows[key]] for key in ("routines", "types")}
    for key, text in queries.ACLS.items():
        rows[key] = query(connection, text, {**values, **found})
    return rows_to.objects(database, names, schemas, values["schemas"], rows)
