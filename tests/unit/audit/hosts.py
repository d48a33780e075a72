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
    "backup_dumper": "pgdumper",
    "backup_user": "pgbackup",
    "backup_stores": [{"name": "store"}],
    "collector_user": "collector",
    "dump_store_user": "dumps",
    "dump_store_folder": "/var/lib/taaraxtak-dumps",
    "dump_store_readers": [],
    "dump_store_drill": True,
}
PRODUCTION = ("collector_hosts", "dashboards_hosts", "database_hosts", "production_hosts")
SEND = "/usr/bin/systemd-cat --identifier=dump-send /usr/local/bin/dump-send"


def expected(groups: t.Sequence[str] = PRODUCTION) -> dict[str, Document]:
    """By source."""
    return expectations(VARIABLES.__getitem__, groups, [{"name": "production", "fingerprint": "SHA256:x"}])


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
        "mode": "0644", "folder_owner": "root", "folder_mode": "0755", **more,
    }  # fmt: skip


def job(command: str, **more: t.Any) -> Document:
    return {
        "table": "/etc/cron.d/x", "owner": "root", "mode": "0644", "schedule": "0 3 * * *", "account": "root",
        "command": command, "package": False, **more,
    }  # fmt: skip


def socket(port: int, name: str, address: str = "0.0.0.0", **more: t.Any) -> Document:  # noqa: S104
    return {"protocol": "tcp", "address": address, "port": port, "account": name, "program": "", **more}


def unit(name: str, **more: t.Any) -> Document:
    return {
        "unit": name, "active": "active", "enabled": "enabled", "result": "success", "drop_ins": [],
        "outdated": False, **more,
    }  # fmt: skip


def privileged(path: str, mode: str, **more: t.Any) -> Document:
    return {"path": path, "mode": mode, "owner": "root", "group": "root", "capabilities": [], "package": True, **more}


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
        "clock": {"synchronised": True, "timezone": "Etc/UTC"},
        "disk": {"places": [{"path": "/", "bytes_free": 1, "percent_free": 61.5, "percent_inodes_free": 98.0}]},
        "firewall": {"differs": [], "pending": False, "other_tables": []},
        "jobs": {
            "cron": [job("run-parts x", package=True), *([job(SEND, account="pgbackup")] if database else [])],
            "timers": [{"unit": "x.timer", "starts": "x.service", "next": 1, "files": wanted["jobs"]["files"]}],
            "at": [], "linger": [],
        },
        "keys": {"keys": [key("alice"), *machines], "files": [key_file("alice")], "public": {"store": "SHA256:x"}},
        "packages": {
            "versions": [{"name": "postgresql-17", "installed": "17.6-0+deb13u1", "candidate": "17.6-0+deb13u1"}],
            "changed": [{"path": "/etc/nftables.conf", "configuration": True, "missing": False}],
        },
        "privileged_files": {"files": [privileged("/usr/bin/su", "4755")]},
        "secrets": {
            "files": [{"kind": "file", "acl": False, **one} for one in wanted["secrets"]["files"]],
        },
        "sockets": {
            "sockets": [
                socket(22, "root"), socket(22, "root", "::"), socket(323, "_chrony", "127.0.0.1", protocol="udp"),
                *([socket(5432, "postgres", "127.0.0.1")] if database else []),
            ],
        },
        "sshd": {"settings": settings},
        "sudo_rules": {"installed": True, "rules": [rule("alice"), *([DUMPS_RULE] if database else [])]},
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
