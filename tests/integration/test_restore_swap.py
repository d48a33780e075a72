"""The swap: clients are ended and come back to the new database, whatever they do; what was there is kept by number."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore import server, swap
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.server import Server as Restoring
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.target import Target
from ansible_collections.taaraxtak.production.tests.integration.conftest import COLLECTIONS, Server
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import until
from ansible_collections.taaraxtak.production.tests.integration.restoring import PROGRAM, restore

DUMP = b"CREATE TABLE public.t (a int);\nCOPY public.t (a) FROM stdin;\n%d\n\\.\nALTER TABLE public.t OWNER TO app;\n"


@pytest.fixture
def restoring(fresh_server: Server) -> t.Iterator[Restoring]:
    fresh_server.run("CREATE ROLE app")
    fresh_server.run("CREATE DATABASE live OWNER app")
    fresh_server.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)", database="live")
    with Restoring(Target(host=str(fresh_server.cluster.socket))) as opened:
        yield opened


def content(server: Server, database: str) -> int:
    return t.cast(int, server.run("SELECT a FROM t", database=database)[0][0])


def databases(server: Server) -> set[str]:
    return {name for (name,) in server.run("SELECT datname FROM pg_database")} - {"postgres", "template0", "template1"}


def ours(server: Server) -> list[t.Any]:
    return server.run("SELECT rolname FROM pg_roles WHERE rolname LIKE 'taaraxtak_restore_%'")


class Impatient(threading.Thread):
    """A client that connects again and again; what it saw, in order, and what it was told when it could not."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.seen: list[int] = []
        self.told: set[str] = set()
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self.seen.append(content(self.server, "live"))
            except psycopg2.Error as error:
                self.told.add(str(error).strip())


def test_clients_that_reconnect_and_hold_transactions_reach_the_new_database(
    restoring: Restoring, fresh_server: Server
) -> None:
    holder = fresh_server.connect("live")
    clients = [Impatient(fresh_server) for _client in range(4)]
    try:
        with holder.cursor() as cursor:
            cursor.execute("BEGIN; LOCK t")
            cursor.execute("COMMIT; BEGIN; SELECT a FROM t")
            swapped, _text = restore(restoring, DUMP % 2, "live")
            with pytest.raises(psycopg2.Error, match="terminat"):
                cursor.execute("SELECT a FROM t")
        counts = [len(client.seen) for client in clients]
        until(
            lambda: all(len(client.seen) > count + 3 for client, count in zip(clients, counts, strict=True)),
            "each client to come back",
        )
    finally:
        for client in clients:
            client.over.set()
        for client in clients:
            client.join(10)
        holder.close()

    assert swapped.previous == "live__previous"
    assert content(fresh_server, "live__previous") == 1
    for client in clients:
        assert sorted(client.seen) == client.seen, "a client saw the old database after the new one"
        assert client.seen[0] == 1
        assert client.seen[-1] == 2


def test_the_first_restore_needs_nothing_to_be_there(restoring: Restoring, fresh_server: Server) -> None:
    swapped, _text = restore(restoring, DUMP % 7, "quite new", owner="app")

    assert swapped.previous == ""
    assert content(fresh_server, "quite new") == 7
    assert databases(fresh_server) == {"live", "quite new"}
    assert ours(fresh_server) == []


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (0, {"live": 4}),
        (1, {"live": 4, "live__previous": 3}),
        (2, {"live": 4, "live__previous": 3, "live__previous_2": 2}),
        (5, {"live": 4, "live__previous": 3, "live__previous_2": 2, "live__previous_3": 1}),
    ],
)
def test_so_many_previous_databases_are_kept_the_newest_first(
    restoring: Restoring, fresh_server: Server, keep: int, expected: dict[str, int]
) -> None:
    for value in (2, 3, 4):
        swapped, _text = restore(restoring, DUMP % value, "live", keep_previous=keep)
        assert swapped.problems == ()

    assert {name: content(fresh_server, name) for name in databases(fresh_server)} == expected


def test_a_name_full_of_sql_is_only_a_name(restoring: Restoring, fresh_server: Server) -> None:
    name = """'; DROP DATABASE live; --"%s\\ dbname=live"""
    for value in (5, 6):
        restore(restoring, DUMP % value, name, owner="app")

    assert content(fresh_server, name) == 6
    assert content(fresh_server, f"{name}__previous") == 5
    assert content(fresh_server, "live") == 1


def test_a_previous_database_that_somebody_reads_is_moved_on_and_dropped(
    restoring: Restoring, fresh_server: Server
) -> None:
    restore(restoring, DUMP % 2, "live")
    with contextlib.closing(fresh_server.connect("live__previous")):
        swapped, _text = restore(restoring, DUMP % 3, "live")

    assert swapped.dropped == ("live__previous_2",)
    assert content(fresh_server, "live__previous") == 2


def test_a_database_that_can_not_be_swapped_stays_as_it_is(
    restoring: Restoring, fresh_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap, "LOCK_TIMEOUT", "500ms")
    with contextlib.closing(fresh_server.connect("postgres")) as other, other.cursor() as cursor:
        cursor.execute("BEGIN; COMMENT ON DATABASE live IS 'held'")
        with pytest.raises(DumpError, match=r"^live is as it was, since it could not be swapped: .*lock timeout"):
            restore(restoring, DUMP % 2, "live")
        cursor.execute("ROLLBACK")

    assert content(fresh_server, "live") == 1
    restore(restoring, DUMP % 2, "live")
    assert content(fresh_server, "live") == 2
    assert databases(fresh_server) == {"live", "live__previous"}


