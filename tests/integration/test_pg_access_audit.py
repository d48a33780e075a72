"""The audit on real servers: under the policy it finds nothing, and each planted hole gives exactly its findings."""

# ruff: noqa: S608
from __future__ import annotations

import contextlib
import datetime
import typing as t
from pathlib import Path

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access import inspecting, postgres
from ansible_collections.taaraxtak.production.plugins.module_utils.access.audit.audit import Audit, audit
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import (
    DATABASE,
    TABLES,
    Host,
    default_policy,
)
from ansible_collections.taaraxtak.production.tests.integration.servers import bindir  # noqa: F401

T = "provider_marketshare"
TABLE = f"table public.{T}"
READER = "grafanareader"
OWNER = "taaraxtak_owner"
SAFE = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp"
# Routines of somebody who is neither a superuser nor an owner.
CALLED = (
    "CREATE FUNCTION other.called(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1';"
    " CREATE FUNCTION other.same(text, text) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';"
    " ALTER FUNCTION other.called(text) OWNER TO mallory; ALTER FUNCTION other.same(text, text) OWNER TO mallory"
)
# (rule, role, object, privilege)
Found = tuple[str, str, str, str]


class Hole(t.NamedTuple):
    """What is planted, what is found, what of that an apply leaves, and how that is cleared away."""

    plant: str
    found: set[Found]
    left: frozenset[Found] | set[Found] = frozenset()
    clear: str = ""


def lasting(plant: str, found: set[Found], clear: str) -> Hole:
    """What no apply closes."""
    return Hole(plant, found, found, clear)


def outside(plant: str, found: set[Found], clear: str = "SELECT 1", left: set[Found] | None = None) -> Hole:
    """What lies in a schema out of the scope that everybody may use."""
    schema = "CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO PUBLIC; "
    return Hole(schema + plant, found, found if left is None else left, f"{clear}; DROP SCHEMA other CASCADE")


def excess(role: str, where: str, *privileges: str) -> set[Found]:
    return {("excess-privilege", role, where, privilege) for privilege in privileges}


