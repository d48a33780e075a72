"""A panel's SQL becomes what Grafana would send, where Grafana's rules are odd too."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.macros import (
    hint,
    interval_seconds,
    range_marks,
    translate,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.variables import Context, Variable
from hypothesis import given
from hypothesis import strategies as st

START = dt.datetime(2026, 11, 22, 3, 0, tzinfo=dt.UTC)
END = dt.datetime(2026, 11, 22, 9, 0, 0, 500000, tzinfo=dt.UTC)
FROM, TO = "'2026-11-22T03:00:00Z'", "'2026-11-22T09:00:00.5Z'"
S1, S2 = 1795316400, 1795338000
N1, N2 = "1795316400000000000", "1795338000500000000"


def context(**variables: Variable) -> Context:
    return Context(START, END, variables)


def test_the_figures_of_this_table_are_those_of_its_time_range():
    assert (int(START.timestamp()), int(END.timestamp())) == (S1, S2)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("$__time(t)", 't AS "time"'),
        ("$__timeEpoch(t)", 'extract(epoch from t) as "time"'),
        ("$__timeFilter(t)", f"t BETWEEN {FROM} AND {TO}"),
        ("$__timeFilter( a.t )", f"a.t BETWEEN {FROM} AND {TO}"),
        ("$__timeFrom()", FROM),
        ("$__timeTo()", TO),
        ("$__timeGroup(t,'5m')", "floor(extract(epoch from t)/300)*300"),
        ("$__timeGroup(t,5m)", "floor(extract(epoch from t)/300)*300"),
        ("$__timeGroup(t,'5m', NULL)", "floor(extract(epoch from t)/300)*300"),
        ("$__timeGroup(t,'5m',previous)", "floor(extract(epoch from t)/300)*300"),
        ("$__timeGroup(t,'5m',0)", "floor(extract(epoch from t)/300)*300"),
        ("$__timeGroup(t,'5m',-1.5)", "floor(extract(epoch from t)/300)*300"),
        ("$__timeGroup(t,'1h30m')", "floor(extract(epoch from t)/5400)*5400"),
        ("$__timeGroup(t,'500ms')", "floor(extract(epoch from t)/0.5)*0.5"),
        ("$__timeGroup(t,'30d')", "floor(extract(epoch from t)/2.592e+06)*2.592e+06"),
        ("$__timeGroupAlias(t,'5m')", 'floor(extract(epoch from t)/300)*300 AS "time"'),
        ("$__timeGroupAlias(t,$__interval)", 'floor(extract(epoch from t)/60)*60 AS "time"'),
        ("$__timeGroup(t,'$__interval')", "floor(extract(epoch from t)/60)*60"),
        ("$__unixEpochFilter(e)", f"e >= {S1} AND e <= {S2}"),
        ("$__unixEpochFrom()", str(S1)),
        ("$__unixEpochTo()", str(S2)),
        ("$__unixEpochNanoFilter(e)", f"e >= {N1} AND e <= {N2}"),
        ("$__unixEpochNanoFrom()", N1),
        ("$__unixEpochNanoTo()", N2),
        ("$__unixEpochGroup(e,'5m')", "floor((e)/300)*300"),
        ("$__unixEpochGroup(e,'5m',NULL)", "floor((e)/300)*300"),
        ("$__unixEpochGroupAlias(e,'5m')", 'floor((e)/300)*300 AS "time"'),
        ("$__interval", "1m"),
        ("$__interval_ms", "60000"),
        ("'${__interval}'::interval", "'1m'::interval"),
        ("a / $__interval_ms * 1000", "a / 60000 * 1000"),
        ("$__from, ${__to}", "1795316400000, 1795338000500"),
        ("${__from:date}", "2026-11-22T03:00:00.000Z"),
        ("${__to:date:iso}", "2026-11-22T09:00:00.500Z"),
        ("${__from:date:seconds}", str(S1)),
        ("${__from:date:YYYY-MM-DD}", "2026-11-22"),
        ("$__range $__range_s $__range_ms", "21600s 21600 21600500"),
        ("${__user.login} $__timezone", "viewer utc"),
        ("name LIKE '$__searchFilter'", "name LIKE '%'"),
    ],
)
def test_a_macro_becomes_the_sql_of_grafanas_table(sql, expected):
    assert translate(sql, context()) == expected


def test_a_comma_behind_the_old_form_adds_the_alias():
    """Panels from before Grafana 5.3 depend on it: SELECT $__timeGroup(c,'5m'), avg(v)."""
    group = "floor(extract(epoch from c)/300)*300"
    assert translate("SELECT $__timeGroup(c,'5m'), v", context()) == f'SELECT {group} AS "time", v'
    assert translate("SELECT $__timeGroup(c,'5m') , v", context()) == f"SELECT {group} , v"
    assert translate("lag(v) OVER (ORDER BY $__timeGroup(c,'5m'))", context()) == f"lag(v) OVER (ORDER BY {group})"


def test_the_first_of_two_equal_groups_decides_for_both():
    """Grafana looks for the text, not for the place; so it breaks GROUP BY, and so does the check."""
    made = translate("SELECT $__timeGroup(c,'5m'), v GROUP BY $__timeGroup(c,'5m')", context())
    assert made.count(' AS "time"') == 2
    made = translate("SELECT $__timeGroup(c,'5m') AS t GROUP BY $__timeGroup(c,'5m'), v", context())
    assert ' AS "time"' not in made


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        # The macro ends at the first closing parenthesis.
        ("$__timeFilter(to_timestamp(e))", f"to_timestamp(e BETWEEN {FROM} AND {TO})"),
        ("$__time(max(t))", 'max(t AS "time")'),
        ("$__timeFilter((t))", f"(t BETWEEN {FROM} AND {TO})"),
        # An opening one before it changes nothing, nor does a line's end.
        ("WHERE ($__timeFilter(t)) AND x", f"WHERE (t BETWEEN {FROM} AND {TO}) AND x"),
        ("$__timeFilter(\nt)", f"\nt BETWEEN {FROM} AND {TO}"),
    ],
)
def test_arguments_with_parentheses_are_read_as_grafana_reads_them(sql, expected):
    assert translate(sql, context()) == expected


def test_a_call_among_the_arguments_is_hinted_at():
    said = hint("SELECT $__timeFilter(to_timestamp(e))")
    assert said is not None
    assert "$__timeFilter" in said
    assert hint("SELECT max($__timeGroup(t,'5m')) WHERE $__timeFilter(t)") is None


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("$__nonsense(t)", r"the macro \$__nonsense is not known"),
        ("$nonsense(t)", r"the macro \$nonsense is not known"),
        ("-- $__nonsense(t)\nSELECT 1", "is not known"),
        ("$__timeFilter()", r"\$__timeFilter needs a column"),
        ("$__timeFilter", "the variable __timeFilter is not defined"),
        ("$__timeGroup(t)", "needs a column and an interval"),
        ("$__timeGroup(,'5m')", "needs a column and an interval"),
        ("$__timeGroup(t,'5 minutes')", "5 minutes is no interval"),
        ("$__timeGroup(t,'')", "nothing is no interval"),
        ("$__timeGroup(t,'5')", "5 is no interval"),
        ("$__timeGroup(t,'0s')", "is zero"),
        ("$__timeGroup(t,'99999999y')", "is no interval"),
        ("$__timeGroup(t,'9999y')", "ends after the year 9999"),
        ("$__timeGroup(t,'5m',zero)", "can't fill gaps with zero"),
        ("$__unixEpochGroup(t,'x')", "x is no interval"),
        ("$__timeGroup(date_trunc('day', t),'1d')", "is no interval"),
        ("SELECT $missing", "the variable missing is not defined"),
        ("SELECT '${missing}'", "the variable missing is not defined"),
        ("SELECT [[missing:csv]]", "the variable missing is not defined"),
    ],
)
def test_what_grafana_would_refuse_is_refused_with_a_sentence(sql, said):
    with pytest.raises(ValueError, match=said):
        translate(sql, context())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT $1, $2",
        "SELECT $$it's text$$",
        "SELECT $tag$it's text$tag$",
        "SELECT ARRAY[[1]]",
        "SELECT 1 -- $once and ${more}",
        "SELECT 1 /* $once\n ${more} */",
        "SELECT '100 $'",
        "SELECT x ~ '[[:alpha:]]$'",
        "SELECT '--' || E'\\n'",
    ],
)
def test_what_is_no_variable_stays(sql):
    assert translate(sql, context()) == sql


def test_a_hyphen_in_a_text_begins_no_comment():
    with pytest.raises(ValueError, match="the variable missing is not defined"):
        translate("SELECT '-- $missing'", context())


def test_the_value_of_a_variable_may_hold_a_macro():
    """Variables come first: a constant that holds half a query is put together before macros are looked for."""
    filter_ = Variable(("$__timeFilter(t)",))
    assert translate("WHERE ${f:raw}", context(f=filter_)) == f"WHERE t BETWEEN {FROM} AND {TO}"
    assert translate("$__timeGroup(t, $step)", context(step=Variable(("1s",)))) == "floor(extract(epoch from t)/1)*1"


def test_the_range_is_written_in_utc_whatever_its_time_zone():
    there = dt.timezone(dt.timedelta(hours=5, minutes=45))
    moved = Context(START.astimezone(there), END.astimezone(there))
    assert translate("$__timeFilter(t) $__from $__unixEpochFrom()", moved) == translate(
        "$__timeFilter(t) $__from $__unixEpochFrom()", context()
    )


def test_a_range_without_a_time_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        Context(START.replace(tzinfo=None), END)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1d", 86400),
        ("2w", 1209600),
        ("1M", 30 * 86400),
        ("1y", 365 * 86400),
        ("90s", 90),
        ("1.5h", 5400),
        ("-5m", -300),
    ],
)
def test_an_interval_is_read_as_grafana_reads_it(text, seconds):
    assert interval_seconds(text, START) == seconds


def test_a_month_after_the_31st_counts_the_days_on_that_the_next_one_lacks():
    """As Go's AddDate: a month from 31 January 2026 is 3 March."""
    assert interval_seconds("1M", dt.datetime(2026, 1, 31, tzinfo=dt.UTC)) == 31 * 86400


