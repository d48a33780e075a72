"""`make check-panels`: the repository's own dashboards work under the inventory's policy, and what doesn't is shown."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import shutil
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards import swap, tree
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.document import dashboard
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.macros import translate
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.panels import panels, queries, variables
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.variables import Context

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = ROOT / "dashboards"
KINDS = {"timeseries", "table", "gauge", "piechart", "bargauge", "stat", "text", "row"}
TABLES = {"provider_marketshare", "pop_weighted_gini", "ooni_web_connectivity_test", "pg_stat_user_tables"}


def loaded() -> t.Any:
    spec = importlib.util.spec_from_file_location("check_panels", ROOT / "tools" / "check_panels.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = loaded()


@pytest.fixture
def folder(tmp_path):
    """A copy of the repository's dashboards, to change at will."""
    return Path(shutil.copytree(DASHBOARDS, tmp_path / "dashboards"))


def change(folder: Path, title: str, sql: str) -> None:
    """Give the panel *title* of Network interference another query."""
    path = folder / "Measurements" / "network-interference.json"
    data = json.loads(path.read_text())
    (panel,) = [one for one in panels(data) if one["title"] == title]
    panel["targets"][0]["rawSql"] = sql
    path.write_text(json.dumps(data))


def know(folder: Path, *entries: dict[str, t.Any]) -> None:
    (folder / "known_broken.yml").write_text(yaml.safe_dump({"known_broken": list(entries)}))


def entry(panel: str) -> dict[str, str]:
    return {"dashboard": "network-interference", "panel": panel, "reason": "waits for a migration"}


def run(capsys, folder: Path, *more: str) -> tuple[int, str]:
    status = tool.main(["--dashboards", str(folder), *more])
    said = capsys.readouterr()
    return status, said.out + said.err


def test_every_panel_of_the_repository_works_as_grafanareader(capsys):
    status, said = run(capsys, DASHBOARDS)
    assert status == 0, said
    assert "3 dashboards" in said
    assert said.count("SLOW") == said.count("SLOW  alert Data is stale") == 1, "the app makes no index on time"


def test_what_does_not_work_is_shown_and_fails(capsys, folder):
    change(folder, "How it was blocked", "SELECT ip FROM ip_hostname_mapping")
    change(folder, "Anomalies by country", "SELECT nothing FROM pop_weighted_gini")
    change(folder, "Tests by outcome", "SELECT count(*) FROM ooni_web_connectivity_test")
    status, said = run(capsys, folder)
    assert status == 1
    assert "REFUSED  How it was blocked (id 12): grafanareader lacks SELECT on table public.ip_hostname_mapping" in said
    assert 'BROKEN  Anomalies by country (id 11): column "nothing" does not exist' in said
    assert "SLOW  Tests by outcome (id 8): reads some 10,000,000 rows" in said
    assert "1 slow, 1 refused, 1 broken" in said
    assert "known_broken.yml with a reason" in said


@pytest.fixture
def inventory(tmp_path):
    """A copy of the inventory's folder of production, to change at will."""
    copy = tmp_path / "inventory"
    shutil.copytree(ROOT / "inventory/production", copy)
    return copy


OF_PRODUCTION = "group_vars/production_hosts"


def test_the_alert_is_slow_without_an_index_and_works_with_one(capsys, inventory):
    said = run(capsys, DASHBOARDS, "--inventory", str(inventory))[1]
    assert "SLOW  alert Data is stale: query newest: reads some 20,000,000 rows" in said
    assert "at each look, for want of an index" in said
    schema = inventory / OF_PRODUCTION / "schema.sql"
    indexes = (
        "CREATE INDEX ON public.provider_marketshare (time);"
        "CREATE INDEX ON public.ooni_web_connectivity_test (measurement_start_time);"
    )
    schema.write_text(f"{schema.read_text()}\n{indexes}\n")
    status, said = run(capsys, DASHBOARDS, "--inventory", str(inventory))
    assert status == 0
    assert "SLOW" not in said


def test_an_alert_that_grafanareader_could_not_ask_fails(capsys, inventory):
    path = inventory / OF_PRODUCTION / "dashboards.yml"
    stale = [{"table": "public.ip_hostname_mapping", "column": "time", "max_age": 60}]
    path.write_text(yaml.safe_dump({"dashboards_stale": stale}))
    status, said = run(capsys, DASHBOARDS, "--inventory", str(inventory))
    assert status == 1
    assert "REFUSED  alert Data is stale" in said
    path.write_text(yaml.safe_dump({"dashboards_stale": [{"table": "public.x"}]}))
    assert "has to be a list of table, column and max_age" in run(capsys, DASHBOARDS, "--inventory", str(inventory))[1]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("access_policy.yml", "access_policy: [", "access_policy.yml is no YAML"),
        ("access_policy.yml", "policy: {}", "access_policy.yml has to hold access_policy"),
        ("access_policy.yml", "", "access_policy.yml has to hold access_policy"),
        ("collector.yml", "a: [", "collector.yml is no YAML"),
        ("schema.sql", "CREATE TABLE public.a (n nonsense);", "schema.sql can't be carried out: type"),
    ],
)
def test_an_inventory_that_can_not_be_read_is_said_in_a_sentence(capsys, inventory, name, content, sentence):
    (inventory / OF_PRODUCTION / name).write_text(content)
    status, said = run(capsys, DASHBOARDS, "--inventory", str(inventory))
    assert status == 1
    assert sentence in said


def test_a_vaulted_value_in_the_inventory_stops_nothing(capsys, inventory):
    path = inventory / OF_PRODUCTION / "collector.yml"
    path.write_text(f"{path.read_text()}\ncollector_password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n")
    status, said = run(capsys, DASHBOARDS, "--inventory", str(inventory))
    assert status == 0, said
    assert "alert Data is stale" in said


