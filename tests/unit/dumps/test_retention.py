"""Retention: what stays and why, and what no history of dumps, clocks and settings can make it remove."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.freshness import CLOCK_STEP
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.retention import Policy, Stored, decide
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


def dump(received: dt.datetime, *, database: str = "taaraxtak", **more: t.Any) -> Stored:
    return Stored(DumpName(database, received), received, **more)


def kept(dumps: list[Stored], policy: Policy, now: dt.datetime) -> set[DumpName]:
    return {decision.name for decision in decide(dumps, policy, now) if decision.keep}


def reasons(dumps: list[Stored], one: Stored, policy: Policy | None = None) -> tuple[str, ...]:
    found = [decision for decision in decide(dumps, policy or Policy(), NOW) if decision.name == one.name]
    return found[0].reasons


NIGHTS = [dump(dt.datetime(2026, 11, 22, 3, 0, tzinfo=dt.UTC) - number * DAY) for number in range(800)]


def test_two_years_of_nights_leave_days_weeks_and_months() -> None:
    left = sorted(name.started.strftime("%Y-%m-%d") for name in kept(NIGHTS, Policy(), NOW))
    days = [f"2026-11-{day}" for day in range(16, 23)]
    # Mondays: the first dump of each of the last five weeks.
    weeks = ["2026-10-19", "2026-10-26", "2026-11-02", "2026-11-09", "2026-11-16"]
    months = [f"2025-12-0{1}"] + [f"2026-{month:02}-01" for month in range(1, 12)]
    assert left == sorted({*days, *weeks, *months})


def test_two_years_of_pruning_every_night_leave_the_same() -> None:
    there: list[Stored] = []
    for night in reversed(NIGHTS):
        there.append(night)
        names = kept(there, Policy(), night.received + 9 * HOUR)
        there = [one for one in there if one.name in names]
    assert {one.name for one in there} == kept(NIGHTS, Policy(), NOW)


def test_the_first_dump_of_a_day_stays_not_the_last() -> None:
    day = dt.datetime(2026, 11, 17, 0, 0, tzinfo=dt.UTC)
    first, second, third = (dump(day + hours * HOUR) for hours in (3, 4, 23))
    dumps = [*NIGHTS[:3], third, second, first]
    names = kept(dumps, Policy(), NOW)
    assert first.name in names
    assert not {second.name, third.name} & names
    assert f"the day 2026-11-17 has {first.name}" in reasons(dumps, third)


def test_a_flood_pushes_nothing_out() -> None:
    history = NIGHTS[1:]
    before = kept(history, Policy(), NOW)
    flood = [dump(NOW - 8 * HOUR + number * dt.timedelta(seconds=10)) for number in range(2000)]
    after = kept([*history, *flood], Policy(), NOW)
    # One day more has a dump, so the oldest of the seven days, and the third of the newest, may go; no more than that.
    assert len(before - after) <= 1
    names = kept([*history, *flood], Policy(), NOW + 60 * DAY)
    assert len(names & {one.name for one in flood}) == 1 + Policy().minimum


def test_without_new_dumps_nothing_goes() -> None:
    names = kept(NIGHTS, Policy(), NOW)
    left = [one for one in NIGHTS if one.name in names]
    assert kept(left, Policy(), NOW + 3650 * DAY) == names


def test_names_do_not_decide_when_a_dump_came() -> None:
    """Production's clock jumped back ten years: the name lies, the store's time doesn't."""
    lying = Stored(DumpName("taaraxtak", NOW - 3650 * DAY), NOW - 5 * DAY)
    assert reasons([lying, *NIGHTS[:3]], lying) == (
        "the first of the day 2026-11-17",
        "the first of the week 2026-W47",
        "the first of the month 2026-11",
    )


def test_the_first_of_a_day_is_the_first_that_came_whatever_its_name_says() -> None:
    day = dt.datetime(2026, 11, 17, 3, 0, tzinfo=dt.UTC)
    first = Stored(DumpName("taaraxtak", day + 5 * HOUR), day)
    second = Stored(DumpName("taaraxtak", day + HOUR), day + HOUR)
    names = kept([second, first, *NIGHTS[:3]], Policy(), NOW)
    assert first.name in names
    assert second.name not in names


def test_what_came_under_a_clock_that_was_ahead_stays_and_takes_no_place() -> None:
    ahead = [dump(NOW + 30 * DAY + number * DAY, verified=True) for number in range(20)]
    nights = [dataclasses.replace(NIGHTS[40], verified=True), *NIGHTS[:40]]
    assert kept([*nights, *ahead], Policy(), NOW) == kept(nights, Policy(), NOW) | {one.name for one in ahead}
    assert "in the future by this clock" in reasons([*nights, *ahead], ahead[0])[0]


def test_one_host_pushes_nothing_of_another_out() -> None:
    one = [dataclasses.replace(night, signer="one") for night in NIGHTS[400:]]
    two = [dataclasses.replace(night, signer="two") for night in NIGHTS[:400]]
    assert kept([*one, *two], Policy(), NOW) == kept(one, Policy(), NOW) | kept(two, Policy(), NOW)


