"""How the snapshot is read: it writes nothing; names are hostile, roles gone, objects temporary, servers standbys."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access import inspecting, postgres
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import audited, queries
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import model as catalog
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.acl import AclItem
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.statements import shown
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.model import Grant, Pattern
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster
from ansible_collections.taaraxtak.production.tests.integration.access_reading import (
    POLICY,
    Planted,
    items,
    params,
    planted,  # noqa: F401
    read,
    scope,
)
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.servers import bindir, every_server  # noqa: F401

# Quotes, dots, upper case, spaces, what LIKE and format() read, and 63 bytes with and without unicode.
HOSTILE = (
    '"public"',
    "O'Brien.Sch",
    'dot."quoted".Dot',
    "100%_\\*",
    "%(name)s %s {} $1",
    "ünïcödé-" + "ß" * 24,
    "x" * 63,
    "select",
)


def put(text: str, *names: str) -> str:
    """*text* with each {} replaced by one of *names*, quoted."""
    return text.format(*('"' + name.replace('"', '""') + '"' for name in names))


STATEMENTS = (
    "CREATE SCHEMA {0} AUTHORIZATION {0}",
    "CREATE TABLE {0}.{0} ({0} int)",
    "GRANT SELECT ({0}), INSERT ON {0}.{0} TO {0}",
    "CREATE DOMAIN {0}.d AS int",
    "CREATE FUNCTION {0}.{0}({0} {0}.d) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION {0}.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "CREATE TRIGGER {0} BEFORE INSERT ON {0}.{0} FOR EACH ROW EXECUTE FUNCTION {0}.t()",
    "CREATE POLICY {0} ON {0}.{0} TO {0} USING (true)",
    "CREATE FOREIGN DATA WRAPPER {0}",
    "CREATE SERVER {0} FOREIGN DATA WRAPPER {0}",
    "CREATE PUBLICATION {0} FOR TABLE {0}.{0}",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {0} IN SCHEMA {0} GRANT SELECT ON TABLES TO PUBLIC",
    "ALTER ROLE {0} IN DATABASE {0} SET search_path = {0}",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_is_read_as_it_is(every_server: Server, name: str) -> None:  # noqa: F811
    every_server.run(put("CREATE ROLE {}", name))
    every_server.run(put("CREATE DATABASE {}", name))
    try:
        for text in STATEMENTS:
            every_server.run(put(text, name), database=name)
        cluster, objects = read(every_server, scope(name, revoke_execute=(Pattern(name, name),)), name)
        for one in objects.routines:
            # What was read names the routine, whatever the search_path is.
            revoke = put("REVOKE EXECUTE ON FUNCTION {}.{}", one.schema, one.name) + f"({one.arguments}) FROM PUBLIC"
            every_server.run(revoke, database=name)
    finally:
        every_server.run(put("DROP DATABASE {} WITH (FORCE)", name))
        every_server.run(put("DROP ROLE {}", name))
    assert cluster.roles[name].name == name
    assert cluster.databases[name].owner == "postgres"
    assert catalog.RoleSetting(name, name, "search_path", (name,)) in cluster.settings
    assert {one.name: one.owner for one in objects.schemas.values()} == {name: name}
    (table,) = objects.relations
    assert (table.schema, table.name, table.acl) == (name, name, (AclItem(name, "postgres", "INSERT"),))
    assert table.columns == {name: (AclItem(name, "postgres", "SELECT"),)}
    assert {(one.schema, one.name) for one in objects.types} == {(name, "d")}
    assert {(one.schema, one.name) for one in objects.routines} == {(name, name), (name, "t")}
    assert [(one.name, one.function) for one in objects.triggers] == [(name, shown(name, "t"))]
    assert [(one.name, one.roles) for one in objects.row_policies] == [(name, (name,))]
    assert [one.name for one in (*objects.wrappers, *objects.servers)] == [name, name]
    assert [(one.name, one.tables) for one in objects.publications] == [(name, (shown(name, name),))]
    assert objects.defaults == (catalog.DefaultAcl(name, name, "r", (AclItem("public", name, "SELECT"),)),)


def test_a_pattern_of_like_characters_means_itself(every_server: Server) -> None:  # noqa: F811
    for name in ("a_b", "axb", "a%b", "a\\b"):
        every_server.run(put("CREATE FUNCTION public.{}() RETURNS int LANGUAGE sql AS 'SELECT 1'", name))
    try:
        for wanted in ("a_b", "a%b", "a\\b"):
            policy = scope("none", revoke_execute=(Pattern("public", wanted),))
            assert [one.name for one in read(every_server, policy, "postgres")[1].routines] == [wanted]
        policy = scope("none", revoke_execute=(Pattern("pub*", "a*b"),))
        assert len(read(every_server, policy, "postgres")[1].routines) == 4
    finally:
        for name in ("a_b", "axb", "a%b", "a\\b"):
            every_server.run(put("DROP FUNCTION public.{}()", name))


def test_temporary_objects_are_never_in_scope(every_server: Server) -> None:  # noqa: F811
    connection = every_server.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE passing (id serial); GRANT SELECT ON passing TO PUBLIC")
            cursor.execute("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        everything = (Pattern("*", "f"), Pattern("pg_temp*", "*"))
        _cluster, objects = read(
            every_server, scope("*", "pg_temp*", "pg_toast*", revoke_execute=everything), "postgres"
        )
    finally:
        connection.close()
    assert set(objects.schemas) == {"public"}
    assert objects.relations == ()
    assert objects.routines == ()


def test_a_grantor_that_is_gone_has_its_number(every_server: Server) -> None:  # noqa: F811
    every_server.run("CREATE ROLE held; CREATE ROLE holder; CREATE ROLE leaver SUPERUSER; GRANT held TO holder")
    try:
        ((oid, version),) = every_server.run(
            "SELECT oid, current_setting('server_version_num')::int FROM pg_roles WHERE rolname = 'leaver'"
        )
        # What DROP ROLE leaves before 16; later versions refuse to.
        every_server.run(
            "UPDATE pg_auth_members SET grantor = %(oid)s WHERE member = 'holder'::regrole; DROP ROLE leaver",
            values={"oid": oid},
        )
        cluster, _objects = read(every_server, scope("public"), "postgres")
    finally:
        every_server.run("DELETE FROM pg_auth_members WHERE member = 'holder'::regrole; DROP ROLE held, holder")
    options = (True, True) if version >= 160000 else (None, None)
    assert [one for one in cluster.memberships if one.member == "holder"] == [
        catalog.Membership("held", "holder", str(oid), False, *options)
    ]


def test_a_grantee_and_an_owner_that_are_gone_have_their_numbers(every_server: Server) -> None:  # noqa: F811
    every_server.run("CREATE TABLE left_over (id int)")
    try:
        every_server.run(
            "UPDATE pg_class SET relowner = 999998, relacl = ARRAY[makeaclitem(999999, 999998, 'SELECT', true)]"
            " WHERE relname = 'left_over'"
        )
        _cluster, objects = read(every_server, scope("public"), "postgres")
    finally:
        every_server.run("UPDATE pg_class SET relowner = 10, relacl = NULL WHERE relname = 'left_over'")
        every_server.run("DROP TABLE left_over")
    (table,) = objects.relations
    assert (table.owner, table.acl) == ("999998", items("999999=SELECT*/999998"))


def test_a_database_that_is_half_dropped_allows_no_connections(every_server: Server) -> None:  # noqa: F811
    every_server.run("CREATE DATABASE half")
    try:
        # What an interrupted DROP DATABASE leaves: DATCONNLIMIT_INVALID_DB.
        every_server.run("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half'")
        cluster, _objects = read(every_server, scope("public"), "postgres")
    finally:
        every_server.run("UPDATE pg_database SET datconnlimit = -1 WHERE datname = 'half'")
        every_server.run("DROP DATABASE half")
    assert cluster.databases["half"].allows_connections is False
    assert cluster.databases["postgres"].allows_connections is True


def test_a_system_relation_that_a_grant_names_is_read(every_server: Server) -> None:  # noqa: F811
    grant = Grant(("x",), "tables", frozenset({"SELECT"}), patterns=(Pattern("information_schema", "sql_f*"),))
    _cluster, objects = read(every_server, scope("public", grants=(grant,)), "postgres")
    assert [(one.schema, one.name, one.acl == one.initial) for one in objects.system_relations] == [
        ("information_schema", "sql_features", True)
    ]


def test_a_standby_is_read_and_says_so(bindir: Path) -> None:  # noqa: F811
    with ScratchCluster(bindir=bindir) as cluster:
        server = Server(cluster)
        server.run("CREATE ROLE r; CREATE TABLE public.kept (id int); GRANT SELECT ON public.kept TO r")
        cluster.stop()
        signal = cluster.data / "standby.signal"
        signal.touch()
        if cluster.user:
            shutil.chown(signal, cluster.user)
        cluster.start()
        found, objects = read(server, scope("public"), "postgres")
    assert found.standby is True
    assert [one.acl for one in objects.relations] == [items("r=SELECT/postgres")]


def test_a_read_writes_nothing_and_takes_no_transaction_id(planted: Planted) -> None:  # noqa: F811
    # Vacuumed and read before, so that neither pruning nor hint bits are left to do for whoever reads.
    counters = "SELECT pg_current_wal_insert_lsn()::text, pg_snapshot_xmax(pg_current_snapshot())::text"
    for sql in ("VACUUM", "CHECKPOINT"):
        planted.server.run(sql, database="planted")
    read(planted.server, POLICY, "planted")
    before = planted.server.run(counters, database="planted")
    with postgres.session(params(planted.server), "planted") as connection, postgres.snapshot(connection):
        cluster = postgres.read_cluster(connection)
        inspecting.read_audited(connection, POLICY, cluster, "planted")
        ((assigned,),) = postgres.query(connection, "SELECT pg_current_xact_id_if_assigned()::text")
        rows = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::int FROM pg_stat_xact_all_tables"
        ((changed,),) = postgres.query(connection, rows)
    assert (assigned, changed) == (None, 0)
    assert planted.server.run(counters, database="planted") == before


@pytest.mark.parametrize("database", ["postgres", "planted"])
def test_the_number_of_queries_is_fixed(planted: Planted, monkeypatch: pytest.MonkeyPatch, database: str) -> None:  # noqa: F811
    asked: list[str] = []
    query = postgres.query

    def counted(connection: t.Any, text: str, values: t.Any = None) -> t.Any:
        asked.append(text)
        return query(connection, text, values)

    with postgres.session(params(planted.server), database) as connection, postgres.snapshot(connection):
        cluster = postgres.read_cluster(connection)
        monkeypatch.setattr(postgres, "query", counted)
        monkeypatch.setattr(inspecting, "query", counted)
        postgres.read_objects(connection, POLICY, cluster, database)
        assert len(asked) == queries.count(cluster.version)
        asked.clear()
        inspecting.read_audited(connection, POLICY, cluster, database)
    assert len(asked) == queries.count(cluster.version) + audited.count(cluster.version)


def test_a_role_made_after_the_cluster_was_read_has_its_name(planted: Planted) -> None:  # noqa: F811
    planted.server.run("CREATE ROLE pl_late; GRANT TRIGGER ON app.plain TO pl_late", database="planted")
    try:
        with postgres.session(params(planted.server), "planted") as connection, postgres.snapshot(connection):
            objects = postgres.read_objects(connection, POLICY, planted.cluster, "planted")
        (plain,) = [one for one in objects.relations if one.name == "plain"]
        assert set(plain.acl) - set(planted.relation("app.plain").acl) == set(items("pl_late=TRIGGER/pl_owner"))
    finally:
        planted.server.run("DROP OWNED BY pl_late; DROP ROLE pl_late", database="planted")
