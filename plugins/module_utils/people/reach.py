# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What could a person reach? Of what hosts answered; nothing is asked here, and nothing is judged: a reader does."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ..hosts.parsing.keys import key as read_key

Document = t.Mapping[str, t.Any]
# What a host has to be asked, or it is not known what the person could reach there.
PARTS = ("accounts", "jobs", "keys", "sudo_rules")


@dataclasses.dataclass(frozen=True, order=True)
class Way:
    """One way in. *close* is what takes it away."""

    host: str
    way: str
    evidence: str
    close: str


def fingerprints(lines: t.Iterable[str]) -> tuple[str, ...]:
    """Of public keys, one in a line; ValueError where a line is none."""
    found = []
    for line in lines:
        one = read_key(line.strip())
        if one["problem"]:
            raise ValueError(f"{line.strip()[:60]!r} is no public key: give lines of .pub files")
        found.append(one["fingerprint"])
    return tuple(found)


def reach(person: str, hosts: t.Mapping[str, Document], known: t.Collection[str] = ()) -> tuple[Way, ...]:
    """Every way of *person* into *hosts*, by their names. *known* are fingerprints of keys that the person has or had.

    A host's answer has the ``parts`` of ``host_access_info``, ``processes`` (lines), and, where it has the database,
    ``server``: ``mappings``, ``roles`` and ``sessions``; ``approvers`` is the text of its file of approvers; ``at`` are
    files of jobs that the person has given to at.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_-]*", person):
        raise ValueError(f"{person!r} is no name of a person: it has small letters, digits, _ and -")
    # What opens the person's own account on one host is theirs on all.
    known = {*known, *(one["fingerprint"] for answer in hosts.values() for one in _own(person, answer))}
    found: set[Way] = set()
    for host, answer in hosts.items():
        found |= set(_unknown(host, answer))
        found |= set(_host(person, host, answer, known))
        found |= set(_server(person, host, answer.get("server") or {}))
        found |= set(_approver(person, host, answer.get("approvers") or "", known))
    return tuple(sorted(found))


def _unknown(host: str, answer: Document) -> t.Iterator[Way]:
    """What was not told: the worst is to be thought."""
    for name in PARTS:
        part = answer.get("parts", {}).get(name, {"state": "unreadable", "why": "it was not asked"})
        if part["state"] == "unreadable":
            yield Way(
                host, "unknown", f"{name} can't be told: {part['why']}", "look by hand, or mend that and ask again"
            )
    server = answer.get("server")
    if isinstance(server, dict) and server.get("why"):
        yield Way(host, "unknown", f"the database can't be asked: {server['why']}", "mend that and ask again")


def _data(answer: Document, name: str) -> Document:
    data: Document = answer.get("parts", {}).get(name, {}).get("data") or {}
    return data


def _own(person: str, answer: Document) -> list[Document]:
    return [one for one in _data(answer, "keys").get("keys", []) if one["account"] == person and not one["problem"]]


def _host(person: str, host: str, answer: Document, known: t.Collection[str]) -> t.Iterator[Way]:
    accounts = _data(answer, "accounts")
    opened = False
    for one in accounts.get("accounts", []):
        if one["name"] == person and not one["expired"]:
            opened = True
            shell = f"its shell is {one['shell']}" if one["login"] else "it has no shell to log in by"
            evidence = f"the account is open: its password is {one['password']}, {shell}"
            yield Way(host, "account", evidence, "take it out of host_devops and run playbooks/person_left.yml")
    for name, members in sorted(accounts.get("groups", {}).items()):
        if opened and person in members and name != person:
            yield Way(host, "group", f"is in the group {name}", f"gpasswd --delete {person} {name}")
    for one in _data(answer, "sudo_rules").get("rules", []):
        if one["account"] == person:
            evidence = f"may run {one['command']} as {', '.join(one['users']) or 'root'}"
            yield Way(host, "sudo", evidence, "run playbooks/person_left.yml; see /etc/sudoers.d")
    yield from _keys(person, host, _data(answer, "keys").get("keys", []), known)
    jobs = _data(answer, "jobs")
    for one in jobs.get("cron", []):
        if one["account"] == person and one["command"]:
            yield Way(host, "job", f"cron runs {one['command']!r}, of {one['table']}", f"take it out of {one['table']}")
    for path in answer.get("at") or []:
        yield Way(host, "job", f"at runs {path} later", f"rm {path}")
    if person in jobs.get("linger", []):
        yield Way(host, "job", "services of its own run without a login", f"loginctl disable-linger {person}")
    for line in answer.get("processes") or []:
        if line.strip():
            yield Way(host, "process", f"runs {line.strip()}", f"pkill -KILL -u {person}")


def _keys(person: str, host: str, keys: t.Iterable[Document], known: t.Collection[str]) -> t.Iterator[Way]:
    for one in keys:
        # A comment is a hint: who looks decides.
        named = person in re.split(r"[^a-z0-9_-]+", one["comment"].lower())
        why = (
            "" if one["account"] == person
            else ", which is a key of the person's" if one["fingerprint"] in known
            else f", whose comment is {one['comment']!r}" if named
            else None
        )  # fmt: skip
        if why is None or one["problem"]:
            continue
        does = "lies where sshd does not look" if one["ignored"] else f"opens {one['account']}"
        close = f"take it out of {one['path']}" if one["ignored"] else _closer(one["account"])
        yield Way(host, "key", f"{one['fingerprint']} in {one['path']}, line {one['line']}{why}, {does}", close)


def _closer(account: str) -> str:
    """By which variable a key comes to an account."""
    if account.endswith(("-read", "-developer")):
        return "take it out of dump_store_readers and run playbooks/reader_keys.yml"
    return "take it out of host_devops and run playbooks/person_left.yml"


def _server(person: str, host: str, server: Document) -> t.Iterator[Way]:
    roles = {person}
    for one in server.get("mappings", []):
        if one["account"] == person:
            roles.add(one["role"])
            evidence = f"logs in as the role {one['role']} (the map {one['map']} of pg_ident.conf)"
            yield Way(
                host, "database", evidence, "take it out of os_users in access_policy and run playbooks/person_left.yml"
            )
    if person in server.get("roles", []):
        evidence = f"a role {person} may log in"
        yield Way(host, "database", evidence, "take it out of access_policy and run playbooks/person_left.yml")
    for one in server.get("sessions", []):
        if one["role"] in roles:
            others = "" if one["role"] == person else ", which others may log in as too"
            evidence = f"process {one['pid']} is a session of the role {one['role']} since {one['since']}{others}"
            yield Way(host, "session", evidence, f"SELECT pg_terminate_backend({one['pid']})")


def _approver(person: str, host: str, text: str, known: t.Collection[str]) -> t.Iterator[Way]:
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        position = next((at for at, word in enumerate(words) if re.match(r"(sk-)?(ssh|ecdsa)-", word)), None)
        mark = read_key(" ".join(words[position:]))["fingerprint"] if position is not None else ""
        if person in words[0].split(",") or (mark and mark in known):
            evidence = f"approves corrective actions as {words[0]}"
            yield Way(host, "approver", evidence, "take it out of database_approvers and run playbooks/person_left.yml")
