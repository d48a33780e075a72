# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry a plan out: the order of everything, in one transaction, and what can truly be said of how it ended.

Assessments and invariants are asked, each step saves its rows and runs, the same is asked again, what was saved is
brought away and acknowledged, and only then comes COMMIT. Whatever is not as expected ends in ROLLBACK.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..dumps.scan import qualified
from .expected import MOST_LINES, shown
from .interface import (
    IS_ABORTED,
    IS_ANOTHER,
    IS_COMMITTED,
    Answer,
    Begun,
    CarryingError,
    Database,
    EndedError,
    LostError,
    Sink,
)
from .plan import Assessment, Invariant, Plan
from .records import COMMITTED, NOT_STARTED, ROLLED_BACK, UNKNOWN, Answered, Outcome, Save, StepDone
from .touching import Touching

# Letters of an answer: in a sentence, and in the record, which people read.
SAID, RECORDED = 200, 2000
ELSEWHERE = "this is another server or database than the one that got COMMIT, and can't say what became of it"
DRY = "this was a dry run: all of it was done and rolled back"


@dataclasses.dataclass(frozen=True)
class Carried:
    """How it ended, or stands. ``reason``: why it was not committed, or what is odd; the rest as in AfterAction.

    ``astray``: whatever became of it, it is not what was planned.
    """

    outcome: Outcome
    reason: str = ""
    server: str = ""
    transaction_id: str = ""
    cluster: str = ""
    wal_position: str = ""
    saved: str = ""
    saved_sha256: str = ""
    steps: tuple[StepDone, ...] = ()
    assess: tuple[Answered, ...] = ()
    invariants: tuple[Answered, ...] = ()
    astray: bool = False


class Watch(t.Protocol):
    """Who has to know of two moments. What either raises keeps the action from going on."""

    def begun(self, carried: Carried) -> None:
        """The transaction has begun; nothing was done yet."""

    def committing(self, carried: Carried) -> None:
        """All is as expected and the saved rows are away: COMMIT comes next."""


class Nobody:
    """Of a copy, and of a dry run, nothing is noted."""

    def begun(self, carried: Carried) -> None:
        """Nothing."""

    def committing(self, carried: Carried) -> None:
        """Nothing."""


