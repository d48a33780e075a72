"""The login files' text: which rows there are, and names that mean only themselves."""

from __future__ import annotations

import re

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.hba import (
    connectable,
    quoted,
    render_hba,
    render_ident,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy import parse
from hypothesis import given
from hypothesis import strategies as st

POLICY = parse(
    {
        "version": 1,
        "scope": {"databases": ["app", "Other"], "schemas": ["public"]},
        "mode": "authoritative",
        "roles": {
            "owner": {},
            "dba": {"os_users": ["alice", "bob"], "inherit": False, "member_of": "remote"},
            "reader": {"os_users": "grafana", "member_of": ["readers"]},
            "readers": {},
            "remote": {"login": True},
            "idle": {"os_users": "idle"},
        },
        "grants": [
            {"to": ["dba", "readers"], "on": {"database": "app"}, "privileges": "connect"},
            {"to": "remote", "on": {"database": ["app", "Other"]}, "privileges": ["connect", "temp"]},
            {"to": "idle", "on": {"database": "app"}, "privileges": ["create"]},
        ],
    }
)


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_rows_are_the_policy_s_and_everything_else_is_rejected():
    assert rows(render_hba(POLICY)) == [
        "local all postgres peer",
        "local app dba peer map=taaraxtak",
        "local app reader peer map=taaraxtak",
        "local all all reject",
        "host all all all reject",
        "local replication all reject",
        "host replication all all reject",
    ]


def test_the_map_names_each_os_user():
    assert rows(render_ident(POLICY)) == [
        "taaraxtak alice dba",
        "taaraxtak bob dba",
        "taaraxtak grafana reader",
        "taaraxtak idle idle",
    ]


def test_both_say_who_owns_them():
    for text in (render_hba(POLICY), render_ident(POLICY)):
        assert text.startswith("# Owned whole by the Ansible collection taaraxtak.production")
        assert text.endswith("\n")


def test_a_connect_counts_by_membership_only_where_it_is_inherited():
    assert connectable(POLICY, "reader") == ["app"]
    assert connectable(POLICY, "remote") == ["app", "Other"]
    assert connectable(POLICY, "dba") == ["app"]
    assert connectable(POLICY, "idle") == []


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("app", "app"),
        ("all", '"all"'),
        ("replication", '"replication"'),
        ("sameuser", '"sameuser"'),
        ("ALL", '"ALL"'),
        ("+group", '"+group"'),
        ("@file", '"@file"'),
        ('a"b', '"a""b"'),
        ("a,b", '"a,b"'),
        ("a b", '"a b"'),
        ("#a", '"#a"'),
        ("", '""'),
    ],
)
def test_a_name_is_one_token_that_means_itself(name, token):
    assert quoted(name) == token


@pytest.mark.parametrize("name", ["/regexp", "a\nb", "a\rb"])
def test_a_name_that_no_token_can_mean_is_refused(name):
    with pytest.raises(ValueError, match="choose another name, or set hba to false"):
        quoted(name)


def tokens(line: str) -> list[str]:
    """Split as next_token() in PostgreSQL's hba.c does."""
    found, token, seen, in_quote, was_quote = [], "", False, False, False
    for character in line + " ":
        if character in " \t," and not in_quote:
            if seen:
                found.append(token)
            token, seen, was_quote = "", False, False
            continue
        if character == "#" and not in_quote:
            break
        seen = True
        if character != '"' or was_quote:
            token += character
        was_quote = not was_quote if in_quote and character == '"' else False
        if character == '"':
            in_quote = not in_quote
    return found


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda n: n[0] != "/")))
def test_the_server_s_own_way_of_reading_gives_the_names_back(names):
    line = " ".join(quoted(name) for name in names)
    assert tokens(line) == names
    assert not re.search(r"[\r\n]", line)
