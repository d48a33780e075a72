"""The policy of one database, said of a copy: all of it, and nothing of the other databases."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.model import Policy
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.renamed import renamed

COPY = "one__restoring"


def policy(**more: t.Any) -> Policy:
    return parse(
        {
            "version": 1,
            "mode": "authoritative",
            "scope": {"databases": ["one", "two"], "schemas": ["public"]},
            "roles": {"owner": {}, "reader": {}},
            **more,
        }
    )


def test_the_copy_is_the_only_database_and_public_of_the_others_is_left_alone():
    found = renamed(policy(public={"revoke_connect": "all"}), "one", COPY, {"one", "two"})
    assert found.databases == (COPY,)
    assert not found.revoke_connect


def test_grants_on_the_database_are_on_the_copy_and_those_on_others_are_left_out():
    grants = [
        {"to": ["reader"], "on": {"database": ["one", "two"]}, "privileges": ["connect"]},
        {"to": ["owner"], "on": {"database": ["two"]}, "privileges": ["create"]},
    ]
    (grant,) = renamed(policy(grants=grants), "one", COPY, {"one"}).grants
    assert (grant.names, grant.to) == ((COPY,), ("reader",))


def test_grants_that_hold_in_some_databases_hold_in_the_copy_where_they_did_in_its_own():
    def grant(databases: list[str]) -> dict[str, t.Any]:
        return {"to": ["reader"], "on": {"tables": ["public.*"]}, "privileges": ["select"], "databases": databases}

    found = renamed(policy(grants=[grant(["one"]), grant(["two"])]), "one", COPY, {"one"}).grants
    assert [each.databases for each in found] == [(COPY,)]


def test_owner_and_settings_are_the_copy_s():
    given = policy(
        database_owners={"one": "owner", "two": "reader"},
        database_settings={"*": {"work_mem": "8MB"}, "one": {"jit": "off"}, "two": {"jit": "on"}},
    )
    found = renamed(given, "one", COPY, {"one", "two"})
    assert found.database_owners == {COPY: "owner"}
    assert set(found.database_settings) == {"*", COPY}
    assert found.database_settings[COPY] == given.database_settings["one"]


def test_a_policy_that_says_nothing_of_the_database_is_refused():
    with pytest.raises(ValueError, match="does not speak of the database three"):
        renamed(policy(), "three", "three__restoring", ())
