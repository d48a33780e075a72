# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL as carrying out asks for it: one session of the DBA's, one transaction under the owner's role."""

from __future__ import annotations

import contextlib
import json
import typing as t

from . import ids, interface, queries
from .expected import MOST_LINES
from .interface import (
    DELETE,
    INSERT,
    IS_ANOTHER,
    IS_COMMITTED,
    TRUNCATE,
    UPDATE,
    Begun,
    CarryingError,
    Counts,
    Defined,
    EndedError,
    Link,
    LostError,
    Place,
    Relation,
    Values,
)
from .plan import SESSION, Plan
from .saying import said
from .undo import Column, Table

try:
    import psycopg2
    from psycopg2 import extensions, sql
except ImportError:  # said by postgres.connection.connect(), which is called first
    pass

# Numbers and truth are compared as what they are, everything else as the server writes it: bool, int8, int2, int4, oid,
# float4, float8, numeric (pg_type.dat).
_AS_VALUES = {16, 20, 21, 23, 26, 700, 701, 1700}
# By these the server says that the session has ended, or is about to.
_ENDED = ("08", "57P01", "57P02", "57P03", "57P05")
# As many rows as are fetched, or places asked for, at a time.
_BATCH = 5000

_OPERATIONS = {"Insert": INSERT, "Update": UPDATE, "Delete": DELETE}
# Bits of tgtype (src/include/catalog/pg_trigger.h).
_EVENTS = {INSERT: 4, DELETE: 8, UPDATE: 16, TRUNCATE: 32}


