"""The policy of a server, written from snapshots: what is there is said, in few words, and the same each time."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import model as catalog
from ansible_collections.taaraxtak.production.plugins.module_utils.access.export.cluster import logins_by_peer
from ansible_collections.taaraxtak.production.plugins.module_utils.access.export.export import Exported, export
from ansible_collections.taaraxtak.production.plugins.module_utils.access.export.grants import Cover, cover
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.acl import Acl, AclItem
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.cluster import plan_cluster
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.database import plan_database
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.tests.unit.access.snapshots import (
    SUPERUSER,
    cluster,
    lines,
    objects,
    role,
    table,
)

EVERYBODY = AclItem("public", "owner", "EXECUTE")


def acl(*items: str, owner: str = "owner") -> Acl:
    """``grantee PRIVILEGE``, ``grantee PRIVILEGE*`` with the grant option, ``grantee PRIVILEGE grantor``."""
    found = []
    for item in items:
        grantee, privilege, *grantor = item.split()
        found.append(AclItem(grantee, (grantor or [owner])[0], privilege.rstrip("*"), privilege.endswith("*")))
    return tuple(found)


def exported(*relations: catalog.Relation, **parts: t.Any) -> Exported:
    """The policy of one database, which applied changes nothing there."""
    return of(cluster(), objects(*relations, **parts))


def of(live: catalog.Cluster, *databases: catalog.Objects, **options: t.Any) -> Exported:
    by_name = {one.database: one for one in databases}
    found = export(live, by_name, **options)
    if not found.not_expressed:
        policy = parse(found.policy)
        assert lines(plan_cluster(policy, live)) == []
        for one in databases:
            assert lines(plan_database(policy, live, one)) == []
    return found


def grants(found: Exported, kind: str) -> list[dict[str, t.Any]]:
    """The grants on *kind*, without the schema of the snapshot's own policy."""
    return [grant for grant in found.policy["grants"] if kind in grant["on"]]


def test_the_policy_says_who_is_there_and_whose_the_schema_is():
    found = exported(table("a"), table("b"))
    assert found.not_expressed == ()
    assert found.policy["scope"] == {"databases": ["app"], "schemas": ["public"], "public": True}
    assert found.policy["mode"] == "authoritative"
    assert found.policy["owners"] == {"public": "owner"}
    assert list(found.policy["roles"]) == ["dba", "owner", "postgres", "reader"]
    assert found.policy["roles"]["dba"] == {"login": True, "inherit": False, "member_of": ["owner"]}
    assert found.policy["roles"]["reader"] == {"login": True, "settings": {"statement_timeout": "30s"}}
    assert found.policy["public"] == {"revoke_connect": "all"}


def test_a_grant_on_all_tables_and_the_owner_s_default_privileges_are_one_grant_with_future():
    assert grants(exported(table("a"), table("b")), "tables") == [
        {"to": "reader", "on": {"tables": "public.*"}, "privileges": ["select"], "future": True}
    ]


def test_default_privileges_that_no_grant_matches_stand_alone():
    found = exported(table("a", acl=acl("reader SELECT", "reader INSERT")), table("b", acl=()))
    assert grants(found, "tables") == [
        {"to": "reader", "on": {"tables": "public.a"}, "privileges": ["select", "insert"]}
    ]
    assert {"creator": "owner", "schema": "public", "on": "tables", "to": "reader", "privileges": ["select"]} in (
        found.policy["default_privileges"]
    )


def test_a_few_tables_without_the_grant_are_exceptions():
    found = exported(*[table(f"t{number}") for number in range(8)], table("secret", acl=()), defaults=())
    assert grants(found, "tables") == [
        {"to": "reader", "on": {"tables": "public.*", "except": "public.secret"}, "privileges": ["select"]}
    ]


def test_what_the_owner_may_anyway_is_no_exception():
    tables = [table("a"), table("b"), table("mine", owner="reader", acl=())]
    found = exported(*tables, defaults=())
    assert "owners" not in found.policy
    assert grants(found, "tables") == [{"to": "reader", "on": {"tables": "public.*"}, "privileges": ["select"]}]


def test_roles_that_hold_the_same_share_a_grant():
    both = acl("reader SELECT", "dba SELECT")
    found = exported(table("a", acl=both), table("b", acl=both), defaults=())
    assert grants(found, "tables") == [
        {"to": ["dba", "reader"], "on": {"tables": "public.*"}, "privileges": ["select"]}
    ]


