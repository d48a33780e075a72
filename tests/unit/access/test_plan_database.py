"""Plans of one database made of snapshots: which statements, in which order, and what they say of themselves."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import model as catalog
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.acl import AclItem
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.database import plan_database
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.report import result
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.statements import (
    OBJECTS_A_STATEMENT,
    Plan,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy import reader as policy
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.model import Grant, Pattern, Policy
from ansible_collections.taaraxtak.production.tests.unit.access.snapshots import (
    POLICY,
    cluster,
    lines,
    objects,
    role,
    table,
)


def wanting(*grants: Grant, **parts: t.Any) -> Policy:
    """POLICY with *grants* beside its own, and *parts* of it replaced."""
    base = policy.parse(POLICY)
    return dataclasses.replace(base, **{"grants": (*base.grants, *grants), **parts})


def on(kind: str, name: str, privileges: str, to: str = "reader", **parts: t.Any) -> Grant:
    """A grant on what ``schema.name`` or, of what has no schema, ``name`` means."""
    schema, dot, rest = name.partition(".")
    meant: dict[str, t.Any] = {"patterns": (Pattern(schema, rest),)} if dot else {"names": (name,)}
    return Grant((to,), kind, frozenset(privileges.upper().split(", ")), **meant, **parts)


def planned(wanted: Policy, there: catalog.Objects, version: int = 150000) -> list[str]:
    return lines(plan_database(wanted, cluster(version), there))


@pytest.mark.parametrize("version", [140000, 150000, 160000, 170000, 180000])
def test_where_the_policy_holds_nothing_is_planned(version):
    assert plan_database(policy.parse(POLICY), cluster(version), objects(table("a"), table("b"))) == Plan()


@pytest.mark.parametrize(
    ("relation", "statements"),
    [
        (table("a", acl=()), ["GRANT SELECT ON TABLE [public.a] TO [reader]"]),
        (
            table("a", owner="mallory", acl=(AclItem("owner", "mallory", "INSERT"), AclItem("x", "mallory", "SELECT"))),
            [
                "ALTER TABLE [public.a] OWNER TO [owner]",
                "REVOKE SELECT ON TABLE [public.a] FROM [x] CASCADE",
                "GRANT SELECT ON TABLE [public.a] TO [reader]",
            ],
        ),
        (
            table("a", columns={"c": (AclItem("public", "owner", "SELECT"), AclItem("public", "owner", "UPDATE"))}),
            ["REVOKE SELECT ([c]), UPDATE ([c]) ON TABLE [public.a] FROM PUBLIC CASCADE"],
        ),
        (table("a", kind="m", owner="mallory"), ["ALTER MATERIALIZED VIEW [public.a] OWNER TO [owner]"]),
        (table("a", extension=True, owner="mallory", acl=()), []),
        (
            table("a", kind="S", acl=(AclItem("x", "owner", "USAGE"),)),
            ["REVOKE USAGE ON SEQUENCE [public.a] FROM [x] CASCADE"],
        ),
        (
            table("a", acl=(AclItem("x", "owner", "SELECT", True), AclItem("reader", "x", "SELECT"))),
            ["REVOKE SELECT ON TABLE [public.a] FROM [x] CASCADE", "GRANT SELECT ON TABLE [public.a] TO [reader]"],
        ),
    ],
)
def test_what_differs_in_a_table_is_planned(relation, statements):
    assert planned(policy.parse(POLICY), objects(relation)) == statements


READ = AclItem("reader", "owner", "SELECT")
WRITE = AclItem("reader", "owner", "UPDATE")


@pytest.mark.parametrize(
    ("acl", "columns", "statements"),
    [
        ((READ,), {"c": (WRITE,)}, []),
        ((READ,), {}, ["GRANT UPDATE ([c]) ON TABLE [public.a] TO [reader]"]),
        (
            (READ,),
            {"c": (WRITE,), "d": (WRITE,)},
            ["REVOKE UPDATE ([d]) ON TABLE [public.a] FROM [reader] CASCADE"],
        ),
        # A table's REVOKE takes the column's privilege along, which has to come back.
        (
            (READ, WRITE),
            {"c": (WRITE,)},
            [
                "REVOKE UPDATE ON TABLE [public.a] FROM [reader] CASCADE",
                "GRANT UPDATE ([c]) ON TABLE [public.a] TO [reader]",
            ],
        ),
        # A column that the table's REVOKE clears needs no REVOKE of its own.
        (
            (READ, AclItem("x", "owner", "UPDATE")),
            {"c": (WRITE, AclItem("x", "owner", "UPDATE"))},
            ["REVOKE UPDATE ON TABLE [public.a] FROM [x] CASCADE"],
        ),
        # What fell with a grant option of the column that the table's REVOKE took.
        (
            (READ, AclItem("x", "owner", "UPDATE")),
            {"c": (AclItem("x", "owner", "UPDATE", True), AclItem("reader", "x", "UPDATE"))},
            [
                "REVOKE UPDATE ON TABLE [public.a] FROM [x] CASCADE",
                "GRANT UPDATE ([c]) ON TABLE [public.a] TO [reader]",
            ],
        ),
        # What is granted on the column only to reach a third party's grant doesn't outlive the table's REVOKE.
        (
            (READ, AclItem("reader", "owner", "UPDATE", True)),
            {"c": (WRITE, AclItem("x", "reader", "UPDATE"))},
            [
                "GRANT UPDATE ([c]) ON TABLE [public.a] TO [reader] WITH GRANT OPTION",
                "REVOKE GRANT OPTION FOR UPDATE ([c]) ON TABLE [public.a] FROM [reader] CASCADE",
                "REVOKE UPDATE ON TABLE [public.a] FROM [reader] CASCADE",
                "GRANT UPDATE ([c]) ON TABLE [public.a] TO [reader]",
            ],
        ),
    ],
)
def test_column_grants_beside_those_of_the_table(acl, columns, statements):
    wanted = wanting(on("tables", "public.*", "update", columns=("c",)))
    assert planned(wanted, objects(table("a", acl=acl, columns=columns))) == statements


def test_who_has_the_whole_table_needs_no_column_of_it():
    wanted = wanting(on("tables", "public.a", "select", columns=("c",)))
    assert planned(wanted, objects(table("a"))) == []
    assert planned(wanted, objects(table("a", columns={"c": (READ,)}))) == []
    able = wanting(on("tables", "public.a", "select", columns=("c",), grant_option=True))
    assert planned(able, objects(table("a"))) == [
        "GRANT SELECT ([c]) ON TABLE [public.a] TO [reader] WITH GRANT OPTION"
    ]


def test_a_column_s_acl_follows_the_table_s_owner():
    wanted = wanting(on("tables", "public.a", "update", columns=("c",)))
    held = table(
        "a",
        owner="mallory",
        acl=(AclItem("reader", "mallory", "SELECT"),),
        columns={"c": (AclItem("reader", "mallory", "UPDATE"), AclItem("owner", "mallory", "UPDATE"))},
    )
    assert planned(wanted, objects(held)) == ["ALTER TABLE [public.a] OWNER TO [owner]"]


def test_a_sequence_follows_its_table_s_owner():
    owned = table("t", owner="mallory", acl=())
    sequence = table("s", kind="S", owner="mallory", follows=owned.oid, acl=(AclItem("owner", "mallory", "USAGE"),))
    assert planned(policy.parse(POLICY), objects(owned, sequence)) == [
        "ALTER TABLE [public.t] OWNER TO [owner]",
        "GRANT SELECT ON TABLE [public.t] TO [reader]",
    ]


def test_a_change_of_owner_names_the_relation_that_it_locks():
    there = objects(
        table("t", owner="mallory"),
        types=(catalog.Type("public", "c", "mallory", "c", ()), catalog.Type("public", "e", "mallory", "e", ())),
    )
    owners = [one for one in plan_database(policy.parse(POLICY), cluster(), there).statements if one.kind == "owner"]
    assert [one.relation for one in owners] == [("public", "t"), ("public", "c"), None]


def test_objects_that_change_alike_share_a_statement():
    many = [table(f"t{number:04}", acl=()) for number in range(OBJECTS_A_STATEMENT + 1)]
    plan = plan_database(policy.parse(POLICY), cluster(), objects(*many))
    assert [len(statement.access.names) for statement in plan.statements if statement.access] == [
        OBJECTS_A_STATEMENT,
        1,
    ]


def test_a_column_of_the_same_name_shares_a_statement_between_tables():
    held = {"c": (AclItem("x", "owner", "SELECT"),), "d": (AclItem("x", "owner", "SELECT"),)}
    assert planned(policy.parse(POLICY), objects(*(table(name, columns=held) for name in "ab"))) == [
        "REVOKE SELECT ([c]) ON TABLE [public.a], [public.b] FROM [x] CASCADE",
        "REVOKE SELECT ([d]) ON TABLE [public.a], [public.b] FROM [x] CASCADE",
    ]


def test_a_schema_that_is_not_there_is_made_for_its_owner():
    wanted = policy.parse(POLICY)
    assert planned(wanted, objects(schemas={})) == [
        "CREATE SCHEMA [public] AUTHORIZATION [owner]",
        "GRANT USAGE ON SCHEMA [public] TO [reader]",
    ]
    with pytest.raises(ValueError, match="write its owner under owners"):
        planned(policy.parse({**POLICY, "owners": {}, "grants": []}), objects(schemas={}))


def test_a_pattern_means_the_schemas_that_are_there_and_makes_none():
    wanted = wanting(
        on("schema", "app_*", "usage"),
        on("tables", "app_*.*", "select", future=True),
        schemas=("public", "app_*"),
        ignore_schemas=("app_tool*",),
        owners={"public": "owner", "app_*": "dba", "app_two": "owner"},
    )
    schemas = {name: catalog.Schema(name, "dba", ()) for name in ("app_one", "app_two", "app_three")}
    there = objects(
        table("t", schema="app_one", owner="dba", acl=()),
        schemas={**objects().schemas, **schemas, "app_made": catalog.Schema("app_made", "postgres", (), True)},
    )
    assert planned(wanted, there) == [
        "ALTER SCHEMA [app_two] OWNER TO [owner]",
        "GRANT USAGE ON SCHEMA [app_one], [app_three], [app_two] TO [reader]",
        "GRANT SELECT ON TABLE [app_one.t] TO [reader]",
        "ALTER DEFAULT PRIVILEGES FOR ROLE [dba] REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC CASCADE",
        "ALTER DEFAULT PRIVILEGES FOR ROLE [dba] REVOKE USAGE ON TYPES FROM PUBLIC CASCADE",
        "ALTER DEFAULT PRIVILEGES FOR ROLE [dba] IN SCHEMA [app_made], [app_one], [app_three]"
        " GRANT SELECT ON TABLES TO [reader]",
        "ALTER DEFAULT PRIVILEGES FOR ROLE [owner] IN SCHEMA [app_two] GRANT SELECT ON TABLES TO [reader]",
    ]


def test_a_named_schema_that_is_ignored_is_not_made():
    wanted = wanting(schemas=("public", "tool"), ignore_schemas=("tool",))
    assert planned(wanted, objects()) == []


def test_a_grant_of_one_database_is_not_given_in_another():
    here, there = (on("tables", "public.*", "insert", databases=(name,)) for name in ("app", "other"))
    insert = "GRANT INSERT ON TABLE [public.a] TO [reader]"
    assert planned(wanting(here), objects(table("a"))) == [insert]
    assert planned(wanting(there), objects(table("a"))) == []


def test_a_grant_option_that_is_wanted_is_given_and_one_that_is_not_is_taken():
    wanted = wanting(on("tables", "public.*", "insert", grant_option=True))
    held = (AclItem("reader", "owner", "SELECT", True),)
    assert planned(wanted, objects(table("a", acl=held))) == [
        "REVOKE GRANT OPTION FOR SELECT ON TABLE [public.a] FROM [reader] CASCADE",
        "GRANT INSERT ON TABLE [public.a] TO [reader] WITH GRANT OPTION",
    ]


def test_what_another_tool_s_role_holds_and_owns_is_left_alone():
    wanted = wanting(ignore_roles=("tool_*",))
    live = cluster(roles={**cluster().roles, "tool_a": role("tool_a")})
    mine = AclItem("tool_a", "owner", "INSERT", True)
    there = objects(
        table("a", acl=(READ, mine), columns={"c": (mine,)}),
        table("b", owner="tool_a", acl=(AclItem("reader", "tool_a", "SELECT"),)),
        defaults=(
            *objects().defaults,
            catalog.DefaultAcl("tool_a", "public", "r", (AclItem("reader", "tool_a", "INSERT"),)),
            catalog.DefaultAcl("tool_a", None, "r", (AclItem("public", "tool_a", "INSERT"),)),
        ),
    )
    assert plan_database(wanted, live, there) == Plan()


def test_public_out_of_the_scope_is_left_alone():
    data = {**POLICY, "scope": {**POLICY["scope"], "public": False}, "public": {}}
    held = (*table("a").acl, AclItem("public", "owner", "INSERT"), AclItem("x", "owner", "INSERT"))
    there = objects(
        table("a", acl=held, columns={"c": (AclItem("public", "owner", "UPDATE"),)}),
        defaults=objects().defaults[:1],
        routines=(catalog.Routine("public", "f", "", "owner", (AclItem("public", "owner", "EXECUTE"),)),),
        types=(catalog.Type("public", "y", "owner", "e", (AclItem("public", "owner", "USAGE"),)),),
    )
    assert planned(policy.parse(data), there) == ["REVOKE INSERT ON TABLE [public.a] FROM [x] CASCADE"]


def test_maintain_needs_17():
    wanted = policy.parse(
        {**POLICY, "grants": [{"to": "reader", "on": {"tables": "public.*"}, "privileges": "maintain"}]}
    )
    with pytest.raises(ValueError, match="since 17"):
        plan_database(wanted, cluster(160000), objects())
    assert planned(wanted, objects(table("a", acl=())), 170000)[1] == "GRANT MAINTAIN ON TABLE [public.a] TO [reader]"


def test_the_modes_that_take_nothing_away_only_give_what_is_missing():
    wanted = wanting(
        on("tables", "public.*", "update", columns=("c",)),
        on("routines", "public.*", "execute"),
        on("types", "public.*", "usage"),
        on("foreign_servers", "far", "usage"),
        on("large_objects", "7", "select"),
        mode="adopt",
        revoke_execute=(Pattern("public", "f"),),
    )
    everybody = AclItem("public", "mallory", "EXECUTE")
    there = objects(
        table("a", owner="mallory", acl=(AclItem("x", "mallory", "DELETE"),)),
        defaults=(),
        routines=(catalog.Routine("public", "f", "", "mallory", (everybody,)),),
        types=(catalog.Type("public", "y", "mallory", "d", ()),),
        servers=(catalog.Named("far", "postgres", (AclItem("x", "postgres", "USAGE"),)),),
        large_objects=(catalog.LargeObject(7, "x", (AclItem("public", "x", "UPDATE"),)),),
    )
    assert planned(wanted, there) == [
        "GRANT SELECT ON TABLE [public.a] TO [reader]",
        "GRANT UPDATE ([c]) ON TABLE [public.a] TO [reader]",
        "GRANT EXECUTE ON ROUTINE [public.f]() TO [reader]",
        "GRANT USAGE ON TYPE [public.y] TO [reader]",
        "GRANT USAGE ON FOREIGN SERVER [far] TO [reader]",
        "GRANT SELECT ON LARGE OBJECT 7 TO [reader]",
        "ALTER DEFAULT PRIVILEGES FOR ROLE [owner] IN SCHEMA [public] GRANT SELECT ON TABLES TO [reader]",
    ]


def test_the_report_is_what_ansible_shows():
    plan = plan_database(policy.parse(POLICY), cluster(), objects(table("a", acl=(AclItem("x", "owner", "DELETE"),))))
    answer = result(plan.statements, ["one", "two"], plan.skipped, [("/etc/pg_hba.conf", "old\n", "new\n")])
    assert answer["changed"]
    # Ansible takes a key "skipped" for a task that did not run.
    assert "skipped" not in answer
    assert answer["revoked"] == [
        {
            **{"role": "x", "privileges": ["DELETE"], "on": "table", "names": ["public.a"]},
            **{"database": "app", "grant_option": False},
        }
    ]
    assert [one["role"] for one in answer["granted"]] == ["reader"]
    assert answer["diff"] == {
        "before": "x may DELETE on table public.a in app\n==> /etc/pg_hba.conf <==\nold\n",
        "after": "reader may SELECT on table public.a in app\n==> /etc/pg_hba.conf <==\nnew\n",
    }
