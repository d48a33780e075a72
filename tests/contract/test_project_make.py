"""Every target serves a project, and what changes something works with its version."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.taaraxtak.production.tests.contract.projects import (
    ENVIRONMENT,
    PLAYBOOK,
    ROOT,
    make,
)
from ansible_collections.taaraxtak.production.tests.live import reading

CHANGING = (
    *("up", "local", "local-reset", "rehearse", "carry-out", "undo", "adopt", "adopt-back", "stores"),
    *("import-dashboards", "export-dashboards"),
)


@pytest.mark.parametrize("target", CHANGING)
def test_what_changes_something_looks_at_the_projects_version_first(project, target):
    said = make(target, f"PROJECT={project}").stdout.splitlines()
    looked = [place for place, line in enumerate(said) if "tools/doctor.py --pin" in line]
    ran = [place for place, line in enumerate(said) if "ansible-playbook" in line]
    assert looked[:1] < ran[:1], said
    assert looked


# Of no inventory: make looks for them.
READING = {"audit.yml", "status.yml", "export_dashboards.yml", "import_dashboards.yml", "init.yml"}


def looks_at_the_version(playbook: Path) -> bool:
    text = playbook.read_text()
    if "__project_pin ==" in text or "linode_preflight.yml" in text or playbook.name == "groups.yml":
        return True
    imported = re.findall(r"import_playbook: (\S+)\n((?:  vars:\n    __groups_reads: true\n)?)", text)
    return any(not reads and looks_at_the_version(playbook.with_name(name)) for name, reads in imported)


def test_every_playbook_that_changes_something_looks_at_the_projects_version():
    """Without make, too."""
    assert {path.name for path in (ROOT / "playbooks").glob("*.yml") if not looks_at_the_version(path)} == READING


def play(playbook: str, inventory: Path, *more: str) -> subprocess.CompletedProcess:
    command = [PLAYBOOK, "-i", inventory, ROOT / "playbooks" / playbook, *more]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("playbook", "inventory"),
    [
        ("site.yml", "production"),
        ("stores.yml", "production"),
        ("adopt_back.yml", "production"),
        ("linode.yml", "production"),
        ("local_states.yml", "local"),
    ],
)
def test_a_playbook_of_another_version_than_the_projects_stops_at_once(broken, playbook, inventory):
    path = broken / "requirements.yml"
    path.write_text(re.sub('version: ".*"', 'version: "7.0.0-rc.1"', path.read_text()))
    done = play(playbook, broken / "inventory" / inventory)
    assert done.returncode != 0
    assert "requirements.yml asks for 7.0.0-rc.1, and this is" in done.stdout
    assert "changed=1" not in done.stdout
    assert done.stdout.count("TASK [") == 1


def test_a_project_without_a_written_version_is_changed_by_none(broken):
    (broken / "requirements.yml").unlink()
    assert "write there which version" in play("groups.yml", broken / "inventory/production").stdout


def test_the_version_of_a_project_stops_no_audit_and_no_checkout(broken):
    path = broken / "requirements.yml"
    path.write_text(re.sub('version: ".*"', 'version: "9.9.9"', path.read_text()))
    assert play("groups.yml", broken / "inventory/production", "-e", "__groups_reads=true").returncode == 0
    assert play("groups.yml", ROOT / "inventory/production").returncode == 0


@pytest.mark.parametrize(
    "words",
    [
        *((target,) for target in (*CHANGING, "status", "down", "audit", "local-down", "local-snapshot")),
        *((target,) for target in ("schema", "matrix", "check-panels", "fetch", "verify", "incident", "incidents")),
        *(
            (target, "INCIDENT=incidents/x")
            for target in ("carry-out", "undo", "rehearse", "approve", "incident-report")
        ),
    ],
    ids="-".join,
)
def test_no_target_touches_the_repositorys_own_files_for_a_project(project, words):
    """What a command names, and what it is told by the environment: every path of them is the project's."""
    rules = make("--print-data-base", *words, f"PROJECT={project}")
    assert rules.returncode == 0, rules.stderr
    said = make(*words, f"PROJECT={project}").stdout
    assert not re.search(r"[ \"=](\./)?(inventory|build|dashboards|incidents|sample)/", said), said
    own = rf"^{words[0]}: TAARAXTAK_[A-Z_]+ = (.*)$"
    told = [line for line in re.findall(own, rules.stdout, re.MULTILINE) if "/" in line]
    assert all("$(call seen," in line or "$(abspath" in line for line in told), told


