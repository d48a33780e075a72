"""The role's provisioning files have the fields that Grafana documents, whatever version and database are asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "dashboards"
STALE = [{"table": "public.t", "column": "time", "max_age": 60}]
ELSEWHERE = {"dashboards_host": "db.example.org", "dashboards_password": "hunter2", "dashboards_database": "a$b"}


def aged(*ages: int) -> list[dict[str, t.Any]]:
    return [{"table": f"public.t{number}", "column": "time", "max_age": age} for number, age in enumerate(ages)]


CASES: dict[str, dict[str, t.Any]] = {
    "9.3": {"dashboards_version": "9.3.0"},
    "10.4": {"dashboards_version": "10.4.1"},
    "11.0": {"dashboards_version": "11.0.0", "dashboards_datasources_gone": ["Old $one"]},
    "11.1": {"dashboards_version": "11.1.0", "dashboards_editable": True},
    "nothing to be stale": {"dashboards_version": "12.3.0", "dashboards_stale": []},
    "an hour and a day": {"dashboards_version": "12.3.0", "dashboards_stale": aged(86400, 3600)},
    "a day": {"dashboards_version": "12.3.0", "dashboards_stale": aged(93600)},
    "three hours": {"dashboards_version": "12.3.0", "dashboards_stale": aged(3 * 3600)},
    "elsewhere": {"dashboards_version": "12.3.0", **ELSEWHERE},
    "IPv6": {"dashboards_version": "12.3.0", **ELSEWHERE, "dashboards_host": "2001:db8::1"},
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, t.Any]]:
    """What the role writes in each case."""
    folder = tmp_path_factory.mktemp("provisioning")
    held = {
        "datasources": "__dashboards_datasources",
        "dashboards": "__dashboards_providers",
        "alerting": "__dashboards_alerting",
        "ini": "__dashboards_ini",
    }
    content = "{{ {" + ", ".join(f"'{name}': {variable}" for name, variable in held.items()) + "} | to_json }}"
    plays = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars_files": [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")],
            "tasks": [
                {
                    "ansible.builtin.copy": {"content": content, "dest": str(folder / f"{number}.json")},
                    "vars": {"dashboards_stale": STALE, "access_policy": {}, **case},
                }
            ],
        }
        for number, case in enumerate(CASES.values())
    ]
    (folder / "play.yml").write_text(yaml.safe_dump(plays))
    subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", folder / "play.yml"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return {name: json.loads((folder / f"{number}.json").read_text()) for number, name in enumerate(CASES)}


@pytest.mark.parametrize(("case", "url"), [("elsewhere", "db.example.org:5432"), ("IPv6", "[2001:db8::1]:5432")])
def test_the_database_elsewhere_is_an_address_and_a_port(rendered, case, url):
    assert rendered[case]["datasources"]["datasources"][0]["url"] == url


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["datasources", "dashboards", "alerting"])
def test_a_file_has_the_documented_fields_and_no_others(rendered, case, kind):
    schema = json.loads((Path(__file__).parent / f"schemas/grafana/{kind}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(rendered[case][kind], schema)


@pytest.mark.parametrize("case", CASES)
def test_the_datasource_is_one_that_old_and_new_dashboards_find(rendered, case):
    [source] = rendered[case]["datasources"]["datasources"]
    assert source["uid"] == "taaraxtak"
    assert source["isDefault"]
    assert not source["editable"]
    assert source["database"] == source["jsonData"]["database"]
    assert source["type"] == ("postgres" if case == "9.3" else "grafana-postgresql-datasource")
    assert ("prune" in rendered[case]["datasources"]) == (case not in ("9.3", "10.4", "11.0"))


@pytest.mark.parametrize("case", CASES)
def test_a_dashboard_can_be_saved_in_place_only_where_that_is_asked_for(rendered, case):
    [provider] = rendered[case]["dashboards"]["providers"]
    assert provider["allowUiUpdates"] == CASES[case].get("dashboards_editable", False)
    assert not provider["disableDeletion"]
    assert not provider["options"]["path"].startswith("/var/lib/grafana")


def test_a_database_elsewhere_is_reached_by_tls_and_the_password_is_in_no_file_but_its_own(rendered):
    [source] = rendered["elsewhere"]["datasources"]["datasources"]
    assert source["jsonData"]["sslmode"] == "verify-full"
    assert source["url"] == "db.example.org:5432"
    assert source["secureJsonData"] == {"password": "$__file{/etc/grafana/secrets/password}"}
    assert "hunter2" not in json.dumps(rendered["elsewhere"])


def test_a_dollar_is_not_expanded(rendered):
    [source] = rendered["elsewhere"]["datasources"]["datasources"]
    assert source["database"] == source["jsonData"]["database"] == "a$$b"
    assert rendered["11.0"]["datasources"]["deleteDatasources"] == [{"name": "Old $$one", "orgId": 1}]


@pytest.mark.parametrize("case", CASES)
def test_no_alert_has_a_dollar_in_it_since_versions_differ_in_where_they_expand_it(rendered, case):
    assert "$" not in json.dumps(rendered[case]["alerting"])


@pytest.mark.parametrize(
    ("case", "interval"), [("9.3", "5m"), ("an hour and a day", "5m"), ("a day", "60m"), ("three hours", "15m")]
)
def test_the_alert_asks_no_more_often_than_the_shortest_age_needs(rendered, case, interval):
    """Grafana's scheduler knows multiples of ten seconds alone."""
    [group] = rendered[case]["alerting"]["groups"]
    assert group["interval"] == interval


def test_where_nothing_can_be_stale_the_alert_goes(rendered):
    assert rendered["nothing to be stale"]["alerting"]["deleteRules"] == [{"orgId": 1, "uid": "taaraxtak-stale"}]


@pytest.mark.parametrize("case", CASES)
def test_the_settings_hold_no_secret(rendered, case):
    security = rendered[case]["ini"]["security"]
    assert [security[key].startswith("$__file{") for key in ("admin_password", "secret_key")] == [True, True]


def test_each_file_of_the_stand_in_says_so_in_its_first_line():
    files = sorted((ROOT / "tests/stand_ins/grafana").glob("*.py"))
    assert files
    for path in files:
        assert "stand-in" in (first := path.read_text().splitlines()[0]), path
        assert "NOT Grafana" in first, path


def asked_on_the_host() -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    """Each ansible.builtin.uri of the roles and playbooks, but those that ask Linode, perhaps through a proxy."""

    def inside(value: t.Any) -> t.Iterator[dict[str, t.Any]]:
        for one in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
            yield from inside(one)
        if isinstance(value, dict) and "ansible.builtin.uri" in value:
            yield value["ansible.builtin.uri"]

    for path in [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/**/*.yml")]:
        if path.name == "linode_call.yml":
            continue
        yield from ((path.name, one) for one in inside(yaml.safe_load(path.read_text())))


def test_no_proxy_is_asked_for_a_grafana_on_the_host_itself():
    asked = list(asked_on_the_host())
    assert len(asked) >= 4
    assert [one for one in asked if one[1].get("use_proxy") is not False] == []
