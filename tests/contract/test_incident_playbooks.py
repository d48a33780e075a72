"""The playbooks of corrective actions: what is missing is said in a sentence, before any host is reached."""

from __future__ import annotations

import base64
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import GOOD, NAME, rehearsal

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


def test_a_rehearsal_whose_queries_the_parser_did_not_make_reaches_no_host(place):
    """It was edited and then approved, it may be."""
    (step,) = rehearsal().steps
    worse = tuple(dataclasses.replace(save, query=f"{save.query}; DROP TABLE public.t") for save in step.saves)
    made = rehearsal(steps=(dataclasses.replace(step, saves=worse),))
    (place / "rehearsal.yml").write_text(made.text())
    assert "does not save the rows of this plan: rehearse it again" in said(
        "carry_out", INCIDENT=str(place), DBA="alice"
    )


def test_an_incident_that_was_not_committed_is_not_undone(place):
    assert "there is nothing to undo" in said("undo", INCIDENT=str(place))


def test_the_stores_are_told_of_what_was_committed_even_where_the_run_fails():
    """What fails is kept, the stores' play is reached, and the last play fails."""
    plays = yaml.safe_load((ROOT / "playbooks" / "carry_out.yml").read_text())
    names = [play["name"] for play in plays]
    assert names[-3:] == ["Carry it out", "Tell the stores why rows are gone", "Say how it ended"]
    (carried,) = plays[-3]["tasks"]
    assert "__carry_failed" in carried["rescue"][-1]["ansible.builtin.set_fact"]
    (last,) = plays[-1]["tasks"]
    assert (plays[-1]["hosts"], last["when"]) == (plays[-3]["hosts"], "__carry_failed is defined")
    assert "ansible.builtin.fail" in last


KNOWN = {"after.yml": base64.b64encode(b"outcome: committed\n").decode()}


@pytest.mark.parametrize(
    ("ended", "files", "outcome"),
    [
        ({"outcome": "committed", "after": "outcome: committed"}, {}, "committed"),
        ({"outcome": "committed", "after": ""}, KNOWN, "committed"),
        ({"outcome": "rolled back", "after": ""}, KNOWN, ""),
        ({"outcome": "not started", "after": "outcome: not started"}, KNOWN, "not started"),
        ({}, {}, ""),
    ],
)
def test_stores_that_could_not_be_told_are_told_by_the_same_command(tmp_path, ended, files, outcome):
    """The host gives its report once; then the one in the folder counts."""
    plays = yaml.safe_load((ROOT / "playbooks" / "carry_out.yml").read_text())
    taken = {name: plays[-2]["vars"][name] for name in ("__carry_known", "__carry_after")}
    said = tmp_path / "said"
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {**taken, "__carry_ended": ended, "__carry_files": files},
        "tasks": [
            {"ansible.builtin.copy": {"content": "{{ __carry_after.outcome | default('') }}", "dest": str(said)}}
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", tmp_path / "play.yml"]
    subprocess.run(
        command, cwd=tmp_path, check=True, capture_output=True, env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "0"}
    )
    assert said.read_text() == outcome
