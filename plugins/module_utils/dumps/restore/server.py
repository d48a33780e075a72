# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server that is restored into: what speaks against it, the new database, and what dead runs have left."""

from __future__ import annotations

import dataclasses
import os
import time
import types
import typing as t

from ..manifest import Trailer
from ..postgres import OLDEST_SERVER
from ..processes import GRACE, Child, DumpError
from .psql import Login, Programs
from .restorer import Restorer, sweep_roles
from .session import ServerError, Session, composed, named
from .swap import Swapped, Swapper
from .target import (
    PRODUCTION_MARK,
    SPACE_FACTOR,
    UTC,
    Extension,
    Permission,
    Target,
    beyond,
    check_extensions,
    check_name,
    check_server_host,
    check_settings,
    check_space,
    check_version,
    remote,
    resolved,
    restoring,
)

# The two numbers of the advisory lock of a restore, in the maintenance database: one restore at a time in a cluster.
LOCK = (0x7461_7278, 0x7273)
# A session whose client was killed looks for it each second (see CONNECTION_CHECK) and has to roll back.
LOCK_WAIT = 2 * GRACE
MAINTENANCE = "postgres"
# What CREATE DATABASE says of a locale or encoding: wrong_object_type, invalid_parameter_value, undefined_object,
# feature_not_supported, invalid_object_definition.
_UNFIT = ("42809", "22023", "42704", "0A000", "42P17")

# The server's own host, wherever it is reached; a superuser alone may ask.
_HOST = """
SELECT pg_read_file('/proc/sys/kernel/hostname', 0, 256, true), (pg_stat_file({}, true)).size IS NOT NULL
"""
_UTC = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
# When each database was made, which only its folder knows; of those in another tablespace not even that.
_MADE = "coalesce((pg_stat_file('base/' || oid || '/PG_VERSION', true)).modification, now())"
_BORN = f"SELECT datname::text, {_UTC.format(_MADE)} FROM pg_database"  # noqa: S608 (of constants)
_LOCKED_BY = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
   AND (classid::bigint, objid::bigint) = ({}, {}) AND database = (
         SELECT oid FROM pg_database WHERE datname = current_database())
"""
# trusted came with 13: it may be created by who may create in the database.
_EXTENSIONS = """
SELECT e.name, e.default_version, array_agg(v.version),
       coalesce(bool_or(v.trusted OR NOT v.superuser) FILTER (WHERE v.version = e.default_version), false)
  FROM pg_available_extensions e JOIN pg_available_extension_versions v ON v.name = e.name
 WHERE e.name = ANY ({}) GROUP BY 1, 2
"""


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a restore needs, as the manifest says it; of a dump without one little is known.

    ``raw_bytes`` is the size of the text, ``settings`` are the database's, ``version`` the server's that made it,
    ``timezone`` that of times in it.
    """

    database: str
    keep_previous: int = 1
    raw_bytes: int = 0
    version: str = ""
    settings: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    extensions: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    timezone: str = UTC

    @classmethod
    def of(cls, trailer: Trailer | None, database: str, *, keep_previous: int = 1, raw_bytes: int = 0) -> Needs:
        """Of a manifest's *trailer*; where there is none, *raw_bytes* is somebody's guess."""
        if trailer is None:
            return cls(database, keep_previous, raw_bytes)
        return cls(
            database,
            keep_previous,
            trailer.raw_bytes,
            trailer.versions.get("server", ""),
            trailer.settings,
            trailer.extensions,
        )


