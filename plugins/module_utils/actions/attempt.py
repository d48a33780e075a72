# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An attempt at an incident on this host: its gates, the dump before it, the transaction, and the record of it all."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import socket
import time
import typing as t

from ..dumps.config import read_settings
from ..dumps.control import Report
from ..dumps.names import DumpName, utc_text
from ..dumps.pipeline import Settings as Source
from ..dumps.processes import DumpError, hold_signals
from ..dumps.stores import Settings as Sending
from ..dumps.transfer import Interruption
from .approval import APPROVERS
from .carrying import DRY, ELSEWHERE, Carried, Carrying, Nobody
from .database import Server
from .folder import Folder, understand
from .ids import PATIENCE
from .interface import IS_ABORTED, IS_ANOTHER, IS_COMMITTED, CarryingError, Sink
from .ledger import FOLDER, LOCK, Ledger, alone
from .plan import FILE, MOST_PLAN, Plan
from .records import (
    AFTER_FILE,
    COMMITTED,
    HUMAN,
    NOT_STARTED,
    ROLLED_BACK,
    UNKNOWN,
    VERSION,
    AfterAction,
    Answered,
    Rehearsal,
    Save,
    StepDone,
)
from .savable import check_saves, unsent
from .saved import About
from .saving import Counted, ToStores
from .states import APPROVED, REHEARSED, Incident, refusals, state
from .watching import Watching


@dataclasses.dataclass(frozen=True)
class Places:
    """Where things lie on this host. ``approvers`` None: of no use.

    ``user`` sends dumps and ``signer`` signs them, "" for whoever runs this.
    """

    approvers: str | None = APPROVERS
    ledger: str = FOLDER
    lock: str = LOCK
    source: str = "/etc/taaraxtak/dump-source.json"
    sending: str = "/etc/taaraxtak/dump-send.json"
    user: str = "pgbackup"
    signer: str = "pgdumper"


@dataclasses.dataclass(frozen=True)
class Ended:
    """``after``: the record; None where there is nothing new to record. ``problem``: "" where all went as asked."""

    outcome: str
    problem: str
    after: AfterAction | None = None


