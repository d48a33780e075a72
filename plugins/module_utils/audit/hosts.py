# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the audit expects of a host, and has it look at, by what the roles were told: nothing is written down twice."""

from __future__ import annotations

import collections
import ipaddress
import typing as t

from ..sshd.times import ssh_time
from .model import Document

# A variable of a host, by its name; a role's default where the inventory says nothing.
Variables = t.Callable[[str], t.Any]
_ROOT = {"owner": "root", "group": "root"}
_SYSTEM = "/etc/systemd/system"
_LIBRARY = "/usr/local/lib/taaraxtak"
_STORE_UNITS = (
    "taaraxtak-dumps-archive.path", "taaraxtak-dumps-archive.timer", "taaraxtak-dumps-check.timer",
    "taaraxtak-dumps-prune.timer",
)  # fmt: skip
_ROOTS_FILES = (
    ("/etc/sudoers", "0440"), ("/etc/sudoers.d/taaraxtak-devops", "0440"), ("/etc/ssh/ssh_host_ed25519_key", "0600"),
)  # fmt: skip
# Whoever lays settings over one of them opens a way in; those that must run are looked at as such, too.
_WATCHED = ("nftables.service", "ssh.service")
_TLS = "/etc/taaraxtak/tls"
_DRILL_UNITS = ("taaraxtak-drill.socket", "taaraxtak-dumps-drill.timer")
_FAILED, _SANDBOX = "taaraxtak-dumps-failed@.service", "taaraxtak-drill@.service"
_DRILL = ("access", "files", "postgres")
_NOTHING: dict[str, dict[str, list[t.Any]]] = {
    "accounts": {"logins": [], "guarded": []},
    "certificates": {"files": []},
    "jobs": {"cron": [], "files": []},
    "packages": {"owned": []},
    "secrets": {"files": []},
    "sockets": {"sockets": []},
    "sudo_rules": {"rules": []},
    "units": {"running": [], "files": [], "drop_ins": [], "watched": []},
}


def options(expected: t.Mapping[str, t.Mapping[str, t.Any]], variables: Variables, groups: t.Sequence[str]) -> Document:
    """The options of ``host_access_info`` by which a host tells what is held against *expected*."""
    places = ["/"]
    if "store_hosts" in groups:
        places.append(str(variables("dump_store_folder")))
    if "database_hosts" in groups:
        places.append(str(variables("database_data_folder")))
    return {
        "certificates": list(expected["certificates"]["files"]),
        "firewall": {
            "admin_cidrs": variables("host_admin_cidrs"), "ssh_port": int(variables("host_ssh_port")),
            "open": variables("host_open"),
        },
        "paths": [one["path"] for one in expected["secrets"]["files"]],
        "places": places,
        "units": sorted({*expected["units"]["running"], *expected["units"]["watched"]}),
    }  # fmt: skip


def expectations(
    variables: Variables, groups: t.Sequence[str], writers: t.Sequence[Document] = ()
) -> dict[str, Document]:
    """What each source is held against. *writers* have ``name``, and where they are known ``from``, ``fingerprint``."""
    found: dict[str, Document] = {
        source: {key: list(value) for key, value in keys.items()} for source, keys in _NOTHING.items()
    }
    found["keys"] = {"lines": {}, "machines": {}}
    found["accounts"]["members"] = {}
    found["jobs"]["schedules"] = {}
    found["sshd"] = {"settings": collections.defaultdict(dict)}
    _host(found, variables)
    if "database_hosts" in groups:
        _database(found, variables)
    if "collector_hosts" in groups:
        _collector(found, variables)
    if "dashboards_hosts" in groups and variables("dashboards_grafana") != "none":
        _dashboards(found, variables)
    if "production_hosts" in groups:
        _certificates(found, variables, groups)
    if "store_hosts" in groups:
        _store(found, variables, writers)
    found["sshd"]["settings"] = dict(found["sshd"]["settings"])
    groups_of_secrets = {one["group"] for one in found["secrets"]["files"]} - {"root"}
    found["accounts"]["guarded"] = sorted({*found["accounts"]["guarded"], *groups_of_secrets})
    return found


