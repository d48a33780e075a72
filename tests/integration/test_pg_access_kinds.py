"""What exceeds the policy on anything that isn't a table is planted, gone after one run, and a second finds nothing."""

# ruff: noqa: S608
from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import (
    TABLES,
    Host,
    default_policy,
)
from ansible_collections.taaraxtak.production.tests.integration.servers import bindir  # noqa: F401

DENIED = "42501"
T = "provider_marketshare"
OTHER = "ooni_web_connectivity_test"
# Objects of each kind, as somebody makes them who knows nothing of the policy.
OBJECTS = """
CREATE ROLE mallory; CREATE ROLE eve;
CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION granted() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE "P.r"(INOUT a int, b text DEFAULT 'x') LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int);
CREATE AGGREGATE ranked(VARIADIC "any" ORDER BY VARIADIC "any")
  (SFUNC = ordered_set_transition_multi, STYPE = internal, FINALFUNC = rank_final, FINALFUNC_EXTRA, HYPOTHETICAL);
CREATE TYPE mood AS ENUM ('x'); CREATE TYPE pair AS (a int, b int); CREATE TYPE span AS RANGE (SUBTYPE = int);
CREATE DOMAIN "D.m" AS text;
CREATE TRUSTED LANGUAGE own HANDLER plpgsql_call_handler;
CREATE LANGUAGE untrusted HANDLER plpgsql_call_handler;
CREATE FOREIGN DATA WRAPPER w;
CREATE SERVER "far away" FOREIGN DATA WRAPPER w; CREATE SERVER near FOREIGN DATA WRAPPER w;
SELECT lo_create(7001); SELECT lo_create(7002);
"""
GRANTS: list[dict[str, t.Any]] = [
    {"to": "scraper", "on": {"routines": "public.granted"}, "privileges": "execute"},
    {
        "to": "scraper",
        "on": {"routines": {"schema": "public", "name": "total", "arguments": "integer"}},
        "privileges": "execute",
    },
    {"to": "public", "on": {"types": "public.mood"}, "privileges": "usage"},
    {"to": "scraper", "on": {"languages": "own"}, "privileges": "usage"},
    {"to": "scraper", "on": {"foreign_data_wrappers": "w"}, "privileges": "usage", "grant_option": True},
    {"to": "scraper", "on": {"foreign_servers": "far*"}, "privileges": "usage"},
    {"to": "grafanareader", "on": {"large_objects": "7001"}, "privileges": "select"},
    {"to": "scraper", "on": {"tables": f"public.{T}", "columns": ["name"]}, "privileges": "update"},
    {"to": "grafanareader", "on": {"tables": "pg_catalog.pg_file_settings"}, "privileges": "select"},
    {"to": "grafanareader", "on": {"routines": "pg_catalog.pg_show_all_file_settings"}, "privileges": "execute"},
]
# What was planted, and a query that says whether it is still there.
PLANTED = {
    "routines for everybody and for a role": (
        "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO PUBLIC, eve",
        "SELECT bool_or(has_function_privilege('eve', oid, 'EXECUTE')) FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace",
    ),
    "other owners of routines": (
        "ALTER FUNCTION f(int) OWNER TO mallory; ALTER AGGREGATE total(int) OWNER TO scraper;"
        'ALTER AGGREGATE ranked(VARIADIC "any" ORDER BY VARIADIC "any") OWNER TO mallory;'
        'ALTER PROCEDURE "P.r"(int, text) OWNER TO mallory',
        "SELECT bool_or(proowner <> 'taaraxtak_owner'::regrole) FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace",
    ),
    "a third party's grant on a routine": (
        "GRANT USAGE ON SCHEMA public TO mallory; GRANT EXECUTE ON FUNCTION f(int) TO mallory WITH GRANT OPTION;"
        "SET ROLE mallory; GRANT EXECUTE ON FUNCTION f(int) TO eve",
        "SELECT has_function_privilege('eve', 'f(int)', 'EXECUTE')",
    ),
    "types and domains for everybody and for a role": (
        'GRANT USAGE ON TYPE pair, span, "D.m" TO PUBLIC; GRANT USAGE ON TYPE mood TO eve',
        "SELECT has_type_privilege('eve', 'pair', 'USAGE') OR has_type_privilege('eve', '\"D.m\"', 'USAGE')"
        " OR (SELECT 'eve'::regrole IN (SELECT grantee FROM aclexplode(typacl)) FROM pg_type WHERE typname = 'mood')",
    ),
    "other owners of types and domains": (
        'ALTER TYPE mood OWNER TO mallory; ALTER TYPE pair OWNER TO scraper; ALTER DOMAIN "D.m" OWNER TO mallory;'
        "ALTER TYPE span OWNER TO mallory",
        "SELECT bool_or(typowner <> 'taaraxtak_owner'::regrole) FROM pg_type"
        " WHERE typnamespace = 'public'::regnamespace",
    ),
    "a language": (
        "GRANT USAGE ON LANGUAGE own TO PUBLIC, mallory",
        "SELECT has_language_privilege('mallory', 'own', 'USAGE')",
    ),
    "a language of PostgreSQL's own": (
        "GRANT USAGE ON LANGUAGE sql TO mallory WITH GRANT OPTION",
        "SELECT has_language_privilege('mallory', 'sql', 'USAGE WITH GRANT OPTION')",
    ),
    "a foreign data wrapper": (
        "GRANT USAGE ON FOREIGN DATA WRAPPER w TO mallory WITH GRANT OPTION",
        "SELECT has_foreign_data_wrapper_privilege('mallory', 'w', 'USAGE')",
    ),
    "foreign servers": (
        'GRANT USAGE ON FOREIGN SERVER "far away", near TO PUBLIC',
        "SELECT has_server_privilege('mallory', 'far away', 'USAGE') OR has_server_privilege('eve', 'near', 'USAGE')",
    ),
    "large objects": (
        "GRANT ALL ON LARGE OBJECT 7001, 7002 TO PUBLIC; GRANT UPDATE ON LARGE OBJECT 7001 TO grafanareader",
        "SELECT count(*) > 1 FROM pg_largeobject_metadata, aclexplode(lomacl) a WHERE a.grantee <> lomowner",
    ),
    "columns, of which one is granted": (
        f"GRANT UPDATE (id, name), SELECT (name) ON {T} TO scraper; GRANT UPDATE (name) ON {T} TO PUBLIC, eve",
        f"SELECT has_column_privilege('scraper', '{T}', 'id', 'UPDATE')"
        f" OR has_any_column_privilege('eve', '{T}', 'UPDATE')",
    ),
    "a whole table where a column is granted": (
        f"GRANT UPDATE ON {T} TO scraper WITH GRANT OPTION; SET ROLE scraper; GRANT UPDATE (name) ON {T} TO eve",
        f"SELECT has_table_privilege('scraper', '{T}', 'UPDATE') OR has_any_column_privilege('eve', '{T}', 'UPDATE')",
    ),
    "columns where none is granted": (
        f"GRANT SELECT (secret), UPDATE (secret) ON {OTHER} TO PUBLIC, mallory",
        f"SELECT has_any_column_privilege('mallory', '{OTHER}', 'SELECT, UPDATE')",
    ),
    "functions that read files": (
        "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO PUBLIC;"
        "GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint), pg_ls_dir(text) TO grafanareader",
        "SELECT bool_or(has_function_privilege('grafanareader', oid, 'EXECUTE')) FROM pg_proc"
        " WHERE proname IN ('pg_read_file', 'pg_read_binary_file', 'pg_ls_dir')",
    ),
    "functions that make large objects": (
        "GRANT EXECUTE ON FUNCTION lo_from_bytea(oid, bytea), lo_import(text) TO PUBLIC, scraper",
        "SELECT bool_or(has_function_privilege('scraper', oid, 'EXECUTE')) FROM pg_proc WHERE proname LIKE 'lo\\_%'",
    ),
    "tables and columns of PostgreSQL's own": (
        "GRANT SELECT ON pg_authid, pg_statistic TO grafanareader; GRANT SELECT (rolpassword) ON pg_authid TO eve;"
        "GRANT UPDATE ON pg_class TO PUBLIC; GRANT INSERT ON information_schema.sql_features TO eve",
        "SELECT has_table_privilege('grafanareader', 'pg_authid', 'SELECT')"
        " OR has_any_column_privilege('eve', 'pg_authid', 'SELECT') OR has_table_privilege('eve', 'pg_class', 'UPDATE')"
        " OR has_table_privilege('eve', 'information_schema.sql_features', 'INSERT')",
    ),
    # Here initdb gave everybody some columns, which a REVOKE of the table takes along.
    "a table of PostgreSQL's own whose columns are everybody's": (
        "GRANT SELECT ON pg_subscription TO PUBLIC",
        "SELECT has_column_privilege('eve', 'pg_subscription', 'subconninfo', 'SELECT')"
        " OR NOT has_column_privilege('eve', 'pg_subscription', 'subname', 'SELECT')",
    ),
    "default privileges of functions and types": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE taaraxtak_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC;"
        "ALTER DEFAULT PRIVILEGES FOR ROLE taaraxtak_owner GRANT USAGE ON TYPES TO PUBLIC, eve;"
        "ALTER DEFAULT PRIVILEGES FOR ROLE taaraxtak_owner IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO eve",
        "SELECT count(*) > 0 FROM pg_default_acl, aclexplode(defaclacl) a"
        " WHERE defaclobjtype IN ('f', 'T') AND a.grantee <> defaclrole",
    ),
    "default privileges of schemas": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE taaraxtak_owner GRANT CREATE ON SCHEMAS TO mallory",
        "SELECT count(*) > 0 FROM pg_default_acl WHERE defaclobjtype = 'n'",
    ),
}
# Every owner, and all that anybody else may do: what one run has to bring back exactly.
STATE = """
SELECT k, n, o::regrole::text, a.grantee::regrole::text, a.privilege_type, a.is_grantable FROM (
  SELECT 'routine' k, oid::regprocedure::text n, proowner o, coalesce(proacl, acldefault('f', proowner)) acl
  FROM pg_proc WHERE pronamespace = 'public'::regnamespace
  UNION ALL SELECT 'type', oid::regtype::text, typowner, coalesce(typacl, acldefault('T', typowner)) FROM pg_type
  WHERE typnamespace = 'public'::regnamespace AND typtype <> 'b'
  UNION ALL SELECT 'column', attrelid::regclass || '.' || attname, relowner, attacl
  FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE attacl IS NOT NULL
  UNION ALL SELECT 'language', lanname, lanowner, coalesce(lanacl, acldefault('l', lanowner)) FROM pg_language
  UNION ALL SELECT 'wrapper', fdwname, fdwowner, coalesce(fdwacl, acldefault('F', fdwowner))
  FROM pg_foreign_data_wrapper
  UNION ALL SELECT 'server', srvname, srvowner, coalesce(srvacl, acldefault('S', srvowner)) FROM pg_foreign_server
  UNION ALL SELECT 'large object', oid::text, lomowner, coalesce(lomacl, acldefault('L', lomowner))
  FROM pg_largeobject_metadata
) objects LEFT JOIN LATERAL aclexplode(acl) a ON a.grantee <> o
WHERE k <> 'column' OR a.grantee IS NOT NULL
ORDER BY 1, 2, 3, 4, 5
"""


