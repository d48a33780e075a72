"""Whether programs are Debian's and new enough, and whether there is room."""

from __future__ import annotations

import time

import pytest

DAY = 24 * 3600


def test_no_program_of_a_package_was_changed(host):
    changed = []
    # What differs is printed, and the status says nothing of it. 2: it could not go on. Of a package whose list of
    # files is gone it warns, and looks at nothing.
    for line in host.said("dpkg", "--verify", statuses=(0, 1), warned=False).splitlines():
        # What was left out of an image, or removed to save room, is documentation; a c is a file of settings.
        mark, path = line[:9].strip(), line.split()[-1]
        settings = line[9:].split()[0] == "c"
        if not settings and not (mark == "missing" and path.startswith("/usr/share/")):
            changed.append(line)
    assert changed == []


def test_postgresql_is_the_newest_that_there_is(database):
    (version,) = database.rows("SHOW server_version_num")
    no_cache = ("-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=")
    said = database.said("apt-cache", *no_cache, "policy", f"postgresql-{int(version) // 10000}")
    found = dict(line.strip().split(": ", 1) for line in said.splitlines() if ": " in line)
    assert found["Installed"] == found["Candidate"]


def test_security_updates_install_themselves(host):
    said = [line.rstrip(";") for line in host.said("apt-config", "dump").splitlines()]
    for name in ("Update-Package-Lists", "Unattended-Upgrade"):
        assert [line for line in said if line.startswith(f"APT::Periodic::{name} ")] == [f'APT::Periodic::{name} "1"']
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        assert host.said("systemctl", "is-active", timer).strip() == "active"
        assert host.said("systemctl", "is-enabled", timer).strip() == "enabled"


def changed_at(host, path: str) -> float | None:
    """When a file was written last; None where it isn't there."""
    done = host.run("stat", "-c", "%Y", path)
    return float(done.stdout) if done.rc == 0 else None


def test_updates_were_installed_within_a_week(host):
    last = changed_at(host, "/var/lib/apt/periodic/unattended-upgrades-stamp")
    # A host of this week need not have come to it yet.
    began = changed_at(host, "/etc/ssh/ssh_host_ed25519_key.pub")
    assert began is not None
    assert max(last or 0, began) > time.time() - 7 * DAY


def test_no_update_waits_for_a_restart_of_the_host(host):
    assert changed_at(host, "/run/reboot-required") is None


def test_there_is_room(host):
    places = ["/", *(["/var/lib/postgresql"] if "database_hosts" in host.groups else [])]
    if "store_hosts" in host.groups:
        places.append(host.variables.get("dump_store_folder", "/var/lib/taaraxtak-dumps"))
    for place in places:
        used = host.said("df", "--output=pcent,ipcent", place).splitlines()[-1].split()
        # A file system that makes inodes as it needs them has a dash there.
        assert [one for one in used if one != "-" and int(one.rstrip("%")) > 90] == [], place


def test_no_certificate_ends_within_three_weeks(production):
    found = []
    for folder in ("/etc/taaraxtak/tls", "/etc/nginx/taaraxtak", "/etc/letsencrypt/live"):
        there = production.inside(folder)
        there = there + [path for one in there if "letsencrypt" in one for path in production.inside(one)]
        found += [path for path in there if path.endswith((".crt", "fullchain.pem"))]
        found += [path for path in there if path.endswith(".pem") and folder.endswith("taaraxtak")]
    if not found:
        pytest.skip("there are no certificates here")
    for path in found:
        done = production.run("openssl", "x509", "-noout", "-checkend", str(21 * DAY), "-in", path)
        assert done.rc == 0, f"{path}: {done.stdout}{done.stderr}"
