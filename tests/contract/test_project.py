"""A project of one's own: made once, whole, and every target serves it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
ENVIRONMENT = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}


def begin(folder: Path, *more: str) -> subprocess.CompletedProcess:
    command = [PLAYBOOK, "-i", "localhost,", ROOT / "playbooks/init.yml", "-e", f"project={folder}", *more]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def doctor(project: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "tools/doctor.py", project]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def make(*words: str, **environment: str) -> subprocess.CompletedProcess:
    command = ["make", "--dry-run", *words]
    there = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=there, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("projects") / "My.shop"
    done = begin(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def broken(tmp_path, project) -> Path:
    """A copy that a test may spoil."""
    subprocess.run(["cp", "-r", project, tmp_path / "copy"], check=True)
    return tmp_path / "copy"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_project_has_every_file_of_the_inventories_and_of_the_dashboards(project):
    tracked = subprocess.run(
        ["git", "ls-files", "inventory/production", "inventory/local", "dashboards", "sample"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    there = files(project)
    assert set(tracked) <= set(there), "playbooks/vars/init.yml has the lists"
    beside = {"README.md", ".gitignore", "ansible.cfg", "requirements.yml", "incidents/.gitkeep"}
    assert set(there) - set(tracked) - beside == {f"inventory/{one}/group_vars/all/project.yml" for one in
                                                  ("production", "local")}  # fmt: skip


def test_an_installed_collection_has_all_that_a_project_is_made_of(project):
    ignored = set(yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"])
    assert ignored.isdisjoint({name.split("/")[0] for name in files(project)} - {".gitignore"})
    assert ignored.isdisjoint({"playbooks", "tools", "plugins", "meta", "docs"})


def test_only_the_containers_names_and_the_schemas_place_differ(project):
    differing = {
        name
        for name, content in files(project).items()
        if (ROOT / name).is_file() and content != (ROOT / name).read_bytes()
    }
    ours = {"README.md", ".gitignore", "ansible.cfg", "requirements.yml"}
    assert differing - ours == {
        "inventory/local/group_vars/all/connection.yml",
        "inventory/local/hosts.yml",
        "inventory/local/group_vars/production_hosts/access_policy.yml",
        "inventory/production/group_vars/production_hosts/access_policy.yml",
    }


def test_policy_and_tables_are_written_once(project):
    for name in ("access_policy.yml", "schema.sql"):
        place = Path("group_vars/production_hosts") / name
        assert (project / "inventory/local" / place).resolve() == project.resolve() / "inventory/production" / place


def test_its_pin_is_this_version(project):
    (pin,) = yaml.safe_load((project / "requirements.yml").read_text())["collections"]
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    assert pin == {"name": "taaraxtak.production", "version": version}


def test_its_containers_are_no_other_projects(project, tmp_path):
    other = tmp_path / "My.shop"
    assert begin(other).returncode == 0

    def scopes(folder: Path) -> list[str]:
        texts = [
            (folder / "inventory/local" / name).read_text() for name in ("group_vars/all/connection.yml", "hosts.yml")
        ]
        return [name for text in texts for name in re.findall(r"default\('([a-z0-9-]+)', true\)", text)]

    assert re.fullmatch(r"up-my-shop-[0-9a-f]{4}", scopes(project)[0])
    assert not {"up", "local"} & set(scopes(project))
    assert {name for name in scopes(project) if "shop" in name}.isdisjoint(scopes(other))


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / ".hidden").write_text("mine")
    done = begin(tmp_path)
    assert done.returncode != 0
    assert "is not an empty folder" in done.stdout
    assert files(tmp_path) == {".hidden": b"mine"}


@pytest.mark.parametrize("name", ["with space", "quo'te", "dollar$(id)"])
def test_a_path_that_a_shell_would_read_is_refused(tmp_path, name):
    done = begin(tmp_path / name, "-e", f'{{"project": "{tmp_path / name}"}}')
    assert done.returncode != 0
    assert not (tmp_path / name).exists()


def test_a_relative_folder_is_seen_from_where_the_command_is_typed(tmp_path):
    command = [PLAYBOOK, "-i", "localhost,", ROOT / "playbooks/init.yml", "-e", "project=./new/../shop"]
    environment = {**ENVIRONMENT, "PWD": str(tmp_path)}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert (tmp_path / "shop/inventory/production/hosts.yml").exists()


def test_check_mode_writes_nothing(tmp_path):
    done = begin(tmp_path / "new", "--check")
    assert done.returncode == 0, done.stdout
    assert "would be a project" in done.stdout
    assert not (tmp_path / "new").exists()


def test_a_new_project_is_well(project):
    done = doctor(project)
    assert done.returncode == 0, done.stdout
    assert "Nothing to mend." in done.stdout


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("requirements.yml", 'version: "', 'version: "9', "asks for 9"),
        ("requirements.yml", "version:", "another:", "has no version"),
        ("ansible.cfg", "inject_facts_as_vars = false", "", "inject_facts_as_vars = false"),
        ("inventory/production/group_vars/all/host.yml", "host_devops:", "host_devop:", "write host_devops"),
        ("inventory/production/group_vars/all/host.yml", "host_devops:", "host_devop:", "host_devops is set nowhere"),
        ("inventory/production/hosts.yml", "ansible_host: 192.0.2.10", "backup_store: 1", "knows no backup_store"),
        ("inventory/production/group_vars/production_hosts/access_policy.yml", "mode: auth", "mode: Auth", "mode"),
        ("inventory/production/group_vars/all/host.yml", "host_devops:", "host_devops: [", "is no YAML"),
    ],
)
def test_what_a_version_needs_is_named(broken, name, old, new, said):
    path = broken / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    done = doctor(broken)
    assert done.returncode == 1, done.stdout
    assert said in done.stdout


def test_a_file_that_is_vaulted_whole_is_said_to_be_unread(broken):
    (broken / "inventory/production/group_vars/all/secrets.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n3339\n")
    done = doctor(broken)
    assert done.returncode == 0, done.stdout
    assert "secrets.yml is vaulted as a whole" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("up",),
        ("status",),
        ("down",),
        ("audit",),
        ("local",),
        ("local-down",),
        ("carry-out", "INCIDENT=incidents/x"),
        ("undo", "INCIDENT=incidents/x"),
        ("rehearse", "INCIDENT=incidents/x"),
    ],
)
def test_no_target_touches_the_repositorys_own_inventory_for_a_project(project, words):
    done = make(*words, f"PROJECT={project}")
    assert done.returncode == 0, done.stderr
    assert not re.search(r"-i \"?(\./)?inventory/|[ \"]build/(site|status|audit)", done.stdout), done.stdout


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
    for target in ("up", "local", "rehearse", "carry-out"):
        assert "tools/doctor.py --pin" in make(target, f"PROJECT={broken}").stdout


def test_a_project_is_named_on_the_command_line_alone(project):
    """PROJECT is a name that other programs' environments have."""
    assert make("down", PROJECT="/nowhere").returncode == 0
    refused = make("down", "PROJECT=/nowhere")
    assert refused.returncode != 0
    assert "There is no project in /nowhere" in refused.stderr


