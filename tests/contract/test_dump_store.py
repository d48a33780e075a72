"""The store's role: what is expected where nobody says so, and what becomes of a check that ends without a verdict."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps import keeper
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.freshness import Level

ROLE = Path(__file__).parents[2] / "roles" / "dump_store"


def expected(folder: Path, said: dict[str, t.Any]) -> dict[str, t.Any]:
    """What the role writes into the check's settings for three writers, of which one says nothing."""
    hosts = {"one": {"backup_databases": ["app", "other"]}, "two": {"backup_databases": ["app", "third"]}, "three": {}}
    store = {
        "ansible_connection": "local",
        "dump_store_writers": [{"inventory_name": name, "from": "192.0.2.1"} for name in hosts],
        "dump_store_expect": said,
        "dump_store_drill": True,
    }
    (folder / "inventory.yml").write_text(json.dumps({"all": {"hosts": {**hosts, "store": store}}}))
    written = folder / "expect.json"
    play = {
        "hosts": "store",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.include_vars": str(ROLE / "vars" / "main.yml")},
            {
                "ansible.builtin.copy": {
                    "dest": str(written),
                    "content": "{{ __dump_store_expect | to_json }}",
                    "mode": "0600",
                }
            },
        ],
    }
    (folder / "play.yml").write_text(json.dumps([play]))
    subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", folder / "inventory.yml", folder / "play.yml"],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    return dict(json.loads(written.read_text()))


@pytest.mark.parametrize(
    ("said", "databases"),
    [
        ({}, ["app", "other", "third"]),
        ({"look_back_days": 3}, ["app", "other", "third"]),
        ({"databases": ["x"]}, ["x"]),
    ],
)
def test_what_the_writers_bring_is_expected_unless_the_inventory_says_else(
    tmp_path: Path, said: dict[str, t.Any], databases: list[str]
) -> None:
    assert expected(tmp_path, said) == {**said, "databases": databases}


def test_a_check_without_a_verdict_is_told_by_systemd() -> None:
    lines = (ROLE / "templates" / "taaraxtak-dumps-check.service.j2").read_text().splitlines()
    assert "OnFailure=taaraxtak-dumps-failed@%n.service" in lines
    (well,) = [line.partition("=")[2].split() for line in lines if line.startswith("SuccessExitStatus=")]
    assert well == [str(int(level)) for level in (Level.WARNING, Level.CRITICAL)]
    assert str(keeper.CRASHED) not in well
