"""Records are written always the same, and read as they were written; the report hides nothing and runs nothing."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import records, yamls
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.records import (
    AfterAction,
    Answered,
    Rehearsal,
    Save,
    Signed,
    StepDone,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.report import report
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import (
    GOOD,
    after,
    digest,
    read,
    rehearsal,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

WORDS = st.text(max_size=30)
STEPS = st.builds(
    StepDone,
    id=WORDS,
    why=WORDS,
    sql=WORDS,
    expected=WORDS,
    milliseconds=st.integers(0, 10**9),
    rows=st.none() | st.integers(0, 10**9),
    saved=st.none() | st.integers(0, 10**9),
    locks=st.lists(WORDS, max_size=2).map(tuple),
    saves=st.lists(st.builds(Save, schema=WORDS, table=WORDS, query=WORDS), max_size=2).map(tuple),
    problem=WORDS,
)
ANSWERS = st.builds(
    Answered,
    id=WORDS,
    query=WORDS,
    expected_before=WORDS,
    before=st.none() | WORDS,
    expected_after=WORDS,
    after=st.none() | WORDS,
    met=st.booleans(),
)


def lists(of: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(of, max_size=2).map(tuple)


# How fast records are made says nothing of them, and a busy machine is no failure.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@unhurried
@given(st.builds(rehearsal, steps=lists(STEPS), assess=lists(ANSWERS), problem=WORDS, rehearsed_by=WORDS))
def test_a_rehearsal_is_read_as_it_was_written(record):
    assert Rehearsal.read(yamls.load(record.text().encode(), "rehearsal.yml")) == record


@unhurried
@given(st.builds(after, steps=lists(STEPS), invariants=lists(ANSWERS), reason=WORDS, problem=WORDS, learned=WORDS))
def test_an_after_action_record_is_read_as_it_was_written(record):
    text = record.text()
    assert AfterAction.read(yamls.load(text.encode(), "after.yml")) == record
    assert text == record.text()
    assert report(record) == report(record)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("version: 1", "version: 2", "version 2"),
        ('outcome: "committed"', 'outcome: "done"', "none of committed, rolled back, not started, unknown"),
        ('outcome: "committed"', "outcome: 1", "is not of type str"),
        ('outcome: "committed"\n', "", "lacks outcome"),
        ('outcome: "committed"', 'outcome: "committed"\nmore: 1', "not known here: more"),
        (digest("d"), "d", "dump_sha256 in rehearsal.yml is not a SHA-256"),
        ("2026-11-23T08:00:00Z", "today", "rehearsed in rehearsal.yml is not a time"),
        ("taaraxtak_2026-11-23-03.00.00.sql.zst", "x.sql", "is not the name of a dump"),
        ("    rows: 12", '    rows: "12"', "rows in steps in rehearsal.yml is not of type int"),
        ("    rows: 12", "    rows: true", "is not of type int"),
        ("steps:\n", "steps: 1\nsteps_:\n", "not known here: steps_"),
    ],
)
def test_a_record_that_is_none_is_refused(old, new, problem):
    text = rehearsal().text()
    assert old in text
    with pytest.raises(ValueError, match=problem):
        Rehearsal.read(yamls.load(text.replace(old, new).encode(), "rehearsal.yml"))


def signed(plan_text: str = GOOD, **changes) -> bytes:
    found = rehearsal(**changes)
    return Signed.of(read(plan_text), plan_text.encode(), found, found.text().encode()).message


@pytest.mark.parametrize("number", range(1, GOOD.count("\n")))
def test_an_edit_of_any_line_of_the_plan_is_another_thing_to_sign(number):
    lines = GOOD.splitlines(keepends=True)
    lines[number] = (
        lines[number].replace("\n", " # edited\n") if "|" not in lines[number] else lines[number].replace("|", "|-")
    )
    found = rehearsal()
    assert Signed.of(read(), "".join(lines).encode(), found, found.text().encode()).message != signed()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("incident", "2026-11-22-x"), ("host", "other"), ("database", "other"), ("expires", "2027-01-01T00:00:00Z"),
        ("plan_sha256", digest("0")), ("rehearsal_sha256", digest("0")), ("dump", "x"), ("max_dump_age", 1),
    ],
)  # fmt: skip
def test_whatever_is_agreed_is_signed(field, value):
    found = rehearsal()
    what = Signed.of(read(), GOOD.encode(), found, found.text().encode())
    assert dataclasses.replace(what, **{field: value}).message != what.message
    assert {one.name for one in dataclasses.fields(Signed)} == {
        *("incident", "host", "database", "expires", "plan_sha256", "rehearsal_sha256", "dump", "max_dump_age")
    }


def test_the_namespace_is_signed_too():
    assert b'"namespace":"taaraxtak-incident"' in signed()
    assert records.NAMESPACE != "taaraxtak-dump"


def test_the_report_says_what_was_expected_and_what_happened():
    text = report(after())
    assert text.startswith("# 2026-11-22-duplicate-rows: committed\n")
    for said in (
        "12 | 12 | 12 | 7 ms",
        "as expected",
        "carried out by | dba",
        "approved by | alice",
        "4711",
        "0/1A2B3C",
    ):
        assert said in text, said
    assert text.count("*Not written yet.*") == 3
    assert "DELETE FROM public.provider_marketshare AS a\nUSING" in text


def test_a_report_of_a_failure_says_so_first():
    wrong = dataclasses.replace(after().assess[0], after="1", met=False)
    text = report(after(outcome="rolled back", reason="duplicates answered 1", assess=(wrong,)))
    assert text.splitlines()[0].endswith(": rolled back")
    assert "**Why:** duplicates answered 1" in text
    assert "| 0 | 1 | **not as expected** |" in text
    assert "settled by hand" in report(after(outcome="unknown"))
    assert "Not started: nothing was changed." in report(after(outcome="not started", steps=(), approved_by=""))


@pytest.mark.parametrize("text", ["a | b", "a\n\n# b", "<script>x</script>", "![x](http://x)", "`` ` ``", "a\\|b"])
def test_no_word_of_an_incident_changes_the_report(text):
    """As many rows, headings and cells as with a plain word, and nothing that is a tag or link."""
    step = dataclasses.replace(after().steps[0], why=text, problem=text)
    plain = dataclasses.replace(after().steps[0], why="word", problem="word")
    made = report(after(problem=text, cause=text, reason=text, carried_out_by=text, learned=text, steps=(step,)))
    same = report(after(problem="w", cause="w", reason="w", carried_out_by="w", learned="w", steps=(plain,)))
    headings = [line for line in made.splitlines() if line.startswith("#")]
    assert headings == [line for line in same.splitlines() if line.startswith("#")]
    assert made.count("\n|") == same.count("\n|")
    assert "<script" not in made
    table = [line for line in made.splitlines() if line.startswith("| ")]
    assert [line.replace("\\|", "").count("|") for line in table] == [
        line.count("|") for line in same.splitlines() if line.startswith("| ")
    ]


def test_no_statement_leaves_its_block():
    step = dataclasses.replace(after().steps[0], sql="SELECT '\n```\n# x\n````\n'")
    assert "`````sql\nSELECT" in report(after(steps=(step,)))
