"""Who runs a dump: it makes each object its owner's, reaches nothing else, and is gone afterwards."""

from __future__ import annotations

import contextlib
import os
import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import Trailer
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.psql import find_programs
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.server import Needs
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.server import Server as Restoring
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.target import Target
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import (
    ScratchCluster,
    newest_bindir,
    ordinary_user,
)
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import until
from ansible_collections.taaraxtak.production.tests.integration.restoring import feed, restore, text_of, works
from ansible_collections.taaraxtak.production.tests.integration.servers import (  # noqa: F401
    bindir,
    every_server,
)

ROLES = ("app", "other", "reader", "mighty", "reaches", "makes_roles")
SOURCE = """
CREATE SCHEMA x AUTHORIZATION other;
CREATE TABLE t (a int PRIMARY KEY, b text);
INSERT INTO t SELECT g, 'x' || g FROM generate_series(1, 3000) g;
CREATE INDEX ON t (b);
CREATE TABLE x.u (a int REFERENCES t, s serial);
INSERT INTO x.u SELECT g FROM generate_series(1, 50) g;
CREATE VIEW v AS SELECT a FROM t;
CREATE MATERIALIZED VIEW x.m AS SELECT count(*) FROM t;
CREATE TYPE mood AS ENUM ('bad', 'good');
CREATE DOMAIN small AS int CHECK (VALUE < 10);
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
CREATE SEQUENCE x.sq START 7;
ALTER TABLE t OWNER TO app;
ALTER TABLE x.u OWNER TO app;
ALTER VIEW v OWNER TO other;
ALTER MATERIALIZED VIEW x.m OWNER TO app;
ALTER TYPE mood OWNER TO other;
ALTER DOMAIN small OWNER TO app;
ALTER FUNCTION f() OWNER TO other;
ALTER SEQUENCE x.sq OWNER TO other;
GRANT USAGE ON SCHEMA x TO app, reader;
GRANT SELECT ON t, x.u TO reader;
GRANT SELECT ON t TO app, other WITH GRANT OPTION;
CREATE TABLE guarded (a int);
INSERT INTO guarded VALUES (1), (-1);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
ALTER TABLE guarded OWNER TO app;
CREATE POLICY p ON guarded USING (a > 0);
ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA x GRANT SELECT ON TABLES TO reader;
"""


def make_roles(server: Server) -> None:
    for role in ROLES:
        server.run(f"DROP ROLE IF EXISTS {role}")
        server.run(f"CREATE ROLE {role}")
    server.run(
        "ALTER ROLE mighty SUPERUSER; GRANT pg_execute_server_program TO reaches; ALTER ROLE makes_roles CREATEROLE"
    )


def ours(server: Server) -> list[t.Any]:
    return server.run("SELECT rolname FROM pg_roles WHERE rolname LIKE 'taaraxtak_restore_%'")


@pytest.fixture
def restoring(fresh_server: Server) -> t.Iterator[Restoring]:
    make_roles(fresh_server)
    fresh_server.run("CREATE DATABASE live OWNER app")
    with Restoring(Target(host=str(fresh_server.cluster.socket))) as opened:
        yield opened


def statements(text: bytes) -> list[bytes]:
    """The text without what differs from run to run."""
    return [line for line in text.splitlines() if not line.startswith((b"\\restrict", b"\\unrestrict"))]


@pytest.mark.parametrize(
    "public", ["", "REVOKE ALL ON SCHEMA public FROM PUBLIC", "GRANT CREATE ON SCHEMA public TO PUBLIC"]
)
def test_a_copy_is_equal_owners_and_privileges_too(every_server: Server, bindir: Path, public: str) -> None:  # noqa: F811
    if not works(bindir):
        pytest.skip("this server's psql does not run here")
    server = every_server
    server.run("DROP DATABASE IF EXISTS source")
    server.run("DROP DATABASE IF EXISTS copy")
    make_roles(server)
    server.run("CREATE DATABASE source OWNER app")
    server.run(SOURCE, database="source")
    if server.run("SELECT FROM pg_available_extensions WHERE name = 'pg_trgm'"):
        server.run("CREATE EXTENSION pg_trgm; CREATE INDEX ON t USING gin (b gin_trgm_ops)", database="source")
    if public:
        server.run(public, database="source")
    with Restoring(Target(host=str(server.cluster.socket), bindir=str(bindir), sandbox=True)) as restoring:
        restoring.restorer("source")
        dump = text_of(restoring.pg_dump("source"))
    with Restoring(Target(host=str(server.cluster.socket), bindir=str(bindir))) as restoring:
        _swapped, again = restore(restoring, dump, "copy", owner="app")
        swapped, once_more = restore(restoring, dump, "copy", keep_previous=0)

    assert statements(again) == statements(dump)
    assert statements(once_more) == statements(dump)
    assert (swapped.previous, swapped.dropped, swapped.problems) == ("", ("copy__previous",), ())
    assert ours(server) == []
    acl = server.run("SELECT datacl::text, pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'copy'")
    assert acl == [("{app=CTc/app}", "app")], "PUBLIC, or somebody who was there for the restore alone, may connect"
    server.run("DROP DATABASE source")
    server.run("DROP DATABASE copy")
    make_roles(server)