def test_a_swap_that_fails_has_dropped_nothing(
    restoring: Restoring, fresh_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (2, 3):
        restore(restoring, DUMP % value, "live", keep_previous=2)
    monkeypatch.setattr(swap, "LOCK_TIMEOUT", "500ms")
    with contextlib.closing(fresh_server.connect("postgres")) as other, other.cursor() as cursor:
        cursor.execute("BEGIN; COMMENT ON DATABASE live IS 'held'")
        with pytest.raises(DumpError, match="live is as it was"):
            restore(restoring, DUMP % 4, "live", keep_previous=0)
        cursor.execute("ROLLBACK")

    assert content(fresh_server, "live__previous") == 2
    assert content(fresh_server, "live__previous_2") == 1
    swapped, _text = restore(restoring, DUMP % 4, "live", keep_previous=0)
    assert set(swapped.dropped) == {"live__previous", "live__previous_2", "live__previous_3"}


def test_two_restores_at_a_time_are_refused(
    restoring: Restoring, fresh_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LOCK_WAIT", 0.3)
    restoring.create("live", {})
    with (
        Restoring(Target(host=str(fresh_server.cluster.socket))) as other,
        pytest.raises(DumpError, match="another restore into this server is under way"),
    ):
        other.create("live", {})


# The statements of a restore are counted by the first run; the others are killed at each.
@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dump") / "dump.sql"
    path.write_bytes(DUMP % 2)
    return path


def program(server: Server, dump: Path, kill: int) -> list[str]:
    """The command of a restore into live."""
    where = [str(server.cluster.socket), str(server.cluster.port)]
    return [sys.executable, "-I", str(PROGRAM), str(COLLECTIONS), *where, str(dump), "live", "1", str(kill)]


def run_killed(server: Server, dump: Path, kill: int) -> int:
    """The exit status of a restore that is killed at its statement *kill*, 0 for none."""
    done = subprocess.run(program(server, dump, kill), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


def test_a_run_killed_at_any_statement_leaves_the_old_or_the_new_database(fresh_server: Server, dump: Path) -> None:
    fresh_server.run("CREATE ROLE app")
    fresh_server.run("CREATE DATABASE live OWNER app")
    fresh_server.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)", database="live")
    killed = []
    for kill in range(1, 200):
        status = run_killed(fresh_server, dump, kill)
        now = content(fresh_server, "live")
        if status == 0:
            break
        killed.append(now)
        if now == 2:
            fresh_server.run("UPDATE t SET a = 1", database="live")
        # What a run was to drop at its end would else be one more for each that was killed after the swap.
        for name in databases(fresh_server) - {"live"}:
            fresh_server.run(f'DROP DATABASE "{name}"')
        with Restoring(Target(host=str(fresh_server.cluster.socket))) as opened:
            opened.drop(opened.create("live", {}))
        assert ours(fresh_server) == [], f"the run after the one killed at {kill} has not removed its roles"

    assert (status, now) == (0, 2), "no run came to its end"
    assert len(killed) > 40, "too few statements were seen"
    assert set(killed) == {1, 2}, "no run was killed after the swap, or none before it"
    assert databases(fresh_server) == {"live", "live__previous"}
    assert ours(fresh_server) == []


def test_a_run_killed_at_any_time_leaves_the_old_or_the_new_database(fresh_server: Server, dump: Path) -> None:
    fresh_server.run("CREATE ROLE app")
    fresh_server.run("CREATE DATABASE live OWNER app")
    fresh_server.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)", database="live")
    command = program(fresh_server, dump, 0)
    for step in range(16):
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1 + 0.03 * step)
        process.kill()
        process.communicate()
        assert content(fresh_server, "live") in (1, 2)
    subprocess.run(command, check=True)
    assert content(fresh_server, "live") == 2
    assert databases(fresh_server) == {"live", "live__previous"}
    assert ours(fresh_server) == []


def test_a_run_killed_while_the_dump_is_run_leaves_nothing_running(
    fresh_server: Server, dump: Path, tmp_path: Path
) -> None:
    fresh_server.run("CREATE ROLE app")
    fresh_server.run("CREATE DATABASE live OWNER app")
    fresh_server.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)", database="live")
    slow = tmp_path / "slow.sql"
    slow.write_bytes(dump.read_bytes() + b"SELECT pg_sleep(600);\n")
    process = subprocess.Popen(program(fresh_server, slow, 0), stderr=subprocess.PIPE)
    sleeps = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
    until(lambda: bool(fresh_server.run(sleeps)), "the dump to be run")
    process.kill()
    process.communicate()

    assert content(fresh_server, "live") == 1
    until(lambda: not fresh_server.run(sleeps), "the server to see that its client is gone")
    assert run_killed(fresh_server, dump, 0) == 0
    assert content(fresh_server, "live") == 2
    assert databases(fresh_server) == {"live", "live__previous"}
    assert ours(fresh_server) == []


def test_what_can_not_be_dropped_is_said_and_the_swap_is_done(restoring: Restoring, fresh_server: Server) -> None:
    fresh_server.run("ALTER DATABASE live IS_TEMPLATE true")
    swapped, _text = restore(restoring, DUMP % 2, "live", keep_previous=0)

    assert content(fresh_server, "live") == 2
    assert swapped.problems == ("live__previous could not be dropped: cannot drop a template database",)
