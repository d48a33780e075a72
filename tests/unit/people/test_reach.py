"""What a person could reach: every way in is named, and where something can't be told that is said."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.people.reach import fingerprints, reach

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGvzOdvJ+iwGEvi8v8opNdRP7UsHrbEo2GAQoc44AANX bob@example.org"
(MARK,) = fingerprints([KEY])
CLOSED = {"name": "bob", "expired": True, "password": "locked", "login": True, "shell": "/bin/bash"}
# A host on which bob has been, and is no more.
CLEAN: dict[str, t.Any] = {
    "parts": {
        "accounts": {"state": "read", "data": {"accounts": [CLOSED], "groups": {"adm": ["bob"], "bob": ["bob"]}}},
        "jobs": {"state": "read", "data": {"cron": [], "at": [], "linger": []}},
        "keys": {"state": "read", "data": {"keys": []}},
        "sudo_rules": {"state": "read", "data": {"rules": []}},
    },
    "processes": [],
    "at": [],
    "server": {"mappings": [{"map": "local", "account": "alice", "role": "dba"}], "roles": ["dba"], "sessions": []},
    "approvers": f'# Who may approve.\nalice namespaces="taaraxtak-action" {KEY[:-20]}\n',
}


def key(account: str = "bob", **more: t.Any) -> dict[str, t.Any]:
    line = {"account": account, "path": f"/etc/ssh/devops_keys/{account}", "line": 1, "ignored": False, "problem": ""}
    return {**line, "fingerprint": "SHA256:other", "comment": "", **more}


def put(document: dict[str, t.Any], path: str, value: t.Any) -> None:
    """Add *value* to the list at *path*, or put it there."""
    *folders, last = path.split(".")
    for folder in folders:
        document = document[folder]
    if isinstance(document[last], list):
        document[last].append(value)
    else:
        document[last] = value


def test_who_has_left_reaches_nothing() -> None:
    assert reach("bob", {"production": CLEAN}) == ()


@pytest.mark.parametrize(
    ("path", "value", "way", "evidence"),
    [
        ("parts.accounts.data.accounts", {**CLOSED, "expired": False}, "account", "the account is open"),
        ("parts.accounts.data.accounts", {**CLOSED, "expired": False}, "group", "is in the group adm"),
        (
            "parts.sudo_rules.data.rules",
            {"account": "bob", "command": "ALL", "users": ["ALL"]},
            "sudo",
            "may run ALL as ALL",
        ),
        ("parts.keys.data.keys", key(), "key", "opens bob"),
        ("parts.keys.data.keys", key(ignored=True), "key", "lies where sshd does not look"),
        ("parts.keys.data.keys", key("alice", fingerprint=MARK), "key", "of the person's, opens alice"),
        ("parts.keys.data.keys", key("dumps-read", comment="bob@home"), "key", "'bob@home', opens dumps-read"),
        (
            "parts.jobs.data.cron",
            {"account": "bob", "command": "x", "table": "/var/spool/cron/crontabs/bob"},
            "job",
            "cron runs 'x'",
        ),
        ("at", "/var/spool/cron/atjobs/a0000301c7d2f4", "job", "at runs /var/spool/cron/atjobs/a0000301c7d2f4"),
        ("parts.jobs.data.linger", "bob", "job", "without a login"),
        ("processes", "  417 tmux", "process", "runs 417 tmux"),
        ("server.mappings", {"map": "local", "account": "bob", "role": "dba"}, "database", "logs in as the role dba"),
        ("server.roles", "bob", "database", "a role bob may log in"),
        ("server.sessions", {"pid": 7, "role": "bob", "since": "today"}, "session", "process 7 is a session"),
        ("approvers", "bob ssh-ed25519 AAAA", "approver", "approves corrective actions as bob"),
        ("approvers", f"robert namespaces=\"x\" {KEY}", "approver", "approves corrective actions as robert"),
    ],
)  # fmt: skip
def test_each_way_is_named(path: str, value: t.Any, way: str, evidence: str) -> None:
    answer = copy.deepcopy(CLEAN)
    put(answer, path, value)
    known = [MARK] if MARK in str(value) or KEY in str(value) else []
    found = reach("bob", {"production": answer, "store": CLEAN}, known)
    assert {one.host for one in found} == {"production"}
    assert [one for one in found if one.way == way and evidence in one.evidence], found
    assert all(one.close for one in found)


def test_a_key_that_opens_their_account_on_one_host_is_theirs_on_every_other() -> None:
    answer, other = copy.deepcopy(CLEAN), copy.deepcopy(CLEAN)
    put(answer, "parts.keys.data.keys", key(fingerprint=MARK))
    put(other, "parts.keys.data.keys", key("dumps-read", fingerprint=MARK))
    (way,) = [one for one in reach("bob", {"production": answer, "store": other}) if one.host == "store"]
    assert "which is a key of the person's, opens dumps-read" in way.evidence


def test_a_session_of_a_role_that_others_share_is_said_to_be_one() -> None:
    answer = copy.deepcopy(CLEAN)
    answer["server"]["mappings"].append({"map": "local", "account": "bob", "role": "dba"})
    answer["server"]["sessions"].append({"pid": 7, "role": "dba", "since": "today"})
    (session,) = [one for one in reach("bob", {"production": answer}) if one.way == "session"]
    assert "which others may log in as too" in session.evidence


@pytest.mark.parametrize("name", ["accounts", "jobs", "keys", "sudo_rules"])
@pytest.mark.parametrize("part", [None, {"state": "unreadable", "why": "sshd does not answer", "data": {}}])
def test_what_can_not_be_told_is_said(name: str, part: dict[str, t.Any] | None) -> None:
    answer = copy.deepcopy(CLEAN)
    del answer["parts"][name]
    if part:
        answer["parts"][name] = part
    (way,) = reach("bob", {"production": answer})
    assert way.way == "unknown"
    assert name in way.evidence


def test_a_database_that_can_not_be_asked_is_said() -> None:
    (way,) = reach("bob", {"production": {**CLEAN, "server": {"why": "it is down"}}})
    assert "it is down" in way.evidence


def test_another_persons_name_that_begins_so_is_another_person() -> None:
    answer = copy.deepcopy(CLEAN)
    answer["parts"]["accounts"]["data"]["accounts"].append({**CLOSED, "name": "bobby", "expired": False})
    answer["parts"]["keys"]["data"]["keys"].append(key("bobby", comment="bobby@example.org"))
    assert reach("bob", {"production": answer}) == ()


def test_a_name_that_is_none_and_a_key_that_is_none_are_refused() -> None:
    with pytest.raises(ValueError, match="is no name of a person"):
        reach("bob; rm", {})
    with pytest.raises(ValueError, match="is no public key"):
        fingerprints(["-----BEGIN OPENSSH PRIVATE KEY-----"])
