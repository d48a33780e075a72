# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each step of an adoption would change."""

from __future__ import annotations

import typing as t

Facts = t.Mapping[str, t.Any]


def dumps(facts: Facts) -> list[str]:
    """The backup role's own, beside what is there."""
    old = facts.get("old", {})
    return [
        "the host's accounts pgbackup and pgdumper, their keys, one rule of sudo and one job of cron are added",
        "the role that dumps is made, and a login by peer for it is put on top of pg_hba.conf and pg_ident.conf",
        "the dump store is provisioned; a dump is made, archived and restored to prove it",
        *(f"the old dumps in {path} on the store are taken into the archive" for path in old.get("dumps", [])),
    ]


def retire(facts: Facts) -> list[str]:
    """The jobs and files that the inventory names."""
    old = facts.get("old", {})
    return [
        *(f"the crontab of {one['user']}: {one['line']!r} becomes a remark" for one in old.get("jobs", [])),
        *(f"{path} is moved away" for path in old.get("files", [])),
    ]


def grants(facts: Facts) -> list[str]:
    """The statements themselves."""
    return list(facts.get("queries", []))


def clients(facts: Facts) -> list[str]:
    """Who logs in anew."""
    policy = facts.get("policy", {})
    roles = policy.get("roles", {})
    rows = [
        f"{role} logs in by peer as the account {user}"
        for role, one in roles.items()
        for user in (one or {}).get("os_users", [])
    ]
    units = facts.get("old", {}).get("units", [])
    user = facts.get("collector_user", "collector")
    return [
        *rows,
        f"the account {user} is made, without a shell or a password",
        "/opt/taaraxtak/app becomes the collector's code and holds nothing else",
        "taaraxtak-collector.service, taaraxtak-freshness.service and its timer are written",
        *(f"{unit} is stopped once the new collector is deployed, which is then started" for unit in units),
        *_grafana(facts),
    ]


def _grafana(facts: Facts) -> list[str]:
    how = facts.get("grafana", "")
    if not how:
        return ["no Grafana is provisioned, since dashboards_grafana is none"]
    version = facts.get("grafana_version", "")
    return [
        "Grafana is stopped while its database, /var/lib/grafana/grafana.db, is copied, and started again",
        "/etc/grafana/grafana.ini is replaced whole, with its [database], its mail and its sign-in by others, and so is"
        " all in /etc/grafana/provisioning; the datasources and dashboards of before that were provisioned go",
        "Grafana's secret_key and the password of its admin are those of /etc/grafana/secrets",
        *([f"Grafana becomes the version {version}, be that newer or older"] if how != "existing" else []),
    ]


def access(facts: Facts) -> list[str]:
    """The statements themselves."""
    return list(facts.get("exceeding", []))


def logins(facts: Facts) -> list[str]:
    """The rows that go."""
    return [
        *(f"pg_hba.conf loses: {row}" for row in facts.get("server", {}).get("rows", [])),
        *(f"the setting {one['name']} goes from {one['live']} to {one['wanted']}" for one in facts.get("settings", [])),
    ]


def keys(facts: Facts) -> list[str]:
    """The keys that count no more."""
    devops = facts.get("devops", {})
    # Somebody's key counts for their own account: in another's file it lets nobody in any more.
    lost = [one for one in facts.get("keys", []) if one.get("fingerprint") not in devops.get(one["account"], ())]
    return [
        *(f"{one['account']} comes in no more by {one.get('fingerprint', '')} ({one['path']})" for one in lost),
        *(f"the account {name} is closed, with what runs of it" for name in facts.get("old", {}).get("accounts", [])),
        f"only {', '.join(sorted(devops)) or 'nobody'} log in by ssh, each by the keys of host_devops",
        "root and passwords are refused",
        f"the host's time zone is {facts.get('wanted_timezone', 'Etc/UTC')}; its journal, its banner, the limits on"
        " cores of services and logins, and automatic upgrades are the role host's",
    ]


def firewall(facts: Facts) -> list[str]:
    """What stays open."""
    opened = [f"{one['port']} ({one.get('reason', '')})" for one in facts.get("open", [])]
    admins = ", ".join(facts.get("admin_cidrs", []))
    return [f"ssh stays open for {admins}; else {', '.join(opened) or 'nothing'}; all else that comes in is dropped"]


CHANGES: dict[str, t.Callable[[Facts], list[str]]] = {
    "dumps": dumps, "retire": retire, "grants": grants, "clients": clients,
    "access": access, "logins": logins, "keys": keys, "firewall": firewall,
}  # fmt: skip
