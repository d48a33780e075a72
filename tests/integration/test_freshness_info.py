"""freshness_info: the collector's own check, by its own account, as the audit has it."""

from __future__ import annotations

import getpass
import json
import os
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.judges.freshness import judge
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.model import Expected, Source
from ansible_collections.taaraxtak.production.tests.integration.conftest import Result, Server, run_module
from ansible_collections.taaraxtak.production.tests.unit.audit.estates import NOW

PROGRAM = Path(__file__).resolve().parents[2] / "roles" / "collector" / "files" / "freshness.py"


def ask(tmp_path: Path, *, check: bool = False, **more: t.Any) -> Result:
    # The host's own Python has the driver, this machine's need not.
    program = tmp_path / "check.py"
    command = f"[{sys.executable!r}, {str(PROGRAM)!r}, *sys.argv[1:]]"
    program.write_text(f"import subprocess, sys\nsys.exit(subprocess.run({command}).returncode)\n")
    given = {"user": getpass.getuser(), "program": str(program), "settings": str(tmp_path / "freshness.json")}
    return run_module("freshness_info", {**given, **more}, check=check)


@pytest.fixture
def configured(server: Server, database: str, tmp_path: Path) -> Path:
    server.run("CREATE TABLE a (at timestamptz); INSERT INTO a VALUES (now())", database=database)
    server.run("CREATE TABLE b (at timestamptz)", database=database)
    server.run("INSERT INTO b VALUES (now() - interval '1 day')", database=database)
    postgres = {"host": str(server.cluster.socket), "port": server.cluster.port, "user": "postgres", "dbname": database}
    tables = [{"table": f"public.{name}", "column": "at", "max_age": 3600} for name in "abc"]
    (tmp_path / "freshness.json").write_text(json.dumps({"postgres": postgres, "tables": tables}))
    return tmp_path


@pytest.mark.parametrize("check", [False, True])
def test_what_the_collector_s_check_finds_the_audit_finds(configured: Path, check: bool) -> None:
    done = ask(configured, check=check)
    assert not done.failed, done.msg
    assert not done.changed
    assert done.values["tables"] == [{"table": f"public.{name}", "column": "at", "max_age": 3600.0} for name in "abc"]
    found = judge(Source("freshness", "production", "read", data=done.values), Expected({"tables": ["public.d"]}, NOW))
    assert [(one.rule, one.object) for one in found] == [
        ("collector-stale", "table public.b"),
        ("collector-unknown", "table public.c"),
        ("collector-unknown", "table public.d"),
    ]


def test_a_server_that_is_not_there_is_no_collector_that_writes(configured: Path) -> None:
    path = configured / "freshness.json"
    settings = json.loads(path.read_text())
    settings["postgres"]["port"] = 1
    path.write_text(json.dumps(settings))
    done = ask(configured)
    assert done.failed
    assert "the check could not look" in done.msg


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("print('public.a is fresh: 3 s old; the limit is 60 s')", "does not answer in JSON"),
        ("", "does not answer in JSON"),
        ("print('[]')", "is none of this version"),
        ("""print('{"why": "", "outcomes": [{"about": "table a", "state": "fresh"}]}')""", "is none of this version"),
        ("""print('{"why": "", "outcomes": []}'); raise SystemExit(7)""", "exit status 7"),
        ("import sys; sys.exit('broken')", "broken"),
    ],
)
def test_an_answer_that_is_none_is_a_failure(tmp_path: Path, text: str, why: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(text)
    done = ask(tmp_path, program=str(program))
    assert done.failed
    assert why in done.msg


def test_an_account_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = ask(tmp_path, user="nobody-of-that-name")
    assert done.failed
    assert "nobody-of-that-name" in done.msg


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_looks_with_the_collector_s_rights_alone(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    who = "import json, os; who = [os.getresuid(), os.getresgid(), os.getgroups(), sorted(os.environ)]"
    said = "{'about': 'table a', 'state': 'fresh', 'sentence': json.dumps(who), 'steady': ''}"
    program.write_text(f"{who}\nprint(json.dumps({{'why': '', 'outcomes': [{said}]}}))")
    (tmp_path / "freshness.json").write_text('{"tables": []}')
    for path in (program, *program.parents[:-2]):
        path.chmod(0o755)
    done = ask(tmp_path, program=str(program), user="nobody")
    assert not done.failed, done.msg
    users, groups, others, _environment = json.loads(done.values["outcomes"][0]["sentence"])
    assert set(users) == {65534}
    assert {*groups, *others} == {65534}
