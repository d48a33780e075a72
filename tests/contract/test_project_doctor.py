"""make doctor says what a project lacks, and of nothing that it has not read that it is well."""

from __future__ import annotations

import re

import pytest
from ansible_collections.taaraxtak.production.tests.contract.projects import (
    ROOT,
    doctor,
)


def test_a_new_project_is_well(project):
    done = doctor(project)
    assert done.returncode == 0, done.stdout
    assert "Nothing to mend." in done.stdout


BACKUP = "inventory/production/group_vars/production_hosts/backup.yml"


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
        (BACKUP, "    address:", "    adress:", "backup_stores[0] knows no adress: write address"),
        (BACKUP, "backup_databases: [taaraxtak]", "backup_databases: 5", "backup_databases has to be a list"),
        ("inventory/local/group_vars/all/project.yml", "project_folder:", "x:", "local: there is no project_folder"),
        ("inventory/production/group_vars/all/audit.yml", "audit_incidents:", "audit_incident:", "audit_incidents"),
        ("inventory/production/hosts.yml", "{ hosts: { production: } }", "{ hosts: [a, b] }", "has to be a mapping"),
        ("inventory/production/hosts.yml", "production_hosts:", "other: [a]\nproduction_hosts:", "has to be a mapping"),
        ("requirements.yml", 'version: "', 'version: "O', "can't be compared"),
    ],
)
def test_what_a_version_needs_is_named(broken, name, old, new, said):
    path = broken / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    done = doctor(broken)
    assert done.returncode == 1, done.stdout + done.stderr
    assert said in done.stdout
    assert "Traceback" not in done.stderr


def test_a_policy_is_judged_wherever_it_lies(broken):
    policy = broken / "inventory/production/group_vars/production_hosts/access_policy.yml"
    policy.rename(broken / "inventory/production/group_vars/all/policy.yml")
    moved = broken / "inventory/production/group_vars/all/policy.yml"
    moved.write_text(moved.read_text().replace("version: 1", "version: 77") + "\nelsewhere: '{{ inventory_dir }}'\n")
    (broken / "inventory/local/group_vars/production_hosts/access_policy.yml").unlink()
    done = doctor(broken)
    assert done.returncode == 1
    assert re.search(r"!!  production: group_vars/all/policy.yml: version", done.stdout), done.stdout


def test_a_policy_with_an_expression_is_said_to_be_unjudged(broken):
    path = broken / "inventory/production/group_vars/production_hosts/access_policy.yml"
    path.write_text(
        path.read_text().replace("os_users: [alice]", 'os_users: ["{{ who }}"]').replace("roles:", "roels:")
    )
    done = doctor(broken)
    assert re.search(r"--  production: access_policy .* nothing of it is judged", done.stdout), done.stdout
    assert re.search(r"ok  production: \d+ variables are as this version knows them", done.stdout), done.stdout


@pytest.mark.parametrize("name", ["hosts", "hosts.ini"])
def test_an_inventory_that_is_no_yaml_is_one_and_is_said_to_be_unread(broken, name):
    (broken / "inventory/production/hosts.yml").unlink()
    (broken / "inventory/production" / name).write_text("[production_hosts]\nproduction ansible_host=192.0.2.10\n")
    done = doctor(broken)
    assert "there is no inventory" not in done.stdout
    assert f"production: {name} is no YAML, so that nothing of it is judged" in done.stdout


def test_doctor_knows_every_variable_that_the_manuals_name(broken):
    """What it does not know it calls a typing error."""
    manuals = "".join(
        (ROOT / "docs" / f"{name}.md").read_text() for name in ("adopt", "audit-report", "linode", "stores")
    )
    named = set(re.findall(r"`((?:adopt|audit|linode|stores)_[a-z_]+)(?=[`:=])", manuals)) - {"audit_report"}
    assert len(named) > 20
    (broken / "inventory/production/group_vars/all/more.yml").write_text("".join(f"{one}:\n" for one in sorted(named)))
    assert "no playbook knows" not in doctor(broken).stdout


def test_a_file_that_is_vaulted_whole_is_said_to_be_unread(broken):
    (broken / "inventory/production/group_vars/all/secrets.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n3339\n")
    done = doctor(broken)
    assert done.returncode == 0, done.stdout
    assert "secrets.yml is vaulted as a whole" in done.stdout
