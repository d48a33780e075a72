# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether sshd, as it would be after reading its files anew, does what is required and lets the right people in."""

from __future__ import annotations

import fnmatch
import ipaddress
import typing as t
from dataclasses import dataclass

# What sshd prints of itself: keyword in small letters, and its values (a keyword may stand on several lines).
Effective = t.Mapping[str, t.Sequence[str]]


@dataclass(frozen=True)
class Session:
    """An ssh connection: whence it came, and where to."""

    client: str
    server: str
    port: int


@dataclass(frozen=True)
class Person:
    """Somebody who is to log in, with the groups of their account."""

    name: str
    groups: tuple[str, ...]


def read(printed: str) -> dict[str, list[str]]:
    """What ``sshd -T`` has printed."""
    found: dict[str, list[str]] = {}
    for line in printed.splitlines():
        keyword, value = [*line.strip().split(" ", 1), ""][:2]
        if keyword:
            found.setdefault(keyword, []).append(value.strip())
    return found


def judged(
    said: t.Mapping[str, Effective],
    required: t.Mapping[str, str],
    users: t.Collection[str],
    others_may: t.Mapping[str, t.Sequence[str]],
) -> list[str]:
    """Sentences on what sshd *said* for each account; whoever is not of *users* may have *others_may* too."""
    found: dict[str, list[str]] = {}
    for name, effective in said.items():
        for sentence in not_done(effective, required, {} if name in users else others_may):
            found.setdefault(sentence, []).append(name)
    return [
        sentence if len(names) == len(said) else f"{sentence} for {', '.join(names)}"
        for sentence, names in found.items()
    ]


def not_done(
    effective: Effective, required: t.Mapping[str, str], or_else: t.Mapping[str, t.Sequence[str]] | None = None
) -> list[str]:
    """A sentence for each keyword of *required* that has another value, and none of *or_else* either."""
    return [
        f"sshd does {keyword} {' '.join(effective.get(keyword, ['nothing']))} instead of {value}"
        for keyword, value in sorted(required.items())
        if list(effective.get(keyword, [])) not in [[value], *([other] for other in (or_else or {}).get(keyword, ()))]
    ]


def shut_out(effective: Effective, person: Person, session: Session | None) -> list[str]:
    """Why sshd would refuse *person*, who comes as *session* does, whatever the key; empty where it would not."""
    return [
        f"{person.name} could not log in any more: {reason}"
        for reason in (*_by_name(effective, person, session), *_by_method(effective), *_by_port(effective, session))
    ]


def _by_name(effective: Effective, person: Person, session: Session | None) -> t.Iterator[str]:
    client = session.client if session else None
    for keyword, wanted in (("denyusers", False), ("allowusers", True)):
        patterns = _words(effective, keyword)
        if patterns and any(_matches_user(pattern, person.name, client) for pattern in patterns) is not wanted:
            yield f"{keyword} {' '.join(patterns)}"
    for keyword, wanted in (("denygroups", False), ("allowgroups", True)):
        patterns = _words(effective, keyword)
        if patterns and any(_matches(pattern, group) for pattern in patterns for group in person.groups) is not wanted:
            yield f"{keyword} {' '.join(patterns)}"


def _by_method(effective: Effective) -> t.Iterator[str]:
    if _words(effective, "pubkeyauthentication") == ["no"]:
        yield "pubkeyauthentication no"
    methods = _words(effective, "authenticationmethods")
    if methods and not {"any", "publickey"} & set(methods):
        yield f"authenticationmethods {' '.join(methods)}"
    command = effective.get("forcecommand", ["none"])
    if list(command) != ["none"]:
        yield f"forcecommand {' '.join(command)}"


def _by_port(effective: Effective, session: Session | None) -> t.Iterator[str]:
    listening = _words(effective, "listenaddress")
    if session is None or not listening:
        return
    if not any(_hears(address, session) for address in listening):
        came = f"this connection came to {session.server} port {session.port}"
        yield f"sshd would listen on {' and '.join(listening)}, and {came}"


def _hears(listening: str, session: Session) -> bool:
    address, port = listening.rsplit(":", 1)
    if port != str(session.port):
        return False
    heard = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    come_to = ipaddress.ip_address(session.server.partition("%")[0])
    return heard == come_to or (heard.is_unspecified and heard.version == come_to.version)


def _words(effective: Effective, keyword: str) -> list[str]:
    return [word for value in effective.get(keyword, []) for word in value.split()]


def _matches_user(pattern: str, name: str, client: str | None) -> bool:
    user, at, host = pattern.rpartition("@")
    if not at:
        return _matches(pattern, name)
    # where nobody has come by ssh, the place whence they would come is not known
    return _matches(user, name) and (client is None or _matches_host(host, client))


def _matches_host(pattern: str, client: str) -> bool:
    if "/" not in pattern:
        return _matches(pattern, client)
    try:
        return ipaddress.ip_address(client) in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return False


def _matches(pattern: str, name: str) -> bool:
    # sshd knows * and ? alone
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))
