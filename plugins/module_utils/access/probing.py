# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge that runs probes: each as the role itself, in a transaction of its own that is rolled back.

SET SESSION AUTHORIZATION makes the server check as for the role's own session, SET ROLE included. The settings that
ALTER ROLE gave it (search_path, default_transaction_read_only, ...) are not in force then, nor is pg_hba.conf asked.

The login stays a superuser's, and a routine that a probe sets off (an index's expression is computed when a query is
planned) could go back to it with one set_config: tried on 15 to 18, it works. So whatever may set off somebody's code
runs in a SECURITY DEFINER function that belongs to the role, made in pg_temp for the moment: within one, PostgreSQL
refuses to set session_authorization and role, however deep. A standby can't make it, so there such probes are run only
where every routine is a superuser's. DDL of ours must set off no event trigger, whose function would run before all
that, and may do what no rollback takes back: since 17 a setting switches them off; before, they are off for a replica,
and probes with DDL aren't run while there is one that is not.
"""

from __future__ import annotations

import contextlib
import secrets
import typing as t

from .plan.statements import Name, Value, shown
from .postgres import Params, query, session
from .probes import probes as core
from .probes.sql import Probe, filled, statement
from .running import text

with contextlib.suppress(ImportError):  # said by connect(), which is called first
    import psycopg2

if t.TYPE_CHECKING:
    import psycopg2.extensions

    Connection: t.TypeAlias = psycopg2.extensions.connection

# A refused statement is over in milliseconds; waiting longer for a lock would hold up who waits behind it.
STATEMENT_TIMEOUT = "2s"
LOCK_TIMEOUT = "200ms"
IDLE_TIMEOUT = "10s"
# What the server's log and pg_stat_activity show; every refusal is an ERROR in the log.
APPLICATION = "taaraxtak.production probes"
SERVER = """
SELECT pg_is_in_recovery(), (SELECT rolsuper FROM pg_roles WHERE rolname = session_user), session_user::text
"""
EVENT_TRIGGERS_SETTING = 170000
# Before 17 those that are no replica's are off where session_replication_role is replica.
EVENT_TRIGGERS = "SELECT evtname, evtenabled = 'O' FROM pg_event_trigger WHERE evtenabled <> 'D' ORDER BY evtname"
FOREIGN_CODE = """
SELECT count(*) FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner WHERE NOT r.rolsuper
"""


def run(
    params: Params,
    database: str,
    probes: t.Sequence[Probe],
    *,
    statement_timeout: str = STATEMENT_TIMEOUT,
    lock_timeout: str = LOCK_TIMEOUT,
) -> tuple[core.ProbeResult, ...]:
    """The results of *probes*, in their order; nothing of what they do stays. *params* log in as a superuser.

    The timeouts are in PostgreSQL's words. A server that is lost on the way leaves the rest not run. ValueError where
    a probe is of another database than *database*, or the login role is no superuser.
    """
    for probe in probes:
        if probe.database != database:
            raise ValueError(
                f"the probe {probe.id} is of the database {probe.database}: plan and run one database at a time"
            )
    with session(params, database) as connection:
        ((standby, superuser, login_role),) = query(connection, SERVER)
        if not superuser:
            raise ValueError(
                f"the role {login_role} is no superuser: log in as one (postgres, by become_user: postgres)"
            )
        query(connection, "SELECT set_config('application_name', %(name)s, false)", {"name": APPLICATION})
        timeouts = {
            "statement_timeout": statement_timeout,
            "lock_timeout": lock_timeout,
            "idle_in_transaction_session_timeout": IDLE_TIMEOUT,
        }
        runner = _Runner(connection, timeouts, standby=standby)
        return tuple(runner.result(probe) for probe in probes)


class _NotRunError(Exception):
    """What came before the statement failed: why, and the SQLSTATE if there is one."""

    def __init__(self, why: str, sqlstate: str | None = None) -> None:
        super().__init__(why)
        self.sqlstate = sqlstate


class _Runner:
    """One connection, probe after probe."""

    def __init__(self, connection: Connection, timeouts: t.Mapping[str, str], *, standby: bool) -> None:
        self._connection = connection
        self._timeouts = timeouts
        self._standby = standby
        self._foreign_code = standby and query(connection, FOREIGN_CODE)[0][0] > 0
        # How event triggers are switched off, and the first that isn't by that.
        self._quiet: tuple[str, str] | None = None
        self._fires: str | None = None
        if connection.server_version >= EVENT_TRIGGERS_SETTING:
            self._quiet = ("event_triggers", "off")
        elif not standby:
            there = query(connection, EVENT_TRIGGERS)
            self._quiet = ("session_replication_role", "replica") if there else None
            self._fires = next((name for name, origin in there if not origin), None)

    def result(self, probe: Probe) -> core.ProbeResult:
        """Of one probe, whatever happens."""
        if probe.left_out is not None:
            return core.result(probe, core.NOT_RUN, None, probe.left_out)
        if self._standby and probe.setup:
            return core.result(probe, core.NOT_RUN, None, "a standby can't make the table that it needs")
        if self._foreign_code and probe.user_code:
            why = "on a standby, and there are routines that don't belong to superusers, which it might set off"
            return core.result(probe, core.NOT_RUN, None, why)
        if self._fires is not None and (probe.setup or probe.user_code or probe.ddl):
            why = f"the event trigger {shown(self._fires)} is ENABLE ALWAYS or REPLICA, and would be fired"
            return core.result(probe, core.NOT_RUN, None, why)
        if self._connection.closed:
            return core.result(probe, core.NOT_RUN, None, "the connection was lost")
        fresh = f"probe_{secrets.token_hex(8)}"
        try:
            # READ WRITE, since a role may switch default_transaction_read_only off. A standby has nothing to switch.
            self._connection.set_session(readonly="default" if self._standby else False, autocommit=False)
            return self._try(probe, fresh)
        except _NotRunError as error:
            return core.result(probe, core.NOT_RUN, error.sqlstate, _stable(str(error), fresh))
        except psycopg2.Error as error:
            return core.result(probe, core.NOT_RUN, error.pgcode, f"the connection failed: {str(error).strip()}")
        finally:
            with contextlib.suppress(psycopg2.Error):  # a lost connection has nothing to roll back
                self._connection.rollback()

    def _try(self, probe: Probe, fresh: str) -> core.ProbeResult:
        for name, value in self._timeouts.items():
            self._prepare(text(self._connection, statement(f"SET LOCAL {name} = ", Value(value))))
        if self._quiet is not None:
            setting, value = self._quiet
            self._prepare(text(self._connection, statement(f"SET LOCAL {setting} = ", Value(value))))
        for one in probe.setup:
            self._prepare(text(self._connection, filled(one, None, fresh)))
        column = None
        if probe.guard is not None:
            rows = self._ask(text(self._connection, filled(probe.guard, None, fresh)))
            go, column = rows[0] if rows else (None, None)
            forbidden = core.unguarded(probe, go)
            if forbidden is not None:
                return forbidden
        line = text(self._connection, filled(probe.statement, column, fresh))
        shell = 0
        if probe.user_code and not self._standby:
            line, shell = self._confined(probe.role, fresh, line), 1
        if self._quiet is not None and not probe.ddl:
            # For a replica rules would be off as well, and the statement another one.
            self._prepare(f"SET LOCAL {self._quiet[0]} TO DEFAULT")
        self._prepare(text(self._connection, statement("SET LOCAL SESSION AUTHORIZATION ", Name((probe.role,)))))
        said = {
            name: self._connection.info.parameter_status(name) for name in ("is_superuser", "session_authorization")
        }
        if said != {"is_superuser": "off", "session_authorization": probe.role}:
            raise _NotRunError("the server did not become the role: it is a superuser, or the connection is pooled")
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(line)
        except psycopg2.Error as error:
            if error.pgcode is None:
                raise
            depth = len((error.diag.context or "").splitlines()) - shell
            message = _stable(str(error.diag.message_primary), fresh)
            return core.verdict(probe, core.Answer(error.pgcode, message, depth))
        return core.verdict(probe, core.Answer())

    def _confined(self, role: str, fresh: str, line: str) -> str:
        """A call that runs *line* as *role* and lets nothing that it sets off become anybody else."""
        function = Name(("pg_temp", fresh))
        self._prepare("SET LOCAL check_function_bodies = off")
        body = (" RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER AS ", Value(line))
        self._prepare(text(self._connection, statement("CREATE FUNCTION ", function, "()", *body)))
        self._prepare(text(self._connection, statement("ALTER FUNCTION ", function, "() OWNER TO ", Name((role,)))))
        return text(self._connection, statement("SELECT ", function, "()"))

    def _prepare(self, line: str) -> None:
        """Run what comes before; _NotRunError where that fails: it says nothing of the role."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(line)
        except psycopg2.Error as error:
            raise _NotRunError(_failed(line, error), error.pgcode) from error

    def _ask(self, line: str) -> list[tuple[t.Any, ...]]:
        """The rows of a guard; _NotRunError where it fails."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(line)
                return cursor.fetchall()
        except psycopg2.Error as error:
            raise _NotRunError(_failed(line, error), error.pgcode) from error


def _stable(message: str, fresh: str) -> str:
    """*message* in the same words in every run, so that two reports can be compared."""
    return message.replace(fresh, "probe")


def _failed(line: str, error: psycopg2.Error) -> str:
    return f"{line} failed before anything was tried: {error.diag.message_primary or str(error).strip()}"
