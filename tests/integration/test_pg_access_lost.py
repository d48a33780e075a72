"""The connection is lost: what is done, what is not, and what nobody knows is said apart, and the status is 3."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import (
    FAILED,
    Command,
    Host,
    may_delete,
    policed,
)
from ansible_collections.taaraxtak.production.tests.integration.pg_access_proxy import Proxy

REVOKE = 'REVOKE DELETE ON TABLE "public"."measurement" FROM "grafanareader" CASCADE'


@pytest.fixture(scope="module")
def policed_host(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Host]:
    with policed(tmp_path_factory.mktemp("host")) as one:
        yield one


@pytest.fixture
def host(policed_host: Host) -> t.Iterator[Host]:
    policed_host.sql("GRANT DELETE ON measurement TO grafanareader")
    yield policed_host
    policed_host.apply()


@pytest.fixture
def command(host: Host, tmp_path: Path) -> Command:
    return Command(host, tmp_path)


@pytest.mark.parametrize("after", [True, False])
def test_a_commit_that_is_not_answered_is_neither_done_nor_undone(command, after):
    with Proxy(command.host.server.cluster, lose=b"COMMIT", after=after) as proxy:
        done = command.run("apply", dsn=proxy.dsn)
    assert proxy.lost.is_set()
    assert may_delete(command.host) is not after
    assert done.returncode == FAILED
    assert done.stdout == f"-- Not known whether this was done:\n-- {REVOKE};\n"
    assert "whether this part was done is not known: plan anew (nothing was changed before)" in done.stderr
    assert "nothing was changed)" not in done.stderr


def test_the_answer_in_json_says_what_is_not_known(command):
    with Proxy(command.host.server.cluster, lose=b"COMMIT") as proxy:
        done = command.run("apply", "--json", dsn=proxy.dsn)
    answer = json.loads(done.stdout)
    assert (answer["queries"], answer["uncertain"], answer["status"]) == ([], [REVOKE], done.returncode)


def test_the_module_says_so_too(host):
    with Proxy(host.server.cluster, lose=b"COMMIT") as proxy:
        result = host.call(**proxy.login, login_unix_socket=None)
    assert result.failed
    assert (result.values["queries"], result.values["uncertain"]) == ([], [REVOKE])
    assert "database taaraxtak: COMMIT was not answered" in result.msg


def test_a_database_whose_making_is_not_answered_is_not_known(host):
    policy = {**host.policy, "scope": {**host.policy["scope"], "databases": ["taaraxtak", "to_come"]}}
    try:
        with Proxy(host.server.cluster, lose=b"CREATE DATABASE") as proxy:
            result = host.call(**proxy.login, login_unix_socket=None, policy=policy, missing_objects="skip")
        assert result.values.get("uncertain") == ['CREATE DATABASE "to_come"'], result.msg
        assert result.values["queries"] == []
    finally:
        host.sql("DROP DATABASE IF EXISTS to_come WITH (FORCE)")


def test_what_is_lost_before_the_commit_is_not_done_and_is_said_so(command):
    with Proxy(command.host.server.cluster, lose=b"REVOKE") as proxy:
        done = command.run("apply", dsn=proxy.dsn)
    assert proxy.lost.is_set()
    assert may_delete(command.host)
    assert done.returncode == FAILED
    assert (done.stdout, "(nothing was changed)" in done.stderr) == ("", True), done.stderr


def test_what_was_committed_before_the_loss_is_said(command):
    """The cluster's part is done, the database's is not."""
    command.host.sql("ALTER ROLE grafanareader CREATEDB")
    with Proxy(command.host.server.cluster, lose=b"REVOKE") as proxy:
        done = command.run("apply", dsn=proxy.dsn)
    assert done.returncode == FAILED
    assert 'ALTER ROLE "grafanareader"' in done.stdout
    assert REVOKE not in done.stdout
    assert "(1 statement before stays done)" in done.stderr


@pytest.mark.parametrize("where", ["pg_default_acl", "ROLLBACK", "SET client_encoding"])
@pytest.mark.parametrize("name", ["plan", "audit", "export"])
def test_a_loss_while_reading_is_status_3_and_one_sentence(command, name, where):
    """Also after the last query of a catalogue, when nothing is left to be read."""
    with Proxy(command.host.server.cluster, lose=where.encode()) as proxy:
        done = command.run(name, dsn=proxy.dsn + " client_encoding=LATIN1")
    assert proxy.lost.is_set()
    assert done.returncode == FAILED
    assert done.stderr.startswith("pg-access: ")
    assert done.stderr.count("\n") == 1, done.stderr
