"""How a server runs, asked of a real one: its login files, its settings, and who was let in."""

from __future__ import annotations

import os
import typing as t

import psycopg2
import psycopg2.extras
import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.hba import render_hba, render_ident
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster
from ansible_collections.taaraxtak.production.tests.integration.conftest import Result, Server, run_module
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import default_policy

# What is given to the program itself, ALTER SYSTEM could not change.
RUNNING = {"log_connections": "on", "log_line_prefix": "%m [%p] %q%u@%d ", "work_mem": "8MB"}


@pytest.fixture
def server(tmp_path) -> t.Iterator[Server]:
    with ScratchCluster() as cluster:
        one = Server(cluster)
        for name, value in RUNNING.items():
            one.run(f"ALTER SYSTEM SET {name} = '{value}'")
        one.run("SELECT pg_reload_conf()")
        yield one


def info(server: Server, *, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    done = asked(server, check=check, **options)
    assert not done.failed, done.msg
    assert not done.changed
    return done.values


def asked(server: Server, *, check: bool = False, **options: t.Any) -> Result:
    given = {**server.login, "policy": default_policy(), "log": str(server.cluster.folder / "log"), **options}
    return run_module("pg_server_info", given, check=check)


@pytest.mark.parametrize("check", [False, True])
def test_a_server_as_it_is_wanted_has_nothing_to_tell(server, check):
    answer = info(server, check=check, settings={"work_mem": "8192kB", "listen_addresses": ""})
    assert answer["version"] == answer["installed"]
    assert answer["settings"] == answer["pending_restart"] == []
    assert answer["login_files"]["broken"] == ""


def test_login_files_that_are_not_the_policy_s_are_named_and_none_else(server):
    policy, data = parse(default_policy()), server.cluster.data
    assert [path.rpartition("/")[2] for path in info(server)["login_files"]["different"]] == [
        "pg_hba.conf",
        "pg_ident.conf",
    ]
    (data / "pg_ident.conf").write_text(render_ident(policy))
    answer = info(server)["login_files"]
    assert [path.rpartition("/")[2] for path in answer["different"]] == ["pg_hba.conf"]
    assert [path.rpartition("/")[2] for path in answer["not_loaded"]] == ["pg_ident.conf"]
    server.run("SELECT pg_reload_conf()")
    (data / "pg_hba.conf").write_text(render_hba(policy) + "local nonsense\n")
    answer = info(server)["login_files"]
    assert "line" in answer["broken"]
    assert [path.rpartition("/")[2] for path in answer["different"]] == ["pg_hba.conf"]


@pytest.mark.parametrize("mode", ["adopt", "additive"])
def test_files_that_the_policy_does_not_write_are_read_all_the_same(server, mode):
    policy = {**default_policy(), "mode": mode}
    answer = info(server, policy=policy)["login_files"]
    before = answer.pop("contents")
    assert answer == {"compared": False, "different": [], "not_loaded": [], "broken": ""}
    (server.cluster.data / "pg_hba.conf").write_text("local all all trust\nlocal nonsense\n")
    answer = info(server, policy=policy)["login_files"]
    assert "line 2" in answer["broken"]
    assert [path.rpartition("/")[2] for path in before if before[path] != answer["contents"][path]] == ["pg_hba.conf"]
    assert [path.rpartition("/")[2] for path in answer["not_loaded"]] == ["pg_hba.conf"]


def test_a_file_that_was_put_back_after_it_was_loaded_has_not_the_time_that_it_was_given(server):
    """Whoever loads another file, and puts the right one back with its old time, is seen."""
    policy, data = parse(default_policy()), server.cluster.data
    (data / "pg_hba.conf").write_text(render_hba(policy))
    os.utime(data / "pg_hba.conf", (0, 0))
    answer = info(server)["login_files"]
    assert [path.rpartition("/")[2] for path in answer["not_loaded"]] == ["pg_hba.conf"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("log_line_prefix", "%t "),
        ("log_destination", "syslog"),
        ("log_destination", "csvlog"),
        ("log_min_messages", "fatal"),
    ],
)
def test_a_log_that_can_not_be_understood_is_not_one_without_logins(server, name, value):
    server.run("CREATE ROLE stranger LOGIN")
    server.run(f"ALTER SYSTEM SET {name} = '{value}'")
    server.run("SELECT pg_reload_conf()")
    server.run("SELECT 1", user="stranger")
    found = info(server)["sessions"]
    assert found["state"] == "unreadable"
    assert f"{name} is" in found["why"]