@pytest.mark.parametrize(
    ("interval_ms", "text"),
    [(0, "1ms"), (20, "20ms"), (1999, "1s"), (60_000, "1m"), (3_600_000, "1h"), (172_800_000, "2d"), (10**11, "3y")],
)
def test_an_interval_is_written_as_grafana_writes_it(interval_ms, text):
    assert translate("$__interval", Context(START, END, interval_ms=interval_ms)) == text


def test_the_numbers_of_the_range_are_those_that_macros_write():
    made = translate("$__unixEpochFilter(a) $__unixEpochNanoFilter(b) $__from $__to", context())
    assert all(mark in made for mark in range_marks(context()))


@given(st.text(alphabet="$_{}[]():,'abtimeFG5m \n-/*\"\\", max_size=40))
def test_any_text_is_translated_or_refused_by_a_value_error(text):
    with contextlib.suppress(ValueError):
        translate(text, context(a=Variable(("x",)), t=Variable(("1", "2"), listed=True, quoted=True)))


@pytest.mark.parametrize(
    "sql",
    [
        "x" * 20_001,
        "$a(" * 100_000,
        "${a}" * 4_000,
        "${many:csv}",
    ],
)
def test_sql_that_would_keep_the_check_busy_is_refused(sql):
    values = {"a": Variable(("x" * 10_000,)), "many": Variable(("x",) * 15_000, listed=True)}
    with pytest.raises(ValueError, match=r"more than 20000 characters: shorten it"):
        translate(sql, context(**values))


def test_what_is_just_short_enough_is_translated():
    assert translate("x" * 20_000, context()) == "x" * 20_000
    with pytest.raises(ValueError, match="is not known"):
        translate("$a(" * 6_666 + ")", context())
