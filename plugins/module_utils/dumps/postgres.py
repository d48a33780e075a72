# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The snapshot that a dump is made in: what pg_dump will copy, counted. The one file here that needs psycopg2."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

try:
    import psycopg2
    import psycopg2.extensions
    from psycopg2 import sql
except ImportError as error:
    # Said when a snapshot is asked for.
    MISSING_DRIVER: ImportError | None = error
else:
    MISSING_DRIVER = None

from .counts import Counted
from .processes import DumpError, FinalError
from .scan import qualified, quoted

APPLICATION = "taaraxtak dump"
# A session whose client is gone ends within this many milliseconds, even in the middle of a query (14 and newer).
CONNECTION_CHECK = "-c client_connection_check_interval=1000"
# What the role or the database may have set must not cut a long dump, hide rows or change a name's meaning. Of these
# pg_dump turns off its own; pg_dumpall doesn't.
NO_TIMEOUTS = (
    "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0"
)
# pg_dump itself says neither how bytea and money are written nor which names are quoted in a view's text.
WRITTEN_ALIKE = "-c bytea_output=hex -c datestyle=ISO -c lc_monetary=C -c quote_all_identifiers=off"
_OPTIONS = (
    f"{CONNECTION_CHECK} {NO_TIMEOUTS} -c row_security=off -c search_path= -c jit=off -c synchronize_seqscans=off "
    "-c max_parallel_workers_per_gather=0"
)
OLDEST_SERVER = 140000
# So many names fit into one LOCK comfortably.
_LOCK_BATCH = 500
# So often the tables may change between looking for them and locking them.
_ATTEMPTS = 5
# undefined_table, invalid_schema_name: what was found is gone already.
_GONE = ("42P01", "3F000")

# What pg_dump copies: ordinary tables (partitions too) outside the system's schemas that no extension owns, and the
# configuration tables of extensions that did not come with the server. Unlogged ones can't be read on a standby.
# The root is pg_dump's own rule: somewhere above, hash partitions by an enum's operator class.
_TABLES = """
SELECT c.oid, n.nspname, c.relname, false AS config, '' AS condition, rn.nspname, rc.relname
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class rc ON c.relispartition AND rc.oid = pg_partition_root(c.oid) AND EXISTS (
         SELECT FROM pg_partition_ancestors(c.oid) a
           JOIN pg_partitioned_table p ON p.partrelid = a.relid
           JOIN pg_opclass o ON o.oid = ANY (p.partclass)
           JOIN pg_am m ON m.oid = o.opcmethod
          WHERE o.opcname = 'enum_ops' AND o.opcnamespace = 'pg_catalog'::regnamespace AND m.amname = 'hash')
  LEFT JOIN pg_namespace rn ON rn.oid = rc.relnamespace
 WHERE c.relkind = 'r'
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e')
UNION ALL
SELECT c.oid, n.nspname, c.relname, true, coalesce(x.condition, ''), NULL, NULL
  FROM pg_extension e
 CROSS JOIN LATERAL unnest(e.extconfig, e.extcondition) AS x (relation, condition)
  JOIN pg_class c ON c.oid = x.relation
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE e.oid >= 16384 AND c.relkind = 'r' AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
 ORDER BY 2, 3
"""

# The row as JSON, since its columns differ from 14 to 18.
_SETTINGS = """
SELECT pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, to_jsonb(d)->>'datlocprovider',
       coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale')
  FROM pg_database d WHERE d.datname = current_database()
"""

# What pg_dump would stumble over: it locks tables and partition roots and reads sequences.
_UNREADABLE = """
SELECT n.nspname, c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT has_table_privilege(c.oid, 'SELECT')
   AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 AND d.deptype = 'e')
 ORDER BY 1, 2
"""

_HIDDEN = """
SELECT n.nspname, c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity AND row_security_active(c.oid)
 ORDER BY 1, 2
"""

_FOREIGN = """
SELECT n.nspname, c.relname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'f'
 ORDER BY 1, 2
"""

# pg_dump's own rule: connecting to the publisher is a superuser's business, so to others it says a warning at most.
_SUBSCRIPTIONS = """
SELECT s.subname
  FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
 WHERE d.datname = current_database() AND current_setting('is_superuser') = 'off'
 ORDER BY 1
"""

