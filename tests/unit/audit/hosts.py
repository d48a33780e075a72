"""What host_access_info answers of a host that is as its roles have made it, and what is expected of it."""

from __future__ import annotations

import typing as t

from ansible_collections.taaraxtak.production.plugins.module_utils.audit.hosts import expectations
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.model import Document

ALICE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGvzOdvJ+iwGEvi8v8opNdRP7UsHrbEo2GAQoc44AANX"
ALICE_PRINT = "SHA256:OJmdaHHS+0bX3YNIt4s13XJm2YJ9v5HRYwsaixklsT0"
SSHD = {"permitrootlogin": "no", "authorizedkeysfile": "/etc/ssh/devops_keys/%u"}
VARIABLES: dict[str, t.Any] = {
    "host_devops": [{"name": "alice", "keys": [ALICE]}],
    "host_admin_cidrs": ["192.0.2.0/24"],
    "host_ssh_port": 22,
    "host_open": [],
    "__host_effective": SSHD,
    "database_port": 5432,
    "backup_schedule": "0 3 * * *",
    "collector_freshness_interval": "5min",
    "dump_store_archive_interval": "10min",
    "dump_store_check_schedule": "hourly",
    "dump_store_drill_schedule": "weekly",
    "dump_store_prune_schedule": "daily",
    "backup_dumper": "pgdumper",
    "backup_user": "pgbackup",
    "backup_stores": [{"name": "store"}],
    "collector_user": "collector",
    "dump_store_user": "dumps",
    "dump_store_folder": "/var/lib/taaraxtak-dumps",
    "dump_store_readers": [],
    "dump_store_drill": True,
    # What vars/audit_host.yml has where the inventory says nothing.
    "groups": {"production_hosts": ["production"], "database_hosts": ["production"]},
    "notify": None,
    "backup_notify": None,
    "dump_store_notify": None,
    "database_version": "{{ __database_of_debian[ansible_facts.distribution_major_version] }}",
    "__database_of_debian": {"12": 15, "13": 17},
    "database_cluster": "main",
    "database_data_folder": "/var/lib/postgresql",
    "database_service": "postgresql@{{ database_version }}-{{ database_cluster }}.service",
    "certificates_clients": None,
    "certificates_given": {},
    "collector_config": {"postgres": {"user": "scraper"}},
    "dashboards_role": "grafanareader",
    "dashboards_grafana": "none",
    "dashboards_published": False,
    "dashboards_address": "127.0.0.1",
    "dashboards_port": 3000,
    "dashboards_host": "/var/run/postgresql",
    "dashboards_client_certificate": "",
    "dashboards_acme_directory": "",
}
PRODUCTION = ("collector_hosts", "dashboards_hosts", "database_hosts", "production_hosts")
SEND = "/usr/bin/systemd-cat --identifier=dump-send /usr/local/bin/dump-send"


def expected(groups: t.Sequence[str] = PRODUCTION) -> dict[str, Document]:
    """By source."""
    return expectations(
        VARIABLES.__getitem__, groups, [{"name": "production", "fingerprint": "SHA256:x", "from": ["192.0.2.10"]}]
    )


def account(name: str, uid: int = 999, **more: t.Any) -> Document:
    return {
        "name": name, "uid": uid, "home": "/", "shell": "/usr/sbin/nologin", "password": "locked", "hash": "",
        "login": False, "expired": False, **more,
    }  # fmt: skip


def person(name: str, uid: int = 1000, **more: t.Any) -> Document:
    return {**account(name, uid), "shell": "/bin/bash", "login": True, **more}


def key(name: str, **more: t.Any) -> Document:
    return {
        "account": name, "path": f"/etc/ssh/devops_keys/{name}", "ignored": False, "line": 1, "options": [],
        "type": "ssh-ed25519", "fingerprint": ALICE_PRINT, "comment": "", "problem": "", **more,
    }  # fmt: skip


def key_file(name: str, **more: t.Any) -> Document:
    return {
        "path": f"/etc/ssh/devops_keys/{name}", "accounts": [name], "ignored": False, "owner": "root", "group": "root",
        "mode": "0644", "folder_owner": "root", "folder_mode": "0755",
        "kind": "file", "problem": "", "digest": "", **more,
    }  # fmt: skip


def ssh_file(path: str, mode: str = "0644", **more: t.Any) -> Document:
    return {"path": path, "owner": "root", "group": "root", "kind": "file", "mode": mode, **more}


def folder(path: str, **more: str) -> Document:
    return {"path": path, "owner": "root", "mode": "0755", **more}


def job(command: str, **more: t.Any) -> Document:
    return {
        "table": "/etc/cron.d/x", "owner": "root", "mode": "0644", "schedule": "0 3 * * *", "account": "root",
        "command": command, "environment": {}, "package": False, "digest": "", **more,
    }  # fmt: skip


def socket(port: int, name: str, address: str = "0.0.0.0", **more: t.Any) -> Document:  # noqa: S104
    return {"protocol": "tcp", "address": address, "port": port, "account": name, "program": "", **more}