class Server:
    """One database of a server; *connect* opens a session of the DBA's, who becomes *owner*."""

    def __init__(
        self, connect: t.Callable[[], t.Any], plan: Plan, owner: str, *, patience: float = ids.PATIENCE
    ) -> None:
        self._connect = connect
        self._plan = plan
        self._owner = owner
        self._patience = patience
        self._connection: t.Any = None
        self._xid = ""
        self._saves = 0

    def close(self) -> None:
        """The session is left; what is not committed is rolled back by that."""
        if self._connection is not None:
            with contextlib.suppress(psycopg2.Error):
                self._connection.close()

    # --- The transaction ----------------------------------------------------------------------------------------------
    def begin(self, emptied: t.Sequence[tuple[str, str]] = ()) -> Begun:
        if self._connection is None:
            try:
                self._connection = self._connect()
                self._connection.autocommit = True
                self._connection.set_client_encoding("UTF8")
            # First: it is how a driver that is missing is said.
            except ValueError as error:
                raise CarryingError(said(error)) from error
            except psycopg2.Error as error:
                raise CarryingError(said(error)) from error
        # What is seen is what was there at the beginning, and what the steps do: nobody else moves an invariant.
        self._do("BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE")
        try:
            self._lock(emptied)
            return self._set_up()
        except CarryingError:
            with contextlib.suppress(CarryingError):
                self.rollback()
            raise

    def _lock(self, emptied: t.Sequence[tuple[str, str]]) -> None:
        """Become the owner, and lock the tables that are *emptied*, before anything is seen.

        TRUNCATE takes rows along that came after what is seen, and that nobody saved. SET and LOCK take no snapshot.
        """
        self._do(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(self._plan.lock_timeout)))
        self._do(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(self._owner)))
        if emptied:
            names = sql.SQL(", ").join(sql.Identifier(*name) for name in emptied)
            self._do(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))

    def _set_up(self) -> Begun:
        settings = {
            **SESSION,
            "lock_timeout": str(self._plan.lock_timeout),
            "statement_timeout": str(self._plan.statement_timeout),
            # It waits for the store.
            "idle_in_transaction_session_timeout": "0",
        }
        for name, value in settings.items():
            self._rows("SELECT pg_catalog.set_config(%s, %s, true)", (name, value))
        # What is reported as committed is on the disk; whatever waits for standbys beside that stays as it is.
        self._rows(
            "SELECT pg_catalog.set_config('synchronous_commit', 'on', true)"
            " WHERE pg_catalog.current_setting('synchronous_commit') = 'off'"
        )
        ((login, version, counted, role, self._xid, cluster),) = self._rows(
            "SELECT session_user::text, current_setting('server_version'), current_setting('track_counts'),"
            f" current_setting('session_replication_role'), pg_current_xact_id()::text, {ids.CLUSTER}"
        )
        if (counted, role) != ("on", "origin"):
            raise CarryingError(
                "track_counts must be on and session_replication_role origin, else what is touched can't be seen: "
                f"they are {counted} and {role}"
            )
        return Begun(version.split()[0], self._xid, login, cluster)

    def keep_id(self) -> None:
        try:
            ids.keep(self._connect)
        except (ValueError, psycopg2.Error) as error:
            raise CarryingError(f"the id of the transaction could not be kept: {said(error)}") from error

    def commit(self) -> None:
        with self._cursor() as cursor:
            self._execute(cursor, "COMMIT")
            # Of a transaction that had failed COMMIT is a ROLLBACK, and says so.
            if cursor.statusmessage != "COMMIT":
                raise CarryingError(f"the server did not commit: it says {cursor.statusmessage}")

    def rollback(self) -> None:
        if self._connection is None:
            return
        self._do("ROLLBACK")
        # A statement may have ended the transaction before: then there was nothing left to roll back.
        if self._xid and self._rows("SELECT pg_catalog.pg_xact_status(%s::pg_catalog.xid8)", (self._xid,)) == [
            (IS_COMMITTED,)
        ]:
            raise EndedError("a statement has ended the transaction that it ran in")

    def settled(self, transaction_id: str, cluster: str) -> str:
        """As it says; it asks in new sessions for as long as the patience lasts."""
        self.close()
        return ids.became(lambda: self._status(transaction_id, cluster), self._patience)

    def _status(self, transaction_id: str, cluster: str) -> str:
        connection = None
        try:
            connection = self._connect()
            with connection.cursor() as cursor:
                # First: of an id that is not given yet nothing can be asked.
                cursor.execute(f"SELECT {ids.CLUSTER}")
                if cursor.fetchone()[0] != cluster:
                    return IS_ANOTHER
                cursor.execute("SELECT pg_catalog.pg_xact_status(%s::pg_catalog.xid8)", (transaction_id,))
                return str(cursor.fetchone()[0])
        except (ValueError, psycopg2.Error):
            return ""
        finally:
            if connection is not None:
                with contextlib.suppress(psycopg2.Error):
                    connection.close()

    # --- Questions ----------------------------------------------------------------------------------------------------
    def answer(self, query: str) -> interface.Answer:
        self._do("SAVEPOINT taaraxtak_question")
        # Until the savepoint is left.
        self._do("SET TRANSACTION READ ONLY")
        with self._cursor() as cursor:
            _as_texts(cursor, but=_AS_VALUES)
            self._execute(cursor, query)
            rows = cursor.fetchmany(MOST_LINES + 1) if cursor.description else []
        self._same()
        self._do("ROLLBACK TO SAVEPOINT taaraxtak_question")
        self._do("RELEASE SAVEPOINT taaraxtak_question")
        return [tuple(row) for row in rows]

    def target(self, statement: str) -> tuple[str, str, str]:
        ((explained,),) = self._rows("EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) " + statement, None)
        self._same()
        node = (json.loads(explained) if isinstance(explained, str) else explained)[0]["Plan"]
        if node.get("Node Type") != "ModifyTable" or node.get("Operation") not in _OPERATIONS:
            raise CarryingError("the statement changes no table")
        if ruled := [name for (name,) in self._rows(queries.RULED)]:
            raise CarryingError(f"{', '.join(ruled)} has rules, so what a statement does to it can't be told")
        return _OPERATIONS[node["Operation"]], node["Schema"], node["Relation Name"]

    def relation(self, schema: str, name: str) -> Relation:
        return self._relation("n.nspname = %s AND c.relname = %s", (schema, name), f"{schema}.{name}")

    def relation_of(self, oid: int) -> Relation:
        return self._relation("c.oid = %s", (oid,), "a table that was touched")

    def _relation(self, where: str, values: tuple[object, ...], what: str) -> Relation:
        rows = self._rows(queries.RELATION + where, values)
        if not rows:
            raise CarryingError(f"{what} is not there")
        ((oid, schema, name, kind, persistence, rules, columns, tree, others),) = rows
        problem = ""
        if kind not in ("r", "p") or persistence == "t":
            problem = "is no ordinary table: actions touch tables alone"
        elif rules:
            problem = "has rules, so what a statement does to it can't be told"
        elif others:
            problem = "has foreign or inheriting tables below it, whose rows can't be saved"
        made = tuple(Column(*json.loads(column)) for column in columns)
        return Relation(Table(schema, name, made), oid, frozenset(tree), problem)

    def names(self, oid: int) -> tuple[str, ...]:
        return tuple(name for (name,) in self._rows(queries.NAMES, (oid,)))

    def triggers(self, relation: Relation, operation: str) -> tuple[str, ...]:
        values = (sorted(relation.tree), _EVENTS[operation], relation.oid)
        # A row that moves to another partition is deleted and inserted.
        if operation == UPDATE and len(relation.tree) > 1:
            values = (sorted(relation.tree), sum(_EVENTS[one] for one in (INSERT, UPDATE, DELETE)), relation.oid)
        return tuple(name for (name,) in self._rows(queries.TRIGGERS, values))

    def links(self, relation: Relation, operation: str) -> tuple[Link, ...]:
        tree = sorted(relation.tree)
        rows = self._rows(queries.LINKS, (tree, operation == DELETE, tree))
        return tuple(Link(one[0], one[1], tuple(one[2]), tuple(one[3]), one[4]) for one in rows)

    # --- Rows ---------------------------------------------------------------------------------------------------------
    def places(self, query: str) -> set[Place]:
        return {place for place, _values in self.rows(query)}

    def rows(self, query: str) -> t.Iterator[tuple[Place, Values]]:
        """Fetched in batches, so that it is never all of them that are held here."""
        self._saves += 1
        name = sql.Identifier(f"taaraxtak_save_{self._saves}")
        self._do(sql.SQL("DECLARE {} NO SCROLL CURSOR FOR ").format(name) + sql.SQL(query))
        self._same()
        fetch = sql.SQL("FETCH FORWARD {} FROM {}").format(sql.Literal(_BATCH), name)
        while True:
            with self._cursor() as cursor:
                _as_texts(cursor)
                self._execute(cursor, fetch)
                batch = cursor.fetchall()
            yield from (_placed(row) for row in batch)
            if len(batch) < _BATCH:
                break
        self._do(sql.SQL("CLOSE {}").format(name))

    def linked(self, link: Link, places: t.Collection[Place]) -> t.Iterator[tuple[Place, Values]]:
        for oid, ctids in _batches(places):
            query = sql.SQL(
                "SELECT c.tableoid, c.ctid, c.* FROM {child} AS c WHERE ({columns}) IN"
                " (SELECT {referred} FROM ONLY {parent} AS p WHERE p.ctid = ANY ({ctids}::tid[])) FOR UPDATE OF c"
            ).format(
                child=sql.Identifier(link.schema, link.name),
                columns=_columns("c", link.columns),
                referred=_columns("p", link.referred),
                parent=self._name(oid),
                ctids=sql.Literal(ctids),
            )
            yield from self._placed_rows(query)

    def written(self, oid: int) -> t.Iterator[tuple[Place, Values]]:
        query = sql.SQL("SELECT tableoid, ctid, w.* FROM ONLY {} AS w WHERE xmin = {}::xid").format(
            self._name(oid), sql.Literal(str(int(self._xid) % 2**32))
        )
        yield from self._placed_rows(query)

    def defined(self) -> Defined:
        ((classes, written),) = self._rows(queries.WRITTEN)
        return Defined(frozenset(oid for (oid,) in self._rows(queries.TAKEN)), classes, written)

    def parts(self, tree: t.Collection[int]) -> frozenset[int]:
        return frozenset(oid for (oid,) in self._rows(queries.PARTS, (sorted(tree), sorted(tree))))

    def referring(self, oids: t.Collection[int]) -> set[tuple[int, int]]:
        return set(self._rows(queries.REFERRING, (sorted(oids), sorted(oids))))

    def live(self, places: t.Collection[Place]) -> set[Place]:
        found: set[Place] = set()
        for oid, ctids in _batches(places):
            query = sql.SQL("SELECT ctid::text FROM ONLY {} WHERE ctid = ANY ({}::tid[])").format(
                self._name(oid), sql.Literal(ctids)
            )
            found |= {(oid, ctid) for (ctid,) in self._rows(query)}
        return found

    def run(self, statement: str) -> int | None:
        with self._cursor() as cursor:
            self._execute(cursor, statement)
            count = cursor.rowcount
        self._same()
        return int(count) if count >= 0 else None

    def counts(self) -> dict[int, Counts]:
        return {oid: Counts(*counts) for oid, *counts in self._rows(queries.COUNTS)}

    def check_constraints(self) -> None:
        self._do("SET CONSTRAINTS ALL IMMEDIATE")

    def locks(self) -> tuple[str, ...]:
        return tuple(name for (name,) in self._rows(queries.LOCKS))

    def wal(self) -> str:
        ((position,),) = self._rows("SELECT pg_catalog.pg_current_wal_insert_lsn()::text")
        return str(position)

    # --- The session --------------------------------------------------------------------------------------------------
    def _name(self, oid: int) -> t.Any:
        rows = self._rows(
            "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
            " ON n.oid = c.relnamespace WHERE c.oid = %s",
            (oid,),
        )
        if not rows:
            raise CarryingError("a table that was touched is gone")
        return sql.Identifier(*rows[0])

    def _placed_rows(self, query: t.Any) -> t.Iterator[tuple[Place, Values]]:
        with self._cursor() as cursor:
            _as_texts(cursor)
            self._execute(cursor, query)
            while batch := cursor.fetchmany(_BATCH):
                yield from (_placed(row) for row in batch)

    def _same(self) -> None:
        """EndedError where this is not the transaction that was begun; CarryingError where its role is another."""
        inside = self._connection.info.transaction_status == extensions.TRANSACTION_STATUS_INTRANS
        said = self._rows("SELECT pg_catalog.pg_current_xact_id_if_assigned()::text, current_user") if inside else []
        if [xid for xid, _role in said] != [self._xid]:
            raise EndedError("a statement has ended the transaction that it ran in")
        if said[0][1] != self._owner:
            raise CarryingError(f"a statement has changed the role from {self._owner} to {said[0][1]}")

    def _do(self, statement: t.Any) -> None:
        with self._cursor() as cursor:
            self._execute(cursor, statement)

    def _rows(self, query: t.Any, values: t.Any = None) -> list[tuple[t.Any, ...]]:
        with self._cursor() as cursor:
            self._execute(cursor, query, values)
            return list(cursor.fetchall())

    @contextlib.contextmanager
    def _cursor(self) -> t.Iterator[t.Any]:
        try:
            with self._connection.cursor() as cursor:
                yield cursor
        except psycopg2.Error as error:
            raise self._error(error) from error

    def _execute(self, cursor: t.Any, statement: t.Any, values: t.Any = None) -> None:
        try:
            cursor.execute(statement, values)
        except psycopg2.Error as error:
            raise self._error(error) from error

    def _error(self, error: t.Any) -> CarryingError:
        code = error.pgcode or ""
        ours = isinstance(error, psycopg2.ProgrammingError | psycopg2.DataError | psycopg2.NotSupportedError)
        if self._connection.closed or code.startswith(_ENDED) or not (code or ours):
            return LostError(f"the connection was lost: {said(error)}")
        return CarryingError(said(error) + (f" (SQLSTATE {code})" if code else ""))


def _as_texts(cursor: t.Any, but: t.Collection[int] = ()) -> None:
    """Let *cursor* give each value as the server writes it, except those of the types in *but*."""
    known = tuple(set(extensions.string_types) - set(but))
    extensions.register_type(extensions.new_type(known, "TEXT", extensions.UNICODE), cursor)


def _placed(row: t.Sequence[t.Any]) -> tuple[Place, Values]:
    return (int(row[0]), row[1]), tuple(row[2:])


def _columns(table: str, names: t.Sequence[str]) -> t.Any:
    return sql.SQL(", ").join(sql.Identifier(table, name) for name in names)


def _batches(places: t.Collection[Place]) -> t.Iterator[tuple[int, list[str]]]:
    """The places by table, some at a time."""
    tables: dict[int, list[str]] = {}
    for oid, ctid in sorted(places):
        tables.setdefault(oid, []).append(ctid)
    for oid, ctids in tables.items():
        for start in range(0, len(ctids), _BATCH):
            yield oid, ctids[start : start + _BATCH]
