# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry the policy out: plan everything by reading alone, then change what differs, part by part."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from . import files, logins
from .catalog.model import Cluster
from .plan.cluster import check_primary, missing_databases, plan_cluster
from .plan.database import plan_database
from .plan.hba import render_hba, render_ident, shut_out
from .plan.statements import Plan, Skipped, Statement, shown
from .policy.model import Policy
from .postgres import MAINTENANCE, TEMPLATE, Params, read_cluster, read_objects, session, snapshot
from .running import MeanwhileError, UncertainError, check_lock_timeout, run, run_alone, text
from .trying import check_settings

if t.TYPE_CHECKING:
    from .postgres import Connection

# How often a part is planned anew because somebody else changes the same rows. Each round only loses to a commit of
# theirs, so that a second administrator at work costs a few; a loop that never ends would hide one that always wins.
ATTEMPTS = 8
# Seconds to let the other one finish, times the round.
PAUSE = 0.05


@dataclasses.dataclass(frozen=True)
class Options:
    """How to work: ``check`` only reads; ``hba`` owns the two login files; ``lock_timeout`` in PostgreSQL's words.

    ``exceeding`` asks for the outcome's in mode additive, too; mode adopt always has it.
    ``passwords`` are SCRAM verifiers by role: never shown, and so not in this one's repr.
    """

    check: bool
    lock_file: str
    lock_timeout: str = "5s"
    hba: bool = True
    skip_missing: bool = False
    exceeding: bool = False
    passwords: t.Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was done or, with ``check``, would be; ``queries`` is its SQL in order, without secrets.

    ``exceeding`` is, where it was asked for, the SQL that mode authoritative would run beside it.
    """

    statements: tuple[Statement, ...]
    queries: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    login_files: tuple[logins.File, ...]
    exceeding: tuple[str, ...] = ()


class StoppedError(ValueError):
    """The work stopped half way; ``committed`` is the SQL of what stays done, ``uncertain`` of what may be done."""

    def __init__(self, message: str, committed: tuple[str, ...], uncertain: tuple[str, ...] = ()) -> None:
        stays = "1 statement before stays" if len(committed) == 1 else f"{len(committed)} statements before stay"
        nothing = "nothing was changed before" if uncertain else "nothing was changed"
        super().__init__(f"{message} ({f'{stays} done' if committed else nothing})")
        self.committed = committed
        self.uncertain = uncertain


@dataclasses.dataclass
class _Plans:
    """A plan for each part. One that somebody else has made old is replaced by the one that was carried out."""

    create: tuple[Statement, ...]
    cluster: Plan
    databases: dict[str, Plan]
    late: Plan
    files: logins.Files
    unread: tuple[Skipped, ...]

    @property
    def parts(self) -> tuple[Plan, ...]:
        return (Plan(self.create), self.cluster, *self.databases.values(), self.late)

    @property
    def statements(self) -> tuple[Statement, ...]:
        return tuple(statement for part in self.parts for statement in part.statements)


def enforce(params: Params, policy: Policy, options: Options) -> Outcome:
    """Make the server what *policy* says; *params* are a module's login options.

    Everything is planned before anything is changed. Each part (the cluster, then each database, then the login files)
    is whole or rolled back: StoppedError says what was done before, and what may be where an answer was lost.
    ValueError: nothing was changed.
    """
    lock = contextlib.nullcontext() if options.check else files.lock(options.lock_file)
    with lock, session(params, MAINTENANCE) as connection:
        check_lock_timeout(connection, options.lock_timeout)
        exceeding: tuple[str, ...] = ()
        if policy.mode == "adopt" or (options.exceeding and not policy.authoritative):
            exceeding = _exceeding(params, connection, policy, options)
        plans = _plan(params, connection, policy, options)
        check_settings(connection, policy)
        if not options.check:
            _apply(params, connection, policy, options, plans)
        statements = plans.statements
        queries = tuple(text(connection, statement) for statement in statements)
    skipped = [one for part in plans.parts for one in part.skipped] + list(plans.unread)
    if options.hba and not policy.authoritative:
        skipped.append(Skipped("pg_hba.conf and pg_ident.conf", f"mode {policy.mode} takes no login away"))
    reload = (logins.RELOAD,) if plans.files.reload else ()
    return Outcome(statements, queries + reload, tuple(skipped), plans.files.changed, exceeding)


def _plan(params: Params, connection: Connection, policy: Policy, options: Options) -> _Plans:
    login_files = logins.Files()
    with snapshot(connection):
        cluster = read_cluster(connection)
        if not options.check:
            check_primary(cluster)
        if options.hba and policy.authoritative:
            login_files = logins.compare(connection, render_hba(policy), render_ident(policy))
    create = missing_databases(policy, cluster)
    cluster_plan = plan_cluster(policy, cluster, options.passwords)
    databases = {}
    unread = shut_out(policy, cluster.roles) if options.hba and policy.authoritative else []
    for name in policy.databases:
        there = cluster.databases.get(name)
        if there is not None and not there.allows_connections:
            why = (
                "accepts no connections, so that nothing in it was looked at: ALTER DATABASE ... ALLOW_CONNECTIONS true"
            )
            unread.append(Skipped(f"database {shown(name)}", why, warn=True))
            continue
        with session(params, name if there is not None else TEMPLATE) as other, snapshot(other):
            databases[name] = _plan_database(other, policy, cluster, name, options)
    late = Plan(tuple(one for one in cluster_plan.statements if one.late))
    return _Plans(create, _early(cluster_plan), databases, late, login_files, tuple(unread))


def _early(plan: Plan) -> Plan:
    """What of the cluster comes before the databases: a membership is revoked when what replaces it is granted."""
    return Plan(tuple(one for one in plan.statements if not one.late), plan.skipped)


def _plan_database(connection: Connection, policy: Policy, cluster: Cluster, name: str, options: Options) -> Plan:
    objects = read_objects(connection, policy, cluster, name)
    return plan_database(policy, cluster, objects, skip_missing=options.skip_missing)


def _exceeding(params: Params, connection: Connection, policy: Policy, options: Options) -> tuple[str, ...]:
    """What is there beyond the policy, as the SQL that would take it away or put it right."""
    whole = dataclasses.replace(policy, mode="authoritative")
    plans = _plan(params, connection, whole, dataclasses.replace(options, check=True, hba=False))
    return tuple(text(connection, one) for one in plans.statements if one.kind not in ("create", "grant"))


def _apply(params: Params, connection: Connection, policy: Policy, options: Options, plans: _Plans) -> None:
    committed: list[str] = []

    def done(statements: t.Iterable[Statement]) -> None:
        committed.extend(text(connection, statement) for statement in statements)

    try:
        for statement in plans.create:
            run_alone(connection, statement)
            done([statement])

        def cluster() -> Plan:
            return plan_cluster(policy, read_cluster(connection), options.passwords)

        plans.cluster = _carried_out(connection, plans.cluster, options, lambda: _early(cluster()))
        done(plans.cluster.statements)
        for name, plan in plans.databases.items():
            plans.databases[name] = _apply_database(params, policy, options, name, plan)
            done(plans.databases[name].statements)
        plans.late = _carried_out(connection, plans.late, options, cluster)
        done(plans.late.statements)
        if plans.files.reload:
            logins.install(params, connection, plans.files)
    except UncertainError as error:
        raise StoppedError(str(error), tuple(committed), error.uncertain) from error
    except ValueError as error:
        raise StoppedError(str(error), tuple(committed)) from error


def _apply_database(params: Params, policy: Policy, options: Options, name: str, plan: Plan) -> Plan:
    if not plan.statements:
        return plan
    with session(params, name) as connection:

        def again() -> Plan:
            # The roles were made or changed since the first read: they are read again, here.
            return _plan_database(connection, policy, read_cluster(connection), name, options)

        try:
            return _carried_out(connection, plan, options, again)
        except UncertainError as error:
            raise UncertainError(f"database {name}: {error}", error.uncertain) from error
        except ValueError as error:
            raise ValueError(f"database {name}: {error}") from error


def _carried_out(connection: Connection, plan: Plan, options: Options, again: t.Callable[[], Plan]) -> Plan:
    """Run *plan*, or the newer one that *again* makes where somebody else came in between; the one that was run."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            if plan.statements:
                run(connection, plan.statements, options.lock_timeout, again)
            return plan
        except MeanwhileError:
            if attempt == ATTEMPTS:
                raise
            time.sleep(PAUSE * attempt)
            with snapshot(connection):
                plan = again()
    raise AssertionError("the loop ends by return or raise")
