# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each step of an adoption could break: who is seen to do today what would be refused then."""

from __future__ import annotations

import re
import typing as t

from .seen import logins as logins_of
from .seen import loopback

Facts = t.Mapping[str, t.Any]
# Words of a command that dumps.
_DUMPS = re.compile(r"pg_dump|pg_basebackup|backup", re.IGNORECASE)


def dumps(_facts: Facts) -> list[str]:
    """Nothing that is there is touched."""
    return ["a dump reads all tables: while it runs, a change of a table waits for it"]


def retire(facts: Facts) -> list[str]:
    """Whatever looks like a dump and is not named."""
    old = facts.get("old", {})
    named = {(one["user"], one["line"].strip()) for one in old.get("jobs", [])}
    return [
        f"{one['account']}: {one['command']} looks like a dump and is not named in adopt_old_jobs: it stays"
        for one in facts.get("cron", [])
        if not one.get("package")
        and _DUMPS.search(one.get("command", ""))
        and one["account"] != facts.get("backup_user", "pgbackup")
        and (one["account"], f"{one['schedule']} {one['command']}") not in named
    ]


def grants(_facts: Facts) -> list[str]:
    """Nothing is taken away."""
    return ["a grant waits for whoever changes a table; after 5 s it gives up, and names them"]


def clients(facts: Facts) -> list[str]:
    """The pause, a collector that nobody has named, and what a Grafana of before can't do any more."""
    grafana = [
        "a Grafana whose grafana.ini has [database] begins with an empty database of its own, and sign-in by others and"
        " mail end, unless dashboards_settings has them",
        "what people change in Grafana after this step is lost on its way back",
    ]
    collector = [
        "between the old collector's end and the new one's start nothing is measured",
        "a unit that does not wait for its rows when it is stopped loses what it had not written",
    ]
    if not facts.get("old", {}).get("units"):
        collector = ["adopt_old_units is empty: an old collector that runs on would write beside the new one"]
    return [*collector, *(grafana if facts.get("grafana") else [])]


def access(facts: Facts) -> list[str]:
    """Who is connected and would lose the password, or the login itself."""
    statements = facts.get("exceeding", [])
    roles = sorted({one["role"] for one in facts.get("connected", []) if one["address"] != "[local]"})
    without = [role for role in roles if f'ALTER ROLE "{role}" PASSWORD NULL' in statements]
    out = sorted({one["role"] for one in facts.get("connected", []) if _shut_out(one["role"], statements)})
    return [
        *(f"{role} comes by the network, and its password is taken away: can it log in by peer?" for role in without),
        *(f"{role} is not in the policy and is connected, or was: it can't log in any more" for role in out),
        "a change of an owner waits for whoever uses the table; after 5 s it gives up, and names them",
    ]


def logins(facts: Facts) -> list[str]:
    """Who logs in as the policy does not have it."""
    rows = [
        f"{one['role']} comes to {one['database']} from {one['address']}: no row lets it in any more"
        for one in facts.get("unexpected", [])
    ]
    zones = [
        f"the server's timezone goes from {one['live']} to {one['wanted']}: what now() or a text without a zone"
        " writes into columns of timestamp without time zone, or of date, is another time from then on; leave it"
        " as it is by database_settings, or look at each such column first"
        for one in facts.get("settings", [])
        if one["name"].lower() == "timezone"
    ]
    waits = "a setting that needs a restart of the server waits, unless database_restart_allowed is true"
    return [*rows, *zones, waits]


def keys(facts: Facts) -> list[str]:
    """Who was seen to log in and could not any more, and what runs of accounts that are closed."""
    devops = facts.get("devops", {})
    found = set()
    for match in logins_of(facts.get("ssh_log", [])):
        if match["key"] not in devops.get(match["who"], ()):
            found.add(f"{match['who']} logs in from {match['address']} by {match['key'] or match['how']}: refused then")
    closed = facts.get("old", {}).get("accounts", [])
    jobs = [
        f"{one['account']} runs {one['command']}, which sudo lets it: is its rule still wanted?"
        for one in facts.get("cron", [])
        if "sudo" in one.get("command", "") and one["account"] not in closed
    ]
    return [*sorted(found), *_ended(facts, closed), *jobs, *_other_hours(facts)]


def _ended(facts: Facts, closed: t.Collection[str]) -> list[str]:
    """What is run by accounts that are closed: cron's jobs, services, and what else runs of them now."""
    jobs = [
        f"{one['account']}: the job {one['schedule']} {one['command']} ends, since the account is closed"
        for one in facts.get("cron", [])
        if one["account"] in closed and one.get("command")
    ]
    units = [
        f"{one['user']}: {one['unit']} ends and does not start again, since the account is closed"
        for one in facts.get("units", [])
        if one["user"] in closed
    ]
    running = sorted({(one["user"], one["program"]) for one in facts.get("running", []) if one["user"] in closed})
    return [*jobs, *units, *(f"{user}: {program} runs now and is killed" for user, program in running)]


def _other_hours(facts: Facts) -> list[str]:
    zone, wanted = facts.get("timezone", ""), facts.get("wanted_timezone", "")
    if not zone or _zone(zone) == _zone(wanted):
        return []
    return [
        f"the host's time zone goes from {zone} to {wanted} (host_timezone): every job of cron and every timer without"
        " a zone of its own runs at another hour"
    ]


def _zone(name: str) -> str:
    """UTC has several names."""
    return (
        "UTC"
        if name in ("UTC", "Etc/UTC", "Etc/UCT", "UCT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal")
        else name
    )


def firewall(facts: Facts) -> list[str]:
    """What listens for others and is not open."""
    opened = {(str(one.get("protocol", "tcp")), int(one["port"])) for one in facts.get("open", [])}
    opened.add(("tcp", int(facts.get("ssh_port", 22))))
    return [
        f"{one['protocol']} {one['port']} of {one.get('program') or one['account']} is reached from elsewhere no more"
        for one in facts.get("sockets", [])
        if (one["protocol"], int(one["port"])) not in opened and not loopback(one["address"])
    ]


def _shut_out(role: str, statements: t.Sequence[str]) -> bool:
    return any(text.startswith(f'ALTER ROLE "{role}" ') and "NOLOGIN" in text.split() for text in statements)


BREAKS: dict[str, t.Callable[[Facts], list[str]]] = {
    "dumps": dumps, "retire": retire, "grants": grants, "clients": clients,
    "access": access, "logins": logins, "keys": keys, "firewall": firewall,
}  # fmt: skip
