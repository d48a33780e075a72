"""The probes on real servers: they tell refused from allowed, wait for nobody and leave nothing."""

from __future__ import annotations

import dataclasses
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access import inspecting, postgres, probing
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.plugins.module_utils.access.probes import probes
from ansible_collections.taaraxtak.production.plugins.module_utils.access.probes.probes import ProbeResult
from ansible_collections.taaraxtak.production.plugins.module_utils.access.probes.sql import Probe, statement
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import policed
from ansible_collections.taaraxtak.production.tests.integration.servers import (  # noqa: F401
    bindir,
    every_server,
)
from psycopg2 import sql

DATABASE = "app"
POLICY: dict[str, t.Any] = {
    "version": 1,
    "scope": {"databases": [DATABASE], "schemas": ["s"]},
    "mode": "authoritative",
    "roles": {
        "owner": {},
        "dba": {"os_users": "alice", "inherit": False, "member_of": "owner"},
        "writer": {"os_users": "collector"},
        "reader": {"os_users": "grafana", "settings": {"default_transaction_read_only": "on"}},
        "dumper": {"os_users": "pgdumper", "bypassrls": True, "member_of": "pg_read_all_data"},
    },
    "owners": {"s": "owner"},
    "public": {"revoke_connect": "all", "revoke_execute": ["pg_catalog.lo_*"]},
    "grants": [
        {"to": ["reader", "dba", "writer", "dumper"], "on": {"database": DATABASE}, "privileges": "connect"},
        {"to": ["reader", "writer"], "on": {"schema": "s"}, "privileges": "usage"},
        {"to": "writer", "on": {"tables": "s.*"}, "privileges": "insert", "future": True},
        {"to": "writer", "on": {"sequences": "s.*"}, "privileges": "usage", "future": True},
        {"to": "reader", "on": {"tables": "s.*"}, "privileges": "select", "future": True},
    ],
}
ROLES = """
CREATE ROLE owner; CREATE ROLE dba LOGIN NOINHERIT IN ROLE owner; CREATE ROLE writer LOGIN; CREATE ROLE reader LOGIN;
CREATE ROLE dumper LOGIN BYPASSRLS IN ROLE pg_read_all_data; ALTER ROLE reader SET default_transaction_read_only = on;
"""
# What applying POLICY makes; written out, so that these tests hang on nothing but the server.
OBJECTS = """
CREATE SCHEMA s AUTHORIZATION owner; GRANT USAGE ON SCHEMA s TO reader, writer;
REVOKE ALL ON DATABASE app FROM PUBLIC; GRANT CONNECT ON DATABASE app TO reader, dba, writer, dumper;
REVOKE EXECUTE ON FUNCTION lo_from_bytea(oid, bytea) FROM PUBLIC;
SET ROLE owner;
ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT INSERT ON TABLES TO writer;
ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT USAGE ON SEQUENCES TO writer;
CREATE TABLE s.one (id serial PRIMARY KEY, note text, twice int GENERATED ALWAYS AS (1) STORED);
CREATE TABLE s."T.""wo" (id int GENERATED ALWAYS AS IDENTITY, "Q r" text);
CREATE TABLE s.parts (id int) PARTITION BY RANGE (id); CREATE TABLE s.part PARTITION OF s.parts DEFAULT;
CREATE VIEW s.looks AS SELECT note FROM s.one; CREATE MATERIALIZED VIEW s.kept AS SELECT 1 AS a;
INSERT INTO s.one (note) VALUES ('a'), ('b'); INSERT INTO s.parts VALUES (1);
RESET ROLE; SELECT lo_from_bytea(0, 'x');
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
"""
UNMADE = ("DROP DATABASE IF EXISTS app WITH (FORCE)", "DROP ROLE IF EXISTS owner, dba, writer, reader, dumper, mallory")
# What could be left: counted in the catalogue and, for rows and sequences, one by one.
REMAINS = """
SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_namespace),
  (SELECT count(*) FROM pg_attribute), (SELECT count(*) FROM pg_type), (SELECT count(*) FROM pg_largeobject_metadata),
  (SELECT count(*) FROM pg_largeobject), (SELECT count(*) FROM pg_depend), (SELECT count(*) FROM pg_shdepend),
  (SELECT count(*) FROM pg_prepared_xacts), (SELECT count(*) FROM pg_default_acl), (SELECT count(*) FROM pg_authid),
  (SELECT count(*) FROM s.one), (SELECT count(*) FROM s."T.""wo"), (SELECT count(*) FROM s.parts),
  (SELECT json_agg((schemaname, sequencename, last_value) ORDER BY sequencename)::text FROM pg_sequences),
  (SELECT json_agg((oid, relacl, relfilenode, relowner) ORDER BY oid)::text FROM pg_class WHERE relkind <> 't'),
  (SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid() AND locktype <> 'virtualxid')
"""


