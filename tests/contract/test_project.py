"""A project of one's own: made once, whole, and playbooks find it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.taaraxtak.production.tests.contract.projects import (
    ENVIRONMENT,
    PLAYBOOK,
    ROOT,
    begin,
    files,
)


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


# What somebody who works with the checkout's own inventories has in it, and nobody else may.
PRIVATE = (
    *(
        "inventory/production/.ca/authority",
        ".ca/authority",
        "inventory/split/.ca/production/one.crl",
        "build/audit/a.json",
    ),
    *("incidents/2026-11-22-rows/saved.jsonl", "inventory/production/group_vars/all/vault.yml", "box.key", "alice.age"),
    *("inventory/production/host_vars/production/linode.yml", "inventory/production/known_hosts.txt", ".env"),
    *("taaraxtak.sql.zst", "inventory/production/group_vars/production_hosts/vaulted.yml"),
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The collection as its package brings it, built in a checkout that is worked with."""
    base = tmp_path_factory.mktemp("package")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in {one for one in names if one and (ROOT / one).is_file()}:
        (base / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, base / "checkout" / name)
    for name in PRIVATE:
        (base / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
        (base / "checkout" / name).write_text("private")
    build = [PLAYBOOK.with_name("ansible-galaxy"), "collection", "build", "--output-path", base]
    subprocess.run(build, cwd=base / "checkout", env=ENVIRONMENT, capture_output=True, check=True)
    (archive,) = base.glob("*.tar.gz")
    folder = base / "ansible_collections/taaraxtak/production"
    folder.mkdir(parents=True)
    subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True)
    return folder


def test_the_package_has_nobodys_secrets_and_no_rows(installed):
    there = files(installed)
    assert [name for name, content in there.items() if content == b"private"] == []
    assert len(there) > 500


def test_a_project_is_begun_and_judged_by_the_package_alone(installed, tmp_path):
    """Without make, which is not in it."""
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(installed.parents[2]), "ANSIBLE_NOCOLOR": "1"}
    command = [PLAYBOOK, "-i", "localhost,", "taaraxtak.production.init", "-e", f"project={tmp_path}/shop"]
    begun = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert begun.returncode == 0, begun.stdout + begun.stderr
    assert "make " not in begun.stdout
    assert not (installed / "Makefile").exists()
    command = [sys.executable, installed / "tools/doctor.py", tmp_path / "shop"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("Nothing to mend.\n"), done.stdout + done.stderr


def test_a_projects_readme_names_tools_and_playbooks_that_the_package_has(installed, project):
    text = (project / "README.md").read_text()
    tools = set(re.findall(r"\$tools/(\w+\.py)", text))
    assert len(tools) > 4
    for name in tools:
        done = subprocess.run([sys.executable, installed / "tools" / name, "--help"], capture_output=True, check=False)
        assert b"Traceback" not in done.stderr, done.stderr
    named = set(re.findall(r"ansible-playbook taaraxtak\.production\.(\w+)", text))
    assert len(named) > 5
    assert all((installed / "playbooks" / f"{name}.yml").exists() for name in named)


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


def containers(folder: Path) -> list[str]:
    """What the hosts of the folder's inventory/local are called."""
    names = "msg={{ groups.all | map('extract', hostvars, 'ansible_host') | sort | join(' ') }}"
    command = [PLAYBOOK.with_name("ansible"), "-i", folder / "inventory/local", "localhost", "-m", "debug", "-a", names]
    said = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout
    return re.findall(r"taaraxtak-[a-z0-9-]+", said)


def test_its_containers_are_no_other_projects_nor_another_clones(project, broken, tmp_path):
    """One folder's name, or one and the same commit, at two places."""
    other = tmp_path / "My.shop"
    assert begin(other).returncode == 0
    (tmp_path / "link").symlink_to(project)
    ours = containers(project)
    assert len(ours) == 3
    assert all(re.fullmatch(r"taaraxtak-(up|local)-my-shop-[0-9a-f]{4}-[a-z]+", name) for name in ours), ours
    assert set(ours).isdisjoint(containers(other))
    assert set(ours).isdisjoint(containers(broken))
    assert containers(tmp_path / "link") == ours


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


@pytest.mark.parametrize("given", ["env", "inventory"])
def test_the_reports_of_an_adoption_lie_in_the_project(project, tmp_path, given):
    """TAARAXTAK_BASE is make's alone: whoever types ansible-playbook may have it of another project."""
    text = tmp_path / "play.yml"
    text.write_text(
        "- hosts: production\n  gather_facts: false\n  connection: local\n"
        f"  vars_files: {[f'{ROOT}/playbooks/vars/{name}.yml' for name in ('project', 'adopt')]}\n"
        "  tasks: [{ansible.builtin.debug: {msg: 'at={{ __adopt_reports | realpath }}='}}]\n"
    )
    base = project if given == "env" else ROOT
    environment = {
        **ENVIRONMENT,
        "TAARAXTAK_BASE": str(base),
        "TAARAXTAK_PROJECT": str(project) if given == "env" else "",
    }
    command = [PLAYBOOK, "-i", project / "inventory/production", text]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"at={project.resolve()}/build/adopt=" in done.stdout, done.stdout + done.stderr


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
