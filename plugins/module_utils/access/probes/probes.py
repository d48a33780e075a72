# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes as data: what to try as a role, what has to come of it, and the verdict on what came. probing.py runs them.

What has to be refused is tried only where the guard, a question to the server's own has_*_privilege functions, says
that it is. SQLSTATE 42501 alone counts as refused, the same for every probe (tried on 15 to 18); 25006 (read only)
doesn't, since a role switches default_transaction_read_only off itself. DML on what is there is only EXPLAINed: that
checks privileges as running it does (ExecutorStart), and changes nothing.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..catalog.model import Cluster, Objects
from ..plan.statements import Name, Part, Value, shown
from ..policy.model import Policy
from . import tables as probe_tables
from .rights import Rights
from .sql import ALLOWED, FRESH, REFUSED, Probe, statement, unless

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"
INSUFFICIENT_PRIVILEGE = "42501"
# pg_has_role tells SET from MEMBER; before, every member may SET ROLE.
SET_OPTION = 160000


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the server said: ``sqlstate`` is None where it did as asked.

    ``depth`` is how many routines below the probe's own statement the error is, or -1: before it was reached.
    """

    sqlstate: str | None = None
    message: str = ""
    depth: int = 0


@dataclasses.dataclass(frozen=True)
class ProbeResult:
    """What came of a probe. ``outcome`` is passed, failed or not run; ``sqlstate`` None where there was no error."""

    id: str
    role: str
    database: str
    what: str
    expected: str
    outcome: str
    sqlstate: str | None
    evidence: str
    stands_for: int = 1

    def as_dict(self) -> dict[str, t.Any]:
        """For JSON."""
        return dataclasses.asdict(self)


def plan(
    policy: Policy,
    cluster: Cluster,
    objects: Objects,
    roles: t.Sequence[str] | None = None,
    *,
    every_table: bool = False,
) -> tuple[Probe, ...]:
    """The probes of *roles* (None: the policy's login roles) in the database that *objects* is a snapshot of.

    Of tables that are alike (schema, kind, owner, ACL, and what the policy gives) one is tried, and of those
    probe_tables.AT_MOST for each role; *every_table* tries them all. An unknown role is a probe that isn't run.
    """
    names = [one.name for one in policy.roles.values() if one.login] if roles is None else list(dict.fromkeys(roles))
    tables = probe_tables.Tables(policy, objects)
    found: list[Probe] = []
    for name in names:
        rights = Rights(policy, cluster, name, objects.database)
        if name not in cluster.roles:
            found.append(_nothing(name, objects.database, "there is no such role on the server"))
        elif rights.superuser:
            found.append(_nothing(name, objects.database, "a superuser: nothing is refused to it"))
        else:
            mine = _role(policy, cluster, objects, name, rights)
            mine += tables.probes(name, rights, cluster.version, every_table=every_table)
            mine += tables.future(name, rights)
            found += mine or [_nothing(name, objects.database, "nothing that could be tried is refused to it")]
    return tuple(found)


def unguarded(probe: Probe, go: bool | None) -> ProbeResult | None:
    """The result where the guard's answer *go* forbids trying the probe; None where it may be tried."""
    if go:
        return None
    why = "the catalogue allows it, so it isn't tried: see the findings"
    return result(probe, NOT_RUN, None, "there is nothing to try it on" if go is None else why)


def verdict(probe: Probe, answer: Answer) -> ProbeResult:
    """What *answer*, to the probe's statement itself, proves."""
    said_so = f"{answer.sqlstate}: {answer.message}"
    if answer.sqlstate is None:
        if probe.expect == ALLOWED:
            return result(probe, PASSED, None, "the server did it; rolled back")
        return result(probe, FAILED, None, "the server did it, though its catalogue says it would refuse; rolled back")
    if answer.sqlstate != INSUFFICIENT_PRIVILEGE:
        return result(probe, NOT_RUN, answer.sqlstate, f"neither done nor refused: {said_so}")
    if answer.depth != 0:
        # A trigger, a default or an index runs somebody's routine: its error says nothing of this privilege.
        where = "within a routine that it runs" if answer.depth > 0 else "before it was reached"
        return result(probe, NOT_RUN, answer.sqlstate, f"refused {where}: {said_so}")
    return result(probe, PASSED if probe.expect == REFUSED else FAILED, answer.sqlstate, said_so)


def result(probe: Probe, outcome: str, sqlstate: str | None, evidence: str) -> ProbeResult:
    """A result of *probe*."""
    return ProbeResult(
        probe.id,
        probe.role,
        probe.database,
        probe.what,
        probe.expect,
        outcome,
        sqlstate,
        evidence,
        probe.stands_for,
    )


def _nothing(role: str, database: str, why: str) -> Probe:
    return Probe(role, database, "anything", REFUSED, statement(), left_out=why)


def _role(policy: Policy, cluster: Cluster, objects: Objects, role: str, rights: Rights) -> list[Probe]:
    """Of the database, its schemas, the server's files and programs, and other roles."""
    database = objects.database
    me = Value(role)
    found: list[Probe] = []

    def refused(what: str, may: tuple[Part, ...], *parts: Part, user_code: bool = False) -> None:
        found.append(Probe(role, database, what, REFUSED, statement(*parts), guard=unless(*may), user_code=user_code))

    for schema in sorted(objects.schemas):
        if policy.in_scope(schema) and not rights.owns(schema) and not rights.named("schema", schema, "CREATE"):
            oid = ("(SELECT oid FROM pg_namespace WHERE nspname = ", Value(schema), ")")
            may: tuple[Part, ...] = ("has_schema_privilege(", me, ", ", *oid, ", 'CREATE')")
            make: tuple[Part, ...] = ("CREATE TABLE ", Name((schema, FRESH)), " ()")
            # DDL sets off event triggers; theirs are superusers' functions, but those may call others'.
            refused(f"CREATE TABLE in schema {shown(schema)}", may, *make, user_code=True)
    for privilege, what, make in (
        ("CREATE", "CREATE SCHEMA", ("CREATE SCHEMA ", Name((FRESH,)))),
        ("TEMPORARY", "CREATE TEMPORARY TABLE", ("CREATE TEMPORARY TABLE ", Name((FRESH,)), " ()")),
    ):
        if not rights.named("database", database, privilege):
            refused(
                what, ("has_database_privilege(", me, f", current_database(), '{privilege}')"), *make, user_code=True
            )
    for name, arguments, call in (
        ("lo_from_bytea", "oid, bytea", "SELECT pg_catalog.lo_from_bytea(0, '')"),
        ("pg_read_file", "text", "SELECT pg_catalog.pg_read_file('PG_VERSION')"),
    ):
        given = rights.routine("pg_catalog", name, arguments) or (
            name == "pg_read_file" and "pg_read_server_files" in rights.held
        )
        if not given:
            may = ("has_function_privilege(", me, f", 'pg_catalog.{name}({arguments})', 'EXECUTE')")
            refused(f"{name}()", may, call)
    if "pg_execute_server_program" not in rights.held:
        may = ("pg_has_role(", me, ", 'pg_execute_server_program', 'USAGE')")
        # No row, since a program that doesn't read it would break the pipe.
        refused("COPY TO PROGRAM", may, "COPY (SELECT WHERE false) TO PROGRAM 'true'")
        # Refused before the table is looked at; a made-up name, so that nothing could ever be written.
        refused("COPY FROM PROGRAM", may, "COPY ", Name((FRESH,)), " FROM PROGRAM 'true'")
    how = "SET" if cluster.version >= SET_OPTION else "MEMBER"
    for other in _owners(policy, cluster, objects):
        what = f"SET ROLE {shown(other)}"
        if other not in rights.settable:
            refused(what, ("pg_has_role(", me, ", ", Value(other), f", '{how}')"), "SET LOCAL ROLE ", Name((other,)))
        elif other != role:
            found.append(Probe(role, database, what, ALLOWED, statement("SET LOCAL ROLE ", Name((other,)))))
    return found


def _owners(policy: Policy, cluster: Cluster, objects: Objects) -> list[str]:
    """Whom it would be worth to become: who owns a schema or the database, and the superuser that initdb made."""
    owners = {cluster.bootstrap, *policy.owners.values(), *policy.database_owners.values()}
    owners |= {schema.owner for schema in objects.schemas.values() if policy.in_scope(schema.name)}
    return sorted(owners & set(cluster.roles))
