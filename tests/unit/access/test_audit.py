"""The audit of hand-made snapshots: nothing under the policy, and what no plan closes, exactly."""

from __future__ import annotations

import dataclasses
import datetime
import json
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.audit.audit import Audit, audit
from ansible_collections.taaraxtak.production.plugins.module_utils.access.audit.findings import (
    Finding,
    at_least,
    ordered,
    sql_text,
    summary,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import links
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import model as catalog
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.acl import AclItem
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.statements import (
    MASK,
    Name,
    Secret,
    Value,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.tests.unit.access.snapshots import (
    POLICY,
    SUPERUSER,
    cluster,
    objects,
    role,
    routine,
    table,
)

TODAY = datetime.date(2026, 1, 1)
SELECT = AclItem("reader", "owner", "SELECT")
SAFE = ("search_path=pg_catalog, pg_temp",)
Found = tuple[str, str, str, str]


def look(
    *relations: catalog.Relation,
    held: catalog.Cluster | None = None,
    policy: dict[str, t.Any] | None = None,
    **parts: t.Any,
) -> Audit:
    """The audit of POLICY, with *policy*'s keys in the place of its own."""
    written = {**POLICY, **(policy or {})}
    return audit(parse(written), held or cluster(), {"app": objects(*relations, **parts)}, today=TODAY)


def found(done: Audit) -> list[Found]:
    return [(one.rule, one.role, one.object, one.privilege) for one in done.findings]


def with_roles(*more: catalog.CatalogRole, **parts: t.Any) -> catalog.Cluster:
    held = cluster()
    return dataclasses.replace(held, roles={**held.roles, **{one.name: one for one in more}}, **parts)


def test_under_the_policy_there_is_nothing():
    done = look(table("t"))
    assert found(done) == []
    assert done.passed


def test_it_is_the_authoritative_plan_s_drift_whatever_the_mode():
    extra = table("t", acl=(SELECT, AclItem("reader", "owner", "DELETE")))
    for mode in ("authoritative", "additive", "adopt"):
        assert found(look(extra, policy={"mode": mode})) == [("excess-privilege", "reader", "table public.t", "DELETE")]


def test_each_object_and_privilege_is_a_finding_with_its_own_statement():
    extra = AclItem("public", "owner", "INSERT")
    done = look(table("one", acl=(SELECT, extra)), table('t"wo', acl=(SELECT, extra)), table("three", acl=()))
    assert {(one.severity, one.object, one.remedy) for one in done.findings} == {
        ("critical", "table public.one", 'REVOKE INSERT ON TABLE "public"."one" FROM PUBLIC CASCADE'),
        ("critical", 'table public."t""wo"', 'REVOKE INSERT ON TABLE "public"."t""wo" FROM PUBLIC CASCADE'),
        ("medium", "table public.three", 'GRANT SELECT ON TABLE "public"."three" TO "reader"'),
    }


def test_what_falls_for_a_moment_and_is_granted_again_is_none():
    """The reader's SELECT, from a third party whose grant option goes: wanted, held before and after."""
    chain = (AclItem("eve", "owner", "SELECT", True), AclItem("reader", "eve", "SELECT"))
    done = look(table("t", acl=chain), held=with_roles(role("eve")))
    assert found(done) == [("excess-privilege", "eve", "table public.t", "SELECT")]


def test_what_only_cascade_takes_along_is_one_too():
    chain = (SELECT, AclItem("eve", "owner", "INSERT", True), AclItem("public", "eve", "INSERT"))
    done = look(table("t", acl=chain), held=with_roles(role("eve")))
    assert set(found(done)) == {("excess-privilege", name, "table public.t", "INSERT") for name in ("eve", "public")}


def test_unlisted_roles_are_said_by_what_they_can_do():
    roles = (role("guest", login=True, bypassrls=True), role("group"), role("tool", login=True, superuser=True))
    assert set(found(look(held=with_roles(*roles), policy={"ignore": {"roles": ["too*"]}}))) == {
        ("unlisted-role", "guest", "role guest", "LOGIN"),
        ("unlisted-role", "guest", "role guest", "BYPASSRLS"),
    }


def test_what_a_plan_disables_is_said_once():
    done = look(held=with_roles(role("guest", login=True)), policy={"unlisted_roles": "disable"})
    assert found(done) == [("role-attribute", "guest", "role guest", "LOGIN")]
    assert done.findings[0].remedy == 'ALTER ROLE "guest" NOLOGIN'


@pytest.mark.parametrize(
    ("settings", "rule"),
    [((), "high"), (("search_path=public",), "medium"), (SAFE, None), (('search_path=""',), None)],
)
def test_a_granted_routine_has_to_guard_its_search_path(settings, rule):
    grants = [*POLICY["grants"], {"to": "reader", "on": {"routines": "public.f"}, "privileges": "execute"}]
    one = routine("f", definer=True, settings=settings, acl=(AclItem("reader", "owner", "EXECUTE"),))
    done = look(policy={"grants": grants}, routines=(one,))
    assert [item.severity for item in done.findings] == ([] if rule is None else [rule])
    assert found(done) == ([] if rule is None else [("definer-search-path", "", "routine public.f()", "search_path")])


def test_a_definer_routine_that_no_plan_closes_is_said():
    public = (AclItem("public", "owner", "EXECUTE"),)
    one = routine("f", definer=True, settings=SAFE, acl=public)
    scope = {**POLICY["scope"], "public": False}
    done = look(policy={"scope": scope}, routines=(one,))
    assert found(done) == [("definer-reachable", "public", "routine public.f()", "EXECUTE")]
    assert done.findings[0].severity == "critical"
    assert "reader" in done.findings[0].evidence
    # Where a plan revokes it, that is the finding.
    assert found(look(routines=(one,))) == [("excess-privilege", "public", "routine public.f()", "EXECUTE")]


def test_a_trigger_of_somebody_who_can_change_it_is_said():
    one = table("t")
    trigger = catalog.Trigger(one.oid, "spies", "elsewhere.f", False, "eve")
    done = look(one, triggers=(trigger,), held=with_roles(role("eve")))
    assert found(done) == [("foreign-trigger", "eve", "trigger spies on public.t", "TRIGGER")]


def test_a_view_over_what_its_reader_may_read_is_none():
    below, view = table("t"), table("v", kind="v")
    assert found(look(below, view, views=(catalog.View(view.oid, False, (below.oid,)),))) == []


def test_a_view_over_what_its_reader_may_not_read_is_one():
    grants = [
        {**one, "on": {**one["on"], "except": "public.t"}} if "tables" in one["on"] else one for one in POLICY["grants"]
    ]
    below, view = table("t", acl=()), table("v", kind="v")
    views = (catalog.View(view.oid, False, (below.oid,)),)
    done = look(below, view, views=views, policy={"grants": grants})
    assert found(done) == [("owner-rights-view", "reader", "table public.v", "SELECT")]
    assert "SELECT on public.t" in done.findings[0].evidence
    assert done.findings[0].path == ("reader", "SELECT on table public.v", "view public.v as owner")


@pytest.mark.parametrize(
    ("version", "kind", "remedy"),
    [
        (150000, "v", "ALTER VIEW public.v SET (security_invoker = true)"),
        (140000, "v", 'REVOKE SELECT ON TABLE public.v FROM "reader" CASCADE'),
        (150000, "m", 'REVOKE SELECT ON TABLE public.v FROM "reader" CASCADE'),
    ],
)
def test_a_view_s_remedy_is_one_that_its_server_has(version, kind, remedy):
    grants = [
        {**one, "on": {**one["on"], "except": "public.t"}} if "tables" in one["on"] else one for one in POLICY["grants"]
    ]
    below, view = table("t", acl=()), table("v", kind=kind)
    views = (catalog.View(view.oid, False, (below.oid,)),)
    (one,) = look(below, view, views=views, held=cluster(version), policy={"grants": grants}).findings
    assert one.remedy == remedy


def test_a_view_over_a_table_whose_parent_may_be_read_is_none():
    grants = [
        {**one, "on": {**one["on"], "except": "public.child"}} if "tables" in one["on"] else one
        for one in POLICY["grants"]
    ]
    parent, child, view = table("parent"), table("child", acl=()), table("v", kind="v")
    views = (catalog.View(view.oid, False, (child.oid,)),)
    inheritance = (links.Inheritance(parent.oid, child.oid, True),)
    assert found(look(parent, child, view, views=views, inheritance=inheritance, policy={"grants": grants})) == []
    assert [one[0] for one in found(look(parent, child, view, views=views, policy={"grants": grants}))] == [
        "owner-rights-view"
    ]


def test_an_event_trigger_is_whose_its_function_is():
    trigger = catalog.EventTrigger("watch", "postgres", "ddl_command_end", "elsewhere.f", True, "dba")
    (one,) = look(table("t"), event_triggers=(trigger,)).findings
    assert (one.rule, one.role, one.object) == ("event-trigger", "dba", "event trigger watch")
    assert one.remedy == 'ALTER ROUTINE elsewhere.f() OWNER TO "postgres"'
    off = dataclasses.replace(trigger, enabled=False)
    assert found(look(table("t"), event_triggers=(off,))) == []


def test_row_level_security_that_hides_rows_is_said():
    hidden = table("t", rls=True)
    assert found(look(hidden)) == [("row-security", "reader", "table public.t", "SELECT")]
    shows = catalog.RowPolicy(hidden.oid, "all", "SELECT", True, ("public",))
    assert found(look(hidden, row_policies=(shows,))) == []


def test_replication_is_said():
    done = look(
        table("t"),
        publications=(
            catalog.Publication("leak", "postgres", False, ("public.t",)),
            catalog.Publication("other", "postgres", False, ("elsewhere.t",)),
        ),
        subscriptions=(catalog.Subscription("writes", "postgres", True),),
    )
    assert {one[0:3] for one in found(done)} == {
        ("publication", "postgres", "publication leak"),
        ("subscription", "postgres", "subscription writes"),
    }


def test_a_policy_that_has_no_plan_is_a_finding():
    done = look(policy={"scope": {**POLICY["scope"], "schemas": ["public", "not there"]}})
    assert [(one.rule, one.object) for one in done.findings] == [("no-plan", "database app")]
    assert "not there" in done.findings[0].evidence


def asserting(**assertion: t.Any) -> dict[str, t.Any]:
    return {"assertions": [{"id": "one", **assertion}]}


def test_a_role_that_cannot_log_in_does_not_count_but_who_becomes_it_does():
    done = look(table("t"), policy=asserting(tables="public.*", writers=["reader"]))
    (checked,) = done.assertions
    assert [(one.role, one.path) for one in checked.violations] == [("dba", ("dba", "SET ROLE owner", "owner"))]
    assert found(done) == [("assertion", "dba", "assertion one", "writers")]
    # Named, such a role stands for whom the policy makes a member.
    assert look(table("t"), policy=asserting(tables="public.*", writers=["owner"])).passed


def test_an_allowance_needs_no_finding_and_is_said():
    allow = [{"role": "dba", "reason": "repairs"}]
    done = look(table("t"), policy=asserting(tables="public.*", writers=[], allow=allow))
    assert done.passed
    assert done.assertions[0].as_dict()["exceptions"] == [{"role": "dba", "reason": "repairs", "expires": None}]


def test_a_violation_refers_to_the_hole_that_it_leads_through():
    planted = table("t", acl=(SELECT, AclItem("public", "owner", "DELETE")))
    done = look(planted, policy=asserting(tables="public.*", deleters=["dba"]))
    assert [one.rule for one in done.findings] == ["excess-privilege"]
    (violation,) = done.assertions[0].violations
    assert (violation.role, violation.objects) == ("reader", ("table public.t",))
    assert violation.findings == (done.findings[0].id,)


def test_the_schema_s_owner_can_drop_the_table():
    schemas = {"public": catalog.Schema("public", "reader", ())}
    done = look(table("t"), schemas=schemas, policy=asserting(tables="public.*", deleters=["dba"]))
    assert [one.objects for one in done.assertions[0].violations] == [("schema public",)]


def test_superusers_do_not_count_but_one_that_the_policy_wants_to_be_none_does():
    policy = asserting(tables="public.*", readers=["dba"], allow=[])
    roles = {**cluster().roles, "root": dataclasses.replace(SUPERUSER, name="root")}
    roles["reader"] = dataclasses.replace(roles["reader"], superuser=True)
    done = look(table("t", acl=()), held=dataclasses.replace(cluster(), roles=roles), policy=policy)
    assert {one.role for one in done.assertions[0].violations} == {"reader"}
    (attribute,) = [one for one in done.findings if one.rule == "role-attribute"]
    assert {one.findings for one in done.assertions[0].violations} == {(attribute.id,)}


@pytest.mark.parametrize(
    ("may_not", "parts"),
    [
        ("write", {"relations": [table("t", acl=(SELECT, AclItem("reader", "owner", "UPDATE")))]}),
        ("create", {"schemas": {"public": catalog.Schema("public", "owner", (AclItem("reader", "owner", "CREATE"),))}}),
        ("large_objects", {"large_objects": (catalog.LargeObject(7, "postgres", (SELECT,)),)}),
        ("security_definer", {"routines": (routine("f", definer=True, acl=(AclItem("reader", "owner", "EXECUTE"),)),)}),
    ],
)
def test_what_a_role_may_not_is_found(may_not, parts):
    relations = parts.pop("relations", [])
    done = look(*relations, policy=asserting(role="reader", may_not=[may_not]), **parts)
    assert not done.assertions[0].passed
    assert {one.what for one in done.assertions[0].violations} == {may_not}


def test_temp_and_set_role_are_found_too():
    held = cluster(
        databases={"app": catalog.Database("app", "postgres", (AclItem("public", "postgres", "TEMPORARY"), *CONNECTS))}
    )
    done = look(held=held, policy=asserting(role="reader", may_not=["temp"]))
    assert [one.path for one in done.assertions[0].violations] == [("reader", "PUBLIC")]
    done = look(policy=asserting(role="dba", may_not=["set_role"]))
    assert [one.objects for one in done.assertions[0].violations] == [("role owner",)]


CONNECTS = tuple(AclItem(name, "postgres", "CONNECT") for name in ("dba", "reader"))


def test_the_large_object_functions_that_nobody_revoked_are_public_s():
    done = look(policy=asserting(role="reader", may_not=["large_objects"]))
    (violation,) = done.assertions[0].violations
    assert "routine pg_catalog.lo_from_bytea" in violation.objects


def finding(**parts: t.Any) -> Finding:
    held: dict[str, t.Any] = {
        **{"severity": "low", "rule": "r", "role": "a", "database": "d", "object": "o", "privilege": "p"},
        **{"path": ("a", "b"), "evidence": "e", "remedy": "m"},
    }
    return Finding(**{**held, **parts})


def test_an_id_stays_and_is_of_one_hole():
    assert finding().id == finding(evidence="other words", severity="high", path=("c",)).id
    assert len({finding(**{key: "x"}).id for key in ("rule", "role", "database", "object", "privilege")}) == 5


def test_the_worst_comes_first_and_nothing_twice():
    done = ordered([finding(), finding(), finding(severity="critical", role="z"), finding(severity="high", role="y")])
    assert [one.role for one in done] == ["z", "y", "a"]
    assert summary(done) == {"low": 1, "medium": 0, "high": 1, "critical": 1}
    assert at_least("high") == ("high", "critical")
    assert json.loads(json.dumps(done[0].as_dict()))["path"] == ["a", "b"]


def test_sql_is_quoted_and_keeps_secrets():
    parts = ("A ", Name(('s"c', "t")), " ", Value("it's"), " ", Value("a\\b"), " ", Secret("hidden"))
    assert sql_text(parts) == f"A \"s\"\"c\".\"t\" 'it''s' E'a\\\\b' {MASK}"
