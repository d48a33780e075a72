"""A host made by the recipe is adopted step by step, while its collector writes; each test goes on where one ended."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
REPORTS = ROOT / "build" / "adopt"
OLD, NEW = "collect.service", "taaraxtak-collector.service"
HBA = "/etc/postgresql/*/old/pg_hba.conf"  # of whichever version Debian has
# Of the Grafana that is there: what its database keeps is encrypted by it.
KEY = "planted-key-of-before"
# Whatever a step or its way back may change of what was there.
LOOK = {
    "passwords": "getent shadow ops nightly",
    "hba": f"cat {HBA}",
    "ident": "cat /etc/postgresql/*/old/pg_ident.conf",
    "cron": "cat /var/spool/cron/crontabs/nightly",
    "sudo": "cat /etc/sudoers.d/nightly /etc/sudoers.d/ops",
    "sshd": "sshd -T",
    "grafana": "cat /etc/grafana/grafana.ini /etc/grafana/provisioning/datasources/taaraxtak.yaml",
    "grafana's database": "cat /var/lib/grafana/grafana.db",
    "hours": "readlink /etc/localtime; cat /etc/timezone",
}
ROLES = """
SELECT rolname, rolsuper, rolcanlogin, rolpassword, rolconnlimit,
  (SELECT setconfig FROM pg_db_role_setting WHERE setrole = oid AND setdatabase = 0)
FROM pg_authid WHERE rolname !~ '^pg_'
UNION ALL SELECT relname, false, false, pg_get_userbyid(relowner), 0,
  ARRAY(SELECT one::text FROM unnest(relacl) one ORDER BY 1) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1
"""


@pytest.fixture(scope="module")
def step(play: t.Callable[..., str]) -> t.Callable[..., str]:
    """Take a step, or with confirm="" show its report; `back` takes it back."""

    def run(name: str, *, back: bool = False, confirm: str | None = None, **options: t.Any) -> str:
        if back:
            return play("playbooks/adopt_back.yml", adopt_step=name, **options)
        named = name if confirm is None else confirm
        return play("playbooks/adopt.yml", adopt_step=name, adopt_confirm=named, **options)

    return run


@pytest.fixture
def look(production: t.Any, postgres: t.Any) -> t.Callable[[], dict[str, str]]:
    """What there is now, to be compared."""

    def read() -> dict[str, str]:
        # A file that a step has taken away is nothing.
        found = {name: production.run(command).stdout for name, command in LOOK.items()}
        return {**found, "roles": query(production, ROLES)}

    return read


def query(production: t.Any, statement: str) -> str:
    """What the superuser's psql answers."""
    command = "runuser -u postgres -- psql -XAt -v ON_ERROR_STOP=1 -d taaraxtak -c %s"
    return str(production.check_output(command, statement))


def journal(production: t.Any, unit: str) -> list[str]:
    return str(production.check_output(f"journalctl --quiet --no-pager --output=cat --unit={unit}")).splitlines()


def no_row_is_lost(production: t.Any) -> int:
    """No error was said, and the rows are numbered without a gap, up to the last that a collector said it wrote."""
    said = journal(production, OLD) + journal(production, NEW)
    assert [line for line in said if "ERROR" in line or "Traceback" in line] == []
    wrote = [int(line.removeprefix("wrote ")) for line in said if line.startswith("wrote ")]
    assert len(wrote) == len(set(wrote)), "each row is written once"
    last = max(wrote)
    count, highest = query(production, f"SELECT count(*), max(n) FROM counted WHERE n <= {last}").split("|")
    assert (int(count), int(highest)) == (last, last)
    measured = query(production, "SELECT count(*) - (SELECT count(*) FROM counted) FROM measurement")
    assert abs(int(measured)) <= 1, "of the row that is written now"
    return last


@pytest.fixture(autouse=True)
def it_keeps_writing(production: t.Any, until: t.Callable[..., None]) -> t.Iterator[None]:
    """After each test too one collector writes, nothing was lost, and nobody has had an error."""
    yield
    before = no_row_is_lost(production)
    until(lambda: no_row_is_lost(production) > before, seconds=30, what="no new row", host=production, unit=NEW)


def test_the_report_names_what_is_there_and_changes_nothing(step, look, production):
    before = look()
    said = step("report", confirm="")
    assert look() == before
    assert "Nothing was changed" in said
    screen = (REPORTS / "production-report.txt").read_text()
    for sentence in [
        "data folder: /srv/postgres/old",
        "scraper to taaraxtak from 127.0.0.1",
        "nightly: * * * * * /home/nightly/dump.sh",
        "/etc/systemd/system/collect.service",
        "ops@laptop",
        "ops: ALL as ALL !authenticate",
        "/opt/taaraxtak/app becomes the collector's code and holds nothing else",
        "ops: collect.service ends and does not start again",
        "nightly: the job * * * * * /home/nightly/dump.sh ends",
        "scraper comes by the network, and its password is taken away",
        'ALTER TABLE "public"."counted" OWNER TO "taaraxtak_owner"',
        "Next: dumps.",
    ]:
        assert sentence in screen
    assert "planted" not in screen + (REPORTS / "production-report.json").read_text()
    assert json.loads((REPORTS / "production-report.json").read_text())["done"] == []
    assert production.run("test -e /var/lib/taaraxtak-adopt").rc == 1


