# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role that a dump is run as: it can give each object to its owner, and can reach nothing outside the database.

Three roles live as long as a restore. `LOGIN` runs the dump, or a role that is given does. `MEMBER` is in every role
that may own what a dump holds, and owns the copy; who restores is in it. `OWNERS` may create in the copy and in its
schemas, and all those owners are in it: PostgreSQL gives an object only to a role that could have made it there,
while a dump brings the privileges last. No superuser is among the owners, nor a role that could become one or reach
the server's files or programs: what a dump gives to such a one restores in a sandbox alone.
"""

from __future__ import annotations

import contextlib
import secrets
import types
import typing as t

from ..processes import DumpError
from .named import OwnChange
from .outside import refuse_changes, state
from .psql import Login
from .session import ServerError, Session, composed, listed, named
from .target import RESTORING, of_a_restore

if t.TYPE_CHECKING:
    from .server import Server

# Each is a process of the server's.
MOST_WATCHED = 16
# There is one restore at a time in a cluster, and a row of pg_hba.conf can let this very name in.
LOGIN = "taaraxtak_restore_login"
MEMBER = "taaraxtak_restore_member"
OWNERS = "taaraxtak_restore_owners"

# Roles that reach outside a database or can make themselves reach, and all roles in them. Before 16 a role with
# CREATEROLE could put itself into each of the others.
_DANGEROUS = """
WITH RECURSIVE dangerous AS (
  SELECT oid FROM pg_roles
   WHERE rolsuper OR rolcreaterole OR rolreplication OR oid = ANY ({}::oid[])
      OR rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files',
                     'pg_create_subscription', 'pg_database_owner')
   UNION
  SELECT m.member FROM pg_auth_members m JOIN dangerous d ON m.roleid = d.oid)
SELECT rolname, oid IN (SELECT oid FROM dangerous) FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1
"""
# Who may set what only a superuser may otherwise.
_PARAMETERS = "SELECT DISTINCT a.grantee FROM pg_parameter_acl p, aclexplode(p.paracl) a"

# What of a role's lies in this database, or is shared, by the name of the catalogue.
_OWNED = """
SELECT d.classid::regclass::text FROM pg_shdepend d
 WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o' AND d.refobjid = ANY ({}::regrole[]::oid[])
   AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# The databases that hold something of these roles, or are theirs.
_TOUCHED = """
SELECT DISTINCT b.datname FROM pg_shdepend d
  JOIN pg_database b ON b.oid = CASE WHEN d.classid = 'pg_database'::regclass THEN d.objid ELSE d.dbid END
 WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = ANY ({}::regrole[]::oid[])
"""


