"""The two hosts, and statements run on the database as a given account of the operating system."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import re
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

import acting
import pytest
import testinfra

ROOT = Path(__file__).resolve().parents[3]
DATABASE = "taaraxtak"
REFUSED = "42501"  # insufficient_privilege


def scope() -> str:
    """What the containers' names begin with: `make up` when no scenario runs."""
    return f"taaraxtak-{os.environ.get('MOLECULE_SCENARIO_NAME', 'up')}"


# The files that make dumps, of which a second one at once would be refused, and those that need them as they are.
DUMPING = (
    "test_backup",
    "test_bad_dumps",
    "test_developer_copies",
    "test_drill",
    "test_local",
    "test_store",
    "test_units",
)


@pytest.fixture(scope="module", autouse=True)
def one_dumping_file_at_a_time(request: t.Any) -> t.Iterator[None]:
    """Files of tests run side by side; those that make dumps wait for each other."""
    if request.path.stem not in DUMPING:
        yield
        return
    with _lock("dumps"):
        yield


@pytest.fixture
def while_nobody_dumps() -> t.Iterator[None]:
    """For one test of another file: those that make dumps stop the store's units for a while."""
    with _lock("dumps"):
        yield


@pytest.fixture
def alone_with_the_firewall() -> t.Iterator[None]:
    """For tests that change production's rules for a while, and those that bring them back by site.yml."""
    with _lock("firewall"):
        yield


@contextlib.contextmanager
def _lock(what: str) -> t.Iterator[None]:
    with (Path(tempfile.gettempdir()) / f"{scope()}-{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def production() -> t.Any:
    """The production host."""
    return testinfra.get_host(f"podman://{scope()}-production")


@pytest.fixture(scope="session")
def store() -> t.Any:
    """The host of the dumps."""
    return testinfra.get_host(f"podman://{scope()}-store")


@pytest.fixture(scope="session")
def developer() -> t.Any:
    """A developer's own host, in the scenario that has one."""
    return testinfra.get_host(f"podman://{scope()}-developer")


class Login:
    """Statements as one account of the operating system and one role, by psql over the socket."""

    def __init__(self, host: t.Any, account: str, role: str, database: str = DATABASE) -> None:
        self.host, self.account, self.role, self.database = host, account, role, database

    def run(self, sql: str) -> t.Any:
        """Run *sql* in one session and one transaction that is rolled back."""
        return self._psql("BEGIN; " + sql.rstrip("; ") + "; ROLLBACK")

    def commit(self, sql: str) -> t.Any:
        """Run *sql* for good."""
        return self._psql(sql)

    def _psql(self, sql: str) -> t.Any:
        # One -c for each statement would be one session all the same, but stops being one transaction.
        return self.host.run(
            "runuser -u %s -- psql -X -At -v VERBOSITY=sqlstate -v ON_ERROR_STOP=1 -U %s -d %s -c %s",
            self.account,
            self.role,
            self.database,
            sql,
        )

    def refused(self, sql: str) -> bool:
        """Whether the server refuses *sql* for want of a privilege, and for nothing else."""
        done = self.run(sql)
        assert done.rc != 0, f"{self.role} was allowed to: {sql}"
        assert REFUSED in done.stderr, f"{self.role}: {sql}: expected {REFUSED}, got: {done.stderr}"
        return True

    def allowed(self, sql: str) -> bool:
        """Whether the server does *sql*."""
        done = self.run(sql)
        assert done.rc == 0, f"{self.role} was refused: {sql}: {done.stderr}"
        return True


@pytest.fixture(scope="session")
def scraper(production: t.Any) -> Login:
    """collect.py's way in."""
    return Login(production, "collector", "scraper")


@pytest.fixture(scope="session")
def grafanareader(production: t.Any) -> Login:
    """Grafana's way in."""
    return Login(production, "grafana", "grafanareader")


@pytest.fixture(scope="session")
def dumper(production: t.Any) -> Login:
    """The dumps' way in."""
    return Login(production, "pgdumper", "dumper")


@pytest.fixture(scope="session")
def dba(production: t.Any) -> Login:
    """A database administrator's way in."""
    return Login(production, "alice", "dba")


@pytest.fixture(scope="session")
def postgres(production: t.Any) -> Login:
    """Break-glass."""
    return Login(production, "postgres", "postgres")


@pytest.fixture(scope="session")
def until() -> t.Callable[..., None]:
    """A function that waits until a condition holds; where it doesn't in time, it fails with the journal of a unit."""

    def wait(condition: t.Callable[[], bool], *, seconds: float, what: str, host: t.Any, unit: str) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(1)
        journal = host.run("journalctl --no-pager -n 40 -u %s", unit).stdout
        pytest.fail(f"{what}: not within {seconds} s\n{journal}")

    return wait


@pytest.fixture
def commands(request: t.Any) -> list[str]:
    """The commands of the runbook's section that says that this test runs it."""
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    block = re.search(rf"<!-- run by \S+: {request.node.originalname} -->\n```sh\n(.*?)```", text, re.DOTALL)
    assert block
    return block[1].splitlines()


def _of_the_scenario() -> dict[str, t.Any]:
    given = sorted((ROOT / "molecule" / os.environ.get("MOLECULE_SCENARIO_NAME", "up") / "vars").glob("*.yml"))
    return {"inventories": [ROOT / "inventory" / "local"], "given": given}


@pytest.fixture(scope="session")
def attempt() -> t.Callable[..., subprocess.CompletedProcess[str]]:
    """acting.attempt on the scenario's hosts, with the scenario's variables."""
    return functools.partial(acting.attempt, **_of_the_scenario())


@pytest.fixture(scope="session")
def play() -> t.Callable[..., str]:
    """acting.play on the scenario's hosts, with the scenario's variables."""
    return functools.partial(acting.play, **_of_the_scenario())


# A request to Grafana from its own host, where alone it listens. The password goes in by a file and stays there.
GRAFANA_ASKED = """
import base64, json, sys, urllib.error, urllib.request
method, path, body, user = sys.argv[1:]
password = open("/etc/grafana/secrets/admin_password").read().strip()
request = urllib.request.Request("http://127.0.0.1:3000" + path, data=body.encode() or None, method=method)
request.add_header("Content-Type", "application/json")
if user == "admin":
    request.add_header("Authorization", "Basic " + base64.b64encode(("admin:" + password).encode()).decode())
try:
    with urllib.request.urlopen(request) as answer:
        print(json.dumps({"status": answer.status, "json": json.load(answer)}))
except urllib.error.HTTPError as error:
    print(json.dumps({"status": error.code, "json": json.load(error)}))
"""


@pytest.fixture(scope="session")
def ask(production: t.Any) -> t.Callable[..., tuple[int, t.Any]]:
    """A function that asks Grafana: its status and its answer."""

    def request(method: str, path: str, body: object = None, user: str = "admin") -> tuple[int, t.Any]:
        given = json.dumps(body) if body is not None else ""
        said = json.loads(
            production.check_output("python3 -c %s %s %s %s %s", GRAFANA_ASKED, method, path, given, user)
        )
        return said["status"], said["json"]

    return request


@pytest.fixture(scope="session")
def new_token(ask: t.Callable[..., tuple[int, t.Any]]) -> t.Callable[[str], str]:
    """A function that makes a token of a role, of a service account of its own."""

    def make(role: str) -> str:
        status, account = ask("POST", "/api/serviceaccounts", {"name": f"{role} {time.monotonic_ns()}", "role": role})
        assert status in (200, 201), account
        return str(ask("POST", f"/api/serviceaccounts/{account['id']}/tokens", {"name": "test"})[1]["key"])

    return make
