"""A developer's own environment: production's rows and rules, reached from this machine alone."""

from __future__ import annotations

import json
import re
import subprocess
import typing as t
from pathlib import Path

import psycopg2
import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "build" / "molecule" / "restore"
PASSWORD = ROOT / "build" / "taaraxtak-restore" / "password"
SCREEN = ROOT / "build" / "taaraxtak-restore" / "screen.txt"
MARKETSHARE = "public.provider_marketshare"


def changes(said: str, host: str = "developer") -> int:
    """How many tasks changed something on *host*."""
    return int(re.findall(rf"^{host} +: .*changed=(\d+)", said, re.MULTILINE)[-1])


@pytest.fixture(scope="module")
def address(developer: t.Any) -> str:
    """Where the database of the environment is, for this machine."""
    port = subprocess.run(
        ["podman", "port", developer.backend.name, "5432"], check=True, capture_output=True, text=True
    ).stdout
    assert re.fullmatch(r"127\.0\.0\.1:\d+\n", port), "only this machine reaches it"
    return f"host=127.0.0.1 port={port.strip().partition(':')[2]} dbname=taaraxtak"


def as_developer(address: str, sql: str, **options: t.Any) -> list[t.Any]:
    """Run *sql* from this machine."""
    given = {"user": "developer", "password": PASSWORD.read_text().strip(), "sslmode": "require", **options}
    connection = psycopg2.connect(address, **given)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def newest(store: t.Any) -> dict[str, t.Any]:
    """The newest dump of the store."""
    return [row for row in json.loads(store.run("dump-store list --json").stdout) if row["kind"] == "dump"][-1]


def counted(address: str, table: str) -> int:
    return int(as_developer(address, f"SELECT count(*) FROM {table}")[0][0])


def test_a_developer_has_every_row_of_the_dump(address, store, play):
    play("playbooks/local.yml")  # the drill's tests have made newer dumps
    dump = newest(store)
    assert len(dump["tables"]) >= 4
    assert {table: counted(address, table) for table in dump["tables"]} == dump["tables"]


def test_only_its_password_and_tls_lead_in(address):
    for wrong in ({"password": "wrong"}, {"sslmode": "disable"}, {"user": "postgres"}, {"dbname": "postgres"}):
        with pytest.raises(psycopg2.OperationalError):
            as_developer(address, "SELECT 1", **wrong)
    assert PASSWORD.stat().st_mode & 0o077 == 0
    assert SCREEN.stat().st_mode & 0o077 == 0


def test_a_developer_may_change_the_copy(address):
    as_developer(address, "BEGIN; DELETE FROM public.provider_marketshare; CREATE TABLE public.mine (); ROLLBACK")


def test_production_s_rules_hold_there(developer):
    def psql(account: str, role: str, sql: str) -> str:
        command = "runuser -u %s -- psql -XAt -v VERBOSITY=sqlstate -U %s -d taaraxtak -c %s"
        return developer.run(command, account, role, sql).stderr

    assert psql("grafana", "grafanareader", f"SELECT 1 FROM {MARKETSHARE}") == ""
    assert "42501" in psql("grafana", "grafanareader", f"SET transaction_read_only = off; DELETE FROM {MARKETSHARE}")
    assert "42501" in psql("collector", "scraper", f"DELETE FROM {MARKETSHARE}")
    assert "42501" in psql("alice", "dba", f"DELETE FROM {MARKETSHARE}")


def test_nobody_measures_dumps_or_is_known_there(developer, store, production):
    assert not developer.service("taaraxtak-collector").is_running
    assert not developer.file("/etc/cron.d/taaraxtak-backup").exists
    assert not developer.file("/etc/taaraxtak/dump_signing_key").exists


def test_nothing_of_the_key_or_the_dump_is_left(developer):
    key = (FOLDER / "reader").read_text().splitlines()[2]
    found = developer.run("grep -rlF -- %s /run /root /tmp /var/tmp /etc /home", key)
    assert (found.rc, found.stdout) == (1, "")
    assert developer.check_output("find / -xdev -name '*.sql*' -newer /etc/hostname -path '*axtak*'") == ""


