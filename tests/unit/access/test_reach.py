"""Whom a role can act as: two closures, each with its shortest path, before and since PostgreSQL 16."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.audit.reach import Reach
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import model as catalog
from ansible_collections.taaraxtak.production.tests.unit.access.snapshots import SUPERUSER, cluster, role

Edge = tuple[str, str]


def reach(
    *edges: Edge,
    version: int = 150000,
    options: t.Mapping[Edge, dict[str, bool]] | None = None,
    attributes: t.Mapping[str, dict[str, bool]] | None = None,
    owner: str = "postgres",
) -> Reach:
    """*edges* are (member, role); *options* of a membership, *attributes* of a role."""
    names = {name for edge in edges for name in edge} | set(attributes or {}) | {"pg_database_owner"}
    rows = []
    for member, above in edges:
        given = {"admin": False, "inherit": True, "set": True, **(options or {}).get((member, above), {})}
        if version < 160000:
            given.update(inherit=None, set=None)
        rows.append(catalog.Membership(above, member, "postgres", **given))
    roles = {name: role(name, login=True, **(attributes or {}).get(name, {})) for name in sorted(names)}
    held = cluster(
        version,
        roles={"postgres": SUPERUSER, **roles},
        memberships=tuple(rows),
        databases={"app": catalog.Database("app", owner, ())},
    )
    return Reach(held, "app")


def test_inheriting_takes_the_shortest_chain():
    held = reach(("a", "b"), ("b", "c"), ("c", "d"), ("a", "x"), ("x", "d"))
    assert held.inherited("a") == {"a": (), "b": ("b",), "x": ("x",), "c": ("b", "c"), "d": ("x", "d")}


def test_a_circle_ends():
    held = reach(("a", "b"), ("b", "a"))
    assert held.inherited("a") == {"a": (), "b": ("b",)}
    assert held.settable("a") == {"b": ("b",)}


def test_before_16_the_member_says_whether_it_inherits():
    held = reach(("a", "b"), ("b", "c"), attributes={"b": {"inherit": False}})
    assert set(held.inherited("a")) == {"a", "b"}
    assert set(held.settable("a")) == {"b", "c"}
    assert set(held.inherited("b")) == {"b"}


@pytest.mark.parametrize(
    ("options", "inherited", "settable"),
    [
        ({}, {"a", "b"}, {"b"}),
        ({"inherit": False}, {"a"}, {"b"}),
        ({"set": False}, {"a", "b"}, set()),
        ({"inherit": False, "set": False}, {"a"}, set()),
    ],
)
def test_since_16_the_membership_says_it(options, inherited, settable):
    held = reach(("a", "b"), version=160000, options={("a", "b"): options}, attributes={"a": {"inherit": False}})
    assert set(held.inherited("a")) == inherited
    assert set(held.settable("a")) == settable


def test_any_grantor_s_row_is_enough():
    held = reach(version=160000, attributes={"a": {}, "b": {}}).cluster
    rows = (
        catalog.Membership("b", "a", "postgres", False, False, True),
        catalog.Membership("b", "a", "c", False, True, False),
    )
    both = Reach(cluster(160000, roles=held.roles, memberships=rows, databases={}))
    assert set(both.inherited("a")) == {"a", "b"}
    assert set(both.settable("a")) == {"b"}


def test_what_is_set_to_is_inherited_from_then():
    held = reach(("a", "b"), ("b", "c"), attributes={"a": {"inherit": False}})
    assert [(way.kind, way.acting, way.path, set(way.holders)) for way in held.ways("a")] == [
        ("login", "a", ("a",), {"a"}),
        ("set_role", "b", ("a", "SET ROLE b"), {"b", "c"}),
        ("set_role", "c", ("a", "SET ROLE c (by b)"), {"c"}),
    ]
    assert held.ways("a")[2].links == (("a", "role b", "MEMBER"), ("b", "role c", "MEMBER"))


@pytest.mark.parametrize(
    ("name", "acting", "step"),
    [
        ("pg_execute_server_program", "postgres", "runs programs as the server's user"),
        ("pg_write_server_files", "postgres", "writes files as the server's user"),
        ("pg_read_server_files", "pg_read_all_data", "reads the server's files"),
    ],
)
def test_the_server_s_files_are_a_way_to_become_its_user_or_to_read_all(name: str, acting: str, step: str) -> None:
    held = reach(("a", "b"), ("b", name), ("c", "pg_read_all_data"))
    way = held.ways("a")[-1]
    assert (way.kind, way.acting, way.path) == ("files", acting, ("a", "member of b", f"member of {name}", step))
    assert way.links == (("a", "role b", "MEMBER"), ("b", f"role {name}", "MEMBER"))
    assert way.code
    assert "files" not in {way.kind for way in held.ways("c")}


def test_whoever_may_set_role_to_one_who_runs_programs_runs_them_too() -> None:
    held = reach(("a", "b"), ("b", "pg_execute_server_program"), attributes={"a": {"inherit": False}})
    assert held.ways("a")[-1].path == (
        *("a", "SET ROLE b", "member of pg_execute_server_program", "runs programs as the server's user"),
    )


def test_a_superuser_needs_no_way():
    held = reach(("a", "b"), attributes={"a": {"superuser": True}})
    assert [way.kind for way in held.ways("a")] == ["login"]


def test_the_admin_option_gives_the_role_and_all_above_it():
    options = {("a", "b"): {"admin": True, "inherit": False, "set": False}}
    held = reach(("a", "b"), ("b", "c"), version=160000, options=options)
    ways = {way.acting: way for way in held.ways("a")}
    assert ways["b"].path == ("a", "grants itself b by the admin option")
    assert ways["b"].links == (("a", "role b", "ADMIN"),)
    assert set(ways["b"].holders) == {"b", "c"}


@pytest.mark.parametrize(("version", "reached"), [(150000, {"a", "b", "pg_read_all_data"}), (160000, {"a"})])
def test_createrole_grants_itself_every_role_but_superusers_before_16(version, reached):
    attributes = {"a": {"createrole": True}, "b": {}, "root": {"superuser": True}, "pg_read_all_data": {}}
    held = reach(version=version, attributes=attributes)
    assert {way.acting for way in held.ways("a")} == reached


@pytest.mark.parametrize(("version", "inherited"), [(150000, False), (160000, True)])
def test_the_database_s_owner_is_in_pg_database_owner(version, inherited):
    held = reach(version=version, attributes={"a": {"inherit": False}}, owner="a")
    assert ("pg_database_owner" in held.inherited("a")) == inherited
    assert "pg_database_owner" in held.settable("a")
    assert held.links("a", ("pg_database_owner",)) == (("a", "database app", "OWNER"),)
