"""Tests of running hosts only read: the guard between them and the hosts refuses the rest."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.live import only_reads, reading

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
        # Of a program that mostly reads, these write.
        ("ss", "-K", "dst", "192.0.2.1"),
        ("ss", "-H", "-l", "-t", "-n", "-K"),
        ("nft", "list", "ruleset", ";", "flush", "ruleset"),
        ("find", "/", "-xdev", "-type", "f", "-perm", "/6000", "-delete"),
        ("find", "/", "-mindepth", "1", "-maxdepth", "1", "-printf", "%p\\n", "-delete"),
        ("sshd", "-T", "-E", "/etc/passwd"),
        ("dpkg", "--verify", "--configure"),
        ("cat", "/etc/shadow"),
        ("cat", "/etc/ssh/devops_keys/../../shadow"),
        ("systemctl", "show", "--property=Id", "x", "y"),
    ],
)
def test_what_may_write_is_refused_before_it_runs(command):
    with pytest.raises(only_reads.WritingError, match="only read"):
        reading.Host(PLACE).run(*command)


def test_what_reads_is_run():
    assert reading.Host(PLACE).said("stat", "-c", "%F", "/") == "directory\n"


@pytest.mark.parametrize("query", ["SELECT 1; COMMIT", "COMMIT; DELETE FROM x"])
def test_a_second_statement_could_end_the_transaction_that_only_reads(query):
    with pytest.raises(only_reads.WritingError, match="one query at a time"):
        reading.Host(PLACE).sql(query)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
        "SELECT PG_RELOAD_CONF ()",
        'SELECT "pg_terminate_backend"(1)',
        "SELECT pg_catalog.pg_switch_wal()",
        "SELECT pg_terminate_backend/**/(1)",
        "SELECT set_config('role', 'x', false)",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "DO $$BEGIN PERFORM 1; END$$",
        "CALL x()",
        "EXPLAIN ANALYZE SELECT 1",
        "",
    ],
)
def test_a_query_calls_nothing_that_does_more_than_look(query):
    with pytest.raises(only_reads.WritingError):
        reading.Host(PLACE).sql(query)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "SHOW listen_addresses",
        "SELECT extract(epoch FROM now() - max(time)) <= 60 FROM public.t",
        "SELECT a FROM (SELECT 1 AS a) AS b WHERE a IN (1, 2) AND NOT (a = ANY (ARRAY[1]))",
    ],
)
def test_a_query_that_looks_is_one(query):
    only_reads.query(query)


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
        assert imported <= {"__future__", "datetime", "json", "pytest", "time"}, path.name


def test_every_program_that_may_be_run_is_one_that_a_test_runs():
    said = "".join(path.read_text(encoding="utf-8") for path in (*LIVE.glob("test_*.py"), LIVE / "reading.py"))
    assert [known[0] for known in only_reads.READING if f'"{known[0]}"' not in said] == []
