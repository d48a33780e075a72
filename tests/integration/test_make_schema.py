from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres import schema
from ansible_collections.taaraxtak.production.tests.integration.conftest import run_module

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "make_schema.py"
COMMITTED = ROOT / "inventory" / "production" / "group_vars" / "production_hosts" / "schema.sql"


def make(output, *arguments):
    return subprocess.run(
        [sys.executable, str(TOOL), "--output", str(output), *arguments],
        cwd=output.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def login(server, database):
    """Who runs a schema file on `database`: a member of its owner."""
    owner = f"own_{database}"
    server.run(f"CREATE ROLE {owner}; CREATE ROLE {owner}_dba LOGIN NOINHERIT IN ROLE {owner}")
    server.run(f"GRANT ALL ON SCHEMA public TO {owner}", database=database)
    yield {**server.login, "login_user": f"{owner}_dba", "owner": owner}
    server.run(f"DROP OWNED BY {owner} CASCADE", database=database)
    server.run(f"DROP ROLE {owner}, {owner}_dba")


@pytest.fixture
def app(tmp_path):
    """Make an app whose create_tables.py is *code*."""

    def write(code):
        folder = tmp_path / "app"
        folder.mkdir()
        (folder / "create_tables.py").write_text(code)
        return str(folder)

    return write


CONNECT = (
    "import psycopg2\nfrom config import config\nc = psycopg2.connect(**config['postgres'])\nc.autocommit = True\n"
)
EXECUTE = CONNECT + "c.cursor().execute({!r})\n"


def test_the_schema_in_the_inventory_is_the_samples(tmp_path):
    done = make(tmp_path / "schema.sql")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "schema.sql").read_text() == COMMITTED.read_text()


