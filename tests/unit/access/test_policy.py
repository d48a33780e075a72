"""The policy's grammar: what is accepted means what it says, and every problem is said with its key."""

from __future__ import annotations

import copy
import datetime as dt
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.taaraxtak.production.plugins.filter.policy_problems import FilterModule
from ansible_collections.taaraxtak.production.plugins.module_utils.access.model import Pattern
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy import parse, problems
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[3]
GOOD: dict[str, t.Any] = {
    "version": 1,
    "scope": {"databases": ["app"], "schemas": ["public"]},
    "mode": "authoritative",
    "roles": {"owner": {}, "reader": {"os_users": ["grafana"]}},
    "owners": {"public": "owner"},
    "grants": [{"to": "reader", "on": {"tables": "public.*"}, "privileges": ["select"], "future": True}],
    "assertions": [{"id": "a", "tables": "public.*", "writers": []}],
}


def changed(path: str, value: object) -> dict[str, t.Any]:
    """GOOD with *value* at the dotted *path*; ``...`` takes the key out."""
    data = copy.deepcopy(GOOD)
    at: t.Any = data
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in parents:
        at = at.setdefault(key, {}) if isinstance(at, dict) else at[key]
    if value is ...:
        del at[last]
    elif isinstance(at, list):
        at[last : last + 1] = [value]
    else:
        at[last] = value
    return data


def grant(**keys: object) -> dict[str, object]:
    return {"to": "reader", "on": {"tables": "public.t"}, "privileges": ["select"], **keys}


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


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("version", 2, "version: write 1"),
        ("version", True, "version: write 1"),
        ("scope", ..., "the key scope is missing"),
        ("scope.databases", [], "scope.databases: the list is empty"),
        ("scope.databases", 7, "scope.databases: write a name as text, not 7"),
        ("scope.schemas", ..., "scope: the key schemas is missing"),
        ("scope.schemas", ["pg_catalog"], "pg_catalog is PostgreSQL's own"),
        ("scope.public", "yes", "scope.public: write true or false, not 'yes'"),
        ("mode", "adopt", "mode: write authoritative or additive, not 'adopt'"),
        ("mode", ..., "the key mode is missing"),
        ("roles", {}, "roles: no role is defined, and an empty policy is refused"),
        ("roles", [], "roles: write a mapping"),
        ("role", {}, "the key role is unknown: did you mean roles?"),
        ("roles.public", {}, "roles.public: PostgreSQL reserves this name"),
        ("roles.none", {}, "roles.none: PostgreSQL reserves this name"),
        ("roles.pg_mine", {}, "roles.pg_mine: PostgreSQL reserves this name"),
        ("roles.reader.os_users", "a b", "'a b' is no OS user's name"),
        ("roles.reader.login", False, "can't log in as a role with login: false"),
        ("roles.owner.os_users", ["grafana"], "grafana is already owner: one role for each OS user"),
        ("roles.owner.connection_limit", "5", "roles.owner.connection_limit: write a number"),
        ("roles.owner.connection_limit", True, "roles.owner.connection_limit: write a number"),
        ("roles.owner.connection_limit", -2, "roles.owner.connection_limit: write a number"),
        ("roles.owner.superuser", 1, "roles.owner.superuser: write true or false, not 1"),
        ("roles.owner.password", "x", "roles.owner: the key password is unknown"),
        ("roles.owner.member_of", "writer", "the role writer is not defined: write it under roles"),
        ("roles.owner.member_of", "owner", "the role is a member of itself"),
        ("roles.owner.settings", {"work mem": "1"}, "roles.owner.settings.work mem: this is no setting's name"),
        ("roles.owner.settings", {"work_mem": {}}, "roles.owner.settings.work_mem: write the value as text"),
        ("roles." + "x" * 64, {}, "is longer than 63 bytes"),
        ("roles." + "é" * 32, {}, "is longer than 63 bytes"),
        ("roles.a\nb", {}, "the name has a control character"),
        ("owners", {"public": "nobody"}, "owners.public: the role nobody is not defined"),
        ("owners", {"other": "owner"}, "the schema other is not in scope.schemas"),
        ("owners", {}, "Write the owner of public under owners"),
        ("public", {"revoke_connect": True}, "public.revoke_connect: write all"),
        ("public", {"revoke_execute": ["lo_*"]}, "write 'lo_*' as schema.name"),
        ("public", {"revoke_execute": "pg_catalog.*"}, "would take every operator away"),
        ("grants", {}, "grants: write a list"),
        ("grants.0", "select", "grants[0]: write a mapping with the keys to, on, privileges, future"),
        ("grants.0", grant(to="nobody"), "grants[0].to: the role nobody is not defined"),
        ("grants.0", grant(to=[]), "grants[0].to: the list is empty"),
        ("grants.0", grant(on={}), "grants[0].on: write exactly one of database, schema, tables, sequences"),
        ("grants.0", grant(on={"tables": "public.a", "schema": "public"}), "grants[0].on: write exactly one of"),
        ("grants.0", grant(on={"table": "public.a"}), "the key table is unknown: did you mean tables?"),
        ("grants.0", grant(on={"tables": "t"}), "write 't' as schema.name"),
        ("grants.0", grant(on={"tables": 'public."T"'}), "a name with dots or quotes as {schema: ..., name: ...}"),
        ("grants.0", grant(on={"tables": "a.b.c"}), "a name with dots or quotes as {schema: ..., name: ...}"),
        ("grants.0", grant(on={"tables": "*.t"}), "write '*.t' as schema.name"),
        ("grants.0", grant(on={"tables": [{"schema": "public"}]}), "grants[0].on.tables[0]: the key name is missing"),
        ("grants.0", grant(on={"tables": "other.t"}), "the schema of other.t is not in scope.schemas"),
        (
            "grants.0",
            grant(on={"tables": "public.*", "except": "publc.t"}),
            "grants[0].on.except: the schema of publc.t is not in scope.schemas",
        ),
        ("grants.0", grant(on={"schema": "other"}, privileges="usage"), "other is not in scope.schemas"),
        ("grants.0", grant(on={"database": "other"}, privileges="connect"), "other is not in scope.databases"),
        ("grants.0", grant(privileges="all"), "all says too little: list them; there are select, insert"),
        ("grants.0", grant(privileges=["usage"]), "grants[0].privileges[0]: 'usage' is no privilege on tables"),
        ("grants.0", grant(privileges=[]), "grants[0].privileges: the list is empty"),
        ("grants.0", grant(privileges=[1]), "1 is no privilege on tables"),
        ("grants.0", grant(future=True), "public.t is not a whole schema: write public.*, or no future"),
        ("grants.0", grant(on={"schema": "public"}, privileges="usage", future=True), "are for tables and sequences"),
        (
            "grants.0",
            grant(on={"schema": "public", "except": "public.a"}, privileges="usage"),
            "are for tables and seq",
        ),
        ("assertions.0.id", ..., "assertions[0]: the key id is missing"),
        ("assertions.0.role", "reader", "write either tables"),
        ("assertions.0.writers", ..., "tables go with writers, readers or deleters"),
        ("assertions.0.writers", ["nobody"], "the role nobody is not defined"),
        ("assertions.0", {"id": "x", "role": "reader", "may_not": ["fly"]}, "write write or create or temp"),
        ("assertions.0", {"id": "x", "role": "reader"}, "role goes with may_not"),
        ("assertions.0.allow", [{"role": "dba"}], "assertions[0].allow[0]: the key reason is missing"),
        ("assertions.0.allow", [{"role": "dba", "reason": " "}], "write why, in words"),
        (
            "assertions.0.allow",
            [{"role": "d", "reason": "r", "expires": "soon"}],
            "write a day as 2027-01-31, not 'soon'",
        ),
        ("assertions", GOOD["assertions"] * 2, "the id a is there twice"),
    ],
)
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


