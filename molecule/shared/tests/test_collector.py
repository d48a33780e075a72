"""The only writer: it writes, it can't do more, and whether it writes is looked at."""

from __future__ import annotations

import json

UNIT = "taaraxtak-collector.service"
FRESHNESS = "taaraxtak-freshness.service"
TABLES = ("provider_marketshare", "pop_weighted_gini", "ip_hostname_mapping", "ooni_web_connectivity_test")


def rows(postgres) -> dict[str, int]:
    """Rows of each table."""
    counts = {}
    for table in TABLES:
        counts[table] = int(postgres.commit(f"SELECT count(*) FROM public.{table}").stdout)
    return counts


def test_rows_arrive_in_every_table(production, postgres, until):
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


# What a process of the unit finds when it tries: run by a unit that is a copy but for what it starts.
PROBE = """
import json, os, pathlib, socket
def tries(action):
    try:
        action()
    except OSError as error:
        return error.strerror
    return "done"
status = dict(line.split(":\\t") for line in open("/proc/self/status") if ":\\t" in line)
print(json.dumps({
    "etc": tries(lambda: pathlib.Path("/etc/planted").touch()),
    "app": tries(lambda: pathlib.Path("/opt/taaraxtak/app/planted.py").touch()),
    "state": tries(lambda: pathlib.Path("/var/lib/taaraxtak-collector/planted").touch()),
    "shadow": tries(lambda: open("/etc/shadow")),
    "raw socket": tries(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "homes": tries(lambda: os.listdir("/home")),
    "tmp": [name for name in os.listdir("/tmp") if name.startswith("planted")],
    "others": [pid for pid in os.listdir("/proc") if pid.isdigit() and os.stat("/proc/" + pid).st_uid != os.getuid()],
    "capabilities": status["CapBnd"].strip(),
    "no_new_privs": status["NoNewPrivs"].strip(),
    "seccomp": status["Seccomp"].strip(),
}))
"""


def test_the_hardening_holds_and_is_not_only_written_down(production):
    """A unit file may say what systemd then leaves out in silence, so a copy of the unit tries."""
    unit = production.file(f"/etc/systemd/system/{UNIT}").content_string
    copy = "\n".join(
        "ExecStart=/usr/bin/python3 -I /opt/planted-probe.py" if line.startswith("ExecStart=") else line
        for line in unit.splitlines()
        if not line.startswith("Restart")
    ).replace("[Service]", "[Service]\nType=oneshot")
    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    production.check_output("python3 -c %s /opt/planted-probe.py %s", write, PROBE)
    production.check_output("python3 -c %s /run/systemd/system/planted-probe.service %s", write, copy)
    production.check_output("touch /tmp/planted")
    try:
        production.check_output("systemctl daemon-reload")
        started = production.run("systemctl start planted-probe.service")
        journal = production.check_output("journalctl --no-pager -o cat -u planted-probe.service")
        assert started.rc == 0, journal
        found = json.loads(next(line for line in journal.splitlines() if line.startswith("{")))
    finally:
        production.check_output("rm /run/systemd/system/planted-probe.service /opt/planted-probe.py /tmp/planted")
        production.run("rm /var/lib/taaraxtak-collector/planted")
        production.check_output("systemctl daemon-reload")
    assert found == {
        "etc": "Read-only file system",
        "app": "Read-only file system",
        "state": "done",
        "shadow": "Permission denied",
        "raw socket": "Address family not supported by protocol",
        "homes": "Permission denied",
        "tmp": [],
        "others": [],
        "capabilities": "0000000000000000",
        "no_new_privs": "1",
        "seccomp": "2",
    }


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
    owners = postgres.commit(
        "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    )
    assert owners.stdout.split() == ["taaraxtak_owner"]


def test_fresh_rows_are_found_fresh(production, until):
    until(lambda: production.run("systemctl start %s", FRESHNESS).rc == 0, seconds=60,
          what="the check of freshness fails", host=production, unit=FRESHNESS)  # fmt: skip


STALE = """
import json, runpy, sys, tempfile
with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
    config = json.load(open("/etc/taaraxtak/freshness.json"))
    config["tables"] = [{**table, "max_age": 2} for table in config["tables"]]
    json.dump(config, file)
    file.flush()
    sys.argv = ["freshness.py", file.name]
    runpy.run_path("/usr/local/lib/taaraxtak/freshness.py", run_name="__main__")
"""


def test_a_collector_that_is_up_and_writes_nothing_is_found_out(production):
    """ "active" proves nothing: with the process stopped where it stands, only the age of the newest row tells."""
    pid = production.check_output("systemctl show --property=MainPID --value %s", UNIT)
    production.check_output("kill -STOP %s", pid)
    try:
        assert production.check_output("systemctl is-active %s", UNIT) == "active"
        production.check_output("sleep 4")
        stale = production.run("runuser -u collector -- python3 -I -c %s", STALE)
    finally:
        production.check_output("kill -CONT %s", pid)
    assert stale.rc == 1, stale.stdout + stale.stderr
    assert "is stale" in stale.stdout


INJECTION = """
import runpy, sys
sys.path.insert(0, "/opt/taaraxtak/app")
import config
config.config["sample_injection"] = True
sys.argv = ["collect.py", "--once"]
runpy.run_path("/opt/taaraxtak/app/collect.py", run_name="__main__")
"""


def test_a_hostile_hostname_leaves_every_row(production, postgres):
    """The injection fault of the app's lookups, switched on: the privilege stops what the code lets through."""
    count = "SELECT count(*) FROM public.ip_hostname_mapping"
    before = int(postgres.commit(count).stdout)
    assert before > 0
    done = production.run("runuser -u collector -- env PYTHONDONTWRITEBYTECODE=1 python3 -c %s", INJECTION)
    assert "permission denied for table ip_hostname_mapping" in done.stdout + done.stderr
    assert int(postgres.commit(count).stdout) >= before
