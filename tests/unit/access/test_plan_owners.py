"""Owners of what has no ACL: changed in the scope's schemas, told of where there is no schema."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import model as catalog
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.database import plan_database
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.tests.unit.access.snapshots import (
    POLICY,
    cluster,
    lines,
    objects,
    role,
)

OWNED = catalog.Owned("COLLATION", 'public."C.1"', "reader", "public")
EXTENSION = catalog.Owned("EXTENSION", "hstore", "reader")
SERVER = catalog.Named("sv", "reader", ())


def plan(written: dict[str, t.Any] | None = None, **parts: t.Any) -> tuple[list[str], list[str]]:
    """The statements, and what was skipped."""
    held = cluster()
    held = dataclasses.replace(held, roles={**held.roles, "other": role("other")})
    found = plan_database(parse({**POLICY, **(written or {})}), held, objects(**parts))
    return lines(found), [f"{one.what} {one.why}" for one in found.skipped]


def test_what_lies_in_a_schema_gets_the_schema_s_owner():
    assert plan(owned=(OWNED,)) == (['ALTER COLLATION public."C.1" OWNER TO [owner]'], [])


@pytest.mark.parametrize(
    ("written", "one"),
    [
        ({}, dataclasses.replace(OWNED, owner="owner")),
        ({}, dataclasses.replace(OWNED, extension=True)),
        ({"owners": {}, "grants": []}, OWNED),
        ({"mode": "additive"}, OWNED),
        ({"ignore": {"roles": ["oth*"]}}, dataclasses.replace(OWNED, owner="other")),
    ],
)
def test_what_is_not_the_policy_s_keeps_its_owner(written, one):
    planned, skipped = plan(written, owned=(one,))
    assert not [line for line in planned if line.startswith("ALTER COLLATION")]
    assert skipped == []


def test_what_lies_in_no_schema_is_told_and_left():
    planned, skipped = plan(
        owned=(EXTENSION, catalog.Owned("USER MAPPING", "sv", "postgres")),
        servers=(SERVER,),
        large_objects=tuple(catalog.LargeObject(oid, "other", ()) for oid in range(9, 4, -1)),
    )
    assert planned == []
    assert [one.partition(" belongs to ")[0].partition(" lends ")[0] for one in skipped] == [
        "foreign server sv in app",
        "extension hstore in app",
        "user mapping for PUBLIC of the foreign server sv in app",
        "5 large objects (5, 6, 7, ...) in app",
    ]


@pytest.mark.parametrize(
    ("written", "owner"),
    [
        ({}, "postgres"),
        ({}, "owner"),
        ({"database_owners": {"app": "reader"}}, "reader"),
        ({"ignore": {"roles": ["oth*"]}}, "other"),
        ({"mode": "additive"}, "other"),
    ],
)
def test_whom_the_policy_makes_an_owner_or_leaves_alone_is_not_told_of(written, owner):
    assert plan(written, owned=(dataclasses.replace(EXTENSION, owner=owner),), servers=()) == ([], [])
