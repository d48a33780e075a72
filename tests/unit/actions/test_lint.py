"""Hostile statements are refused by the rule that is meant for them; honest ones pass."""

from __future__ import annotations

import dataclasses
import json

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import lint, parsing, statements
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.plan import Rows, Step
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import read
from ansible_collections.taaraxtak.production.tests.unit.actions.statements import (
    HONEST,
    HONEST_QUERIES,
    HOSTILE,
    HOSTILE_QUERIES,
)
from hypothesis import given
from hypothesis import strategies as st
from pglast import ast


def rules_of_step(sql: str, flags: dict) -> set[str]:
    step = Step(id="x", why="y", sql=sql, rows=Rows(1, 1), **flags)
    try:
        return {refusal.rule for refusal in lint.check_step(parsing.trees(sql), step)}
    except ValueError:
        return {"syntax"}


def rules_of_query(sql: str, functions: tuple[str, ...]) -> set[str]:
    try:
        return {refusal.rule for refusal in lint.check_query(parsing.trees(sql), functions)}
    except ValueError:
        return {"syntax"}


def test_the_tables_are_as_long_as_promised():
    assert len({sql for _rule, sql, _flags in HOSTILE}) >= 60
    assert len({sql for sql, _flags in HONEST}) >= 40


@pytest.mark.parametrize(("rule", "sql", "flags"), HOSTILE)
def test_a_hostile_statement_is_refused(rule, sql, flags):
    assert rule in rules_of_step(sql, flags)


@pytest.mark.parametrize(("rule", "sql", "functions"), HOSTILE_QUERIES)
def test_a_hostile_query_is_refused(rule, sql, functions):
    assert rule in rules_of_query(sql, functions)


@pytest.mark.parametrize(("sql", "flags"), HONEST)
def test_an_honest_statement_passes(sql, flags):
    assert rules_of_step(sql, flags) == set()


@pytest.mark.parametrize(("sql", "_flags"), HONEST)
def test_the_rows_of_every_honest_change_can_be_saved_first(sql, _flags):
    """And what saves them is itself one query that locks: FOR UPDATE OF names a table without its schema."""
    saved = parsing.saves(sql)
    ((kind, _body),) = parsing.trees(sql)[0].items()
    assert bool(saved) == (kind in ("UpdateStmt", "DeleteStmt", "TruncateStmt"))
    for save in saved:
        refusals = lint.check_query(parsing.trees(save.query), ["public.f"])
        assert {refusal.rule for refusal in refusals} == {"locking", "without-schema"}


@pytest.mark.parametrize(("sql", "functions"), HONEST_QUERIES)
def test_an_honest_query_passes(sql, functions):
    assert rules_of_query(sql, functions) == set()


@pytest.mark.parametrize("flag", ["allow_ddl", "allow_truncate", "allow_without_where"])
@pytest.mark.parametrize(("rule", "sql", "flags"), [one for one in HOSTILE if not one[2]])
def test_no_flag_lets_in_what_it_does_not_name(rule, sql, flags, flag):
    lets_in = {"allow_ddl": {"ddl"}, "allow_truncate": {"truncate"}, "allow_without_where": {"without-where"}}
    if rule not in lets_in[flag]:
        assert rules_of_step(sql, {flag: True})


def test_every_kind_of_statement_that_the_parser_knows_is_judged():
    """A kind that a later parser brings is refused all the same; this test says that it has no sentence of its own."""
    inner = {"PLAssignStmt", "ReturnStmt", "SetOperationStmt", "RawStmt", "ReplicaIdentityStmt"}
    known = {name for name in dir(ast) if name.endswith("Stmt")} - inner
    assert known - set(statements.CHANGES) - set(statements.DDL) - set(statements.REFUSED) == set()


def test_every_rule_of_a_refused_kind_is_attacked():
    attacked = {rule for rule, _sql, _flags in HOSTILE}
    assert {rule for rule, _sentence in statements.REFUSED.values()} <= attacked


def test_an_unknown_kind_of_statement_is_refused():
    step = Step(id="x", why="y", sql="?", rows=None, allow_ddl=True)
    assert [one.rule for one in lint.check_step([{"InventedStmt": {}}], step)] == ["unknown", "needless-flag"]


WORDS = st.sampled_from(
    [
        *(
            "delete from",
            "public.t",
            "where",
            "id = 1",
            ";",
            "commit",
            "(",
            ")",
            "select",
            "'x'",
            "$$",
            "-- ",
            "\n",
            "as",
        ),
        *("/*", "*/", "set", "role", "drop table", "with", "lower", "a.b", "update", "returning", "*", "truncate", ","),
        *("insert into", "values", "null", "a", "true", "from", "using", "limit 1", "for update", "random()"),
    ]
)


@given(st.lists(WORDS, max_size=14))
def test_whatever_is_written_is_judged_and_never_fails(words):
    sql = " ".join(words)
    found = rules_of_step(sql, {})
    if not found:
        ((kind, body),) = parsing.trees(sql)[0].items()
        assert kind in ("InsertStmt", "UpdateStmt", "DeleteStmt")
        assert kind == "InsertStmt" or "ColumnRef" in json.dumps(body["whereClause"])


@given(st.text(max_size=200))
def test_no_text_makes_the_parser_fail_in_another_way(text):
    assert rules_of_step(text, {})


@pytest.mark.parametrize("depth", [300, 2_000, 20_000])
@pytest.mark.parametrize(("before", "after"), [("(", ")"), ("1+", ""), ("NOT ", ""), ("(SELECT 1 WHERE 1 = ", ")")])
def test_deep_nesting_is_judged_or_a_sentence(before, after, depth):
    sql = f"DELETE FROM public.t WHERE a = 0 OR {before * depth}1{after * depth}"  # noqa: S608 (never run)
    plan = dataclasses.replace(read(), steps=(Step(id="x", why="y", sql=sql, rows=Rows(1, 1)),))
    found = parsing.problems(plan)
    assert all(one.startswith("step x: ") for one in found)
    assert found or depth < 20_000


def test_a_syntax_error_names_its_line():
    with pytest.raises(ValueError, match=r'^line 2 of the statement: syntax error at or near "frm"$'):
        parsing.trees("SELECT *\nfrm x where")