def test_what_is_built_in_for_public_is_said_of_present_and_future_routines_and_types():
    routine = catalog.Routine("public", "f", "a integer", "owner", (EVERYBODY,))
    kind = catalog.Type("public", "k", "owner", "e", acl("public USAGE"))
    found = exported(routines=(routine,), types=(kind,), defaults=())
    assert grants(found, "routines") == [{"to": "public", "on": {"routines": "public.*"}, "privileges": ["execute"]}]
    assert grants(found, "types") == [{"to": "public", "on": {"types": "public.*"}, "privileges": ["usage"]}]
    assert found.policy["default_privileges"] == [
        {"creator": "owner", "on": "routines", "to": "public", "privileges": ["execute"]},
        {"creator": "owner", "on": "types", "to": "public", "privileges": ["usage"]},
    ]


def test_what_was_taken_from_public_stays_away():
    gone = (catalog.DefaultAcl("owner", None, "f", ()), catalog.DefaultAcl("owner", None, "T", ()))
    routine = catalog.Routine("public", "f", "", "owner", ())
    found = exported(routines=(routine,), defaults=gone)
    assert grants(found, "routines") == []
    assert "default_privileges" not in found.policy


def test_a_third_party_s_grant_is_said_with_the_grant_option_that_it_hangs_on():
    found = exported(table("a", acl=acl("dba SELECT*", "reader SELECT dba")), defaults=())
    assert found.not_expressed == ()
    assert grants(found, "tables") == [
        {"to": "reader", "on": {"tables": "public.a"}, "privileges": ["select"]},
        {"to": "dba", "on": {"tables": "public.a"}, "privileges": ["select"], "grant_option": True},
    ]


def test_a_grant_whose_grantor_has_lost_the_option_is_no_part_of_the_format():
    found = exported(table("a", acl=acl("reader SELECT dba")), defaults=())
    (sentence,) = found.not_expressed
    assert sentence.startswith("table public.a in app: dba granted SELECT to reader and has no grant option any more")


def test_what_a_third_party_granted_to_the_owner_is_no_part_of_the_format():
    found = exported(table("a", acl=acl("dba SELECT*", "owner SELECT dba")), defaults=())
    assert found.not_expressed == (
        "table public.a in app: dba granted SELECT to the owner, and a policy grants owners nothing",
    )


def test_postgresql_s_own_roles_are_not_listed_so_their_memberships_are_told_of():
    live = cluster(memberships=(catalog.Membership("owner", "pg_monitor", "postgres", False, None, None),))
    live = dataclasses.replace(live, roles={**live.roles, "pg_monitor": role("pg_monitor")})
    default = catalog.DefaultAcl("pg_monitor", None, "r", acl("reader SELECT", owner="pg_monitor"))
    found = of(live, objects(defaults=(default,)))
    (sentence,) = found.not_expressed
    assert sentence.startswith("role pg_monitor: it is a member of owner")
    assert "pg_monitor" not in str(found.policy)


def test_columns_that_are_granted_alike_share_a_grant():
    held = {name: acl("reader SELECT", "reader UPDATE") for name in ("id", "na.me")} | {"x": acl("dba INSERT*")}
    found = exported(table("a", acl=(), columns=held), defaults=())
    assert grants(found, "tables") == [
        {"to": "reader", "on": {"tables": "public.a", "columns": ["id", "na.me"]}, "privileges": ["select", "update"]},
        {
            **{"to": "dba", "on": {"tables": "public.a", "columns": ["x"]}},
            **{"privileges": ["insert"], "grant_option": True},
        },
    ]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("plain", "public.plain"),
        ("Ünï cöde", "public.Ünï cöde"),
        ("dot.ted", {"schema": "public", "name": "dot.ted"}),
        ('quo"te', {"schema": "public", "name": 'quo"te'}),
        ("paren(x)", {"schema": "public", "name": "paren(x)"}),
        # A pattern, which means nothing else here.
        ("star*", "public.star*"),
        ("tab\tbed", "public.tab*bed"),
    ],
)
def test_any_name_can_be_granted_on(name, written):
    found = exported(table(name), table("other", acl=()), defaults=())
    assert found.not_expressed == ()
    (grant,) = grants(found, "tables")
    assert grant["on"]["tables"] == written


def test_a_name_whose_only_pattern_means_others_too_is_no_part_of_the_format():
    found = exported(table("star*"), table("starry", acl=()), defaults=())
    (sentence,) = found.not_expressed
    assert sentence.startswith('table public."star*" in app: no name or pattern')


def test_a_role_that_can_t_be_named_is_ignored():
    live = cluster()
    live = dataclasses.replace(live, roles={**live.roles, "new\nline": role("new\nline", login=True)})
    found = export(live, {"app": objects(table("a", acl=acl("reader SELECT")))})
    assert found.policy["ignore"] == {"roles": ["new*line"]}
    assert found.not_expressed == ('role "new\nline": the policy can\'t name it, so it is ignored',)
    policy = parse(found.policy)
    assert lines(plan_cluster(policy, live)) == []