@pytest.fixture(scope="module")
def host(bindir: Path, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Host]:  # noqa: F811
    """A server of each version, under the inventory's policy and grants on one object of each kind."""
    with ScratchCluster(bindir=bindir) as cluster:
        one = Host(Server(cluster), default_policy(), tmp_path_factory.mktemp("host"))
        one.policy["grants"] += GRANTS
        one.apply(missing_objects="skip")
        one.sql(TABLES)
        one.sql(OBJECTS)
        one.apply()
        yield one


@pytest.mark.parametrize("planted", PLANTED)
def test_what_was_planted_is_gone_after_one_run(host, planted):
    plant, still_there = PLANTED[planted]
    before = host.sql(STATE)
    host.sql(plant)
    assert host.sql(still_there) == [(True,)], "the test plants nothing"

    foretold = host.apply(check=True, diff=True)
    done = host.apply(diff=True)
    assert done.changed
    assert done.values["queries"] == foretold.values["queries"]
    assert host.sql(still_there) == [(False,)]
    assert host.sql(STATE) == before
    assert host.apply().values["queries"] == []


def test_everything_planted_at_once_is_gone_after_one_run(host):
    before = host.sql(STATE)
    for plant, _ in PLANTED.values():
        host.sql(plant)
    host.apply()
    assert [name for name, (_, still_there) in PLANTED.items() if host.sql(still_there) != [(False,)]] == []
    assert host.sql(STATE) == before
    assert host.apply().values["queries"] == []


