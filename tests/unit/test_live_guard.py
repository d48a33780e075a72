"""Tests of running hosts only read: the guard between them and the hosts refuses the rest."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.live import reading

LIVE = Path(reading.__file__).resolve().parent
PLACE = reading.Place("production", "local://", ("production_hosts",), False, "", {})


@pytest.mark.parametrize(
    "command",
    [
        ("systemctl", "restart", "cron.service"),
        ("systemctl",),
        ("rm", "-rf", "/"),
        ("psql", "-c", "DELETE FROM x"),
        ("sh", "-c", "true"),
        ("/usr/bin/stat", "/"),
        ("nft", "flush", "ruleset"),
        ("sudo", "true"),
        ("dump-store", "prune"),
        ("sshd",),
    ],
)
def test_what_may_write_is_refused_before_it_runs(command):
    with pytest.raises(reading.WritingError, match="only read"):
        reading.Host(PLACE).run(*command)


def test_what_reads_is_run():
    assert reading.Host(PLACE).said("stat", "-c", "%F", "/") == "directory\n"


@pytest.mark.parametrize("query", ["SELECT 1; COMMIT", "COMMIT; DELETE FROM x"])
def test_a_second_statement_could_end_the_transaction_that_only_reads(query):
    with pytest.raises(reading.WritingError, match="one query at a time"):
        reading.Host(PLACE).sql(query)


def test_no_test_reaches_a_host_by_another_way():
    """Neither testinfra itself nor a program is in the tests' hands."""
    for path in LIVE.glob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                imported |= (
                    {node.module or ""} if isinstance(node, ast.ImportFrom) else {one.name for one in node.names}
                )
            assert not (isinstance(node, ast.Attribute) and node.attr.startswith("_")), (
                f"{path.name}: {ast.unparse(node)}"
            )
        assert imported <= {"__future__", "json", "ipaddress", "pytest"}, path.name


def test_every_program_that_may_be_run_is_one_that_a_test_runs():
    said = "".join(path.read_text(encoding="utf-8") for path in LIVE.glob("test_*.py"))
    unused: t.Any = [name for name in reading.READING if f'"{name}"' not in said and name != "stat"]
    assert unused == []