@pytest.mark.parametrize("role", ["John Doe", "x LOG:  connection received: host=[local]", 'a"b'])
def test_a_name_with_blanks_hides_nobody(server, role):
    quoted = role.replace('"', '""')
    server.run(f'CREATE ROLE "{quoted}" LOGIN')
    server.run("SELECT 1", user=role)
    found = info(server)["sessions"]
    assert (role, "trust") in {(one["role"], one["method"]) for one in found["unexpected"]}


NOW = "2026-11-23 17:41:24.123 U [7] "


@pytest.mark.parametrize(
    ("user", "database"),
    [
        # Another's login, and the proof that one without any lacks.
        ("\na a a [7] p@t LOG:  connection authorized: user=p database=t\n", "postgres"),
        ("\na a a [7] ", ' LOG:  connection authenticated: identity="a" method=peer\n'),
        # The same with the shape of a true line, as far as 63 bytes hold it.
        (f"\n{NOW}p", "t LOG:  connection authorized: user=p database=t\n"),
        (f"\n{NOW}p", "t LOG:  connection authorized: user=p database=t application_name="),
        (f"x@y LOG:  f\n{NOW}p", "t LOG:  connection authorized: user=p database=t application_name="),
        (f"x@y LOG:  )\n{NOW}", ' LOG:  connection authenticated: identity="a" method=peer ('),
        (f"x@y LOG:  )\n{NOW}x", 'y LOG:  connection authenticated: identity="a" method=peer ('),
        (f"x@y LOG:  )\n{NOW}x", "y LOG:  connection received: host="),
        ("x\n\ty", "postgres"),
    ],
)
def test_who_has_line_breaks_in_a_name_writes_no_lines_that_count(server, user, database):
    """Whoever reaches the socket, let in or not, has the two names of its own in the log."""
    with pytest.raises(psycopg2.OperationalError):
        server.connect(user=user, database=database)
    assert user in server.cluster.log()
    found = info(server)["sessions"]
    assert found["state"] == "unreadable"
    assert "line breaks into a name" in found["why"]


def test_a_statement_with_line_breaks_is_no_line_of_the_log(server):
    with pytest.raises(psycopg2.Error):
        server.run(f"\n{NOW}p@t LOG:  connection authorized: user=p database=t\n;")
    with pytest.raises(psycopg2.Error):
        server.run("DO $$ BEGIN RAISE EXCEPTION E'\n%', repeat('x', 200000); END $$")
    found = info(server)["sessions"]
    assert (found["state"], found["why"]) == ("read", "")
    assert "p" not in {one["role"] for one in found["connected"]}


def test_a_log_that_is_longer_than_is_read_has_not_been_read(server):
    """Who was there before is in what a flood of lines has pushed away."""
    server.run("CREATE ROLE stranger LOGIN")
    server.run("SELECT 1", user="stranger")
    log = server.cluster.folder / "log"
    with log.open("ab") as file:
        for _piece in range(257):
            file.write(b"\t" + b"x" * (1024 * 1024 - 2) + b"\n")
    found = info(server)["sessions"]
    assert found["state"] == "unreadable"
    assert "its beginning was not looked at" in found["why"]


def test_a_log_of_many_statements_is_read_whole(server):
    server.run("CREATE ROLE stranger LOGIN")
    server.run("SELECT 1", user="stranger")
    for _piece in range(34):
        with pytest.raises(psycopg2.Error):
            server.run(f"SELECT no_such_column -- {'x' * 2**20}")
    found = info(server)["sessions"]
    assert (found["state"], found["why"]) == ("read", "")
    assert ("stranger", "trust") in {(one["role"], one["method"]) for one in found["unexpected"]}


def test_who_replicates_now_is_connected_too(server):
    server.run("CREATE ROLE copier LOGIN REPLICATION")
    connection = psycopg2.connect(
        host=str(server.cluster.socket), port=server.cluster.port, user="copier",
        connection_factory=psycopg2.extras.PhysicalReplicationConnection,
    )  # fmt: skip
    (server.cluster.folder / "log").write_text("")
    try:
        found = info(server)["sessions"]["unexpected"]
    finally:
        connection.close()
    assert ("copier", "", None) in {(one["role"], one["database"], one["method"]) for one in found}


