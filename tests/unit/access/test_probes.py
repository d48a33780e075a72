"""Which probes a policy asks for, and what an answer proves."""

from __future__ import annotations

import copy
import dataclasses
import json
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import model as catalog
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.acl import AclItem
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.statements import Name, Value
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.plugins.module_utils.access.probes import probes
from ansible_collections.taaraxtak.production.plugins.module_utils.access.probes import tables as probe_tables
from ansible_collections.taaraxtak.production.plugins.module_utils.access.probes.sql import (
    ALLOWED,
    COLUMN,
    FRESH,
    REFUSED,
    Probe,
    filled,
    statement,
)
from ansible_collections.taaraxtak.production.tests.unit.access.snapshots import POLICY, cluster, objects, role, table

HOSTILE = """o'N"e.I l\\%s;--Ä"""


def planned(*relations: catalog.Relation, **parts: t.Any) -> tuple[probes.Probe, ...]:
    """The plan for the small policy, or ``written``, of ``roles`` on a server of ``version``."""
    policy = parse(parts.pop("written", POLICY))
    on = parts.pop("on", None) or cluster(parts.pop("version", 150000))
    return probes.plan(policy, on, parts.pop("there", objects(*relations)), parts.pop("roles", ["reader"]), **parts)


def whats(plan: t.Iterable[Probe], expect: str) -> set[str]:
    return {probe.what for probe in plan if probe.expect == expect and probe.left_out is None}


def written(*grants: dict[str, t.Any], **parts: t.Any) -> dict[str, t.Any]:
    """The small policy with more grants."""
    policy = copy.deepcopy(POLICY)
    return {**policy, "grants": [*policy["grants"], *grants], **parts}


def line(probe: Probe) -> str:
    parts = (filled(probe.statement, "col", "new")).parts
    return "".join(".".join(p.parts) if isinstance(p, Name) else p.text if isinstance(p, Value) else p for p in parts)


def test_a_reader_is_refused_everything_but_reading() -> None:
    plan = planned(table("t"))
    assert {
        "CREATE TABLE in schema public",
        "CREATE SCHEMA",
        "CREATE TEMPORARY TABLE",
        "lo_from_bytea()",
        "pg_read_file()",
        "COPY TO PROGRAM",
        "COPY FROM PROGRAM",
        "SET ROLE owner",
        "SET ROLE postgres",
        "INSERT on public.t",
        "UPDATE on public.t",
        "DELETE on public.t",
        "TRUNCATE public.t",
        "LOCK public.t IN EXCLUSIVE MODE",
        "DROP TABLE public.t",
        "ALTER TABLE public.t",
        *(
            f"{privilege} on a table with an identity that owner made in schema public"
            for privilege in ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
        ),
    } == whats(plan, REFUSED)
    assert whats(plan, ALLOWED) == {
        "SELECT on public.t",
        "SELECT on a table with an identity that owner made in schema public",
    }


def test_every_probe_of_what_is_to_be_refused_has_a_guard() -> None:
    plan = planned(table("t"), table("v", kind="v"), table("m", kind="m"), roles=["reader", "dba"])
    assert [probe.id for probe in plan if probe.expect == REFUSED and probe.guard is None] == []


def test_existing_rows_are_only_ever_reached_by_explain() -> None:
    plan = planned(table("t"), table("p", kind="p"), table("v", kind="v"))
    dml = [line(one) for one in plan if one.what.split()[0] in probe_tables.DML and not one.setup and not one.left_out]
    assert len(dml) == 9
    assert all(text.startswith("EXPLAIN ") and "ANALYZE" not in text for text in dml)


def test_a_sequence_is_never_drawn_from() -> None:
    there = objects(table("t"), table("t_id_seq", kind="S"))
    text = " ".join(str(one.statement.parts) for one in planned(there=there))
    assert "t_id_seq" not in text
    assert "nextval" not in text
    assert "setval" not in text