HOLES = {
    "a table's privilege for the reader": Hole(f"GRANT INSERT ON {T} TO {READER}", excess(READER, TABLE, "INSERT")),
    "a table's privilege for PUBLIC": Hole(f"GRANT INSERT ON {T} TO PUBLIC", excess("public", TABLE, "INSERT")),
    "a column's privilege": Hole(
        f"GRANT UPDATE (name) ON {T} TO {READER}", excess(READER, f"column public.{T}.name", "UPDATE")
    ),
    "a column's privilege under a table's": Hole(
        f"GRANT SELECT (name) ON {T} TO PUBLIC", excess("public", f"column public.{T}.name", "SELECT")
    ),
    "a predefined role": Hole(
        f"GRANT pg_write_all_data TO {READER}", {("excess-membership", READER, "role pg_write_all_data", "MEMBER")}
    ),
    "a grant option": Hole(
        f"GRANT INSERT ON {T} TO scraper WITH GRANT OPTION",
        {("excess-grant-option", "scraper", TABLE, "INSERT WITH GRANT OPTION")},
    ),
    "a chain of grant options": Hole(
        f"GRANT DELETE ON {T} TO mallory WITH GRANT OPTION; GRANT USAGE ON SCHEMA public TO mallory;"
        f" SET ROLE mallory; GRANT DELETE ON {T} TO scraper",
        excess("mallory", TABLE, "DELETE")
        | excess("scraper", TABLE, "DELETE")
        | excess("mallory", "schema public", "USAGE"),
    ),
    "a partitioned table": Hole(
        f"GRANT UPDATE ON measurement TO {READER}", excess(READER, "table public.measurement", "UPDATE")
    ),
    "a SECURITY DEFINER routine for PUBLIC": Hole(
        f"SET ROLE {OWNER}; CREATE FUNCTION wipe() RETURNS void LANGUAGE sql SECURITY DEFINER"
        f" AS 'DELETE FROM public.{T}';"
        " GRANT EXECUTE ON FUNCTION wipe() TO PUBLIC",
        excess("public", "routine public.wipe()", "EXECUTE"),
        clear="DROP FUNCTION wipe()",
    ),
    "CREATE on the schema": Hole(
        f"GRANT CREATE ON SCHEMA public TO {READER}", excess(READER, "schema public", "CREATE")
    ),
    "TEMPORARY for PUBLIC": Hole(
        f"GRANT TEMPORARY ON DATABASE {DATABASE} TO PUBLIC", excess("public", f"database {DATABASE}", "TEMPORARY")
    ),
    "BYPASSRLS": Hole(f"ALTER ROLE {READER} BYPASSRLS", {("role-attribute", READER, f"role {READER}", "BYPASSRLS")}),
    "SUPERUSER": Hole(f"ALTER ROLE {READER} SUPERUSER", {("role-attribute", READER, f"role {READER}", "SUPERUSER")}),
    "default privileges for PUBLIC": Hole(
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} IN SCHEMA public GRANT INSERT ON TABLES TO PUBLIC",
        {("excess-default-privilege", "public", f"new tables public.* of {OWNER}", "INSERT")},
    ),
    "a parameter": Hole(
        f"GRANT SET ON PARAMETER session_preload_libraries TO {READER}",
        excess(READER, "parameter session_preload_libraries", "SET"),
    ),
    "a large object": Hole(
        f"SELECT lo_from_bytea(4711, 'x'); GRANT SELECT, UPDATE ON LARGE OBJECT 4711 TO {READER}",
        excess(READER, "large object 4711", "SELECT", "UPDATE"),
        clear="SELECT lo_unlink(4711)",
    ),
    "writing large objects": Hole(
        "GRANT EXECUTE ON FUNCTION lo_from_bytea(oid, bytea) TO PUBLIC",
        excess("public", "routine pg_catalog.lo_from_bytea(oid, bytea)", "EXECUTE"),
    ),
    "a foreign data wrapper": Hole(
        f"CREATE FOREIGN DATA WRAPPER planted; GRANT USAGE ON FOREIGN DATA WRAPPER planted TO {READER}",
        excess(READER, "foreign data wrapper planted", "USAGE"),
        clear="DROP FOREIGN DATA WRAPPER planted",
    ),
    "a role's search_path": Hole(
        f"ALTER ROLE {READER} SET search_path = pg_temp, public",
        {("role-setting", READER, f"role {READER}", "search_path")},
    ),
    "a setting of all roles": Hole(
        "ALTER ROLE ALL SET session_replication_role = replica",
        {("database-setting", "", "database *", "session_replication_role")},
    ),
    "pg_read_file": Hole(
        f"GRANT EXECUTE ON FUNCTION pg_read_file(text) TO {READER}",
        excess(READER, "routine pg_catalog.pg_read_file(text)", "EXECUTE"),
    ),
    "a table's owner": Hole(f"ALTER TABLE {T} OWNER TO mallory", {("wrong-owner", "mallory", TABLE, "OWNER")}),
    "a writer who owns a sequence": Hole(
        "ALTER SEQUENCE loose OWNER TO scraper", {("wrong-owner", "scraper", "sequence public.loose", "OWNER")}
    ),
    "a writer who owns a partition": Hole(
        "ALTER TABLE measurement_rest OWNER TO scraper",
        {("wrong-owner", "scraper", "table public.measurement_rest", "OWNER")},
    ),
    "a membership": Hole(f"GRANT {OWNER} TO scraper", {("excess-membership", "scraper", f"role {OWNER}", "MEMBER")}),
    "an admin option": Hole(
        f"GRANT {OWNER} TO dba WITH ADMIN OPTION", {("excess-membership", "dba", f"role {OWNER}", "ADMIN")}
    ),
    "an unlisted role that holds a privilege": Hole(
        f"GRANT SELECT ON {T} TO mallory", excess("mallory", TABLE, "SELECT")
    ),
    "a password": Hole("ALTER ROLE scraper PASSWORD 'secret'", {("password", "scraper", "role scraper", "PASSWORD")}),
    "a view with its owner's rights over a forbidden table": lasting(
        f"SET ROLE {OWNER}; CREATE VIEW leak AS SELECT * FROM ip_hostname_mapping",
        {("owner-rights-view", READER, "table public.leak", "SELECT")},
        "DROP VIEW leak",
    ),
    "a view over such a view": lasting(
        f"SET ROLE {OWNER}; CREATE VIEW leak AS SELECT ip FROM ip_hostname_mapping; CREATE VIEW top AS TABLE leak;"
        f" REVOKE SELECT ON leak FROM {READER}; GRANT SELECT ON leak TO {READER}",
        {("owner-rights-view", READER, f"table public.{name}", "SELECT") for name in ("leak", "top")},
        "DROP VIEW top; DROP VIEW leak",
    ),
    "a trigger that writes": lasting(
        f"SET ROLE {OWNER}; CREATE FUNCTION wipe() RETURNS trigger LANGUAGE plpgsql {SAFE}"
        " AS 'BEGIN DELETE FROM public.measurement; RETURN NULL; END';"
        f" CREATE TRIGGER wipes AFTER INSERT ON {T} EXECUTE FUNCTION wipe()",
        {("definer-trigger", "", f"trigger wipes on public.{T}", "TRIGGER")},
        f"DROP TRIGGER wipes ON {T}; DROP FUNCTION wipe()",
    ),
    "a rule that writes": lasting(
        f"SET ROLE {OWNER}; CREATE RULE wipes AS ON INSERT TO {T} DO ALSO DELETE FROM measurement",
        {("rule", "scraper", TABLE, "INSERT")},
        f"DROP RULE wipes ON {T}",
    ),
    "row level security": lasting(
        "ALTER TABLE measurement ENABLE ROW LEVEL SECURITY",
        {("row-security", READER, "table public.measurement", "SELECT")},
        "ALTER TABLE measurement DISABLE ROW LEVEL SECURITY",
    ),
    "a publication": lasting(
        f"CREATE PUBLICATION leak FOR TABLE {T}",
        {("publication", "postgres", "publication leak", "REPLICATION")},
        "DROP PUBLICATION leak",
    ),
    "an event trigger with somebody's function": lasting(
        f"SET ROLE {OWNER}; CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        " RESET ROLE; CREATE EVENT TRIGGER watches ON ddl_command_end EXECUTE FUNCTION watch()",
        {("event-trigger", OWNER, "event trigger watches", "OWNER")},
        "DROP EVENT TRIGGER watches; DROP FUNCTION watch()",
    ),
    "an unlisted role that can log in": lasting(
        "ALTER ROLE mallory LOGIN",
        {("unlisted-role", "mallory", "role mallory", "LOGIN")},
        "ALTER ROLE mallory NOLOGIN",
    ),
    "an unlisted superuser": lasting(
        "ALTER ROLE mallory SUPERUSER LOGIN",
        {("unlisted-role", "mallory", "role mallory", word) for word in ("LOGIN", "SUPERUSER")},
        "ALTER ROLE mallory NOSUPERUSER NOLOGIN",
    ),
    "an unlisted role with CREATEROLE": lasting(
        "ALTER ROLE mallory CREATEROLE",
        {("unlisted-role", "mallory", "role mallory", "CREATEROLE")},
        "ALTER ROLE mallory NOCREATEROLE",
    ),
    "an unlisted role in a predefined one": lasting(
        "GRANT pg_write_all_data TO mallory",
        {("unlisted-membership", "mallory", "role pg_write_all_data", "MEMBER")},
        "REVOKE pg_write_all_data FROM mallory",
    ),
    "an unlisted role that may become a superuser": lasting(
        "GRANT postgres TO mallory",
        {("unlisted-membership", "mallory", "role postgres", "MEMBER")},
        "REVOKE postgres FROM mallory",
    ),
    "an md5 password": lasting(
        f"ALTER ROLE mallory PASSWORD 'md5{'0' * 32}'",
        {("weak-password", "mallory", "role mallory", "PASSWORD")},
        "ALTER ROLE mallory PASSWORD NULL",
    ),
    "an unlisted login role with a setting in one database": Hole(
        f"ALTER ROLE mallory LOGIN; ALTER ROLE mallory IN DATABASE {DATABASE} SET search_path = pg_temp",
        {
            ("unlisted-role", "mallory", "role mallory", "LOGIN"),
            ("role-setting", "mallory", "role mallory", "search_path"),
        },
        {
            ("unlisted-role", "mallory", "role mallory", "LOGIN"),
            ("role-setting", "mallory", "role mallory", "search_path"),
        },
        f"ALTER ROLE mallory IN DATABASE {DATABASE} RESET search_path; ALTER ROLE mallory NOLOGIN",
    ),
    "a materialized view of a forbidden table": lasting(
        f"SET ROLE {OWNER}; CREATE MATERIALIZED VIEW kept AS SELECT * FROM ip_hostname_mapping",
        {("owner-rights-view", READER, "table public.kept", "SELECT")},
        "DROP MATERIALIZED VIEW kept",
    ),
    "an event trigger with a function out of the scope": outside(
        "CREATE FUNCTION other.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        " CREATE EVENT TRIGGER watches ON ddl_command_end EXECUTE FUNCTION other.watch();"
        " ALTER FUNCTION other.watch() OWNER TO mallory",
        {("event-trigger", "mallory", "event trigger watches", "OWNER")},
        "DROP EVENT TRIGGER watches",
    ),
    "a SECURITY DEFINER routine out of the scope": outside(
        f"CREATE FUNCTION other.wipe() RETURNS void LANGUAGE sql {SAFE} AS 'DELETE FROM public.{T}';"
        f" ALTER FUNCTION other.wipe() OWNER TO {OWNER}",
        {("definer-reachable", "public", "routine other.wipe()", "EXECUTE")},
    ),
    "a SECURITY DEFINER routine out of the scope that gives nothing": outside(
        f"CREATE FUNCTION other.idle() RETURNS void LANGUAGE sql {SAFE} AS 'SELECT 1';"
        " ALTER FUNCTION other.idle() OWNER TO mallory",
        set(),
    ),
    "a SECURITY DEFINER routine in a schema that nobody may use": outside(
        f"CREATE FUNCTION other.wipe() RETURNS void LANGUAGE sql {SAFE} AS 'DELETE FROM public.{T}';"
        f" REVOKE EXECUTE ON FUNCTION other.wipe() FROM PUBLIC; GRANT EXECUTE ON FUNCTION other.wipe() TO {READER};"
        " REVOKE USAGE ON SCHEMA other FROM PUBLIC",
        set(),
    ),
    "a view out of the scope over a forbidden table": outside(
        f"CREATE VIEW other.leak AS TABLE ip_hostname_mapping; ALTER VIEW other.leak OWNER TO {OWNER};"
        f" CREATE VIEW other.top AS TABLE other.leak; ALTER VIEW other.top OWNER TO {OWNER};"
        f" GRANT SELECT, DELETE ON other.top TO {READER}",
        {("owner-rights-view", READER, "table other.top", word) for word in ("SELECT", "DELETE")},
    ),
    "a view out of the scope with its invoker's rights": outside(
        f"CREATE VIEW other.same WITH (security_invoker) AS TABLE ip_hostname_mapping;"
        f" ALTER VIEW other.same OWNER TO {OWNER}; GRANT SELECT ON other.same TO {READER}",
        set(),
    ),
    "a parent out of the scope": outside(
        f"CREATE TABLE other.parent (id int, ip text); ALTER TABLE other.parent OWNER TO {OWNER};"
        f" SET ROLE {OWNER}; ALTER TABLE ip_hostname_mapping INHERIT other.parent;"
        f" GRANT DELETE ON other.parent TO {READER}",
        {("inheritance", READER, "table other.parent", "DELETE")},
        "ALTER TABLE ip_hostname_mapping NO INHERIT other.parent",
    ),
    "a partition out of the scope": outside(
        f"CREATE TABLE other.part (at timestamptz, value int); ALTER TABLE other.part OWNER TO {OWNER};"
        " ALTER TABLE measurement ATTACH PARTITION other.part FOR VALUES FROM ('2000-01-01') TO ('2001-01-01');"
        f" GRANT SELECT, DELETE ON other.part TO {READER}",
        {("inheritance", READER, "table other.part", "DELETE")},
        "ALTER TABLE measurement DETACH PARTITION other.part",
    ),
    "a partition out of the scope that is somebody else's": outside(
        "CREATE TABLE other.part (at timestamptz, value int); ALTER TABLE other.part OWNER TO mallory;"
        " ALTER TABLE measurement ATTACH PARTITION other.part FOR VALUES FROM ('2000-01-01') TO ('2001-01-01');"
        f" ALTER ROLE mallory LOGIN; GRANT CONNECT ON DATABASE {DATABASE} TO mallory",
        {
            ("excess-privilege", "mallory", f"database {DATABASE}", "CONNECT"),
            ("unlisted-role", "mallory", "role mallory", "LOGIN"),
            *(("inheritance", "mallory", "table other.part", "OWNER"),),
        },
        "ALTER TABLE measurement DETACH PARTITION other.part; ALTER ROLE mallory NOLOGIN",
        left={("unlisted-role", "mallory", "role mallory", "LOGIN")},
    ),
    "a foreign key to a table out of the scope": outside(
        f"CREATE TABLE other.key (id int PRIMARY KEY); ALTER TABLE other.key OWNER TO {OWNER};"
        " ALTER TABLE ip_hostname_mapping ADD COLUMN k int CONSTRAINT kept REFERENCES other.key ON DELETE CASCADE;"
        f" GRANT SELECT, UPDATE, DELETE ON other.key TO {READER}",
        {("foreign-key", READER, "table other.key", "DELETE")},
        "ALTER TABLE ip_hostname_mapping DROP COLUMN k",
    ),
    "a trigger out of the scope that writes into it": outside(
        f"CREATE TABLE other.queue (id int); GRANT INSERT ON other.queue TO {READER};"
        f" CREATE FUNCTION other.wipe() RETURNS trigger LANGUAGE plpgsql {SAFE}"
        f" AS 'BEGIN DELETE FROM public.{T}; RETURN NULL; END';"
        " CREATE TRIGGER wipes AFTER INSERT ON other.queue EXECUTE FUNCTION other.wipe();"
        " REVOKE EXECUTE ON FUNCTION other.wipe() FROM PUBLIC",
        {("definer-trigger", "", "trigger wipes on other.queue", "TRIGGER")},
    ),
    "a DEFAULT that calls somebody's routine": outside(
        f"{CALLED}; ALTER TABLE {T} ALTER name SET DEFAULT other.called('x')",
        {("foreign-code", "mallory", TABLE, "DEFAULT")},
        f"ALTER TABLE {T} ALTER name DROP DEFAULT",
    ),
    "a CHECK that calls somebody's operator": outside(
        f"{CALLED}; CREATE OPERATOR other.=== (FUNCTION = other.same, LEFTARG = text, RIGHTARG = text);"
        f" ALTER TABLE {T} ADD CONSTRAINT calls CHECK (name OPERATOR(other.===) name)",
        {("foreign-code", "mallory", TABLE, "CHECK")},
        f"ALTER TABLE {T} DROP CONSTRAINT calls",
    ),
    "an index that calls somebody's routine": outside(
        f"{CALLED}; CREATE INDEX calls ON {T} (other.called(name))",
        {("foreign-code", "mallory", TABLE, "INDEX")},
        "DROP INDEX calls",
    ),
    "a row policy that calls somebody's routine": outside(
        f"{CALLED}; CREATE POLICY calls ON {T} USING (other.called(name) IS NULL)",
        {("foreign-code", "mallory", TABLE, "POLICY")},
        f"DROP POLICY calls ON {T}",
    ),
    "a view that calls somebody's routine": outside(
        f"{CALLED}; CREATE VIEW calls AS SELECT other.called(name) FROM {T}; ALTER VIEW calls OWNER TO {OWNER}",
        {
            ("foreign-code", "mallory", "table public.calls", "RULE"),
            ("missing-privilege", READER, "table public.calls", "SELECT"),
            ("missing-privilege", "scraper", "table public.calls", "INSERT"),
        },
        "DROP VIEW calls",
        left={("foreign-code", "mallory", "table public.calls", "RULE")},
    ),
    "a DEFAULT that calls the owner's routine": outside(
        f"{CALLED}; ALTER FUNCTION other.called(text) OWNER TO {OWNER};"
        f" ALTER TABLE {T} ALTER name SET DEFAULT other.called('x')",
        set(),
        f"ALTER TABLE {T} ALTER name DROP DEFAULT",
    ),
    "large objects without checks": Hole(
        f"ALTER DATABASE {DATABASE} SET lo_compat_privileges = on",
        {("database-setting", "", f"database {DATABASE}", "lo_compat_privileges")},
    ),
}
# Since 16 a membership says whether it is inherited, and whether SET ROLE may be used.
OPTIONS = {
    "a membership for SET ROLE only": Hole(
        f"GRANT {OWNER} TO scraper WITH INHERIT FALSE, SET TRUE",
        {("excess-membership", "scraper", f"role {OWNER}", "MEMBER")},
    ),
    "a membership that is inherited only": Hole(
        f"GRANT {OWNER} TO scraper WITH INHERIT TRUE, SET FALSE",
        {("excess-membership", "scraper", f"role {OWNER}", "MEMBER")},
    ),
    "an option of a membership": Hole(
        f"GRANT {OWNER} TO dba WITH INHERIT TRUE", {("excess-membership", "dba", f"role {OWNER}", "INHERIT")}
    ),
}


