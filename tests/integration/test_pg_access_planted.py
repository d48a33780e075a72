"""What exceeds the policy, planted by every way there is, is gone after one run, and a second finds nothing."""

# ruff: noqa: S608
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import Host, policed

T = "provider_marketshare"
# What was planted, and a query that says whether it is still there.
PLANTED = {
    "a table's privilege for PUBLIC": (
        f"GRANT INSERT ON {T} TO PUBLIC",
        f"SELECT has_table_privilege('mallory', '{T}', 'INSERT')",
    ),
    "a table's privilege for a role of the policy": (
        f"GRANT UPDATE, TRUNCATE ON {T} TO scraper",
        f"SELECT has_table_privilege('scraper', '{T}', 'UPDATE, TRUNCATE')",
    ),
    "a table's privilege for another role": (
        f"GRANT SELECT ON {T} TO mallory",
        f"SELECT has_table_privilege('mallory', '{T}', 'SELECT')",
    ),
    "an excepted table": (
        "GRANT SELECT ON ip_hostname_mapping TO grafanareader",
        "SELECT has_table_privilege('grafanareader', 'ip_hostname_mapping', 'SELECT')",
    ),
    "a view's privilege": (
        "GRANT INSERT ON shares TO grafanareader",
        "SELECT has_table_privilege('grafanareader', 'shares', 'INSERT')",
    ),
    "a partitioned table's and a partition's privilege": (
        "GRANT DELETE ON measurement, measurement_rest TO scraper",
        "SELECT has_table_privilege('scraper', 'measurement', 'DELETE')"
        " OR has_table_privilege('scraper', 'measurement_rest', 'DELETE')",
    ),
    "a column's privilege": (
        f"GRANT UPDATE (name), SELECT (id) ON {T} TO grafanareader, PUBLIC",
        f"SELECT has_any_column_privilege('mallory', '{T}', 'SELECT, UPDATE')",
    ),
    "a grant option on what is granted": (
        f"GRANT INSERT ON {T} TO scraper WITH GRANT OPTION",
        f"SELECT has_table_privilege('scraper', '{T}', 'INSERT WITH GRANT OPTION')",
    ),
    "a third party's grant": (
        f"GRANT SELECT, UPDATE ON {T} TO mallory WITH GRANT OPTION; GRANT USAGE ON SCHEMA public TO mallory;"
        f"SET ROLE mallory; GRANT UPDATE ON {T} TO eve WITH GRANT OPTION; GRANT SELECT ON {T} TO grafanareader;"
        f"RESET ROLE; GRANT USAGE ON SCHEMA public TO eve; SET ROLE eve; GRANT UPDATE ON {T} TO scraper, PUBLIC;",
        f"SELECT has_table_privilege('scraper', '{T}', 'UPDATE') OR has_table_privilege('mallory', '{T}', 'SELECT')",
    ),
    "a third party's grant on a column, by the table's grant option": (
        f"GRANT SELECT ON {T} TO mallory WITH GRANT OPTION; GRANT USAGE ON SCHEMA public TO mallory;"
        f"SET ROLE mallory; GRANT SELECT (name) ON {T} TO scraper, eve",
        f"SELECT has_any_column_privilege('eve', '{T}', 'SELECT')",
    ),
    "a grant whose grantor has lost its own": (
        f"GRANT SELECT ON {T} TO mallory WITH GRANT OPTION; GRANT USAGE ON SCHEMA public TO mallory;"
        f"SET ROLE mallory; GRANT SELECT (name) ON {T} TO eve; RESET ROLE;"
        f"REVOKE ALL ON {T} FROM mallory CASCADE; REVOKE USAGE ON SCHEMA public FROM mallory",
        f"SELECT has_any_column_privilege('eve', '{T}', 'SELECT')",
    ),
    "a sequence's privilege": (
        "GRANT UPDATE ON SEQUENCE loose TO scraper; GRANT USAGE ON provider_marketshare_id_seq TO PUBLIC",
        "SELECT has_sequence_privilege('scraper', 'loose', 'UPDATE')"
        " OR has_sequence_privilege('mallory', 'provider_marketshare_id_seq', 'USAGE')",
    ),
    "a schema's privileges": (
        "GRANT CREATE ON SCHEMA public TO scraper; GRANT USAGE ON SCHEMA public TO PUBLIC",
        "SELECT has_schema_privilege('scraper', 'public', 'CREATE')"
        " OR has_schema_privilege('mallory', 'public', 'USAGE')",
    ),
    "a database's privileges": (
        "GRANT ALL ON DATABASE taaraxtak TO scraper; GRANT TEMPORARY ON DATABASE taaraxtak TO PUBLIC",
        "SELECT has_database_privilege('scraper', 'taaraxtak', 'CREATE')"
        " OR has_database_privilege('mallory', 'taaraxtak', 'TEMPORARY')",
    ),
    "PUBLIC in a database out of scope": (
        "GRANT CONNECT ON DATABASE template1 TO PUBLIC",
        "SELECT has_database_privilege('mallory', 'template1', 'CONNECT')",
    ),
    "a third party's grant to PUBLIC in a database out of scope": (
        "GRANT CONNECT ON DATABASE postgres TO mallory WITH GRANT OPTION; SET ROLE mallory;"
        "GRANT CONNECT ON DATABASE postgres TO PUBLIC",
        "SELECT has_database_privilege('eve', 'postgres', 'CONNECT')",
    ),
    "default privileges for PUBLIC in the schema": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE taaraxtak_owner IN SCHEMA public GRANT DELETE ON TABLES TO PUBLIC",
        "SELECT count(*) > 0 FROM pg_default_acl, aclexplode(defaclacl) a WHERE a.grantee = 0",
    ),
    "default privileges for PUBLIC everywhere": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE taaraxtak_owner GRANT DELETE ON TABLES TO PUBLIC, mallory",
        "SELECT count(*) > 0 FROM pg_default_acl WHERE defaclnamespace = 0 AND defaclobjtype = 'r'",
    ),
    "default privileges of a superuser": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT INSERT ON TABLES TO PUBLIC",
        "SELECT count(*) > 0 FROM pg_default_acl WHERE defaclnamespace = 0 AND defaclobjtype = 'r'",
    ),
    "default privileges with grant option, of another creator": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE mallory IN SCHEMA public GRANT ALL ON TABLES TO eve WITH GRANT OPTION;"
        "ALTER DEFAULT PRIVILEGES FOR ROLE taaraxtak_owner IN SCHEMA public"
        " GRANT INSERT ON TABLES TO scraper WITH GRANT OPTION",
        "SELECT count(*) > 0 FROM pg_default_acl, aclexplode(defaclacl) a"
        " WHERE a.is_grantable OR a.grantee = 'eve'::regrole",
    ),
    "large objects": (
        "GRANT EXECUTE ON FUNCTION lo_from_bytea(oid, bytea) TO PUBLIC; GRANT EXECUTE ON FUNCTION lo_unlink TO scraper",
        "SELECT has_function_privilege('mallory', 'lo_from_bytea(oid, bytea)', 'EXECUTE')"
        " OR has_function_privilege('scraper', 'lo_unlink(oid)', 'EXECUTE')",
    ),
    "a membership of a role of the policy": (
        "GRANT taaraxtak_owner TO scraper; GRANT pg_write_all_data TO grafanareader",
        "SELECT pg_has_role('scraper', 'taaraxtak_owner', 'MEMBER')"
        " OR pg_has_role('grafanareader', 'pg_write_all_data', 'MEMBER')",
    ),
    "a member of a role of the policy": (
        "GRANT taaraxtak_owner TO mallory; GRANT scraper TO eve WITH ADMIN OPTION",
        "SELECT pg_has_role('mallory', 'taaraxtak_owner', 'MEMBER') OR pg_has_role('eve', 'scraper', 'MEMBER')",
    ),
    "an admin option": (
        "GRANT taaraxtak_owner TO dba WITH ADMIN OPTION; GRANT CONNECT ON DATABASE postgres TO dba; SET ROLE dba;"
        "GRANT taaraxtak_owner TO mallory; RESET ROLE; REVOKE CONNECT ON DATABASE postgres FROM dba",
        "SELECT bool_or(admin_option) OR pg_has_role('mallory', 'taaraxtak_owner', 'MEMBER') FROM pg_auth_members"
        " WHERE member = 'dba'::regrole",
    ),
    "role settings": (
        "ALTER ROLE grafanareader SET statement_timeout = 0;"
        "ALTER ROLE grafanareader SET search_path = pg_temp, public;"
        "ALTER ROLE scraper SET session_replication_role = replica;"
        "ALTER ROLE grafanareader IN DATABASE taaraxtak SET default_transaction_read_only = off",
        "SELECT count(*) <> 1 OR bool_or(setdatabase <> 0) FROM pg_db_role_setting",
    ),
    "a password": (
        "ALTER ROLE scraper PASSWORD 'secret'; ALTER ROLE taaraxtak_owner PASSWORD 'secret'",
        "SELECT count(*) > 0 FROM pg_authid WHERE rolpassword IS NOT NULL",
    ),
    "role attributes": (
        "ALTER ROLE scraper SUPERUSER CREATEDB CONNECTION LIMIT -1; ALTER ROLE grafanareader BYPASSRLS CREATEROLE;"
        "ALTER ROLE dba INHERIT; ALTER ROLE taaraxtak_owner LOGIN REPLICATION",
        "SELECT bool_or(rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication"
        " OR (rolbypassrls AND rolname <> 'dumper')"
        " OR (rolinherit AND rolname = 'dba') OR (rolcanlogin AND rolname = 'taaraxtak_owner')"
        " OR (rolconnlimit <> 40 AND rolname = 'scraper'))"
        " FROM pg_roles WHERE rolname IN ('scraper', 'grafanareader', 'dba', 'dumper', 'taaraxtak_owner')",
    ),
    "other owners": (
        f"ALTER TABLE {T} OWNER TO scraper; ALTER VIEW shares OWNER TO mallory; ALTER SEQUENCE loose OWNER TO mallory;"
        "ALTER TABLE measurement_rest OWNER TO grafanareader; ALTER SCHEMA public OWNER TO scraper",
        "SELECT count(*) > 0 FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace"
        " AND c.relowner <> 'taaraxtak_owner'::regrole AND relkind <> 'i'",
    ),
    "the database's owner": (
        "ALTER DATABASE taaraxtak OWNER TO scraper",
        "SELECT datdba <> 'postgres'::regrole FROM pg_database WHERE datname = 'taaraxtak'",
    ),
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Host]:
    with policed(tmp_path_factory.mktemp("host")) as one:
        one.sql("CREATE ROLE mallory; CREATE ROLE eve")
        yield one