# So many are named in a reason.
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Table:
    """A table that pg_dump copies; a condition goes with an extension's configuration table."""

    oid: int
    schema: str
    name: str
    config: bool
    condition: str
    root: str | None

    def counting(self) -> sql.Composable:
        """COPY of a table gives its own rows alone; with a condition pg_dump copies a query, that sees heirs too."""
        relation = sql.Identifier(self.schema, self.name)
        if self.condition:
            # The condition is SQL that the extension registered, to be run as it stands: pg_dump does the same.
            return sql.SQL("SELECT count(*) FROM {} ").format(relation) + sql.SQL(self.condition)
        return sql.SQL("SELECT count(*) FROM ONLY {}").format(relation)


class TablesChangedError(DumpError):
    """The tables are others than those that were found a moment ago."""


class Session:
    """A session whose settings are the dump's alone."""

    def __init__(self, *, database: str, socket: str, port: int, role: str) -> None:
        if MISSING_DRIVER is not None:
            raise FinalError(f"the package python3-psycopg2 is missing on this host: {MISSING_DRIVER}")
        self._cancelled = False
        try:
            self._connection = psycopg2.connect(
                dbname=database,
                host=socket,
                port=port,
                user=role or None,
                application_name=APPLICATION,
                client_encoding="UTF8",
                options=_OPTIONS,
            )
        except psycopg2.OperationalError as error:
            # Before a session there is no SQLSTATE, only the server's sentence.
            kind = FinalError if f'database "{database}" does not exist' in str(error) else DumpError
            raise kind(f"could not connect to the database {database}: {str(error).strip()}") from error

    def server_version(self) -> str:
        """Such as ``15.8``."""
        version: str = self._rows(sql.SQL("SHOW server_version"))[0][0]
        return version

    def cancel(self) -> None:
        """End a query that runs; another thread may call it. Where it can't be reached, its own failure says so."""
        self._cancelled = True
        with contextlib.suppress(psycopg2.Error):
            self._connection.cancel()

    def close(self) -> None:
        """End the session."""
        self._connection.close()

    def _rows(self, query: sql.Composable) -> list[t.Any]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query)
                return list(cursor.fetchall()) if cursor.description else []
        except psycopg2.Error as error:
            kind = TablesChangedError if error.pgcode in _GONE else DumpError
            raise kind(f"the snapshot failed: {str(error).strip()}") from error


class Roles(Session):
    """What the globals are held against."""

    def names(self) -> set[str]:
        """The roles that pg_dumpall writes: all but PostgreSQL's own."""
        return {name for (name,) in self._rows(sql.SQL("SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'"))}