def test_a_table_of_the_samples_name_with_other_columns_is_left_empty_and_checked(capsys, inventory):
    schema = inventory / OF_PRODUCTION / "schema.sql"
    shape = "ALTER TABLE public.pop_weighted_gini ADD CONSTRAINT none CHECK (false);"
    schema.write_text(f"{schema.read_text()}\n{shape}\n")
    status, said = run(capsys, DASHBOARDS, "--inventory", str(inventory))
    assert status == 0, said


def test_a_slow_panel_alone_fails_nothing(capsys, folder):
    change(folder, "Tests by outcome", "SELECT count(*) FROM ooni_web_connectivity_test")
    assert run(capsys, folder)[0] == 0


def test_a_known_broken_panel_passes_and_its_reason_is_shown(capsys, folder):
    change(folder, "How it was blocked", "SELECT ip FROM ip_hostname_mapping")
    know(folder, entry("How it was blocked"))
    status, said = run(capsys, folder)
    assert status == 0
    assert "KNOWN BROKEN  How it was blocked" in said
    assert "known: waits for a migration" in said


def test_an_entry_whose_panel_works_again_fails(capsys, folder):
    know(folder, entry("How it was blocked"))
    status, said = run(capsys, folder)
    assert status == 1
    assert "How it was blocked of the dashboard network-interference works again: take the entry out" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("known_broken: [", "is no YAML"),
        ("known_broken: 1", "has to hold known_broken, a list"),
        ("known_broken: []\nmore: 1", "nothing else"),
        ("known_broken: [x]", "a list of entries"),
        ("known_broken: [{dashboard: a, panel: b}]", "dashboard, panel and reason"),
    ],
)
def test_a_list_that_is_none_is_refused_before_anything_is_checked(capsys, folder, content, said):
    (folder / "known_broken.yml").write_text(content)
    status, told = run(capsys, folder)
    assert status == 1
    assert said in told


def test_a_value_can_be_given_for_a_variable(capsys):
    assert run(capsys, DASHBOARDS, "--value", "market=it's a market")[0] == 0
    assert "no dashboard has a variable markt" in run(capsys, DASHBOARDS, "--value", "markt=x")[1]


def test_what_can_not_be_checked_is_said(capsys, folder, tmp_path):
    assert run(capsys, tmp_path / "nowhere") == (
        1,
        f"The panels could not be checked: there is no folder {tmp_path / 'nowhere'}\n",
    )
    status, said = run(capsys, folder, "--inventory", str(tmp_path))
    assert status == 1
    assert "No such file or directory" in said
    (folder / "Measurements" / "broken.json").write_text("{")
    status, said = run(capsys, folder)
    assert status == 1
    assert "Measurements/broken.json: it is not JSON" in said
    (tmp_path / "empty").mkdir()
    assert "there is no dashboard" in run(capsys, tmp_path / "empty")[1]


def own() -> list[t.Any]:
    found, problems = tree.read(swap.read(DASHBOARDS))
    assert not problems
    return found


def test_the_dashboards_are_written_as_an_export_writes_them():
    files = swap.read(DASHBOARDS)
    assert tree.validate(files) == []
    assert tree.untidy(files, lambda one: dashboard(one.data, one.folder)) == []


def test_the_dashboards_show_every_kind_of_panel_and_every_table():
    data = [one.data for one in own()]
    assert {panel["type"] for one in data for panel in panels(one)} == KINDS
    asked = " ".join(query.sql for one in data for query in queries(one))
    assert [table for table in TABLES if table not in asked] == []
    assert {one["schemaVersion"] for one in data} == {39}


@pytest.mark.parametrize("one", own(), ids=lambda one: one.uid)
def test_the_panels_of_a_dashboard_are_described_and_do_not_overlap(one):
    taken: set[tuple[int, int]] = set()
    numbers = [panel["id"] for panel in panels(one.data)]
    assert len(numbers) == len(set(numbers))
    assert one.data["description"]
    for panel in panels(one.data):
        where = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(where["x"], where["x"] + where["w"])
            for y in range(where["y"], where["y"] + where["h"])
        }
        assert not cells & taken, panel["title"]
        assert where["x"] + where["w"] <= 24
        taken |= cells
        assert panel["title"]
        assert panel["type"] in ("row", "text") or panel["description"]


def test_every_query_answers_with_rows_when_it_is_really_run():
    """What the check only plans, on made-up rows for the last day; time series have a time in their first column."""
    inventory = ROOT / "inventory" / "production"
    policy = tool.read_policy(inventory)
    end = dt.datetime.now(dt.UTC)
    with tool.policed(inventory, policy) as params:
        tool.fill(params, policy)
        connect = importlib.import_module("tools.policed").connect
        connection = connect({**params, "login_user": "grafanareader"}, tool.the_database(policy))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT array_agg(DISTINCT market) FROM provider_marketshare")
            markets = cursor.fetchone()[0]
            cursor.execute("SELECT array_agg(DISTINCT probe_alpha2) FROM ooni_web_connectivity_test")
            said = {"market": markets, "probe": cursor.fetchone()[0]}
            for one in own():
                context = Context(end - dt.timedelta(days=1), end, variables(one.data, said), 600_000)
                for query in queries(one.data):
                    cursor.execute(translate(query.sql, context))
                    rows = cursor.fetchall()
                    assert rows, query
                    assert any(value is not None for value in rows[0]), query
                    if query.format == "time_series":
                        assert cursor.description[0].name == "time", query
        connection.close()