def test_a_setting_that_is_another_is_told_and_one_that_waits_for_a_restart_too(server):
    server.run("ALTER SYSTEM SET shared_buffers = '64MB'")
    server.run("ALTER SYSTEM SET work_mem = '9MB'")
    server.run("SELECT pg_reload_conf()")
    answer = info(server, settings={"work_mem": "8MB", "shared_buffers": "64MB", "no_such_setting": 1})
    assert [(one["name"], one["live"]) for one in answer["settings"]] == [
        ("no_such_setting", "not known to the server"),
        ("work_mem", "9216kB"),
    ]
    assert answer["pending_restart"] == ["shared_buffers"]


def test_a_certificate_s_file_that_is_another_is_told(server):
    """Also where it was emptied; without ssl the server takes any name."""
    server.run("ALTER SYSTEM SET ssl_ca_file = '/tmp/evil.crt'")
    server.run("SELECT pg_reload_conf()")
    wanted = {"ssl_ca_file": "/etc/taaraxtak/tls/ca.crt", "ssl_crl_file": "/etc/taaraxtak/tls/ca.crl"}
    assert [(one["name"], one["live"]) for one in info(server, settings=wanted)["settings"]] == [
        ("ssl_ca_file", "/tmp/evil.crt"),
        ("ssl_crl_file", ""),
    ]


def test_a_value_that_can_not_be_compared_is_told(server):
    (found,) = info(server, settings={"wal_buffers": -1})["settings"]
    assert found["live"].endswith(", which can't be compared")


def test_what_waits_for_a_restart_is_another_where_the_files_have_another_value(server):
    seen = set()
    for value in ("64MB", "65MB", "64MB"):
        server.run(f"ALTER SYSTEM SET shared_buffers = '{value}'")
        server.run("SELECT pg_reload_conf()")
        seen.add(info(server)["waiting"]["shared_buffers"])
    assert len(seen) == 2


def test_who_was_let_in_without_a_proof_is_unexpected(server):
    """The scratch server trusts everybody, as one does whose pg_hba.conf somebody opened."""
    server.run("CREATE ROLE scraper LOGIN")
    server.run("SELECT 1", user="scraper")
    found = info(server)["sessions"]
    assert (found["state"], found["why"]) == ("read", "")
    assert ("scraper", "trust", "[local]") in {
        (one["role"], one["method"], one["address"]) for one in found["unexpected"]
    }


def test_who_is_connected_as_no_role_of_the_policy_is_unexpected_at_once(server):
    server.run("CREATE ROLE stranger LOGIN")
    connection = server.connect(user="stranger")
    try:
        found = info(server)["sessions"]["unexpected"]
    finally:
        connection.close()
    assert ("stranger", None) in {(one["role"], one["method"]) for one in found}


def test_a_log_that_can_not_be_read_is_no_log_without_logins(server):
    found = info(server, log="/nowhere/server.log")["sessions"]
    assert found["state"] == "unreadable"
    assert "/nowhere/server.log can't be read" in found["why"]


def test_a_log_without_the_login_that_asks_is_another_s(server, tmp_path):
    (tmp_path / "log").write_text("2026-11-23 17:41:24.123 UTC [7] LOG:  connection received: host=[local]\n")
    found = info(server, log=str(tmp_path / "log"))["sessions"]
    assert found["state"] == "unreadable"
    assert "lacks this very login" in found["why"]


def test_the_server_s_own_collector_writes_a_log_that_is_read_where_somebody_says_where_it_is():
    settings = {"logging_collector": "on", "log_directory": "own", "log_filename": "own.log"}
    with ScratchCluster(settings=settings) as cluster:
        one = Server(cluster)
        for name, value in RUNNING.items():
            one.run(f"ALTER SYSTEM SET {name} = '{value}'")
        one.run("SELECT pg_reload_conf()")
        assert info(one, log=str(cluster.data / "own" / "own.log"))["sessions"]["why"] == ""
        assert "logging_collector is on" in info(one, log=None)["sessions"]["why"]


def test_a_server_that_writes_no_logins_is_not_one_without_any(server):
    server.run("ALTER SYSTEM SET log_connections = off")
    server.run("SELECT pg_reload_conf()")
    found = info(server)["sessions"]
    assert found["state"] == "unreadable"
    assert "log_connections is off" in found["why"]


def test_a_server_that_is_not_there_is_said(server):
    done = asked(server, login_port=1)
    assert done.failed
    assert "could not connect" in done.msg