@pytest.fixture(scope="module")
def host(bindir: Path, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Host]:  # noqa: F811
    with ScratchCluster(bindir=bindir, settings={"autovacuum": "off"}) as cluster:
        # Left, so that what the audit says of unlisted roles is seen; another test disables them.
        policy = {**default_policy(), "unlisted_roles": "leave"}
        one = Host(Server(cluster), policy, tmp_path_factory.mktemp("host"))
        one.apply(missing_objects="skip")
        one.sql(TABLES)
        one.apply()
        one.sql("CREATE ROLE mallory")
        yield one


def look(host: Host, policy: dict[str, t.Any] | None = None, today: datetime.date = datetime.date(2026, 1, 1)) -> Audit:
    read = parse(policy or host.policy)
    with postgres.session(host.server.login, DATABASE) as connection, postgres.snapshot(connection):
        cluster = postgres.read_cluster(connection)
        objects = inspecting.read_audited(connection, read, cluster, DATABASE)
    return audit(read, cluster, {DATABASE: objects}, today=today)


def found(done: Audit) -> set[Found]:
    return {(one.rule, one.role, one.object, one.privilege) for one in done.findings}


def since(host: Host, version: int) -> bool:
    return bool(host.sql("SELECT current_setting('server_version_num')::int")[0][0] >= version)


