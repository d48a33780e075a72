"""What takes a step of an adoption back: what it has changed, and nothing of others."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.plugins.module_utils.adopt.crontab import restored, retired
from ansible_collections.taaraxtak.production.plugins.module_utils.adopt.former import former, unsaid

EXPORTED: dict[str, t.Any] = {
    "version": 1,
    "scope": {"databases": ["app", "gone"], "schemas": ["*"], "public": True},
    "mode": "authoritative",
    "roles": {
        "postgres": {"superuser": True, "login": True},
        "scraper": {"login": True, "database_settings": {"gone": {"work_mem": "1MB"}, "app": {"work_mem": "2MB"}}},
        "other": None,
    },
    "owners": {"public": "scraper"},
    "database_owners": {"gone": "scraper"},
    "grants": [
        {"to": ["scraper", "public"], "on": {"database": ["app", "gone"]}, "privileges": ["connect"]},
        {"to": "other", "on": {"database": "gone"}, "privileges": ["connect"]},
        {"to": "other", "on": {"tables": "public.*"}, "privileges": ["select"], "databases": ["app"]},
    ],
}
THERE = ["postgres", "scraper", "other", "pg_monitor"]


def made(named: list[str], *, whole: bool, live: t.Sequence[str] = ()) -> dict[str, t.Any]:
    given = former(
        EXPORTED, there=THERE, named=named, live=[*THERE, *named, *live], databases=["app", "new"], whole=whole
    )
    parse(given)
    return given


def test_roles_that_came_since_are_left_to_others():
    assert made(["dumper", "scraper"], whole=True, live=["analyst"])["ignore"] == {"roles": ["analyst"]}


def test_roles_that_a_granting_step_did_not_name_are_left_to_others():
    policy = made(["scraper", "new"], whole=False, live=["analyst"])
    assert policy["ignore"] == {"roles": ["analyst", "other", "postgres"]}
    assert list(policy["roles"]) == ["scraper"]
    assert policy["grants"] == [{"to": ["scraper"], "on": {"database": ["app"]}, "privileges": ["connect"]}]
    assert policy["scope"]["public"] is False
    assert "owners" not in policy


def test_what_everybody_was_granted_is_taken_back_where_the_step_granted_it():
    policy = made(["public", "scraper"], whole=False)
    assert policy["scope"]["public"] is True
    assert policy["grants"][0]["to"] == ["scraper", "public"]


def test_a_step_whose_roles_are_all_new_names_the_superuser():
    policy = made(["dumper"], whole=False)
    assert list(policy["roles"]) == ["postgres"]
    assert policy["ignore"] == {"roles": ["other", "scraper"]}


def test_nothing_is_said_of_a_database_that_is_gone():
    policy = made(["scraper"], whole=True)
    assert policy["scope"]["databases"] == ["app"]
    assert "gone" not in str(policy)


def test_a_password_that_was_given_since_stays():
    assert {role["password"] for role in made(["scraper"], whole=True)["roles"].values()} == {"keep"}


@pytest.mark.parametrize(
    ("accepted", "left"),
    [([], ["role x: it is odd"]), (["role x: it is odd"], []), (["role y: it is odd"], ["role x: it is odd"])],
)
def test_what_no_way_back_brings_is_told_unless_accepted(accepted, left):
    end = "role s: its password is valid until 2031-05-06 07:08:09+00, and a policy's has no end"
    assert unsaid([end, "role x: it is odd"], accepted) == left


def test_a_crontab_is_what_it_was_and_keeps_what_came_since():
    text = "# mine\n  0 3 * * * dump\n@daily other\n"
    assert restored(retired(text, ["0 3 * * * dump"])) == text
    assert restored(retired(text, ["@daily other"]) + "5 5 * * * since\n") == f"{text}5 5 * * * since\n"
