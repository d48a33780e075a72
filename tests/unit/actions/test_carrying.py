"""The order of a transaction, and that what is said of its end is true, whatever goes wrong where."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.carrying import DRY
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.interface import (
    CarryingError,
    Counts,
    Defined,
    EndedError,
    LostError,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError
from ansible_collections.taaraxtak.production.tests.unit.actions.acting import OID, OTHER, Told, carry
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import GOOD, read

# Each method of the database that a good run asks, before COMMIT is sent.
BEFORE = (
    *("answer", "target", "relation", "triggers", "rows", "defined", "run", "counts", "live", "locks"),
    *("check_constraints", "wal"),
)


def test_a_good_run_commits_and_says_all() -> None:
    carried = carry(Told())
    assert (carried.outcome, carried.reason, carried.saved) == ("committed", "", "saved")
    assert (carried.server, carried.transaction_id, carried.wal_position) == ("17.6", "4711", "0/1")
    (step,) = carried.steps
    assert (step.rows, step.saved, step.problem) == (12, 12, "")
    assert [(one.before, one.after, one.met) for one in carried.assess] == [("12", "0", True)]
    assert [(one.before, one.after, one.met) for one in carried.invariants] == [("40", "40", True)]


def test_nothing_comes_before_what_it_needs() -> None:
    database = Told()
    carry(database)
    order = [
        "begin",
        "keep_id",
        "begun",
        "answer",
        "rows",
        "run",
        "live",
        "check_constraints",
        "answer",
        "finish",
        "committing",
    ]
    order += ["commit"]
    places = iter(database.asked)
    assert all(word in places for word in order), database.asked
    # Between the last look and COMMIT nothing else is done to the database but asking for its place in the WAL.
    end = database.asked.index("commit")
    last = max(number for number, word in enumerate(database.asked) if word == "answer")
    assert database.asked[last + 1 : end] == ["finish", "wal", "committing"]
    assert database.asked.count("commit") == 1


@pytest.mark.parametrize(("at", "kind"), list(itertools.product(BEFORE, (CarryingError, LostError, RuntimeError))))
def test_whatever_fails_before_commit_is_rolled_back(at: str, kind: type[Exception]) -> None:
    database = Told(at=at, error=kind("it broke"), said="committed")
    carried = carry(database)
    assert carried.outcome == "rolled back"
    assert "it broke" in carried.reason
    assert "commit" not in database.asked
    assert "rollback" in database.asked
    assert "settled" not in database.asked


@pytest.mark.parametrize(("moment", "outcome"), [("begun", "not started"), ("committing", "rolled back")])
def test_what_can_not_be_noted_is_not_done(moment: str, outcome: str) -> None:
    database = Told()
    carried = carry(database, **{moment: ValueError("the disk is full")})
    assert (carried.outcome, carried.reason) == (outcome, "the disk is full")
    assert "commit" not in database.asked
    assert "rollback" in database.asked


@pytest.mark.parametrize("kind", [CarryingError, LostError, RuntimeError])
@pytest.mark.parametrize("commit", [True, False])
def test_what_fails_before_the_attempt_is_noted_is_not_started(kind: type[Exception], commit: bool) -> None:
    database = Told(at="keep_id", error=kind("it broke"), said="committed")
    carried = carry(database, commit=commit)
    assert (carried.outcome, carried.reason, carried.transaction_id) == ("not started", "it broke", "")
    assert "rollback" in database.asked
    assert not {"answer", "begun", "run", "settled"} & set(database.asked)


@pytest.mark.parametrize("commit", [True, False])
def test_somebody_else_s_session_is_not_used(commit: bool) -> None:
    database = Told(login="mallory")
    carried = carry(database, commit=commit)
    assert (carried.outcome, carried.transaction_id) == ("not started", "")
    assert carried.reason == "the session is that of mallory, and dba carries it out"
    assert not {"keep_id", "begun", "run"} & set(database.asked)


def test_saved_rows_that_are_not_acknowledged_are_the_end() -> None:
    database = Told()
    carried = carry(database, lost=CarryingError("the saved rows are not stored"))
    assert (carried.outcome, carried.saved) == ("rolled back", "")
    assert "committing" not in database.asked


def test_what_does_not_begin_is_not_started() -> None:
    database = Told(at="begin", error=LostError("no server"))
    assert carry(database).outcome == "not started"
    assert database.asked == ["begin"]


def test_what_interrupts_the_beginning_is_not_started() -> None:
    carried = carry(Told(at="begin", error=DumpError("interrupted by SIGTERM")))
    assert (carried.outcome, carried.reason) == ("not started", "interrupted by SIGTERM")


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("committed", "committed"),
        ("aborted", "rolled back"),
        ("in progress", "unknown"),
        ("another", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_lost_answer_to_commit_is_settled_by_the_server(said: str, outcome: str) -> None:
    carried = carry(Told(at="commit", error=LostError("the connection was lost"), said=said))
    assert carried.outcome == outcome
    assert "the connection was lost; " in carried.reason
    assert not carried.astray


def test_a_no_to_commit_is_a_rollback() -> None:
    database = Told(at="commit", error=CarryingError("a constraint"), said="committed")
    assert carry(database).outcome == "rolled back"
    assert "settled" not in database.asked


def test_a_server_that_goes_just_after_commit_takes_nothing_back() -> None:
    """The second look at the WAL is a courtesy."""

    class Gone(Told):
        def commit(self) -> None:
            self.at, self.error = "wal", LostError("gone")

    carried = carry(Gone())
    assert (carried.outcome, carried.wal_position) == ("committed", "0/1")


@pytest.mark.parametrize("said", ["committed", "aborted", ""])
def test_a_statement_that_ends_its_transaction_is_told_as_that(said: str) -> None:
    carried = carry(Told(at="run", error=EndedError("it ended"), said=said))
    assert carried.astray
    assert carried.outcome == {"committed": "committed", "aborted": "rolled back", "": "unknown"}[said]


MISMATCHES: dict[str, tuple[dict[str, t.Any], str]] = {
    "one too many": (
        {"kept": 11, "count": 11, "touched": {OID: Counts(0, 11)}},
        "touched 11 rows, and 12 were expected",
    ),
    "no count": ({"count": None}, "touched None rows"),
    "fewer saved": ({"kept": 11}, "touches 12 rows of public.provider_marketshare, of which 11 were saved"),
    "more saved": ({"kept": 12, "touched": {OID: Counts(0, 11)}}, "other rows were touched than were saved"),
    "equal numbers, other rows": ({"left": 1}, "still there as they were"),
    "another table": ({"touched": {OID: Counts(0, 12), OTHER: Counts(0, 1)}}, "touches rows of public.other"),
    "rows added": ({"touched": {OID: Counts(1, 12)}}, "touches rows of public.provider_marketshare"),
    "rows added elsewhere": ({"touched": {OID: Counts(0, 12), OTHER: Counts(1, 0)}}, "touches rows of public.other"),
    "a trigger": ({"fired": ("public.provider_marketshare.t",)}, "fires public.provider_marketshare.t"),
    "a view": ({"problem": "is no ordinary table"}, "is no ordinary table"),
    "another table is emptied": (
        {"defines": Defined(frozenset({OTHER}))},
        "or locks them (public.other), which no step",
    ),
    "a catalogue is written to": ({"defines": Defined(written=1)}, "it changes definitions, or empties tables"),
    "a definition put off": ({"redefined": Defined(written=1)}, "what was put off to COMMIT changes definitions"),
    "put off": ({"late": {OTHER: Counts(0, 1)}}, "put off to COMMIT touches rows of public.other"),
    "before": ({"answers": {False: [(11,)], True: [(0,)]}}, "before the steps duplicates is 11, and 12 was expected"),
    "after": ({"answers": {False: [(12,)], True: [(1,)]}}, "after the steps duplicates is 1, and 0 was expected"),
    "no answer": ({"answers": {False: [], True: [(0,)]}}, "before the steps duplicates is no rows"),
    "true is not 1": ({"answers": {False: [(12,)], True: [(False,)]}}, "after the steps duplicates is false"),
    "invariant": ({"invariant": {False: [(40,)], True: [(39,)]}}, "have changed names from 40 to 39"),
    "too long": ({"invariant": {False: [(1,)] * 201, True: [(1,)] * 201}}, "names answers more than 200 rows"),
    "saves for an INSERT": ({"operation": "INSERT"}, "touches none that are there"),
}


@pytest.mark.parametrize("kind", MISMATCHES)
@pytest.mark.parametrize("commit", [True, False])
def test_what_is_not_as_expected_is_rolled_back(kind: str, commit: bool) -> None:
    changes, reason = MISMATCHES[kind]
    database = Told(**changes)
    carried = carry(database, commit=commit)
    assert carried.outcome == "rolled back"
    assert reason in carried.reason
    assert not carried.reason.startswith(DRY)
    assert "commit" not in database.asked
    assert "finish" not in database.asked


def test_more_than_max_rows_is_refused_before_the_statement_runs() -> None:
    database = Told(kept=13)
    assert "more rows would be touched than max_rows" in carry(database).reason
    assert "run" not in database.asked


def test_a_dry_run_does_everything_and_shows_that_nothing_is_left() -> None:
    database = Told()
    carried = carry(database, commit=False)
    assert carried.outcome == "rolled back"
    assert carried.reason == f"{DRY}; asked again, everything answers as before"
    assert carried.saved == ""
    assert not {"commit", "finish", "begun", "committing"} & set(database.asked)
    assert database.asked.count("begin") == database.asked.count("rollback") == 2


@pytest.mark.parametrize("said", ["committed", "aborted", ""])
def test_a_dry_run_whose_transaction_was_ended_does_not_say_that_nothing_is_left(said: str) -> None:
    carried = carry(Told(at="rollback", error=EndedError("it ended"), said=said), commit=False)
    assert carried.astray
    assert carried.outcome == {"committed": "committed", "aborted": "rolled back", "": "unknown"}[said]
    assert not carried.reason.startswith(DRY)


def test_a_dry_run_says_when_others_write_meanwhile() -> None:
    class Busy(Told):
        def rollback(self) -> None:
            self.ran = False
            self.answers = {False: [(13,)], True: [(0,)]}

    assert "since then duplicates answered differently" in carry(Busy(), commit=False).reason


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({}, ("public.provider_marketshare",)),
        ({"touched": {OID: Counts(0, 12, 0)}, "operation": "UPDATE"}, ()),
    ],
)
def test_of_a_step_is_noted_which_tables_have_lost_rows(changes: dict[str, t.Any], gone: tuple[str, ...]) -> None:
    (step,) = carry(Told(**{"touched": {OID: Counts(0, 12, 12)}, **changes})).steps
    assert step.gone_from == gone


def test_of_steps_that_did_not_run_nothing_is_said() -> None:
    second = GOOD.replace(
        "assess:", "  - {id: second, why: x, sql: DELETE FROM public.t WHERE a = 1, expect_rows: 0}\nassess:"
    )
    carried = carry(Told(count=11), plan=read(second))
    first, later = carried.steps
    assert "were expected" in first.problem
    assert (later.rows, later.saved, later.problem) == (None, None, "")
    assert [(one.after, one.met) for one in carried.assess] == [(None, False)]