def test_a_writer_whose_sequences_are_granted_gets_a_serial() -> None:
    grants = (
        {"to": "reader", "on": {"tables": "public.*"}, "privileges": "insert", "future": True},
        {"to": "reader", "on": {"sequences": "public.*"}, "privileges": "usage", "future": True},
    )
    plan = planned(table("t"), written=written(*grants))
    made = "a table with a serial that owner made in schema public"
    assert {f"INSERT on {made}", f"SELECT on {made}", "INSERT on public.t"} <= whats(plan, ALLOWED)
    assert "INSERT on public.t" not in whats(plan, REFUSED)


def test_what_is_granted_on_single_tables_holds_there_alone() -> None:
    grant = {"to": "reader", "on": {"tables": "public.one"}, "privileges": ["update", "truncate"]}
    plan = planned(table("one"), table("two"), written=written(grant), every_table=True)
    assert "UPDATE on public.one" in whats(plan, ALLOWED)
    refused = whats(plan, REFUSED)
    assert {"UPDATE on public.two", "TRUNCATE public.two", "LOCK public.two IN EXCLUSIVE MODE"} <= refused
    assert not {"UPDATE on public.one", "TRUNCATE public.one", "LOCK public.one IN EXCLUSIVE MODE"} & refused


def test_a_grant_on_columns_is_tried_on_them_and_refused_on_the_others() -> None:
    grant = {"to": "reader", "on": {"tables": "public.t", "columns": ["a", "b"]}, "privileges": "update"}
    plan = planned(table("t"), written=written(grant))
    (allowed,) = (one for one in plan if one.what == "UPDATE on public.t (a, b)")
    assert (allowed.expect, line(allowed)) == (
        ALLOWED,
        "EXPLAIN UPDATE public.t SET a = DEFAULT, b = DEFAULT WHERE false",
    )
    (refused,) = (one for one in plan if one.what == "UPDATE on public.t (another column)")
    assert (refused.expect, line(refused)) == (REFUSED, "EXPLAIN UPDATE public.t SET col = DEFAULT WHERE false")
    assert refused.guard is not None
    assert {Value("a"), Value("b")} <= set(refused.guard.parts)
    # Columns don't give LOCK.
    assert "LOCK public.t IN EXCLUSIVE MODE" in whats(plan, REFUSED)


def test_a_member_without_inherit_may_set_role_and_nothing_else() -> None:
    plan = planned(table("t"), roles=["dba"])
    assert whats(plan, ALLOWED) == {"SET ROLE owner"}
    assert {"SELECT on public.t", "DROP TABLE public.t", "SET ROLE postgres"} <= whats(plan, REFUSED)


def test_a_member_that_inherits_the_owner_is_refused_nothing_of_its_tables() -> None:
    policy = written()
    policy["roles"]["dba"] = {"os_users": "alice", "member_of": "owner"}
    plan = planned(table("t"), written=policy, roles=["dba"])
    assert not {what for what in whats(plan, REFUSED) if "public" in what}
    assert "pg_read_file()" in whats(plan, REFUSED)


def test_predefined_roles_give_what_they_give() -> None:
    policy = written()
    policy["roles"]["dba"] = {
        "os_users": "alice",
        "member_of": ["pg_read_all_data", "pg_execute_server_program", "pg_read_server_files"],
    }
    plan = planned(table("t"), written=policy, roles=["dba"])
    assert "SELECT on public.t" in whats(plan, ALLOWED)
    assert not {"SELECT on public.t", "COPY TO PROGRAM", "COPY FROM PROGRAM", "pg_read_file()"} & whats(plan, REFUSED)
    assert "INSERT on public.t" in whats(plan, REFUSED)


def test_public_counts_as_everybody() -> None:
    grant = {"to": "public", "on": {"tables": "public.t"}, "privileges": "insert"}
    assert "INSERT on public.t" in whats(planned(table("t"), written=written(grant), roles=["dba"]), ALLOWED)


def test_of_tables_that_are_alike_one_is_tried_and_stands_for_the_others() -> None:
    plan = planned(table("a"), table("b"), table("c", acl=(AclItem("dba", "owner", "SELECT"),)))
    assert {probe.what: probe.stands_for for probe in plan if probe.what.startswith("TRUNCATE public")} == {
        "TRUNCATE public.a": 2,
        "TRUNCATE public.c": 1,
    }
    every = planned(table("a"), table("b"), every_table=True)
    assert {"TRUNCATE public.a", "TRUNCATE public.b"} <= whats(every, REFUSED)