class Carrying:
    """One attempt at *plan*, whose steps' rows are those of *saves* (by the step's id).

    *login*: who must have logged in, "" for anybody. *clock* gives seconds.
    """

    def __init__(
        self,
        plan: Plan,
        saves: t.Mapping[str, t.Sequence[Save]],
        database: Database,
        sink: Sink,
        watch: Watch,
        clock: t.Callable[[], float],
        *,
        login: str = "",
    ) -> None:
        self._plan = plan
        self._saves = saves
        self._database = database
        self._sink = sink
        self._watch = watch
        self._clock = clock
        self._login = login
        self._touching = Touching(plan, database, sink)
        self._begun = Begun("", "", "")
        self._steps = {
            step.id: StepDone(
                step.id,
                step.why,
                step.sql,
                "" if step.rows is None else str(step.rows),
                saves=tuple(saves.get(step.id, ())),
            )
            for step in plan.steps
        }
        self._before: dict[str, Answer] = {}
        self._after: dict[str, Answer] = {}
        self._deleted: dict[int, int] = {}
        self._wal = ""
        self._saved = ("", "")
        # Whether the attempt counts: until then nothing was asked of the data, and the approval holds.
        self._noted = False
        # Whether COMMIT was sent: from then on the server alone knows.
        self._sent = False

    def run(self, *, commit: bool) -> Carried:
        """Carry it out; without *commit* all is done, rolled back, and asked once more."""
        begun = False
        try:
            self._begun = self._database.begin(self._emptied())
            begun = True
            self._do(commit=commit)
        # Whatever it is, a defect of ours too: it must end in ROLLBACK, and in a report.
        except Exception as error:
            return self._given_up(error) if begun else self._carried(NOT_STARTED, _why(error))
        if not commit:
            return self._dry()
        self._wal = self._quietly(self._written) or self._wal
        return self._carried(COMMITTED)

    def _do(self, *, commit: bool) -> None:
        self._check_login()
        # By it the server is asked what became of COMMIT.
        self._database.keep_id()
        if commit:
            self._watch.begun(self._carried(UNKNOWN))
        self._noted = True
        self._ask(self._before)
        self._check_before()
        for step in self._plan.steps:
            self._step(step.id)
        self._touching.settle()
        self._ask(self._after)
        self._check_after()
        if not commit:
            return
        if self._sink.rows:
            self._saved = self._sink.finish()
        self._wal = self._database.wal()
        self._watch.committing(self._carried(UNKNOWN))
        self._sent = True
        self._database.commit()

    def _emptied(self) -> list[tuple[str, str]]:
        """The tables that TRUNCATE will empty."""
        emptied = [step.id for step in self._plan.steps if step.allow_truncate]
        return [(save.schema, save.table) for one in emptied for save in self._steps[one].saves]

    def _check_login(self) -> None:
        if self._login and self._begun.login != self._login:
            raise CarryingError(f"the session is that of {self._begun.login}, and {self._login} carries it out")

    def _step(self, step_id: str) -> None:
        step = next(one for one in self._plan.steps if one.id == step_id)
        began, done = self._clock(), self._steps[step_id]
        try:
            ran = self._touching.run(step, done.saves)
            done = dataclasses.replace(done, rows=ran.rows, saved=ran.saved, locks=self._database.locks())
            done = dataclasses.replace(done, gone_from=self._gone_from(done, truncated=step.allow_truncate))
        except Exception as error:
            done = dataclasses.replace(done, problem=str(error))
            raise
        finally:
            self._steps[step_id] = dataclasses.replace(done, milliseconds=round((self._clock() - began) * 1000))

    def _gone_from(self, done: StepDone, *, truncated: bool) -> tuple[str, ...]:
        """The tables that have lost rows since this was asked last."""
        was, self._deleted = self._deleted, {oid: one.deleted for oid, one in self._database.counts().items()}
        oids = {oid for oid, deleted in self._deleted.items() if deleted > was.get(oid, 0)}
        if truncated:
            # Of it no rows are counted.
            oids.update(*(self._database.relation(save.schema, save.table).tree for save in done.saves))
        names = {name for oid in oids for name in self._database.names(oid)}
        # A dump has the partitions, or where it is loaded through it, their root.
        return tuple(sorted(qualified(*name.split(".", 1)) for name in names))

    # --- Questions ----------------------------------------------------------------------------------------------------
    @property
    def _questions(self) -> tuple[Assessment | Invariant, ...]:
        return (*self._plan.assess, *self._plan.invariants)

    def _ask(self, answers: dict[str, Answer]) -> None:
        for one in self._questions:
            try:
                answers[one.id] = self._database.answer(one.query)
            except LostError:
                raise
            except CarryingError as error:
                raise CarryingError(f"{one.id} could not be asked: {error}") from error
            if len(answers[one.id]) > MOST_LINES:
                raise CarryingError(f"{one.id} answers more than {MOST_LINES} rows: ask for fewer, or for their count")

    def _check_before(self) -> None:
        wrong = [
            f"before the steps {one.id} is {_short(self._before[one.id])}, and {_cut(str(one.before))} was expected"
            for one in self._plan.assess
            if not one.before.met_by(self._before[one.id])
        ]
        if wrong:
            raise CarryingError("; ".join(wrong))

    def _check_after(self) -> None:
        wrong = [
            f"after the steps {one.id} is {_short(self._after[one.id])}, and {_cut(str(one.after))} was expected"
            for one in self._plan.assess
            if not one.after.met_by(self._after[one.id])
        ]
        wrong += [
            f"the steps have changed {one.id} from {_short(self._before[one.id])} to {_short(self._after[one.id])}"
            for one in self._plan.invariants
            if self._before[one.id] != self._after[one.id]
        ]
        if wrong:
            raise CarryingError("; ".join(wrong))

    # --- The end ------------------------------------------------------------------------------------------------------
    def _given_up(self, error: Exception) -> Carried:
        reason = _why(error)
        if self._sent and isinstance(error, LostError):
            return self._settled(reason)
        ended = isinstance(error, EndedError)
        try:
            self._database.rollback()
        except EndedError as found:
            ended, reason = True, f"{reason}; {found}"
        # Without a connection: gone before COMMIT was sent, or after the server's no. It has rolled back by itself.
        except Exception as lost:
            reason = f"{reason}; ROLLBACK could not be sent: {lost}" if not isinstance(error, LostError) else reason
        if ended:
            return dataclasses.replace(self._settled(reason), astray=True)
        if not self._noted:
            return dataclasses.replace(self._carried(NOT_STARTED, reason), transaction_id="", cluster="")
        return self._carried(ROLLED_BACK, reason)

    def _settled(self, reason: str) -> Carried:
        """The connection can't say what became of the transaction; the server may."""
        begun = self._begun
        said = self._quietly(lambda: self._database.settled(begun.transaction_id, begun.cluster))
        if said == IS_COMMITTED:
            return self._carried(COMMITTED, f"{reason}; asked again, the server says that it was committed")
        if said == IS_ABORTED:
            return self._carried(ROLLED_BACK, f"{reason}; asked again, the server says that it was rolled back")
        if said == IS_ANOTHER:
            return self._carried(UNKNOWN, f"{reason}; {ELSEWHERE}")
        return self._carried(UNKNOWN, f"{reason}; the server could not be asked what became of it")

    def _dry(self) -> Carried:
        """Roll back, and show that nothing is left of it."""
        first = self._begun
        try:
            self._database.rollback()
            again: dict[str, Answer] = {}
            self._begun = self._database.begin()
            for one in self._questions:
                again[one.id] = self._database.answer(one.query)
            self._database.rollback()
        except EndedError as error:
            return dataclasses.replace(self._settled(str(error)), astray=True)
        except CarryingError as error:
            return self._carried(ROLLED_BACK, f"{DRY}, and then it could not be asked again: {error}")
        finally:
            self._begun = first
        moved = [one.id for one in self._questions if again[one.id] != self._before[one.id]]
        if moved:
            return self._carried(
                ROLLED_BACK, f"{DRY}; since then {', '.join(moved)} answered differently: others write meanwhile"
            )
        return self._carried(ROLLED_BACK, f"{DRY}; asked again, everything answers as before")

    def _written(self) -> str:
        return self._database.wal()

    @staticmethod
    def _quietly(ask: t.Callable[[], t.Any]) -> t.Any:
        """The answer; None where there is none, which changes nothing of what is known."""
        try:
            return ask()
        except Exception:
            return None

    def _carried(self, outcome: Outcome, reason: str = "") -> Carried:
        saved, digest = self._saved
        return Carried(
            outcome=outcome,
            reason=reason,
            server=self._begun.server,
            transaction_id=self._begun.transaction_id,
            cluster=self._begun.cluster,
            wal_position=self._wal,
            saved=saved,
            saved_sha256=digest,
            steps=tuple(self._steps.values()),
            assess=tuple(self._assessed(one) for one in self._plan.assess),
            invariants=tuple(self._held(one) for one in self._plan.invariants),
        )

    def _assessed(self, one: Assessment) -> Answered:
        before, after = self._before.get(one.id), self._after.get(one.id)
        return Answered(
            one.id,
            one.query,
            str(one.before),
            _recorded(before),
            str(one.after),
            _recorded(after),
            before is not None and one.before.met_by(before) and after is not None and one.after.met_by(after),
        )

    def _held(self, one: Invariant) -> Answered:
        before, after = self._before.get(one.id), self._after.get(one.id)
        return Answered(
            one.id,
            one.query,
            before=_recorded(before),
            after=_recorded(after),
            met=before is not None and before == after,
        )


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__


def _short(answer: Answer) -> str:
    return _cut(shown(answer))


def _recorded(answer: Answer | None) -> str | None:
    return None if answer is None else _cut(shown(answer), RECORDED)


def _cut(text: str, most: int = SAID) -> str:
    return text if len(text) <= most else text[:most] + "…"