class Restorer:
    """A context: the roles, and at its end nothing of them. A copy that was not settled by then is dropped."""

    def __init__(self, server: Server, copy: str) -> None:
        self._server = server
        self._session = server.session
        self._copy = copy
        self._settled = False
        self._watches: list[Session] = []
        self._roles: list[str] = []
        self._admitted: list[str] = []
        target = server.target
        self._given = target.restore_user
        self.login = Login(self._given, target.restore_os_user)
        if target.sandbox:
            self.login = Login(target.user, target.os_user, target.password)

    def __enter__(self) -> Restorer:
        if self._server.target.sandbox:
            return self
        try:
            self._make()
            self._admit()
            self._watch()
            self._before = state(self._session, self._copy, self._roles)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if not self._server.target.sandbox:
            self._end()

    def settle(self, owner: str) -> None:
        """See `Server.settle`."""
        owner = owner or self._owner_until_now()
        if self._roles:
            refuse_changes(self._before, state(self._session, self._copy, self._roles))
        with contextlib.closing(self._server.open(self._copy)) as session, session.transaction():
            if self._roles:
                self._give(session, owner)
            session.run("ALTER DATABASE {} OWNER TO {}", self._copy, owner)
            self._reset(session)
        self._settled = True

    def admit(self, names: t.Collection[str]) -> list[str]:
        """Make the roles among *names* that are not there, without login, and let them own what the dump holds.

        Those that were made; they go again where the copy does.
        """
        made = self._server.create_roles(names)
        self._admitted += made
        if made and self._roles:
            with self._session.transaction():
                self._session.rows(composed("GRANT {} TO {}", listed(made), named(MEMBER)))
                self._session.rows(composed("GRANT {} TO {}", named(OWNERS), listed(made)))
            now = state(self._session, self._copy, self._roles)
            quoted = self._session.rows(composed("SELECT 'the role ' || quote_ident(unnest({}))", made))
            self._before |= {name: now[name] for (name,) in quoted if name in now}
        return made

    def change_own(self, changes: t.Iterable[OwnChange]) -> None:
        """What the dump changes of PostgreSQL's own privileges: here, since who restores may not.

        Taking is always allowed. What everybody may use may be given, before it is taken from everybody: nothing else,
        for a dump could give itself the server's files.
        """
        if not self._roles:
            return
        ordered = sorted(changes, key=lambda change: not change.grant)
        with contextlib.closing(self._server.open(self._copy)) as session, session.transaction():
            for change in ordered:
                # The name is as the dump has it, where it can only be one: quoted, its arguments would be part of it.
                what = composed(f"ALL ON {change.kind} {change.name}")
                who = named(change.role) if change.role else composed("PUBLIC")
                if not change.grant:
                    session.rows(composed("REVOKE {} FROM {}", what, who))
                elif change.role and _everybodys(session, change):
                    session.rows(composed("GRANT {} TO {}", what, who))
                else:
                    raise DumpError(
                        f"the dump gives {change.role or 'everybody'} {change.name}, which is PostgreSQL's own and not "
                        "for everybody: it restores in a sandbox alone"
                    )

    def _make(self) -> None:
        """The roles, in one transaction."""
        owners, dangerous = self._who()
        if not self._given:
            self.login = Login(LOGIN, password=secrets.token_urlsafe(32))
        elif self._given in dangerous:
            raise DumpError(
                f"the role {self._given} may do more than restore: a dump is run as one that is no superuser and has "
                "no way to become one"
            )
        elif self._given not in owners:
            raise DumpError(
                f"there is no role {self._given} to restore as: apply the policy first, or leave restore_user out"
            )
        owners.discard(self._given)
        self._roles = [MEMBER, OWNERS] if self._given else [MEMBER, OWNERS, LOGIN]
        session = self._session
        with session.transaction():
            session.run("CREATE ROLE {} NOLOGIN", MEMBER)
            session.run("CREATE ROLE {} NOLOGIN", OWNERS)
            if not self._given:
                # BYPASSRLS, since pg_dump must see each row.
                verifier = session.scram(self.login.password, LOGIN)
                session.rows(composed("CREATE ROLE {} LOGIN BYPASSRLS PASSWORD {}", named(LOGIN), verifier))
            if owners:
                session.rows(composed("GRANT {} TO {}", listed(sorted(owners)), named(MEMBER)))
                session.rows(composed("GRANT {} TO {}", named(OWNERS), listed(sorted(owners))))
            session.run("GRANT {} TO {}", MEMBER, self.login.user)

    def _admit(self) -> None:
        """Into the copy."""
        with contextlib.closing(self._server.open(self._copy)) as session, session.transaction():
            session.run("ALTER DATABASE {} OWNER TO {}", self._copy, MEMBER)
            session.run("GRANT CONNECT ON DATABASE {} TO {}", self._copy, self.login.user)
            session.run("GRANT CREATE ON DATABASE {} TO {}", self._copy, OWNERS)
            if session.major < 15:
                # Later it belongs to the database's owner.
                session.run("ALTER SCHEMA public OWNER TO {}", MEMBER)
            session.run("GRANT CREATE, USAGE ON SCHEMA public TO {}", OWNERS)
            session.run(
                "ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT CREATE, USAGE ON SCHEMAS TO {}",
                self.login.user,
                OWNERS,
            )

    def _watch(self) -> None:
        """Stay in each database of an owner: while a superuser's session is there, no owner can drop or rename it.

        In the one that is to be replaced first; what was replaced before is not worth a session.
        """
        query = """SELECT datname FROM pg_database WHERE datallowconn AND datconnlimit <> -2 AND datname <> {}
                      AND pg_has_role({}, datdba, 'MEMBER') ORDER BY datname <> {}, 1"""
        found = self._session.rows(composed(query, self._copy, MEMBER, self._copy.removesuffix(RESTORING)))
        worth = [name for (name,) in found if not of_a_restore(name)]
        for name in worth[:MOST_WATCHED]:
            self._watches.append(self._server.open(name))

    def _who(self) -> tuple[set[str], set[str]]:
        """The roles that may own what a dump holds, and those that may do more."""
        granted = self._session.rows(_PARAMETERS) if self._server.major >= 15 else []
        found = self._session.rows(composed(_DANGEROUS, [oid for (oid,) in granted]))
        dangerous = {name for name, more in found if more}
        return {name for name, _more in found} - dangerous, dangerous

    def _owner_until_now(self) -> str:
        """Of the database that is to be replaced; the superuser where there is none yet."""
        query = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = {}"
        found = self._session.rows(composed(query, self._copy.removesuffix(RESTORING)))
        return found[0][0] if found else self._server.target.user

    def _give(self, session: Session, owner: str) -> None:
        """Hand on what belongs to who restores, and take back what the owners were given for it."""
        session.run("DROP OWNED BY {}", OWNERS)
        ours = [MEMBER, self.login.user]
        self._refuse_superuser(session, owner, ours)
        if session.major < 15:
            query = "SELECT nspowner = {}::regrole, pg_get_userbyid(10) FROM pg_namespace WHERE nspname = 'public'"
            for held, bootstrap in session.rows(composed(query, _quoted(MEMBER))):
                if held:
                    session.run("ALTER SCHEMA public OWNER TO {}", bootstrap)
        session.rows(composed("REASSIGN OWNED BY {} TO {}", listed(ours), named(owner)))
        # Their privileges; of theirs nothing is left.
        session.rows(composed("DROP OWNED BY {}", listed(ours)))
        session.run("GRANT CONNECT ON DATABASE {} TO {}", self._copy, MEMBER)
        session.run("GRANT pg_read_all_data TO {}", MEMBER)

    def _refuse_superuser(self, session: Session, owner: str, ours: list[str]) -> None:
        """A function or view of a stranger must not run with a superuser's rights."""
        if owner not in self._who()[1]:
            return
        held = {kind for (kind,) in session.rows(composed(_OWNED, [_quoted(role) for role in ours]))}
        # On 14 the schema public is ours for the time; an extension's owner gives it no rights.
        if held - {"pg_extension", "pg_namespace"}:
            raise DumpError(
                f"the dump gives some of its objects to nobody, and they must not become {owner}'s, who may do more "
                "than own them: name the owner of the database"
            )

    def _reset(self, session: Session) -> None:
        """A dump has no settings of a database: what is there was put there by what runs in it."""
        session.run("ALTER DATABASE {} RESET ALL", self._copy)
        session.run("ALTER DATABASE {} CONNECTION LIMIT -1 IS_TEMPLATE false ALLOW_CONNECTIONS true", self._copy)
        query = """SELECT pg_get_userbyid(s.setrole) FROM pg_db_role_setting s
                     JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = {} AND s.setrole <> 0"""
        for (role,) in session.rows(composed(query, self._copy)):
            session.run("ALTER ROLE {} IN DATABASE {} RESET ALL", role, self._copy)

    def _end(self) -> None:
        """Nothing of the roles is left."""
        for session in self._watches:
            session.close()
        if not self._settled:
            self._server.drop(self._copy)
        if self._roles:
            remove(self._server, self._roles)
        if self._admitted and not self._settled:
            remove(self._server, self._admitted)