class Snapshot(Session):
    """A REPEATABLE READ READ ONLY transaction, exported for pg_dump, with its tables locked against change.

    ``left_out`` names what the database holds and the dump does not: the rows of foreign tables, subscriptions where
    the role is no superuser and, where *leave_out_large_objects* allows it, large objects.
    """

    def __init__(
        self,
        *,
        database: str,
        socket: str,
        port: int,
        role: str,
        lock_wait_timeout: int,
        leave_out_large_objects: bool = False,
    ) -> None:
        super().__init__(database=database, socket=socket, port=port, role=role)
        self.left_out: tuple[str, ...] = ()
        try:
            self._begin(lock_wait_timeout)
            self._look_for_what_is_left_out(leave_out_large_objects)
            self.id: str = self._rows(sql.SQL("SELECT pg_export_snapshot()"))[0][0]
        except BaseException:
            self.close()
            raise

    def _begin(self, lock_wait_timeout: int) -> None:
        version = self._connection.server_version
        if version < OLDEST_SERVER:
            raise FinalError(f"PostgreSQL {version // 10000} is too old: 14 is the oldest that is supported")
        if version >= 170000:
            self._connection.autocommit = True
            self._rows(sql.SQL("SET transaction_timeout = 0"))
            self._connection.autocommit = False
        self._connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        self.tables = self._lock_then_look(lock_wait_timeout)

    def size(self) -> int:
        """Bytes that the tables take on the disk, about as many as their text has."""
        oids = [table.oid for table in self.tables]
        query = sql.SQL("SELECT coalesce(sum(pg_table_size(oid)), 0)::bigint FROM unnest({}::oid[]) AS x (oid)")
        size: int = self._rows(query.format(sql.Literal(oids)))[0][0]
        return size

    def count(self) -> list[Counted]:
        """The rows of each table in the snapshot; DumpError once it is cancelled."""
        counted = []
        for table in self.tables:
            # Between two queries there is none that the server could end.
            if self._cancelled:
                raise DumpError("the counting was cancelled")
            rows = self._rows(table.counting())[0][0]
            counted.append(Counted(name=qualified(table.schema, table.name), rows=rows, root=table.root))
        return counted

    def settings(self) -> dict[str, str]:
        """What the database must be created with to take the dump: encoding and locale."""
        names = ("encoding", "collate", "ctype", "provider", "locale")
        return {name: value for name, value in zip(names, self._rows(sql.SQL(_SETTINGS))[0], strict=True) if value}

    def extensions(self) -> dict[str, str]:
        """The version of each extension."""
        return dict(self._rows(sql.SQL("SELECT extname, extversion FROM pg_extension ORDER BY 1")))

    def _look_for_what_is_left_out(self, leave_out_large_objects: bool) -> None:
        large = self._rows(sql.SQL("SELECT oid FROM pg_largeobject_metadata ORDER BY 1 LIMIT 6"))
        if large and not leave_out_large_objects:
            raise FinalError(
                f"the database holds large objects ({_listed([str(oid) for (oid,) in large])}), which a dump can't "
                "prove: remove them (lo_unlink), keep their content in a column of type bytea, or leave them out by "
                "setting leave_out_large_objects"
            )
        foreign = [f"rows of the foreign table {name}" for name in self._named(_FOREIGN)]
        subscriptions = [f"the subscription {quoted(name)}" for (name,) in self._rows(sql.SQL(_SUBSCRIPTIONS))]
        self.left_out = (*foreign, *subscriptions, *(["large objects"] if large else []))

    def _refuse_what_can_not_be_read(self) -> None:
        """Say it of all tables, before one lock is taken: pg_dump stops at the first that it comes to."""
        if unreadable := self._named(_UNREADABLE):
            raise FinalError(f"permission denied: the dump's role may not read {_listed(unreadable)}")
        if hidden := self._named(_HIDDEN):
            raise FinalError(
                f"row-level security would hide rows of {_listed(hidden)} from the dump: its role must have BYPASSRLS"
            )

    def _named(self, query: str) -> list[str]:
        return [qualified(schema, name) for schema, name in self._rows(sql.SQL(query))]

    def _lock_then_look(self, lock_wait_timeout: int) -> list[Table]:
        """The tables of a snapshot that is younger than the locks on all of them.

        A rewrite or TRUNCATE that commits while we wait for the lock shows an empty table to an older snapshot.
        """
        for _attempt in range(_ATTEMPTS):
            # A transaction of its own: the snapshot that this takes must not be the dump's.
            self._refuse_what_can_not_be_read()
            found = self._find_tables()
            self._connection.rollback()
            try:
                self._lock(found, lock_wait_timeout)
                if self._find_tables() == found:
                    return found
            except TablesChangedError:
                # Dropped or renamed before it could be locked: look again.
                pass
            self._connection.rollback()
        raise DumpError(
            f"tables were created, dropped or renamed during each of {_ATTEMPTS} attempts to lock them all: dump again "
            "when no migration runs"
        )

    def _find_tables(self) -> list[Table]:
        return [
            Table(oid, schema, name, config, condition, qualified(root_schema, root) if root else None)
            for oid, schema, name, config, condition, root_schema, root in self._rows(sql.SQL(_TABLES))
        ]

    def _lock(self, tables: list[Table], lock_wait_timeout: int) -> None:
        """Lock as pg_dump does, before it does. SET and LOCK take no snapshot: the next query does."""
        self._rows(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{lock_wait_timeout}s")))
        for start in range(0, len(tables), _LOCK_BATCH):
            names = [
                sql.SQL("ONLY ") + sql.Identifier(table.schema, table.name)
                for table in tables[start : start + _LOCK_BATCH]
            ]
            self._rows(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.SQL(", ").join(names)))
        self._rows(sql.SQL("SET LOCAL lock_timeout = 0"))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
