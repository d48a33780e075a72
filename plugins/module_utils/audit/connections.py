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
PREFIX = "%m [%p] %q%u@%d "
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \S+ \[(?P<process>\d+)\] (?P<rest>.*)")
# What a message begins with; behind names it is the first in its line.
WORD = re.compile(
    r"(?:^| )(?:DEBUG|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|QUERY|CONTEXT|LOCATION|BACKTRACE|STATEMENT)"
    r":  "
)
NAMED = re.compile(r"(?:.+@.+)?", re.DOTALL)
CONNECTION = re.compile(r"(?:replication )?connection (?:received|authenticated|authorized): ")
# What is not the role's name, such as a statement that is repeated, comes behind a word like this.
_NAMES = r"(?:(?![A-Z]:  ).)*?"
SAID = re.compile(
    rf"(?:{_NAMES}@{_NAMES} )?LOG:  "
    r"(?:replication )?connection (?P<what>received|authenticated|authorized): (?P<said>.*)"
)
RECEIVED = re.compile(r"host=(?P<host>\S+)(?: port=\d+)?")
# A login without a proof has a line since 17, with the role's name in the place of an identity.
AUTHENTICATED = re.compile(r'(?P<of>identity|user)="(?P<identity>.*)" method=(?P<method>\S+)(?: \(.*\))?')
# A role's name may have blanks, and read as any of this: it stands there twice, and is too short to hold both.
_MORE = r"(?: application_name=.*)?(?: SSL enabled .*)?(?: GSS .*)?"
_ROLE = r"(?P<role>.{1,252})"
AUTHORIZED = (
    re.compile(
        rf"{_ROLE}@(?P<database>.{{1,252}}) LOG:  connection authorized: user=(?P=role) database=(?P=database){_MORE}"
    ),
    re.compile(rf"{_ROLE}@.{{0,252}} LOG:  replication connection authorized: user=(?P=role){_MORE}"),
)
# What has to be in the log, since 18 by its words: where a login came from, who it proved to be, and as whom it is in.
TOLD = {"receipt", "authentication", "authorization"}
ON = {"on", "true", "yes", "1", "all"}
# At these the server writes no line about a connection.
SILENT = ("fatal", "panic")


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


def untold(settings: t.Mapping[str, str], *, given: bool) -> str:
    """Why the log tells nobody who was connected, by the server's *settings*: "" where it does.

    *given*: somebody said where the log is, so that the server's own collector may write it.
    """
    value = {name: text or "empty" for name, text in settings.items()}
    words = {word.strip().lower() for word in settings["log_connections"].split(",")}
    if not (words & ON or words >= TOLD):
        return f"log_connections is {value['log_connections']}: set it to 'on' in database_settings"
    if settings["log_line_prefix"] != PREFIX:
        return f"log_line_prefix is {settings['log_line_prefix']!r}, and only {PREFIX!r} is understood"
    if "stderr" not in {word.strip().lower() for word in settings["log_destination"].split(",")}:
        return f"log_destination is {value['log_destination']}, and only what stderr gets is understood"
    if settings["log_min_messages"] in SILENT:
        return f"log_min_messages is {settings['log_min_messages']}, which leaves the logins out"
    if settings["logging_collector"] != "off" and not given:
        return "logging_collector is on, so that nobody knows where the log is: say so in audit_server_log"
    return ""


def _whole(rest: str) -> bool:
    """Whether *rest*, what follows a line's process, is one message, with or without names before it.

    A name has 63 bytes: with line breaks in it, it makes lines of its own, and what is left of the true one stands
    behind the last: no time, no names, or a second message.
    """
    word = WORD.search(rest)
    if word is None or not NAMED.fullmatch(rest[: word.start()]):
        return False
    return not (CONNECTION.match(rest, word.end()) and WORD.search(rest, word.end()))


def read(
    lines: t.Iterable[str], processes: set[int] | None = None, strange: list[int] | None = None
) -> set[Connection]:
    """The connections that were let in, of a log's *lines*: each kind once.

    Their *processes* are added to that set, and to *strange* the numbers of lines that nobody's message begins or goes
    on with: with names that have line breaks, anybody who is let in or not writes what looks like another's lines.
    """
    found = set()
    received: dict[str, str] = {}
    proved: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(lines, 1):
        if line.startswith("\t"):
            continue
        match = LINE.fullmatch(line)
        if strange is not None and (match is None or not _whole(match["rest"])):
            strange.append(number)
        if match is None:
            continue
        process, rest = match["process"], match["rest"]
        if "connection " not in rest:
            continue
        login = next(filter(None, (shape.fullmatch(rest) for shape in AUTHORIZED)), None)
        part = SAID.fullmatch(rest)
        what, said = (part["what"], part["said"]) if part else ("", "")
        if login is not None or what == "authorized":
            if processes is not None:
                processes.add(int(process))
            # Without a proof nobody asked who it was.
            identity, method = proved.pop(process, ("", "trust"))
            address = received.pop(process, "unknown")
            # What can't be understood is said as it stands, so that it is nobody's whom the policy knows.
            role, database = (login["role"], login.groupdict().get("database") or "") if login else (said, "")
            found.add(Connection(role, database, address, identity, method))
        elif what == "received":
            place = RECEIVED.fullmatch(said)
            received[process] = place["host"] if place else said
            proved.pop(process, None)
        elif (proof := AUTHENTICATED.fullmatch(said)) is not None:
            proved[process] = (proof["identity"] if proof["of"] == "identity" else "", proof["method"])
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