def test_more_tables_than_fit_are_said_and_every_kind_is_among_those_that_do() -> None:
    many = [table(f"t{n:02}", acl=(AclItem(f"r{n}", "owner", "SELECT"),)) for n in range(30)]
    plan = planned(*many, table("zz", kind="v"))
    tried = [what for what in whats(plan, REFUSED) if what.startswith("DROP ")]
    assert len(tried) == probe_tables.AT_MOST
    assert "DROP VIEW public.zz" in tried
    (more,) = (probe for probe in plan if probe.what == "more tables")
    assert more.left_out == "11 more groups of tables that are alike: every_table tries them"


def test_a_view_is_written_to_only_where_that_can_be_planned() -> None:
    view = table("v", kind="v", oid=7)
    still = whats(planned(view), REFUSED)
    assert "DROP VIEW public.v" in still
    assert "INSERT on public.v" not in still
    there = objects(view, views=(catalog.View(7, False, (), frozenset({"INSERT"})),))
    assert "INSERT on public.v" in whats(planned(there=there), REFUSED)


def test_a_foreign_tables_dml_is_left_out_and_said() -> None:
    plan = planned(table("f", kind="f"))
    (left,) = (probe for probe in plan if probe.what == "DML on public.f")
    assert left.left_out == "planning it may reach another server"
    assert "DROP FOREIGN TABLE public.f" in whats(plan, REFUSED)


def test_a_superuser_and_a_missing_role_are_said_and_not_tried() -> None:
    plan = planned(table("t"), roles=["postgres", "nobody"])
    assert [(probe.role, probe.left_out) for probe in plan] == [
        ("postgres", "a superuser: nothing is refused to it"),
        ("nobody", "there is no such role on the server"),
    ]


def test_a_role_to_which_nothing_is_refused_is_said_too() -> None:
    roles = {"roles": {**POLICY["roles"], "owner": {"member_of": ["pg_execute_server_program"]}}}
    grants = [
        {"to": "owner", "on": {"database": "app"}, "privileges": ["create", "temporary"]},
        {"to": "owner", "on": {"routines": ["pg_catalog.lo_*", "pg_catalog.pg_read_file"]}, "privileges": "execute"},
    ]
    on = cluster(roles={"owner": role("owner")}, bootstrap="owner")
    (left,) = planned(written=written(*grants, **roles), on=on, roles=["owner"])
    assert left.left_out == "nothing that could be tried is refused to it"


def test_a_role_that_became_a_superuser_behind_the_policys_back_is_still_asked_about() -> None:
    roles = {**cluster().roles, "reader": role("reader", login=True, superuser=True)}
    plan = planned(table("t"), on=cluster(roles=roles))
    assert "TRUNCATE public.t" in whats(plan, REFUSED)


def test_login_roles_are_the_default() -> None:
    assert {probe.role for probe in planned(table("t"), roles=None)} == {"dba", "reader"}


def test_an_unlisted_role_is_given_nothing() -> None:
    on = cluster(
        roles={**cluster().roles, "mallory": role("mallory")},
        memberships=(catalog.Membership("owner", "mallory", "postgres", False, None, None),),
    )
    plan = planned(table("t"), on=on, roles=["mallory"])
    assert not whats(plan, ALLOWED)
    assert {"SET ROLE owner", "SELECT on public.t"} <= whats(plan, REFUSED)


def test_what_is_out_of_scope_is_not_tried() -> None:
    there = objects(
        table("t", schema="other"),
        table("e", extension=True),
        schemas={name: catalog.Schema(name, "owner", ()) for name in ("public", "other")},
    )
    assert not [probe.what for probe in planned(there=there) if "other" in probe.what or "public.e" in probe.what]


@pytest.mark.parametrize(("version", "how"), [(150000, "MEMBER"), (160000, "SET")])
def test_set_role_is_guarded_by_the_membership_that_the_version_checks(version: int, how: str) -> None:
    (probe,) = (one for one in planned(version=version) if one.what == "SET ROLE owner")
    assert probe.guard is not None
    assert probe.guard.parts[-2] == f", '{how}')"


def test_names_are_never_part_of_the_sql() -> None:
    there = objects(
        table(HOSTILE, schema=HOSTILE, owner=HOSTILE),
        schemas={HOSTILE: catalog.Schema(HOSTILE, HOSTILE, ())},
    )
    policy = written(scope={"databases": ["app"], "schemas": [HOSTILE]}, owners={HOSTILE: "owner"}, grants=[])
    on = cluster(roles={**cluster().roles, HOSTILE: role(HOSTILE, login=True)})
    plan = planned(there=there, written=policy, on=on, roles=[HOSTILE])
    statements = [one for probe in plan for one in (probe.statement, *probe.setup, probe.guard) if one is not None]
    assert len(plan) > 15
    assert not [part for one in statements for part in one.parts if isinstance(part, str) and "N" + '"' in part]
    assert any(Name((HOSTILE, HOSTILE)) in one.parts for one in statements)


def test_ids_are_unique_and_the_same_in_every_run() -> None:
    tables = [table("a"), table("b", kind="v"), table("c", kind="m"), table("d", kind="f")]
    first, second = (planned(*tables, roles=None, every_table=True) for _run in range(2))
    assert first == second
    assert len({probe.id for probe in first}) == len(first)


def test_stand_ins_are_replaced_in_names_and_values() -> None:
    one = statement("x ", Name(("s", FRESH)), Value(FRESH), Name((COLUMN,)))
    assert filled(one, "c", "new").parts == ("x ", Name(("s", "new")), Value("new"), Name(("c",)))


REFUSAL = Probe("r", "d", "w", REFUSED, statement("TRUNCATE t"))
PERMISSION = dataclasses.replace(REFUSAL, expect=ALLOWED)


@pytest.mark.parametrize(
    ("probe", "sqlstate", "depth", "outcome"),
    [
        (REFUSAL, "42501", 0, "passed"),
        (REFUSAL, None, 0, "failed"),
        (REFUSAL, "25006", 0, "not run"),
        (REFUSAL, "42P01", 0, "not run"),
        (REFUSAL, "3F000", 0, "not run"),
        (REFUSAL, "55P03", 0, "not run"),
        (REFUSAL, "57014", 0, "not run"),
        (REFUSAL, "P0001", 1, "not run"),
        (REFUSAL, "42501", 1, "not run"),
        (REFUSAL, "42501", -1, "not run"),
        (PERMISSION, None, 0, "passed"),
        (PERMISSION, "42501", 0, "failed"),
        (PERMISSION, "42501", 1, "not run"),
        (PERMISSION, "25006", 0, "not run"),
        (PERMISSION, "42P01", 0, "not run"),
    ],
)
def test_only_the_right_answer_proves_anything(probe: Probe, sqlstate: str | None, depth: int, outcome: str) -> None:
    came = probes.verdict(probe, probes.Answer(sqlstate, "said", depth))
    assert (came.outcome, came.sqlstate) == (outcome, sqlstate)
    assert came.evidence


@pytest.mark.parametrize(
    ("go", "evidence"),
    [
        (False, "the catalogue allows it, so it isn't tried: see the findings"),
        (None, "there is nothing to try it on"),
    ],
)
def test_a_guard_that_says_no_is_no_pass(go: bool | None, evidence: str) -> None:
    came = probes.unguarded(REFUSAL, go)
    assert came is not None
    assert (came.outcome, came.evidence) == ("not run", evidence)
    assert probes.unguarded(REFUSAL, True) is None


def test_a_result_is_json() -> None:
    came = probes.verdict(REFUSAL, probes.Answer("42501", "no"))
    assert json.loads(json.dumps(came.as_dict())) == {
        "id": "d/r/refused/w",
        "role": "r",
        "database": "d",
        "what": "w",
        "expected": "refused",
        "outcome": "passed",
        "sqlstate": "42501",
        "evidence": "42501: no",
        "stands_for": 1,
    }
