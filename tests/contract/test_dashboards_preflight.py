"""What Grafana can't be provisioned with stops on the control machine, with a sentence, before any host is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards import tree
from ansible_collections.taaraxtak.production.plugins.module_utils.files import folder as folder_module

ROOT = Path(__file__).resolve().parents[2]
GOOD: dict[str, t.Any] = {
    "dashboards_grafana": "existing",
    "dashboards_version": "12.3.0",
    "dashboards_folder": str(ROOT / "dashboards"),
    "access_policy": {
        "roles": {"grafanareader": {"os_users": ["grafana"]}},
        "scope": {"databases": ["taaraxtak"]},
    },
}
SMTP = {"host": "mail.example.org:25", "password": "$__file{/etc/grafana/secrets/smtp}"}
CASES: dict[str, tuple[dict[str, t.Any], str]] = {
    "good": ({}, ""),
    "a secret in a file": ({"dashboards_settings": {"smtp": SMTP}}, ""),
    "another port by TLS": (
        {"dashboards_host": "db.example.org", "dashboards_password": "hunter2", "dashboards_database_port": 5433},
        "",
    ),
    "other files beside the dashboards": ({"dashboards_folder": "beside"}, ""),
    "no dashboard": ({"dashboards_folder": "empty"}, "There is no dashboard in"),
    "another port by the socket": ({"dashboards_database_port": 5433}, "Grafana reaches the port 5432 alone"),
    "a bare password": ({"dashboards_settings": {"smtp": {"password": "hunter2"}}}, "smtp.password"),
    "a password in an address": (
        {"dashboards_settings": {"database": {"url": "mysql://grafana:hunter2@db.example.org/grafana"}}},
        "database.url",
    ),
    "a password in a string of a connection": (
        {"dashboards_settings": {"remote_cache": {"connstr": "addr=127.0.0.1:6379,password=hunter2"}}},
        "remote_cache.connstr",
    ),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the role's preflight says in each case; "" where it lets it pass."""
    folder = tmp_path_factory.mktemp("preflight")
    # As somebody's mistake: another file is there, and no dashboard.
    (folder / "empty").mkdir()
    (folder / "empty" / "README.txt").write_text("none yet\n")
    # What lies beside the dashboards is nobody's business: no name, link or size of it.
    shutil.copytree(ROOT / "dashboards", folder / "beside")
    (folder / "beside" / "how.txt").write_text("x" * (folder_module.MOST_BYTES + 1))
    (folder / "beside" / "link.md").symlink_to("/etc/hostname")
    tasks = []
    for number, (given, _sentence) in enumerate(CASES.values()):
        given = {key: str(folder / value) if key == "dashboards_folder" else value for key, value in given.items()}
        role = {"name": "taaraxtak.production.dashboards", "tasks_from": "preflight"}
        out = str(folder / f"{number}.json")
        tasks.append(
            {
                "vars": {**GOOD, **given},
                "block": [
                    {"ansible.builtin.include_role": role},
                    {"ansible.builtin.copy": {"content": '""', "dest": out}},
                ],
                "rescue": [
                    {"ansible.builtin.copy": {"content": "{{ ansible_failed_result.msg | to_json }}", "dest": out}}
                ],
            }
        )
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", folder / "play.yml"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return {name: json.loads((folder / f"{number}.json").read_text()) for number, name in enumerate(CASES)}


@pytest.mark.parametrize("case", CASES)
def test_it_says_what_can_not_be_and_lets_pass_what_can(said, case):
    sentence = CASES[case][1]
    assert sentence in said[case] if sentence else said[case] == ""
    assert "hunter2" not in said[case]


def test_what_can_be_exported_can_be_provisioned():
    assert tree.TREE_LIMIT == folder_module.MOST_BYTES
