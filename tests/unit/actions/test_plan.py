"""before.yml: what is accepted means what it says; what is not is refused with its line."""

from __future__ import annotations

import datetime as dt
import decimal
import json

import pytest
import yaml
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import plan, yamls
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.expected import Expected, same, shown
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.plan import FILE, Rows
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.written import (
    LinedFields,
    duration_text,
    milliseconds,
)
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import GOOD, read
from ansible_collections.taaraxtak.production.tests.unit.actions.plans import CONTRADICTORY, MISSHAPEN, UNPLAIN, WHOLE
from hypothesis import given
from hypothesis import strategies as st


def refused(text: str) -> str:
    """What the reader says against *text*."""
    with pytest.raises(ValueError, match=r"^before\.yml") as said:
        read(text)
    return str(said.value)


def test_a_good_plan_is_read_whole():
    found = read()
    assert found.incident == "2026-11-22-duplicate-rows"
    assert found.steps[0].rows == Rows(12, 12)
    assert found.steps[0].sql.count("\n") == 3
    assert found.assess[0].before == Expected(((12,),))
    assert found.expires == dt.datetime(2026, 11, 24, 14, tzinfo=dt.UTC)
    assert (found.lock_timeout, found.statement_timeout, found.max_dump_age) == (5000, 60_000, 86_400_000)


def test_a_plan_with_everything_is_read():
    found = read(WHOLE)
    assert found.steps[0].rows == Rows(0, 9)
    assert found.steps[0].cascades == ("public.child",)
    assert found.steps[0].triggers == ("public.t.audit",)
    assert found.steps[0].functions == ("public.f",)
    assert found.steps[1].rows is None
    assert found.steps[1].allow_ddl
    assert found.assess[0].before == Expected(
        (("a", 1, decimal.Decimal("1.50"), True, None), ("b", 2, 2, False, "null"))
    )
    assert found.assess[0].after == Expected(())
    assert found.break_glass


@pytest.mark.parametrize(("old", "new", "line", "problem"), MISSHAPEN + CONTRADICTORY)
def test_a_problem_is_said_with_its_line(old, new, line, problem):
    assert old in WHOLE
    said = refused(WHOLE.replace(old, new, 1))
    assert any(one.startswith(f"- line {line}: ") and problem in one for one in said.splitlines()), said


@pytest.mark.parametrize(("text", "line", "problem"), UNPLAIN)
def test_yaml_that_is_not_plain_is_refused_with_its_line(text, line, problem):
    said = refused(text)
    assert problem in said
    assert f"line {line}: " in said


def test_all_problems_are_said_at_once():
    said = refused(GOOD.replace("expect_rows: 12", "expect_rowz: 12").replace("max_rows: 12", "max_rows: -1"))
    assert said.count("\n- line ") == 3


def test_a_bomb_of_aliases_is_refused_before_it_grows():
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(24)
    )
    assert "line 1: an alias or anchor stands here" in refused(bomb)


def test_deep_nesting_and_great_size_are_sentences():
    assert "nested too deeply" in refused("[" * 5000)
    assert "nested too deeply" in refused("".join(" " * n + "a:\n" for n in range(300)) + " " * 300 + "b: 1")
    assert "larger than 256 KiB" in refused("#" * 300_000)


def test_what_is_not_utf_8_is_refused_with_its_line():
    with pytest.raises(ValueError, match=r"^before\.yml, line 2: this is not UTF-8$"):
        yamls.load(b"a: 1\nb: \xff\n", FILE)


def as_pyyaml_reads(value: object) -> object:
    """What YAML 1.1 made of a text, undone; Decimals as floats."""
    if isinstance(value, dict):
        return {key: as_pyyaml_reads(content) for key, content in value.items()}
    if isinstance(value, list):
        return [as_pyyaml_reads(item) for item in value]
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, decimal.Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, dt.date) else value


@pytest.mark.parametrize("text", [GOOD, WHOLE], ids=["good", "whole"])
def test_what_is_read_is_what_every_other_reader_of_yaml_reads(text):
    assert as_pyyaml_reads(yamls.load(text.encode(), FILE).data) == as_pyyaml_reads(yaml.safe_load(text))


DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.text("ab: #-'\"\\\n\t{}[]&*!|>%@`é€😀 yesno0159.,", max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(DATA)
def test_data_that_is_written_as_json_is_read_as_it_was(data):
    assert yamls.load(json.dumps(data, ensure_ascii=False).encode(), FILE).data == data


@given(st.binary(max_size=300) | st.text("ab: -[]{}&*!|>'\"#%@\n\t~0.", max_size=80).map(str.encode))
def test_whatever_the_file_holds_it_is_data_or_a_sentence_that_names_it(content):
    problem = ""
    try:
        found = yamls.load(content, FILE)
    except ValueError as error:
        problem = str(error)
    if problem:
        assert problem.startswith(FILE)
        return
    plan.problems(found)
    # No other reader of YAML understands it differently.
    assert as_pyyaml_reads(found.data) == as_pyyaml_reads(yaml.safe_load(content.decode()))


@given(st.integers(0, GOOD.count("\n") - 1))
def test_a_plan_without_one_of_its_lines_is_refused_or_means_less(number):
    lines = GOOD.splitlines(keepends=True)
    del lines[number]
    problem, found = "", None
    try:
        found = read("".join(lines))
    except ValueError as error:
        problem = str(error)
    assert problem.startswith(FILE) if problem else found != read()


def test_lines_are_those_of_the_keys():
    written = yamls.load(GOOD.encode(), FILE)
    for where, line in written.lines.items():
        key = where.rpartition(".")[2]
        text = GOOD.splitlines()[line - 1]
        assert text.strip().removeprefix("- ").startswith(f"{key}:") or (key.endswith("]") and "- " in text)


def test_a_line_that_is_not_known_is_that_of_what_it_would_be_in():
    read_fields = LinedFields({"steps": 3, "steps[0]": 4, "steps[0].sql": 5})
    read_fields.say("steps[0].expect_rows.min", "x")
    read_fields.say("steps[1]", "x")
    read_fields.say("nothing", "x")
    assert [one.partition(":")[0] for one in read_fields.problems] == ["line 4", "line 3", "line 1"]


@pytest.mark.parametrize(
    ("wanted", "found", "is_same"),
    [
        (1, 1, True), (1, decimal.Decimal("1.0"), True), (1, 1.0, True), (1, "1", False), (1, True, False),
        (True, True, True), (True, 1, False), (False, 0, False), (False, None, False), (None, None, True),
        (None, 0, False), (None, "", False), ("", None, False), ("1", 1, False), ("a", "a", True), ("a", "A", False),
        (decimal.Decimal("0.1"), 0.1, True), (decimal.Decimal("0.10"), decimal.Decimal("0.1"), True),
        ("2026-11-22", dt.date(2026, 11, 22), True), (0, 0.0000001, False), (1, float("nan"), False),
    ],
)  # fmt: skip
def test_a_value_is_the_same_or_it_is_not(wanted, found, is_same):
    assert same(wanted, found) is is_same


def test_an_answer_is_as_expected_row_by_row():
    expected = Expected((("a", 1), ("b", 2)))
    assert expected.met_by([("a", 1), ("b", 2)])
    assert not expected.met_by([("b", 2), ("a", 1)])
    assert not expected.met_by([("a", 1)])
    assert not expected.met_by([("a", 1), ("b", 2), ("b", 2)])
    assert not expected.met_by([("a", 1, 1), ("b", 2, 2)])
    assert Expected(()).met_by([])
    assert not Expected(()).met_by([(None,)])
    assert not Expected(((0,),)).met_by([])
    assert str(expected) == "(a, 1); (b, 2)"
    assert shown([[True]]) == "true"
    assert shown([[None]]) == "NULL"
    assert shown([]) == "no rows"


@given(st.integers(1, 10**9))
def test_a_duration_is_read_as_it_was_written(length):
    assert milliseconds(duration_text(length)) == length