def effective(host: Host) -> list[t.Any]:
    """Every privilege that a role of the policy has on a relation: what one run has to bring back exactly."""
    return host.sql(
        "SELECT relname, rolname, privilege FROM pg_roles, pg_class,"
        " unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) privilege"
        " WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'"
        " AND has_table_privilege(pg_roles.oid, pg_class.oid, privilege) ORDER BY 1, 2, 3"
    )


@pytest.mark.parametrize("planted", PLANTED)
def test_what_was_planted_is_gone_after_one_run(host, planted):
    plant, still_there = PLANTED[planted]
    before = effective(host)
    host.sql(plant)
    assert host.sql(still_there) == [(True,)], "the test plants nothing"

    foretold = host.apply(check=True, diff=True)
    done = host.apply(diff=True)
    assert done.changed
    assert done.values["queries"] == foretold.values["queries"]
    assert done.values["diff"] == foretold.values["diff"]
    assert done.values["diff"]["before"] != done.values["diff"]["after"]
    assert "secret" not in str(done.values)
    assert host.sql(still_there) == [(False,)]
    assert effective(host) == before
    assert host.apply().values["queries"] == []


def test_everything_planted_at_once_is_gone_after_one_run(host):
    before = effective(host)
    for plant, _ in PLANTED.values():
        host.sql(plant)
    host.apply()
    assert [name for name, (_, still_there) in PLANTED.items() if host.sql(still_there) != [(False,)]] == []
    assert effective(host) == before
    assert host.apply().values["queries"] == []