def test_a_step_is_not_taken_before_its_time_or_under_another_name(play, look):
    before = look()
    assert "retire comes after dumps" in play(
        "playbooks/adopt.yml", adopt_step="retire", adopt_confirm="retire", status=2
    )
    assert "adopt_confirm names access" in play(
        "playbooks/adopt.yml", adopt_step="dumps", adopt_confirm="access", status=2
    )
    said = play("playbooks/adopt.yml", adopt_step="dumps", adopt_confirm="dumps", check=True)
    assert "Nothing was changed, since this was --check" in said
    assert "dumps is done" not in said
    assert "dumps is not begun" in play("playbooks/adopt_back.yml", adopt_step="dumps", status=2)
    assert look() == before


def test_the_first_dump_is_proved_beside_the_old_job_and_the_old_dumps_are_taken_over(step, look, store):
    before = look()
    said = step("dumps")
    listed = str(store.check_output("runuser -u dumps-archive -- dump-store list"))
    assert re.search(r"\.sql\.zst .* archived {2}drilled .* equal", listed)
    assert "adopted" in listed
    # One of the old files is cut, as the old job's pipeline leaves it when a dump fails.
    assert "taaraxtak_2020-01-01-00.00.00.sql.tar.gz is not adopted" in said
    after = look()
    assert after["cron"] == before["cron"]
    for file in ("hba", "ident"):
        begins, _, rest = after[file].partition("# END taaraxtak.production\n")
        assert begins.startswith("# BEGIN taaraxtak.production")
        assert rest == before[file], "what stood there before is whole, below what is new"
    step("dumps", back=True)
    assert look() == before
    step("dumps")


def test_the_old_job_stays_until_enough_dumps_are_proved(play, step, look, production, store, until):
    refused = play("playbooks/adopt.yml", adopt_step="retire", adopt_confirm="retire", adopt_verified_dumps=9, status=2)
    assert "taaraxtak has 2 verified dumps and 9 are asked for" in refused
    before = look()
    # As though the store asked for one of this very moment.
    stale = play(
        "playbooks/adopt.yml", adopt_step="retire", adopt_confirm="retire", status=2,
        dump_store_expect={"archived_warning_hours": 0},
    )  # fmt: skip
    assert (
        "the newest dump of taaraxtak that the store has archived is 0 hours old, and at most 0 are asked for" in stale
    )
    assert look() == before
    step("retire")
    assert "# retired by taaraxtak.production: * * * * * /home/nightly/dump.sh" in production.check_output(LOOK["cron"])
    assert not production.file("/etc/sudoers.d/nightly").exists
    step("retire", back=True)
    assert look() == before
    assert production.file("/etc/sudoers.d/nightly").mode == 0o440
    # cron has seen it, too: a dump of the old job comes, by the minute.
    old_dumps = "find /home/nightly/taaraxtak-backup -name '*.sql.tar.gz' -newer /root/taken-back"
    store.check_output("touch /root/taken-back")
    until(lambda: store.check_output(old_dumps) != "", seconds=150, what="no dump", host=production, unit="cron")
    step("retire")


def test_grants_take_nothing_away(step, look, production):
    before = {key: value for key, value in look().items() if key != "roles"}
    step("grants")
    assert query(production, "SELECT count(*) FROM pg_roles WHERE rolname IN ('taaraxtak_owner', 'dba')") == "2"
    assert {key: value for key, value in look().items() if key != "roles"} == before


def test_a_step_that_was_cut_is_taken_back_before_those_that_came_earlier(step, look, production):
    """What marks its end is written last, and everything of the step is there."""
    after = look()
    production.check_output("rm /var/lib/taaraxtak-adopt/grants/done")
    assert "first take back grants" in step("retire", back=True, status=2)
    # One who came since, and not by the step, keeps what they have.
    query(production, "CREATE ROLE analyst LOGIN PASSWORD 'planted-analyst'")
    held = query(production, "SELECT rolpassword FROM pg_authid WHERE rolname = 'analyst'")
    step("grants", back=True)
    assert query(production, "SELECT rolpassword FROM pg_authid WHERE rolname = 'analyst' AND rolcanlogin") == held
    assert query(production, "SELECT count(*) FROM pg_roles WHERE rolname IN ('taaraxtak_owner', 'dba')") == "0"
    query(production, "DROP ROLE analyst")
    assert {key: value for key, value in look().items() if key != "roles"} == {
        key: value for key, value in after.items() if key != "roles"
    }
    step("grants")
    assert look() == after