def test_a_projects_own_settings_of_ansible_are_taken(project, broken, tmp_path):
    """And its collection is this checkout, whatever they say."""
    (tmp_path / "shown.mk").write_text(
        'include Makefile\nshown: ; @echo "$$ANSIBLE_CONFIG|$${ANSIBLE_COLLECTIONS_PATH:-}"\n'
    )

    def said(*words: str) -> str:
        command = ["make", "-s", "-f", tmp_path / "shown.mk", "shown", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    assert said(f"PROJECT={project}") == f"{project}/ansible.cfg|{ROOT}/.ansible/collections"
    (broken / "ansible.cfg").unlink()
    assert said(f"PROJECT={broken}").startswith(f"{ROOT}/ansible.cfg|")
    assert said() == f"{ROOT}/ansible.cfg|{os.environ.get('ANSIBLE_COLLECTIONS_PATH', '')}"


def test_an_empty_name_of_a_project_is_not_this_checkout():
    refused = make("down", "PROJECT=")
    assert refused.returncode != 0
    assert "PROJECT is empty" in refused.stderr


@pytest.mark.parametrize(
    ("variables", "environment", "expected"),
    [
        ({}, {}, str(ROOT / "build/linode/verify.json")),
        ({"project_folder": "/srv/project"}, {}, "/srv/project/build/linode/verify.json"),
        ({}, {"TAARAXTAK_PROJECT": "/srv/shop"}, "/srv/shop/build/linode/verify.json"),
        ({"linode_report": "/else.json", "project_folder": "/srv/project"}, {}, "/else.json"),
    ],
)
def test_verify_reads_what_the_provider_said_of_the_project(monkeypatch, variables, environment, expected):
    monkeypatch.delenv("TAARAXTAK_PROJECT", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert str(reading.report(variables)) == expected


def test_a_targets_paths_are_seen_from_the_project(project, tmp_path):
    shown = (
        'init: ; @echo "$$TAARAXTAK_BASE|$$TAARAXTAK_FOLDER|$(call seen,inventory/x)|$(call seen,/abs)|$(call seen,)"'
    )
    (tmp_path / "shown.mk").write_text(f"include Makefile\nshown{shown.removeprefix('init')}\n")

    def said(*words: str) -> str:
        command = ["make", "-s", "-f", tmp_path / "shown.mk", "shown", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    assert said(f"PROJECT={project}") == f"{project}|{project}/incidents|{project}/inventory/x|/abs|"
    assert said() == f"{ROOT}|incidents|inventory/x|/abs|"


def test_an_incident_of_a_project_names_no_place_of_this_machine(broken):
    """Its first line tells editors where the schema is."""
    command = [sys.executable, ROOT / "tools/incidents.py", "--folder", broken / "incidents", "new", "few-words"]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (begun,) = (broken / "incidents").glob("*/before.yml")
    named = begun.read_text().splitlines()[0].partition("$schema=")[2]
    place = ".ansible/collections/ansible_collections/taaraxtak/production/docs/incident.schema.json"
    assert (begun.parent / named).resolve() == broken.resolve() / place


@pytest.mark.parametrize(("version", "status"), [("{here}", 0), ("9{here}", 1), ("0123abcd", 0)])
def test_another_version_than_the_projects_changes_nothing(broken, version, status):
    """A commit can't be compared: that is said, and people decide."""
    path, here = broken / "requirements.yml", yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    path.write_text(path.read_text().replace(here, version.format(here=here)))
    command = [sys.executable, ROOT / "tools/doctor.py", "--pin", broken]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert bool(done.stdout) == (version != "{here}")


def test_a_project_is_named_on_the_command_line_alone(project):
    """PROJECT is a name that other programs' environments have."""
    assert make("down", PROJECT="/nowhere").returncode == 0
    refused = make("down", "PROJECT=/nowhere")
    assert refused.returncode != 0
    assert "There is no project in /nowhere" in refused.stderr
