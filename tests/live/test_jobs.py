"""What runs by the clock: Debian's own, and what the roles have put there."""

from __future__ import annotations

import json

FOLDERS = ("cron.d", "cron.hourly", "cron.daily", "cron.weekly", "cron.monthly")
SEND = "/usr/bin/systemd-cat --identifier=dump-send /usr/local/bin/dump-send"
# systemd's own lie in these folders, the roles' in another.
DEBIANS, ROLES = ("/usr/lib/systemd/", "/lib/systemd/", "/run/systemd/generator"), "/etc/systemd/system"
# Those of the roles, by the group.
TIMERS = {
    "collector_hosts": ("taaraxtak-freshness",),
    "store_hosts": ("taaraxtak-dumps-archive", "taaraxtak-dumps-check", "taaraxtak-dumps-drill",
                    "taaraxtak-dumps-prune"),
}  # fmt: skip


def test_cron_runs_what_packages_and_roles_have_put_there(host):
    for folder in FOLDERS:
        for path in host.inside(f"/etc/{folder}"):
            ours = path == "/etc/cron.d/taaraxtak-backup" and "database_hosts" in host.groups
            assert ours or host.run("dpkg-query", "--search", path).rc == 0, path
            owner, _group, mode = host.mode(path)
            assert (owner, mode & 0o022) == ("root", 0), path


def test_nobody_has_a_table_of_their_own(host):
    for folder in ("/var/spool/cron/crontabs", "/var/spool/cron/atjobs"):
        assert [path for path in host.inside(folder) if not path.endswith(".SEQ")] == []


def test_cron_sends_the_dumps_as_the_account_that_only_sends(database):
    sender = database.variables.get("backup_user", "pgbackup")
    said = database.said("cat", "/etc/cron.d/taaraxtak-backup").splitlines()
    jobs = [line for line in said if line.strip() and not line.startswith("#") and "=" not in line.split()[0]]
    assert [line.split(None, 5)[5] for line in jobs] == [f"{sender} {SEND}"]
    assert database.said("systemctl", "is-active", "cron.service").strip() == "active"


def test_every_timer_is_debians_or_a_roles(host):
    timers = json.loads(host.said("systemctl", "list-timers", "--all", "--output=json"))
    assert timers
    own = {name for group, names in TIMERS.items() if group in host.groups for name in names}
    known = {f"{ROLES}/{name}.{kind}" for name in own for kind in ("timer", "service")}
    for one in timers:
        for unit in (one["unit"], one["activates"]):
            path = host.said("systemctl", "show", "--property=FragmentPath", "--value", unit).strip()
            assert path.startswith(DEBIANS) or path in known, unit
