"""What is where changes: one more database, another name of production, another store."""

from __future__ import annotations

import pytest

ARCHIVE = "/var/lib/taaraxtak-dumps/archive"
HOSTS = "production_hosts"


def test_a_database_is_added_and_dumped_like_the_first(project, production, store, dumps, count, access_policy, first):
    assert "Nothing was changed" in project.play("add_database", status=2, database="second")
    policy = access_policy()
    policy["scope"]["databases"] = ["taaraxtak", "second"]
    policy["grants"][0]["on"] = {"database": ["taaraxtak", "second"]}
    # What names a table is for the database that has it.
    for grant in policy["grants"]:
        if isinstance(grant["on"].get("tables"), list) or "except" in grant["on"]:
            grant["databases"] = ["taaraxtak"]
    project.write(HOSTS, access_policy=policy, backup_databases=["taaraxtak", "second"])
    project.play("add_database", check=True, database="second")
    there = "SELECT count(*) FROM pg_database WHERE datname = 'second'"
    ask = ("runuser -u postgres -- psql -XAtc %s", there)
    assert production.check_output(*ask) == "0"
    assert "holds no table yet" in project.play("add_database", status=2, database="second")
    assert production.check_output(*ask) == "1"
    tables = (
        "SET ROLE taaraxtak_owner; CREATE TABLE public.t (x int); INSERT INTO public.t SELECT generate_series(1, 100)"
    )
    production.check_output("runuser -u alice -- psql -XqU dba -d second -c %s", tables)
    project.play("add_database", database="second")
    as_grafana = "runuser -u grafana -- psql -XAtU grafanareader -d second -c 'CREATE TABLE t (x int)'"
    assert production.run(as_grafana).rc != 0
    (dump,) = dumps(store, "second")
    assert store.file(f"{ARCHIVE}/{dump['name']}.drill.json").exists
    found = count(store)
    assert found["critical"] == []
    assert found["dumps"]["second", "dump"] == 1
    assert first in [one["name"] for one in dumps(store)]


@pytest.fixture(scope="module")
def rename(project):
    """A function that writes another name of production into the inventory."""

    def write(old: str, new: str) -> None:
        def change(hosts) -> None:
            group = hosts[HOSTS]
            group["hosts"][new] = group["hosts"].pop(old)
            for function in group["children"].values():
                function["hosts"] = {new: None}

        project.hosts(change)
        address = "{{ hostvars['" + new + "'].ansible_facts.default_ipv4.address }}"
        former = [{**one, "name": new} for one in project.variables("store_hosts")["dump_store_former_signers"]]
        writers = [{"inventory_name": new, "from": address}]
        project.write("store_hosts", dump_store_writers=writers, dump_store_former_signers=former)

    return write


def test_production_is_renamed_and_its_dumps_are_one_history(project, store, count, rename, first):
    before = count(store)
    assert "Nothing was changed" in project.play("rename_host", status=2, rename_from="production")
    rename("production", "bremen")
    project.play("rename_host", check=True, rename_from="production")
    assert count(store) == before
    assert "dumps count for bremen" in project.play("rename_host", rename_from="production")
    found = count(store)
    assert found["signers"] == {"bremen"}
    assert found["dumps"]["taaraxtak", "dump"] == before["dumps"]["taaraxtak", "dump"] + 1
    assert found["critical"] == []
    drilled = store.run("runuser -u dumps-archive -- dump-store drill %s", first)
    assert drilled.rc == 0, drilled.stdout + drilled.stderr


@pytest.fixture
def two_stores(project):
    """A function that writes into the inventory to which stores production brings its dumps."""

    def write(*names: str) -> None:
        def change(hosts) -> None:
            hosts["store_hosts"]["hosts"]["vault"] = None

        project.hosts(change)
        stores = [{"name": name, "address": name, "port": 22, "user": "dumps"} for name in names]
        project.write(HOSTS, backup_stores=stores)

    return write


def names(listed) -> set[str]:
    return {one["name"] for one in listed}


def test_a_new_store_has_what_the_old_one_had_and_then_is_the_only_one(
    project, production, store, vault, dumps, count, two_stores, network, first
):
    reader = {"name": "mover", "key": project.public("mover"), "from": network}
    there = project.variables("store_hosts")["dump_store_readers"]
    project.write("store_hosts", dump_store_readers=[*there, reader])
    project.play("reader_keys")
    words = {"move_from": "store", "move_to": "vault"}
    assert "both of store_hosts" in project.play("move_store", status=2, **words)
    two_stores("store", "vault")
    project.play("move_store", status=2, move_done=True, **words)
    before = dumps(store)
    project.play("move_store", check=True, move_key=str(project.key("mover")), **words)
    assert not vault.file("/usr/local/bin/dump-store").exists
    said = project.play("move_store", move_key=str(project.key("mover")), **words)
    assert "vault has all" in said
    assert not vault.file("/run/taaraxtak-copy").exists
    assert names(before) <= names(dumps(vault))
    received = {one["name"]: one["received"] for one in before}
    assert {one["name"]: one["received"] for one in dumps(vault) if one["name"] in received} == received
    assert count(vault)["critical"] == []
    # What is brought to the old one alone meanwhile is not lost.
    two_stores("vault")
    vault.check_output("rm %s", f"{ARCHIVE}/{first}.manifest.json")
    lacking = project.play("move_store", status=2, move_done=True, **words)
    assert f"vault lacks {first} of store" in lacking
    assert "Put store back into backup_stores" in lacking
    assert production.file("/etc/taaraxtak/store_keys/store").exists
    two_stores("store", "vault")
    vault.check_output("rm -f %s", f"{ARCHIVE}/{first}")
    project.play("move_store", move_key=str(project.key("mover")), **words)
    # Both are brought dumps for a while, under names of their own.
    project.play("backup_now")
    assert names(dumps(store)) - names(dumps(vault))
    two_stores("vault")
    project.play("move_store", move_done=True, **words)
    assert not production.file("/etc/taaraxtak/store_keys/store").exists
    assert store.file("/etc/ssh/dump_store_keys").listdir() == []
    assert store.check_output("systemctl list-timers --no-legend 'taaraxtak-dumps-*'") == ""
    assert first in names(dumps(store))

    def change(hosts) -> None:
        hosts["store_hosts"]["hosts"] = {"vault": None}

    project.hosts(change)
    project.play("backup_now")
    assert count(vault)["critical"] == []