def _host(found: dict[str, Document], variables: Variables) -> None:
    people = variables("host_devops")
    found["accounts"]["logins"] += [one["name"] for one in people]
    found["sudo_rules"]["rules"] += [
        {"account": one["name"], "users": ["ALL"], "groups": ["ALL"], "command": "ALL"} for one in people
    ]
    found["keys"]["lines"] |= {one["name"]: list(one["keys"]) for one in people}
    found["sshd"]["settings"]["*"] |= dict(variables("__host_effective"))
    found["sockets"]["sockets"].append({"port": int(variables("host_ssh_port")), "account": "root", "required": True})
    found["packages"]["owned"] += ["/etc/nftables.conf"]
    found["units"]["running"].append("ssh.service")
    found["units"]["watched"] += _WATCHED
    found["secrets"]["files"].append({"path": "/etc/shadow", "owner": "root", "group": "shadow", "mode": "0640"})
    found["secrets"]["files"] += [{"path": path, "mode": mode, **_ROOT} for path, mode in _ROOTS_FILES]


def _database(found: dict[str, Document], variables: Variables) -> None:
    dumper, sender = variables("backup_dumper"), variables("backup_user")
    found["sudo_rules"]["rules"].append(
        {"account": sender, "users": [dumper], "command": '/usr/local/sbin/dump-source ""'}
    )
    found["sudo_rules"]["defaults"] = {sender: ["env_reset", "!setenv", "!use_pty", "closefrom=3"]}
    command = "/usr/bin/systemd-cat --identifier=dump-send /usr/local/bin/dump-send"
    environment = {"SHELL": "/bin/sh", "PATH": "/usr/local/bin:/usr/bin:/bin", "MAILTO": ""}
    schedule = " ".join(str(variables("backup_schedule")).split())
    job = {"account": sender, "command": command, "schedule": schedule, "environment": environment}
    found["jobs"]["cron"].append(job)
    found["sockets"]["sockets"].append({"port": int(variables("database_port")), "account": "postgres"})
    _programs(found, ("bin/dump-send", "sbin/dump-source", "bin/dump-carry"), ("dumps",))
    told = str(variables("database_service"))
    # The role's own default is a template.
    given = "" if "{{" in told else told
    # An instance is enabled by Debian's own unit for all of them.
    found["units"]["running"] += ["cron.service", given if given and "@" not in given else "postgresql.service"]
    found["units"]["watched"] += (
        [given]
        if given
        else [f"postgresql@{version}-{variables('database_cluster')}.service" for version in _versions(variables)]
    )
    found["secrets"]["files"] += [
        {"path": "/etc/taaraxtak/dump_signing_key", "owner": "root", "group": dumper, "mode": "0440"},
        {"path": "/etc/sudoers.d/taaraxtak-backup", "mode": "0440", **_ROOT},
        *(
            {"path": f"/etc/taaraxtak/store_keys/{store['name']}", "owner": "root", "group": sender, "mode": "0440"}
            for store in variables("backup_stores")
        ),
        *_addresses(variables, "backup_notify", sender),
    ]


def _units(found: dict[str, Document], names: t.Sequence[str]) -> None:
    """Units that a role has written, and that run; each timer has the service that it starts."""
    found["units"]["running"] += names
    found["units"]["files"] += [f"{_SYSTEM}/{name}" for name in names]
    timers = [name for name in names if name.endswith(".timer")]
    started = [name.replace(".timer", ".service") for name in timers]
    found["jobs"]["files"] += [f"{_SYSTEM}/{name}" for name in (*timers, *started)]
    _roots(found, (f"{_SYSTEM}/{name}" for name in (*names, *started)), "0644")