class Server:
    """A superuser's session with the maintenance database; DumpError where it may not be restored into.

    The order: `check`, `create_roles`, `create`, then with `restorer` `psql`, `settle` and `pg_dump`, then the policy,
    then `swap`. `drop` is for what failed. Each step may be the last that a killed run did: `create` of the next run
    removes what it left.
    """

    def __init__(self, target: Target, permission: Permission | None = None) -> None:
        self.target = target
        self._permission = permission or Permission()
        self._restorer: Restorer | None = None

    def __enter__(self) -> Server:
        self.address = resolved(self.target, self._permission)
        self.session = Session(self.target, self.address, MAINTENANCE)
        try:
            self._refuse()
            self.programs = Programs(self.target, self.address, self.major)
        except BaseException:
            self.session.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.session.close()

    @property
    def major(self) -> int:
        """The server's major version."""
        return self.session.major

    def check(self, needs: Needs) -> None:
        """DumpError where the restore can't go well. Nothing is created; from here on this is the only restore here."""
        check_name(needs.database, needs.keep_previous)
        check_version(self.major, needs.version)
        check_settings(needs.settings, self.major)
        check_extensions(needs.extensions, self._extensions(needs.extensions), superuser=self.target.sandbox)
        self._check_prepared(needs.database)
        self._check_space(needs.raw_bytes)
        # It raises where the server does not know it.
        self.session.rows(composed("SELECT set_config('TimeZone', {}, true)", needs.timezone))
        self._lock()

    def exists(self, database: str) -> bool:
        """Whether there is a database of that name."""
        return bool(self.session.rows(composed("SELECT 1 FROM pg_database WHERE datname = {}", database)))

    def size(self, database: str) -> int:
        """The bytes that *database* takes on the disk, 0 where it is not there."""
        query = "SELECT pg_database_size(oid) FROM pg_database WHERE datname = {}"
        found = self.session.rows(composed(query, database))
        return int(found[0][0]) if found else 0

    def would_drop(self, database: str, keep_previous: int) -> list[dict[str, str]]:
        """The databases that a swap drops, with the time ``until`` which each was in use, at the least, in UTC."""
        born: dict[str, str] = dict(self.session.rows(_BORN))
        now = self.session.rows(f"SELECT {_UTC.format('now()')}")[0][0]
        gone = beyond(database, born, keep_previous)
        # It was in use until the one that replaced it came, and that one was made just before.
        return [{"name": name, "until": born.get(after, now)} for name, after in gone.items()]

    def create_roles(self, names: t.Iterable[str]) -> list[str]:
        """Make the roles among *names* that are not there, without login; those that were made."""
        there = {name for (name,) in self.session.rows("SELECT rolname FROM pg_roles")}
        made = sorted(set(names) - there)
        with self.session.transaction():
            for name in made:
                self.session.run("CREATE ROLE {} NOLOGIN", name)
        return made

    def create(self, database: str, settings: t.Mapping[str, str]) -> str:
        """Make the empty database that *database* is restored into, and return its name.

        *settings* are the manifest's; without them it is like template0, in UTF8. PUBLIC may not connect to it. What
        dead runs have left is removed before.
        """
        check_name(database)
        self._lock()
        sweep_roles(self)
        temporary = restoring(database)
        self.drop(temporary)
        try:
            # Nobody may connect before PUBLIC is shut out.
            self.session.rows(
                composed("CREATE DATABASE {} {} ALLOW_CONNECTIONS false", named(temporary), self._as(settings))
            )
        except ServerError as error:
            raise DumpError(_why_not_created(error, settings)) from error
        with self.session.transaction():
            self.session.run("REVOKE ALL ON DATABASE {} FROM PUBLIC", temporary)
            self.session.run("ALTER DATABASE {} ALLOW_CONNECTIONS true", temporary)
        return temporary

    def drop(self, temporary: str) -> None:
        """Drop the database *temporary*, where it is there, and whatever is connected to it."""
        self.session.run("DROP DATABASE IF EXISTS {} WITH (FORCE)", temporary)

    def restorer(self, temporary: str) -> Restorer:
        """Who restores into *temporary*: a context, at whose end the role is gone."""
        self._restorer = Restorer(self, temporary)
        return self._restorer

    def psql(self, temporary: str) -> Child:
        """psql for *temporary*, as the restorer; its input takes the text."""
        return self.programs.psql(temporary, self._login())

    def reader(self, temporary: str, timezone: str = UTC) -> Child:
        """psql for *temporary*, as the restorer; its input takes statements, and what they give is its output."""
        return self.programs.reader(temporary, self._login(), timezone)

    def pg_dump(self, temporary: str, timezone: str = UTC, *options: str) -> Child:
        """pg_dump of *temporary*, as the restorer."""
        return self.programs.pg_dump(temporary, self._login(), timezone, *options)

    def settle(self, temporary: str, owner: str = "") -> None:
        """Take from the copy what the restore put into it; *owner* gets what the dump gives to nobody, and the copy.

        Without one that is the owner of the database that is to be replaced.
        """
        if self._restorer is None:
            raise DumpError(f"nobody restores into {temporary}")
        self._restorer.settle(owner)

    def swap(self, database: str, temporary: str, keep_previous: int = 1) -> Swapped:
        """Let *temporary* be *database* from now on, and drop the previous ones beyond *keep_previous*."""
        check_name(database, keep_previous)
        with Swapper(self.session, Session(self.target, self.address, MAINTENANCE)) as swapper:
            return swapper.swap(database, temporary, keep_previous)

    def open(self, database: str) -> Session:
        """A superuser's session with *database*."""
        return Session(self.target, self.address, database)

    def _login(self) -> Login:
        if self._restorer is None:
            raise DumpError("nobody restores: there is no role to log in as")
        return self._restorer.login

    def _refuse(self) -> None:
        """DumpError where this server, or this role, is not one to restore with."""
        if self.major * 10000 < OLDEST_SERVER:
            raise DumpError(
                f"PostgreSQL {self.major} is too old: {OLDEST_SERVER // 10000} is the oldest that is supported"
            )
        query = "SELECT rolsuper, pg_is_in_recovery() FROM pg_roles WHERE rolname = current_user"
        superuser, standby = self.session.rows(query)[0]
        if not superuser:
            raise DumpError(
                f"the role {self.target.user} is no superuser: who makes and renames databases here must be"
            )
        if standby:
            raise DumpError("this server is a standby, which nothing can be written to: restore into its primary")
        said, marked = self.session.rows(composed(_HOST, PRODUCTION_MARK))[0]
        name, address = (said or "").strip(), remote(self.target)
        check_server_host(name, self._permission, marked=marked, address=address)

    def _extensions(self, names: t.Iterable[str]) -> dict[str, Extension]:
        found = self.session.rows(composed(_EXTENSIONS, sorted(names) or [""]))
        return {name: Extension(default, frozenset(all_), trusted) for name, default, all_, trusted in found}

    def _check_prepared(self, database: str) -> None:
        """A prepared transaction belongs to a database, and no rename waits for it."""
        found = self.session.rows(composed("SELECT gid FROM pg_prepared_xacts WHERE database = {} LIMIT 1", database))
        if found:
            raise DumpError(
                f"the database {database} holds the prepared transaction {found[0][0]!r}: commit it or roll it back"
            )

    def _check_space(self, raw_bytes: int) -> None:
        """Only where the server's folder is to be seen from here."""
        folder = self.session.rows("SHOW data_directory")[0][0]
        try:
            status = os.statvfs(folder)
        except (FileNotFoundError, PermissionError, NotADirectoryError):
            return
        check_space(status.f_bavail * status.f_frsize, int(SPACE_FACTOR * raw_bytes), folder)

    def _lock(self) -> None:
        """Be the only restore in this cluster until the session ends."""
        if self.session.rows(composed(_LOCKED_BY + " AND pid = pg_backend_pid()", *LOCK)):
            return
        end = time.monotonic() + LOCK_WAIT
        while not self.session.rows(composed("SELECT pg_try_advisory_lock({}, {})", *LOCK))[0][0]:
            if time.monotonic() > end:
                other = self.session.rows(composed(_LOCKED_BY, *LOCK))
                process = f" (the server's process {other[0][0]})" if other else ""
                raise DumpError(f"another restore into this server is under way{process}: wait until it has ended")
            time.sleep(0.1)

    def _as(self, settings: t.Mapping[str, str]) -> t.Any:
        """How a database with such *settings* is created."""
        clauses = [composed("TEMPLATE template0 ENCODING {}", settings.get("encoding", "UTF8"))]
        if "collate" in settings:
            clauses.append(
                composed("LC_COLLATE {} LC_CTYPE {}", settings["collate"], settings.get("ctype", settings["collate"]))
            )
            if self.major >= 15:
                clauses.append(_provided(settings))
        return composed("{} " * len(clauses), *clauses)


def _provided(settings: t.Mapping[str, str]) -> t.Any:
    """The provider of the locale, which template0 may have another of."""
    provider, locale = settings.get("provider", "c"), settings.get("locale", "")
    if provider == "i":
        return composed("LOCALE_PROVIDER icu ICU_LOCALE {}", locale)
    if provider == "b":
        return composed("LOCALE_PROVIDER builtin BUILTIN_LOCALE {}", locale)
    return composed("LOCALE_PROVIDER libc")


def _why_not_created(error: ServerError, settings: t.Mapping[str, str]) -> str:
    if error.state in _UNFIT:
        wanted = ", ".join(f"{key} {value}" for key, value in sorted(settings.items())) or "encoding UTF8"
        return f"the server can't make a database with {wanted}: {error}; add the locale to its host and restart it"
    return f"the database to restore into could not be created: {error}"
