"""The JSON schema of before.yml for editors and the plan's reader: the same keys, the same judgement."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy import fields
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import expected, plan, yamls
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.written import Written
from ansible_collections.taaraxtak.production.tests.contract.mutations import changed_anywhere
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import GOOD
from ansible_collections.taaraxtak.production.tests.unit.actions.plans import CONTRADICTORY, MISSHAPEN, WHOLE
from hypothesis import given
from hypothesis import settings as run
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "docs" / "incident.schema.json"
SCHEMA: dict[str, t.Any] = json.loads(PATH.read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
PARTS = SCHEMA["$defs"]


def data_of(text: str) -> t.Any:
    return yamls.load(text.encode(), plan.FILE).data


def complaints(data: object) -> list[str]:
    """What the schema has against a plan."""
    return [error.message for error in VALIDATOR.iter_errors(data)]


def test_the_schema_is_one_and_every_reference_leads_somewhere():
    Draft202012Validator.check_schema(SCHEMA)
    assert set(re.findall(r'"#/\$defs/(\w+)"', PATH.read_text(encoding="utf-8"))) == set(PARTS)


@pytest.mark.parametrize("text", [GOOD, WHOLE], ids=["good", "whole"])
def test_good_plans_are_good_to_both(text):
    assert complaints(data_of(text)) == []
    assert plan.problems(yamls.load(text.encode(), plan.FILE)) == []


@pytest.mark.parametrize(("old", "new", "_line", "problem"), MISSHAPEN)
def test_a_misshapen_plan_is_bad_to_both(old, new, _line, problem):
    assert complaints(data_of(WHOLE.replace(old, new, 1))), problem


@pytest.mark.parametrize(("old", "new", "_line", "problem"), CONTRADICTORY)
def test_what_no_schema_can_judge_is_bad_to_the_reader_alone(old, new, _line, problem):
    assert complaints(data_of(WHOLE.replace(old, new, 1))) == [], problem


@pytest.mark.parametrize(
    ("part", "keys", "required"),
    [
        ("plan", plan.PLAN_KEYS, plan.REQUIRED),
        ("step", plan.STEP_KEYS, ("id", "why", "sql")),
        ("assessment", plan.ASSESSMENT_KEYS, ("id", "query", "before", "after")),
        ("invariant", plan.INVARIANT_KEYS, ("id", "query")),
        ("rows", plan.ROWS_KEYS, plan.ROWS_KEYS),
    ],
)
def test_the_keys_of_both_are_the_same(part, keys, required):
    assert set(PARTS[part]["properties"]) == set(keys)
    assert set(PARTS[part]["required"]) == set(required)
    assert PARTS[part]["additionalProperties"] is False


def test_every_mapping_of_the_schema_is_held_against_the_reader():
    (parametrize,) = [mark for mark in test_the_keys_of_both_are_the_same.pytestmark if mark.name == "parametrize"]
    assert {one[0] for one in parametrize.args[1]} == {name for name in PARTS if "properties" in PARTS[name]}


def test_the_patterns_and_limits_of_both_are_the_same():
    properties, step = PARTS["plan"]["properties"], PARTS["step"]["properties"]
    assert properties["incident"]["pattern"] == f"^{plan.INCIDENT}$"
    assert properties["incident"]["maxLength"] == PARTS["id"]["maxLength"] == plan.INCIDENT_LENGTH
    assert properties["host"]["pattern"] == f"^{plan.HOST}$"
    assert properties["database"]["maxLength"] == fields.NAME_BYTES
    assert PARTS["id"]["pattern"] == f"^{plan.ID}$"
    assert step["cascades"]["items"]["pattern"] == f"^{plan.TABLE}$".replace('\\"', '"')
    assert PARTS["functions"]["items"]["pattern"] == f"^{plan.FUNCTION}$"
    assert PARTS["count"]["maximum"] == plan.MOST_ROWS
    assert PARTS["sql"]["maxLength"] == plan.MOST_SQL
    assert PARTS["answer"]["anyOf"][1]["maxItems"] == expected.MOST_LINES
    for key, longest in (
        ("lock_timeout", plan.LONGEST_LOCK),
        ("statement_timeout", plan.LONGEST_STATEMENT),
        ("max_dump_age", plan.OLDEST_DUMP),
    ):
        assert properties[key]["description"].endswith(f"at most {longest}.")


ODD = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1, 2**33, "", " ", "a", "a.b", "a.b.c", "5s", "0s", "1h", "2026-11-22T14:00:00Z"),
        *([], {}, [[]], [{}], ["a"], ["a.b"], [1], [[1]], [[1], [None]], {"min": 0, "max": 1}, {"min": 0}, {"x": 1}),
        *("x" * 81, "2026-11-22-x", "SELECT 1", "a\nb", "-x", "A"),
    ]
)
KEYS = st.sampled_from(sorted({key for part in PARTS.values() for key in part.get("properties", {})} | {"x"}))


@run(max_examples=300, deadline=None)
@given(st.data())
def test_what_is_good_to_the_reader_is_good_to_the_schema(data):
    """A whole plan with one to three changes anywhere: put, taken out, or added."""
    read = changed_anywhere(data, data_of(WHOLE), ODD, KEYS)
    found = complaints(read)
    if found:
        assert plan.problems(Written(read, {})), found
