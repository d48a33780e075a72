# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the audit expects of a host, and has it look at, by what the roles were told: nothing is written down twice."""

from __future__ import annotations

import collections
import typing as t

from .model import Document

# A variable of a host, by its name; a role's default where the inventory says nothing.
Variables = t.Callable[[str], t.Any]
_ROOT = {"owner": "root", "group": "root"}
_STORE_UNITS = (
    "taaraxtak-dumps-archive.path", "taaraxtak-dumps-archive.timer", "taaraxtak-dumps-check.timer",
    "taaraxtak-dumps-prune.timer",
)  # fmt: skip
_ROOTS_FILES = (
    ("/etc/sudoers", "0440"), ("/etc/sudoers.d/taaraxtak-devops", "0440"), ("/etc/ssh/ssh_host_ed25519_key", "0600"),
)  # fmt: skip
_DRILL_UNITS = ("taaraxtak-drill.socket", "taaraxtak-dumps-drill.timer")
_NOTHING: dict[str, dict[str, list[t.Any]]] = {
    "accounts": {"logins": []},
    "jobs": {"cron": [], "files": []},
    "packages": {"owned": []},
    "secrets": {"files": []},
    "sockets": {"sockets": []},
    "sudo_rules": {"rules": []},
    "units": {"running": [], "drop_ins": []},
}


def options(expected: t.Mapping[str, t.Mapping[str, t.Any]], variables: Variables, groups: t.Sequence[str]) -> Document:
    """The options of ``host_access_info`` by which a host tells what is held against *expected*."""
    places = ["/"]
    if "store_hosts" in groups:
        places.append(str(variables("dump_store_folder")))
    if "database_hosts" in groups:
        places.append("/var/lib/postgresql")
    return {
        "firewall": {
            "admin_cidrs": variables("host_admin_cidrs"), "ssh_port": int(variables("host_ssh_port")),
            "open": variables("host_open"),
        },
        "paths": [one["path"] for one in expected["secrets"]["files"]],
        "places": places,
        "units": list(expected["units"]["running"]),
    }  # fmt: skip


def expectations(
    variables: Variables, groups: t.Sequence[str], writers: t.Sequence[Document] = ()
) -> dict[str, Document]:
    """What each source is held against. *writers* have ``name``, and where they are known ``from``, ``fingerprint``."""
    found: dict[str, Document] = {
        source: {key: list(value) for key, value in keys.items()} for source, keys in _NOTHING.items()
    }
    found["keys"] = {"lines": {}, "machines": {}}
    found["sshd"] = {"settings": collections.defaultdict(dict)}
    _host(found, variables)
    if "database_hosts" in groups:
        _database(found, variables)
    if "collector_hosts" in groups:
        _collector(found, variables)
    if "store_hosts" in groups:
        _store(found, variables, writers)
    found["sshd"]["settings"] = dict(found["sshd"]["settings"])
    return found


def _host(found: dict[str, Document], variables: Variables) -> None:
    people = variables("host_devops")
    found["accounts"]["logins"] += [one["name"] for one in people]
    found["sudo_rules"]["rules"] += [{"account": one["name"], "users": ["ALL"], "command": "ALL"} for one in people]
    found["keys"]["lines"] |= {one["name"]: list(one["keys"]) for one in people}
    found["sshd"]["settings"]["*"] |= dict(variables("__host_effective"))
    found["sockets"]["sockets"].append({"port": int(variables("host_ssh_port")), "account": "root", "required": True})
    found["packages"]["owned"] += ["/etc/nftables.conf"]
    found["secrets"]["files"].append({"path": "/etc/shadow", "owner": "root", "group": "shadow", "mode": "0640"})
    found["secrets"]["files"] += [{"path": path, "mode": mode, **_ROOT} for path, mode in _ROOTS_FILES]


