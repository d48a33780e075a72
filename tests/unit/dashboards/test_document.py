"""One dashboard: what is kept of it, that it is written one way only, and what is refused."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards import document
from ansible_collections.taaraxtak.production.tests.unit.dashboards.archives import old_dashboard
from hypothesis import given, settings
from hypothesis import strategies as st

OURS = {"type": "grafana-postgresql-datasource", "uid": "taaraxtak"}


def small(**more: t.Any) -> dict[str, t.Any]:
    return {"uid": "x", "title": "X", "panels": [], **more}


KEYS = st.sampled_from(["a", "b", "id", "name", "title"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3),
    max_leaves=12,
)  # fmt: skip
SOURCES = st.sampled_from(
    [None, "default", "-- Grafana --", "${DS_POSTGRES}", OURS, {"uid": "taaraxtak"}, {"type": "postgres"}]
)
PANELS = st.recursive(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["graph", "row"]), "datasource": SOURCES, "x": VALUES, "snapshotData": VALUES}
    ),
    lambda below: st.fixed_dictionaries(
        {"type": st.just("row"), "title": st.text(max_size=3), "panels": st.lists(below, max_size=2)}
    ),
    max_leaves=5,
)
VARIABLES = st.fixed_dictionaries(
    {
        **{"name": st.sampled_from(["a", "b"]), "type": st.sampled_from(["query", "custom", "constant", "datasource"])},
        **{"options": VALUES, "current": VALUES, "refresh": st.integers(0, 2)},
    }
)
DASHBOARDS = st.builds(
    lambda panels, variables, more: {**more, **small(panels=panels, templating={"list": variables})},
    st.lists(PANELS, max_size=3),
    st.lists(VARIABLES, max_size=2),
    st.dictionaries(st.sampled_from(["id", "version", "iteration", "time", "links", "meta", "gnetId"]), VALUES),
)


@settings(max_examples=200, deadline=None)
@given(DASHBOARDS)
def test_normalising_twice_changes_nothing(data: dict[str, t.Any]) -> None:
    before = copy.deepcopy(data)
    once = document.normalise(data)
    assert data == before
    assert document.text(document.normalise(once)) == document.text(once)


@settings(max_examples=200, deadline=None)
@given(DASHBOARDS, st.randoms())
def test_the_order_of_keys_says_nothing_and_what_is_written_is_read_again(
    data: dict[str, t.Any], random: t.Any
) -> None:
    def shuffled(value: t.Any) -> t.Any:
        if isinstance(value, dict):
            items = list(value.items())
            random.shuffle(items)
            return {key: shuffled(below) for key, below in items}
        return [shuffled(below) for below in value] if isinstance(value, list) else value

    written = document.text(document.normalise(data))
    assert document.text(document.normalise(shuffled(data))) == written
    assert document.text(document.normalise(document.parse(written.encode()))) == written
    assert written.endswith("}\n")


def as_go_writes(value: t.Any) -> t.Any:
    """Numbers as Grafana's server writes them: 3.0 is 3."""
    if isinstance(value, dict):
        return {key: as_go_writes(below) for key, below in value.items()}
    if isinstance(value, list):
        return [as_go_writes(below) for below in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e21 else value


@settings(max_examples=200, deadline=None)
@given(DASHBOARDS)
def test_what_a_server_saves_and_answers_is_the_same_text(data: dict[str, t.Any]) -> None:
    wanted = document.normalise(data)
    served = {**as_go_writes(wanted), "id": 17, "version": 3, "editable": True}
    assert document.text(document.normalise(served)) == document.text(wanted)


def test_an_old_dashboard_loses_what_is_its_servers() -> None:
    tidy = document.normalise(old_dashboard("SEA4e4GMz", "OONI"))
    assert not {"id", "version", "iteration", "gnetId"} & set(tidy)
    assert (tidy["uid"], tidy["schemaVersion"], tidy["editable"]) == ("SEA4e4GMz", 27, False)
    panels = list(document.panels(tidy))
    assert [panel["title"] for panel in panels] == ["Measurements", "About", "More", "Latest"]
    assert all(panel["datasource"] == OURS for panel in panels)
    variable = tidy["templating"]["list"][0]
    assert (variable["options"], variable["current"], variable["datasource"]) == ([], {}, OURS)
    # Emptied and never asked for again, it would stay empty.
    assert variable["refresh"] == 1
    assert tidy["annotations"]["list"][0]["datasource"] == "-- Grafana --"


def test_the_order_of_lists_is_kept() -> None:
    panels = [{"type": "text", "title": title} for title in ("z", "a", "m")]
    assert [one["title"] for one in document.normalise(small(panels=panels))["panels"]] == ["z", "a", "m"]


@pytest.mark.parametrize("refresh", [1, 2])
def test_a_query_variable_that_is_asked_for_again_stays_so(refresh: int) -> None:
    variable = {"name": "v", "type": "query", "refresh": refresh, "datasource": None}
    assert document.normalise(small(templating={"list": [variable]}))["templating"]["list"][0]["refresh"] == refresh


@pytest.mark.parametrize("kind", ["custom", "constant", "textbox", "interval"])
def test_what_an_author_chose_of_other_variables_is_kept(kind: str) -> None:
    variable = {"name": "v", "type": kind, "current": {"text": "1d", "value": "1d"}, "options": [{"text": "1d"}]}
    assert document.normalise(small(templating={"list": [variable]}))["templating"]["list"] == [variable]


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        (None, OURS),
        ("default", OURS),
        ("", OURS),
        ("taaraxtak", OURS),
        ("${DS_POSTGRESQL}", OURS),
        ("Old name", OURS),
        ({"uid": "taaraxtak"}, OURS),
        ({"type": "postgres", "uid": "taaraxtak"}, OURS),
        ({"type": "postgres"}, OURS),
        ({"type": "postgres", "uid": "${DS_PG}"}, OURS),
        ({"type": "postgres", "uid": "Old name"}, OURS),
        ("-- Grafana --", "-- Grafana --"),
        ("-- Mixed --", "-- Mixed --"),
        ("-- Dashboard --", "-- Dashboard --"),
        ({"type": "datasource", "uid": "grafana"}, {"type": "datasource", "uid": "grafana"}),
        ({"type": "datasource", "uid": "-- Mixed --"}, {"type": "datasource", "uid": "-- Mixed --"}),
        ({"type": "__expr__", "uid": "__expr__"}, {"type": "__expr__", "uid": "__expr__"}),
        ("$source", "$source"),
        ({"type": "postgres", "uid": "${source}"}, {"type": "postgres", "uid": "${source}"}),
    ],
)
def test_every_way_to_name_a_data_source_becomes_one(source: t.Any, kept: t.Any) -> None:
    data = small(
        panels=[
            {"type": "table", "datasource": source, "targets": [{"refId": "A", "datasource": source}]},
            {"type": "row", "panels": [{"type": "table", "datasource": source}]},
        ],
        rows=[{"panels": [{"type": "table", "datasource": source}]}],
        annotations={"list": [{"name": "a", "datasource": source}]},
        templating={
            "list": [{"name": "source", "type": "datasource"}, {"name": "q", "type": "query", "datasource": source}]
        },
    )
    tidy = document.normalise(data, aliases=["Old name"])
    assert tidy["panels"][0]["datasource"] == kept
    assert tidy["panels"][0]["targets"][0]["datasource"] == kept
    assert tidy["panels"][1]["panels"][0]["datasource"] == kept
    assert tidy["rows"][0]["panels"][0]["datasource"] == kept
    assert tidy["annotations"]["list"][0]["datasource"] == kept
    assert tidy["templating"]["list"][1]["datasource"] == kept