@pytest.mark.parametrize("name", [*HOLES, *OPTIONS])
def test_a_hole_gives_exactly_its_findings_and_an_apply_closes_what_is_in_scope(host: Host, name: str) -> None:
    hole = HOLES.get(name) or OPTIONS[name]
    if name in OPTIONS and not since(host, 160000):
        pytest.skip("memberships have options since 16")
    assert found(look(host)) == set()
    host.sql(hole.plant)
    try:
        done = look(host)
        assert found(done) == hole.found
        ids = {one.id for one in done.findings}
        for assertion in done.assertions:
            assert assertion.passed == (not assertion.violations)
            # Every violation leads through one of those holes.
            assert all(set(one.findings) & ids for one in assertion.violations)
        host.apply()
        assert found(look(host)) == hole.left
    finally:
        host.sql(hole.clear or "SELECT 1")
    assert found(look(host)) == set()


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("a table's privilege for the reader", {"only-writer", "reader-reads-only"}),
        ("a column's privilege", {"only-writer", "reader-reads-only"}),
        ("a predefined role", {"only-writer", "only-dba-deletes", "reader-reads-only"}),
        ("a SECURITY DEFINER routine for PUBLIC", {"only-writer", "only-dba-deletes", "reader-reads-only"}),
        ("CREATE on the schema", {"reader-reads-only"}),
        ("TEMPORARY for PUBLIC", {"reader-reads-only"}),
        ("writing large objects", {"reader-reads-only"}),
        ("a large object", {"reader-reads-only"}),
        ("a writer who owns a partition", {"only-dba-deletes"}),
        ("a membership", {"only-dba-deletes"}),
        ("a trigger that writes", {"only-dba-deletes"}),
        ("a rule that writes", {"only-dba-deletes"}),
        ("SUPERUSER", {"only-writer", "only-dba-deletes", "reader-reads-only"}),
        ("a SECURITY DEFINER routine out of the scope", {"only-writer", "only-dba-deletes", "reader-reads-only"}),
        ("a view out of the scope over a forbidden table", {"only-writer", "only-dba-deletes", "reader-reads-only"}),
        ("a parent out of the scope", {"only-writer", "only-dba-deletes", "reader-reads-only"}),
        ("a partition out of the scope", {"only-writer", "only-dba-deletes", "reader-reads-only"}),
        ("a foreign key to a table out of the scope", {"only-writer", "only-dba-deletes", "reader-reads-only"}),
        ("a trigger out of the scope that writes into it", {"only-writer", "only-dba-deletes", "reader-reads-only"}),
        ("large objects without checks", {"reader-reads-only"}),
        ("a grant option", set()),
        ("a role's search_path", set()),
    ],
)
def test_an_assertion_is_broken_by_any_path(host: Host, name: str, broken: set[str]) -> None:
    hole = HOLES[name]
    host.sql(hole.plant)
    try:
        assert {one.id for one in look(host).assertions if not one.passed} == broken
    finally:
        host.apply()
        host.sql(hole.clear or "SELECT 1")


