"""Every text of SQL in a dashboard is found, of whatever age its form is, and its variables have values."""

from __future__ import annotations

import datetime as dt

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.macros import translate
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.panels import queries, variables
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.variables import Context, Variable

OURS = {"type": "grafana-postgresql-datasource", "uid": "taaraxtak"}
OLD = {"type": "postgres", "uid": "abc"}


def target(sql="SELECT 1", **more):
    return {"refId": "A", "rawSql": sql, "format": "table", **more}


def panel(number=1, *targets, **more):
    return {"id": number, "title": f"Panel {number}", "type": "table", "targets": list(targets or [target()]), **more}


def dashboard(*panels, **more):
    return {"uid": "one", "title": "One", "panels": list(panels), **more}


def found(data):
    return [(one.panel, one.ref_id, one.sql, one.kind) for one in queries(data)]


@pytest.mark.parametrize(
    "data",
    [
        dashboard(panel()),
        dashboard({"id": 9, "type": "row", "title": "Row", "collapsed": True, "panels": [panel()]}),
        dashboard({"id": 9, "type": "row", "panels": [{"id": 8, "type": "row", "panels": [panel()]}]}),
        {"uid": "one", "title": "One", "rows": [{"title": "Old row", "panels": [panel()]}]},
        dashboard(panel(datasource=None)),
        dashboard(panel(datasource="default")),
        dashboard(panel(datasource="PostgreSQL")),
        dashboard(panel(datasource=OURS)),
        dashboard(panel(datasource=OLD)),
        dashboard(panel(1, target(datasource=OURS), datasource={"type": "datasource", "uid": "-- Mixed --"})),
        dashboard(panel(datasource="${DS_POSTGRES}")),
        dashboard(panel(datasource={"uid": "$source"})),
        dashboard(panel(1, target(hide=True))),
        dashboard(panel(), panel(2, {"refId": "A"}), {"id": 3, "type": "text", "title": "Text"}),
        dashboard(panel(), panel(2, target("  ")), panel(3, target(datasource={"type": "prometheus", "uid": "p"}))),
        dashboard(panel(), panel(2, datasource={"type": "mysql", "uid": "m"})),
        dashboard(panel(), panel(2, datasource={"type": "datasource", "uid": "-- Dashboard --"})),
        dashboard(panel(), panel(2, datasource="-- Dashboard --")),
        dashboard(panel(), panel(2, target(datasource={"type": "__expr__", "uid": "__expr__"}))),
        dashboard(panel(1, target(), datasource="-- Mixed --")),
    ],
)
def test_the_query_of_a_panel_is_found_wherever_and_however_it_stands(data):
    assert found(data) == [("Panel 1", "A", "SELECT 1", "panel")]


def test_every_query_is_found_in_the_order_of_the_file():
    data = dashboard(panel(1, target("SELECT 1"), target("SELECT 2", refId="B")), panel(2, target("SELECT 3")))
    assert [one.sql for one in queries(data)] == ["SELECT 1", "SELECT 2", "SELECT 3"]
    (first, *_rest) = queries(data)
    assert (first.dashboard, first.title, first.panel_id, first.format) == ("one", "One", 1, "table")


def test_a_panel_without_a_title_is_called_by_its_number():
    assert queries(dashboard(panel(7, title="")))[0].panel == "panel 7"


@pytest.mark.parametrize(
    "query",
    ["SELECT name", {"rawSql": "SELECT name", "refId": "v"}, {"query": "SELECT name"}],
)
def test_the_query_of_a_variable_is_found(query):
    data = dashboard(templating={"list": [{"name": "v", "type": "query", "datasource": None, "query": query}]})
    assert found(data) == [("v", "", "SELECT name", "variable")]


def test_other_variables_ask_nothing():
    listed = [
        {"name": kind, "type": kind, "query": "SELECT 1"} for kind in ("custom", "constant", "textbox", "interval")
    ]
    listed.append({"name": "m", "type": "query", "query": "label_values(x)", "datasource": {"type": "prometheus"}})
    assert found(dashboard(templating={"list": listed})) == []


def test_the_query_of_an_annotation_is_found():
    listed = [
        {"name": "Built in", "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "rawQuery": "x"},
        {"name": "Old", "datasource": "-- Grafana --", "rawQuery": "x"},
        {"name": "Outages", "datasource": OURS, "target": {"rawSql": "SELECT 1"}},
        {"name": "Before 8", "datasource": None, "rawQuery": "SELECT 2"},
    ]
    assert found(dashboard(annotations={"list": listed})) == [
        ("Outages", "", "SELECT 1", "annotation"),
        ("Before 8", "", "SELECT 2", "annotation"),
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (dashboard(panel(targets={})), "targets is no list"),
        (dashboard(panel(targets=["x"])), "targets is no list of objects"),
        (dashboard(templating=[]), "templating is no object"),
        (dashboard(annotations={"list": "x"}), "annotations.list is no list"),
    ],
)
def test_what_is_not_built_as_a_dashboard_is_refused(data, said):
    with pytest.raises(ValueError, match=said):
        queries(data)