@pytest.mark.parametrize(
    ("user", "sql", "state"),
    [
        ("scraper", "SELECT granted(), total(a) FROM (VALUES (1)) AS v (a)", None),
        ("scraper", "SELECT f(1)", DENIED),
        ("scraper", f"UPDATE {T} SET name = 'x'", None),
        ("scraper", f"UPDATE {T} SET id = 1", DENIED),
        ("scraper", 'CREATE USER MAPPING FOR scraper SERVER "far away"', None),
        ("scraper", "CREATE USER MAPPING FOR scraper SERVER near", DENIED),
        ("grafanareader", "SELECT count(*) FROM pg_file_settings", None),
        ("scraper", "SELECT count(*) FROM pg_file_settings", DENIED),
    ],
)
def test_what_the_policy_grants_works_and_nothing_else_does(host, user, sql, state):
    assert host.refused(sql, user=user) == state


def test_what_the_owner_makes_is_nobody_else_s(host):
    host.sql(
        "SET ROLE taaraxtak_owner; CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE TYPE made_type AS ENUM ('x')"
    )
    try:
        assert host.sql(
            "SELECT has_function_privilege('mallory', 'made()', 'EXECUTE'),"
            " has_type_privilege('mallory', 'made_type', 'USAGE')"
        ) == [(False, False)]
        assert host.apply().values["queries"] == []
    finally:
        host.sql("DROP FUNCTION made; DROP TYPE made_type")


