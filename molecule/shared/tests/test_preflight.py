"""What can't work stops before anything on a host has changed, with one sentence that says what to do."""

from __future__ import annotations

import datetime
import json
import re
import shutil
import subprocess
from pathlib import Path

import acting
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
POLICY = yaml.safe_load((ROOT / "inventory/production/group_vars/production_hosts/access_policy.yml").read_text())


@pytest.fixture
def inventory(tmp_path) -> Path:
    """A copy of the local inventory, to be broken."""
    copy = tmp_path / "inventory" / "local"
    shutil.copytree(ROOT / "inventory" / "local", copy)
    (tmp_path / "sample").symlink_to(ROOT / "sample")
    return copy


def site(inventory: Path, *options: str) -> subprocess.CompletedProcess:
    """Run site.yml on the hosts of this scenario, without its variables: they would come after what is broken."""
    return acting.attempt("playbooks/site.yml", *options, inventories=[inventory])


def edit(path: Path, change) -> None:
    """Change the YAML file *path*."""
    values = yaml.safe_load(path.read_text())
    change(values)
    path.write_text(yaml.safe_dump(values))


def no_policy(inventory: Path) -> list[str]:
    (inventory / "group_vars/production_hosts/access_policy.yml").unlink()
    return []


def undefined_role(inventory: Path) -> list[str]:
    def misspell(values: dict) -> None:
        values["access_policy"]["grants"][1]["to"] = ["scarper"]

    edit(inventory / "group_vars/production_hosts/access_policy.yml", misspell)
    return []


def no_devops(inventory: Path) -> list[str]:
    edit(inventory / "group_vars/all/host.yml", lambda values: values.pop("host_devops"))
    return []


def no_keys(inventory: Path) -> list[str]:
    edit(inventory / "group_vars/all/host.yml", lambda values: values["host_devops"][0].update(keys=[]))
    return []


def no_key_at_all(inventory: Path) -> list[str]:
    edit(
        inventory / "group_vars/all/host.yml", lambda values: values["host_devops"][0].update(keys=["ssh-ed25519 AAAA"])
    )
    return []


def root_as_a_person(inventory: Path) -> list[str]:
    edit(inventory / "group_vars/all/host.yml", lambda values: values["host_devops"][0].update(name="root"))
    return []


def no_networks(inventory: Path) -> list[str]:
    edit(inventory / "group_vars/all/host.yml", lambda values: values.pop("host_admin_cidrs"))
    return []


def nobody_comes_in(inventory: Path) -> list[str]:
    edit(inventory / "group_vars/all/host.yml", lambda values: values.update(host_admin_cidrs=[]))
    return []


def an_address_for_a_network(inventory: Path) -> list[str]:
    opened = [{"port": 443, "from": ["192.0.2.7/24"], "reason": "x"}]
    edit(inventory / "group_vars/store_hosts/host.yml", lambda values: values.update(host_open=opened))
    return []


def no_time_to_restart(inventory: Path) -> list[str]:
    edit(inventory / "group_vars/all/host.yml", lambda values: values.update(host_reboot_time="at night"))
    return []


def no_database(inventory: Path) -> list[str]:
    edit(inventory / "group_vars/production_hosts/backup.yml", lambda values: values.update(backup_databases=["other"]))
    return []


def a_hostile_database(inventory: Path) -> list[str]:
    names = ["taaraxtak", "../../etc/cron.d/x"]
    edit(inventory / "group_vars/production_hosts/backup.yml", lambda values: values.update(backup_databases=names))
    return []


def no_stores(inventory: Path) -> list[str]:
    edit(inventory / "group_vars/production_hosts/backup.yml", lambda values: values.update(backup_stores=[]))
    return []


def cron_would_drop_it(inventory: Path) -> list[str]:
    edit(inventory / "group_vars/production_hosts/backup.yml", lambda values: values.update(backup_schedule="at three"))
    return []