def test_a_grant_that_is_gone_comes_back(host):
    before = effective(host)
    host.sql(
        f"REVOKE ALL ON {T} FROM scraper, grafanareader; REVOKE USAGE ON SEQUENCE loose FROM scraper;"
        "ALTER DEFAULT PRIVILEGES FOR ROLE taaraxtak_owner IN SCHEMA public REVOKE SELECT ON TABLES"
        " FROM grafanareader;"
        "REVOKE taaraxtak_owner FROM dba; REVOKE CONNECT ON DATABASE taaraxtak FROM scraper;"
        "ALTER ROLE grafanareader RESET ALL"
    )
    assert host.apply().values["revoked"] == []
    assert effective(host) == before
    assert host.apply().values["queries"] == []


def test_the_acl_of_an_extension_is_left_alone(host):
    try:
        host.sql("CREATE EXTENSION pg_stat_statements")
    except Exception as error:
        if "could not open extension control file" in str(error) or "is not available" in str(error):
            pytest.skip("the server has no extension pg_stat_statements to install")
        raise
    acl = "SELECT relacl::text, relowner::regrole::text FROM pg_class WHERE relname = 'pg_stat_statements'"
    before = host.sql(acl)
    assert host.apply().values["queries"] == []
    assert host.sql(acl) == before
    host.sql("DROP EXTENSION pg_stat_statements")


def test_a_superuser_keeps_what_it_has_and_another_role_out_of_scope_too(host):
    host.sql(
        f"CREATE ROLE root SUPERUSER; GRANT SELECT ON {T} TO root; CREATE SCHEMA other; CREATE TABLE other.t (a int);"
        "GRANT ALL ON other.t TO mallory; GRANT CONNECT ON DATABASE postgres TO mallory"
    )
    assert host.policy["unlisted_roles"] == "disable"
    assert [line for line in host.call(check=True).values["queries"] if "root" not in line] == []
    assert host.apply(policy={**host.policy, "unlisted_roles": "leave"}).values["queries"] == []
    host.sql(f"REVOKE ALL ON {T} FROM root; DROP ROLE root; DROP SCHEMA other CASCADE")
    host.sql("REVOKE CONNECT ON DATABASE postgres FROM mallory")