def test_words_are_read_in_any_case_and_temp_is_temporary():
    data = changed("grants.0", grant(on={"database": "app"}, privileges=["Connect", "TEMP", "temporary"]))
    assert parse(data).grants[0].privileges == {"CONNECT", "TEMPORARY"}


def test_public_may_be_granted_to_and_needs_no_definition():
    assert parse(changed("grants.0", grant(to="public"))).grants[0].to == ("public",)


@pytest.mark.parametrize("day", ["2027-01-31", dt.date(2027, 1, 31)])
def test_an_exception_may_expire(day):
    data = changed("assertions.0.allow", [{"role": "postgres", "reason": "break-glass", "expires": day}])
    assert parse(data).assertions[0].allow[0].expires == dt.date(2027, 1, 31)


def test_the_mode_can_be_given_from_outside():
    assert parse(GOOD, "additive").mode == "additive"
    assert parse(GOOD).mode == "authoritative"


@pytest.mark.parametrize(
    ("name", "value", "elements"),
    [
        ("statement_timeout", "30s", ("30s",)),
        ("statement_timeout", 30000, ("30000",)),
        ("default_transaction_read_only", True, ("on",)),
        ("search_path", 'a, "B ""c", $user', ("a", 'B "c', "$user")),
        ("search_path", ["a, b"], ("a, b",)),
        ("search_path", "", ("",)),
    ],
)
def test_a_setting_has_the_elements_that_the_server_will_store(name, value, elements):
    policy = parse(changed("roles.reader.settings", {name.upper(): value}))
    assert policy.roles["reader"].settings == {name: elements}


@given(st.text(alphabet="ab*.?[(\\\n", max_size=6), st.text(alphabet="ab.?[(\\\n", max_size=6))
def test_only_the_star_has_a_meaning_in_a_pattern(pattern, name):
    """Against a plain recursive definition of the star."""

    def matches(pattern: str, name: str) -> bool:
        if not pattern:
            return not name
        if pattern[0] == "*":
            return any(matches(pattern[1:], name[start:]) for start in range(len(name) + 1))
        return bool(name) and name[0] == pattern[0] and matches(pattern[1:], name[1:])

    assert Pattern("s", pattern).matches("s", name) == matches(pattern, name)
    assert not Pattern("s", pattern).matches("other", name)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*GOOD, "to", "on", "tables", "privileges", "x"]), inner, max_size=4)
        ),
        max_leaves=12,
    ),
    st.sampled_from([*GOOD, "public"]),
)
def test_whatever_is_written_is_answered_with_sentences_and_no_crash(value, key):
    for sentence in problems({**GOOD, key: value}):
        assert ": " in sentence