@pytest.mark.parametrize("source", ["MySQL", "$unknown", {"uid": "P123"}, {"type": "mysql", "uid": "P123"}, {"uid": 5}])
def test_another_data_source_is_refused_and_the_panel_named(source: t.Any) -> None:
    panel = {"type": "graph", "title": "Gini", "datasource": None, "targets": [{"datasource": source}]}
    with pytest.raises(ValueError, match="the graph 'Gini'"):
        document.normalise(small(panels=[{"type": "row", "title": "R", "panels": [panel]}]))


def test_a_panel_that_says_nothing_of_its_data_source_says_it_then() -> None:
    panel = {"type": "graph", "title": "Gini", "targets": [{"refId": "A"}]}
    assert document.normalise(small(panels=[panel]))["panels"][0]["datasource"] == OURS


def test_a_column_called_datasource_is_no_data_source() -> None:
    panel = {"type": "table", "options": {"datasource": ["a", "b"], "x": {"datasource": {"width": 5}}}}
    assert document.normalise(small(panels=[panel]))["panels"][0]["options"] == panel["options"]


def test_the_data_in_a_panels_snapshot_are_not_kept() -> None:
    row = {"type": "row", "panels": [{"type": "table", "snapshotData": [{"fields": ["rows of the database"]}]}]}
    assert "rows of the database" not in document.text(document.normalise(small(panels=[row], snapshot={"x": 1})))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "the JSON is no object"),
        ({"apiVersion": "dashboard.grafana.app/v2alpha1", "kind": "Dashboard", "spec": {}}, "v2alpha1"),
        ({"apiVersion": "dashboard.grafana.app/v1beta1", "kind": "Dashboard", "spec": small()}, "files hold classic"),
        ({"title": "X", "elements": {}, "layout": {}}, "schema v2"),
        ({"meta": {}, "dashboard": small()}, "an answer of the API"),
        ({"uid": "x", "panels": []}, "no title"),
        ({"uid": "x", "title": " "}, "no title"),
        ({"title": "X"}, "no uid"),
        ({"title": "X", "uid": ""}, "no uid"),
        ({"title": "X", "uid": "a/b"}, "no uid"),
        ({"title": "X", "uid": "a" * 41}, "no uid"),
        (small(panels={}), '"panels" is no list'),
        (small(panels=[{"type": "table", "title": "T", "libraryPanel": {"uid": "l"}}]), "library panel"),
        (small(title="half \ud83d"), "lone surrogate"),
        (small(x=float("nan")), "not JSON"),
    ],
)
def test_what_is_no_classic_dashboard_is_refused(data: t.Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        document.normalise(data)


def test_what_is_nested_without_end_is_refused() -> None:
    deep: t.Any = []
    for _ in range(document.DEPTH_LIMIT + 5):
        deep = [deep]
    with pytest.raises(ValueError, match="nested more than"):
        document.normalise(small(x=deep))
    for depth in (document.DEPTH_LIMIT + 1, 900, 5000, 200_000):
        with pytest.raises(ValueError, match="nested more than"):
            document.parse('{"x":' + "[" * depth + "]" * depth + "}")
    assert document.parse("[" * 50 + "]" * 50)


def test_a_title_has_no_blanks_around_it() -> None:
    """Grafana takes them away when it saves, so that a file with them would never be equal."""
    assert document.normalise(small(title=" X\n"))["title"] == "X"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not JSON, or not all of it"),
        (b'{"a": 1', "not JSON, or not all of it"),
        (b'{"a": 1} x', "not JSON"),
        (b'{"a": NaN}', "holds NaN"),
        (b'{"a": -Infinity}', "holds -Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": {"b": 1, "b": 2}}', "the key b twice"),
        (b'{"a": "\xff"}', "not UTF-8"),
    ],
)
def test_json_is_read_strictly(content: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        document.parse(content)


def test_the_text_is_one_that_people_review() -> None:
    assert document.text({"b": [2, 1], "a": "Ünï 🎉"}) == '{\n  "a": "Ünï 🎉",\n  "b": [\n    2,\n    1\n  ]\n}\n'
    assert json.loads(document.text(small())) == small()
