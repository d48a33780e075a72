"""After all that: the dump that was made at the beginning restores, from another store, onto a host of another name."""

from __future__ import annotations

import json


def test_the_dump_of_the_beginning_restores(project, production, vault, dumps, first):
    (dump,) = [one for one in dumps(vault) if one["name"] == first]
    said = project.play(
        "restore",
        restore_into_production="bremen",
        restore_key=str(project.key("mover")),
        restore_store="vault",
        restore_name=first,
        restore_database="beginning",
    )
    assert "signed by bremen" in said
    counts = {}
    for table in dump["tables"]:
        sql = f"SELECT count(*) FROM {table}"
        counts[table] = int(production.check_output("runuser -u postgres -- psql -XAtd beginning -c %s", sql))
    assert counts == dump["tables"]
    assert sum(counts.values()) > 0


def test_its_drill_finds_it_equal(vault, first):
    drilled = vault.run("runuser -u dumps-archive -- dump-store drill %s", first)
    assert drilled.rc == 0, drilled.stdout + drilled.stderr
    result = json.loads(vault.file(f"/var/lib/taaraxtak-dumps/archive/{first}.drill.json").content_string)
    assert result["ok"]


def test_site_has_nothing_left_to_do(project):
    """What the playbooks have done is what the inventory says."""
    said = project.play("site")
    recap = said.rpartition("PLAY RECAP")[2]
    assert "bremen" in recap
    assert "vault" in recap
    assert [task.partition("]")[0] for task in said.split("TASK [") if "changed: [" in task] == []
