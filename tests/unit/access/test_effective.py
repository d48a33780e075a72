"""Effective access of hand-made snapshots: every kind of path, in words and in what it rests on."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.audit.effective import Effective, listed
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import links
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import model as catalog
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.acl import AclItem
from ansible_collections.taaraxtak.production.tests.unit.access.snapshots import (
    SUPERUSER,
    cluster,
    objects,
    role,
    table,
)

CONNECT = (AclItem("public", "postgres", "CONNECT"),)


def effective(*relations: catalog.Relation, **parts: t.Any) -> Effective:
    """Of the roles owner, dba (SET ROLE owner), reader, writer, and mallory, who is in nothing."""
    attributes = parts.pop("attributes", {})
    names = ("dba", "reader", "writer", "mallory")
    roles = {"postgres": SUPERUSER, "owner": role("owner")}
    roles |= {name: role(name, login=True, inherit=name != "dba", **attributes.get(name, {})) for name in names}
    roles |= {name: role(name) for name in ("pg_read_all_data", "pg_write_all_data", "group")}
    memberships = (("owner", "dba"), *parts.pop("memberships", ()))
    held = cluster(
        roles=roles,
        memberships=tuple(
            catalog.Membership(above, member, "postgres", False, None, None) for above, member in memberships
        ),
        databases={"app": catalog.Database("app", "postgres", parts.pop("connect", CONNECT))},
    )
    schema = catalog.Schema("public", "owner", (AclItem("public", "owner", "USAGE"),))
    return Effective(held, objects(*relations, **{"schemas": {"public": schema}, "defaults": (), **parts}))


def acl(*items: tuple[str, str]) -> tuple[AclItem, ...]:
    return tuple(AclItem(grantee, "owner", privilege) for grantee, privilege in items)


def test_each_path_is_told():
    columns = {"a": acl(("writer", "UPDATE"))}
    held = effective(
        table("t", acl=acl(("reader", "SELECT"), ("group", "DELETE"), ("public", "INSERT")), columns=columns),
        memberships=[("group", "reader"), ("pg_write_all_data", "mallory")],
    )
    assert held.who("public", "t", "SELECT") == {
        "dba": ("dba", "SET ROLE owner", "owner"),
        "postgres": ("postgres", "superuser"),
        "reader": ("reader",),
    }
    assert held.can("reader", "public", "t", "DELETE") == ("reader", "member of group")
    assert held.can("reader", "public", "t", "INSERT") == ("reader", "PUBLIC")
    assert held.can("writer", "public", "t", "UPDATE") == ("writer",)
    assert held.can("mallory", "public", "t", "UPDATE") == ("mallory", "member of pg_write_all_data")
    assert held.can("mallory", "public", "t", "TRUNCATE") is None
    assert held.can("mallory", "public", "there is none", "SELECT") is None
    assert list(held.who("public", "t", "OWNER")) == ["dba", "postgres"]


def test_a_column_s_privilege_is_said_to_be_one():
    held = effective(table("t", acl=(), columns={"a": acl(("writer", "UPDATE"))}))
    rows = [one for one in listed(held, ["writer"]) if one["kind"] == "table"]
    assert rows == [
        {
            "role": "writer",
            "database": "app",
            "path": ["writer"],
            "kind": "table",
            "privileges": ["UPDATE (columns)"],
            "objects": ["public.t"],
            "usable": True,
        }
    ]


def test_what_has_no_use_is_said_and_does_not_count():
    schemas = {"public": catalog.Schema("public", "owner", acl(("writer", "USAGE")))}
    held = effective(table("t", acl=acl(("reader", "SELECT"), ("writer", "SELECT"))), schemas=schemas)
    assert {row.role: row.usable for row in held.rows(["reader", "writer"]) if row.kind == "table"} == {
        "reader": False,
        "writer": True,
    }
    assert held.can("reader", "public", "t", "SELECT") is None
    assert held.can("writer", "public", "t", "SELECT") == ("writer",)


def test_whoever_cannot_connect_can_do_nothing():
    held = effective(table("t", acl=acl(("reader", "SELECT"))), connect=(AclItem("dba", "postgres", "CONNECT"),))
    assert set(held.who("public", "t", "SELECT")) == {"dba", "postgres"}


def test_a_routine_with_its_owner_s_rights_gives_all_of_them():
    routine = catalog.Routine("public", "f", "", "owner", acl(("mallory", "EXECUTE")), oid=7, definer=True)
    held = effective(table("t", acl=()), routines=(routine,))
    path = ("mallory", "runs public.f() as owner", "owner")
    assert held.can("mallory", "public", "t", "TRUNCATE") == path
    assert held.can("reader", "public", "t", "TRUNCATE") is None
    way = held.ways("mallory")[-1]
    assert (way.kind, way.links) == ("definer", (("mallory", "routine public.f()", "EXECUTE"),))


def test_a_routine_calls_another():
    routines = (
        catalog.Routine("public", "f", "", "writer", acl(("mallory", "EXECUTE")), oid=7, definer=True),
        catalog.Routine("public", "g", "", "owner", acl(("writer", "EXECUTE")), oid=8, definer=True),
    )
    held = effective(table("t", acl=()), routines=routines)
    assert held.can("mallory", "public", "t", "DELETE") == (
        *("mallory", "runs public.f() as writer", "runs public.g() as owner", "owner"),
    )


def test_a_trigger_acts_for_whoever_writes():
    one = table("t", acl=acl(("writer", "INSERT"), ("reader", "SELECT")))
    trigger = catalog.Trigger(one.oid, "wipes", "public.f", True, "owner")
    held = effective(one, table("other", acl=()), triggers=(trigger,))
    path = ("writer", "fires trigger wipes on public.t as owner", "owner")
    assert held.can("writer", "public", "other", "DELETE") == path
    assert held.can("reader", "public", "other", "DELETE") is None
    off = effective(one, table("other", acl=()), triggers=(catalog.Trigger(one.oid, "w", "f", True, "owner", False),))
    assert off.can("writer", "public", "other", "DELETE") is None


def test_a_view_acts_with_its_owner_s_rights_all_the_way_down():
    below = table("t", acl=())
    view = table("v", kind="v", acl=())
    top = table("top", kind="v", acl=acl(("reader", "SELECT"), ("writer", "DELETE")))
    views = (
        catalog.View(view.oid, False, (below.oid,), frozenset({"DELETE"})),
        catalog.View(top.oid, False, (view.oid,), frozenset({"DELETE"})),
    )
    held = effective(below, view, top, views=views)
    through = ("view public.top as owner", "view public.v as owner")
    assert held.can("reader", "public", "t", "SELECT") == ("reader", *through)
    assert held.can("writer", "public", "t", "DELETE") == ("writer", *through)
    assert held.can("reader", "public", "t", "DELETE") is None


@pytest.mark.parametrize(("invoker", "owner"), [(True, "owner"), (False, "mallory")])
def test_a_view_gives_nothing_with_its_invoker_s_rights_or_an_owner_s_who_has_none(invoker, owner):
    below = table("t", acl=())
    view = table("v", kind="v", owner=owner, acl=acl(("reader", "SELECT")))
    held = effective(below, view, views=(catalog.View(view.oid, invoker, (below.oid,)),))
    assert held.can("reader", "public", "t", "SELECT") is None


def test_views_in_a_circle_end():
    one = table("one", kind="v", acl=acl(("reader", "SELECT")))
    two = table("two", kind="v", acl=())
    views = (catalog.View(one.oid, False, (two.oid,)), catalog.View(two.oid, False, (one.oid,)))
    assert effective(one, two, views=views).can("reader", "public", "two", "SELECT") == (
        *("reader", "view public.one as owner"),
    )


def test_a_rule_acts_with_its_table_s_owner_s_rights():
    one, other = table("t", acl=acl(("writer", "INSERT"))), table("other", acl=())
    held = effective(one, other, rules=(catalog.Rule(one.oid, "wipes", "INSERT", (other.oid,)),))
    assert held.can("writer", "public", "other", "DELETE") == ("writer", "rule wipes on public.t as owner")
    assert held.can("reader", "public", "other", "DELETE") is None


def test_whoever_reaches_a_parent_reaches_its_children_and_the_other_way_round():
    given = acl(("reader", "SELECT"), ("reader", "INSERT"), ("writer", "DELETE"))
    parent, grandparent = table("parent", acl=given), table("grandparent", acl=())
    child, sibling = table("child", acl=acl(("mallory", "DELETE"))), table("sibling", acl=())
    inheritance = (
        links.Inheritance(grandparent.oid, parent.oid, False),
        links.Inheritance(parent.oid, child.oid, True),
        links.Inheritance(parent.oid, sibling.oid, False),
    )
    held = effective(grandparent, parent, child, sibling, inheritance=inheritance)
    assert held.can("reader", "public", "child", "SELECT") == ("reader", "partition public.child of public.parent")
    assert held.can("reader", "public", "sibling", "SELECT") == ("reader", "child public.sibling of public.parent")
    # INSERT is routed to partitions, and to nothing else.
    assert held.can("reader", "public", "child", "INSERT") is not None
    assert held.can("reader", "public", "sibling", "INSERT") is None
    assert held.can("mallory", "public", "grandparent", "DELETE") == (
        "mallory",
        "rows of public.parent in its partition public.child",
        "rows of public.grandparent in its child public.parent",
    )
    # A partition's rows are its parent's, but not its siblings'.
    assert held.can("mallory", "public", "sibling", "DELETE") is None
    assert held.can("reader", "public", "child", "DELETE") is None


def test_no_rule_of_a_child_is_applied_but_its_triggers_are():
    parent, child = table("parent", acl=acl(("writer", "DELETE"))), table("child", acl=())
    ruled, fired = table("ruled", acl=()), table("fired", acl=(), owner="other")
    held = effective(
        *(parent, child, ruled, fired),
        inheritance=(links.Inheritance(parent.oid, child.oid, True),),
        rules=(catalog.Rule(child.oid, "wipes", "DELETE", (ruled.oid,)),),
        triggers=(catalog.Trigger(child.oid, "acts", "f", True, "other"),),
    )
    assert held.can("writer", "public", "ruled", "DELETE") is None
    assert held.can("writer", "public", "fired", "DELETE") == (
        "writer",
        "fires trigger acts on public.child as other",
        "owner",
    )


def test_a_foreign_key_acts_on_what_refers():
    kept, one, two = table("kept", acl=acl(("writer", "DELETE"))), table("one", acl=()), table("two", acl=())
    keys = (
        links.ForeignKey("goes", kept.oid, one.oid, "DELETE", None),
        links.ForeignKey("is null", one.oid, two.oid, "UPDATE", "UPDATE"),
    )
    held = effective(kept, one, two, foreign_keys=keys)
    steps = ("foreign key goes of public.one, on DELETE", 'foreign key "is null" of public.two, on DELETE')
    assert held.can("writer", "public", "one", "DELETE") == ("writer", steps[0])
    assert held.can("writer", "public", "two", "UPDATE") == ("writer", *steps)
    assert held.can("writer", "public", "two", "DELETE") is None
    assert held.can("writer", "public", "one", "UPDATE") is None


def test_what_leads_into_the_scope_is_a_path_and_is_not_listed_itself():
    hidden = table("t", acl=())
    leak = table("leak", schema="other", kind="v", acl=acl(("reader", "SELECT"), ("writer", "SELECT")))
    other = catalog.Schema("other", "postgres", (AclItem("reader", "postgres", "USAGE"),))
    held = effective(
        hidden,
        outside_schemas=(other,),
        outside_relations=(leak,),
        views=(catalog.View(leak.oid, False, (hidden.oid,)),),
    )
    assert held.can("reader", "public", "t", "SELECT") == ("reader", "view other.leak as owner")
    # Without USAGE on the other schema it is of no use.
    assert held.can("writer", "public", "t", "SELECT") is None
    assert {row.object for row in held.rows() if row.kind in ("table", "schema")} == {"public.t", "public"}


def test_what_will_be_made_is_told_and_owned_by_nobody():
    defaults = (catalog.DefaultAcl("owner", "public", "r", acl(("reader", "SELECT"))),)
    held = effective(defaults=defaults)
    found = [row for row in held.rows() if row.kind == "new tables"]
    assert [(row.role, row.object, row.privileges) for row in found] == [
        ("reader", "public.* of owner", ("SELECT",)),
    ]


def test_a_longer_way_on_the_same_links_is_not_told_twice():
    held = effective(table("t", acl=acl(("group", "SELECT"))), memberships=[("group", "reader")])
    rows = [row.path for row in held.rows(["reader"]) if row.kind == "table"]
    assert rows == [("reader", "member of group")]


@pytest.mark.parametrize("partitions", [1, 100])
def test_ten_thousand_tables_and_two_hundred_roles_are_told_whole(partitions):
    """How long it takes is measured by benchmarks/access."""
    roles = {f"u{number}": role(f"u{number}", login=True) for number in range(200)}
    roles |= {f"g{number}": role(f"g{number}") for number in range(12)} | {"owner": role("owner")}
    memberships = tuple(
        catalog.Membership(f"g{(number * step) % 12}", f"u{number}", "postgres", False, None, None)
        for number in range(200)
        for step in (1, 5, 7)
    )
    held = cluster(roles=roles, memberships=memberships, databases={"app": catalog.Database("app", "owner", CONNECT)})
    words = ("SELECT", "INSERT", "UPDATE", "DELETE")
    relations = [
        table(
            f"t{number}",
            oid=number,
            acl=acl(
                *((f"g{(like * step) % 12}", words[(like + step) % 4]) for step in range(1, 5)),
                *((f"u{(like * step) % 200}", words[(like + step) % 4]) for step in range(1, 5)),
            ),
        )
        for number in range(10_000)
        for like in (number // partitions,)
    ]
    schema = catalog.Schema("public", "owner", (AclItem("public", "owner", "USAGE"),))
    # Each hundredth is the parent of those after it: their privileges are alike, as partitions' are.
    inheritance = tuple(
        links.Inheritance(number - number % partitions, number, True) for number in range(10_000) if number % partitions
    )
    snapshot = objects(*relations, schemas={"public": schema}, defaults=(), inheritance=inheritance)
    assert sum(1 for _ in Effective(held, snapshot).rows()) > 1_000_000