REFUSED = r"permission denied|must be|must have admin option|not allowed|not ended|being accessed|superuser"
ESCAPES = {
    "program": "COPY (SELECT 1) TO PROGRAM 'touch {marker}'",
    "program from": "CREATE TABLE e (a text); COPY e FROM PROGRAM 'touch {marker}; echo 1'",
    "file": "COPY (SELECT 1) TO '{marker}'",
    "read": "SELECT pg_read_file('/etc/passwd')",
    "list": "SELECT pg_ls_dir('/')",
    "import": "SELECT lo_import('/etc/passwd')",
    "c": "CREATE FUNCTION e() RETURNS int LANGUAGE c AS '/lib/x86_64-linux-gnu/libc.so.6', 'getpid'",
    "internal": "CREATE FUNCTION e() RETURNS int LANGUAGE internal AS 'pg_backend_pid'",
    "untrusted": "CREATE EXTENSION file_fdw",
    "system": "COMMIT; ALTER SYSTEM SET archive_command = 'touch {marker}'",
    "event": """CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
                CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION e()""",
    "superuser": "CREATE ROLE evil SUPERUSER",
    "role": "CREATE ROLE evil",
    "mighty": "SET ROLE mighty",
    "postgres": "SET ROLE postgres",
    "reaches": "SET ROLE reaches",
    "makes roles": "SET ROLE makes_roles",
    "session": "SET SESSION AUTHORIZATION postgres",
    "itself": "DO $$ BEGIN EXECUTE format('ALTER ROLE %I SUPERUSER', session_user); END $$",
    "granted": "DO $$ BEGIN EXECUTE format('GRANT pg_write_server_files TO %I', session_user); END $$",
    "settings": "SET session_preload_libraries = 'evil'",
    "catalogue": "UPDATE pg_authid SET rolsuper = true",
    "passwords": "SELECT rolpassword FROM pg_authid",
    "drop": "COMMIT; DROP DATABASE live",
    "force": "COMMIT; DROP DATABASE live WITH (FORCE)",
    "rename": "COMMIT; ALTER DATABASE live RENAME TO gone",
    "ended": "DO $$ BEGIN IF NOT (SELECT bool_and(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = 'live') THEN RAISE 'not ended'; END IF; END $$",
}


@pytest.mark.parametrize("before", ["", "RESET ROLE; RESET SESSION AUTHORIZATION; RESET ALL;\n"], ids=["", "reset"])
@pytest.mark.parametrize("escape", ESCAPES)
def test_a_dump_can_not_reach_out(guarded: tuple[Server, Restoring], tmp_path: Path, escape: str, before: str) -> None:
    server, restoring = guarded
    tmp_path.chmod(0o777)
    marker = tmp_path / "marker"
    copy = restoring.create("hostile", {})
    with (
        pytest.raises(DumpError, match=REFUSED),
        restoring.restorer(copy),
    ):
        feed(restoring.psql(copy), f"{before}{ESCAPES[escape].format(marker=marker)};\n".encode())

    assert not marker.exists()
    assert not restoring.exists(copy), "what failed is not left"
    assert ours(server) == []
    assert restoring.exists("live")


@pytest.fixture(scope="module")
def guarded() -> t.Iterator[tuple[Server, Restoring]]:
    with ScratchCluster() as cluster:
        server = Server(cluster)
        make_roles(server)
        server.run("CREATE DATABASE live OWNER app")
        with Restoring(Target(host=str(cluster.socket))) as restoring:
            yield server, restoring


def test_the_order_of_the_end_and_the_swap_does_not_matter(restoring: Restoring, fresh_server: Server) -> None:
    restoring.check(Needs("live"))
    copy = restoring.create("live", {})
    with restoring.restorer(copy):
        feed(restoring.psql(copy), b"CREATE TABLE public.t ();\nALTER TABLE public.t OWNER TO app;\n")
        restoring.settle(copy)
        restoring.swap("live", copy)
    assert ours(fresh_server) == []
    assert fresh_server.run("SELECT count(*) FROM t", database="live") == [(0,)]


