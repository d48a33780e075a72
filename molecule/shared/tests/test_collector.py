"""The only writer: it writes, it can't do more, and whether it writes is looked at."""

from __future__ import annotations

import json

from conftest import until

UNIT = "taaraxtak-collector.service"
FRESHNESS = "taaraxtak-freshness.service"
TABLES = ("provider_marketshare", "pop_weighted_gini", "ip_hostname_mapping", "ooni_web_connectivity_test")


def rows(postgres) -> dict[str, int]:
    """Rows of each table."""
    counts = {}
    for table in TABLES:
        counts[table] = int(postgres.commit(f"SELECT count(*) FROM public.{table}").stdout)
    return counts


def test_rows_arrive_in_every_table(production, postgres):
    before = rows(postgres)
    until(lambda: all(rows(postgres)[table] > before[table] for table in TABLES), seconds=90,
          what="no new row in every table", host=production, unit=UNIT)  # fmt: skip


def test_it_runs_as_its_own_account(production):
    pid = production.check_output("systemctl show --property=MainPID --value %s", UNIT)
    assert production.check_output("stat -c %%U /proc/%s", pid) == "collector"


def test_the_unit_is_hardened(production):
    said = production.check_output("systemd-analyze security --no-pager --json=short %s", UNIT)
    assert json.loads(said)
    overall = production.check_output("systemd-analyze security --no-pager %s", UNIT).strip().splitlines()[-1]
    assert float(overall.split(":")[1].split()[0]) <= 2.0, overall


def test_the_hardening_holds_and_is_not_only_written_down(production):
    """Look from inside the unit's own namespaces: a unit file may say what systemd then leaves out in silence."""
    pid = production.check_output("systemctl show --property=MainPID --value %s", UNIT)
    inside = production.run("nsenter --target %s --mount -- touch /etc/planted", pid)
    assert inside.rc != 0
    assert "Read-only file system" in inside.stderr
    status = production.file(f"/proc/{pid}/status").content_string
    assert "NoNewPrivs:\t1" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "Seccomp:\t2" in status
    hidden = production.run("nsenter --target %s --mount -- ls -A /home", pid)
    assert hidden.stdout.strip() == ""


def test_the_code_belongs_to_root(production):
    others = production.check_output("find /opt/taaraxtak ! -user root")
    assert others == ""
    writable = production.check_output("find /opt/taaraxtak -perm /022 ! -type l")
    assert writable == ""


def test_the_configuration_is_for_the_collector_alone(production):
    config = production.file("/opt/taaraxtak/app/config.py")
    assert (config.user, config.group, config.mode) == ("root", "collector", 0o440)
    for account in ("grafana", "pgbackup", "nobody"):
        assert production.run("runuser -u %s -- cat /opt/taaraxtak/app/config.py", account).rc != 0


def test_the_owner_owns_every_table(postgres):
    owners = postgres.commit("SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
    assert owners.stdout.split() == ["taaraxtak_owner"]


def test_fresh_rows_are_found_fresh(production):
    until(lambda: production.run("systemctl start %s", FRESHNESS).rc == 0, seconds=60,
          what="the check of freshness fails", host=production, unit=FRESHNESS)  # fmt: skip


def test_a_collector_that_is_up_and_writes_nothing_is_found_out(production, postgres):
    """"active" proves nothing: with the process stopped where it stands, only the age of the newest row tells."""
    pid = production.check_output("systemctl show --property=MainPID --value %s", UNIT)
    config = json.loads(production.file("/etc/taaraxtak/freshness.json").content_string)
    config["tables"] = [{**table, "max_age": 2} for table in config["tables"]]
    production.check_output("kill -STOP %s", pid)
    try:
        assert production.check_output("systemctl is-active %s", UNIT) == "active"
        script = "import sys, time; time.sleep(4)"
        production.check_output("python3 -c %s", script)
        stale = production.run(
            "runuser -u collector -- python3 -I -c %s",
            "import json, runpy, sys, tempfile; "
            f"f = tempfile.NamedTemporaryFile('w', suffix='.json'); f.write({json.dumps(json.dumps(config))}); f.flush(); "
            "sys.argv = ['freshness.py', f.name]; runpy.run_path('/usr/local/lib/taaraxtak/freshness.py', run_name='__main__')",
        )
        assert stale.rc == 1, stale.stdout + stale.stderr
    finally:
        production.check_output("kill -CONT %s", pid)


def test_a_hostile_hostname_leaves_every_row(production, postgres):
    """The injection fault of the app's lookups, switched on: the privilege stops what the code lets through."""
    count = "SELECT count(*) FROM public.ip_hostname_mapping"
    before = int(postgres.commit(count).stdout)
    assert before > 0
    script = (
        "import sys; sys.path.insert(0, '/opt/taaraxtak/app'); import config; config.config['sample_injection'] = True; "
        "sys.argv = ['collect.py', '--once']; import runpy; runpy.run_path('/opt/taaraxtak/app/collect.py', run_name='__main__')"
    )
    done = production.run("runuser -u collector -- env PYTHONDONTWRITEBYTECODE=1 python3 -c %s", script)
    assert "InsufficientPrivilege" in done.stdout + done.stderr or "permission denied" in done.stdout + done.stderr
    assert int(postgres.commit(count).stdout) >= before
