"""Plans of what isn't a table: routines, types, what has no schema, PostgreSQL's own, and default privileges."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import model as catalog
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.acl import AclItem
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.database import plan_database
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.routines import routine_target
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.wanted import Lying, wants
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.model import (
    DefaultGrant,
    Grant,
    Pattern,
    Policy,
    Role,
)
from ansible_collections.taaraxtak.production.tests.unit.access.snapshots import cluster, lines, objects, role, routine
from ansible_collections.taaraxtak.production.tests.unit.access.test_plan_database import on, planned, wanting
from hypothesis import given
from hypothesis import strategies as st

RUN = AclItem("public", "owner", "EXECUTE")
USE = AclItem("public", "owner", "USAGE")


def given_to(role: str, privilege: str, owner: str = "postgres") -> AclItem:
    return AclItem(role, owner, privilege)


@pytest.mark.parametrize(
    ("one", "statements"),
    [
        (routine("f"), []),
        (routine("f", acl=(RUN,)), ["REVOKE EXECUTE ON ROUTINE [public.f]() FROM PUBLIC CASCADE"]),
        (
            routine(
                "f", arguments="a integer, OUT b text", kind="p", owner="x", acl=(given_to("owner", "EXECUTE", "x"),)
            ),
            ["ALTER ROUTINE [public.f](a integer, OUT b text) OWNER TO [owner]"],
        ),
        (
            routine("sum", kind="a", arguments="integer", owner="x"),
            ["ALTER ROUTINE [public.sum](integer) OWNER TO [owner]"],
        ),
        # What an extension made is left, and what somebody granted on it since is said.
        (routine("f", owner="postgres", acl=(given_to("public", "EXECUTE"),), extension=True), []),
    ],
)
def test_a_routine_of_the_scope_is_its_schema_s_owner_s_and_nobody_else_s(one, statements):
    assert planned(wanting(), objects(routines=(one,))) == statements


@pytest.mark.parametrize(
    ("arguments", "kind", "sql"),
    [
        ("a integer", "f", "a integer"),
        ("", "a", ""),
        ('VARIADIC "any" ORDER BY VARIADIC "any"', "a", 'VARIADIC "any"'),
        ("double precision ORDER BY anyelement", "a", "double precision, anyelement"),
        ("ORDER BY anyelement", "a", "anyelement"),
        ('VARIADIC integer[] ORDER BY "x ORDER BY y"', "a", 'VARIADIC integer[], "x ORDER BY y"'),
        ('"x ORDER BY y"', "a", '"x ORDER BY y"'),
    ],
)
def test_an_aggregate_is_named_as_a_function(arguments, kind, sql):
    assert routine_target(routine("f", arguments=arguments, kind=kind)).arguments == sql


def test_a_grant_may_mean_one_routine_of_a_name():
    grants = (
        Grant(("reader",), "routines", frozenset({"EXECUTE"}), patterns=(Pattern("public", "f", "integer"),)),
        on("routines", "public.g*", "execute", to="public"),
    )
    there = objects(routines=(routine("f"), routine("f", arguments="integer"), routine("g1", acl=(RUN,))))
    assert planned(wanting(*grants), there) == ["GRANT EXECUTE ON ROUTINE [public.f](integer) TO [reader]"]


READS_FILES = catalog.Routine(
    "pg_catalog",
    "pg_read_file",
    "text",
    "postgres",
    (given_to("pg_read_server_files", "EXECUTE"),),
    system=True,
    initial=(given_to("pg_read_server_files", "EXECUTE"),),
)
MAKES_OBJECTS = catalog.Routine(
    "pg_catalog",
    "lo_create",
    "oid",
    "postgres",
    (given_to("public", "EXECUTE"),),
    system=True,
    initial=(given_to("public", "EXECUTE"),),
)


def test_what_exceeds_the_initial_acl_of_postgresql_s_routines_goes_and_what_is_granted_stays():
    grant = on("routines", "pg_catalog.pg_read_file", "execute", to="dba")
    held = dataclasses.replace(
        READS_FILES, acl=(*READS_FILES.acl, given_to("reader", "EXECUTE"), given_to("dba", "EXECUTE"))
    )
    there = objects(routines=(held, MAKES_OBJECTS))
    assert planned(wanting(grant), there) == [
        "REVOKE EXECUTE ON ROUTINE [pg_catalog.pg_read_file](text) FROM [reader] CASCADE"
    ]
    assert planned(wanting(grant), objects(routines=(READS_FILES,))) == [
        "GRANT EXECUTE ON ROUTINE [pg_catalog.pg_read_file](text) TO [dba]"
    ]
    # What is gone of the initial one is not given back.
    gone = dataclasses.replace(MAKES_OBJECTS, acl=())
    assert planned(wanting(), objects(routines=(gone,))) == []


def test_revoke_execute_takes_public_s_and_leaves_predefined_roles_theirs():
    revoking = wanting(revoke_execute=(Pattern("pg_catalog", "*"), Pattern("public", "*")))
    extension_s = routine(
        "show_trgm",
        owner="postgres",
        extension=True,
        acl=(given_to("public", "EXECUTE"),),
        initial=(given_to("public", "EXECUTE"),),
    )
    there = objects(routines=(READS_FILES, MAKES_OBJECTS, extension_s))
    statements = [
        "REVOKE EXECUTE ON ROUTINE [pg_catalog.lo_create](oid), [public.show_trgm]() FROM PUBLIC CASCADE",
    ]
    assert planned(revoking, there) == statements
    # Even where the policy leaves PUBLIC alone: it says so itself.
    assert planned(dataclasses.replace(revoking, public=False), there) == statements


def test_what_was_granted_on_an_extension_s_objects_is_left_and_said():
    first = (given_to("public", "EXECUTE"),)
    made = routine("e", owner="postgres", extension=True, initial=first, acl=first)
    there = objects(
        routines=(made, dataclasses.replace(made, name="f", acl=(*first, given_to("reader", "EXECUTE")))),
        types=(catalog.Type("public", "y", "postgres", "b", (given_to("x", "USAGE"),), True),),
        wrappers=(catalog.Named("w", "postgres", (given_to("x", "USAGE"),), extension=True),),
    )
    plan = plan_database(wanting(), cluster(), there)
    assert plan.statements == ()
    assert [one.what for one in plan.skipped] == [
        "routine public.f() in app",
        "type public.y in app",
        "foreign data wrapper w in app",
    ]
    assert all(one.warn for one in plan.skipped)
    assert plan.skipped[0].why.endswith("these were granted since: reader EXECUTE")


def a_type(kind: str, **parts: t.Any) -> catalog.Type:
    return dataclasses.replace(catalog.Type("public", "y", "owner", kind, (USE,)), **parts)


@pytest.mark.parametrize(
    ("one", "version", "statements"),
    [
        (a_type("e"), 150000, ["REVOKE USAGE ON TYPE [public.y] FROM PUBLIC CASCADE"]),
        (a_type("d", owner="x", acl=()), 150000, ["ALTER DOMAIN [public.y] OWNER TO [owner]"]),
        (a_type("r", owner="x", acl=()), 150000, ["ALTER TYPE [public.y] OWNER TO [owner]"]),
        (a_type("m"), 160000, ["REVOKE USAGE ON TYPE [public.y] FROM PUBLIC CASCADE"]),
        (a_type("m"), 170000, []),
    ],
)
def test_a_type_of_the_scope_is_nobody_else_s(one, version, statements):
    assert planned(wanting(), objects(types=(one,)), version) == statements


def test_what_has_no_schema_has_exactly_what_is_granted():
    grants = (
        on("foreign_data_wrappers", "w", "usage"),
        on("foreign_servers", "far*", "usage", grant_option=True),
        on("languages", "sql", "usage"),
        on("large_objects", "7", "select, update", to="dba"),
    )
    x, public = given_to("x", "USAGE"), given_to("public", "USAGE")
    there = objects(
        wrappers=(catalog.Named("w", "postgres", (x,)), catalog.Named("v", "postgres", (x,))),
        servers=(catalog.Named("far away", "postgres", ()), catalog.Named("near", "owner", ())),
        languages=(
            catalog.Named("sql", "postgres", (public, x), system=True, initial=(public,)),
            catalog.Named("own", "postgres", (public,)),
        ),
        large_objects=(
            catalog.LargeObject(7, "postgres", ()),
            catalog.LargeObject(8, "x", (given_to("a", "SELECT", "x"),)),
        ),
    )
    plan = plan_database(wanting(*grants), cluster(), there)
    assert lines(plan) == [
        "REVOKE SELECT ON LARGE OBJECT 8 FROM [a] CASCADE",
        "REVOKE USAGE ON LANGUAGE [own] FROM PUBLIC CASCADE",
        "REVOKE USAGE ON LANGUAGE [sql] FROM [x] CASCADE",
        "REVOKE USAGE ON FOREIGN DATA WRAPPER [v], [w] FROM [x] CASCADE",
        "GRANT USAGE ON LANGUAGE [sql] TO [reader]",
        "GRANT USAGE ON FOREIGN DATA WRAPPER [w] TO [reader]",
        "GRANT SELECT, UPDATE ON LARGE OBJECT 7 TO [dba]",
        "GRANT USAGE ON FOREIGN SERVER [far away] TO [reader] WITH GRANT OPTION",
    ]
    assert plan.statements[0].before == ("a may SELECT on large object 8 in app",)


def test_what_exceeds_the_initial_acl_of_postgresql_s_relations_goes():
    def one(name: str, *acl: AclItem, initial: tuple[AclItem, ...] = (), column: str | None = None) -> t.Any:
        return catalog.SystemRelation("pg_catalog", name, "r", "postgres", acl, initial, column)

    public, mallory = given_to("public", "SELECT"), given_to("mallory", "SELECT")
    there = objects(
        system_relations=(
            one("pg_authid", mallory),
            one("pg_authid", mallory, column="rolpassword"),
            one("pg_class", public, given_to("reader", "UPDATE"), initial=(public,)),
            one("pg_proc", initial=(public,)),
            one("pg_subscription", public),
            one("pg_subscription", public, initial=(public,), column="subname"),
        )
    )
    # The table's REVOKE clears its columns: what initdb gave there comes back.
    assert planned(wanting(on("tables", "pg_catalog.pg_class", "select, update")), there) == [
        "REVOKE SELECT ON TABLE [pg_catalog.pg_authid] FROM [mallory] CASCADE",
        "REVOKE SELECT ON TABLE [pg_catalog.pg_subscription] FROM PUBLIC CASCADE",
        "GRANT SELECT ON TABLE [pg_catalog.pg_class] TO [reader]",
        "GRANT SELECT ([subname]) ON TABLE [pg_catalog.pg_subscription] TO PUBLIC",
    ]
    assert (
        planned(wanting(on("tables", "*.*", "insert")), objects(system_relations=(one("pg_class", initial=()),))) == []
    )


HEAD = "ALTER DEFAULT PRIVILEGES FOR ROLE"


def test_what_owners_make_is_not_public_s():
    new = objects(defaults=objects().defaults[:1])
    assert planned(wanting(), new) == [
        f"{HEAD} [owner] REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC CASCADE",
        f"{HEAD} [owner] REVOKE USAGE ON TYPES FROM PUBLIC CASCADE",
    ]
    open_to_all = DefaultGrant("owner", "routines", ("public",), frozenset({"EXECUTE"}))
    assert planned(wanting(default_privileges=(open_to_all,)), new) == [
        f"{HEAD} [owner] REVOKE USAGE ON TYPES FROM PUBLIC CASCADE"
    ]
    assert planned(wanting(default_privileges=(open_to_all,)), objects()) == [
        f"{HEAD} [owner] GRANT EXECUTE ON FUNCTIONS TO PUBLIC"
    ]
    # An owner that the policy doesn't name counts too, unless it is one who makes extensions.
    for owner, made in (("mallory", True), ("postgres", False), ("pg_database_owner", False)):
        schemas = {"public": catalog.Schema("public", owner, (AclItem("reader", owner, "USAGE"),))}
        statements = planned(wanting(owners={}, grants=wanting().grants[:2]), objects(schemas=schemas, defaults=()))
        assert statements == [
            f"{HEAD} [{owner}] REVOKE {what} FROM PUBLIC CASCADE"
            for what in ("EXECUTE ON FUNCTIONS", "USAGE ON TYPES")
            if made
        ]


def test_default_privileges_count_where_they_can_reach_the_scope():
    public = (AclItem("public", "x", "INSERT"),)
    reach = [catalog.DefaultAcl(creator, None, "r", public) for creator in ("owner", "postgres", "mallory")]
    here = catalog.DefaultAcl("mallory", "public", "f", (AclItem("reader", "mallory", "EXECUTE", True),))
    there = objects(defaults=(*objects().defaults, *reach[2:], here))
    assert planned(wanting(), there) == [
        f"{HEAD} [mallory] IN SCHEMA [public] REVOKE EXECUTE ON FUNCTIONS FROM [reader] CASCADE"
    ]
    own = [dataclasses.replace(one, acl=(AclItem("public", one.creator, "INSERT"),)) for one in reach[:2]]
    assert planned(wanting(), objects(defaults=(*objects().defaults, *own))) == [
        f"{HEAD} [{creator}] REVOKE INSERT ON TABLES FROM PUBLIC CASCADE" for creator in ("owner", "postgres")
    ]


def test_what_is_built_in_stays_where_no_owner_of_the_scope_creates():
    held = (AclItem("public", "postgres", "EXECUTE"), AclItem("mallory", "postgres", "EXECUTE"))
    there = objects(defaults=(*objects().defaults, catalog.DefaultAcl("postgres", None, "f", held)))
    assert planned(wanting(), there) == [f"{HEAD} [postgres] REVOKE EXECUTE ON FUNCTIONS FROM [mallory] CASCADE"]


def test_default_privileges_of_every_kind_are_written_out():
    grants = (
        on("routines", "public.*", "execute", future=True),
        on("types", "public.*", "usage", future=True),
        on("sequences", "public.*", "usage", future=True, databases=("elsewhere",)),
    )
    written = (
        DefaultGrant("dba", "schema", ("reader",), frozenset({"USAGE"})),
        DefaultGrant("dba", "tables", ("reader",), frozenset({"INSERT"}), "public", grant_option=True),
        DefaultGrant("dba", "tables", ("reader",), frozenset({"DELETE"}), databases=("elsewhere",)),
    )
    assert planned(wanting(*grants, default_privileges=written), objects()) == [
        f"{HEAD} [owner] IN SCHEMA [public] GRANT EXECUTE ON FUNCTIONS TO [reader]",
        f"{HEAD} [owner] IN SCHEMA [public] GRANT USAGE ON TYPES TO [reader]",
        f"{HEAD} [dba] GRANT USAGE ON SCHEMAS TO [reader]",
        f"{HEAD} [dba] IN SCHEMA [public] GRANT INSERT ON TABLES TO [reader] WITH GRANT OPTION",
    ]


def test_default_privileges_of_large_objects_need_18():
    wanted = wanting(default_privileges=(DefaultGrant("dba", "large_objects", ("reader",), frozenset({"SELECT"})),))
    with pytest.raises(ValueError, match="since PostgreSQL 18"):
        planned(wanted, objects(), 170000)
    assert planned(wanted, objects(), 180000) == [f"{HEAD} [dba] GRANT SELECT ON LARGE OBJECTS TO [reader]"]


def test_default_privileges_for_an_owner_that_is_a_superuser_now():
    live = cluster(roles={**cluster().roles, "owner": role("owner", superuser=True)})
    wanted = wanting()
    assert wanted.roles["owner"] == Role("owner")
    assert plan_database(wanted, live, objects()).statements == ()


NAMES = st.sampled_from(["a", "ab", "b", "a.b", "aab", "\U0001f418"])
PATTERN_NAMES = st.sampled_from(["*", "a", "a*", "*b", "b", "a*b", "ab", "nothing"])
PATTERNS = st.builds(
    Pattern,
    st.sampled_from(["public", "app", "a*", "*", "pg_catalog"]),
    PATTERN_NAMES,
    st.sampled_from([None, None, "", "integer"]),
)
GRANTS = st.builds(
    Grant,
    st.sampled_from([("reader",), ("dba", "reader")]),
    st.just("routines"),
    st.sampled_from([frozenset({"EXECUTE"}), frozenset({"OTHER"})]),
    patterns=st.lists(PATTERNS, min_size=1, max_size=3).map(tuple),
    excepted=st.lists(PATTERNS, max_size=2).map(tuple),
    grant_option=st.booleans(),
)
KEYS = st.tuples(st.sampled_from(["public", "app"]), NAMES, st.sampled_from(["", "integer"]))


@given(st.lists(GRANTS, max_size=5), st.sets(KEYS, max_size=12))
def test_looking_a_name_up_finds_the_grants_that_cover_it(grants, keys):
    wanted: Policy = wanting(schemas=("public", "app"))
    lying = Lying(wanted, grants, keys)
    for key in keys:
        assert lying.wants(*key) == wants(grant for grant in grants if grant.covers(*key))