def test_the_same_app_makes_the_same_file_whatever_its_folder(tmp_path):
    shutil.copytree(ROOT / "sample" / "collector", tmp_path / "elsewhere")
    done = make(tmp_path / "schema.sql", "--app", str(tmp_path / "elsewhere"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "schema.sql").read_bytes() == COMMITTED.read_bytes()


def test_the_file_makes_the_schema_that_it_describes(login, database):
    arguments = {**login, "database": database, "content": COMMITTED.read_text()}
    assert run_module("pg_schema", arguments).values.get("applied") == "schema"
    assert run_module("pg_schema", arguments).values.get("applied") == "none"


def test_everything_that_an_app_makes_comes_back(login, database, app, tmp_path):
    code = """
        CREATE TYPE mood AS ENUM ('a;b', 'c');
        CREATE TABLE place (id serial PRIMARY KEY, name text UNIQUE, mood mood DEFAULT 'c');
        CREATE TABLE reading (id int GENERATED ALWAYS AS IDENTITY, place int REFERENCES place, at timestamptz NOT NULL)
            PARTITION BY RANGE (at);
        CREATE TABLE reading_2026 PARTITION OF reading FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
        CREATE INDEX reading_at ON reading (at);
        CREATE VIEW latest AS SELECT max(at) AS at FROM reading;
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN -- SET nothing = 1;
            RETURN NEW; END $$;
        CREATE FUNCTION two() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END;
        CREATE TRIGGER touched BEFORE INSERT ON place FOR EACH ROW EXECUTE FUNCTION touch();
        COMMENT ON TABLE place IS 'SET x = 1; \\restrict';
    """
    done = make(tmp_path / "schema.sql", "--app", app(EXECUTE.format(code)))
    assert done.returncode == 0, done.stderr
    content = (tmp_path / "schema.sql").read_text()
    titles = [relation.title for relation in schema.parse(content).relations]
    assert titles == [
        "function touch()",
        "function two()",
        "sequence place_id_seq",
        "table place",
        "table reading",
        "table reading_2026",
        "type mood",
        "view latest",
    ]
    arguments = {**login, "database": database, "content": content}
    result = run_module("pg_schema", arguments)
    assert not result.failed, result.msg
    assert run_module("pg_schema", arguments).values.get("applied") == "none"


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs the app as itself")
def test_the_app_does_not_run_as_root_and_may_not_become_it(app, tmp_path):
    code = (
        "import os, json, decimal, encodings.idna, sqlite3\n"  # modules that aren't loaded when root is given up
        "assert os.getresuid() == (os.geteuid(),) * 3 and 0 not in os.getresuid() + os.getresgid()\n"
        "assert os.getgroups() == []\n"
        "try:\n    os.setuid(0)\nexcept PermissionError:\n    pass\nelse:\n    raise SystemExit('root again')\n"
    ) + EXECUTE.format("CREATE TABLE a (b int)")
    done = make(tmp_path / "schema.sql", "--app", app(code))
    assert done.returncode == 0, done.stderr


def test_the_app_is_no_superuser(app, tmp_path):
    done = make(tmp_path / "schema.sql", "--app", app(EXECUTE.format("CREATE ROLE x")))
    assert done.returncode == 1
    assert "permission denied to create role" in done.stderr
    assert not (tmp_path / "schema.sql").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs the app and the server as itself")
def test_the_app_is_not_the_servers_account_and_logs_in_as_itself_alone(app, tmp_path):
    code = (
        EXECUTE.format("CREATE TABLE a (b int)")
        + """
import os, pwd
me = pwd.getpwuid(os.getuid()).pw_name
assert (me, os.getgid()) == ("nobody", pwd.getpwnam("nobody").pw_gid), me
data = config["postgres"]["host"] + "/data"
assert os.stat(data).st_uid != os.getuid()
for why in ({"user": "postgres"}, {"user": "postgres", "dbname": "postgres"}, {"dbname": "postgres"}):
    given = {**config["postgres"], **why}
    if "dbname" in why:
        given.pop("database")
    try:
        psycopg2.connect(**given)
    except psycopg2.OperationalError as error:
        assert "eer authentication failed" in str(error) or "no pg_hba.conf entry" in str(error), error
    else:
        raise SystemExit(f"logged in with {why}")
try:
    os.listdir(data)
except PermissionError:
    pass
else:
    raise SystemExit("the server's files can be read")
"""
    )
    done = make(tmp_path / "schema.sql", "--app", app(code))
    assert done.returncode == 0, done.stderr


def test_a_folder_that_is_not_there_is_said(app, tmp_path):
    code = app(EXECUTE.format("CREATE TABLE a (b int)"))
    done = subprocess.run(
        [sys.executable, str(TOOL), "--output", str(tmp_path / "none" / "schema.sql"), "--app", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("make_schema: could not write ")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise SystemExit(3)", "create_tables.py failed with exit status 3"),
        ("import no_such_module", "No module named 'no_such_module'"),
        ("", "create_tables.py made nothing"),
        (EXECUTE.format("CREATE SCHEMA other; CREATE TABLE other.a ()"), "made the schema other"),
    ],
)
def test_an_app_that_fails_leaves_the_old_file(app, tmp_path, code, says):
    output = tmp_path / "schema.sql"
    output.write_text("old")
    done = make(output, "--app", app(code))
    assert done.returncode == 1
    assert says in done.stderr
    assert output.read_text() == "old"
    assert "Traceback" not in done.stderr.splitlines()[0]


def test_a_config_of_the_apps_folder_is_never_used(app, tmp_path):
    folder = app(EXECUTE.format("CREATE TABLE a (b int)"))
    (Path(folder) / "config.py").write_text("raise SystemExit('the real database')")
    done = make(tmp_path / "schema.sql", "--app", folder)
    assert done.returncode == 0, done.stderr


def test_no_app_and_no_interpreter_are_said(tmp_path):
    assert "there is no create_tables.py" in make(tmp_path / "s", "--app", str(tmp_path)).stderr
    assert "there is no interpreter" in make(tmp_path / "s", "--python", str(tmp_path / "python")).stderr