def _everybodys(session: Session, change: OwnChange) -> bool:
    """Whether PUBLIC has the privilege that is given, on a function."""
    query = "SELECT has_function_privilege('public', {}::regprocedure, 'EXECUTE')"
    return change.kind == "FUNCTION" and bool(session.rows(composed(query, change.name))[0][0])


def _quoted(name: str) -> str:
    """As ::regrole reads it."""
    return '"' + name.replace('"', '""') + '"'


def sweep_roles(server: Server) -> None:
    """Remove the roles of dead runs, and the copies that they restored into."""
    query = "SELECT rolname FROM pg_roles WHERE rolname = ANY ({})"
    roles = [name for (name,) in server.session.rows(composed(query, [LOGIN, MEMBER, OWNERS]))]
    if not roles:
        return
    touched = server.session.rows(composed(_TOUCHED, [_quoted(role) for role in roles]))
    databases = [name for (name,) in touched]
    for name in databases:
        if name.endswith(RESTORING):
            server.drop(name)
    remove(server, roles)


def remove(server: Server, roles: list[str]) -> None:
    """Drop *roles*, and end their sessions."""
    session = server.session
    query = "SELECT rolname FROM pg_roles WHERE rolname = ANY ({})"
    there = [name for (name,) in session.rows(composed(query, roles))]
    if not there:
        return
    session.rows(composed("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY ({})", there))
    try:
        with session.transaction():
            # What they were granted of databases.
            session.rows(composed("DROP OWNED BY {}", listed(there)))
            session.rows(composed("DROP ROLE {}", listed(there)))
    except ServerError as error:
        raise DumpError(f"the roles of a restore could not be removed: {error}") from error