class Attempt:
    """The person *dba*'s attempt at the incident in *files*.

    *connect* opens their session, by the role *login* ("": by any), in which they become *owner*. For *patience*
    seconds the server is asked what became of a COMMIT whose answer was lost. *vouched*: who it is, was only said.
    """

    def __init__(
        self,
        files: Folder,
        connect: t.Callable[[], t.Any],
        *,
        dba: str,
        owner: str,
        login: str = "",
        places: Places | None = None,
        patience: float = PATIENCE,
        clock: t.Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        vouched: bool = False,
    ) -> None:
        self._files = files
        self._connect = connect
        self._dba = dba
        self._login = login
        self._owner = owner
        self._places = places or Places()
        self._patience = patience
        self._clock = clock
        self._vouched = vouched
        self._started = _now()
        self._ledger = Ledger(self._places.ledger)
        self._dump = ("", "")
        self._incident = understand(files, self._places.approvers)
        self._interruption = Interruption()

    # --- For real -----------------------------------------------------------------------------------------------------
    def carry_out(self, *, confirmed: str, database: str, dump: t.Callable[[], Report]) -> Ended:
        """Carry it out, if every gate is open; *dump* makes a fresh dump first, and says how that went."""
        plan = self._read()
        if AFTER_FILE in self._files.files and self._incident.after is None:
            why = "; ".join(self._incident.problems)
            return Ended(NOT_STARTED, f"{why}: bring after.yml back as it was, since nothing is written over it")
        try:
            with alone(self._places.lock):
                return self._known(plan) or self._carry_out(plan, confirmed, database, dump)
        except DumpError as error:
            # A signal between the parts. Where it was begun, this host has noted what is certain.
            record = self._ledger.find(self._incident.name)
            return Ended(record.outcome, str(error), record) if record else self._not_started(plan, str(error))
        except ValueError as error:
            # Of an attempt that is under way, or was made, this is no record.
            return Ended(NOT_STARTED, str(error))

    def _read(self) -> Plan:
        if self._incident.plan is None:
            raise ValueError(" ".join(self._incident.problems) or f"{self._incident.name} has no {FILE}: write it")
        return self._incident.plan

    def _carry_out(self, plan: Plan, confirmed: str, database: str, dump: t.Callable[[], Report]) -> Ended:
        if self._incident.after is not None and self._incident.after.outcome != NOT_STARTED:
            return Ended(NOT_STARTED, f"{self._incident.name} has an after.yml: {self._incident.after.outcome}")
        refused = self._gates(plan) or self._refusals(database, confirmed)
        if refused:
            return self._not_started(plan, refused)
        self._interruption.listen()
        try:
            self._dump = _fresh(dump(), plan.database)
            sink = self._sink(plan)
        except (DumpError, CarryingError, ValueError, OSError) as error:
            return self._not_started(plan, f"there is no fresh dump, without which nothing is begun: {error}")
        watch = Watching(
            self._ledger,
            lambda carried: self._after(plan, carried),
            self._interruption,
            lambda: self._refusals(database, confirmed),
        )
        with contextlib.closing(sink), contextlib.closing(self._server(plan)) as server:
            # The dump may have taken hours.
            refused = self._refusals(database, confirmed)
            if refused:
                return self._not_started(plan, refused)
            saves = _saves(self._incident)
            carrying = Carrying(plan, saves, server, sink, watch, time.monotonic, login=self._login)
            carried = carrying.run(commit=True)
            # What is left is short: to say how it ended.
            with contextlib.suppress(DumpError):
                hold_signals()
        after = self._after(plan, carried)
        problem = carried.reason if carried.outcome != COMMITTED or carried.astray else ""
        if watch.noted:
            try:
                if carried.outcome == NOT_STARTED:
                    self._ledger.forget(after.incident)
                else:
                    self._ledger.note(after)
            except ValueError as error:
                problem = f"{problem or 'it was committed'}; {error}"
        return Ended(carried.outcome, problem, after)

    def _refusals(self, database: str, confirmed: str) -> str:
        """The gates that are shut now, in a sentence; "" where all are open."""
        # A key may have been taken away meanwhile. A signal is no word on the approval.
        self._interruption.hold()
        self._incident = understand(self._files, self._places.approvers)
        self._interruption.release()
        host, dba = own_name(), self._dba
        return "; ".join(
            refusals(self._incident, self._clock(), host=host, database=database, dba=dba, confirmed=confirmed)
        )

    def _known(self, plan: Plan) -> Ended | None:
        """What this host knows of an earlier attempt, settled if it was not; None where there was none."""
        record = self._ledger.find(self._incident.name)
        if record is None:
            return None
        if record.outcome == UNKNOWN:
            record = self._settled(plan, record)
            self._ledger.note(record)
        mine = self._incident.after
        record = dataclasses.replace(record, **self._said())
        known = mine is not None and mine.outcome not in (NOT_STARTED, UNKNOWN)
        problem = f"{self._incident.name} was begun on this host before, at {record.started}: {record.outcome}"
        return Ended(record.outcome, problem, None if known else record)

    def _settled(self, plan: Plan, record: AfterAction) -> AfterAction:
        """The record of an attempt whose process or connection has gone at COMMIT, as the server knows it now."""
        with contextlib.closing(self._server(plan)) as server:
            said = server.settled(record.transaction_id, record.cluster)
        if said == IS_ANOTHER and ELSEWHERE not in record.reason:
            return dataclasses.replace(record, reason=f"{record.reason}; {ELSEWHERE}")
        outcome = {IS_COMMITTED: COMMITTED, IS_ABORTED: ROLLED_BACK}.get(said)
        if outcome is None:
            return record
        return dataclasses.replace(
            record, outcome=outcome, reason=f"{record.reason}; asked later, the server says that it was {outcome}"
        )

    # --- Without changing anything ------------------------------------------------------------------------------------
    def dry_run(self, *, database: str) -> Ended:
        """Do all of it on the real database, and roll back. Nothing is dumped, sent or noted. It needs no approval."""
        plan = self._read()
        found = state(self._incident, self._clock())
        refused = [gate] if (gate := self._gates(plan)) else []
        if found.word not in (REHEARSED, APPROVED):
            refused.append(f"the incident is {found.word}" + (f": {found.why}" if found.why else ""))
        if (plan.host, plan.database) != (own_name(), database):
            refused.append(f"the plan is for {plan.database} on {plan.host}, and this is {database} on {own_name()}")
        if refused:
            return self._not_started(plan, "; ".join(refused))
        try:
            with alone(self._places.lock):
                carried = self._dry(plan, _saves(self._incident), login=self._login)
        except ValueError as error:
            return Ended(NOT_STARTED, str(error))
        return Ended(carried.outcome, "" if _went_well(carried) else carried.reason, self._after(plan, carried))

    def _dry(self, plan: Plan, saves: t.Mapping[str, t.Sequence[Save]], *, login: str) -> Carried:
        with contextlib.closing(self._server(plan)) as server:
            carrying = Carrying(plan, saves, server, self._counted(plan), Nobody(), time.monotonic, login=login)
            return carrying.run(commit=False)

    # --- On a copy ----------------------------------------------------------------------------------------------------
    def rehearse(self, saves: t.Mapping[str, t.Sequence[Save]], *, dump: str, sha256: str, commit: bool) -> Rehearsal:
        """Do all of it on a copy of *dump*, and commit there; without *commit* it is rolled back."""
        plan = self._read()
        DumpName.parse(dump)
        check_saves(plan, saves)
        if commit:
            with contextlib.closing(self._server(plan)) as server:
                carrying = Carrying(plan, saves, server, self._counted(plan), Nobody(), time.monotonic)
                carried = carrying.run(commit=True)
        else:
            carried = self._dry(plan, saves, login="")
        return Rehearsal(
            version=VERSION,
            incident=plan.incident,
            plan_sha256=self._incident.plan_sha256,
            rehearsed=self._started,
            rehearsed_by=self._dba,
            dump=dump,
            dump_sha256=sha256,
            server=carried.server,
            outcome=carried.outcome,
            problem=carried.reason,
            steps=carried.steps,
            assess=carried.assess,
            invariants=carried.invariants,
        )

    # --- Parts --------------------------------------------------------------------------------------------------------
    def _gates(self, plan: Plan) -> str:
        if len(self._files.files[FILE]) > MOST_PLAN:
            return f"before.yml is larger than {MOST_PLAN // 1024} KiB: make several incidents of it"
        rehearsal = self._incident.rehearsal
        # That of another plan is refused as what it is.
        if rehearsal is None or rehearsal.plan_sha256 != self._incident.plan_sha256:
            return ""
        return unsent(plan, rehearsal)

    def _server(self, plan: Plan) -> Server:
        return Server(self._connect, plan, self._owner, patience=self._patience)

    def _about(self, plan: Plan) -> About:
        return About(plan.incident, self._incident.plan_sha256, plan.host, plan.database)

    def _counted(self, plan: Plan) -> Sink:
        return Counted(self._about(plan))

    def _sink(self, plan: Plan) -> ToStores:
        source = read_settings(Source, self._places.source)
        sending = read_settings(Sending, self._places.sending)
        return ToStores(
            self._about(plan), source, sending, self._interruption, user=self._places.user, signer=self._places.signer
        )

    def _not_started(self, plan: Plan, reason: str) -> Ended:
        steps = tuple(
            StepDone(step.id, step.why, step.sql, "" if step.rows is None else str(step.rows)) for step in plan.steps
        )
        assess = tuple(
            Answered(one.id, one.query, expected_before=str(one.before), expected_after=str(one.after))
            for one in plan.assess
        )
        invariants = tuple(Answered(one.id, one.query) for one in plan.invariants)
        carried = Carried(NOT_STARTED, reason, steps=steps, assess=assess, invariants=invariants)
        return Ended(NOT_STARTED, reason, self._after(plan, carried))

    def _said(self) -> dict[str, t.Any]:
        """What people have written into the report that is there."""
        mine = self._incident.after
        return {name: getattr(mine, name) for name in HUMAN if mine is not None and getattr(mine, name).strip()}

    def _after(self, plan: Plan, carried: Carried) -> AfterAction:
        incident = self._incident
        dump, sha256 = self._dump
        return AfterAction(
            version=VERSION,
            incident=incident.name,
            problem=plan.problem,
            cause=plan.cause,
            reporter=plan.reporter,
            devops_contacted=utc_text(plan.devops_contacted),
            host=plan.host,
            database=plan.database,
            outcome=carried.outcome,
            reason=carried.reason,
            carried_out_by=self._dba,
            vouched=self._vouched,
            approved_by=incident.approver,
            break_glass=plan.break_glass,
            started=self._started,
            finished=_now(),
            plan_sha256=incident.plan_sha256,
            rehearsal_sha256=incident.rehearsal_sha256,
            approval_sha256=incident.approval_sha256,
            server=carried.server,
            transaction_id=carried.transaction_id,
            cluster=carried.cluster,
            wal_position=carried.wal_position,
            dump=dump,
            dump_sha256=sha256,
            saved=carried.saved,
            saved_sha256=carried.saved_sha256,
            # The rehearsal has the queries of the saves, and its digest stands above.
            steps=tuple(dataclasses.replace(step, saves=()) for step in carried.steps),
            assess=carried.assess,
            invariants=carried.invariants,
            **self._said(),
        )


def own_name() -> str:
    """What this host is called, all of it: production.staging is not production."""
    return socket.gethostname()


def _now() -> str:
    return utc_text(dt.datetime.now(dt.UTC))


def _saves(incident: Incident) -> dict[str, tuple[Save, ...]]:
    return {step.id: step.saves for step in incident.rehearsal.steps} if incident.rehearsal else {}


def _went_well(carried: Carried) -> bool:
    """Whether a dry run came to its end and everything was as expected."""
    return carried.reason.startswith(f"{DRY};")


def _fresh(report: Report, database: str) -> tuple[str, str]:
    """Name and SHA-256 of the dump that was made; DumpError where not every store has acknowledged it."""
    if not report.ok:
        raise DumpError("; ".join(report.problems) or "the sender did not say that it is stored")
    dumps = [one for one in report.results if one["artefact"] == database]
    if not dumps:
        raise DumpError(f"{database} is not among what was dumped")
    return str(dumps[0]["name"]), str(dumps[0]["sha256"])