def test_clients_takes_no_place_of_what_is_somebody_elses(play, look, production):
    """An old collector may lie, and run, where the new one comes."""
    before = look()
    production.check_output("install -D /etc/hostname /opt/taaraxtak/app/collect.py")
    said = play("playbooks/adopt.yml", adopt_step="clients", adopt_confirm="clients", status=2)
    assert "/opt/taaraxtak is there and is not this collection's" in said
    assert production.check_output("ls /opt/taaraxtak/app") == "collect.py"
    assert production.run("id collector").rc == 1
    production.check_output("rm -r /opt/taaraxtak")
    keyless = play("playbooks/adopt.yml", adopt_step="clients", adopt_confirm="clients", status=2)
    assert "into dashboards_secret_key" in keyless
    assert look() == before


def test_the_collector_and_grafana_move_to_peer_and_back(step, look, production):
    before = look()
    step("clients", dashboards_secret_key=KEY)
    kept = "/var/lib/taaraxtak-adopt/clients/files/var/lib/grafana/grafana.db"
    assert production.check_output(f"cat {kept}") == "planted database"
    assert production.check_output("cat /etc/grafana/secrets/secret_key") == KEY
    assert production.service(NEW).is_running
    assert not production.service(OLD).is_running
    assert not production.file("/etc/grafana/provisioning/datasources/taaraxtak.yaml").exists
    identity = query(production, "SELECT DISTINCT usename, client_addr FROM pg_stat_activity WHERE usename = 'scraper'")
    assert identity == "scraper|"
    step("clients", back=True)
    assert production.service(OLD).is_running
    assert not production.service(NEW).is_running
    assert look() == before
    step("clients", dashboards_secret_key=KEY)


def test_what_the_policy_does_not_grant_is_taken_away_and_given_back(step, look, production):
    before = look()
    # Its rows are young for minutes yet, and it writes none any more.
    production.check_output(f"systemctl stop {NEW}")
    said = step(
        "access", status=2, collector_freshness=[{"table": "public.counted", "column": "written_at", "max_age": 5}]
    )
    assert "The database is as it was" in said
    assert look() == before
    production.check_output(f"systemctl start {NEW}")
    step("access")
    owner = query(production, "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'counted'")
    assert owner == "taaraxtak_owner"
    assert query(production, "SELECT rolname FROM pg_authid WHERE rolpassword IS NOT NULL") == ""
    assert query(production, "SELECT rolsuper FROM pg_roles WHERE rolname = 'former'") == "f"
    step("access", back=True)
    assert look() == before
    step("access")


def test_the_login_files_and_settings_become_the_policys_and_back(step, look, production):
    before = look()
    step("logins", database_restart_allowed=True)
    assert "Owned whole by the Ansible collection" in production.check_output(f"head -1 {HBA}")
    assert query(production, "SHOW listen_addresses") == ""
    step("logins", back=True, database_restart_allowed=True)
    assert look() == before
    assert query(production, "SHOW listen_addresses") == "localhost"
    step("logins", database_restart_allowed=True)


def test_devops_keys_are_the_only_ones_and_back(step, look, production):
    before = look()
    step("keys")
    assert "passwordauthentication no" in production.check_output("sshd -T")
    assert production.check_output("chage -l ops").count("1970") == 1, "the account is closed"
    step("keys", back=True)
    assert look() == before
    assert not production.file("/etc/sudoers.d/taaraxtak-devops").exists
    assert not production.file("/var/lib/taaraxtak-adopt/keys").exists
    assert "1970" not in production.check_output("chage -l ops")
    step("keys")


def test_what_is_not_open_is_dropped_and_back(step, look, production):
    rules = "cat /etc/nftables.conf /etc/nftables-taaraxtak.conf"
    before = {**look(), "rules": production.run(rules).stdout}
    step("firewall")
    assert "policy drop" in production.check_output("nft list table inet taaraxtak")
    # A way back that was cut after its first act is taken once more.
    production.check_output("nft delete table inet taaraxtak")
    step("firewall", back=True)
    assert production.run("nft list table inet taaraxtak").rc != 0
    assert {**look(), "rules": production.run(rules).stdout} == before
    step("firewall")


def test_the_rest_is_an_ordinary_run_and_the_audit_is_clean(play, store, tmp_path):
    # Who brought the old dumps to the store is closed by hand.
    store.check_output("usermod --lock --expiredate 1 nightly")
    store.check_output("rm /home/nightly/.ssh/authorized_keys")
    play("playbooks/site.yml", database_restart_allowed=True)
    play("playbooks/backup_now.yml", "playbooks/restore_drill.yml")
    # It fails where it has found anything, or could not look.
    assert "nothing was found" in play("playbooks/audit.yml", audit_folder=str(tmp_path / "audit")).lower()
