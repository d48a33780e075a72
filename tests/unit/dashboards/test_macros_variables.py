"""Variables are put into SQL as an SQL datasource of Grafana does it."""

from __future__ import annotations

import datetime as dt

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.variables import (
    Context,
    Variable,
    literal,
    replaced,
)
from hypothesis import given
from hypothesis import strategies as st

ONE = Variable(("it's",))
MAY_BE_SEVERAL = Variable(("it's",), quoted=True)
SEVERAL = Variable(("a", "it's", 'say "b"'), listed=True, quoted=True)
LONE = Variable(("a.b",), listed=True, quoted=True)


def put(sql: str, **variables: Variable) -> str:
    now = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    return replaced(sql, Context(now - dt.timedelta(hours=6), now, variables))


@pytest.mark.parametrize(
    ("form", "one", "several", "lone"),
    [
        ("", "it''s", "'a','it''s','say \"b\"'", "'a.b'"),
        ("raw", "it's", 'a,it\'s,say "b"', "a.b"),
        ("csv", "it's", 'a,it\'s,say "b"', "a.b"),
        ("sqlstring", "'it''s'", "'a','it''s','say \"b\"'", "'a.b'"),
        ("singlequote", "'it\\'s'", "'a','it\\'s','say \"b\"'", "'a.b'"),
        ("doublequote", '"it\'s"', '"a","it\'s","say \\"b\\""', '"a.b"'),
        ("json", '"it\'s"', '["a","it\'s","say \\"b\\""]', '["a.b"]'),
        ("pipe", "it's", 'a|it\'s|say "b"', "a.b"),
        ("regex", "it's", '(a|it\'s|say "b")', "a\\.b"),
        ("glob", "it's", '{a,it\'s,say "b"}', "a.b"),
        ("text", "it's", 'a + it\'s + say "b"', "a.b"),
        ("distributed", "it's", 'a,v=it\'s,v=say "b"', "a.b"),
        ("percentencode", "it%27s", "%7Ba%2Cit%27s%2Csay%20%22b%22%7D", "%7Ba.b%7D"),
        ("queryparam", "var-v=it%27s", "var-v=a&var-v=it%27s&var-v=say%20%22b%22", "var-v=a.b"),
    ],
)
def test_a_format_writes_one_and_several_values(form, one, several, lone):
    text = f"${{v:{form}}}" if form else "${v}"
    assert [put(text, v=value) for value in (ONE, SEVERAL, LONE)] == [one, several, lone]


@pytest.mark.parametrize("form", ["$v", "${v}", "[[v]]"])
def test_each_form_means_the_same(form):
    assert put(f"market IN ({form})", v=SEVERAL) == "market IN ('a','it''s','say \"b\"')"


def test_a_variable_that_may_have_several_values_is_quoted_with_one_too():
    assert put("$v", v=MAY_BE_SEVERAL) == "'it''s'"


def test_the_old_form_has_formats_too():
    assert put("[[v:csv]]", v=SEVERAL) == 'a,it\'s,say "b"'


def test_a_name_ends_where_a_word_ends():
    assert put("$va.$v-${v}a", v=ONE, va=Variable(("1",))) == "1.it''s-it''sa"


def test_the_own_text_for_all_is_put_in_as_it_is():
    everything = Variable(("$__all",), listed=True, quoted=True, literal="SELECT name FROM t WHERE x = '$other'")
    assert put("IN ($v)", v=everything, other=ONE) == "IN (SELECT name FROM t WHERE x = 'it''s')"
    assert put("IN (${v:csv})", v=everything, other=ONE).startswith("IN (SELECT name")


def test_an_own_text_for_all_that_names_itself_ends():
    with pytest.raises(ValueError, match="the variable v is not defined"):
        put("$v", v=Variable(("$__all",), literal="$v"))


def test_a_value_is_not_looked_at_again():
    assert put("$v", v=Variable(("$w ${w} [[w]]",)), w=ONE) == "$w ${w} [[w]]"


@pytest.mark.parametrize("form", ["lucene", "html", "nonsense"])
def test_a_format_that_is_none_for_sql_is_refused_by_name(form):
    with pytest.raises(ValueError, match=f"the variable v has the format {form}"):
        put(f"${{v:{form}}}", v=ONE)


def test_a_date_format_needs_a_moment():
    with pytest.raises(ValueError, match="moments in ms"):
        put("${v:date}", v=ONE)


def test_only_placeholders_are_given_another_value():
    now = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    context = Context(now, now, {"v": ONE, "w": Variable(("1",), placeholder=True)}).with_placeholder("x")
    assert replaced("$v $w", context) == "it''s x"


@given(st.lists(st.text(), min_size=1))
def test_no_value_ends_the_quotes_around_it(values):
    """Read back as SQL reads them, the literals are the values."""
    text = put("$v", v=Variable(tuple(values), listed=True, quoted=True))
    read, rest = [], text
    while rest:
        assert rest[0] == "'"
        position = 1
        while rest[position] != "'" or rest[position + 1 : position + 2] == "'":
            position += 2 if rest[position] == "'" else 1
        read.append(rest[1:position].replace("''", "'"))
        rest = rest[position + 1 :].removeprefix(",")
    assert read == values
    assert ",".join(map(literal, values)) == text