def _programs(found: dict[str, Document], names: t.Sequence[str], packages: t.Sequence[str] = ()) -> None:
    """Commands of a role, and what they are made of: whoever changes one of them is whoever runs it."""
    _roots(found, (f"/usr/local/{name}" for name in names), "0755")
    _roots(found, (f"{_LIBRARY}/{name}" for name in packages), "0755", "directory")


def _roots(found: dict[str, Document], paths: t.Iterable[str], mode: str, kind: str = "file") -> None:
    """What root alone may change. Two roles of a host may write the same."""
    rows = [{"path": path, "mode": mode, "kind": kind, **_ROOT} for path in paths]
    files = found["secrets"]["files"]
    files += [one for one in rows if one not in files]


def _versions(variables: Variables) -> list[t.Any]:
    """The server's major version, or those of all Debians where the inventory leaves it to Debian."""
    told = variables("database_version")
    return [told] if str(told).isdecimal() else sorted(variables("__database_of_debian").values())


def _addresses(variables: Variables, name: str, group: str) -> list[Document]:
    """The files with the addresses that are told of what goes wrong: who has one can say anything there."""
    own = variables(name)
    told = (variables("notify") if own is None else own) or {}
    return [
        {"path": f"/etc/taaraxtak/notify.{kind}", "owner": "root", "group": group, "mode": "0640"}
        for kind in ("url", "ping")
        if told.get(kind)
    ]


def _collector(found: dict[str, Document], variables: Variables) -> None:
    user = variables("collector_user")
    timer = "taaraxtak-freshness.timer"
    _units(found, ["taaraxtak-collector.service", timer])
    _roots(found, [f"{_LIBRARY}/freshness.py"], "0644")
    interval = variables("collector_freshness_interval")
    found["jobs"]["schedules"][timer] = [
        f"{word}={interval}" for word in ("OnActiveSec", "OnUnitActiveSec", "OnUnitInactiveSec")
    ]
    found["secrets"]["files"] += [
        {"path": path, "owner": "root", "group": user, "mode": "0440"}
        for path in ("/opt/taaraxtak/app/config.py", "/etc/taaraxtak/freshness.json")
    ]


def _dashboards(found: dict[str, Document], variables: Variables) -> None:
    folder, unit = "/etc/grafana/secrets", "grafana-server.service"
    password = not str(variables("dashboards_host")).startswith("/") and not variables("dashboards_client_certificate")
    names = ["secret_key", "admin_password", *(["password"] if password else [])]
    found["sockets"]["sockets"].append(
        {
            "port": int(variables("dashboards_port")), "account": "grafana",
            "local": ipaddress.ip_address(variables("dashboards_address")).is_loopback,
        }
    )  # fmt: skip
    found["units"]["running"].append(unit)
    drop_in = f"{_SYSTEM}/{unit}.d/taaraxtak.conf"
    found["units"]["drop_ins"].append(drop_in)
    _roots(found, [drop_in], "0644")
    found["secrets"]["files"] += [
        {"path": folder, "owner": "root", "group": "grafana", "mode": "0750", "kind": "directory"},
        *(
            {"path": path, "owner": "root", "group": "grafana", "mode": "0640"}
            for path in ("/etc/grafana/grafana.ini", *(f"{folder}/{name}" for name in names))
        ),
    ]
    # Not published any more, it is not there.
    found["packages"]["owned"].append("/etc/nginx/nginx.conf")
    if _true(variables("dashboards_published")):
        _published(found, variables)


def _published(found: dict[str, Document], variables: Variables) -> None:
    found["sockets"]["sockets"] += [{"port": port, "account": "root"} for port in (80, 443)]
    found["units"]["running"].append("nginx.service")
    folders = [("/etc/nginx/taaraxtak", "0750")]
    certificate = "/etc/nginx/taaraxtak/*.pem"
    if variables("dashboards_acme_directory"):
        found["units"]["running"].append("certbot.timer")
        folders += [(f"/etc/letsencrypt/{name}", "0700") for name in ("accounts", "archive", "live")]
        certificate = "/etc/letsencrypt/live/taaraxtak-dashboards/fullchain.pem"
    found["secrets"]["files"] += [{"path": path, "mode": mode, "kind": "directory", **_ROOT} for path, mode in folders]
    found["certificates"]["files"].append(certificate)