class Probed:
    """A server on which POLICY holds."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.policy = POLICY

    def sql(self, text: str, *, user: str = "postgres") -> list[t.Any]:
        return self.server.run(text, database=DATABASE, user=user)

    def plan(self, **options: t.Any) -> tuple[Probe, ...]:
        policy = parse(self.policy)
        with (
            postgres.session(self.server.login, DATABASE) as connection,
            postgres.snapshot(connection),
        ):
            cluster = postgres.read_cluster(connection)
            objects = inspecting.read_audited(connection, policy, cluster, DATABASE)
        return probes.plan(policy, cluster, objects, **options)

    def run(self, plan: t.Sequence[Probe] | None = None, **options: t.Any) -> tuple[ProbeResult, ...]:
        chosen = self.plan(**options) if plan is None else plan
        return probing.run(self.server.login, DATABASE, chosen)

    def probe(self, what: str, role: str) -> Probe:
        (found,) = (one for one in self.plan(roles=[role], every_table=True) if one.what == what)
        return found

    def result(self, what: str, role: str) -> ProbeResult:
        (found,) = self.run([self.probe(what, role)])
        return found


@pytest.fixture
def probed(every_server: Server) -> t.Iterator[Probed]:  # noqa: F811
    every_server.run(ROLES)
    every_server.run("CREATE DATABASE app")
    try:
        every_server.run(OBJECTS, database=DATABASE)
        yield Probed(every_server)
    finally:
        for statements in UNMADE:
            every_server.run(statements)


def others(results: t.Iterable[ProbeResult], outcome: str = "passed") -> list[tuple[str, str, str, str]]:
    """Those whose outcome is another."""
    return [(one.role, one.what, one.outcome, one.evidence) for one in results if one.outcome != outcome]


def test_where_the_policy_holds_every_probe_passes(probed: Probed) -> None:
    results = probed.run(every_table=True)
    assert others(results) == []
    assert {one.role for one in results} == {"dba", "writer", "reader", "dumper"}
    assert {one.sqlstate for one in results if one.expected == "refused"} == {"42501"}
    assert len(results) > 150


def test_nothing_is_left(probed: Probed) -> None:
    before = probed.sql(REMAINS)
    probed.run(every_table=True)
    assert probed.sql(REMAINS) == before


def test_nothing_is_left_where_everything_is_allowed(probed: Probed) -> None:
    """The worst case: a catalogue that says refused of what then works."""
    probed.sql("ALTER ROLE reader SUPERUSER")
    plan = probed.plan(roles=["reader"], every_table=True)
    lied = [dataclasses.replace(one, guard=statement("SELECT true, 'note'")) for one in plan]
    results = probed.run(lied)
    assert others(results, "not run") == []
    probed.sql("ALTER ROLE reader NOSUPERUSER")
    probed.sql("GRANT owner TO reader")
    probed.sql("GRANT CREATE, TEMP ON DATABASE app TO reader")
    probed.sql("GRANT EXECUTE ON FUNCTION lo_from_bytea(oid, bytea), pg_read_file(text) TO reader")
    probed.sql("GRANT pg_execute_server_program TO reader")
    before = probed.sql(REMAINS)
    failed = {one.what for one in probed.run(lied) if one.outcome == "failed"}
    assert failed >= {
        "TRUNCATE s.one",
        "DELETE on s.one",
        "UPDATE on s.one",
        "INSERT on s.one",
        "ALTER TABLE s.one",
        "LOCK s.one IN EXCLUSIVE MODE",
        "DROP VIEW s.looks",
        "CREATE TABLE in schema s",
        "CREATE SCHEMA",
        "CREATE TEMPORARY TABLE",
        "lo_from_bytea()",
        "pg_read_file()",
        "COPY TO PROGRAM",
        "SET ROLE owner",
    }
    assert probed.sql(REMAINS) == before


def test_what_the_catalogue_allows_is_never_tried(probed: Probed) -> None:
    probed.sql(
        "GRANT TRUNCATE, UPDATE (note) ON s.one TO reader; GRANT CREATE ON SCHEMA s TO reader; GRANT owner TO writer"
    )
    came = {(one.role, one.what): one for one in probed.run(every_table=True)}
    for role, what in (
        ("reader", "TRUNCATE s.one"),
        ("reader", "CREATE TABLE in schema s"),
        ("reader", "LOCK s.one IN EXCLUSIVE MODE"),
        ("writer", "SET ROLE owner"),
        ("writer", "DROP TABLE s.one"),
        ("writer", "ALTER TABLE s.one"),
    ):
        one = came[role, what]
        assert (one.outcome, one.evidence) == (
            "not run",
            "the catalogue allows it, so it isn't tried: see the findings",
        )
    # One column of three is given: the others are still refused.
    assert came["reader", "UPDATE on s.one"].outcome == "passed"


def test_a_probe_whose_guard_says_no_reaches_the_server_with_nothing_else(probed: Probed) -> None:
    """The statement of this one would fail with a division, had it been run."""
    probe = dataclasses.replace(
        probed.probe("TRUNCATE s.one", "reader"),
        guard=statement("SELECT false, NULL"),
        statement=statement("SELECT 1 / 0"),
    )
    (came,) = probed.run([probe])
    assert (came.outcome, came.sqlstate) == ("not run", None)


def test_a_missing_default_privilege_fails(probed: Probed) -> None:
    probed.sql("ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA s REVOKE SELECT ON TABLES FROM reader")
    probed.sql("ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA s REVOKE USAGE ON SEQUENCES FROM writer")
    results = [one for one in probed.run() if one.outcome != "passed"]
    assert {(one.role, one.what, one.outcome, one.sqlstate) for one in results} == {
        ("reader", "SELECT on a table with an identity that owner made in schema s", "failed", "42501"),
        ("writer", "INSERT on a table with a serial that owner made in schema s", "failed", "42501"),
    }


def test_a_missing_grant_fails(probed: Probed) -> None:
    probed.sql("REVOKE SELECT ON s.one FROM reader")
    came = probed.result("SELECT on s.one", "reader")
    assert (came.expected, came.outcome, came.sqlstate) == ("allowed", "failed", "42501")


def test_a_dropped_table_is_no_pass(probed: Probed) -> None:
    plan = [one for one in probed.plan(every_table=True) if "s.kept" in one.what or "s.part " in f"{one.what} "]
    assert plan
    probed.sql("DROP MATERIALIZED VIEW s.kept; DROP TABLE s.part")
    assert others(probed.run(plan), "not run") == []


def test_a_refused_statement_waits_for_no_lock(probed: Probed) -> None:
    """TRUNCATE, DROP, ALTER and LOCK are refused before they lock; DML locks first, and is then not run."""
    plan = [one for one in probed.plan(roles=["reader"], every_table=True) if " s." in one.what]
    holder = probed.server.connect(DATABASE)
    holder.autocommit = False
    try:
        with holder.cursor() as cursor:
            cursor.execute('LOCK s.one, s."T.""wo", s.parts, s.part, s.looks IN ACCESS EXCLUSIVE MODE')
        results = [one for one in probed.run(plan) if "s.kept" not in one.what]
    finally:
        holder.close()
    ddl = [one for one in results if one.what.split()[0] in ("TRUNCATE", "DROP", "ALTER", "LOCK")]
    assert len(ddl) == 4 * 4 + 3
    assert others(ddl) == []
    dml = [one for one in results if one not in ddl]
    assert {(one.outcome, one.sqlstate) for one in dml} == {("not run", "55P03")}


def test_a_statement_that_hangs_is_given_up(probed: Probed) -> None:
    probe = dataclasses.replace(probed.probe("pg_read_file()", "reader"), statement=statement("SELECT pg_sleep(60)"))
    started = time.monotonic()
    (came,) = probing.run(probed.server.login, DATABASE, [probe], statement_timeout="100ms")
    assert (came.outcome, came.sqlstate) == ("not run", "57014")
    assert time.monotonic() - started < 30


def test_read_only_by_default_is_switched_off_first(probed: Probed) -> None:
    probed.server.run("ALTER DATABASE app SET default_transaction_read_only = on")
    probed.server.run("ALTER ROLE postgres SET default_transaction_read_only = on")
    try:
        results = probed.run()
    finally:
        probed.server.run("SET TRANSACTION READ WRITE; ALTER ROLE postgres RESET ALL")
    assert others(results) == []


def test_an_owners_code_that_planning_sets_off_stays_the_probed_role(probed: Probed) -> None:
    """The expression of an index is computed when a query is planned: here it tries to become the superuser."""
    probed.sql("CREATE ROLE mallory; GRANT USAGE, CREATE ON SCHEMA s TO mallory")
    probed.sql("""
        SET ROLE mallory;
        CREATE FUNCTION s.evil(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
        BEGIN
          IF current_user <> 'mallory' THEN
            PERFORM pg_catalog.set_config('session_authorization', 'postgres', false);
          END IF;
          RETURN $1;
        END $$;
        CREATE TABLE s.bait (id int);
        CREATE INDEX ON s.bait ((s.evil(1)));
        GRANT ALL ON s.bait TO PUBLIC;
    """)
    came = probed.result("SELECT on s.bait", "reader")
    # Refused indeed, but not the SELECT: neither a pass nor a failure of the probe.
    assert (came.outcome, came.sqlstate) == ("not run", "42501")
    assert "session_authorization" in came.evidence
    assert came.evidence.startswith("refused within a routine that it runs")


ESCAPE = """
CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO PUBLIC; CREATE TABLE other.who (name text);
CREATE SEQUENCE other.fired; GRANT ALL ON ALL TABLES IN SCHEMA other TO PUBLIC;
GRANT ALL ON SEQUENCE other.fired TO PUBLIC;
CREATE FUNCTION other.watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM nextval('other.fired');
  IF current_setting('application_name') LIKE '%probes%' THEN PERFORM set_config('role', 'none', true); END IF;
END $$;
ALTER FUNCTION other.watch() OWNER TO owner;
"""


@pytest.mark.parametrize("event", ["ddl_command_start", "ddl_command_end"])
@pytest.mark.parametrize("enabled", ["", "ENABLE ALWAYS"])
def test_event_triggers_are_never_fired(probed: Probed, event: str, enabled: str) -> None:
    probed.sql(f"{ESCAPE}; CREATE EVENT TRIGGER watches ON {event} EXECUTE FUNCTION other.watch()")
    if enabled:
        probed.sql(f"ALTER EVENT TRIGGER watches {enabled}")
    try:
        fired = "SELECT last_value, is_called FROM other.fired"
        before = probed.sql(fired)
        results = probed.run()
        assert probed.sql(fired) == before
    finally:
        probed.sql("DROP EVENT TRIGGER watches; DROP SCHEMA other CASCADE")
    old = probed.sql("SELECT current_setting('server_version_num')::int < 170000")[0][0]
    left_out = {one.what for one in results if one.outcome == "not run"}
    if enabled and old:
        # What is no DDL, and needs none, is tried all the same.
        assert {"CREATE SCHEMA", "CREATE TABLE in schema s"} <= left_out
        assert {"DROP", "ALTER", "SELECT", "INSERT"} <= {what.split(" ")[0] for what in left_out}
        assert {one.what for one in results if one.outcome == "passed"} >= {"SET ROLE owner", "COPY TO PROGRAM"}
    else:
        assert others(results) == []


def test_the_role_is_no_superuser_while_it_is_tried(probed: Probed) -> None:
    """As current_user, session_user and is_superuser have it, inside the function that confines it and without."""
    question = statement(
        "SELECT 1 / (current_user = 'reader' AND session_user = 'reader'"
        " AND current_setting('is_superuser') = 'off')::int"
    )
    for user_code in (False, True):
        probe = Probe("reader", DATABASE, "who", "allowed", question, user_code=user_code)
        assert others(probed.run([probe])) == []


def test_a_superuser_is_never_acted_as(probed: Probed) -> None:
    (came,) = probed.run([Probe("postgres", DATABASE, "x", "allowed", statement("SELECT 1"))])
    assert came.outcome == "not run"
    assert came.evidence.startswith("the server did not become the role")


def test_a_lost_connection_leaves_the_rest_not_run(probed: Probed) -> None:
    plan = probed.plan(roles=["reader"])
    dies = dataclasses.replace(plan[1], guard=statement("SELECT pg_terminate_backend(pg_backend_pid()), NULL"))
    results = probed.run([plan[0], dies, *plan[2:]])
    assert results[0].outcome == "passed"
    assert others(results[1:], "not run") == []
    assert results[2].evidence == "the connection was lost"


def test_only_a_superuser_can_probe(probed: Probed) -> None:
    with pytest.raises(ValueError, match="the role dba is no superuser"):
        probing.run({**probed.server.login, "login_user": "dba"}, DATABASE, probed.plan())


def test_a_probe_of_another_database_is_an_error(probed: Probed) -> None:
    with pytest.raises(ValueError, match="plan and run one database at a time"):
        probing.run(probed.server.login, "postgres", probed.plan())


def test_any_name_can_be_probed(probed: Probed) -> None:
    hostile = """o'N"e.I l\\%s;--$$ "public" """
    longest = "Ä" * 31 + "x"
    assert len(longest.encode()) == 63
    probed.sql("SET standard_conforming_strings = on")
    connection = probed.server.connect(DATABASE)
    names = {"who": sql.Identifier(hostile), "long": sql.Identifier(longest), "column": sql.Identifier('c"; x')}
    make = """
        CREATE ROLE {who} LOGIN; CREATE ROLE {long} LOGIN;
        CREATE SCHEMA {who} AUTHORIZATION {long};
        SET ROLE {long};
        CREATE TABLE {who}.{long} ({column} int); CREATE VIEW {who}.{who} AS SELECT * FROM {who}.{long};
        GRANT USAGE ON SCHEMA {who} TO {who}; GRANT UPDATE ({column}) ON {who}.{long} TO {who};
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(make).format(**names))
        probed.policy = {
            **POLICY,
            "scope": {"databases": [DATABASE], "schemas": [hostile]},
            "roles": {longest: {}, hostile: {"os_users": "x"}},
            "owners": {hostile: longest},
            "grants": [
                {"to": hostile, "on": {"schema": hostile}, "privileges": "usage"},
                {
                    "to": hostile,
                    "on": {"tables": {"schema": hostile, "name": longest}, "columns": ['c"; x']},
                    "privileges": "update",
                },
            ],
        }
        results = probed.run()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
            cursor.execute(sql.SQL("DROP SCHEMA {who} CASCADE; DROP ROLE {who}, {long}").format(**names))
        connection.close()
    nothing = [one for one in results if one.evidence == "there is nothing to try it on"]
    # The table's only column is granted.
    assert [one.what.split()[0] for one in nothing] == ["UPDATE"]
    assert others(one for one in results if one not in nothing) == []
    assert [one.what.split()[0] for one in results if one.expected == "allowed"] == ["UPDATE"]


def test_a_standby_tries_what_it_can_and_says_what_it_cannot(bindir: Path) -> None:  # noqa: F811
    with ScratchCluster(bindir=bindir) as cluster:
        server = Server(cluster)
        server.run(ROLES)
        server.run("CREATE DATABASE app")
        server.run(OBJECTS, database=DATABASE)
        cluster.stop()
        # Without a primary: it waits for one for ever, and answers meanwhile.
        (cluster.data / "standby.signal").touch()
        cluster.start()
        probed = Probed(server)
        results = probed.run(every_table=True)
        assert [one for one in results if one.outcome == "failed"] == []
        made = [one for one in results if "that owner made" in one.what]
        assert made
        assert {one.evidence for one in made} == {"a standby can't make the table that it needs"}
        assert {one.outcome for one in made} == {"not run"}
        passed = {one.what for one in results if one.role == "reader" and one.outcome == "passed"}
        assert {"SET ROLE owner", "pg_read_file()", "COPY TO PROGRAM", "INSERT on s.one", "SELECT on s.one"} <= passed
        writes = {one.what: one for one in results if one.role == "reader"}
        for what in ("TRUNCATE s.one", "DROP TABLE s.one", "CREATE TEMPORARY TABLE", "CREATE TABLE in schema s"):
            assert (writes[what].outcome, writes[what].sqlstate) == ("not run", "25006")


def test_on_a_standby_nobodys_code_is_set_off() -> None:
    with ScratchCluster() as cluster:
        server = Server(cluster)
        server.run(ROLES)
        server.run("CREATE DATABASE app")
        server.run(OBJECTS, database=DATABASE)
        server.run("SET ROLE owner; CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", database=DATABASE)
        cluster.stop()
        (cluster.data / "standby.signal").touch()
        cluster.start()
        probed = Probed(server)
        came = probed.result("SELECT on s.one", "reader")
        assert came.outcome == "not run"
        assert "don't belong to superusers" in came.evidence
        assert probed.result("SET ROLE owner", "reader").outcome == "passed"


def test_the_inventorys_own_policy_passes_once_applied(tmp_path: Path) -> None:
    with policed(tmp_path) as host:
        policy = parse(host.policy)
        name = policy.databases[0]
        with postgres.session(host.server.login, name) as connection, postgres.snapshot(connection):
            cluster = postgres.read_cluster(connection)
            plan = probes.plan(policy, cluster, inspecting.read_audited(connection, policy, cluster, name))
        results = probing.run(host.server.login, name, plan)
    assert others(results) == []
    assert {one.role for one in results} == {"dba", "scraper", "grafanareader", "dumper"}
