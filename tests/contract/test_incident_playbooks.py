"""The playbooks of corrective actions: what is missing is said in a sentence, before any host is reached."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import records
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import GOOD, NAME, after, rehearsal

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


BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 8)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_yaml_that_is_more_than_plain_data_reaches_no_host(place):
    kinds = {
        "a bomb": (BOMB, "line 1: an alias or anchor stands here"),
        "an alias": (
            GOOD.replace("cause: There", "cause: &a There") + "break_glass: *a\n",
            "an alias or anchor stands here",
        ),
        "a tag": (GOOD.replace("version: 1", "version: !!python/object/apply:os.getpid []"), "take the tag"),
    }
    for kind, (text, why) in kinds.items():
        (place / "before.yml").write_text(text)
        heard = said("carry_out", INCIDENT=str(place), DBA="alice")
        assert why in heard, kind
        assert len(heard) < 10_000, "what is refused is not unfolded"


@pytest.mark.parametrize("file", ["before.yml", "approval.sig", ""])
def test_what_is_a_link_reaches_no_host(place, tmp_path, file):
    """A file of the incident, or its whole folder."""
    elsewhere = tmp_path / "elsewhere"
    path = place / file if file else place
    if path.exists():
        path.rename(elsewhere)
    else:
        elsewhere.write_text("signed")
    path.symlink_to(elsewhere)
    assert "no link" in said("carry_out", INCIDENT=str(place), DBA="alice")


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


def test_no_task_that_has_people_s_rows_is_logged():
    plays = yaml.safe_load((ROOT / "playbooks" / "undo.yml").read_text())
    tasks = [one for play in plays for task in play.get("tasks", []) for one in task.get("block", [task])]
    with_rows = [
        task for task in tasks if "__undo_rows" in str(task) or "stdin" in str(task.get("ansible.builtin.command"))
    ]
    assert [task["name"] for task in with_rows] == ["Read them", "Write it"]
    assert all(task["no_log"] is True for task in with_rows)


@pytest.mark.parametrize(("rows", "told"), [("s3cr3t-token", "incidents: "), (None, "its command could not be run")])
def test_an_undo_that_can_not_be_written_says_why_without_the_rows(tmp_path, place, rows, told):
    """The tasks of the playbook as they are, with rows that are no saved rows, and without an interpreter."""
    plays = yaml.safe_load((ROOT / "playbooks" / "undo.yml").read_text())
    (tasks,) = [yaml.safe_dump(task) for task in plays[-1]["tasks"] if "block" in task]
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {
            "__undo_read": [{"stdout": rows or ""}],
            "__undo_incident": {"path": str(place)},
            "slug": "",
            "folder": str(ROOT / "playbooks"),
            "python": sys.executable if rows else "/no/python",
        },
        "tasks": [yaml.safe_load(tasks.replace("ansible_playbook_python", "python").replace("playbook_dir", "folder"))],
    }
    (place / "after.yml").write_text(after(plan_sha256=records.sha256(GOOD.encode())).text())
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-vv", "-i", "localhost,", tmp_path / "play.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "0", "ANSIBLE_FORCE_COLOR": "0"},
    )
    assert done.returncode == 2
    assert f'"msg": "{told}' in done.stdout
    assert "s3cr3t-token" not in done.stdout + done.stderr


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
    variables = ("__carry_known", "__carry_after")
    said = as_the_play_has_it(tmp_path, variables, ended, files, "{{ __carry_after.outcome | default('') }}")
    assert said == outcome


def as_the_play_has_it(tmp_path, variables, ended, files, template):
    """What *template* says with *variables* of the stores' play, where the host answered *ended*."""
    plays = yaml.safe_load((ROOT / "playbooks" / "carry_out.yml").read_text())
    taken = {name: plays[-2]["vars"][name] for name in variables}
    said = tmp_path / "said"
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {**taken, "__carry_ended": ended, "__carry_files": files},
        "tasks": [{"ansible.builtin.copy": {"content": template, "dest": str(said)}}],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", tmp_path / "play.yml"]
    subprocess.run(
        command, cwd=tmp_path, check=True, capture_output=True, env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "0"}
    )
    return said.read_text()


def test_the_explanation_for_the_stores_names_the_tables_that_have_lost_rows(tmp_path):
    """Those of the record, each once; a step that took none, and the record of an older version, name none."""
    (step,) = after().steps
    steps = (
        dataclasses.replace(step, gone_from=("public.parts_2", 'public."Odd"')),
        dataclasses.replace(step, gone_from=()),
        dataclasses.replace(step, gone_from=("public.parts_1", "public.parts_2")),
    )
    variables = ("__carry_known", "__carry_after", "__carry_tables")
    for number, (record, tables) in enumerate(
        [
            (after(steps=steps).text(), ['public."Odd"', "public.parts_1", "public.parts_2"]),
            (after(steps=()).text(), []),
            ("outcome: committed\nsteps: [{id: x}]\n", []),
        ]
    ):
        place = tmp_path / str(number)
        place.mkdir()
        ended = {"outcome": "committed", "after": record}
        assert json.loads(as_the_play_has_it(place, variables, ended, {}, "{{ __carry_tables | to_json }}")) == tables