def one(variable, given=None):
    data = dashboard(templating={"list": [{"name": "v", **variable}]})
    return variables(data, {} if given is None else {"v": given})["v"]


OPTIONS = [{"text": "All", "value": "$__all"}, {"text": "A", "value": "a"}, {"text": "B", "value": "b"}]


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ({"type": "query", "current": {"text": "a", "value": "a"}}, Variable(("a",))),
        ({"type": "query", "multi": True, "current": {"value": "a"}}, Variable(("a",), quoted=True)),
        ({"type": "query", "multi": True, "current": {"value": ["a", "b"]}}, Variable(("a", "b"), True, True)),
        ({"type": "query", "includeAll": True, "current": {"value": "a"}}, Variable(("a",), quoted=True)),
        ({"type": "query", "includeAll": True, "current": {"value": "$__all"}, "options": OPTIONS},
         Variable(("a", "b"), True, True)),
        ({"type": "query", "includeAll": True, "current": {"value": ["$__all"]}, "options": OPTIONS},
         Variable(("a", "b"), True, True)),
        ({"type": "query", "includeAll": True, "allValue": ".*", "current": {"value": ["$__all"]}},
         Variable(("1",), True, True, literal=".*")),
        ({"type": "query", "includeAll": True, "current": {"value": "$__all"}, "options": []},
         Variable(("1",), True, True, placeholder=True)),
        ({"type": "query", "current": {}, "options": []}, Variable(("1",), placeholder=True)),
        ({"type": "query", "multi": True, "includeAll": True}, Variable(("1",), quoted=True, placeholder=True)),
        ({"type": "query", "current": {"isNone": True, "text": "None", "value": ""}}, Variable(("",))),
        ({"type": "query", "options": OPTIONS}, Variable(("a",))),
        ({"type": "query", "current": {"value": 5}}, Variable(("5",))),
        ({"type": "custom", "query": "a,b"}, Variable(("a",))),
        ({"type": "custom", "query": "Text : x\\,y , b"}, Variable(("x,y",))),
        ({"type": "custom", "includeAll": True, "current": {"value": "$__all"}, "query": "a, b"},
         Variable(("a", "b"), True, True)),
        ({"type": "constant", "query": "'EU','US'"}, Variable(("'EU','US'",))),
        ({"type": "textbox", "query": "web"}, Variable(("web",))),
        ({"type": "textbox", "current": {"value": ""}, "query": "web"}, Variable(("",))),
        ({"type": "textbox", "current": {"value": ""}}, Variable(("",))),
        ({"type": "interval", "query": "1m,10m", "current": {"value": "10m"}}, Variable(("10m",))),
        ({"type": "interval", "query": "1m,10m", "current": {"value": "$__auto_interval_v"}}, Variable(("1m",))),
    ],
)  # fmt: skip
def test_a_variable_has_the_value_that_the_dashboard_was_saved_with_or_its_first(variable, expected):
    assert one(variable) == expected


def test_a_given_value_comes_first():
    assert one({"type": "query", "current": {"value": "a"}}, "b") == Variable(("b",))
    assert one({"type": "query", "multi": True}, ["b", "c"]) == Variable(("b", "c"), True, True)


@pytest.mark.parametrize("value", [{}, [], [None], [[1]]])
def test_a_given_value_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match="the value of the variable v"):
        one({"type": "query"}, value)


def test_an_ad_hoc_filter_is_no_value():
    assert variables(dashboard(templating={"list": [{"name": "filters", "type": "adhoc"}]})) == {}


def test_a_panel_of_the_old_kind_becomes_sql():
    """As Grafana 7 saved them: no datasource, a constant with half a list in it, a query variable with All."""
    listed = [
        {"name": "countries", "type": "constant", "query": "('NL', 'DE')", "current": {"value": "('NL', 'DE')"}},
        {"name": "markets", "type": "query", "multi": True, "includeAll": True, "query": "SELECT market FROM m",
         "current": {"value": ["$__all"]}, "options": OPTIONS},
    ]  # fmt: skip
    sql = 'SELECT\n  $__timeGroupAlias("time",$__interval),\n  sum(s)\nFROM m\nWHERE\n  $__timeFilter("time") AND\n' \
        "  market in ($markets) AND country IN ${countries:raw}\nGROUP BY 1"  # fmt: skip
    data = dashboard(panel(1, target(sql), datasource=None), templating={"list": listed})
    now = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
    made = translate(queries(data)[0].sql, Context(now - dt.timedelta(days=1), now, variables(data)))
    assert "market in ('a','b') AND country IN ('NL', 'DE')" in made
    assert "$" not in made