@pytest.mark.parametrize("given", ["env", "inventory"])
def test_playbooks_read_and_write_in_the_project(project, tmp_path, given):
    """By make's word, and without make by the project's inventory; on localhost too, which is in no inventory."""
    play = tmp_path / "play.yml"
    play.write_text(
        "- hosts: localhost:production\n  gather_facts: false\n  connection: local\n"
        f"  vars_files: [{ROOT}/playbooks/vars/project.yml]\n"
        "  tasks: [{ansible.builtin.debug: {msg: 'at={{ __project_folder | realpath }}='}}]\n"
    )
    inventory = (project if given == "inventory" else ROOT) / "inventory/production"
    environment = {**ENVIRONMENT, **({"TAARAXTAK_PROJECT": str(project)} if given == "env" else {})}
    done = subprocess.run(
        [PLAYBOOK, "-i", inventory, play], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.count(f"at={project.resolve()}=") == 2, done.stdout + done.stderr


def test_the_playbooks_of_dashboards_find_what_make_local_has_written_in_the_project(broken, tmp_path):
    """Which Grafana is the developer's own stands in the folder that playbooks/vars/local.yml names."""
    play = tmp_path / "play.yml"
    play.write_text(
        "- hosts: developer\n  gather_facts: false\n  connection: local\n"
        f"  vars_files: {[f'{ROOT}/playbooks/vars/{name}.yml' for name in ('project', 'local', 'exchange')]}\n"
        "  tasks: [{ansible.builtin.debug: {msg: 'same={{ __local_grafana_note == __exchange_note }}='}}]\n"
    )
    command = [PLAYBOOK, "-i", broken / "inventory/local", play]
    done = subprocess.run(command, env=ENVIRONMENT, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "same=True=" in done.stdout, done.stdout + done.stderr


def test_the_audit_reads_the_incidents_that_the_inventory_names(broken, tmp_path):
    """On localhost, which has no inventory_dir: an audit of another folder would find nothing overdue for ever."""
    text = (ROOT / "playbooks/audit.yml").read_text()
    (expression,) = re.findall(r"incident_info:\n(?: +#.*\n)* +folder: \"\{\{ (.*) \}\}\"", text)
    variables = broken / "inventory/production/group_vars/all/audit.yml"
    variables.write_text(
        re.sub(r"(?m)^audit_incidents:.*", 'audit_incidents: "{{ inventory_dir }}/kept"', variables.read_text())
    )
    play = tmp_path / "play.yml"
    play.write_text(
        "- hosts: localhost\n  gather_facts: false\n  connection: local\n"
        f"  vars_files: {[f'{ROOT}/playbooks/vars/{name}.yml' for name in ('project', 'audit')]}\n"
        f'  tasks:\n    - ansible.builtin.debug:\n        msg: "at={{{{ {expression} }}}}="\n'
    )
    command = [PLAYBOOK, "-i", broken / "inventory/production", play]
    done = subprocess.run(command, env=ENVIRONMENT, cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"at={broken.resolve()}/inventory/production/kept=" in done.stdout, done.stdout + done.stderr