def test_a_finding_s_remedy_mends_it(host: Host) -> None:
    for name in ("a table's privilege for PUBLIC", "a column's privilege", "a chain of grant options", "a password"):
        host.sql(HOLES[name].plant)
        for finding in look(host).findings:
            host.sql(finding.remedy)
        assert found(look(host)) == set(), name


# What has no remedy but a sentence: whoever sets the password has to do it again.
SENTENCES = {"weak-password"}


@pytest.mark.parametrize("name", [name for name, hole in HOLES.items() if hole.left])
def test_the_remedy_of_what_no_apply_closes_is_sql_that_closes_it(host: Host, name: str) -> None:
    hole = HOLES[name]
    host.sql(hole.plant)
    try:
        ids = set()
        for finding in look(host).findings:
            if finding.rule not in SENTENCES:
                ids.add(finding.id)
                host.sql(finding.remedy)
        assert not ids & {one.id for one in look(host).findings}
    finally:
        for statement in hole.clear.split("; "):
            # The remedy may have done it.
            with contextlib.suppress(psycopg2.Error):
                host.sql(statement)
        host.apply()
    assert found(look(host)) == set()


@pytest.mark.parametrize("role", ["pg_execute_server_program", "pg_write_server_files", "pg_read_server_files"])
def test_who_may_use_the_server_s_files_and_programs_reads_and_maybe_writes_everything(host: Host, role: str) -> None:
    policy = {**default_policy(), "unlisted_roles": "leave"}
    policy["roles"]["filer"] = {"os_users": "filer", "member_of": [role]}
    policy["grants"].append({"to": ["filer"], "on": {"database": DATABASE}, "privileges": ["connect"]})
    policy["assertions"] = [
        {"id": "nobody-reads", "tables": f"public.{T}", "readers": ["dba", "dumper", "scraper", READER]},
        {"id": "nobody-writes", "tables": f"public.{T}", "writers": ["dba", "scraper"]},
    ]
    host.apply(policy=policy)
    try:
        done = look(host, policy)
        expected = {("assertion", "filer", "assertion nobody-reads", "readers")}
        if role != "pg_read_server_files":
            # One path is one finding, whatever it breaks.
            assert {one.id for one in done.assertions if not one.passed} == {"nobody-reads", "nobody-writes"}
        else:
            assert {one.id for one in done.assertions if not one.passed} == {"nobody-reads"}
        assert found(done) == expected
        assert done.findings[0].path[:2] == ("filer", f"member of {role}")
    finally:
        host.apply()
        host.sql("DROP OWNED BY filer; DROP ROLE filer")


