"""A server under the inventory's own access policy: what the tests of the modules and of the command share."""

from __future__ import annotations

import contextlib
import copy
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import psycopg2
import pytest
import yaml
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster
from ansible_collections.taaraxtak.production.tests.integration.conftest import Result, Server, run_module

ROOT = Path(__file__).resolve().parents[2]
POLICY_FILE = ROOT / "inventory" / "production" / "group_vars" / "production_hosts" / "access_policy.yml"
DATABASE = "taaraxtak"
TOOL = ROOT / "tools" / "pg_access.py"
# As on a machine without Ansible: whatever imports it fails.
WITHOUT_ANSIBLE = (
    f"import runpy, sys; sys.modules['ansible'] = None; runpy.run_path({str(TOOL)!r}, run_name='__main__')"
)
# Read first, since the interpreter may lie where that user can't read it.
AS_POSTGRES = f"""
import locale, os, psycopg2, pwd, runpy, sys, yaml
sys.modules["ansible"] = None
main = runpy.run_path({str(TOOL)!r})["main"]
user = pwd.getpwnam("postgres")
os.seteuid(user.pw_uid)
sys.exit(main())
"""
CLEAN, DRIFT, FAILED = 0, 2, 3
# The tables that the policy names, each with another way to number its rows, and one that it doesn't name.
TABLES = """
SET ROLE taaraxtak_owner;
CREATE TABLE provider_marketshare (id serial PRIMARY KEY, name text);
CREATE TABLE ip_hostname_mapping (id int GENERATED ALWAYS AS IDENTITY, ip text);
CREATE TABLE ooni_web_connectivity_test (id bigserial, input text, secret text);
CREATE TABLE measurement (at timestamptz, value int) PARTITION BY RANGE (at);
CREATE TABLE measurement_rest PARTITION OF measurement DEFAULT;
CREATE VIEW shares AS SELECT name FROM provider_marketshare;
CREATE SEQUENCE loose;
"""


def default_policy() -> dict[str, t.Any]:
    """The inventory's policy, to change at will."""
    return copy.deepcopy(yaml.safe_load(POLICY_FILE.read_text(encoding="utf-8"))["access_policy"])


def warned(result: Result) -> list[str]:
    """The sentences of a module's warnings, which older versions of Ansible write as plain texts."""
    return [one if isinstance(one, str) else one["event"]["msg"] for one in result.values.get("warnings", [])]


class Host:
    """A server, a policy, and the modules with both."""

    def __init__(self, server: Server, policy: dict[str, t.Any], folder: Path) -> None:
        self.server = server
        self.policy = policy
        self.lock_file = folder / "lock"

    def call(self, *, check: bool = False, diff: bool = False, **options: t.Any) -> Result:
        """pg_access. The login files stay as they are, since they would shut the tests out."""
        arguments = {
            **self.server.login,
            "policy": self.policy,
            "lock_file": str(self.lock_file),
            "hba": False,
            **options,
        }
        return run_module("pg_access", arguments, check=check, diff=diff)

    def apply(self, **options: t.Any) -> Result:
        """pg_access, which has to succeed."""
        result = self.call(**options)
        assert not result.failed, result.msg
        return result

    def info(self, *, check: bool = False, **options: t.Any) -> Result:
        """pg_access_info."""
        return run_module("pg_access_info", {**self.server.login, "policy": self.policy, **options}, check=check)

    def sql(self, sql: str, *, user: str = "postgres", database: str = DATABASE) -> list[t.Any]:
        """Run *sql* in a session of its own."""
        return self.server.run(sql, database=database, user=user)

    def refused(self, sql: str, *, user: str, database: str = DATABASE) -> str | None:
        """The SQLSTATE that *sql* is refused with, None where it is not. What it did is rolled back."""
        connection = self.server.connect(database, user)
        try:
            connection.autocommit = False
            with connection.cursor() as cursor:
                cursor.execute(sql)
            connection.rollback()
        except psycopg2.Error as error:
            return str(error.pgcode)
        finally:
            connection.close()
        return None


class Command:
    """The command with a server's dsn and a policy's file."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        login = host.server.login
        self.dsn = f"host={login['login_unix_socket']} port={login['login_port']} user={login['login_user']}"
        self.policy = folder / "policy.yml"
        self.policy.write_text(yaml.safe_dump({"access_policy": host.policy}))
        self.lock = folder / "lock"

    def run(self, name: str, *words: t.Any, dsn: str | None = None, **options: str) -> subprocess.CompletedProcess:
        return call(
            name,
            *(["--policy", self.policy] if name != "export" and "--policy" not in words else []),
            *(["--lock-file", self.lock] if name == "apply" and "--lock-file" not in words else []),
            *["--dsn", self.dsn if dsn is None else dsn],
            *words,
            **options,
        )


def call(*words: t.Any, program: str = WITHOUT_ANSIBLE, **environment: str) -> subprocess.CompletedProcess:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return subprocess.run(
        [sys.executable, "-I", "-c", program, *words],
        env={**kept, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


@contextlib.contextmanager
def policed(folder: Path) -> t.Iterator[Host]:
    """A server on which the policy is applied, and the tables made by their owner afterwards."""
    # Autovacuum is assigned transaction ids, and the tests count those.
    with ScratchCluster(settings={"autovacuum": "off"}) as cluster:
        host = Host(Server(cluster), default_policy(), folder)
        host.apply(missing_objects="skip")
        host.sql(TABLES)
        host.apply()
        yield host


# For the tests of the command, which import them.
SECRET = "s3cret-of-the-tests"
VERIFIER = (
    "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
)


def may_delete(host: Host) -> bool:
    return bool(host.sql("SELECT has_table_privilege('grafanareader', 'measurement', 'DELETE')")[0][0])


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Host]:
    with policed(tmp_path_factory.mktemp("host")) as one:
        yield one


@pytest.fixture
def command(host: Host, tmp_path: Path) -> t.Iterator[Command]:
    yield Command(host, tmp_path)
    host.sql("REVOKE CONNECT ON DATABASE postgres FROM grafanareader", database="postgres")
    host.policy = default_policy()
    host.apply()
