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
ARCHIVE = "/var/lib/taaraxtak-dumps/archive"
MARKETSHARE = "public.provider_marketshare"


@pytest.fixture(scope="module", autouse=True)
def the_hosts_may_go(developer_is_done: Path) -> t.Iterator[None]:
    """Afterwards the runbook's tests may take the store away."""
    yield
    developer_is_done.touch()


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


@pytest.fixture(scope="module")
def dumps(store: t.Any) -> list[dict[str, t.Any]]:
    """The dumps: the one that the environment was made of, and the newer one that came since."""
    rows = [row for row in json.loads(store.run("dump-store list --json").stdout) if row["kind"] == "dump"]
    return [row for row in rows if row["name"].startswith("taaraxtak_")][-2:]


def counted(address: str, table: str) -> int:
    return int(as_developer(address, f"SELECT count(*) FROM {table}")[0][0])


def every_row(address: str, dump: dict[str, t.Any]) -> None:
    assert len(dump["tables"]) >= 4
    assert {table: counted(address, table) for table in dump["tables"]} == dump["tables"]


# --- The older dump, as the environment was made ----------------------------------------------------------------------


def test_a_developer_has_every_row_of_the_dump(address, dumps):
    every_row(address, dumps[0])


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


def test_nobody_measures_dumps_or_is_known_there(developer):
    assert not developer.service("taaraxtak-collector").is_running
    assert not developer.file("/etc/cron.d/taaraxtak-backup").exists
    assert not developer.file("/etc/taaraxtak/dump_signing_key").exists


# --- The newer one ----------------------------------------------------------------------------------------------------


def test_a_newer_dump_is_swapped_in_and_the_older_stays(address, dumps, play):
    as_developer(address, "CREATE TABLE public.mine ()")
    assert changes(play("playbooks/local.yml")) > 0
    every_row(address, dumps[1])
    assert as_developer(address, "SELECT to_regclass('public.mine')") == [(None,)]
    assert as_developer(address, "SELECT count(*) FROM pg_database WHERE datname = 'taaraxtak__previous'") == [(1,)]


def test_nothing_of_the_key_or_the_dump_is_left(developer):
    key = (FOLDER / "reader").read_text().splitlines()[2]
    found = developer.run("grep -rlF -- %s /run /root /tmp /var/tmp /etc /home", key)
    assert (found.rc, found.stdout) == (1, "")
    assert developer.check_output("find / -xdev -name '*.sql*' -newer /etc/hostname -path '*axtak*'") == ""


def test_the_screen_says_how_to_connect_and_what_is_there(address, dumps):
    screen = SCREEN.read_text()
    assert dumps[1]["name"] in screen
    url = re.search(r"postgresql://\S+", screen)
    assert url
    connection = psycopg2.connect(url[0])
    connection.close()
    assert "GRAFANA      None here" in screen


def test_a_state_is_kept_and_comes_back(address, play):
    before = counted(address, MARKETSHARE)
    play("playbooks/local_states.yml", local_name="before", local_state="present")
    as_developer(address, f"DELETE FROM {MARKETSHARE}")
    play("playbooks/local_states.yml", local_name="before", local_state="restored")
    assert counted(address, MARKETSHARE) == before > 0


def test_again_with_the_same_dump_changes_nothing(address, play):
    """Nor is there anything left to apply of the policy to the state that came back."""
    assert changes(play("playbooks/local.yml")) == 0


def test_an_unknown_state_is_refused(address, play):
    before = counted(address, MARKETSHARE)
    assert "there is no snapshot none" in play(
        "playbooks/local_states.yml", status=2, local_name="none", local_state="restored"
    )
    assert counted(address, MARKETSHARE) == before


def test_a_dump_of_one_s_own_is_taken_in_the_old_pipeline_s_packing(address, store, dumps, play):
    """Its .tar.gz is no tar. The other packings are the modules' tests'."""
    path = FOLDER / "own.sql.tar.gz"
    command = ["podman", "exec", store.backend.name, "zstd", "-dcq", f"{ARCHIVE}/{dumps[0]['name']}"]
    text = subprocess.run(command, check=True, capture_output=True).stdout
    path.write_bytes(subprocess.run(["gzip", "-9c"], input=text, check=True, capture_output=True).stdout)
    try:
        play("playbooks/local.yml", local_store="", local_dump=str(path))
        every_row(address, dumps[0])
        assert "is not proved" in SCREEN.read_text()
    finally:
        path.unlink()