def _certificates(found: dict[str, Document], variables: Variables, groups: t.Sequence[str]) -> None:
    """By which hosts of production know each other, where it is several."""
    known = variables("groups")
    if not set(known["production_hosts"]) - set(known["database_hosts"]):
        return
    given = variables("certificates_given")
    names = [client for client in _clients(variables) if client["group"] in groups]
    if "database_hosts" in groups:
        names = [{"role": "server", "account": "postgres"}]
    for one in names:
        group = "root" if given else one["account"]
        path = f"{_TLS}/{one['role']}.key"
        found["secrets"]["files"].append({"path": path, "owner": one["account"], "group": group, "mode": "0400"})
    lists = ["ca.crl"] if "database_hosts" in groups and (not given or "crl" in given) else []
    found["certificates"]["files"] += [
        f"{_TLS}/{name}" for name in ("ca.crt", *lists, *(f"{one['role']}.crt" for one in names))
    ]


def _clients(variables: Variables) -> list[Document]:
    """Who comes from where, as the role certificates has it where the inventory says nothing."""
    told: list[Document] | None = variables("certificates_clients")
    if told is not None:
        return told
    scraper = variables("collector_config")["postgres"].get("user", "scraper")
    return [
        {"role": scraper, "group": "collector_hosts", "account": variables("collector_user")},
        {"role": variables("dashboards_role"), "group": "dashboards_hosts", "account": "grafana"},
    ]


def _true(value: t.Any) -> bool:
    """As Ansible's filter bool has it."""
    return str(value).lower() in ("true", "yes", "on", "1")


def _store(found: dict[str, Document], variables: Variables, writers: t.Sequence[Document]) -> None:
    user, folder = variables("dump_store_user"), variables("dump_store_folder")
    reader, developer, archiver = f"{user}-read", f"{user}-developer", f"{user}-archive"
    verbs = {user: "ssh", reader: "read", developer: "read --developer"}
    found["accounts"]["logins"] += list(verbs)
    # Dumps are readable for these.
    found["accounts"]["guarded"] += [reader, developer]
    found["accounts"]["members"] |= {f"{user}-list": [user, reader, archiver], reader: [archiver]}
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
        ends = f',expiry-time="{ssh_time(one["until"])}"' if one.get("until") else ""
        line = f'restrict,from="{one["from"]}"{ends},command="{command}{verbs[account]}" {one["key"]}'
        found["keys"]["lines"].setdefault(account, []).append(line)
    found["jobs"]["schedules"] |= {
        f"taaraxtak-dumps-{name}.timer": [f"OnCalendar={variables(f'dump_store_{name}_schedule')}"]
        for name in ("check", "drill", "prune")
    }
    found["jobs"]["schedules"]["taaraxtak-dumps-archive.timer"] = [
        f"{word}={variables('dump_store_archive_interval')}" for word in ("OnActiveSec", "OnUnitInactiveSec")
    ]
    drill = _true(variables("dump_store_drill"))
    _units(found, [*_STORE_UNITS, *(_DRILL_UNITS if drill else ())])
    _roots(found, (f"{_SYSTEM}/{name}" for name in (_FAILED, *([_SANDBOX] if drill else []))), "0644")
    _programs(found, ("bin/dump-store", *(["bin/dump-drill"] if drill else [])), ("dumps", *(_DRILL if drill else ())))
    found["secrets"]["files"] += [
        {"path": f"{folder}/archive", "owner": archiver, "group": f"{user}-list", "mode": "2750", "kind": "directory"},
        {"path": f"{folder}/incoming", "owner": user, "group": archiver, "mode": "2770", "kind": "directory"},
        {"path": "/etc/taaraxtak/dump_signers", "mode": "0644", **_ROOT},
        *_addresses(variables, "dump_store_notify", archiver),
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
