"""The way back of an adoption: roles, owners, privileges, settings and verifiers of passwords are what they were."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.adopt.alone import alone
from ansible_collections.taaraxtak.production.plugins.module_utils.adopt.former import former, unsaid
from ansible_collections.taaraxtak.production.tests.integration.conftest import Result, Server, run_module
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import TABLES, default_policy

ROOT = Path(__file__).resolve().parents[2]
STATE = (ROOT / "playbooks" / "files" / "adopt_state.py").read_text(encoding="utf-8")
# The recipe's own grants, and what people add to them.
RECIPE = """
CREATE ROLE scraper LOGIN PASSWORD 'planted-scraper' VALID UNTIL '2031-05-06 07:08:09+00';
CREATE ROLE grafanareader LOGIN PASSWORD 'planted-reader';
CREATE ROLE former LOGIN PASSWORD 'planted-former' SUPERUSER;
GRANT ALL PRIVILEGES ON DATABASE taaraxtak TO scraper;
"""
MADE = (
    TABLES.replace("SET ROLE taaraxtak_owner;", "SET ROLE scraper;")
    + """
CREATE FUNCTION f() RETURNS int RETURN 1;
CREATE TYPE mood AS ENUM ('well'); CREATE DOMAIN share AS int CHECK (VALUE > 0); CREATE TYPE pair AS (a int, b int);
CREATE TYPE span AS RANGE (subtype = int4); CREATE STATISTICS alike ON id, name FROM provider_marketshare;
CREATE COLLATION plain FROM "C"; CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
"""
)
LETS = """
GRANT ALL ON SCHEMA public TO scraper;
GRANT USAGE ON SCHEMA public TO grafanareader;
ALTER DEFAULT PRIVILEGES FOR ROLE scraper IN SCHEMA public GRANT SELECT ON TABLES TO grafanareader;
"""
# What nobody reads by a policy's eyes: whole catalogues, but for the roles that are new.
CATALOGUE = """
SELECT 'role', rolname, rolsuper::text, rolcanlogin::text, rolpassword,
  rolconnlimit::text || coalesce(rolvaliduntil, 'infinity')
FROM pg_authid WHERE rolname IN ('scraper', 'grafanareader', 'former', 'postgres')
UNION ALL SELECT 'relation', relname, pg_get_userbyid(relowner), '', '', '' FROM pg_class
WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT 'type', typname, pg_get_userbyid(typowner), '', '', '' FROM pg_type
WHERE typnamespace = 'public'::regnamespace AND typtype IN ('d', 'e', 'c', 'r')
UNION ALL SELECT 'owned', o.what, pg_get_userbyid(o.owner), '', '', '' FROM (
  SELECT stxname AS what, stxowner AS owner, stxnamespace AS place FROM pg_statistic_ext
  UNION ALL SELECT collname, collowner, collnamespace FROM pg_collation
  UNION ALL SELECT cfgname, cfgowner, cfgnamespace FROM pg_ts_config
  UNION ALL SELECT oprname, oprowner, oprnamespace FROM pg_operator) AS o
WHERE o.place = 'public'::regnamespace
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


def ask(server: Server, what: str, *rest: str) -> subprocess.CompletedProcess[str]:
    """What root runs on the host, with this server's socket."""
    return subprocess.run(
        [sys.executable, "-", what, str(server.cluster.port), *rest],
        input=STATE,
        env={**os.environ, "PGHOST": str(server.cluster.socket)},
        capture_output=True,
        text=True,
        check=False,
    )


def state(server: Server, what: str, *rest: str) -> str:
    """What it answers."""
    done = ask(server, what, *rest)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Kept(t.NamedTuple):
    """What there was before a step that names the roles *named*; see tasks/adopt_keep.yml."""

    policy: dict[str, t.Any]
    there: list[str]
    named: list[str]


def keep(server: Server, file: Path, named: t.Iterable[str]) -> Kept:
    gathered = run_module("pg_access_info", {**server.login, "gather": ["export"]}).values
    assert gathered["unread"] == []
    assert unsaid(gathered["exported"]["not_expressed"], []) == []
    state(server, "keep", str(file), "postgres", "taaraxtak")
    return Kept(gathered["exported"]["policy"], names(server, "SELECT rolname FROM pg_roles"), list(named))


def names(server: Server, statement: str) -> list[str]:
    return [str(row[0]) for row in server.run(statement)]