def test_the_restorer_is_at_no_time_a_superuser(restoring: Restoring, fresh_server: Server) -> None:
    attributes = "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles WHERE rolname = %s"
    copy = restoring.create("live", {})
    with restoring.restorer(copy) as restorer:
        found = fresh_server.run(attributes, values=[restorer.login.user])
        assert found == [(False, False, False, False)]
        memberships = {
            role
            for role in ROLES
            if fresh_server.run("SELECT pg_has_role(%s, %s, 'MEMBER')", values=[restorer.login.user, role])[0][0]
        }
        restoring.settle(copy)
    assert memberships == {"app", "other", "reader"}


def test_what_a_dump_does_to_the_settings_of_its_database_is_undone(restoring: Restoring, fresh_server: Server) -> None:
    text = b"ALTER DATABASE live__restoring SET work_mem = '1GB';\nALTER DATABASE live__restoring CONNECTION LIMIT 0;\n"
    text += b"SET ROLE app;\nALTER ROLE app IN DATABASE live__restoring SET search_path = evil;\n"
    restore(restoring, text, "live")

    query = "SELECT s.* FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase"
    assert fresh_server.run(query) == []
    assert fresh_server.run("SELECT datconnlimit FROM pg_database WHERE datname = 'live'") == [(-1,)]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("SET ROLE app; ALTER ROLE app PASSWORD 'known'", "the role app"),
        ("SET ROLE app; ALTER ROLE app SET search_path = evil", "the settings of the role app"),
        (
            "SET ROLE app; ALTER ROLE app IN DATABASE live SET search_path = evil",
            "the settings of the role app in live",
        ),
        ("ALTER DATABASE live SET search_path = evil", "the settings of the database live"),
        ("GRANT CONNECT ON DATABASE live TO reader", "the database live"),
        ("ALTER DATABASE live CONNECTION LIMIT 0", "the database live"),
    ],
)
def test_a_dump_that_changes_what_is_not_its_own_is_refused(
    restoring: Restoring, fresh_server: Server, change: str, named: str
) -> None:
    with pytest.raises(DumpError, match=f"while the dump was run {named} changed, which no dump may"):
        restore(restoring, f"{change};\n".encode(), "live")
    assert not restoring.exists("live__restoring")
    assert ours(fresh_server) == []


def test_what_the_dump_gives_to_nobody_becomes_no_superusers(restoring: Restoring, fresh_server: Server) -> None:
    fresh_server.run("ALTER DATABASE live OWNER TO postgres")
    text = b"CREATE FUNCTION public.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';\n"
    with pytest.raises(DumpError, match=r"must not become postgres's, who may do more .* name the owner"):
        restore(restoring, text, "live")
    restore(restoring, text, "live", owner="app")
    owner = "SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE proname = 'f'"
    assert fresh_server.run(owner, database="live") == [("app",)]


def test_roles_that_are_missing_are_made_without_login(restoring: Restoring, fresh_server: Server) -> None:
    assert restoring.create_roles(["app", "lost", 'odd"role']) == ["lost", 'odd"role']
    found = fresh_server.run("SELECT rolcanlogin, rolsuper FROM pg_roles WHERE rolname IN ('lost', 'odd\"role')")
    assert found == [(False, False), (False, False)]


def test_the_password_is_seen_by_nobody() -> None:
    hba = ("local all postgres trust", "local all all scram-sha-256")
    with ScratchCluster(hba=hba, settings={"log_statement": "all", "log_connections": "on"}) as cluster:
        server = Server(cluster)
        server.run("CREATE ROLE app")
        with Restoring(Target(host=str(cluster.socket))) as restoring:
            copy = restoring.create("live", {})
            with restoring.restorer(copy) as restorer:
                psql = restoring.psql(copy)
                try:
                    query = "SELECT pid FROM pg_stat_activity WHERE usename = %s"
                    until(lambda: bool(server.run(query, values=[restorer.login.user])), "psql to log in")
                    process = Path(f"/proc/{psql.process.pid}")
                    seen = [(process / name).read_bytes() for name in ("cmdline", "environ")]
                finally:
                    psql.kill()
                    psql.end()
                restoring.settle(copy, "app")
            password = restorer.login.password.encode()
            assert restorer.login.user.encode() in b"".join(seen)
            assert len(password) > 30
            assert not [
                text for text in [*seen, cluster.log().encode(), repr(restorer.login).encode()] if password in text
            ]
            assert "SCRAM-SHA-256$" in cluster.log(), "the log shows the statements"
            for folder in (cluster.folder, Path("/tmp")):
                for path in folder.glob("*"):
                    with contextlib.suppress(OSError, IsADirectoryError):
                        assert password not in path.read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")
