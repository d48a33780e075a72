# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is and who was connected to the server: its log's lines about connections, and what the policy says of them."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as t

from ..access.plan.hba import RESTORER, SUPERUSER
from ..access.policy.model import Policy

# What the log calls the unix socket.
LOCAL = "[local]"
# The prefix that Debian's packages set: the time with its zone, [process], then perhaps role@database. What follows a
# line of a message stands behind a tab, so that no statement can look like one.
LINE = re.compile(
    r"\S+ \S+ \S+ \[(?P<process>\d+)\] (?:\S+ )?LOG:  "
    r"(?:replication )?connection (?P<what>received|authenticated|authorized): (?P<said>.*)"
)
RECEIVED = re.compile(r"host=(?P<host>\S+)(?: port=\d+)?")
AUTHENTICATED = re.compile(r'identity="(?P<identity>.*)" method=(?P<method>\S+)(?: \(.*\))?')
AUTHORIZED = re.compile(
    r"user=(?P<role>.*?)(?: database=(?P<database>.*?))?(?: application_name=.*)?(?: SSL enabled .*)?"
)


@dataclasses.dataclass(frozen=True, order=True)
class Connection:
    """A login as ``role``; ``address`` is LOCAL or a host's, ``identity`` who that was, by ``method``: None unknown."""

    role: str
    database: str
    address: str
    identity: str | None = None
    method: str | None = None

    def document(self) -> dict[str, t.Any]:
        """It as JSON has it."""
        return dataclasses.asdict(self)


def read(lines: t.Iterable[str]) -> set[Connection]:
    """The connections that were let in, of a log's *lines*: each kind once."""
    found = set()
    received: dict[str, str] = {}
    proved: dict[str, tuple[str, str]] = {}
    for line in lines:
        match = LINE.fullmatch(line)
        if match is None:
            continue
        process, what, said = match["process"], match["what"], match["said"]
        if what == "received":
            place = RECEIVED.fullmatch(said)
            received[process] = place["host"] if place else said
            proved.pop(process, None)
        elif what == "authenticated":
            if (proof := AUTHENTICATED.fullmatch(said)) is not None:
                proved[process] = (proof["identity"], proof["method"])
        elif (login := AUTHORIZED.fullmatch(said)) is not None:
            # Without a proof nobody asked who it was.
            identity, method = proved.pop(process, ("", "trust"))
            address = received.pop(process, "unknown")
            found.add(Connection(login["role"], login["database"] or "", address, identity, method))
    return found


def allowed(one: Connection, policy: Policy) -> bool:
    """Whether *policy* lets this in. What is not known of one that is connected now is not held against it."""
    role = policy.roles.get(one.role)
    if one.address == LOCAL:
        if one.role == RESTORER:
            return one.method in (None, "scram-sha-256")
        users = (*((SUPERUSER,) if one.role == SUPERUSER else ()), *(role.os_users if role and role.login else ()))
        return bool(users) and (one.identity is None or (one.method == "peer" and one.identity in users))
    if role is None or not role.login:
        return False
    try:
        address = ipaddress.ip_address(one.address)
    except ValueError:
        return False
    return any(
        address in ipaddress.ip_network(host.address) and one.method in (None, host.method) for host in role.hosts
    )
