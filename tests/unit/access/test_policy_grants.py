"""Grants and default privileges as they are written: patterns, the scope that holds them, and what each key means."""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.model import (
    DefaultGrant,
    Grant,
    Pattern,
    like,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.patterns import (
    PolicyFields,
    covered,
    written,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse, problems
from ansible_collections.taaraxtak.production.tests.unit.access.policies import WHOLE, changed, default, grant, on
from hypothesis import example, given
from hypothesis import strategies as st

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


def read(written: object) -> Grant:
    return parse(changed("grants.0", written)).grants[0]


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("public.t", Pattern("public", "t")),
        ("public.*", Pattern("public", "*")),
        ("app_*.a*b", Pattern("app_*", "a*b")),
        ({"schema": "public", "name": 'a."b'}, Pattern("public", 'a."b')),
        ("public.f(integer)", Pattern("public", "f(integer)")),
        ("public.Grüße mir", Pattern("public", "Grüße mir")),
    ],
)
def test_a_table_is_named_by_schema_and_name(text, pattern):
    assert read(grant(on={"tables": text})).patterns == (pattern,)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("public.f", Pattern("public", "f")),
        ("public.f()", Pattern("public", "f", "")),
        ("public.f( integer, text )", Pattern("public", "f", "integer, text")),
        ("public.f*(a numeric(3,1), VARIADIC b s.t[])", Pattern("public", "f*", "a numeric(3,1), VARIADIC b s.t[]")),
        ('public.f("My type")', Pattern("public", "f", '"My type"')),
        ({"schema": "public", "name": "f(x)"}, Pattern("public", "f(x)")),
        ({"schema": "public", "name": "f(x)", "arguments": "text"}, Pattern("public", "f(x)", "text")),
        ("pg_catalog.pg_read_file(text)", Pattern("pg_catalog", "pg_read_file", "text")),
        ("pg_catalog.pg_ls_*", Pattern("pg_catalog", "pg_ls_*")),
    ],
)
def test_a_routine_may_be_named_with_its_arguments(text, pattern):
    assert read(on("routines", text, "execute")).patterns == (pattern,)
    execute = changed("public", {"revoke_execute": text})
    assert parse(execute).revoke_execute == (pattern,)


@given(st.builds(Pattern, NAMES, NAMES, st.none() | st.just("") | NAMES.map(str.strip)))
@example(Pattern("s", "f(x)"))
@example(Pattern("s", "f)", "x"))
@example(Pattern('"', "."))
@example(Pattern("s", "f", "integer, text"))
def test_a_pattern_that_is_written_reads_back_as_itself(pattern):
    kinds = [True] if pattern.arguments is not None else [True, False]
    for routines in kinds:
        fields = PolicyFields()
        assert fields.pattern("x", written(pattern), routines=routines) == pattern
        assert fields.problems == []


def test_what_can_be_read_as_text_is_written_as_text():
    assert written(Pattern("app_*", "t*")) == "app_*.t*"
    assert written(Pattern("public", "f", "integer, text")) == "public.f(integer, text)"
    assert written(Pattern("public", "a.b")) == {"schema": "public", "name": "a.b"}


@given(st.text("ab*", max_size=5), st.text("ab*", max_size=5), st.text("abc", max_size=4))
def test_a_pattern_that_is_covered_means_nothing_beyond(wide, narrow, name):
    if covered([wide], narrow) and like(narrow, name):
        assert like(wide, name)


@pytest.mark.parametrize(
    ("schemas", "pattern", "good"),
    [
        (["public"], "public.t", True),
        (["app_*"], "app_1.t", True),
        (["app_*"], "app_*.t", True),
        (["app_*"], "app_x*.t", True),
        (["app_*"], "app*.t", False),
        (["app_*"], "app.t", False),
        (["*"], "*.t", True),
        (["*"], "other.t", True),
        (["*"], "pg_toast.t", False),
        (["*"], "tmp.t", False),
        (["a.b"], {"schema": "a.b", "name": "t"}, True),
    ],
)
def test_the_scope_has_to_hold_all_that_a_grant_can_mean(schemas, pattern, good):
    data = changed("scope.schemas", schemas, changed("owners", {}, changed("assertions", [])))
    data["ignore"] = {"schemas": ["tmp"]}
    assert (problems(changed("grants.0", grant(on={"tables": pattern}), data)) == []) == good


