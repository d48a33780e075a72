# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each step of an adoption could break: who is seen to do today what would be refused then."""

from __future__ import annotations

import ipaddress
import re
import typing as t

Facts = t.Mapping[str, t.Any]
# Words of a command that dumps.
_DUMPS = re.compile(r"pg_dump|pg_basebackup|backup", re.IGNORECASE)
_ACCEPTED = re.compile(
    r"Accepted (?P<how>\S+) for (?P<who>\S+) from (?P<address>\S+) port \d+ ssh2(?:: \S+ (?P<key>\S+))?"
)


def dumps(_facts: Facts) -> list[str]:
    """Nothing that is there is touched."""
    return ["a dump reads all tables: while it runs, a change of a table waits for it"]


def retire(facts: Facts) -> list[str]:
    """Whatever looks like a dump and is not named, and what is not proved yet."""
    old = facts.get("old", {})
    named = {(one["user"], one["line"].strip()) for one in old.get("jobs", [])}
    wanted = int(facts.get("wanted_verified", 0))
    few = [
        f"{database} has {count} verified dumps and {wanted} are asked for (adopt_verified_dumps): not yet"
        for database, count in sorted(facts.get("verified", {}).items())
        if count < wanted
    ]
    others = [
        f"{one['account']}: {one['command']} looks like a dump and is not named in adopt_old_jobs: it stays"
        for one in facts.get("cron", [])
        if not one.get("package")
        and _DUMPS.search(one.get("command", ""))
        and one["account"] != facts.get("backup_user", "pgbackup")
        and (one["account"], f"{one['schedule']} {one['command']}") not in named
    ]
    return [*few, *others]


def grants(_facts: Facts) -> list[str]:
    """Nothing is taken away."""
    return ["a grant waits for whoever changes a table; after 5 s it gives up, and names them"]


def clients(facts: Facts) -> list[str]:
    """The pause, and a collector that nobody has named."""
    if not facts.get("old", {}).get("units"):
        return ["adopt_old_units is empty: an old collector that runs on would write beside the new one"]
    return [
        "between the old collector's end and the new one's start nothing is measured",
        "a unit that does not wait for its rows when it is stopped loses what it had not written",
    ]


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
    return [*rows, "a setting that needs a restart of the server waits, unless database_restart_allowed is true"]


def keys(facts: Facts) -> list[str]:
    """Who was seen to log in and could not any more."""
    devops = facts.get("devops", {})
    found = set()
    for match in filter(None, map(_ACCEPTED.fullmatch, facts.get("ssh_log", []))):
        if match["key"] not in devops.get(match["who"], ()):
            found.add(f"{match['who']} logs in from {match['address']} by {match['key'] or match['how']}: refused then")
    jobs = [
        f"{one['account']} runs {one['command']}, which sudo lets it: is its rule still wanted?"
        for one in facts.get("cron", [])
        if "sudo" in one.get("command", "")
    ]
    return [*sorted(found), *jobs]


def firewall(facts: Facts) -> list[str]:
    """What listens for others and is not open."""
    ports = {int(one["port"]) for one in facts.get("open", [])} | {int(facts.get("ssh_port", 22))}
    return [
        f"{one['protocol']} {one['port']} of {one.get('program') or one['account']} is reached from elsewhere no more"
        for one in facts.get("sockets", [])
        if int(one["port"]) not in ports and not _loopback(one["address"])
    ]


def _shut_out(role: str, statements: t.Sequence[str]) -> bool:
    return any(text.startswith(f'ALTER ROLE "{role}" ') and "NOLOGIN" in text.split() for text in statements)


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


BREAKS: dict[str, t.Callable[[Facts], list[str]]] = {
    "dumps": dumps, "retire": retire, "grants": grants, "clients": clients,
    "access": access, "logins": logins, "keys": keys, "firewall": firewall,
}  # fmt: skip
