"""The policy's JSON schema for editors and the policy's reader: the same keys, the same words, the same judgement."""

from __future__ import annotations

import datetime as dt
import json
import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy import assertions as policy_assertions
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy import fields, model, settings
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy import grants as policy_grants
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy import patterns as policy_fields
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy import reader as policy
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy import roles as policy_roles
from ansible_collections.taaraxtak.production.tests.contract.mutations import changed_anywhere
from ansible_collections.taaraxtak.production.tests.unit.access.policies import (
    CONTRADICTORY,
    GOOD,
    MISSHAPEN,
    WHOLE,
    changed,
)
from hypothesis import given
from hypothesis import settings as run
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "docs" / "access-policy.schema.json"
INVENTORY = ROOT / "inventory" / "production" / "group_vars" / "production_hosts" / "access_policy.yml"
SCHEMA: dict[str, t.Any] = json.loads(PATH.read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
PARTS = SCHEMA["$defs"]


def as_an_editor_reads(value: object) -> object:
    """What YAML 1.1 made of a text, undone: a day is text, and on is a word."""
    if isinstance(value, dict):
        return {"on" if key is True else key: as_an_editor_reads(content) for key, content in value.items()}
    if isinstance(value, list):
        return [as_an_editor_reads(item) for item in value]
    return value.isoformat() if isinstance(value, dt.date) else value


def complaints(data: object) -> list[str]:
    """What the schema has against the policy *data*."""
    return [error.message for error in VALIDATOR.iter_errors({"access_policy": as_an_editor_reads(data)})]


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)
    assert complaints(None)
    assert list(VALIDATOR.iter_errors({}))


def test_every_part_is_used_and_every_reference_leads_somewhere():
    assert set(re.findall(r'"#/\$defs/(\w+)"', PATH.read_text(encoding="utf-8"))) == set(PARTS)


def test_the_inventory_s_policy_is_good_to_both_and_names_the_schema():
    text = INVENTORY.read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    assert policy.problems(data["access_policy"]) == []
    assert list(VALIDATOR.iter_errors(as_an_editor_reads(data))) == []
    named = re.search(r"^# yaml-language-server: \$schema=(\S+)$", text, re.MULTILINE)
    assert named
    assert (INVENTORY.parent / named[1]).resolve() == PATH


@pytest.mark.parametrize("data", [GOOD, WHOLE], ids=["good", "whole"])
def test_good_policies_are_good_to_both(data):
    assert policy.problems(data) == []
    assert complaints(data) == []


@pytest.mark.parametrize(("path", "value", "problem"), MISSHAPEN)
def test_a_misshapen_policy_is_bad_to_both(path, value, problem):
    assert policy.problems(changed(path, value))
    assert complaints(changed(path, value)), problem


@pytest.mark.parametrize(("path", "value", "problem"), CONTRADICTORY)
def test_what_no_schema_can_judge_is_bad_to_the_reader_alone(path, value, problem):
    assert policy.problems(changed(path, value)), problem
    assert complaints(changed(path, value)) == []


def mapping_of(part: str) -> dict[str, t.Any]:
    """The mapping of *part*, which may also be a single name."""
    found = PARTS[part]
    return found if "properties" in found else next(one for one in found["anyOf"] if "properties" in one)


@pytest.mark.parametrize(
    ("part", "keys"),
    [
        ("policy", policy.POLICY_KEYS),
        ("scope", policy.SCOPE_KEYS),
        ("ignore", policy.IGNORE_KEYS),
        ("public", policy.PUBLIC_KEYS),
        ("role", policy_roles.ROLE_KEYS),
        ("member", policy_roles.MEMBER_KEYS),
        ("host", policy_roles.HOST_KEYS),
        ("grant", policy_grants.GRANT_KEYS),
        ("on", policy_grants.ON_KEYS),
        ("defaultPrivilege", policy_grants.DEFAULT_KEYS),
        ("assertion", policy_assertions.ASSERTION_KEYS),
        ("allowance", policy_assertions.ALLOWANCE_KEYS),
        ("routinePattern", policy_fields.PATTERN_KEYS),
        ("pattern", policy_fields.PATTERN_KEYS[:2]),
    ],
)
def test_the_keys_of_both_are_the_same(part, keys):
    found = mapping_of(part)
    assert set(found["properties"]) == set(keys)
    assert found["additionalProperties"] is False


