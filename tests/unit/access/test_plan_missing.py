"""What the policy names and is not there: an error, or skipped and warned about."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import model as catalog
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.database import plan_database
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.missing import AN_EXTENSION_S
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.report import warnings
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy import reader as policy
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.model import (
    DefaultGrant,
    Grant,
    Pattern,
    Policy,
)
from ansible_collections.taaraxtak.production.tests.unit.access.snapshots import (
    POLICY,
    cluster,
    lines,
    objects,
    routine,
    table,
)
from ansible_collections.taaraxtak.production.tests.unit.access.test_plan_database import on, wanting


@pytest.mark.parametrize(
    ("there", "why"),
    [
        ((), "tables public.x does not exist"),
        ((table("x", kind="S", acl=()),), "is a sequence: write it under sequences"),
        ((table("x", extension=True, acl=()),), "belongs to an extension"),
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
    skipped = plan_database(wanted, cluster(), objects(table("e", extension=True, acl=())), skip_missing=True).skipped
    assert len(skipped) == 2
    assert warnings([*skipped, *skipped]) == ["the access policy: tables public.x does not exist"]


def in_vain(wanted: Policy, there: catalog.Objects, version: int = 150000) -> list[tuple[str, str]]:
    """What the plan skips, which has to be an error where missing names aren't to be skipped."""
    skipped = plan_database(wanted, cluster(version), there, skip_missing=True).skipped
    if skipped:
        with pytest.raises(ValueError, match="the policy names what is not in the database app"):
            plan_database(wanted, cluster(version), there)
    return [(one.what, one.why) for one in skipped]


GONE = "does not exist"


@pytest.mark.parametrize(
    ("grant", "found"),
    [
        (on("schema", "publik", "usage"), [("schema publik", GONE)]),
        (on("schema", "publi*", "usage"), []),
        (on("sequences", "public.s", "usage"), [("sequences public.s", GONE)]),
        (on("sequences", "public.t", "usage"), [("sequences public.t", "is a table: write it under tables")]),
        (on("tables", "publ*.nothing", "select"), []),
        (on("tables", "pg_catalog.pg_class", "select"), []),
        (on("tables", "pg_catalog.pg_klass", "select"), [("tables pg_catalog.pg_klass", GONE)]),
        (on("tables", "public.nothing", "select", columns=("c",)), [("tables public.nothing", GONE)]),
        (on("tables", "public.nothing", "select", databases=("other",)), []),
        (on("routines", "public.f", "execute"), []),
        (on("routines", "public.g", "execute"), [("routines public.g", GONE)]),
        (on("routines", "public.t", "execute"), [("routines public.t", GONE)]),
        (
            Grant(("reader",), "routines", frozenset({"EXECUTE"}), patterns=(Pattern("public", "f", "text"),)),
            [("routines public.f(text)", f"{GONE} with these arguments: there is one with () and (a integer)")],
        ),
        (on("routines", "public.made", "execute"), [("routines public.made", AN_EXTENSION_S)]),
        (on("types", "public.y", "usage"), []),
        (on("types", "public.t", "usage"), [("types public.t", GONE)]),
        (on("languages", "sql", "usage"), []),
        (on("languages", "cobol", "usage"), [("languages cobol", GONE)]),
        (on("foreign_data_wrappers", "w", "usage"), [("foreign_data_wrappers w", AN_EXTENSION_S)]),
        (on("foreign_servers", "far", "usage"), [("foreign_servers far", GONE)]),
        (on("foreign_servers", "far*", "usage"), []),
        (on("large_objects", "7", "select"), []),
        (on("large_objects", "8", "select"), [("large_objects 8", GONE)]),
    ],
)
def test_a_name_that_is_not_there_is_an_error_or_skipped_whatever_its_kind(grant, found):
    there = objects(
        table("t"),
        routines=(routine("f"), routine("f", arguments="a integer"), routine("made", extension=True)),
        types=(catalog.Type("public", "y", "owner", "e", ()),),
        languages=(catalog.Named("sql", "postgres", (), system=True),),
        wrappers=(catalog.Named("w", "postgres", (), extension=True),),
        large_objects=(catalog.LargeObject(7, "postgres", ()),),
        system_relations=(catalog.SystemRelation("pg_catalog", "pg_class", "r", "postgres", (), ()),),
    )
    assert in_vain(wanting(grant), there) == found


def test_a_multirange_is_its_range_s_since_17():
    there = objects(types=(catalog.Type("public", "many", "owner", "m", ()),))
    wanted = wanting(on("types", "public.many", "usage"))
    assert in_vain(wanted, there, 160000) == []
    assert in_vain(wanted, there, 170000) == [
        ("types public.many", "is a multirange, which has its range's privileges: write the range")
    ]


def test_what_revoke_execute_names_of_an_extension_may_be_granted():
    there = objects(routines=(routine("made", extension=True, owner="postgres"),))
    wanted = wanting(on("routines", "public.made", "execute"), revoke_execute=(Pattern("public", "made"),))
    assert in_vain(wanted, there) == []
    assert lines(plan_database(wanted, cluster(), there)) == ["GRANT EXECUTE ON ROUTINE [public.made]() TO [reader]"]


def test_default_privileges_of_a_schema_that_is_not_there_are_an_error_or_skipped():
    def default(schema: str) -> DefaultGrant:
        return DefaultGrant("dba", "tables", ("reader",), frozenset({"SELECT"}), schema)

    assert in_vain(wanting(default_privileges=(default("publik"),)), objects()) == [
        ("default_privileges of the schema publik", GONE)
    ]
    assert in_vain(wanting(default_privileges=(default("public"),)), objects()) == []