@pytest.mark.parametrize("word", ["SELECT", "UPDATE", "DELETE", "TRUNCATE", "INSERT"])
def test_an_assertion_about_a_partition_is_broken_by_its_parent_s_privileges(host: Host, word: str) -> None:
    """And the other way round: a partition's rows are its parent's."""
    for granted, asserted in (("measurement", "measurement_rest"), ("measurement_rest", "measurement")):
        policy = {**default_policy(), "unlisted_roles": "leave"}
        policy["roles"]["extra"] = {"os_users": "extra"}
        policy["grants"] += [
            {"to": ["extra"], "on": {"database": DATABASE}, "privileges": ["connect"]},
            {"to": ["extra"], "on": {"schema": "public"}, "privileges": ["usage"]},
            {"to": ["extra"], "on": {"tables": f"public.{granted}"}, "privileges": [word.lower()]},
        ]
        key = {"SELECT": "readers", "DELETE": "deleters", "TRUNCATE": "deleters"}.get(word, "writers")
        known = ["dba", "dumper", READER] if key == "readers" else ["dba", "scraper"]
        policy["assertions"] = [{"id": "nobody", "tables": f"public.{asserted}", key: known}]
        host.apply(policy=policy)
        try:
            done = look(host, policy)
            assert found(done) == {("assertion", "extra", "assertion nobody", key)}
            (violation,) = done.assertions[0].violations
            assert violation.objects == (f"table public.{asserted}",)
            assert violation.privileges == (word,)
            child = "partition public.measurement_rest of public.measurement"
            rows = "rows of public.measurement in its partition public.measurement_rest"
            assert violation.path == ("extra", child if granted == "measurement" else rows)
        finally:
            host.apply()
            host.sql("DROP OWNED BY extra; DROP ROLE extra")