def way_back(server: Server, folder: Path, kept: Kept, *, whole: bool) -> str:
    """The way back of a step, as tasks/adopt_back.yml has it; the names of the roles that stay."""
    if whole:
        state(server, "back", str(folder / "state.json"))
    live, databases = (
        names(server, "SELECT rolname FROM pg_roles"),
        names(server, "SELECT datname FROM pg_database WHERE datallowconn"),
    )
    policy = former(
        kept.policy, there=kept.there, named=kept.named, live=live, databases=databases, whole=whole
    )  # fmt: skip
    state(server, "keep", str(folder / "now.json"))
    access(server, folder, policy, "authoritative")
    state(server, "ends", str(folder / "now.json"))
    return state(server, "drop", *(name for name in kept.named if name not in kept.there and name in live))


def access(server: Server, folder: Path, policy: dict[str, t.Any], mode: str) -> Result:
    arguments = {
        **server.login, "policy": policy, "mode": mode, "hba": False, "missing_objects": "skip",
        "lock_file": str(folder / "lock"),
    }  # fmt: skip
    done = run_module("pg_access", arguments)
    assert not done.failed, done.msg
    return done


@pytest.fixture
def recipe(fresh_server: Server) -> Server:
    """A server as the recipe makes it."""
    if os.geteuid() != 0:
        pytest.skip("root runs it, and becomes postgres to log in")
    fresh_server.run("CREATE DATABASE taaraxtak")
    fresh_server.run(RECIPE)
    fresh_server.run(LETS, database="taaraxtak")
    fresh_server.run(MADE, database="taaraxtak")
    return fresh_server


def test_an_adoption_that_is_taken_back_leaves_everything_as_it_was(recipe, tmp_path):
    server, file = recipe, tmp_path / "state.json"
    before = server.run(CATALOGUE, database="taaraxtak")
    kept = keep(server, file, default_policy()["roles"])
    assert file.stat().st_mode & 0o777 == 0o600
    assert state(server, "back", str(file)) == "0", "what has not changed is not run"

    taken = access(server, tmp_path, default_policy(), "authoritative")
    assert 'ALTER TABLE "public"."provider_marketshare" OWNER TO "taaraxtak_owner"' in taken.values["queries"]
    assert server.run(CATALOGUE, database="taaraxtak") != before

    assert way_back(server, tmp_path, kept, whole=True) == "taaraxtak_owner", "its default privileges were the policy's"
    assert server.run(CATALOGUE, database="taaraxtak") == before
    assert server.run("SELECT rolname FROM pg_roles WHERE rolname IN ('dba', 'dumper')") == []
    assert server.run("SELECT rolname FROM pg_roles WHERE rolname = 'taaraxtak_owner' AND rolcanlogin") == []
    # A run that was cut at its end goes back once more.
    (tmp_path / "now.json").unlink()
    way_back(server, tmp_path, kept, whole=True)
    assert server.run(CATALOGUE, database="taaraxtak") == before


def test_what_people_made_after_a_step_outlives_its_way_back(recipe, tmp_path):
    server = recipe
    kept = keep(server, tmp_path / "state.json", default_policy()["roles"])
    access(server, tmp_path, default_policy(), "authoritative")
    server.run("CREATE ROLE analyst LOGIN PASSWORD 'planted-analyst'; ALTER ROLE scraper PASSWORD 'planted-anew'")
    server.run("GRANT SELECT ON provider_marketshare TO analyst; DROP SEQUENCE loose", database="taaraxtak")
    made = "SELECT rolname, rolcanlogin, rolpassword FROM pg_authid WHERE rolname IN ('analyst', 'scraper') ORDER BY 1"
    after = server.run(made)
    way_back(server, tmp_path, kept, whole=True)
    assert server.run(made) == after, "neither the new role nor the new password is undone"
    held = "SELECT has_table_privilege('analyst', 'provider_marketshare', 'SELECT')"
    assert server.run(held, database="taaraxtak") == [(True,)]
    owner = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'provider_marketshare'"
    assert server.run(owner, database="taaraxtak") == [("scraper",)]


@pytest.mark.parametrize(("step", "mode"), [("dumps", "additive"), ("grants", "adopt")])
def test_the_way_back_of_a_step_that_only_grants_takes_back_what_it_granted(recipe, tmp_path, step, mode):
    server = recipe
    policy = alone(default_policy(), "pgdumper") if step == "dumps" else default_policy()
    kept = keep(server, tmp_path / "state.json", policy["roles"])
    server.run("CREATE ROLE analyst LOGIN PASSWORD 'planted-analyst'; ALTER ROLE former PASSWORD 'planted-anew'")
    server.run("CREATE DATABASE another")
    server.run("GRANT SELECT ON shares TO analyst; GRANT UPDATE ON measurement TO former", database="taaraxtak")
    everything = [
        CATALOGUE,
        "SELECT relname, ARRAY(SELECT one::text FROM unnest(relacl) one ORDER BY 1) FROM pg_class ORDER BY 1",
        "SELECT datname, ARRAY(SELECT one::text FROM unnest(datacl) one ORDER BY 1) FROM pg_database ORDER BY 1",
        "SELECT rolname, rolcanlogin, rolpassword FROM pg_authid ORDER BY 1",
        "SELECT defaclrole::regrole::text, defaclobjtype, defaclacl::text FROM pg_default_acl ORDER BY 1, 2, 3",
        "SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members ORDER BY 1, 2",
    ]
    before = [server.run(one, database="taaraxtak") for one in everything]
    access(server, tmp_path, policy, mode)
    assert server.run("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'dumper'") == [(True,)]
    assert keep(server, tmp_path / "next.json", []).there, "the next step is kept too"
    assert way_back(server, tmp_path, kept, whole=False) == ""
    for one, found in zip(everything, before, strict=True):
        assert server.run(one, database="taaraxtak") == found


