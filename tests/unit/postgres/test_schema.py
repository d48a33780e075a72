from __future__ import annotations

import re

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres import schema
from hypothesis import given
from hypothesis import strategies as st

DUMP = r"""
--
-- PostgreSQL database dump
--
\restrict aBc
-- Dumped from database version 17.1
SET statement_timeout = 0;
SET default_table_access_method = heap;
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: a; Type: TABLE
--
CREATE TABLE public.a (
    b integer
);

\unrestrict aBc
"""


def table(name: str, **parts: str) -> schema.Relation:
    return schema.Relation("table", name, tuple(sorted((f"column {part}", what) for part, what in parts.items())))


A = table("a", b="integer")
FILE = schema.render(DUMP, (A,), schema="public")


def test_rows_become_sorted_relations():
    rows = [("view", "v", None, None), ("table", "a", "column b", "integer"), ("table", "a", None, None)]
    assert schema.catalogue(rows) == (A, schema.Relation("view", "v", ()))


def test_the_file_has_neither_settings_nor_dates_nor_versions():
    body = FILE.partition("\n\n")[2]
    assert body == "CREATE TABLE public.a (\n    b integer\n);\n"
    assert "17.1" not in FILE
    assert "restrict" not in FILE


def test_what_is_written_is_read_back():
    read = schema.parse(FILE)
    assert (read.schema, read.relations) == ("public", (A,))
    assert [statement.line for statement in read.statements] == [7]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"integer"', '"text"', "doesn't fit its relations"),
        (schema.SCHEMA, "-- ", "lacks its header"),
        (schema.HASH, "-- ", "lacks its header"),
        (schema.RELATION, "-- ", "lacks its header"),
        ('{"kind"', '["kind"', "line 5 of the schema file names no relation"),
        ('"parts": {"column b": "integer"}', '"parts": 1', "line 5 of the schema file names no relation"),
        ("CREATE TABLE", "COMMIT; CREATE TABLE", "may not be run: line 7: COMMIT"),
    ],
)
def test_a_file_that_was_edited_is_refused(old, new, says):
    assert old in FILE
    with pytest.raises(ValueError, match=re.escape(says)):
        schema.parse(FILE.replace(old, new))


@pytest.mark.parametrize(
    ("live", "says"),
    [
        ([], ["table a is missing"]),
        ([table("a")], ["table a lacks column b (integer)"]),
        ([table("a", b="text")], ["table a has column b as text where the file says integer"]),
        ([table("a", b="integer", c="text")], ["table a has column c (text) and the file doesn't"]),
        ([schema.Relation("view", "a", A.parts)], ["table a is missing"]),
        ([A, table("z")], []),
    ],
)
def test_each_difference_is_named(live, says):
    assert schema.differences([A], live) == says


def test_a_views_definition_is_compared_only_where_servers_word_alike():
    def view(definition: str, wording: str) -> schema.Relation:
        return schema.Relation("view", "v", (("definition", definition), ("wording", wording)))

    assert schema.differences([view("SELECT a", "16")], [view("SELECT t.a", "15")]) == []
    assert schema.differences([view("SELECT a", "16")], [view("SELECT b", "16")]) == [
        "view v has definition as SELECT b where the file says SELECT a"
    ]


def test_nothing_there_is_the_files_part():
    assert schema.plan((A,), (table("z"),), migration=False).action == "schema"
    assert schema.plan((A,), (), migration=True).action == "schema"


def test_the_same_is_nobodys_part_and_names_what_is_extra():
    plan = schema.plan((A,), (A, table("z")), migration=True)
    assert (plan.action, plan.extra) == ("none", ("table z",))


def test_a_difference_needs_a_migration():
    live = (table("a", b="text"),)
    assert schema.plan((A,), live, migration=True).action == "migration"
    with pytest.raises(ValueError, match=r"column b as text .* playbooks/migrate.yml -e migration=FILE"):
        schema.plan((A,), live, migration=False)


def test_half_of_it_there_is_a_difference_and_not_nothing():
    with pytest.raises(ValueError, match="table c is missing"):
        schema.plan((A, table("c")), (A,), migration=False)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
RELATIONS = st.lists(st.tuples(st.sampled_from(["table", "view"]), TEXTS, TEXTS, TEXTS), min_size=1).map(
    schema.catalogue
)


@given(RELATIONS, RELATIONS)
def test_fingerprints_are_equal_exactly_where_the_relations_are(left, right):
    assert (schema.fingerprint(left) == schema.fingerprint(right)) == (left == right)


@given(RELATIONS)
def test_any_relation_survives_the_file(relations):
    assert schema.parse(schema.render("SELECT 1;", relations, schema="public")).relations == relations


@given(RELATIONS, RELATIONS)
def test_no_difference_and_nothing_extra_means_the_same(left, right):
    same = not schema.differences(left, right) and not schema.unknown(left, right)
    assert same == (left == right)
