"""An audit only reads: files, catalogue and journal are after it what they were before, its own lines aside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from tunnel import grafana  # noqa: F401 - a fixture of all tests here

ROOT = Path(__file__).resolve().parents[3]
# Everything that says that a file was written, made, moved or given away. Left out is what programs that run anyway
# write: the kernel's folders, logs, what Grafana notes of requests, and the database's own files, whose catalogues are
# compared by themselves.
FILES = """
import json, os, sys
LEFT = {"/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log", "/var/lib/postgresql", "/var/lib/grafana"}
found = {}
for folder, folders, files in os.walk("/"):
    folders[:] = [one for one in folders if os.path.join(folder, one) not in LEFT]
    for name in [*folders, *files]:
        path = os.path.join(folder, name)
        try:
            is_ = os.lstat(path)
        except FileNotFoundError:
            continue
        found[path] = [is_.st_ino, is_.st_mode, is_.st_uid, is_.st_gid, is_.st_size, is_.st_mtime_ns, is_.st_ctime_ns]
json.dump(found, sys.stdout)
"""
# A row that was written again has another xmin, even with the same content.
CATALOGUES = ("pg_authid", "pg_proc", "pg_namespace", "pg_default_acl", "pg_type", "pg_trigger",
              "pg_event_trigger", "pg_auth_members", "pg_db_role_setting", "pg_attribute", "pg_shdepend")  # fmt: skip
ROWS = "SELECT count(*), md5(string_agg(c::text || c.xmin::text, ',' ORDER BY c::text)) FROM pg_catalog.{} AS c"
# Of tables and databases vacuum changes counts in place, which is no new row.
IN_PLACE = {
    "pg_class": "oid, relname, relowner, relacl, relkind, reloptions",
    "pg_database": "oid, datname, datdba, datacl",
}
SOME = (
    "SELECT count(*), md5(string_agg(c::text, ',' ORDER BY c.oid)) FROM (SELECT {}, xmin::text FROM pg_catalog.{}) AS c"
)
# Ansible writes one line for each module that it runs.
OWN = "ansible-"


def files(host: t.Any) -> dict[str, list[int]]:
    found: dict[str, list[int]] = json.loads(host.check_output("python3 -c %s", FILES))
    return found


def catalogue(postgres: t.Any) -> dict[str, str]:
    queries = {name: ROWS.format(name) for name in CATALOGUES}
    queries |= {name: SOME.format(columns, name) for name, columns in IN_PLACE.items()}
    return {name: postgres.commit(query).stdout.strip() for name, query in queries.items()}


def told(host: t.Any, since: str) -> list[str]:
    """What the journal has from *since* on, beside Ansible's own lines and those of what timers start anyway."""
    timers = json.loads(host.check_output("systemctl list-timers --all --output=json"))
    anyway = {one["activates"] for one in timers} | {"cron.service", "taaraxtak-collector.service"}
    said = host.check_output("journalctl --quiet --no-pager --output=json --after-cursor=%s", since)
    lines = [json.loads(line) for line in said.splitlines()]
    return [
        f"{one.get('SYSLOG_IDENTIFIER')}: {one.get('MESSAGE')}"
        for one in lines
        if not str(one.get("SYSLOG_IDENTIFIER", "")).startswith(OWN)
        and not {one.get("UNIT"), one.get("_SYSTEMD_UNIT")} & anyway
    ]


def cursor(host: t.Any) -> str:
    said: str = host.check_output("journalctl --quiet --no-pager --lines=1 --output=json")
    return str(json.loads(said)["__CURSOR"])


def audit(folder: Path) -> int:
    inventories = [word for one in ("inventory/local", "molecule/drift/inventory") for word in ("--inventory", one)]
    command = [sys.executable, str(ROOT / "tools" / "audit.py"), *inventories]
    done = subprocess.run(
        [*command, "--folder", str(folder / "audit")],
        cwd=ROOT, env=dict(os.environ), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 2), done.stdout + done.stderr
    return done.returncode


def test_an_audit_changes_nothing(production, store, postgres, tmp_path):
    hosts = {"production": production, "store": store}
    # The first login of a day may make what later ones find.
    audit(tmp_path)
    catalogued = catalogue(postgres)
    # Whoever asks is told of, too: the journal is asked first, and the catalogue last.
    before = {name: (files(host), cursor(host)) for name, host in hosts.items()}
    audit(tmp_path)
    for name, host in hosts.items():
        was, since = before[name]
        assert told(host, since) == [], name
        now = files(host)
        assert len(now) > 5000
        assert {path for path in was.keys() | now.keys() if was.get(path) != now.get(path)} == set(), name
    assert catalogue(postgres) == catalogued


def test_the_proof_sees_one_file_and_one_grant(production, postgres):
    """Were it blind, it would prove nothing."""
    was, catalogued = files(production), catalogue(postgres)
    try:
        production.check_output("touch /etc/taaraxtak-planted")
        now = files(production)
        assert {path for path in was.keys() | now.keys() if was.get(path) != now.get(path)} >= {
            "/etc/taaraxtak-planted"
        }
        postgres.commit("ALTER ROLE scraper CONNECTION LIMIT 40")
        assert catalogue(postgres)["pg_authid"] != catalogued["pg_authid"]
    finally:
        production.check_output("rm /etc/taaraxtak-planted")
