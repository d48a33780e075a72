"""The policy's grammar: what is accepted means what it says, and every problem is said with its key."""

from __future__ import annotations

import copy
import datetime as dt
from pathlib import Path

import pytest
import yaml
from ansible_collections.taaraxtak.production.plugins.filter.policy_problems import FilterModule
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.assertions import ASSERTION_KEYS
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.grants import GRANT_KEYS, ON_KEYS
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.model import Pattern
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import (
    MODES,
    POLICY_KEYS,
    SCOPE_KEYS,
    parse,
    problems,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.roles import (
    HOST_KEYS,
    MEMBER_KEYS,
    ROLE_KEYS,
)
from ansible_collections.taaraxtak.production.tests.unit.access.policies import (
    CONTRADICTORY,
    GOOD,
    MISSHAPEN,
    WHOLE,
    changed,
    grant,
)
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[3]
WORDS = [*POLICY_KEYS, *SCOPE_KEYS, *ROLE_KEYS, *MEMBER_KEYS, *HOST_KEYS, *GRANT_KEYS, *ON_KEYS, *ASSERTION_KEYS, "x"]


def test_the_inventory_s_own_policy_is_good():
    file = ROOT / "inventory" / "production" / "group_vars" / "production_hosts" / "access_policy.yml"
    policy = parse(yaml.safe_load(file.read_text(encoding="utf-8"))["access_policy"])
    assert policy.authoritative
    assert policy.revoke_connect
    assert policy.roles["dba"].login
    assert not policy.roles["dba"].inherit
    assert not policy.roles["taaraxtak_owner"].login
    assert [grant.kind for grant in policy.grants].count("tables") == 3
    assert len(policy.assertions) == 4


@pytest.mark.parametrize(("path", "value", "problem"), MISSHAPEN + CONTRADICTORY)
def test_a_problem_is_said_with_its_key(path, value, problem):
    found = problems(changed(path, value))
    assert any(problem in one for one in found), found
    with pytest.raises(ValueError, match="the access policy has problems"):
        parse(changed(path, value))


def test_all_problems_are_said_at_once():
    data = changed("version", 2)
    data["roles"]["reader"]["login"] = "no"
    data["grants"][0]["to"] = "nobody"
    assert len(problems(data)) == 3


@pytest.mark.parametrize("data", [None, [], "policy", 1, {}])
def test_what_is_no_policy_is_refused(data):
    assert problems(data)


def test_the_filter_is_the_same_function():
    assert FilterModule().filters()["policy_problems"](GOOD) == []
    assert FilterModule().filters()["policy_problems"](changed("version", 2)) == problems(changed("version", 2))


@pytest.mark.parametrize("key", [True, "true", "True"])
def test_a_bare_on_is_the_key_on(key):
    data = copy.deepcopy(GOOD)
    data["grants"][0][key] = data["grants"][0].pop("on")
    assert parse(data) == parse(GOOD)


def test_words_are_read_in_both_cases_and_temp_is_temporary():
    data = changed("grants.0", grant(on={"database": "app"}, privileges=["connect", "TEMP", "temporary"]))
    assert parse(data).grants[0].privileges == {"CONNECT", "TEMPORARY"}


def test_public_may_be_granted_to_and_needs_no_definition():
    assert parse(changed("grants.0", grant(to="public"))).grants[0].to == ("public",)


@pytest.mark.parametrize("day", ["2027-01-31", dt.date(2027, 1, 31)])
def test_an_exception_may_expire(day):
    data = changed("assertions.0.allow", [{"role": "postgres", "reason": "break-glass", "expires": day}])
    assert parse(data).assertions[0].allow[0].expires == dt.date(2027, 1, 31)


def test_the_mode_can_be_given_from_outside():
    for mode in MODES:
        assert parse(GOOD, mode).mode == mode
    assert parse(GOOD).mode == "authoritative"


def test_every_key_of_a_policy_is_read():
    policy = parse(WHOLE)
    assert (policy.mode, policy.authoritative, policy.public) == ("adopt", False, False)
    assert policy.databases == ("app", "Other.db")
    assert policy.schemas == ("public", "app_*", 'We "ird')
    assert (policy.ignore_roles, policy.ignore_schemas) == (("rds*", "monitor"), ("app_tmp*",))
    assert policy.unlisted_roles == "disable"
    assert policy.owners == {"public": "owner", "app_*": "pg_database_owner"}
    assert policy.database_owners == {"app": "owner", "Other.db": "postgres"}
    assert policy.database_settings == {"*": {"log_statement": ("ddl",)}, "app": {"search_path": ("public",)}}
    assert policy.revoke_connect
    assert policy.revoke_execute == (
        Pattern("pg_catalog", "lo_*"),
        Pattern("pg_catalog", "pg_sleep", "double precision"),
    )
    assert len(policy.grants) == len(WHOLE["grants"])
    assert len(policy.default_privileges) == len(WHOLE["default_privileges"])
    assert [assertion.id for assertion in policy.assertions] == ["a", "b", "c"]
    assert policy.assertions[0].deleters == ()
    assert policy.assertions[0].readers == ("reader",)
    assert policy.assertions[1].may_not == ("write", "temp")


def test_what_is_not_said_is_left_alone():
    policy = parse(GOOD)
    assert policy.public
    assert policy.unlisted_roles == "leave"
    assert not policy.revoke_connect
    assert policy.revoke_execute == policy.ignore_roles == policy.ignore_schemas == policy.default_privileges == ()
    assert policy.database_owners == policy.database_settings == {}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
        max_leaves=12,
    ),
    st.sampled_from(POLICY_KEYS),
)
def test_whatever_is_written_is_answered_with_sentences_and_no_crash(value, key):
    for sentence in problems({**GOOD, key: value}):
        assert ": " in sentence
