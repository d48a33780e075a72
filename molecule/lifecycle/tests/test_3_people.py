"""Somebody comes, and somebody leaves: what they could reach is what the inventory says, and then nothing."""

from __future__ import annotations

import subprocess

import pytest

DEVOPS = "/etc/ssh/devops_keys"
NOTE = "/etc/taaraxtak/left-bob"


@pytest.fixture(scope="module")
def people(project, access_policy):
    """A function that writes into the inventory who is there beside alice."""
    alice = project.variables("all")["host_devops"][0]

    def write(*names: str) -> None:
        policy = access_policy()
        policy["roles"]["dba"]["os_users"] = ["alice", *names]
        keys = {name: project.public(name) for name in names}
        devops = [{"name": name, "keys": [key]} for name, key in keys.items()]
        project.write("all", host_devops=[alice, *devops])
        approvers = [{"name": name, "key": key} for name, key in keys.items()]
        project.write("production_hosts", access_policy=policy, database_approvers=approvers)
        readers = [{"name": name, "key": key, "from": "192.0.2.0/24"} for name, key in keys.items()]
        there = [one for one in project.variables("store_hosts")["dump_store_readers"] if one["name"] != "bob"]
        project.write("store_hosts", dump_store_readers=[*there, *readers])

    return write


def reached(said: str) -> list[str]:
    """The ways that a playbook names."""
    found = said.partition("could reach:")[2].partition("No host can say")[0]
    return [line.strip(' "-,') for line in found.split('",') if line.strip(' "-,')]


def test_who_is_not_in_the_inventory_is_not_let_in(project):
    assert "Nothing was changed" in project.play("person_add", status=2, person="bob")


def test_check_mode_lets_nobody_in(project, production, people):
    people("bob")
    project.play("person_add", check=True, person="bob")
    assert production.run("id bob").rc != 0


def test_somebody_new_reaches_what_the_inventory_says_and_no_more(project, production, store, postgres):
    ways = reached(project.play("person_add", person="bob"))
    assert production.check_output("runuser -u bob -- sudo -n id -u") == "0"
    assert production.file(f"{DEVOPS}/bob").content_string.strip() == project.public("bob")
    as_dba = production.run("runuser -u bob -- psql -XAtU dba -d taaraxtak -c 'SELECT current_user'")
    assert as_dba.stdout.strip() == "dba"
    assert production.run("runuser -u bob -- psql -XAtU scraper -d taaraxtak -c 'SELECT 1'").rc != 0
    expected = {
        ("production", "account"), ("production", "key"), ("production", "sudo"), ("production", "database"),
        ("production", "approver"), ("store", "account"), ("store", "key"), ("store", "sudo"),
    }  # fmt: skip
    found = {tuple(way.split(": ")[:2]) for way in ways}
    assert expected <= found
    assert found - expected <= {("production", "group"), ("store", "group")}


def test_a_question_is_answered_without_a_change(project, production):
    production.check_output("touch /run/before")
    said = project.play("person_reach", person="bob")
    assert "logs in as the role dba" in said
    assert production.check_output("find /etc /usr/local -newer /run/before") == ""
    assert "nothing on production, store" in project.play("person_reach", person="nobody-here")


def test_who_is_still_in_the_inventory_is_not_shut_out(project, production):
    said = project.play("person_left", status=2, person="bob")
    for place in ("host_devops", "os_users of access_policy", "database_approvers"):
        assert place in said
    assert production.check_output("runuser -u bob -- sudo -n id -u") == "0"


def test_whose_key_is_in_the_inventory_under_another_name_is_not_shut_out_yet(project, production, people):
    people()
    there = project.variables("store_hosts")["dump_store_readers"]
    lent = {
        "name": "archive",
        "key": f"{' '.join(project.public('bob').split()[:2])} of-us-all",
        "from": "192.0.2.0/24",
    }
    project.write("store_hosts", dump_store_readers=[*there, lent])
    try:
        said = project.play("person_left", status=2, person="bob")
    finally:
        project.write("store_hosts", dump_store_readers=there)
        people("bob")
    assert "dump_store_readers (archive has a key of theirs)" in said
    assert production.file(f"{DEVOPS}/bob").exists


def test_who_has_left_reaches_nothing_and_nobody_else_is_disturbed(project, production, store, people):
    key = project.public("bob")
    container = production.backend.name
    # What runs of theirs: a session of the database, and something that became root in another.
    for words in (["psql", "-XAtU", "dba", "-d", "taaraxtak", "-c", "SELECT pg_sleep(900)"], ["sleep", "900"]):
        subprocess.run(["podman", "exec", "-d", container, "runuser", "-u", "bob", "--", *words], check=True)
    alices = ["runuser", "-u", "alice", "--", "psql", "-XAtU", "dba", "-d", "taaraxtak", "-c", "SELECT pg_sleep(900)"]
    subprocess.run(["podman", "exec", "-d", container, *alices], check=True)
    people()
    project.play("person_left", check=True, person="bob")
    assert production.check_output("pgrep -c -u bob") == "2"
    assert not production.file(NOTE).exists
    # A key of theirs where no role takes it away: the second run knows it still, though the first took its file away.
    lent = "/home/alice/.ssh/authorized_keys"
    store.check_output("install -d /home/alice/.ssh")
    store.check_output("sh -c %s", f"echo '{' '.join(key.split()[:2])}' > {lent}")
    for _run in range(2):
        said = project.play("person_left", status=2, person="bob")
        assert f"in {lent}, line 1, which is a key of the person's" in said
        assert not production.file(f"{DEVOPS}/bob").exists
        assert key in production.file(NOTE).content_string
    store.check_output("rm %s", lent)
    said = project.play("person_left", person="bob")
    assert not production.file(NOTE).exists
    assert "nothing on production, store" in said
    assert "dumps that they have fetched" in said
    for host in (production, store):
        assert host.run("pgrep -u bob").stdout == ""
        assert not host.file(f"{DEVOPS}/bob").exists
        assert key.split()[1] not in host.run("cat /etc/ssh/dump_store_keys/dumps-read").stdout
        assert host.run("runuser -u bob -- sudo -n id").rc != 0
    assert production.run("runuser -u bob -- psql -XAtU dba -d taaraxtak -c 'SELECT 1'").rc != 0
    assert key.split()[1] not in production.file("/etc/taaraxtak/allowed_approvers").content_string
    assert production.check_output("pgrep -c -u alice -f pg_sleep") == "1"
    production.check_output("pkill -u alice -f pg_sleep")


def test_whose_keys_nobody_knows_is_not_said_to_reach_nothing(project):
    assert "No host knows a key of bob" in project.play("person_left", status=2, person="bob")
    assert "nothing on production, store" in project.play("person_left", person="bob", person_keys=[])


def test_a_key_of_theirs_under_another_name_is_found(project, production):
    """Whoever was root may have left it."""
    production.check_output("sh -c %s", f"echo '{project.public('bob')}' >> {DEVOPS}/alice")
    try:
        said = project.play("person_reach", person="bob", person_keys=[project.public("bob")])
        assert f"in {DEVOPS}/alice, line 2, which is a key of the person's, opens alice" in said
    finally:
        production.check_output("sed -i 2d %s", f"{DEVOPS}/alice")