def test_every_mapping_of_the_schema_is_held_against_the_reader():
    """The test above has a list: this one says when the list is short."""
    mappings = {name for name in PARTS if "properties" in json.dumps(PARTS[name]) and name not in ("settings",)}
    closed = {name for name in mappings if '"additionalProperties": false' in json.dumps(PARTS[name])}
    (parametrize,) = [mark for mark in test_the_keys_of_both_are_the_same.pytestmark if mark.name == "parametrize"]
    assert {part for part, _keys in parametrize.args[1]} == closed == mappings


@pytest.mark.parametrize(
    ("part", "key", "words"),
    [
        ("policy", "mode", policy.MODES),
        ("policy", "unlisted_roles", policy.UNLISTED),
        ("role", "password", policy_roles.PASSWORDS),
        ("host", "method", policy_roles.METHODS),
        ("defaultPrivilege", "on", tuple(model.FUTURE)),
    ],
)
def test_the_words_of_both_are_the_same(part, key, words):
    assert mapping_of(part)["properties"][key]["enum"] == list(words)


def test_what_a_role_may_not_and_which_settings_are_lists_is_the_same():
    assert PARTS["assertion"]["properties"]["may_not"]["anyOf"][0]["enum"] == list(policy_assertions.MAY_NOT)
    assert set(PARTS["settings"]["properties"]) == settings.LISTS
    assert PARTS["name"]["maxLength"] == fields.NAME_BYTES


@pytest.mark.parametrize("part", ["grant", "defaultPrivilege"])
@pytest.mark.parametrize("kind", model.PRIVILEGES)
def test_each_kind_has_the_same_privileges(part, kind):
    """Each privilege that there is, on each kind, in either case."""
    names: dict[str, t.Any] = {"database": "app", "parameters": "work_mem", "large_objects": "*"}
    at = names.get(kind, "public.t" if kind in model.IN_SCHEMAS else "public")
    for word in sorted({word for words in model.PRIVILEGES.values() for word in words} | {"TEMP", "ALL"}):
        for written in (word, word.lower(), word.title()):
            if part == "grant":
                data = changed("grants.0", {"to": "reader", "on": {kind: at}, "privileges": written})
            else:
                one = {"creator": "owner", "on": kind, "to": "reader", "privileges": [written]}
                data = changed("default_privileges", [one])
            assert (complaints(data) == []) == (policy.problems(data) == []), (kind, written)


ODD = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1, 2**33, 1.5, "", " ", "*", "on", "none", "public", "pg_x", "app", "public.t"),
        *("a.b.c", "f(x)", "public.f(x", "public.f(integer)", 'public."t"', "::/0", "10.0.0.1", "keep", "select"),
        *("2027-01-31", "x\n", "information_schema", "owner", "reader", "x" * 64, "all", "tables", "a b"),
        *([], {}, [[]], [{}], ["reader"], ["reader", "public"], [1], {"role": "owner"}, {"address": "::/0"}),
        *({"tables": "public.*"}, {"schema": "public"}, {"schema": "public", "name": "f"}, {"x": 1}),
    ]
)
KEYS = st.sampled_from(
    sorted({key for part in PARTS for key in re.findall(r'"(\w+)": ', json.dumps(PARTS[part]))} | {"x", "pg_x", "a b"})
)


@run(max_examples=200, deadline=None)
@given(st.data())
def test_what_is_good_to_the_reader_is_good_to_the_schema(data):
    """A whole policy with one to three changes anywhere: put, taken out, or added."""
    read = changed_anywhere(data, WHOLE, ODD, KEYS)
    found = complaints(read)
    if found:
        assert policy.problems(read), found


def test_the_manual_names_every_key_and_its_example_is_good():
    text = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    data = yaml.safe_load(example)["access_policy"]
    assert policy.problems(data) == []
    assert complaints(data) == []
    keys = {key for part in PARTS for key in PARTS[part].get("properties", {}) if part != "settings"}
    keys |= {key for part in ("host", "member", "routinePattern") for key in mapping_of(part)["properties"]}
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]+`", text.replace(f"```yaml\n{example}```", "")))))
    assert keys - words == set()
    # A link within the page leads to one of its headings.
    headings = {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.M)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings
