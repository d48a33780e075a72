"""Where an incident stands, and the gates before it is carried out: whatever is unclear keeps them shut."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import records, states
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.states import refusals, state
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import (
    NOW,
    after,
    digest,
    incident,
    read,
    rehearsal,
)
from hypothesis import given
from hypothesis import strategies as st

HOUR = dt.timedelta(hours=1)
FILLED = {"why_different": "It was not.", "learned": "Lock.", "follow_ups": "A lock."}
GATE = {"host": "production", "database": "taaraxtak", "dba": "dba"}


def confirmed(one: states.Incident) -> str:
    return records.confirmation(one.name, one.plan_sha256)


@pytest.mark.parametrize(
    ("changes", "word", "why"),
    [
        ({"rehearsal": None, "rehearsal_sha256": "", "approval_sha256": "", "approver": ""}, "draft", ""),
        ({"plan": None, "rehearsal": None, "rehearsal_sha256": "", "approval_sha256": ""}, "draft", "is missing"),
        ({"rehearsal": rehearsal(outcome="rolled back", problem="a row too many")}, "draft", "a row too many"),
        ({"rehearsal": rehearsal(problem="x")}, "draft", "the rehearsal failed: x"),
        ({"approval_sha256": "", "approver": ""}, "rehearsed", ""),
        ({"approver": ""}, "rehearsed", "not verified"),
        ({"unverified": True}, "rehearsed", "not verified"),
        ({}, "approved", ""),
        ({"after": after(outcome="not started", reason="the store is full")}, "approved", "the store is full"),
        ({"after": after()}, "carried out", "why_different, learned, follow_ups"),
        ({"after": after(outcome="rolled back")}, "carried out", "rolled back"),
        ({"after": after(outcome="unknown", **FILLED)}, "carried out", "not known"),
        ({"after": after(**FILLED | {"learned": "  "})}, "carried out", "fill in learned"),
        ({"after": after(**FILLED)}, "closed", "committed"),
        # Void
        ({"plan_sha256": digest("a")}, "void", "edited after the rehearsal"),
        ({"name": "2026-11-23-other"}, "void", "before.yml is of the incident 2026-11-22-duplicate-rows"),
        ({"rehearsal": rehearsal(incident="2026-11-23-other")}, "void", "rehearsal.yml is of the incident"),
        ({"rehearsal": None}, "void", "no rehearsal"),
        ({"approver": "", "approval_problem": "the plan's signature is wrong"}, "void", "signature is wrong"),
        ({"problems": ("rehearsal.yml, line 1: x",)}, "void", "line 1"),
        ({"plan": None}, "void", "missing"),
        ({"rehearsal": rehearsal(dump="taaraxtak_2026-11-22-03.00.00.sql.zst")}, "void", "older than agreed"),
        ({"rehearsal": rehearsal(dump="taaraxtak_2026-11-25-03.00.00.sql.zst")}, "void", "of the future"),
        ({"plan": dataclasses.replace(read(), expires=NOW)}, "void", "expired"),
        ({"plan": dataclasses.replace(read(), max_dump_age=3_600_000)}, "void", "older than agreed"),
        ({"after": after(), "plan_sha256": digest("a")}, "void", "before.yml is not the one"),
        ({"after": after(**FILLED), "rehearsal_sha256": digest("a")}, "void", "rehearsal.yml is not the one"),
        ({"after": after(**FILLED), "approval_sha256": digest("a")}, "void", "approval.sig is not the one"),
        ({"after": after(incident="2026-11-23-other")}, "void", "after.yml is of the incident"),
        ({"problems": ("after.yml is broken",)}, "void", "broken"),
    ],
)
def test_the_state_and_why(changes, word, why):
    found = state(incident(**changes), NOW)
    assert found.word == word
    assert why in found.why
    assert found.word in states.STATES


def test_an_approved_incident_passes_every_gate():
    assert refusals(incident(), NOW, **GATE, confirmed=confirmed(incident())) == ()


@pytest.mark.parametrize(
    ("changes", "gate", "why"),
    [
        ({"approval_sha256": "", "approver": ""}, {}, "the incident is rehearsed"),
        ({"rehearsal": None, "rehearsal_sha256": "", "approval_sha256": "", "approver": ""}, {}, "is draft"),
        ({"after": after()}, {}, "the incident is carried out"),
        ({"after": after(outcome="rolled back")}, {}, "the incident is carried out"),
        ({"after": after(outcome="unknown")}, {}, "the incident is carried out"),
        ({"unverified": True}, {}, "not verified"),
        ({}, {"host": "other"}, "for the host production"),
        ({}, {"database": "other"}, "for the database taaraxtak"),
        ({}, {"dba": "alice"}, "alice has approved it"),
        ({}, {"dba": ""}, "say who you are"),
        ({}, {"confirmed": ""}, "type 2026-11-22-duplicate-rows "),
        ({}, {"confirmed": "2026-11-22-duplicate-rows"}, "not confirmed"),
        ({}, {"confirmed": f"2026-11-22-duplicate-rows {digest('a')[:12]}"}, "not confirmed"),
    ],
)
def test_a_gate_that_is_shut_says_why(changes, gate, why):
    one = incident(**changes)
    found = refusals(one, NOW, **{**GATE, "confirmed": confirmed(one), **gate})
    assert any(why in sentence for sentence in found), found


def test_a_team_of_one_says_why_in_the_plan_itself():
    one = incident(plan=dataclasses.replace(read(), break_glass="Bob is ill, and rows are lost every hour."))
    assert refusals(one, NOW, **{**GATE, "dba": "alice"}, confirmed=confirmed(one)) == ()


def test_every_before_has_an_after_or_is_not_yet_due():
    expires = read().expires
    assert not states.overdue(incident(), expires - HOUR)
    assert states.overdue(incident(), expires)
    assert states.overdue(incident(after=after(outcome="not started")), expires)
    assert not states.overdue(incident(after=after(outcome="rolled back")), expires)
    assert states.overdue(incident(plan=None), NOW)


def test_a_report_that_is_not_certain_or_not_of_these_files_is_none():
    expires = read().expires
    unknown = incident(after=after(outcome="unknown", **FILLED))
    assert not states.overdue(unknown, expires - HOUR)
    assert states.overdue(unknown, expires)
    assert states.overdue(incident(after=after(**FILLED), plan_sha256=digest("a")), NOW)
    # It is after.yml that can't be read.
    assert states.overdue(incident(problems=("after.yml, line 1: x",)), NOW)


def test_an_incident_that_was_given_up_is_ended_by_saying_why():
    """It was tried and not started, has expired, and people have said their part; nothing else closes it."""
    expires = read().expires
    tried = after(outcome="not started", reason="the store is full", **FILLED)
    given_up = incident(after=tried)
    assert state(given_up, expires) == states.State("closed", "not started")
    assert not states.overdue(given_up, expires)
    assert refusals(given_up, expires, **GATE, confirmed=confirmed(given_up))
    # Until then it may be tried again, and what is not said or is of other files ends nothing.
    assert state(given_up, NOW).word == "approved"
    others = [{"learned": " "}, {"plan_sha256": digest("a")}, {"incident": "2026-11-23-other"}]
    for change in others:
        still = incident(after=dataclasses.replace(tried, **change))
        assert state(still, expires).word == "void"
        assert states.overdue(still, expires)
    assert states.overdue(incident(after=tried, problems=("x",)), expires)


def test_a_plan_alone_may_be_half_written_for_a_week():
    half = {"plan": None, "rehearsal": None, "rehearsal_sha256": "", "approval_sha256": "", "approver": ""}
    alone = incident(**half, problems=("before.yml has problems",))
    day = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    assert not states.overdue(alone, day + dt.timedelta(days=6, hours=23))
    assert states.overdue(alone, day + dt.timedelta(days=7))
    assert states.overdue(dataclasses.replace(alone, problems=("before.yml x", "after.yml y")), day)
    assert states.overdue(dataclasses.replace(alone, plan_sha256="", problems=()), day)


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["2026-11-22-duplicate-rows", "2026-11-22-x"]),
        "plan_sha256": st.sampled_from([incident().plan_sha256, digest("a")]),
        "plan": st.sampled_from([read(), None]),
        "rehearsal": st.sampled_from([rehearsal(), rehearsal(problem="x"), rehearsal(plan_sha256=digest("a")), None]),
        "rehearsal_sha256": st.sampled_from([digest("b"), digest("a"), ""]),
        "approval_sha256": st.sampled_from([digest("c"), ""]),
        "approver": st.sampled_from(["alice", "bob", ""]),
        "approval_problem": st.sampled_from(["", "wrong"]),
        "unverified": st.booleans(),
        "after": st.sampled_from([None, after(), after(outcome="not started"), after(**FILLED)]),
        "problems": st.sampled_from([(), ("x",)]),
    },
)


@given(CHANGES, st.integers(-100, 100), st.sampled_from(["dba", "alice", "bob", ""]))
def test_the_gates_are_open_only_where_everything_agrees(changes, hours, dba):
    one, now = incident(**changes), NOW + hours * HOUR
    shut = refusals(one, now, host="production", database="taaraxtak", dba=dba, confirmed=confirmed(one))
    if shut:
        return
    assert one.plan is not None
    assert one.rehearsal is not None
    assert one.rehearsal.passed
    assert one.rehearsal.plan_sha256 == one.plan_sha256
    assert one.name == one.plan.incident == one.rehearsal.incident
    assert one.approval_sha256
    assert one.approver not in ("", dba)
    assert not one.approval_problem
    assert not one.unverified
    assert not one.problems
    assert now < one.plan.expires
    assert dt.timedelta(0) <= now - one.rehearsal.dump_taken <= dt.timedelta(milliseconds=one.plan.max_dump_age)
    assert one.after is None or one.after.outcome == "not started"
    assert dba