def test_what_differs_between_databases_names_them():
    first, second = objects(table("a"), defaults=()), objects(table("b"), defaults=())
    live = cluster()
    databases = {name: dataclasses.replace(live.databases["app"], name=name) for name in ("app", "other")}
    live = dataclasses.replace(live, databases=databases)
    found = of(live, first, dataclasses.replace(second, database="other"))
    assert grants(found, "schema") == [{"to": "reader", "on": {"schema": "public"}, "privileges": ["usage"]}]
    assert grants(found, "tables") == [
        {"to": "reader", "on": {"tables": "public.a"}, "privileges": ["select"], "databases": ["app"]},
        {"to": "reader", "on": {"tables": "public.b"}, "privileges": ["select"], "databases": ["other"]},
    ]


def test_a_schema_that_one_database_lacks_is_in_scope_by_pattern_so_that_nobody_makes_it():
    live = cluster()
    databases = {name: dataclasses.replace(live.databases["app"], name=name) for name in ("app", "other")}
    live = dataclasses.replace(live, databases=databases)
    found = of(live, objects(table("a")), catalog.Objects("other", {}, (), (), ()))
    assert found.policy["scope"]["schemas"] == ["*"]
    assert found.policy["owners"] == {"public": "owner"}


def test_what_extensions_and_initdb_gave_is_left_out_and_what_exceeds_it_is_not():
    routines = (
        catalog.Routine(
            "pg_catalog", "pg_read_file", "text", "postgres", acl("dba EXECUTE", owner="postgres"), system=True
        ),
        catalog.Routine("public", "made_by_extension", "", "postgres", (EVERYBODY,), extension=True),
    )
    secrets = catalog.SystemRelation(
        "pg_catalog", "pg_authid", "r", "postgres", acl("reader SELECT", owner="postgres"), ()
    )
    kept = catalog.SystemRelation(
        "pg_catalog", "pg_class", "r", "postgres", *[acl("public SELECT", owner="postgres")] * 2
    )
    sql = catalog.Named("sql", "postgres", *[()], system=True)
    found = exported(routines=routines, system_relations=(secrets, kept), languages=(sql,), defaults=())
    assert grants(found, "routines") == [
        {"to": "dba", "on": {"routines": "pg_catalog.pg_read_file(text)"}, "privileges": ["execute"]}
    ]
    assert grants(found, "tables") == [
        {"to": "reader", "on": {"tables": "pg_catalog.pg_authid"}, "privileges": ["select"]}
    ]
    assert grants(found, "languages") == []


def test_what_has_no_schema_is_granted_by_name():
    live = cluster(
        parameters={"work_mem": acl("reader SET", owner="postgres")},
        tablespaces=(catalog.Named("fast", "dba", acl("reader CREATE", owner="dba")),),
    )
    found = of(
        live,
        objects(
            languages=(catalog.Named("plsh", "owner", acl("public USAGE")),),
            wrappers=(catalog.Named("w", "owner", acl("dba USAGE")),),
            servers=(catalog.Named("s", "owner", acl("dba USAGE*")),),
            large_objects=tuple(catalog.LargeObject(oid, "owner", acl("reader SELECT")) for oid in (9, 10)),
            defaults=(),
        ),
    )
    assert [grant["on"] for grant in found.policy["grants"][2:]] == [
        {"languages": "plsh"},
        {"foreign_data_wrappers": "w"},
        {"foreign_servers": "s"},
        {"large_objects": ["9", "10"]},
        {"parameters": "work_mem"},
        {"tablespaces": "fast"},
    ]


def test_memberships_are_said_with_their_options_and_what_several_grantors_gave_adds_up():
    live = cluster(160000)
    live = dataclasses.replace(
        live,
        roles={**live.roles, "pg_monitor": role("pg_monitor")},
        memberships=(
            catalog.Membership("owner", "dba", "postgres", True, False, True),
            catalog.Membership("owner", "reader", "dba", False, False, True),
            catalog.Membership("owner", "reader", "postgres", False, True, False),
            catalog.Membership("pg_monitor", "reader", "postgres", False, False, False),
        ),
    )
    found = of(live, objects(defaults=()))
    assert found.policy["roles"]["dba"]["member_of"] == [{"role": "owner", "admin": True}]
    assert found.policy["roles"]["reader"]["member_of"] == [
        "owner",
        {"role": "pg_monitor", "inherit": False, "set": False},
    ]