def test_a_dump_whose_drill_failed_takes_no_place_and_stays_for_people() -> None:
    day = NIGHTS[5].received.replace(hour=0)
    failed = [dump(day + number * dt.timedelta(minutes=1), failed=True) for number in range(50)]
    names = kept([*NIGHTS, *failed], Policy(), NOW)
    assert names == kept(NIGHTS, Policy(), NOW) | {one.name for one in failed}
    assert reasons([*NIGHTS, *failed], failed[0]) == (
        "its drill failed, so it counts for nothing and is left to people",
    )


@pytest.mark.parametrize(("days", "stays"), [(372, True), (373, False)])
def test_a_dump_whose_drill_failed_goes_when_a_verified_one_came_months_later(days: int, stays: bool) -> None:
    verified, failed = dump(NOW, verified=True), dump(NOW - days * DAY, failed=True)
    assert (failed.name in kept([verified, failed], Policy(), NOW)) == stays
    assert failed.name in kept([dataclasses.replace(verified, verified=False), failed], Policy(), NOW)


def test_weeks_are_not_cut_at_new_year() -> None:
    thursday = dt.datetime(2026, 12, 31, 3, 0, tzinfo=dt.UTC)
    dumps = [dump(thursday), dump(thursday + DAY)]
    weeks_alone = Policy(daily=0, weekly=5, monthly=0, minimum=1)
    decisions = decide([*dumps, dump(thursday + 30 * DAY)], weeks_alone, thursday + 60 * DAY)
    assert [decision.keep for decision in decisions] == [True, False, True]
    assert decisions[0].reasons == ("the first of the week 2026-W53",)


def test_days_are_those_of_utc() -> None:
    zone = dt.timezone(dt.timedelta(hours=5))
    moment = dt.datetime(2026, 11, 17, 2, 0, tzinfo=zone)
    one = Stored(DumpName("taaraxtak", moment.astimezone(dt.UTC)), moment)
    assert "the first of the day 2026-11-16" in reasons([one, *NIGHTS[:3]], one)


def test_databases_have_their_own_slots() -> None:
    moment = NOW - 300 * DAY
    mine, other = dump(moment), dump(moment + HOUR, database="other")
    assert kept([mine, other], Policy(), NOW) == {mine.name, other.name}


def test_saved_rows_are_never_removed_by_themselves() -> None:
    moment = NOW - 900 * DAY
    saved = [Stored(DumpName("taaraxtak", moment + n * HOUR, kind="saved"), moment + n * HOUR) for n in range(5)]
    assert kept([*saved, *NIGHTS], Policy(minimum=1), NOW) >= {one.name for one in saved}


def test_globals_have_their_own_slots() -> None:
    moment = NOW - 300 * DAY
    data = dump(moment + HOUR)
    texts = [
        Stored(DumpName("taaraxtak", moment + hours * HOUR, kind="globals"), moment + hours * HOUR) for hours in (0, 2)
    ]
    assert kept([data, *texts], Policy(minimum=1), NOW) == {data.name, *(text.name for text in texts)}


def test_of_the_verified_ones_the_newest_stays_though_nothing_else_keeps_it() -> None:
    dumps = list(NIGHTS)
    older, newer = 43, 37
    for number in (older, newer):
        dumps[number] = dataclasses.replace(dumps[number], verified=True)
    assert reasons(dumps, dumps[newer]) == ("the newest verified one",)
    assert dumps[older].name not in kept(dumps, Policy(), NOW)


def test_an_adopted_dump_counts_for_nothing_and_stays() -> None:
    day = dt.datetime(2026, 11, 17, 1, 0, tzinfo=dt.UTC)
    adopted, signed = dump(day, signed=False, verified=True), dump(day + HOUR)
    dumps = [adopted, signed, *NIGHTS[:3]]
    assert kept(dumps, Policy(), NOW) >= {adopted.name, signed.name}
    assert "the first of the day 2026-11-17" in reasons(dumps, signed)
    assert "no signature" in reasons(dumps, adopted)[0]


@pytest.mark.parametrize("field", ["daily", "weekly", "monthly", "young_hours"])
def test_numbers_below_zero_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        Policy(**{field: -1})


def test_a_minimum_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="minimum must be at least 1"):
        Policy(minimum=0)


# How long an example takes says something about the machine alone.
run = settings(deadline=None)
POLICIES = st.builds(
    Policy,
    daily=st.integers(0, 9),
    weekly=st.integers(0, 6),
    monthly=st.integers(0, 14),
    minimum=st.integers(1, 6),
    young_hours=st.integers(0, 100),
)
MINUTES = st.integers(0, 500 * 24 * 60).map(lambda minutes: NOW - dt.timedelta(minutes=minutes))
STORED = st.builds(
    lambda received, signed, drilled, database, signer: dump(
        received, signed=signed, verified=drilled is True, failed=drilled is False, database=database, signer=signer
    ),
    MINUTES,
    st.booleans(),
    st.sampled_from([None, True, False]),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["one", "two"]),
)
HISTORIES = st.lists(STORED, max_size=40, unique_by=lambda one: one.name)
MOMENTS = st.integers(-600 * 24, 600 * 24).map(lambda hours: NOW + hours * HOUR)