def unit(name: str, **more: t.Any) -> Document:
    return {
        "unit": name, "active": "active", "enabled": "enabled", "result": "success", "files": [],
        "contents": {},
        "outdated": False, **more,
    }  # fmt: skip


def privileged(path: str, mode: str, **more: t.Any) -> Document:
    return {
        "path": path, "mode": mode, "owner": "root", "group": "root", "capabilities": [], "package": True,
        "digest": "", **more,
    }  # fmt: skip


def rule(name: str, command: str = "ALL", users: t.Sequence[str] = ("ALL",), **more: t.Any) -> Document:
    return {
        "account": name, "users": list(users), "groups": [], "options": ["!authenticate"], "command": command, **more,
    }  # fmt: skip


DUMPS_RULE = rule("pgbackup", '/usr/local/sbin/dump-source ""', ["pgdumper"])


def parts(groups: t.Sequence[str] = PRODUCTION) -> dict[str, Document]:
    """What each part says, where nothing is wrong."""
    wanted = expected(groups)
    settings = {
        name: {word: [value] for word, value in one.items()} for name, one in wanted["sshd"]["settings"].items()
    }
    database = "database_hosts" in groups
    machines = [
        key(
            name,
            options=["restrict", 'from="192.0.2.10"', f'command="{row["command"]}"'],
            fingerprint=row["fingerprint"],
        )
        for name, rows in wanted["keys"]["machines"].items()
        for row in rows
    ]
    return {
        "accounts": {
            "accounts": [
                person("root", 0), person("postgres", 101), *(person(name) for name in wanted["accounts"]["logins"]),
            ],
            "groups": {"ssl-cert": ["postgres"]},
        },
        "certificates": {
            "files": [
                {"asked": path, "path": path, "ends": "2027-11-23T00:00:00+00:00", "problem": ""}
                for path in ("/etc/taaraxtak/tls/ca.crt", *wanted["certificates"]["files"])
            ],
        },
        "clock": {"synchronised": True, "timezone": "Etc/UTC"},
        "disk": {"places": [{"path": "/", "bytes_free": 1, "percent_free": 61.5, "percent_inodes_free": 98.0}]},
        "firewall": {"differs": [], "pending": False, "other_tables": []},
        "jobs": {
            "cron": [
                job("run-parts x", package=True),
                *(job(SEND, account="pgbackup", environment=one["environment"]) for one in wanted["jobs"]["cron"]),
            ],
            "timers": [
                {
                    "unit": "x.timer", "starts": "x.service", "next": 1, "schedule": [],
                    "files": dict.fromkeys(wanted["jobs"]["files"], "x"),
                }
            ],
            "at": [], "linger": [],
            "folders": [folder("/etc/cron.d"), folder("/var/spool/cron/crontabs", mode="1730")],
        },
        "keys": {
            "keys": [key("alice"), *machines], "files": [key_file("alice")], "public": {"store": "SHA256:x"},
            "next": {}, "addresses": ["192.0.2.10"],
        },
        "packages": {
            "versions": [{"name": "postgresql-17", "installed": "17.6-0+deb13u1", "candidate": "17.6-0+deb13u1"}],
            "changed": [{"path": "/etc/nftables.conf", "configuration": True, "missing": False, "digest": "x"}],
            "unverified": [],
        },
        "privileged_files": {"files": [privileged("/usr/bin/su", "4755")], "unsearched": []},
        "secrets": {
            "files": [
                {"kind": "file", "acl": "", "folder": folder("/etc"), **one} for one in wanted["secrets"]["files"]
            ],
        },
        "sockets": {
            "sockets": [
                socket(22, "root"), socket(22, "root", "::"), socket(323, "_chrony", "127.0.0.1", protocol="udp"),
                *([socket(5432, "postgres", "127.0.0.1")] if database else []),
            ],
        },
        "sshd": {
            "settings": settings, "matches": [],
            "folders": [folder("/etc/ssh")],
            "keys": [ssh_file("/etc/ssh/ssh_host_rsa_key", "0600")], "files": [ssh_file("/etc/ssh/sshd_config")],
        },
        "sudo_rules": {
            "installed": True, "rules": [rule("alice", groups=["ALL"]), *([DUMPS_RULE] if database else [])],
            "defaults": [
                {"account": "alice", "text": "use_pty"},
                *([{"account": "pgbackup", "text": "closefrom=3"}] if database else []),
            ],
        },
        "units": {
            "failed": [], "units": [unit(name) for name in wanted["units"]["running"]], "core_limit": "0",
            "suid_dumpable": "0",
        },
        "upgrades": {
            "lists": True, "upgrade": True, "installed": True,
            "timers": [{"unit": f"apt-daily{name}.timer", "active": True} for name in ("", "-upgrade")],
            "last": {"lists": "2026-11-23T05:00:00+00:00", "upgrade": "2026-11-23T06:00:00+00:00"},
            "since": "2026-01-01T00:00:00+00:00", "pending": [], "reboot": False,
        },
    }  # fmt: skip
