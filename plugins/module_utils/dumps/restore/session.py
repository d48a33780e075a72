# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A superuser's session with the server that is restored into: the file through which a restore uses psycopg2."""

from __future__ import annotations

import contextlib
import os
import pwd
import typing as t

try:
    import psycopg2
    import psycopg2.extensions
    from psycopg2 import sql
except ImportError as error:
    # Said when a session is asked for.
    MISSING_DRIVER: ImportError | None = error
else:
    MISSING_DRIVER = None

from ..postgres import CONNECTION_CHECK
from ..processes import DumpError, FinalError
from .target import Target

APPLICATION = "taaraxtak restore"
# Seconds until a server that does not answer counts as gone.
CONNECT_TIMEOUT = 10
# No path through what the database holds, no timeout that a role or database brings.
_OPTIONS = (
    f"{CONNECTION_CHECK} -c search_path= -c statement_timeout=0 -c lock_timeout=0 -c idle_session_timeout=0 "
    "-c idle_in_transaction_session_timeout=0 -c default_transaction_read_only=off -c client_min_messages=warning"
)
SCRAM = "scram-sha-256"


class ServerError(DumpError):
    """What the server answered, with its SQLSTATE."""

    def __init__(self, sentence: str, state: str) -> None:
        super().__init__(sentence)
        self.state = state


@contextlib.contextmanager
def acting_as(os_user: str) -> t.Iterator[None]:
    """Be *os_user* for the block ("": stay who you are): the server sees the effective user of the connect."""
    account = account_of(os_user)
    if account is None:
        yield
        return
    before = os.geteuid(), os.getegid()
    os.setegid(account.pw_gid)
    try:
        os.seteuid(account.pw_uid)
        yield
    finally:
        os.seteuid(before[0])
        os.setegid(before[1])


def account_of(os_user: str) -> pwd.struct_passwd | None:
    """The account to change to; None where it is the one that runs this. DumpError where it can't be become."""
    if not os_user:
        return None
    try:
        account = pwd.getpwnam(os_user)
    except KeyError:
        raise FinalError(f"there is no user {os_user} on this host") from None
    if account.pw_uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise FinalError(f"only root may log in as the user {os_user}: run the restore as root or as {os_user}")
    return account


class Session:
    """A session of its own with *database*; each statement is a transaction unless `transaction` says otherwise."""

    def __init__(self, target: Target, address: str, database: str) -> None:
        if MISSING_DRIVER is not None:
            raise FinalError(f"the package python3-psycopg2 is missing on this host: {MISSING_DRIVER}")
        try:
            with acting_as(target.os_user):
                self._connection = psycopg2.connect(
                    dbname=database,
                    host=address,
                    port=target.port,
                    user=target.user,
                    password=target.password or None,
                    application_name=APPLICATION,
                    client_encoding="UTF8",
                    connect_timeout=CONNECT_TIMEOUT,
                    options=_OPTIONS,
                )
        except psycopg2.OperationalError as error:
            raise DumpError(f"could not connect to the database {database}: {str(error).strip()}") from error
        self._connection.autocommit = True
        self.major: int = self._connection.server_version // 10000

    def rows(self, query: str | sql.Composable, *values: t.Any) -> list[t.Any]:
        """Run *query*; its rows, [] where it has none. ServerError with the server's own sentence."""
        try:
            with self._connection.cursor() as cursor:
                # Without values, so that a % in a name is no placeholder.
                cursor.execute(query, values or None)
                return list(cursor.fetchall()) if cursor.description else []
        except psycopg2.Error as error:
            said = (error.diag.message_primary or str(error)).strip()
            detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
            raise ServerError(f"{said}{detail}", error.pgcode or "") from error

    def run(self, statement: str, *names: str) -> None:
        """Run *statement* with each {} replaced by one of the *names*, quoted."""
        self.rows(sql.SQL(statement).format(*map(sql.Identifier, names)))

    @contextlib.contextmanager
    def transaction(self) -> t.Iterator[None]:
        """The block is one transaction."""
        self.run("BEGIN")
        try:
            yield
        except BaseException:
            # A connection that is lost has rolled back already.
            with contextlib.suppress(ServerError):
                self.run("ROLLBACK")
            raise
        self.run("COMMIT")

    def scram(self, password: str, role: str) -> str:
        """The verifier of *password*, computed on this side: what the server sees, and may log, lets nobody in."""
        verifier: str = psycopg2.extensions.encrypt_password(password, role, self._connection, SCRAM)
        return verifier

    def close(self) -> None:
        """End the session."""
        self._connection.close()


def listed(names: t.Iterable[str]) -> sql.Composable:
    """The *names* as a list of quoted identifiers."""
    return sql.SQL(", ").join(map(sql.Identifier, names))


def composed(statement: str, *parts: t.Any) -> sql.Composable:
    """*statement* with each {} replaced: what is composed already as it is, any other value as a literal."""
    return sql.SQL(statement).format(
        *(part if isinstance(part, sql.Composable) else sql.Literal(part) for part in parts)
    )


def named(name: str) -> sql.Composable:
    """*name*, quoted as an identifier."""
    return sql.Identifier(name)


def conninfo(**settings: t.Any) -> str:
    """A connection string for a program of PostgreSQL; a name that looks like one is quoted."""
    text: str = psycopg2.extensions.make_dsn(**settings)
    return text