def test_attributes_settings_and_passwords_are_said_where_they_are_not_the_default():
    settings = (
        catalog.RoleSetting("dba", None, "search_path", ("a b", "$user")),
        catalog.RoleSetting("dba", "app", "TimeZone", ("UTC",)),
        catalog.RoleSetting(None, "app", "work_mem", ("1MB",)),
        catalog.RoleSetting(None, None, "search_path", ("",)),
    )
    boss = role("dba", login=True, password="md5", connection_limit=0, bypassrls=True)
    live = cluster(
        settings=settings, roles={"postgres": SUPERUSER, "owner": role("owner"), "dba": boss}, memberships=()
    )
    live = dataclasses.replace(live, databases={"app": catalog.Database("app", "dba", ())})
    found = of(live, objects(schemas={}, defaults=()))
    assert found.policy["roles"]["dba"] == {
        **{"login": True, "bypassrls": True, "connection_limit": 0, "password": "keep"},
        **{"settings": {"search_path": ["a b", "$user"]}, "database_settings": {"app": {"timezone": "UTC"}}},
    }
    assert found.policy["database_settings"] == {"*": {"search_path": ""}, "app": {"work_mem": "1MB"}}
    assert found.policy["database_owners"] == {"app": "dba"}


def test_public_connects_somewhere_so_nothing_is_said_of_it():
    live = cluster()
    template = catalog.Database("template1", "postgres", acl("public CONNECT", owner="postgres"), template=True)
    found = of(dataclasses.replace(live, databases={**live.databases, "template1": template}), objects(defaults=()))
    assert "public" not in found.policy


def test_a_database_that_accepts_no_connections_is_told_of():
    live = cluster()
    closed = {name: catalog.Database(name, "postgres", (), False) for name in ("old", "template0")}
    found = export(dataclasses.replace(live, databases={**live.databases, **closed}), {"app": objects()})
    assert found.not_expressed == ("database old: it accepts no connections, so it is out of scope",)


def test_os_users_are_those_of_peer_rows_and_their_maps():
    rules = [("local", ["all"], "peer", "m"), ("host", ["all"], "cert", "n"), ("local", ["all"], "peer", None)]
    mappings = [("m", "alice", "dba"), ("m", "/^(.*)$", "reader"), ("n", "eve", "reader"), ("m", "bob", "/x")]
    ident = logins_by_peer(rules, mappings)
    assert ident == [("alice", "dba")]
    found = of(cluster(), objects(defaults=()), ident=ident)
    assert found.policy["roles"]["dba"]["os_users"] == ["alice"]


def test_the_order_of_what_was_read_doesn_t_matter():
    several = [table(name, acl=acl("reader SELECT", "dba INSERT")) for name in "abc"]
    first, second = exported(*several), exported(*reversed(several))
    assert first == second
    assert list(first.policy) == list(second.policy)


@pytest.mark.parametrize(
    ("held", "free", "expected"),
    [
        ({1: "SI", 2: "SI", 3: "S"}, (), [Cover(frozenset("S"), True, ()), Cover(frozenset("I"), False, (1, 2))]),
        ({1: "S", 2: "S"}, (3,), [Cover(frozenset("S"), True, ())]),
        ({1: "S"}, (2, 3), [Cover(frozenset("S"), False, (1,))]),
        # Listed by what they hold: each object is named once.
        ({1: "SI", 2: "SU"}, (), None),
    ],
)
def test_the_shortest_way_to_say_it_is_taken(held, free, expected):
    held = {one: frozenset(privileges) for one, privileges in held.items()}
    found = cover(held, (1, 2, 3), free)
    if expected is not None:
        assert sorted(found, key=lambda one: one.objects) == expected
    said: dict[int, frozenset[str]] = {}
    for one in found:
        for number in {1, 2, 3}.difference(one.objects) if one.whole else one.objects:
            said[number] = said.get(number, frozenset()) | one.privileges
    assert {number: privileges for number, privileges in said.items() if number not in free} == held


def test_without_a_database_there_is_nothing_to_write():
    with pytest.raises(ValueError, match="give at least one"):
        export(cluster(), {})


def test_the_end_of_a_password_is_no_part_of_the_format():
    ends = {"valid_until": "2020-01-01T00:00:00+00:00"}
    live = cluster()
    roles = {**live.roles, "reader": role("reader", login=True, **ends), "owner": role("owner", **ends)}
    found = of(dataclasses.replace(live, roles=roles), objects())
    # One that doesn't log in has no use for a password.
    (sentence,) = found.not_expressed
    assert sentence.startswith("role reader: its password is valid until 2020-01-01")


def test_a_schema_in_which_somebody_else_owns_a_collation_has_no_owner_in_the_policy():
    one = catalog.Owned("COLLATION", "public.c", "owner", "public")
    assert exported(owned=(one,)).policy["owners"] == {"public": "owner"}
    other = dataclasses.replace(one, owner="reader")
    assert "owners" not in exported(owned=(other,)).policy
    assert exported(owned=(dataclasses.replace(other, extension=True),)).policy["owners"] == {"public": "owner"}