def nobody_makes_tables(inventory: Path) -> list[str]:
    path = inventory / "group_vars/production_hosts/access_policy.yml"
    edit(path, lambda values: values["access_policy"]["roles"]["dba"].pop("member_of"))
    return []


def a_date(inventory: Path) -> list[str]:
    path = inventory / "group_vars/production_hosts/collector.yml"
    path.write_text(path.read_text() + "\n")
    edit(path, lambda values: values["collector_config"].update(since=datetime.date(2026, 1, 1)))
    return []


def another_debian_version(inventory: Path) -> list[str]:
    return ["-e", json.dumps({"database_version": 16})]


def no_code(inventory: Path) -> list[str]:
    edit(inventory / "group_vars/production_hosts/collector.yml", lambda values: values.pop("collector_folder"))
    return []


def no_schema(inventory: Path) -> list[str]:
    (inventory / "group_vars/production_hosts/schema.sql").unlink()
    return []


def no_freshness(inventory: Path) -> list[str]:
    edit(inventory / "group_vars/production_hosts/collector.yml", lambda values: values.pop("collector_freshness"))
    return []


def another_login(inventory: Path) -> list[str]:
    path = inventory / "group_vars/production_hosts/collector.yml"
    edit(path, lambda values: values["collector_config"]["postgres"].update(user="postgres"))
    return []


def store_does_not_answer(inventory: Path) -> list[str]:
    edit(inventory / "hosts.yml", lambda values: values["store_hosts"]["hosts"]["store"].update(ansible_host="gone"))
    return []


def store_out_of_reach(inventory: Path) -> list[str]:
    path = inventory / "group_vars/production_hosts/backup.yml"
    edit(path, lambda values: values["backup_stores"][0].update(address="127.0.0.1", port=9))
    return []


def no_store(inventory: Path) -> list[str]:
    path = inventory / "group_vars/production_hosts/backup.yml"
    edit(path, lambda values: values["backup_stores"][0].update(name="elsewhere"))
    return []


def no_dumper(inventory: Path) -> list[str]:
    path = inventory / "group_vars/production_hosts/access_policy.yml"
    edit(path, lambda values: values["access_policy"]["roles"]["dumper"].update(os_users=["somebody"]))
    return []


def too_old(inventory: Path) -> list[str]:
    return ["-e", json.dumps({"database_version": 12})]


def not_there(inventory: Path) -> list[str]:
    return ["-e", json.dumps({"database_packages": "existing", "database_version": 16})]


def another_cluster(inventory: Path) -> list[str]:
    return ["-e", json.dumps({"database_packages": "existing", "database_cluster": "other"})]


def no_cluster_of_debian(inventory: Path) -> list[str]:
    return ["-e", json.dumps({"database_packages": "debian", "database_cluster": "other"})]


CASES = {
    no_policy: "access_policy is missing",
    undefined_role: "scarper",
    no_devops: "host_devops",
    no_keys: "host_devops must name at least one person",
    no_key_at_all: "has a line that is no OpenSSH public key, of alice",
    root_as_a_person: "is not root",
    no_networks: "The variable host_admin_cidrs is missing",
    nobody_comes_in: "ssh is open for nobody",
    an_address_for_a_network: "port 443 is to be open, is an address in the network 192.0.2.0/24",
    no_time_to_restart: "host_reboot_time must be a time like 04:30",
    no_database: "backup_databases must be some of the policy's databases",
    a_hostile_database: "A dump is called by its database",
    no_stores: "backup_stores must name at least one store",
    cron_would_drop_it: "backup_schedule must have the five fields",
    nobody_makes_tables: "may make the tables",
    a_date: "put quotes around a date",
    another_debian_version: "itself has",
    no_code: "Where is the collector's code?",
    no_schema: "make schema",
    no_freshness: "collector_freshness",
    another_login: "collector_config.postgres must name a user",
    store_does_not_answer: "does not answer",
    store_out_of_reach: "does not reach 127.0.0.1 port 9",
    no_store: "Each of backup_stores must have a name of its own",
    no_dumper: "pgdumper",
    too_old: "database_version must be 14 to 18",
    not_there: "has no /usr/lib/postgresql/16/bin/postgres",
    another_cluster: "/other/conf.d: see `pg_lsclusters` there, and set database_version",
    no_cluster_of_debian: "/other/postgresql.conf: see `pg_lsclusters` there, and set database_version",
}