def test_a_schema_that_is_ignored_is_out_of_scope_though_a_pattern_holds_it():
    data = changed("ignore", {"schemas": ["app_tmp*"]})
    policy = parse(data)
    assert policy.in_scope("app_1")
    assert not policy.in_scope("app_tmp1")
    for path, value in (
        ("owners", {"public": "owner", "app_tmp1": "owner"}),
        ("grants.0", on("schema", "app_tmp*", "usage")),
    ):
        (problem,) = problems(changed(path, value, data))
        assert "is left to others by ignore.schemas: leave one of both out" in problem


@pytest.mark.parametrize("kind", ["tables", "sequences", "routines", "types"])
def test_what_will_be_made_is_granted_where_all_its_schemas_have_an_owner(kind):
    privilege = {"tables": "select", "routines": "execute"}.get(kind, "usage")
    data = changed("owners", {"app_*": "owner", "public": "owner"})
    for pattern in ("public.*", "app_*.*", "app_1.*"):
        assert parse(changed("grants.0", on(kind, pattern, privilege, future=True), data)).grants[0].future
    data["owners"] = {"app_1": "owner"}
    assert "grants[0].future: who will make them? Write the owner of app_* under owners" in problems(
        changed("grants.0", on(kind, "app_*.*", privilege, future=True), data)
    )


def test_columns_are_names_and_a_grant_option_is_said():
    columns = read(grant(on={"tables": "public.*", "columns": ["a.b", "A"]}, grant_option=True))
    assert columns.columns == ("a.b", "A")
    assert columns.grant_option
    assert read(grant(on={"tables": "public.*", "columns": "id"})).columns == ("id",)
    assert not read(grant()).grant_option


@pytest.mark.parametrize(
    ("kind", "value", "privilege", "names"),
    [
        ("database", ["app", "a*"], "connect", ("app", "a*")),
        ("schema", ["public", "app_x*"], "usage", ("public", "app_x*")),
        ("languages", "*", "usage", ("*",)),
        ("foreign_data_wrappers", 'w."x', "usage", ('w."x',)),
        ("foreign_servers", ["A", "b"], "usage", ("A", "b")),
        ("large_objects", [16401, "16402", 16402, 2**32 - 1], "select", ("16401", "16402", "4294967295")),
        ("large_objects", "*", "update", ("*",)),
        ("parameters", ["Work_Mem", "work_mem", "My.*"], "set", ("work_mem", "my.*")),
        ("tablespaces", "pg_default", "create", ("pg_default",)),
    ],
)
def test_what_lies_in_no_schema_is_named_by_name(kind, value, privilege, names):
    grant = read(on(kind, value, privilege))
    assert (grant.kind, grant.names, grant.patterns) == (kind, names, ())
    assert grant.privileges == {privilege.upper()}


def test_a_grant_may_hold_in_some_databases_alone():
    data = changed("scope.databases", ["app", "b.C"])
    assert parse(changed("grants.0", grant(databases="b.C"), data)).grants[0].databases == ("b.C",)
    assert read(grant()).databases == ()


def test_alter_system_is_a_privilege_of_two_words():
    assert read(on("parameters", "work_mem", "ALTER SYSTEM")).privileges == {"ALTER SYSTEM"}


def test_default_privileges_may_be_written_out():
    assert parse(WHOLE).default_privileges == (
        DefaultGrant("postgres", "tables", ("reader",), frozenset({"SELECT"})),
        DefaultGrant(
            "owner", "routines", ("public", "reader"), frozenset({"EXECUTE"}), schema="public", databases=("app",)
        ),
        DefaultGrant("owner", "schema", ("reader",), frozenset({"USAGE"}), grant_option=True),
    )
    for schema in ("app_1", "app_x*"):
        assert parse(changed("default_privileges", default(schema=schema))).default_privileges[0].schema == schema


@pytest.mark.parametrize("key", [True, "true", "True"])
def test_a_bare_on_is_the_key_on_of_default_privileges_too(key):
    bare: dict[t.Any, object] = {"creator": "owner", key: "tables", "to": "reader", "privileges": "select"}
    assert parse(changed("default_privileges", [bare])) == parse(
        changed("default_privileges", default(privileges="select"))
    )


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
    assert Pattern(pattern, "t").matches(name, "t") == matches(pattern, name)
    assert not Pattern("s", pattern).matches("other", name)


def test_every_problem_of_a_grant_names_where_it_is():
    data = changed("grants.0", {"to": "x", "on": {"tables": "y.z", "except": "q"}, "privileges": "fly", "future": 1})
    found = problems(data)
    assert len(found) == 5
    assert all(re.match(r"grants\[0\]\.(to|on\.tables|on\.except|privileges|future): ", one) for one in found)