def test_an_owner_s_publication_that_the_policy_ignores_is_meant(host: Host) -> None:
    policy = {**host.policy, "ignore": {"roles": ["mallory"]}}
    host.sql(f"CREATE PUBLICATION meant FOR TABLE {T}; ALTER PUBLICATION meant OWNER TO mallory")
    try:
        assert found(look(host)) == {
            ("publication", "mallory", "publication meant", "REPLICATION"),
            ("foreign-owner", "mallory", "publication meant", "OWNER"),
        }
        assert found(look(host, policy)) == set()
    finally:
        host.sql("DROP PUBLICATION meant")


def test_a_schema_that_the_policy_ignores_is_not_looked_at(host: Host) -> None:
    hole = HOLES["a SECURITY DEFINER routine out of the scope"]
    host.sql(hole.plant)
    try:
        assert found(look(host)) == hole.found
        assert found(look(host, {**host.policy, "ignore": {"schemas": ["oth*"]}})) == set()
    finally:
        host.sql(hole.clear)


def test_an_exception_counts_until_its_last_day_and_is_said_then(host: Host) -> None:
    policy = {**default_policy(), "unlisted_roles": "leave"}
    last = datetime.date(2026, 6, 30)
    policy["assertions"][0]["allow"][0] = {"role": "dba", "reason": "corrective actions", "expires": str(last)}
    before = look(host, policy, last)
    assert before.passed
    after = look(host, policy, last + datetime.timedelta(days=1))
    assert [one.rule for one in after.findings] == ["assertion"]
    (finding,) = after.findings
    assert (finding.role, finding.object) == ("dba", "assertion only-writer")
    assert finding.path == ("dba", f"SET ROLE {OWNER}", "owner")
    assert finding.exception == f"expired on {last}: corrective actions"
    assert [one.role for one in after.assertions[0].expired] == ["dba"]


