"""One host or several: the inventories say the same policy, and one that doesn't say what runs where is refused."""

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

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ("database_hosts", "collector_hosts", "dashboards_hosts")
# How a role logs in; the rest of it is the same wherever it comes from.
LOGIN = ("os_users", "hosts", "password")


def read(inventory: str, name: str) -> t.Any:
    path = ROOT / "inventory" / inventory / "group_vars" / "production_hosts" / f"{name}.yml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_the_split_example_has_the_policy_of_one_host_but_for_two_logins():
    one, split = (read(inventory, "access_policy")["access_policy"] for inventory in ("production", "split"))
    logins = {name: {key: role.pop(key, None) for key in LOGIN} for name, role in split["roles"].items()}
    for name, role in one["roles"].items():
        usual = {key: role.pop(key, None) for key in LOGIN}
        if name in ("scraper", "grafanareader"):
            assert logins[name]["os_users"] is None
            assert logins[name]["password"] == "none"
            # Nothing but an address: a certificate is the method where none is named.
            assert [host.endswith("/32") for host in logins[name]["hosts"]] == [True]
        else:
            assert logins[name] == usual
    assert split == one


@pytest.mark.parametrize("name", ["backup", "database", "dashboards", "collector"])
def test_the_split_example_says_whatever_that_of_one_host_says(name):
    # The firewall is each function's own there.
    assert read("production", name).keys() - {"host_open"} <= read("split", name).keys()


def test_each_function_of_the_split_example_opens_its_own_ports():
    """What stood in production_hosts would be open on all three hosts."""
    folder = ROOT / "inventory" / "split" / "group_vars"
    opened = {path.parent.name for path in folder.rglob("*.yml") if "host_open:" in path.read_text(encoding="utf-8")}
    assert opened == {"database_hosts", "dashboards_hosts", "store_hosts"}


def groups(**hosts: list[str]) -> dict[str, t.Any]:
    """An inventory with these functions, of the hosts a, b and c."""
    children = {f"{name}_hosts": {"hosts": dict.fromkeys(listed)} for name, listed in hosts.items()}
    return {"production_hosts": {"hosts": dict.fromkeys("abc"), "children": children}}


CASES = {
    "three hosts": (groups(database=["a"], collector=["b"], dashboards=["c"]), True),
    "two functions on one": (groups(database=["a"], collector=["a", "b"], dashboards=["c"]), True),
    "no groups": ({"production_hosts": {"hosts": {"a": None}}}, False),
    "no production": ({"store_hosts": {"hosts": {"a": None}}}, False),
    "nobody collects": (groups(database=["a"], collector=[], dashboards=["b", "c"]), False),
    "two databases": (groups(database=["a", "b"], collector=["a"], dashboards=["c"]), False),
    "one that does nothing": (groups(database=["a"], collector=["a"], dashboards=["c"]), False),
    "one from elsewhere": (
        {**groups(database=["a"], dashboards=["b", "c"]), "collector_hosts": {"hosts": {"d": None}}},
        False,
    ),
}


def look(folder: Path, children: t.Any, **settings: str) -> tuple[int, str]:
    """What groups.yml says of an inventory with these *children*, under Ansible's *settings*."""
    (folder / "hosts.yml").write_text(json.dumps({"all": {"children": children}}))
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", folder / "hosts.yml", ROOT / "playbooks/groups.yml"],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("case", CASES)
def test_an_inventory_that_does_not_say_what_runs_where_is_refused(tmp_path, case):
    children, good = CASES[case]
    status, said = look(tmp_path, children)
    assert (status == 0) == good, said
    assert ("production_hosts has the children database_hosts (one host)" in said) == (not good), said


def test_settings_by_which_a_host_chooses_variables_are_refused(tmp_path):
    """People bring an ansible.cfg of their own; facts that are variables beat what group_vars says."""
    status, said = look(tmp_path, CASES["three hosts"][0], ANSIBLE_INJECT_FACT_VARS="true")
    assert status == 2, said
    assert "inject_facts_as_vars = false" in said


def test_the_authoritys_folder_is_no_part_of_the_inventory(tmp_path):
    """Ansible reads every file beside hosts.yml as an inventory, unless its name begins with a dot."""
    shutil.copytree(ROOT / "inventory" / "split", tmp_path / "split")
    default = yaml.safe_load((ROOT / "roles/certificates/defaults/main.yml").read_text(encoding="utf-8"))
    folder = Path(default["certificates_folder"].replace("{{ inventory_dir }}", str(tmp_path / "split")))
    (folder / "issued").mkdir(parents=True)
    for name in ("ca.crt", "ca.key", "issued/collector-scraper.crt"):
        (folder / name).write_text("-----BEGIN CERTIFICATE-----\n")
    settings = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1"}
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-inventory", "-i", tmp_path / "split", "--list"],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_git_leaves_the_authoritys_folder_out():
    assert "/inventory/*/.ca/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    "name", ["site", "audit", "backup_now", "migrate", "first_dump", "status", "certificates", "hosts"]
)
def test_a_playbook_that_goes_by_the_functions_looks_at_them_first(name):
    """Where a group is missing, Ansible itself would do nothing and be content."""

    def first(path: Path) -> str:
        play = yaml.safe_load(path.read_text(encoding="utf-8"))[0]
        imported = play.get("ansible.builtin.import_playbook")
        return first(path.parent / imported) if imported else path.name

    assert first(ROOT / "playbooks" / f"{name}.yml") == "groups.yml"