def test_again_with_the_same_dump_changes_nothing(address, play):
    assert changes(play("playbooks/local.yml")) == 0


def test_the_screen_says_how_to_connect_and_what_is_there(address, store):
    screen = SCREEN.read_text()
    assert newest(store)["name"] in screen
    url = re.search(r"postgresql://\S+", screen)
    assert url
    connection = psycopg2.connect(url[0])
    connection.close()
    assert "dashboards are not part of this version yet" in screen


def test_a_state_is_kept_and_comes_back(address, play):
    before = counted(address, MARKETSHARE)
    play("playbooks/local_states.yml", local_name="before", local_state="present")
    as_developer(address, f"DELETE FROM {MARKETSHARE}")
    play("playbooks/local_states.yml", local_name="before", local_state="restored")
    assert counted(address, MARKETSHARE) == before > 0
    assert changes(play("playbooks/local.yml")) == 0, "the policy is applied to what came back"


@pytest.mark.parametrize("name", ["none", "../x", 'x"; DROP DATABASE taaraxtak; --'])
def test_an_unknown_or_hostile_state_is_refused(address, name, play):
    before = counted(address, MARKETSHARE)
    said = play("playbooks/local_states.yml", status=2, local_name=name, local_state="restored")
    assert "there is no snapshot none" in said or "is no name of a snapshot" in said
    assert counted(address, MARKETSHARE) == before


def test_a_newer_dump_is_swapped_in_and_the_older_stays(address, store, play):
    as_developer(address, "CREATE TABLE public.mine ()")
    older = newest(store)["name"]
    play("playbooks/backup_now.yml")
    dump = newest(store)
    assert dump["name"] != older
    assert changes(play("playbooks/local.yml")) > 0
    assert {table: counted(address, table) for table in dump["tables"]} == dump["tables"]
    assert as_developer(address, "SELECT to_regclass('public.mine')") == [(None,)]
    assert as_developer(address, "SELECT count(*) FROM pg_database WHERE datname = 'taaraxtak__previous'") == [(1,)]


@pytest.mark.parametrize("ending", [".sql.zst", ".sql.gz", ".sql", ".sql.tar.gz"])
def test_a_dump_of_one_s_own_is_taken_in_any_packing(address, store, ending, play):
    """Also what the old pipeline made, whose .tar.gz is no tar."""
    dump = newest(store)
    path = FOLDER / f"own{ending}"
    command = ["podman", "exec", store.backend.name, "zstd", "-dcq", f"/var/lib/taaraxtak-dumps/archive/{dump['name']}"]
    text = subprocess.run(command, check=True, capture_output=True).stdout
    packed = {
        ".sql": ["cat"],
        ".sql.zst": ["podman", "exec", "-i", store.backend.name, "zstd", "-cq"],
    }.get(ending, ["gzip", "-9c"])
    path.write_bytes(subprocess.run(packed, input=text, check=True, capture_output=True).stdout)
    try:
        play("playbooks/local.yml", local_store="", local_dump=str(path))
        assert {table: counted(address, table) for table in dump["tables"]} == dump["tables"]
        assert "is not proved" in SCREEN.read_text()
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"ansible_connection": "ssh"}, "is not a container of this machine"),
        ({"local_dump": "/nowhere.sql.zst", "local_store": ""}, "There is no dump /nowhere.sql.zst"),
        ({"local_dump": "/etc/passwd", "local_store": ""}, "There is no dump /etc/passwd"),
        ({"local_dump": "/x.sql"}, "DUMP and STORE both say"),
        ({"local_store": "-oProxyCommand=x"}, "is no address of a store"),
        ({"local_key": ""}, "KEY is not given"),
        ({"local_known_hosts": "/nowhere"}, "KNOWN_HOSTS is /nowhere"),
    ],
)
def test_what_is_not_local_or_not_there_is_refused(variables, sentence, play):
    assert sentence in re.sub(r"\s+", " ", play("playbooks/local_preflight.yml", status=2, **variables))


def test_another_machine_s_containers_are_refused(monkeypatch, play):
    monkeypatch.setenv("CONTAINER_HOST", "ssh://production.example.org/run/podman.sock")
    said = play("playbooks/local_preflight.yml", status=2)
    assert "podman" in said
