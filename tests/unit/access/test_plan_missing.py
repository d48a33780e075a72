"""What the policy names and is not there, and what it leaves open: an error, or skipped and warned about."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access import catalog, policy
from ansible_collections.taaraxtak.production.plugins.module_utils.access.acl import AclItem
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan_database import plan_database
from ansible_collections.taaraxtak.production.plugins.module_utils.access.report import warnings
from ansible_collections.taaraxtak.production.tests.unit.access.snapshots import (
    POLICY,
    cluster,
    lines,
    objects,
    table,
)


@pytest.mark.parametrize(
    ("there", "why"),
    [
        ((), "tables public.x does not exist"),
        ((table("x", kind="S", acl=()),), "is a sequence: write it under sequences"),
        ((table("x", extension=True),), "belongs to an extension"),
    ],
)
def test_a_grant_on_what_is_not_there_is_an_error_or_skipped(there, why):
    grant = {"to": "reader", "on": {"tables": "public.x"}, "privileges": "insert"}
    wanted = policy.parse({**POLICY, "grants": [*POLICY["grants"], grant]})
    with pytest.raises(ValueError, match=why):
        plan_database(wanted, cluster(), objects(*there))
    assert [one.what for one in plan_database(wanted, cluster(), objects(*there), skip_missing=True).skipped] == [
        "tables public.x"
    ]


def excepting(on: str, name: str) -> dict[str, t.Any]:
    grant = {"to": "reader", "on": {"tables": on, "except": name}, "privileges": "select", "future": on == "public.*"}
    return {**POLICY, "grants": [*POLICY["grants"][:2], grant]}


@pytest.mark.parametrize(
    ("on", "name", "why"),
    [
        ("public.*", "public.privat", "does not exist"),
        ("public.*", "public.s", "is no name under tables: it excepts nothing"),
        ("public.pub*", "public.private", "is not among what the grant is on: it excepts nothing"),
    ],
)
def test_a_typing_error_in_except_grants_nothing_silently(on, name, why):
    wanted = policy.parse(excepting(on, name))
    there = objects(table("private"), table("s", kind="S", acl=()))
    with pytest.raises(ValueError, match=f"names what is not in the database app: except {name} {why}"):
        plan_database(wanted, cluster(), there)
    skipped = plan_database(wanted, cluster(), there, skip_missing=True).skipped
    assert [(one.what, one.why) for one in skipped] == [(f"except {name}", why)]
    assert warnings(skipped) == [f"the access policy: except {name} {why}"]


@pytest.mark.parametrize("name", ["public.private", "public.privat*", "public.nothing_yet_*"])
def test_what_except_names_and_is_there_is_excepted(name):
    wanted = policy.parse(excepting("public.*", name))
    plan = plan_database(wanted, cluster(), objects(table("private", acl=()), table("s", kind="S", acl=())))
    assert plan.skipped == ()
    assert bool(plan.statements) == (name == "public.nothing_yet_*")


def test_a_pattern_of_revoke_execute_that_matches_nothing_is_an_error_or_skipped():
    wanted = policy.parse({**POLICY, "public": {"revoke_execute": ["pg_catalog.lo_*", "public.dump_al"]}})
    there = objects(routines=(catalog.Routine("pg_catalog", "lo_create", "oid", "postgres", ()),))
    with pytest.raises(ValueError, match=r"revoke_execute public\.dump_al does not exist$"):
        plan_database(wanted, cluster(), there)
    skipped = plan_database(wanted, cluster(), there, skip_missing=True).skipped
    assert warnings(skipped) == ["the access policy: revoke_execute public.dump_al does not exist"]


def test_only_what_does_not_exist_is_warned_about():
    grant = {"to": "reader", "on": {"tables": ["public.x", "public.e"]}, "privileges": "insert"}
    wanted = policy.parse({**POLICY, "grants": [*POLICY["grants"], grant]})
    skipped = plan_database(wanted, cluster(), objects(table("e", extension=True)), skip_missing=True).skipped
    assert len(skipped) == 2
    assert warnings([*skipped, *skipped]) == ["the access policy: tables public.x does not exist"]


@pytest.mark.parametrize(
    ("public", "roles", "by"), [(True, (), "PUBLIC"), (False, ("reader",), "reader"), (False, (), None)]
)
def test_a_security_definer_routine_that_others_may_run_is_warned_about(public, roles, by):
    there = objects(definers=(catalog.Definer("public", "leak", "a integer", "owner", public, roles),))
    plan = plan_database(policy.parse(POLICY), cluster(), there)
    assert plan.statements == ()
    assert [one.what for one in plan.skipped] == (["routine public.leak(a integer) in app"] if by else [])
    assert all(f"{by} may run it with the rights of owner" in sentence for sentence in warnings(plan.skipped))
    assert len(warnings(plan.skipped)) == (1 if by else 0)


def test_a_security_definer_routine_that_the_policy_takes_away_is_not_warned_about():
    held = (AclItem("public", "owner", "EXECUTE"),)
    there = objects(
        definers=(catalog.Definer("public", "leak", "", "owner", True, ()),),
        routines=(catalog.Routine("public", "leak", "", "owner", held),),
    )
    data = {**POLICY, "public": {"revoke_execute": "public.leak"}}
    plan = plan_database(policy.parse(data), cluster(), there)
    assert lines(plan) == ["REVOKE EXECUTE ON ROUTINE [public.leak]() FROM PUBLIC CASCADE"]
    assert plan.skipped == ()
    assert len(plan_database(policy.parse(data, "additive"), cluster(), there).skipped) == 1
