"""What was planted before the policy came (planted.sql) is gone, and nobody can do more than the policy says."""

from __future__ import annotations

import pytest

LISTED = ("taaraxtak_owner", "dba", "scraper", "grafanareader", "dumper")
UNLISTED = ("mallory", 'Eve "public"', "backdoor")
# A query on the catalogue of the database that has a row wherever something planted is left, by what it looks for.
LEFT = {
    "an owner besides the policy's": "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    " AND relkind IN ('r', 'p', 'v', 'S') AND relowner <> 'taaraxtak_owner'::regrole",
    "a routine's owner": "SELECT proname FROM pg_proc p WHERE pronamespace = 'public'::regnamespace"
    " AND proowner <> 'taaraxtak_owner'::regrole"
    " AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')",
    "a right of PUBLIC on a table": "SELECT relname FROM pg_class, aclexplode(relacl) a"
    " WHERE relnamespace = 'public'::regnamespace AND a.grantee = 0",
    "a right of PUBLIC on a routine": "SELECT proname FROM pg_proc p,"
    " aclexplode(coalesce(proacl, acldefault('f', proowner))) a WHERE pronamespace = 'public'::regnamespace"
    " AND a.grantee = 0"
    " AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')",
    "a right of PUBLIC on a schema or database": "SELECT nspname FROM pg_namespace, aclexplode(nspacl) a"
    " WHERE nspname = 'public' AND a.grantee = 0 UNION ALL SELECT datname FROM pg_database,"
    " aclexplode(coalesce(datacl, acldefault('d', datdba))) a WHERE a.grantee = 0",
    "a grant option": "SELECT relname FROM pg_class, aclexplode(relacl) a WHERE relnamespace = 'public'::regnamespace"
    " AND a.is_grantable AND a.grantee <> relowner",
    "a column's right": "SELECT attname FROM pg_attribute WHERE attacl IS NOT NULL"
    " AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)",
    "a right on a foreign server": "SELECT srvname FROM pg_foreign_server, aclexplode(srvacl) a"
    " WHERE a.grantee <> srvowner",
    "a right on a large object": "SELECT oid FROM pg_largeobject_metadata, aclexplode(lomacl) a"
    " WHERE a.grantee <> lomowner",
    "a right on PostgreSQL's own function": "SELECT proname FROM pg_proc, aclexplode(proacl) a"
    " WHERE proname = 'pg_read_file' AND a.grantee <> proowner AND a.grantee::regrole::text NOT LIKE 'pg\\_%%'",
    "a right on PostgreSQL's own table": "SELECT relname FROM pg_class, aclexplode(relacl) a"
    " WHERE relname = 'pg_authid' AND a.grantee <> relowner",
    "a right on a parameter": "SELECT parname FROM pg_parameter_acl, aclexplode(paracl) a WHERE a.grantee <> 10",
    "default privileges for PUBLIC or a stranger": "SELECT defaclobjtype FROM pg_default_acl, aclexplode(defaclacl) a"
    " WHERE a.grantee = 0 OR a.grantee IN (SELECT oid FROM pg_roles WHERE rolname IN ('mallory', 'backdoor'))",
    "a setting of everybody or of a database": "SELECT setconfig FROM pg_db_role_setting WHERE setrole = 0"
    " OR setdatabase <> 0",
    "a password": "SELECT rolname FROM pg_authid WHERE rolpassword IS NOT NULL",
    "a search_path of a role": "SELECT setconfig FROM pg_db_role_setting WHERE setconfig::text LIKE '%%search_path%%'",
}


@pytest.mark.parametrize("what", LEFT)
def test_what_was_planted_is_gone(postgres, what):
    done = postgres.run(LEFT[what])
    assert done.rc == 0, done.stderr
    assert done.stdout.strip() in ("", "BEGIN\nROLLBACK"), done.stdout


@pytest.mark.parametrize("role", UNLISTED)
def test_a_role_that_the_policy_does_not_name_can_do_nothing_any_more(postgres, role):
    done = postgres.run(
        "SELECT rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication,"
        " (SELECT count(*) FROM pg_auth_members m WHERE m.member = r.oid)"
        f" FROM pg_roles r WHERE rolname = $${role}$$"
    )
    assert "f|0" in done.stdout.splitlines(), done.stdout + done.stderr


def test_no_role_and_nothing_that_it_made_was_dropped(postgres):
    done = postgres.run("SELECT count(*) FROM pg_roles WHERE rolname IN ('mallory', 'Eve \"public\"', 'backdoor')")
    assert "3" in done.stdout.splitlines()
    assert postgres.allowed("SELECT FROM loot")
    assert postgres.allowed("SELECT lo_get(4242)")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO loot (secret) VALUES ('x')",
        "SELECT write_loot('x')",
        "UPDATE loot SET secret = 'x'",
        "SELECT pg_read_file('/etc/hostname')",
        "SELECT lo_get(4242)",
        "SET log_statement = 'none'",
        "CREATE TABLE planted (a int)",
        "IMPORT FOREIGN SCHEMA x FROM SERVER elsewhere INTO public",
        "SET ROLE scraper",
    ],
)
def test_grafanareader_can_only_read(grafanareader, sql):
    assert grafanareader.refused("SET transaction_read_only = off; " + sql)


def test_grafanareader_reads_the_tables_all_the_same(grafanareader):
    assert grafanareader.allowed("SELECT FROM loot")
    assert grafanareader.allowed("SELECT FROM provider_marketshare")


def test_a_stranger_with_a_password_is_not_let_in(production):
    done = production.run("runuser -u postgres -- psql -X -U mallory -d taaraxtak -c 'SELECT 1'")
    assert done.rc != 0
    assert "pg_hba.conf rejects" in done.stderr
