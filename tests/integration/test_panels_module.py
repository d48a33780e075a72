"""The module grafana_panels_info: what it answers, when it fails, and that it only reads."""

from __future__ import annotations

import json

import pytest
from ansible_collections.taaraxtak.production.tests.integration.conftest import run_module
from ansible_collections.taaraxtak.production.tests.integration.panels_host import login, policed_tables

GOOD = (
    "SELECT $__timeGroupAlias(time, $__interval), avg(gini) FROM pop_weighted_gini WHERE $__timeFilter(time) GROUP BY 1"
)
REFUSED = "SELECT ip FROM ip_hostname_mapping"
BROKEN = "SELECT nothing FROM pop_weighted_gini"


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with policed_tables(tmp_path_factory.mktemp("panels")) as made:
        yield made


@pytest.fixture
def check(host, tmp_path):
    """Write a dashboard with panels of the given SQL, and run the module on it."""

    def run(*texts, check=False, templating=(), **options):
        panels = [
            {
                "id": n,
                "title": f"Panel {n}",
                "type": "table",
                "targets": [{"refId": "A", "rawSql": sql, "format": "table"}],
            }
            for n, sql in enumerate(texts, 1)
        ]
        data = {"uid": "one", "title": "One", "panels": panels, "templating": {"list": list(templating)}}
        (tmp_path / "Folder").mkdir(exist_ok=True)
        (tmp_path / "Folder" / "one.json").write_text(json.dumps(data))
        return run_module("grafana_panels_info", {"path": str(tmp_path), **login(host), **options}, check=check)

    return run


def known(panel):
    return {"dashboard": "one", "panel": panel, "reason": "waits"}


def test_it_answers_of_each_panel_and_changes_nothing(check):
    for in_check_mode in (False, True):
        result = check(GOOD, REFUSED, BROKEN, check=in_check_mode)
        assert not result.failed, result.msg
        assert not result.changed
        assert result.values["summary"] == {"works": 1, "slow": 0, "refused": 1, "broken": 1, "known_broken": 0}
        assert result.values["panels"][1] == {
            "dashboard": "one",
            "title": "One",
            "panel": "Panel 2",
            "panel_id": 2,
            "kind": "panel",
            "result": "refused",
            "why": "grafanareader lacks SELECT on table public.ip_hostname_mapping",
            "missing": ["SELECT on table public.ip_hostname_mapping"],
            "reason": "",
        }
        assert result.values["stale"] == []


def test_it_fails_on_what_it_is_told_to_fail_on_and_answers_all_the_same(check):
    assert not check(GOOD, fail_on="slow").failed
    result = check(GOOD, REFUSED, fail_on="refused")
    assert result.failed
    assert "One: Panel 2 is refused: grafanareader lacks" in result.msg
    assert len(result.values["panels"]) == 2
    whole = "SELECT count(*) FROM provider_marketshare"
    assert not check(whole, fail_on="refused", slow_rows=100).failed
    assert "Panel 1 is slow: reads some 500 rows" in check(whole, fail_on="slow", slow_rows=100).msg


def test_known_broken_panels_pass_and_stale_entries_fail(check):
    result = check(GOOD, REFUSED, known_broken=[known("Panel 2")], fail_on="refused")
    assert not result.failed, result.msg
    assert result.values["panels"][1]["result"] == "known_broken"
    stale = check(GOOD, known_broken=[known("1")])
    assert not stale.failed
    assert stale.values["stale"] == ["known_broken: 1 of the dashboard one works again: take the entry out"]
    assert check(GOOD, known_broken=[known("Panel 1")], fail_on="refused").failed
    assert "leaves dashboard, panel or reason empty" in check(GOOD, known_broken=[{**known("P"), "reason": ""}]).msg


def test_variables_get_the_values_that_are_given(check):
    variable = {"name": "step", "type": "textbox", "query": ""}
    sql = "SELECT $__timeGroup(time, '$step') FROM pop_weighted_gini"
    assert check(sql, templating=[variable]).values["panels"][0]["result"] == "broken"
    assert check(sql, templating=[variable], variables={"step": "5m"}).values["panels"][0]["result"] == "works"
    assert (
        "the dashboard One: the value of the variable step"
        in check(sql, templating=[variable], variables={"step": {}}).msg
    )


def test_a_value_for_a_variable_that_no_dashboard_has_is_refused(check):
    assert "no dashboard has a variable markt" in check(GOOD, variables={"markt": "x"}).msg


def test_what_can_not_be_looked_at_fails_with_a_sentence(check, host, tmp_path):
    assert "there is no folder" in check(GOOD, path=str(tmp_path / "nowhere")).msg
    assert "postgres is a superuser" in check(GOOD, login_user="postgres").msg
    assert 'role "nobody_such" does not exist' in check(GOOD, login_user="nobody_such").msg
    assert "timeout_ms" in check(GOOD, timeout_ms=0).msg
    (tmp_path / "Folder" / "two.json").write_text("[]")
    assert "Folder/two.json: it is not a dashboard" in check(GOOD).msg


def test_check_mode_before_there_is_a_server_foretells(check, tmp_path):
    result = check(GOOD, check=True, login_unix_socket=str(tmp_path / "no-socket"))
    assert not result.failed, result.msg
    assert "can't be looked at yet" in result.msg
    assert result.values["panels"] == []
    assert check(GOOD, login_unix_socket=str(tmp_path / "no-socket")).failed
