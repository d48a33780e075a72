"""The way back of an adoption: roles, owners, privileges, settings and verifiers of passwords are what they were."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.integration.conftest import Result, Server, run_module
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import TABLES, default_policy

ROOT = Path(__file__).resolve().parents[2]
STATE = (ROOT / "playbooks" / "files" / "adopt_state.py").read_text(encoding="utf-8")
# The recipe's own grants, and what people add to them.
RECIPE = """
CREATE ROLE scraper LOGIN PASSWORD 'planted-scraper';
CREATE ROLE grafanareader LOGIN PASSWORD 'planted-reader';
CREATE ROLE former LOGIN PASSWORD 'planted-former' SUPERUSER;
GRANT ALL PRIVILEGES ON DATABASE taaraxtak TO scraper;
"""
MADE = TABLES.replace("SET ROLE taaraxtak_owner;", "SET ROLE scraper;") + "CREATE FUNCTION f() RETURNS int RETURN 1;"
LETS = """
GRANT ALL ON SCHEMA public TO scraper;
GRANT USAGE ON SCHEMA public TO grafanareader;
ALTER DEFAULT PRIVILEGES FOR ROLE scraper IN SCHEMA public GRANT SELECT ON TABLES TO grafanareader;
"""
# What nobody reads by a policy's eyes: whole catalogues, but for the roles that are new.
CATALOGUE = """
SELECT 'role', rolname, rolsuper::text, rolcanlogin::text, rolpassword, rolconnlimit::text FROM pg_authid
WHERE rolname IN ('scraper', 'grafanareader', 'former', 'postgres')
UNION ALL SELECT 'relation', relname, pg_get_userbyid(relowner), '', '', '' FROM pg_class
WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT 'schema', nspname, pg_get_userbyid(nspowner), '', '', '' FROM pg_namespace WHERE nspname = 'public'
UNION ALL SELECT 'may', d.datname, r.rolname, has_database_privilege(r.oid, d.oid, 'CONNECT')::text,
  has_database_privilege(r.oid, d.oid, 'TEMP')::text, has_database_privilege(r.oid, d.oid, 'CREATE')::text
FROM pg_database d, pg_roles r WHERE r.rolname IN ('scraper', 'grafanareader')
UNION ALL SELECT 'table', c.relname, r.rolname, has_table_privilege(r.oid, c.oid, 'SELECT')::text,
  has_table_privilege(r.oid, c.oid, 'INSERT')::text, has_table_privilege(r.oid, c.oid, 'DELETE')::text
FROM pg_class c, pg_roles r
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
AND r.rolname IN ('scraper', 'grafanareader')
UNION ALL SELECT 'routine', p.oid::regprocedure::text, has_function_privilege('grafanareader', p.oid, 'EXECUTE')::text,
  '', '', '' FROM pg_proc p WHERE proname LIKE 'lo\\_%'
UNION ALL SELECT 'setting', rolname, rolconfig::text, '', '', '' FROM pg_roles WHERE rolname = 'grafanareader'
ORDER BY 1, 2, 3
"""


def state(server: Server, what: str, file: Path) -> str:
    """What root runs on the host, with this server's socket."""
    done = subprocess.run(
        [sys.executable, "-", what, str(server.cluster.port), str(file), "postgres", "taaraxtak"],
        input=STATE,
        env={**os.environ, "PGHOST": str(server.cluster.socket)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def access(server: Server, folder: Path, policy: dict[str, t.Any], mode: str) -> Result:
    arguments = {
        **server.login, "policy": policy, "mode": mode, "hba": False, "missing_objects": "skip",
        "lock_file": str(folder / "lock"),
    }  # fmt: skip
    done = run_module("pg_access", arguments)
    assert not done.failed, done.msg
    return done


@pytest.mark.skipif(os.geteuid() != 0, reason="root runs it, and becomes postgres to log in")
def test_an_adoption_that_is_taken_back_leaves_everything_as_it_was(fresh_server, tmp_path):
    server, file = fresh_server, tmp_path / "state.json"
    server.run("CREATE DATABASE taaraxtak")
    server.run(RECIPE)
    server.run(LETS, database="taaraxtak")
    server.run(MADE, database="taaraxtak")
    before = server.run(CATALOGUE, database="taaraxtak")
    there = run_module("pg_access_info", {**server.login, "gather": ["export"]}).values["exported"]["policy"]
    state(server, "keep", file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert state(server, "back", file) == "0", "what has not changed is not run"

    taken = access(server, tmp_path, default_policy(), "authoritative")
    assert 'ALTER TABLE "public"."provider_marketshare" OWNER TO "taaraxtak_owner"' in taken.values["queries"]
    assert server.run(CATALOGUE, database="taaraxtak") != before

    assert int(state(server, "back", file)) > 0
    access(server, tmp_path, {**there, "unlisted_roles": "disable"}, "authoritative")
    assert server.run(CATALOGUE, database="taaraxtak") == before
    assert server.run("SELECT rolname FROM pg_roles WHERE rolname IN ('dba', 'dumper') AND rolcanlogin") == []
    # Its default privileges are of the policy that was, so that it stays.
    assert state(server, "drop", file) == "taaraxtak_owner"
    assert server.run("SELECT rolname FROM pg_roles WHERE rolname IN ('dba', 'dumper')") == []
    again = access(server, tmp_path, {**there, "unlisted_roles": "disable"}, "authoritative")
    assert again.values["queries"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="root runs it, and becomes postgres to log in")
def test_what_was_kept_before_is_not_written_over(fresh_server, tmp_path):
    fresh_server.run("CREATE DATABASE taaraxtak")
    state(fresh_server, "keep", tmp_path / "state.json")
    with pytest.raises(AssertionError, match="File exists"):
        state(fresh_server, "keep", tmp_path / "state.json")
