"""A real PostgreSQL for each test session, and the modules run as Ansible runs them: arguments in, one JSON out."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import SUPERUSER, ScratchCluster

COLLECTIONS = Path(__file__).resolve().parents[2] / ".ansible" / "collections"

RUNNER = """
import importlib, json, sys
from ansible.module_utils.testing import patch_module_args
with patch_module_args(json.load(sys.stdin)):
    importlib.import_module("ansible_collections.taaraxtak.production.plugins.modules." + sys.argv[1]).main()
"""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a module answered."""

    failed: bool
    changed: bool
    values: dict[str, t.Any]

    @property
    def msg(self) -> str:
        return str(self.values.get("msg", ""))


def run_module(
    name: str,
    arguments: dict[str, t.Any],
    *,
    check: bool = False,
    diff: bool = False,
    env: dict[str, str] | None = None,
) -> Result:
    """Run a module of the collection in a process of its own and read its answer."""
    given = {**arguments, "_ansible_check_mode": check, "_ansible_diff": diff}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, name],
        input=json.dumps(given),
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS), **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    assert lines, f"{name} said nothing; its errors: {done.stderr}"
    values = json.loads(lines[-1])
    return Result(failed=bool(values.get("failed")), changed=bool(values.get("changed")), values=values)


class Server:
    """A scratch cluster with what tests ask of it."""

    def __init__(self, cluster: ScratchCluster) -> None:
        self.cluster = cluster

    @property
    def login(self) -> dict[str, t.Any]:
        """The login options of a module."""
        return {
            "login_unix_socket": str(self.cluster.socket),
            "login_port": self.cluster.port,
            "login_user": SUPERUSER,
        }

    def connect(self, database: str = "postgres", user: str = SUPERUSER) -> t.Any:
        """A psycopg2 connection in autocommit mode."""
        connection = psycopg2.connect(host=str(self.cluster.socket), port=self.cluster.port, user=user, dbname=database)
        connection.autocommit = True
        return connection

    def run(self, sql: str, *, database: str = "postgres", user: str = SUPERUSER, values: t.Any = None) -> list[t.Any]:
        """Run *sql* in a session of its own; the rows, or [] where there are none."""
        connection = self.connect(database, user)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()


@pytest.fixture(scope="session")
def server() -> t.Iterator[Server]:
    """One server for the session: tests that only need a database make one of their own with `database`."""
    with ScratchCluster() as cluster:
        yield Server(cluster)


@pytest.fixture
def fresh_server() -> t.Iterator[Server]:
    """A server for one test alone, for what is cluster-wide: roles, pg_hba.conf, settings."""
    with ScratchCluster() as cluster:
        yield Server(cluster)


@pytest.fixture
def database(server: Server, request: pytest.FixtureRequest) -> t.Iterator[str]:
    """A new, empty database on `server`."""
    name = f"t_{abs(hash(request.node.nodeid)) % 10**12}"
    server.run(f'CREATE DATABASE "{name}"')
    yield name
    server.run(f'DROP DATABASE "{name}" WITH (FORCE)')