def test_root_restores_by_peer_as_others() -> None:
    user = ordinary_user()
    hba = ("local all postgres peer map=m", "local all restorer peer map=m")
    ident = (f"m {user} postgres", "m nobody restorer")
    with ScratchCluster(hba=hba, ident=ident) as cluster:
        target = Target(host=str(cluster.socket), os_user=str(user), restore_user="restorer", restore_os_user="nobody")
        with Restoring(target) as restoring:
            assert (os.geteuid(), os.getegid()) == (0, 0)
            restoring.create_roles(["app"])
            with pytest.raises(DumpError, match="there is no role restorer to restore as"):
                restore(restoring, b"", "live", owner="app")
            restoring.session.run("CREATE ROLE restorer LOGIN")
            text = b"CREATE TABLE public.t ();\nALTER TABLE public.t OWNER TO app;\nCREATE TABLE public.n ();\n"
            for _time in range(2):
                restore(restoring, text, "live", owner="app")
            rows = "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = 'restorer'::regrole"
            assert restoring.session.rows(rows) == []
            restoring.session.run("GRANT pg_read_server_files TO restorer")
            with pytest.raises(DumpError, match="restorer may do more than restore"):
                restore(restoring, text, "live")


def test_a_sandbox_restores_what_only_a_superuser_may_make(fresh_server: Server) -> None:
    text = b"CREATE FOREIGN DATA WRAPPER nowhere;\nCREATE TABLE public.t ();\nALTER TABLE public.t OWNER TO postgres;\n"
    with (
        Restoring(Target(host=str(fresh_server.cluster.socket))) as restoring,
        pytest.raises(DumpError, match="permission denied to create foreign-data wrapper"),
    ):
        restore(restoring, text, "live")
    with Restoring(Target(host=str(fresh_server.cluster.socket), sandbox=True)) as restoring:
        restore(restoring, text, "live")
    assert fresh_server.run("SELECT fdwname FROM pg_foreign_data_wrapper", database="live") == [("nowhere",)]


def test_the_programs_are_of_the_servers_own_version(tmp_path: Path) -> None:
    folder = newest_bindir()
    major = int(folder.parent.name)
    assert find_programs("", major) == folder
    with pytest.raises(DumpError, match=rf"is of PostgreSQL {major}, and the server is PostgreSQL {major + 1}"):
        find_programs(str(folder), major + 1)
    with pytest.raises(DumpError, match=r"there is no pg_dump of PostgreSQL 99 here: install postgresql-client-99"):
        find_programs("", 99)
    for name, version in (("pg_dump", f"{major}.1"), ("psql", f"{major}.1")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(DumpError, match=re.escape(f"{major}.1, which does not know \\restrict")):
        find_programs(str(tmp_path), major)


def test_needs_are_those_of_the_manifest() -> None:
    trailer = Trailer(
        name=DumpName.parse("live_2026-11-22-03.00.00.sql.zst"),
        started="2026-11-22T03:00:00Z",
        finished="2026-11-22T03:00:09Z",
        statuses={"pg_dump": 0},
        bytes=5,
        sha256="0" * 64,
        raw_bytes=50,
        tables={},
        sequences={},
        via_root=(),
        versions={"server": "15.8"},
        settings={"encoding": "UTF8"},
        extensions={"plpgsql": "1.0"},
    )
    assert Needs.of(trailer, "other", keep_previous=2) == Needs(
        "other", 2, 50, "15.8", {"encoding": "UTF8"}, {"plpgsql": "1.0"}
    )
    assert Needs.of(None, "live", raw_bytes=5) == Needs("live", raw_bytes=5)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (b"CREATE TABLE public.t ();\nALTER TABLE public.t OWNER TO postgres;\n", "restores in a sandbox alone"),
        (b"SELECT 1/0;\n", "division by zero"),
    ],
)
def test_a_dump_that_fails_says_what_to_do(restoring: Restoring, text: bytes, advice: str) -> None:
    with pytest.raises(DumpError, match=f"psql failed .*{advice}$"):
        restore(restoring, text, "live")


def test_a_server_that_does_not_let_the_restorer_in_says_which_row_it_needs() -> None:
    with ScratchCluster(hba=("local all postgres trust", "local all all reject")) as cluster:
        server = Server(cluster)
        server.run("CREATE ROLE app")
        with (
            Restoring(Target(host=str(cluster.socket))) as restoring,
            pytest.raises(DumpError, match=r"(?s)pg_hba.conf rejects .* must let this role in by scram-sha-256"),
        ):
            restore(restoring, b"", "live", owner="app")
        assert ours(server) == []
