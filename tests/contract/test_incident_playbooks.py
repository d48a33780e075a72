"""The playbooks of corrective actions: what is missing is said in a sentence, before any host is reached."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import GOOD, NAME

ROOT = Path(__file__).resolve().parents[2]


def said(playbook: str, **words: str) -> str:
    """What a playbook says that stops, with *words* as make hands them on."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAARAXTAK_")}
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "inventory/local", f"playbooks/{playbook}.yml"],
        cwd=ROOT,
        # No container is called so: where a playbook went on, it would fail in another way.
        env={
            **environment,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "0",
            "MOLECULE_SCENARIO_NAME": "contract",
            **{f"TAARAXTAK_{word}": value for word, value in words.items()},
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "PLAY [Carry it out]" not in done.stdout
    return " ".join(done.stdout.split())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.mkdir()
    (path / "before.yml").write_text(GOOD)
    return path


def test_nothing_is_carried_out_or_undone_without_a_name():
    assert "What is to be carried out?" in said("carry_out")
    assert "What is to be undone?" in said("undo")


def test_only_a_database_administrator_of_the_policy_carries_out(place):
    for person in ("", "bob", "collector", "dba", "root"):
        assert f"{person or 'Nobody'} is no database administrator" in said(
            "carry_out", INCIDENT=str(place), DBA=person
        )


def test_a_plan_that_the_rules_refuse_reaches_no_host(place):
    (place / "before.yml").write_text(GOOD.replace("WHERE a.name = b.name AND a.ctid > b.ctid", ""))
    assert "(without-where)" in said("carry_out", INCIDENT=str(place), DBA="alice")


def test_an_incident_that_was_not_committed_is_not_undone(place):
    assert "there is nothing to undo" in said("undo", INCIDENT=str(place))