def groups(dumps: list[Stored]) -> list[list[Stored]]:
    good = [one for one in dumps if one.signed and not one.failed]
    found = [
        [one for one in good if (one.name.database, one.signer) == key]
        for key in itertools.product(("a", "b"), ("one", "two"))
    ]
    return [sorted(group, key=lambda one: (one.received, one.name)) for group in found if group]


@run
@given(dumps=HISTORIES, policy=POLICIES, now=MOMENTS)
def test_every_dump_has_one_decision_with_a_reason(dumps: list[Stored], policy: Policy, now: dt.datetime) -> None:
    decisions = decide(dumps, policy, now)
    assert [one.name for one in decisions] == [
        one.name for one in sorted(dumps, key=lambda one: (one.received, one.name))
    ]
    assert all(decision.reasons and all(decision.reasons) for decision in decisions)


@run
@given(dumps=HISTORIES, policy=POLICIES, now=MOMENTS)
def test_never_below_the_minimum(dumps: list[Stored], policy: Policy, now: dt.datetime) -> None:
    names = kept(dumps, policy, now)
    for group in groups(dumps):
        assert len(names & {one.name for one in group}) >= min(policy.minimum, len(group))


@run
@given(dumps=HISTORIES, policy=POLICIES, now=MOMENTS)
def test_never_the_newest_verified(dumps: list[Stored], policy: Policy, now: dt.datetime) -> None:
    names = kept(dumps, policy, now)
    for group in groups(dumps):
        verified = [one for one in group if one.verified]
        assert not verified or verified[-1].name in names


@run
@given(dumps=HISTORIES, policy=POLICIES, ago=st.integers(0, 500 * 24))
def test_never_the_newest_verified_on_either_side_of_now(dumps: list[Stored], policy: Policy, ago: int) -> None:
    now = NOW - ago * HOUR
    names = kept(dumps, policy, now)
    for group in groups(dumps):
        assert {one.name for one in group if one.received > now + CLOCK_STEP} <= names
        past = [one for one in group if one.received <= now + CLOCK_STEP and one.verified]
        assert not past or past[-1].name in names


@run
@given(dumps=HISTORIES, policy=POLICIES, now=MOMENTS)
def test_never_a_young_one(dumps: list[Stored], policy: Policy, now: dt.datetime) -> None:
    young = {one.name for one in dumps if now - one.received < policy.young_hours * HOUR}
    assert young <= kept(dumps, policy, now)


@run
@given(dumps=HISTORIES, policy=POLICIES, now=MOMENTS)
def test_never_an_unsigned_one(dumps: list[Stored], policy: Policy, now: dt.datetime) -> None:
    assert {one.name for one in dumps if not one.signed} <= kept(dumps, policy, now)


@run
@given(dumps=HISTORIES, policy=POLICIES, now=MOMENTS)
def test_unsigned_ones_change_nothing_for_the_others(dumps: list[Stored], policy: Policy, now: dt.datetime) -> None:
    signed = [one for one in dumps if one.signed]
    assert kept(dumps, policy, now) & {one.name for one in signed} == kept(signed, policy, now)


@run
@given(dumps=HISTORIES, policy=POLICIES, now=MOMENTS)
def test_a_second_run_removes_nothing(dumps: list[Stored], policy: Policy, now: dt.datetime) -> None:
    names = kept(dumps, policy, now)
    assert kept([one for one in dumps if one.name in names], policy, now) == names


@run
@given(dumps=HISTORIES, policy=POLICIES, now=MOMENTS, later=st.integers(0, 10_000))
def test_what_goes_today_would_go_tomorrow(dumps: list[Stored], policy: Policy, now: dt.datetime, later: int) -> None:
    assert kept(dumps, policy, now + later * HOUR) <= kept(dumps, policy, now)


@run
@given(
    dumps=HISTORIES,
    policy=POLICIES,
    now=MOMENTS,
    more=st.lists(st.tuples(st.integers(1, 5000), st.booleans(), st.booleans()), max_size=12),
)
def test_new_dumps_bring_none_back(
    dumps: list[Stored], policy: Policy, now: dt.datetime, more: list[tuple[int, bool, bool]]
) -> None:
    names = kept(dumps, policy, now)
    newer = {
        NOW + hours * HOUR: dump(NOW + hours * HOUR, signed=signed, verified=verified, database="a")
        for hours, signed, verified in more
    }
    after = kept([*dumps, *newer.values()], policy, now)
    assert after & {one.name for one in dumps} <= names


@run
@given(
    dumps=HISTORIES, policy=POLICIES, now=MOMENTS, field=st.sampled_from([f.name for f in dataclasses.fields(Policy)])
)
def test_a_larger_number_keeps_more(dumps: list[Stored], policy: Policy, now: dt.datetime, field: str) -> None:
    larger = dataclasses.replace(policy, **{field: getattr(policy, field) + 1})
    assert kept(dumps, policy, now) <= kept(dumps, larger, now)