def _database(found: dict[str, Document], variables: Variables) -> None:
    dumper, sender = variables("backup_dumper"), variables("backup_user")
    found["sudo_rules"]["rules"].append(
        {"account": sender, "users": [dumper], "command": '/usr/local/sbin/dump-source ""'}
    )
    command = "/usr/bin/systemd-cat --identifier=dump-send /usr/local/bin/dump-send"
    found["jobs"]["cron"].append({"account": sender, "command": command})
    found["sockets"]["sockets"].append({"port": int(variables("database_port")), "account": "postgres"})
    found["units"]["running"].append("cron.service")
    found["secrets"]["files"] += [
        {"path": "/etc/taaraxtak/dump_signing_key", "owner": "root", "group": dumper, "mode": "0440"},
        {"path": "/etc/sudoers.d/taaraxtak-backup", "mode": "0440", **_ROOT},
        *(
            {"path": f"/etc/taaraxtak/store_keys/{store['name']}", "owner": "root", "group": sender, "mode": "0440"}
            for store in variables("backup_stores")
        ),
    ]


def _collector(found: dict[str, Document], variables: Variables) -> None:
    user = variables("collector_user")
    timer = "taaraxtak-freshness.timer"
    found["units"]["running"] += ["taaraxtak-collector.service", timer]
    found["jobs"]["files"] += [f"/etc/systemd/system/{name}" for name in (timer, "taaraxtak-freshness.service")]
    found["secrets"]["files"] += [
        {"path": path, "owner": "root", "group": user, "mode": "0440"}
        for path in ("/opt/taaraxtak/app/config.py", "/etc/taaraxtak/freshness.json")
    ]


def _store(found: dict[str, Document], variables: Variables, writers: t.Sequence[Document]) -> None:
    user, folder = variables("dump_store_user"), variables("dump_store_folder")
    reader, developer, archiver = f"{user}-read", f"{user}-developer", f"{user}-archive"
    verbs = {user: "ssh", reader: "read", developer: "read --developer"}
    found["accounts"]["logins"] += list(verbs)
    for account, verb in verbs.items():
        found["sshd"]["settings"][account] |= {
            "authorizedkeysfile": "/etc/ssh/dump_store_keys/%u",
            "forcecommand": f"/usr/local/bin/dump-store {verb}",
            "disableforwarding": "yes",
            "permittty": "no",
        }
    command = "/usr/local/bin/dump-store "
    found["keys"]["machines"][user] = [{**one, "command": f"{command}ssh"} for one in writers]
    for one in variables("dump_store_readers"):
        account = developer if one.get("developer") else reader
        line = f'restrict,from="{one["from"]}",command="{command}{verbs[account]}" {one["key"]}'
        found["keys"]["lines"].setdefault(account, []).append(line)
    units = [*_STORE_UNITS, *(_DRILL_UNITS if variables("dump_store_drill") else ())]
    found["units"]["running"] += units
    timers = [unit for unit in units if unit.endswith(".timer")]
    found["jobs"]["files"] += [
        f"/etc/systemd/system/{name}" for unit in timers for name in (unit, unit.replace(".timer", ".service"))
    ]
    found["secrets"]["files"] += [
        {"path": f"{folder}/archive", "owner": archiver, "group": f"{user}-list", "mode": "2750", "kind": "directory"},
        {"path": f"{folder}/incoming", "owner": user, "group": archiver, "mode": "2770", "kind": "directory"},
        {"path": "/etc/taaraxtak/dump_signers", "mode": "0644", **_ROOT},
    ]


def variables_of(held: t.Mapping[str, t.Any], defaults: t.Mapping[str, t.Any]) -> Variables:
    """What the roles were told: what the host has, else their defaults."""

    def variable(name: str) -> t.Any:
        return held[name] if name in held else defaults[name]

    return variable


def merged(by_host: t.Mapping[str, t.Mapping[str, Document]]) -> dict[str, Document]:
    """The expectations of many hosts as ``audit_expected`` has them: by source, and there by host."""
    found: dict[str, Document] = {}
    for name, expected in by_host.items():
        for source, one in expected.items():
            found.setdefault(source, {"hosts": {}})["hosts"][name] = one
    return found
