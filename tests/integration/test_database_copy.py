"""States of a database kept beside it: made and brought back while others are connected, and refused by name."""

from __future__ import annotations

import socket
import typing as t

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore import server as server_module
from ansible_collections.taaraxtak.production.plugins.modules import database_copy

from .conftest import Server, run_module

NAME = "kept"


@pytest.fixture
def kept(fresh_server: Server) -> Server:
    fresh_server.run("CREATE ROLE owner")
    fresh_server.run(f"CREATE DATABASE {NAME} OWNER owner")
    fresh_server.run("CREATE TABLE t AS SELECT 1 AS x", database=NAME)
    return fresh_server


def copy(server: Server, name: str, state: str = "present", *, check: bool = False, database: str = NAME) -> t.Any:
    login = {**server.login, "database": database, "name": name, "state": state}
    return run_module("database_copy", login, check=check)


def databases(server: Server) -> set[str]:
    return {name for (name,) in server.run("SELECT datname FROM pg_database WHERE datname LIKE 'kept%'")}


def test_a_state_is_kept_and_comes_back_while_somebody_is_connected(kept):
    connected = kept.connect(NAME)
    done = copy(kept, "one")
    assert (done.failed, done.changed, done.values.get("snapshots")) == (False, True, ["one"]), done.msg
    assert connected.closed or _lost(connected)
    kept.run("INSERT INTO t VALUES (2)", database=NAME)
    kept.connect(NAME)
    done = copy(kept, "one", "restored")
    assert done.changed, done.msg
    assert kept.run("SELECT x FROM t", database=NAME) == [(1,)]
    # What it was is kept once, and the state can be brought back again.
    assert kept.run("SELECT count(*) FROM t", database=f"{NAME}__previous") == [(2,)]
    kept.run("DROP TABLE t", database=NAME)
    assert copy(kept, "one", "restored").changed
    assert kept.run("SELECT x FROM t", database=NAME) == [(1,)]
    assert databases(kept) == {NAME, f"{NAME}__previous", f"{NAME}__snapshot_one"}


def _lost(connection: t.Any) -> bool:
    with pytest.raises(psycopg2.Error), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return True


def test_the_copy_belongs_to_the_owner_and_opens_to_nobody(kept):
    copy(kept, "one")
    query = """SELECT pg_get_userbyid(datdba), datallowconn, has_database_privilege('public', oid, 'CONNECT')
                 FROM pg_database WHERE datname = %s"""
    assert kept.run(query, values=[f"{NAME}__snapshot_one"]) == [("owner", False, False)]
    copy(kept, "one", "restored")
    assert kept.run(query, values=[NAME]) == [("owner", True, False)]


def test_a_state_that_is_there_is_left_as_it_is(kept):
    copy(kept, "one")
    kept.run("INSERT INTO t VALUES (2)", database=NAME)
    done = copy(kept, "one")
    assert (done.failed, done.changed) == (False, False)
    copy(kept, "one", "restored")
    assert kept.run("SELECT x FROM t", database=NAME) == [(1,)]


@pytest.mark.parametrize("state", ["present", "restored"])
@pytest.mark.parametrize(
    "name",
    ["", "x__restoring", "x__y", "_x", "x_", "x; DROP DATABASE kept", '"x"', "x y", "../x", "X", "ä", "x\n", "x" * 60],
)
def test_a_hostile_name_is_refused_and_nothing_is_done(kept, name, state):
    done = copy(kept, name, state)
    assert done.failed
    assert "is no name of a snapshot" in done.msg or "is too long" in done.msg
    assert databases(kept) == {NAME}


def test_an_unknown_state_is_refused_and_those_that_are_there_are_named(kept):
    assert copy(kept, "one", "restored").msg == f"there is no snapshot one of {NAME}: there is none"
    copy(kept, "two")
    assert copy(kept, "one", "restored").msg == f"there is no snapshot one of {NAME}: there is two"
    assert kept.run("SELECT x FROM t", database=NAME) == [(1,)]


def test_a_database_that_is_not_there_is_refused(kept):
    assert copy(kept, "one", database="other").msg == "there is no database other"


@pytest.mark.parametrize("state", ["present", "restored"])
def test_on_production_nothing_is_done_until_its_name_is_typed(kept, state, monkeypatch):
    copy(kept, "one")
    # As where dumps are made: a file that the server sees.
    monkeypatch.setattr(server_module, "PRODUCTION_MARK", kept.run("SHOW data_directory")[0][0] + "/PG_VERSION")
    given = {"login_unix_socket": str(kept.cluster.socket), "login_port": kept.cluster.port, "login_os_user": ""}
    given |= {"login_user": kept.login["login_user"], "database": NAME, "name": "two", "state": state}
    asked = {"restore_into_production": False, "production_host": ""}
    for said in (asked, asked | {"production_host": socket.gethostname()}):
        with pytest.raises(DumpError, match="say restore_into_production and type its name out"):
            database_copy.work(given | said, check=False)
    with pytest.raises(ValueError, match="needs the host's name typed out in production_host"):
        database_copy.work(given | {"restore_into_production": True, "production_host": ""}, check=False)
    assert databases(kept) == {NAME, f"{NAME}__snapshot_one"}
    typed = {"restore_into_production": True, "production_host": socket.gethostname(), "name": "one"}
    assert database_copy.work(given | typed, check=False)["changed"] == (state == "restored")


def test_check_mode_tells_and_does_nothing(kept):
    done = copy(kept, "one", check=True)
    assert (done.failed, done.changed) == (False, True)
    assert databases(kept) == {NAME}
    copy(kept, "one")
    kept.run("INSERT INTO t VALUES (2)", database=NAME)
    assert copy(kept, "one", "restored", check=True).changed
    assert kept.run("SELECT count(*) FROM t", database=NAME) == [(2,)]
