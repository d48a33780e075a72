"""The audit on real servers: under the policy it finds nothing, and each planted hole gives exactly its findings."""

# ruff: noqa: S608
from __future__ import annotations

import datetime
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access import postgres
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
        objects = postgres.read_objects(connection, read, cluster, DATABASE)
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