@pytest.mark.parametrize("broken", CASES, ids=lambda case: case.__name__)
def test_it_stops_before_anything_changes_and_says_what_to_do(inventory, broken):
    done = site(inventory, *broken(inventory))
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert CASES[broken] in said
    assert "PLAY [Every host]" not in done.stdout
    assert not re.search(r"changed=[1-9]", done.stdout.split("PLAY RECAP")[1])
    assert "Traceback" not in said


def test_an_unsupported_system_is_refused(inventory, store):
    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    release, version = "/usr/lib/os-release", "/etc/debian_version"
    before = store.file(release).content_string, store.file(version).content_string
    old = before[0].replace('VERSION_ID="13"', 'VERSION_ID="11"').replace('VERSION_ID="12"', 'VERSION_ID="11"')
    assert old != before[0]
    store.check_output("python3 -c %s %s %s", write, release, old)
    store.check_output("python3 -c %s %s %s", write, version, "11.9\n")
    try:
        done = site(inventory)
    finally:
        store.check_output("python3 -c %s %s %s", write, release, before[0])
        store.check_output("python3 -c %s %s %s", write, version, before[1])
    assert done.returncode != 0
    assert "Debian 12 and 13 are supported" in " ".join((done.stdout + done.stderr).split())
    assert "PLAY [Every host]" not in done.stdout


def test_the_documented_inventory_changes_nothing_until_its_key_is_replaced(tmp_path):
    """A newcomer who runs the example as it is must not lose two hosts."""
    example = yaml.safe_load((ROOT / "inventory/production/group_vars/all/host.yml").read_text())
    key = example["host_devops"][0]["keys"][0]
    said = subprocess.run(["ssh-keygen", "-l", "-f", "-"], input=key, capture_output=True, text=True, check=False)
    assert said.returncode != 0


@pytest.mark.usefixtures("alone_with_the_firewall")
def test_check_mode_finds_nothing_to_change_on_hosts_that_are_as_they_should_be(attempt, while_nobody_dumps):
    done = attempt("playbooks/site.yml", check=True)
    assert done.returncode == 0, done.stdout
    assert not re.search(r"changed=[1-9]", done.stdout.split("PLAY RECAP")[1]), done.stdout


def test_a_store_that_can_not_be_managed_stops_the_other_host_too(inventory):
    """A host whose facts can't be asked drops out of a play: the rest must not go on without it."""
    store = {"ansible_python_interpreter": "/nonexistent/python3"}
    edit(inventory / "hosts.yml", lambda values: values["store_hosts"]["hosts"]["store"].update(store))
    done = site(inventory)
    assert done.returncode != 0
    assert "Nothing is changed anywhere while store can't be managed" in " ".join((done.stdout + done.stderr).split())
    assert "Install the packages" not in done.stdout
    assert not re.search(r"changed=[1-9]", done.stdout.split("PLAY RECAP")[1])


@pytest.mark.usefixtures("alone_with_the_firewall")
def test_a_second_key_in_the_senders_own_file_never_reaches_the_store(attempt, production, store):
    """The file belongs to the account that sends: a line that it adds would be a key without any restriction."""
    public = "/etc/taaraxtak/store_keys/store.pub"
    before, listed = production.file(public).content_string, store.file("/etc/ssh/dump_store_keys/dumps").content_string
    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    production.check_output("python3 -c %s %s %s", write, public, before + before)
    try:
        done = attempt("playbooks/site.yml")
    finally:
        production.check_output("python3 -c %s %s %s", write, public, before)
    assert done.returncode != 0
    assert "is not one line with an ed25519 key" in " ".join((done.stdout + done.stderr).split())
    assert store.file("/etc/ssh/dump_store_keys/dumps").content_string == listed