def test_a_keep_that_fails_leaves_nothing_that_the_next_takes_for_kept(recipe, tmp_path):
    file = tmp_path / "state.json"
    assert ask(recipe, "keep", str(file), "taaraxtak", "nowhere").returncode != 0
    assert list(tmp_path.iterdir()) == []
    # One that was cut while it wrote.
    (tmp_path / "state.json.partial").write_text("{")
    state(recipe, "keep", str(file), "taaraxtak")
    assert [one.name for one in tmp_path.iterdir()] == ["state.json"]


def test_a_way_back_that_waits_for_a_lock_brings_passwords_first_and_is_tried_again(recipe, tmp_path):
    server, file = recipe, str(tmp_path / "state.json")
    before = server.run(CATALOGUE, database="taaraxtak")
    kept = keep(server, tmp_path / "state.json", default_policy()["roles"])
    access(server, tmp_path, default_policy(), "authoritative")
    with contextlib.closing(server.connect("taaraxtak", "postgres")) as dump, dump.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE provider_marketshare IN ACCESS SHARE MODE")
        done = ask(server, "back", file)
        assert done.returncode == 75
        assert "planted" not in done.stderr
        assert "SCRAM" not in done.stderr
        verifiers = "SELECT count(*) FROM pg_authid WHERE rolpassword IS NOT NULL AND rolname IN ('scraper', 'former')"
        assert server.run(verifiers) == [(2,)]
    way_back(server, tmp_path, kept, whole=True)
    assert server.run(CATALOGUE, database="taaraxtak") == before


def play(server: Server, folder: Path, step: str, policy: t.Mapping[str, t.Any], *tasks: t.Any) -> str:
    """Run tasks of the playbooks with this server, and what they keep in *folder*."""
    files = [str(ROOT / "playbooks" / "vars" / "adopt.yml")]
    listed = [
        {"ansible.builtin.include_tasks": str(ROOT / "playbooks" / "tasks" / one)} if isinstance(one, str) else one
        for one in tasks
    ]
    if not (folder / "files").exists():
        (folder / "files").symlink_to(ROOT / "playbooks" / "files")
    playbook = folder / "play.yml"
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "vars_files": files, "tasks": listed}]))
    given = {
        "ansible_connection": "local", "ansible_remote_tmp": str(folder / "remote"), "access_policy": policy,
        "adopt_step": step, "host_devops": [], "database_port": server.cluster.port, "__adopt_parts": {},
        "__adopt_kept": str(folder / "kept"),
        "__adopt_server": {"stdout": '{"hba": "/x", "ident": "/x", "settings": "/x"}'},
        "__adopt_lock_seconds": 1, "ansible_python_interpreter": sys.executable,
    }  # fmt: skip
    done = subprocess.run(
        ["ansible-playbook", "-i", "here,", "-e", json.dumps(given), str(playbook)],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1",
             "PGHOST": str(server.cluster.socket), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("step", ["dumps", "grants", "access"])
def test_the_tasks_take_a_step_that_was_cut_back(recipe, tmp_path, step):
    server, full = recipe, default_policy()
    tmp_path.chmod(0o755)
    before = server.run(CATALOGUE, database="taaraxtak")
    # As the playbook's own vars have it, where the account that dumps is.
    play(server, tmp_path, step, full, "adopt_keep.yml")
    policy, mode = {
        "dumps": (alone(full, "pgdumper"), "additive"), "grants": (full, "adopt"), "access": (full, "authoritative"),
    }[step]  # fmt: skip
    access(server, tmp_path, policy, mode)
    assert server.run("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'dumper'") == [(True,)]
    said = play(server, tmp_path, step, full, "adopt_back.yml")
    assert "planted" not in said
    assert server.run(CATALOGUE, database="taaraxtak") == before
    assert server.run("SELECT rolname FROM pg_roles WHERE rolname IN ('dumper', 'dba')") == []
    assert list((tmp_path / "kept").iterdir()) == []
