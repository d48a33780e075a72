# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open connections to a PostgreSQL server: the one place where the modules meet psycopg2's connect."""

from __future__ import annotations

import contextlib
import os
import pwd
import typing as t

try:
    import psycopg2
    import psycopg2.extensions

    PSYCOPG2_IMPORT_ERROR: ImportError | None = None
except ImportError as error:  # said by the module, with the package to install
    PSYCOPG2_IMPORT_ERROR = error

if t.TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

# The oldest server whose catalogues the collection reads: pg_read_all_data came with 14.
OLDEST_SERVER = 140000
SESSION = "-c jit=off -c statement_timeout=0 -c idle_in_transaction_session_timeout=0"


def login_argument_spec() -> dict[str, dict[str, t.Any]]:
    """The options of the doc fragment ``taaraxtak.production.connection``."""
    return {
        "login_unix_socket": {"type": "path"},
        "login_host": {"type": "str"},
        "login_port": {"type": "int", "default": 5432},
        "login_user": {"type": "str"},
        "login_password": {"type": "str", "no_log": True},
        "login_os_user": {"type": "str"},
    }


class AbsentError(ValueError):
    """What is to be connected to is not there: in check mode an earlier task of the same run may yet make it."""

    def foretold(self, what: str) -> dict[str, t.Any]:
        """The answer of a module in check mode: that everything would be new is certain, how is not."""
        return {"changed": True, "msg": f"{what} can't be looked at yet: {self}"}


@contextlib.contextmanager
def acting_as(os_user: str | None) -> t.Iterator[None]:
    """Be *os_user* for the block (None: stay who you are), so that root can log in by peer as somebody else.

    A server sees the effective user of the moment of the connect. ValueError where that user can't be become.
    """
    before = os.geteuid(), os.getegid()
    if os_user is None:
        yield
        return
    try:
        user = pwd.getpwnam(os_user)
    except KeyError as error:
        raise AbsentError(f"there is no user {os_user} on this host") from error
    if user.pw_uid == before[0]:
        yield
        return
    if before[0] != 0:
        raise ValueError(f"only root may log in as the user {os_user}: run the task with become")
    os.setegid(user.pw_gid)
    try:
        os.seteuid(user.pw_uid)
        yield
    finally:
        os.seteuid(before[0])
        os.setegid(before[1])


def connect(
    params: t.Mapping[str, t.Any], *, database: str, session: str = SESSION, timeout: int | None = None
) -> Connection:
    """Connect to *database* as a module's ``login_*`` options say.

    Raises ValueError with a sentence for the user where the server is out of reach or too old; AbsentError where the
    driver, the account, the socket or the database is not there.
    *session* are the settings of the session: without timeouts of its own and without compiling queries (jit costs
    more than catalogue reads take). *timeout* is how long to wait for an answer, in seconds.
    ``params`` may name a ``login_os_user``, whom the server then sees (`acting_as`), and hold a ``login_dsn``, libpq's
    connection string, which no module takes: what else is given stands above what it says.
    """
    if PSYCOPG2_IMPORT_ERROR is not None:
        raise AbsentError("psycopg2 is missing on this host: install the package python3-psycopg2")
    options: dict[str, t.Any] = {
        "dbname": database,
        "host": params.get("login_unix_socket") or params.get("login_host"),
        "port": params.get("login_port"),
        "user": params.get("login_user"),
        "password": params.get("login_password"),
        "application_name": "taaraxtak.production",
        "options": session or None,
        "connect_timeout": timeout,
    }
    try:
        with acting_as(params.get("login_os_user")):
            connection: Connection = psycopg2.connect(
                params.get("login_dsn"), **{key: value for key, value in options.items() if value is not None}
            )
    except psycopg2.OperationalError as error:
        said = str(error).strip()
        absent = "No such file or directory" in said or f'database "{database}" does not exist' in said
        kind = AbsentError if absent else ValueError
        raise kind(f"could not connect to the database {database}: {said}") from error
    if connection.server_version < OLDEST_SERVER:
        version = connection.server_version // 10000
        connection.close()
        raise ValueError(f"PostgreSQL {version} is too old: 14 is the oldest that is supported")
    return connection
