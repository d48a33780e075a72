"""The snapshot says what is there, on each PostgreSQL version at hand: one of everything is planted and compared."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import model as catalog
from ansible_collections.taaraxtak.production.tests.integration.access_reading import (
    POLICY,
    Planted,
    items,
    planted,  # noqa: F401
    read,
)
from ansible_collections.taaraxtak.production.tests.integration.servers import bindir, every_server  # noqa: F401


def test_roles_have_their_attributes_and_the_kind_of_their_password(planted: Planted) -> None:  # noqa: F811
    verifiers = dict(planted.server.run("SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL"))
    digests = {name: hashlib.sha256(verifier.encode()).hexdigest() for name, verifier in verifiers.items()}
    role = catalog.CatalogRole
    assert {name: one for name, one in planted.cluster.roles.items() if name.startswith("pl_")} == {
        "pl_owner": role("pl_owner", False, False, False, False, False, False, False, -1, None),
        "pl_admin": role("pl_admin", False, True, True, True, False, False, False, 3, None),
        "pl_reader": role(
            *("pl_reader", False, True, False, False, True, False, False, -1, "scram-sha-256", digests["pl_reader"])
        ),
        "pl_writer": role(*("pl_writer", False, True, False, False, True, True, True, -1, "md5", digests["pl_writer"])),
    }
    assert not any(digest in repr(planted.cluster) for digest in digests.values())
    assert (planted.cluster.login_role, planted.cluster.bootstrap, planted.cluster.standby) == (
        *("postgres", "postgres", False),
    )


def test_settings_are_those_of_roles_databases_both_and_all(planted: Planted) -> None:  # noqa: F811
    assert set(planted.cluster.settings) == {
        catalog.RoleSetting("pl_reader", None, "search_path", ("app", "Odd, name", "pg_temp")),
        catalog.RoleSetting("pl_reader", "planted", "work_mem", ("2MB",)),
        catalog.RoleSetting(None, None, "statement_timeout", ("1h",)),
        catalog.RoleSetting(None, "planted", "lock_timeout", ("9s",)),
    }


def test_memberships_have_their_options_since_16(planted: Planted) -> None:  # noqa: F811
    inherits, may_set = (True, True) if planted.version >= 16 else (None, None)
    assert {one for one in planted.cluster.memberships if one.role == "pl_owner"} == {
        catalog.Membership("pl_owner", "pl_admin", "postgres", True, inherits, may_set),
        catalog.Membership("pl_owner", "pl_writer", "postgres", False, inherits, may_set),
    }


def test_what_the_cluster_shares_has_its_acls(planted: Planted) -> None:  # noqa: F811
    database = catalog.Database
    theirs = items("pl_admin=TEMPORARY*/pl_owner", "pl_writer=TEMPORARY/pl_admin", "public=TEMPORARY/pl_owner")
    everybodys = items("public=CONNECT/postgres", "public=TEMPORARY/postgres")
    assert planted.cluster.databases == {
        "planted": database("planted", "pl_owner", theirs),
        "closed": database("closed", "postgres", everybodys, allows_connections=False, template=True),
        "postgres": database("postgres", "postgres", everybodys),
        "template0": database("template0", "postgres", everybodys[:1], allows_connections=False, template=True),
        "template1": database("template1", "postgres", everybodys[:1], template=True),
    }
    assert planted.cluster.parameters == {
        "work_mem": items("pl_reader=SET/postgres"),
        "log_statement": items("pl_admin=ALTER SYSTEM*/postgres"),
    }
    assert planted.cluster.tablespaces == (
        catalog.Named("pg_default", "postgres", (), system=True),
        catalog.Named("pg_global", "postgres", (), system=True),
        catalog.Named("pl_space", "postgres", items("pl_writer=CREATE/postgres")),
    )


def test_the_schemas_are_those_of_the_scope(planted: Planted) -> None:  # noqa: F811
    assert planted.objects.schemas == {
        "app": catalog.Schema("app", "pl_owner", items("pl_reader=USAGE*/pl_owner", "pl_writer=USAGE/pl_reader")),
        "ext": catalog.Schema("ext", "postgres", (), extension=True),
    }


def test_relations_are_of_each_kind_with_owner_and_acl(planted: Planted) -> None:  # noqa: F811
    owners: dict[str, tuple[t.Any, ...]] = {
        "plain": ("r", "pl_owner"),
        "plain_id_seq": ("S", "pl_owner"),
        "plain_num_seq": ("S", "pl_owner"),
        "own_revoked": ("r", "pl_owner"),
        "parted": ("p", "pl_owner"),
        "part": ("r", "pl_owner"),
        "loose": ("S", "pl_owner"),
        "names": ("v", "pl_owner"),
        "counted": ("v", "pl_owner"),
        "kept": ("m", "pl_owner"),
        "far": ("v", "postgres"),
        "foreign_table": ("f", "postgres"),
        "by_trigger": ("v", "postgres"),
        "by_other_triggers": ("v", "postgres"),
        "by_rule": ("v", "postgres"),
        "child": ("r", "postgres"),
    }
    in_app = [one for one in planted.objects.relations if one.schema == "app"]
    assert {one.name: (one.kind, one.owner) for one in in_app} == owners
    assert all(one.oid == planted.oid(f"app.{one.name}") for one in in_app)
    assert {one.name: one.acl for one in in_app if one.acl} == {
        "plain": items("pl_admin=INSERT*/pl_owner", "pl_reader=SELECT/pl_owner", "pl_writer=INSERT/pl_admin"),
        "part": items("public=DELETE/pl_owner"),
        "loose": items("pl_writer=USAGE/pl_owner"),
    }
    assert {one.name: one.columns for one in in_app if one.columns} == {
        "plain": {"id": items("pl_writer=REFERENCES/pl_owner"), "name": items("pl_writer=UPDATE/pl_owner")}
    }
    plain = planted.relation("app.plain").oid
    assert {one.name: one.follows for one in in_app if one.follows} == {"plain_id_seq": plain, "plain_num_seq": plain}
    assert [one.name for one in in_app if one.partition] == ["part"]
    assert {one.name: one.rls_forced for one in in_app if one.rls} == {"plain": False, "parted": True}
    assert [(one.name, one.schema) for one in planted.objects.relations if one.extension] == [("t", "ext")]


def test_row_policies_say_for_whom(planted: Planted) -> None:  # noqa: F811
    plain = planted.oid("app.plain")
    assert planted.objects.row_policies == (
        catalog.RowPolicy(plain, "all_of_it", "ALL", True, ("public",)),
        catalog.RowPolicy(plain, "mine", "UPDATE", False, ("pl_reader", "pl_writer")),
    )


def test_routines_are_the_scopes_the_named_and_the_changed(planted: Planted) -> None:  # noqa: F811
    by_all = items("public=EXECUTE/pl_owner")
    everybody = items("public=EXECUTE/postgres")
    routine = catalog.Routine
    assert all(one.oid for one in planted.objects.routines)
    # Those that CREATE TYPE app.range has made are named as the types.
    found = [dataclasses.replace(one, oid=0) for one in planted.objects.routines if one.name not in ("range", "multi")]
    assert {one for one in found if one.schema == "app"} == {
        routine("app", "f", "a integer, b text", "pl_owner", by_all, language="sql"),
        routine("app", "p", "", "pl_owner", by_all, kind="p", language="sql"),
        routine("app", "agg", "integer", "pl_owner", by_all, kind="a", language="internal"),
        routine("app", "win", "", "postgres", everybody, kind="w", language="internal"),
        routine(
            *("app", "definer", "", "pl_owner", items("pl_reader=EXECUTE/pl_owner")),
            definer=True,
            settings=("search_path=app, pg_temp", "work_mem=1MB"),
            language="plpgsql",
        ),
    }
    assert {
        (one.name, one.arguments, one.acl, one.initial, one.system) for one in found if one.schema == "pg_catalog"
    } == {
        ("pg_read_file", "text", items("pl_reader=EXECUTE/postgres"), (), True),
        ("pg_sleep", "double precision", everybody, everybody, True),
        ("lo_import", "text", (), (), True),
        ("lo_import", "text, oid", (), (), True),
    }
    changed = items("pl_admin=EXECUTE/postgres", "public=EXECUTE/postgres")
    assert {one for one in found if one.schema not in ("app", "pg_catalog")} == {
        routine(
            *("ext", "f", "", "postgres", changed),
            extension=True,
            initial=items("pl_admin=EXECUTE/postgres"),
            language="sql",
        )
    }


def test_types_are_those_with_an_acl_of_their_own(planted: Planted) -> None:  # noqa: F811
    by_all = items("public=USAGE/pl_owner")
    wanted = {
        catalog.Type("app", "base", "postgres", "b", items("public=USAGE/postgres")),
        catalog.Type("app", "composite", "pl_owner", "c", by_all),
        catalog.Type("app", "domain", "pl_owner", "d", by_all),
        catalog.Type("app", "enum", "pl_owner", "e", items("pl_reader=USAGE*/pl_owner")),
        catalog.Type("app", "range", "pl_owner", "r", by_all),
        catalog.Type("ext", "e", "postgres", "e", items("public=USAGE/postgres"), extension=True),
    }
    if planted.version < 17:
        wanted.add(catalog.Type("app", "multi", "pl_owner", "m", by_all))
    assert set(planted.objects.types) == wanted
    for one in planted.objects.types:
        planted.server.run(f"GRANT USAGE ON TYPE {one.schema}.{one.name} TO {one.owner}", database="planted")


def test_what_has_no_schema_has_owner_acl_and_origin(planted: Planted) -> None:  # noqa: F811
    named = catalog.Named
    by_all = items("public=USAGE/postgres")
    assert planted.objects.languages == (
        named("c", "postgres", (), system=True),
        named("internal", "postgres", (), system=True),
        named("plpgsql", "postgres", by_all, extension=True, system=True, initial=by_all),
        named("sql", "postgres", items("pl_writer=USAGE/postgres"), system=True, initial=by_all),
    )
    assert planted.objects.wrappers == (
        named("ext_fdw", "postgres", (), extension=True),
        named("fdw", "postgres", items("pl_admin=USAGE*/postgres", "pl_writer=USAGE/pl_admin")),
    )
    assert planted.objects.servers == (
        named("ext_server", "postgres", items("pl_reader=USAGE/postgres"), extension=True),
        named("far", "pl_owner", items("pl_reader=USAGE/pl_owner")),
    )
    assert planted.objects.large_objects == (catalog.LargeObject(4242, "pl_owner", items("pl_reader=SELECT/pl_owner")),)
    assert planted.objects.lo_compat is False


def test_default_acls_without_a_schema_stand_for_what_is_built_in(planted: Planted) -> None:  # noqa: F811
    wanted = {
        catalog.DefaultAcl("pl_owner", None, "f", ()),
        catalog.DefaultAcl("pl_owner", None, "T", items("pl_reader=USAGE/pl_owner", "public=USAGE/pl_owner")),
        catalog.DefaultAcl("pl_owner", "app", "r", items("pl_reader=SELECT*/pl_owner")),
        catalog.DefaultAcl("pl_writer", None, "n", items("public=USAGE/pl_writer")),
    }
    objects = planted.objects
    if planted.version >= 18:
        grant = "ALTER DEFAULT PRIVILEGES FOR ROLE pl_owner GRANT UPDATE ON LARGE OBJECTS TO pl_writer"
        planted.server.run(grant, database="planted")
        wanted.add(catalog.DefaultAcl("pl_owner", None, "L", items("pl_writer=UPDATE/pl_owner")))
        objects = read(planted.server, POLICY, "planted")[1]
    assert set(objects.defaults) == wanted
    assert len(objects.defaults) == len(wanted)


def test_system_relations_are_the_changed_and_the_named(planted: Planted) -> None:  # noqa: F811
    system = catalog.SystemRelation
    everybody = items("public=SELECT/postgres")
    more = items("pl_writer=INSERT/postgres", "public=SELECT/postgres")
    granted = items("pl_reader=SELECT/postgres")
    assert set(planted.objects.system_relations) == {
        system("pg_catalog", "pg_authid", "r", "postgres", granted, ()),
        system("pg_catalog", "pg_subscription", "r", "postgres", granted, (), column="subconninfo"),
        system("pg_catalog", "pg_tables", "v", "postgres", (), everybody),
        system("information_schema", "tables", "v", "postgres", more, everybody),
        system("pg_catalog", "pg_seclabel", "r", "postgres", everybody, everybody),
    }


def test_views_say_what_they_reach_and_how(planted: Planted) -> None:  # noqa: F811
    plain, child = planted.oid("app.plain"), planted.oid("app.child")
    every = frozenset({"INSERT", "UPDATE", "DELETE"})

    def view(name: str, below: int, *writes: str, invoker: bool = False) -> catalog.View:
        return catalog.View(planted.oid(name), invoker, (below,), frozenset(writes))

    hidden = planted.oid("elsewhere.hidden")
    assert set(planted.objects.views) == {
        view("app.names", plain, *every),
        view("app.counted", plain),
        view("app.kept", plain),
        view("app.far", hidden, *every),
        view("app.by_trigger", plain, "UPDATE", "DELETE"),
        view("app.by_other_triggers", plain, "INSERT"),
        view("app.by_rule", plain, "INSERT", "DELETE"),
    }
    assert set(planted.objects.rules) == {
        catalog.Rule(planted.oid("app.own_revoked"), "also", "DELETE", (hidden,)),
        catalog.Rule(planted.oid("app.counted"), "writable", "DELETE", (child,)),
        catalog.Rule(planted.oid("app.by_rule"), "nowhere", "UPDATE", ()),
    }


@pytest.mark.parametrize("value", ["true", "on", "1", "yes", "t"])
def test_security_invoker_is_read_however_it_is_written(planted: Planted, value: str) -> None:  # noqa: F811
    planted.server.run(f"ALTER VIEW app.names SET (security_invoker = {value})", database="planted")
    try:
        _cluster, objects = read(planted.server, POLICY, "planted")
        assert [one.oid for one in objects.views if one.invoker] == [planted.oid("app.names")]
    finally:
        planted.server.run("ALTER VIEW app.names RESET (security_invoker)", database="planted")


def test_triggers_are_there_and_on_partitions_too(planted: Planted) -> None:  # noqa: F811
    def trigger(table: str, name: str, function: str, definer: bool, owner: str, enabled: bool = True) -> t.Any:
        sql = "SELECT %(name)s::regproc::oid"
        ((oid,),) = planted.server.run(
            sql,
            database="planted",
            values={"name": function.split(".")[1] if function.startswith("pg_catalog.") else function},
        )
        return catalog.Trigger(planted.oid(table), name, function, definer, owner, enabled, oid)

    redundant = "pg_catalog.suppress_redundant_updates_trigger"
    assert set(planted.objects.triggers) == {
        trigger("app.by_trigger", "instead", "app.definer", True, "pl_owner"),
        trigger("app.by_other_triggers", "instead", "app.definer", True, "pl_owner"),
        trigger("app.parted", "fires", "app.definer", True, "pl_owner"),
        trigger("app.part", "fires", "app.definer", True, "pl_owner"),
        trigger("app.plain", "off", redundant, False, "postgres", enabled=False),
    }
    assert planted.objects.event_triggers == (
        catalog.EventTrigger("watch", "postgres", "ddl_command_start", "elsewhere.on_ddl", False, "postgres"),
    )


def test_what_leaves_and_enters_by_replication(planted: Planted) -> None:  # noqa: F811
    assert planted.objects.publications == (
        catalog.Publication("everything", "postgres", True),
        catalog.Publication("nothing", "postgres", False),
        catalog.Publication("part", "pl_admin", False, ("app.child", "elsewhere.hidden")),
        catalog.Publication("schemas", "postgres", False, ("bare.*",)),
    )
    assert planted.objects.subscriptions == (catalog.Subscription("inbound", "postgres", False),)
    assert "hunter2" not in repr(planted.objects)
    _cluster, elsewhere = read(planted.server, POLICY, "postgres")
    assert elsewhere.subscriptions == ()