def test_what_the_policy_itself_gives_against_an_assertion_is_one_finding(host: Host) -> None:
    policy = {**default_policy(), "unlisted_roles": "leave"}
    policy["grants"].append({"to": [READER], "on": {"tables": f"public.{T}"}, "privileges": ["delete"]})
    host.sql(f"GRANT DELETE ON {T} TO {READER}")
    try:
        done = look(host, policy)
        assert found(done) == {("assertion", READER, "assertion only-writer", "writers")}
        assert {one.id for one in done.assertions if not one.passed} == {
            "only-writer",
            "only-dba-deletes",
            "reader-reads-only",
        }
    finally:
        host.apply()


def test_an_unlisted_role_that_is_to_be_disabled_is_drift(host: Host) -> None:
    policy = {**default_policy(), "unlisted_roles": "disable"}
    host.sql("ALTER ROLE mallory LOGIN SUPERUSER; GRANT pg_write_all_data TO mallory")
    assert found(look(host, policy)) == {
        ("role-attribute", "mallory", "role mallory", "LOGIN"),
        ("role-attribute", "mallory", "role mallory", "SUPERUSER"),
        ("excess-membership", "mallory", "role pg_write_all_data", "MEMBER"),
    }
    host.apply(policy=policy)
    assert found(look(host, policy)) == set()


def test_findings_are_the_same_in_every_run(host: Host) -> None:
    host.sql(HOLES["a SECURITY DEFINER routine for PUBLIC"].plant)
    try:
        first, second = look(host), look(host)
        assert [one.as_dict() for one in first.findings] == [one.as_dict() for one in second.findings]
        assert [one.as_dict() for one in first.assertions] == [one.as_dict() for one in second.assertions]
    finally:
        host.sql("DROP FUNCTION wipe()")