def test_what_comes_of_an_extension_is_left_and_what_was_granted_on_it_is_said(host):
    names = [name for (name,) in host.sql("SELECT name FROM pg_available_extensions")]
    extension = next((name for name in ("pg_trgm", "hstore", "citext") if name in names), None)
    if extension is None:
        pytest.skip("the server has no small extension to install")
    host.sql(f"CREATE EXTENSION {extension}")
    try:
        first = host.apply()
        assert (first.values["queries"], first.values["skipped_objects"]) == ([], [])
        ((routine,),) = host.sql(
            "SELECT objid::regprocedure::text FROM pg_depend WHERE refclassid = 'pg_extension'::regclass"
            " AND classid = 'pg_proc'::regclass AND deptype = 'e' AND refobjid ="
            f" (SELECT oid FROM pg_extension WHERE extname = '{extension}') ORDER BY objid LIMIT 1"
        )
        host.sql(f"GRANT EXECUTE ON ROUTINE {routine} TO mallory")
        then = host.apply()
        assert then.values["queries"] == []
        (skipped,) = then.values["skipped_objects"]
        assert "belongs to an extension" in skipped["why"]
        assert "mallory EXECUTE" in skipped["why"]
    finally:
        host.sql(f"DROP EXTENSION {extension}")


def test_a_column_that_is_not_there_is_said_before_anything_is_changed(host):
    host.sql("SET ROLE taaraxtak_owner; CREATE TABLE late (id int, name text)")
    host.policy["grants"].append(
        {"to": "scraper", "on": {"tables": "public.late", "columns": ["name"]}, "privileges": ["update", "select"]}
    )
    try:
        assert host.apply().changed
        assert host.refused("UPDATE late SET name = 'x' WHERE name = 'y'", user="scraper") is None
        assert host.refused("UPDATE late SET id = 1", user="scraper") == DENIED
        host.policy["grants"][-1]["on"]["columns"] = ["nothing", "name"]
        host.policy["roles"]["newcomer"] = {}
        failed = host.call(check=True)
        assert failed.failed
        assert "column nothing of public.late does not exist" in failed.msg
        assert host.call().failed
        assert host.sql("SELECT FROM pg_roles WHERE rolname = 'newcomer'") == []
        del host.policy["roles"]["newcomer"]
        skipped = host.apply(missing_objects="skip")
        assert [one["what"] for one in skipped.values["skipped_objects"]] == ["column nothing of public.late"]
        assert host.refused("UPDATE late SET name = 'x' WHERE name = 'y'", user="scraper") is None
        # Of a pattern, those tables that have the column; none has the other.
        host.policy["grants"][-1]["on"].update(tables="public.*", columns=["name", "nothing"])
        failed = host.call()
        assert failed.failed
        assert "column nothing of any of public.* does not exist" in failed.msg
        host.policy["grants"][-1]["on"]["columns"] = ["name"]
        host.apply()
        assert host.apply().values["queries"] == []
        assert host.refused("SELECT name FROM shares", user="scraper") is None
    finally:
        host.policy["roles"].pop("newcomer", None)
        host.policy["grants"].pop()
        host.sql("DROP TABLE late")
        host.apply()
    assert host.apply().values["queries"] == []
