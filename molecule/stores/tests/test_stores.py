"""Three stores that only keep files: whole dumps or none; what they lose is said, a trusted host looks after them."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest
from acting import play

ROOT = Path(__file__).resolve().parents[3]
SCENARIO = ROOT / "molecule" / "stores"
FOLDER = ROOT / "build" / "molecule" / "stores"
STORES = {"box": "ssh_files", "files": "sftp", "bucket": "s3"}
LOST = ["adds-only", "archive", "own-clock", "checked-there", "quota", "watched-there", "drilled-there", "reader"]


def sql(production: t.Any, statement: str, database: str = "taaraxtak") -> str:
    return str(production.check_output(f"runuser -u postgres -- psql -XAtqd {database} -c {quoted(statement)}"))


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def sent(production: t.Any) -> tuple[int, dict[tuple[str, str], dict[str, t.Any]]]:
    """A run of the sender, as cron starts it: its exit status, and how it ended by store and artefact."""
    done = production.run("runuser -u pgbackup -- /usr/local/bin/dump-send --json")
    report = json.loads(done.stdout.splitlines()[-1])
    return done.rc, {(one["store"], one["artefact"]): one for one in report["results"]}


def dumps(production: t.Any, store: str) -> list[dict[str, t.Any]]:
    rows = json.loads(production.check_output(f"runuser -u pgbackup -- dump-carry --store={store} list"))
    return [row for row in rows if row["kind"] == "dump"]


def look_after(*words: str, **options: t.Any) -> str:
    """playbooks/stores.yml, from this machine; what it prints, without line ends within sentences."""
    inventories = [ROOT / "inventory" / "local", SCENARIO / "inventory"]
    return " ".join(play(*words, "playbooks/stores.yml", inventories=inventories, **options).split())


def carry(store: str, *words: str) -> str:
    """`dump-carry` of this machine, with its own keys."""
    settings = f"--config={FOLDER / 'build/stores/dump-carry.json'}"
    command = ["python3", ROOT / "tools" / "carry.py", settings, f"--store={store}", *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_store_gets_every_dump_and_its_manifest_says_what_it_loses(production):
    sql(production, "CREATE TABLE probe AS SELECT i FROM generate_series(1, 5000) i")
    status, results = sent(production)
    assert status == 0, results
    assert {store for store, _artefact in results} == STORES.keys()
    for store, kind in STORES.items():
        (dump,) = dumps(production, store)
        assert dump["tables"]["public.probe"] == 5000
        assert dump["encrypted"]
        words = f"runuser -u pgbackup -- dump-carry --store={store} manifest {dump['name']}"
        kept = json.loads(production.check_output(words))["store"]
        assert kept["kind"] == kind
        assert kept["loses"][: len(LOST)] == LOST


def test_nothing_is_written_to_productions_disk(production):
    found = production.check_output("find / -xdev -name 'taaraxtak_*' -not -path '/proc/*'")
    assert found == ""


def test_the_box_was_asked_for_cat_and_mv_alone(store):
    asked = store.file("/srv/asked").content_string.splitlines()
    assert {line.split()[0] for line in asked} == {"cat", "mv"}


def test_the_secret_of_the_bucket_is_in_no_argument_list_and_the_senders_alone(production):
    path = production.file("/etc/taaraxtak/store_keys/bucket")
    assert (path.user, path.group, path.mode) == ("root", "pgbackup", 0o440)
    assert "S3RVER" not in production.file("/etc/taaraxtak/dump-carry.json").content_string


def test_a_store_that_takes_no_more_holds_no_bad_dump_and_keeps_no_other_from_its_dumps(production, store):
    before = {name: len(dumps(production, name)) for name in STORES}
    store.check_output("touch /srv/full")
    store.check_output("chmod 0500 /srv/files/dumps")
    try:
        status, results = sent(production)
    finally:
        store.check_output("rm /srv/full")
        store.check_output("chmod 0700 /srv/files/dumps")
    assert status == 1
    assert {key: one["ok"] for key, one in results.items() if key[1] == "taaraxtak"} == {
        ("box", "taaraxtak"): False,
        ("files", "taaraxtak"): False,
        ("bucket", "taaraxtak"): True,
    }
    assert "No space left on device" in results["box", "taaraxtak"]["reason"]
    after = {name: len(dumps(production, name)) for name in STORES}
    assert after == {**before, "bucket": before["bucket"] + 1}


def test_a_trusted_host_finds_them_fresh_and_says_what_they_lose():
    said = look_after()
    assert "bucket (s3) is ok, with 4 dumps" in said
    assert "not promised: the store can't list its files" in said
    report = json.loads((FOLDER / "build/stores/report.json").read_text())
    assert {store: one["verdict"]["level"] for store, one in report.items()} == dict.fromkeys(STORES, "ok")
    assert {store: one["store"]["kind"] for store, one in report.items()} == STORES


def test_dumps_that_are_too_old_are_an_alarm():
    late = json.dumps({"stores_expect": {"archived_warning_hours": 0, "archived_critical_hours": 0}})
    assert "is critical" in look_after(f"--extra-vars={late}", status=2)


def test_the_trusted_host_removes_what_nothing_keeps_and_in_check_mode_nothing(production):
    keep = {"daily": 0, "weekly": 0, "monthly": 0, "minimum": 1, "young_hours": 0}
    words = json.dumps({"stores_keep": keep, "stores_prune": True})
    held = dumps(production, "bucket")
    look_after("--check", f"--extra-vars={words}")
    assert dumps(production, "bucket") == held
    look_after(f"--extra-vars={words}")
    assert dumps(production, "bucket") == held[-1:]
    assert all(len(dumps(production, store)) == 1 for store in STORES)


@pytest.mark.parametrize("name", STORES)
def test_a_dump_restores_from_each_store(production, name):
    carry(name, "get", f"--to={FOLDER}")
    dump = dumps(production, name)[0]["name"]
    plain = FOLDER / f"{name}.sql"
    opened = subprocess.run(
        ["age", "--decrypt", "-i", FOLDER / "bob.age", FOLDER / dump], capture_output=True, check=True
    ).stdout
    plain.write_bytes(subprocess.run(["zstd", "-dcq"], input=opened, capture_output=True, check=True).stdout)
    for path in (FOLDER / dump, FOLDER / f"{dump}.manifest.json"):
        path.unlink()
    subprocess.run(["podman", "cp", plain, f"taaraxtak-stores-production:/tmp/{name}.sql"], check=True)
    sql(production, f"CREATE DATABASE copy_{name}", "postgres")
    production.check_output(f"runuser -u postgres -- psql -Xq -v ON_ERROR_STOP=1 -d copy_{name} -f /tmp/{name}.sql")
    assert sql(production, "SELECT count(*), sum(i) FROM probe", f"copy_{name}") == "5000|12502500"
