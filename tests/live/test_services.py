"""The collector, and the dumps: what runs, what it belongs to, and whether it comes to something."""

from __future__ import annotations

import json


def test_the_collector_runs_as_its_own_account(collector):
    said = collector.said("systemctl", "show", "--property=ActiveState,User", "taaraxtak-collector.service")
    shown = dict(line.split("=", 1) for line in said.splitlines())
    assert shown["ActiveState"] == "active"
    assert shown["User"] == collector.variables.get("collector_user", "collector")


def test_the_freshness_of_the_rows_is_looked_at(collector):
    assert collector.said("systemctl", "is-active", "taaraxtak-freshness.timer").strip() == "active"
    shown = collector.said("systemctl", "show", "--property=Result", "--value", "taaraxtak-freshness.service")
    assert shown.strip() == "success"


YOUNG = "SELECT extract(epoch FROM now() - max({column})) <= {max_age} FROM {table}"


def reader(database) -> dict[str, str]:
    """How somebody logs in who reads every table and is no superuser: what stands in a table's place may be a view."""
    policy, account = database.variables["access_policy"], database.variables.get("backup_dumper", "pgdumper")
    role = next(name for name, one in policy["roles"].items() if account in one.get("os_users", []))
    return {"account": account, "role": role, "database": policy["scope"]["databases"][0]}


def test_rows_are_as_young_as_the_inventory_says(collector, database):
    tables = collector.variables["collector_freshness"]
    assert tables
    for one in tables:
        done = database.sql(YOUNG.format(**one), **reader(database))
        assert done.stdout.splitlines()[-1:] == ["t"], f"{one['table']}: {done.stdout}{done.stderr}"


def test_every_database_has_a_dump_that_was_proved(database, store):
    dumps = [one for one in json.loads(store.said("dump-store", "list", "--json")) if one.get("kind") == "dump"]
    for name in database.variables["backup_databases"]:
        own = [one for one in dumps if one["database"] == name]
        assert any(one["archived"] for one in own), name
        assert any(one["archived"] and (one["drill"] or {}).get("ok") for one in own), name


def test_the_archive_belongs_to_the_archiver_alone(store):
    user = store.variables.get("dump_store_user", "dumps")
    owner, _group, mode = store.mode(f"{store.variables.get('dump_store_folder', '/var/lib/taaraxtak-dumps')}/archive")
    assert owner == f"{user}-archive"
    assert mode & 0o022 == 0


def test_the_store_s_units_are_on(store):
    for unit in ("taaraxtak-dumps-archive.path", "taaraxtak-dumps-check.timer", "taaraxtak-dumps-drill.timer"):
        assert store.said("systemctl", "is-active", unit).strip() == "active", unit
