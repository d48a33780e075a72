# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry the policy out: plan everything by reading alone, then change what differs, part by part."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from . import files, logins
from .catalog import Cluster
from .hba import render_hba, render_ident
from .model import Policy
from .plan_cluster import missing_databases, plan_cluster
from .plan_database import plan_database
from .postgres import (
    MAINTENANCE,
    TEMPLATE,
    Params,
    check_lock_timeout,
    read_cluster,
    read_objects,
    run,
    run_alone,
    session,
    snapshot,
    text,
)
from .statements import Plan, Skipped, Statement

if t.TYPE_CHECKING:
    from .postgres import Connection


@dataclasses.dataclass(frozen=True)
class Options:
    """How to work: ``check`` only reads; ``hba`` owns the two login files; ``lock_timeout`` in PostgreSQL's words."""

    check: bool
    lock_file: str
    lock_timeout: str = "5s"
    hba: bool = True
    skip_missing: bool = False


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was done or, with ``check``, would be; ``queries`` is its SQL in order."""

    statements: tuple[Statement, ...]
    queries: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    login_files: tuple[logins.File, ...]


class StoppedError(ValueError):
    """The work stopped half way; ``committed`` is the SQL of what stays done."""

    def __init__(self, message: str, committed: tuple[str, ...]) -> None:
        done = "nothing was changed" if not committed else f"{len(committed)} statements before stay done"
        super().__init__(f"{message} ({done})")
        self.committed = committed


@dataclasses.dataclass(frozen=True)
class _Plans:
    create: tuple[Statement, ...]
    cluster: Plan
    databases: t.Mapping[str, Plan]
    files: logins.Files

    @property
    def parts(self) -> tuple[Plan, ...]:
        return (Plan(self.create), self.cluster, *self.databases.values())


def enforce(params: Params, policy: Policy, options: Options) -> Outcome:
    """Make the server what *policy* says; *params* are a module's login options.

    Everything is planned before anything is changed. Each part (the cluster, then each database, then the login files)
    is whole or rolled back: StoppedError says what was done before. ValueError: nothing was changed.
    """
    lock = contextlib.nullcontext() if options.check else files.lock(options.lock_file)
    with lock, session(params, MAINTENANCE) as connection:
        plans = _plan(params, connection, policy, options)
        statements = tuple(statement for part in plans.parts for statement in part.statements)
        queries = tuple(text(connection, statement) for statement in statements)
        if not options.check:
            _apply(params, connection, policy, options, plans)
    skipped = [one for part in plans.parts for one in part.skipped]
    if options.hba and not policy.authoritative:
        skipped.append(Skipped("pg_hba.conf and pg_ident.conf", "mode additive takes no login away"))
    reload = (logins.RELOAD,) if plans.files.reload else ()
    return Outcome(statements, queries + reload, tuple(skipped), plans.files.changed)


def _plan(params: Params, connection: Connection, policy: Policy, options: Options) -> _Plans:
    login_files = logins.Files()
    check_lock_timeout(connection, options.lock_timeout)
    with snapshot(connection):
        cluster = read_cluster(connection)
        if options.hba and policy.authoritative:
            login_files = logins.compare(connection, render_hba(policy), render_ident(policy))
    create = missing_databases(policy, cluster)
    cluster_plan = plan_cluster(policy, cluster)
    databases = {}
    for name in policy.databases:
        with session(params, name if name in cluster.databases else TEMPLATE) as other, snapshot(other):
            databases[name] = _plan_database(other, policy, cluster, name, options)
    return _Plans(create, cluster_plan, databases, login_files)


def _plan_database(connection: Connection, policy: Policy, cluster: Cluster, name: str, options: Options) -> Plan:
    objects = read_objects(connection, policy, cluster, name)
    return plan_database(policy, cluster, objects, skip_missing=options.skip_missing)


def _apply(params: Params, connection: Connection, policy: Policy, options: Options, plans: _Plans) -> None:
    committed: list[str] = []

    def done(statements: t.Iterable[Statement]) -> None:
        committed.extend(text(connection, statement) for statement in statements)

    try:
        for statement in plans.create:
            run_alone(connection, statement)
            done([statement])
        if plans.cluster.statements:
            run(
                connection,
                plans.cluster.statements,
                options.lock_timeout,
                lambda: plan_cluster(policy, read_cluster(connection)),
            )
            done(plans.cluster.statements)
        for name, plan in plans.databases.items():
            if plan.statements:
                _apply_database(params, policy, options, name, plan)
                done(plan.statements)
        if plans.files.reload:
            logins.install(params, connection, plans.files)
    except ValueError as error:
        raise StoppedError(str(error), tuple(committed)) from error


def _apply_database(params: Params, policy: Policy, options: Options, name: str, plan: Plan) -> None:
    with session(params, name) as connection:

        def left() -> Plan:
            # The roles were made or changed since the first read: they are read again, here.
            return _plan_database(connection, policy, read_cluster(connection), name, options)

        try:
            run(connection, plan.statements, options.lock_timeout, left)
        except ValueError as error:
            raise ValueError(f"database {name}: {error}") from error
