"""Tests of running hosts only read: the guard between them and the hosts refuses the rest."""

from __future__ import annotations

import ast
import json
import re
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.live import (
    only_reads,
    reading,
    test_hosts,
    test_jobs,
    test_keys,
    test_packages,
)

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


def test_a_folder_that_can_not_be_looked_into_is_no_empty_one(tmp_path):
    host = reading.Host(PLACE)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("there")
    assert host.inside(str(tmp_path / "there")) == [str(tmp_path / "there" / "x")]
    assert host.inside(str(tmp_path / "link")) == [str(tmp_path / "link" / "x")]
    assert host.inside(str(tmp_path / "gone" / "more")) == []
    with pytest.raises(AssertionError, match="Not a directory"):
        host.inside(str(tmp_path / "file"))


def test_what_a_program_complains_of_is_read():
    host = reading.Host(PLACE)
    with pytest.raises(AssertionError, match="such file"):
        host.said("stat", "-c", "%F", "/nowhere")
    with pytest.raises(AssertionError, match="such file"):
        host.said("stat", "-c", "%F", "/nowhere", statuses=(0, 1), warned=False)
    assert host.said("stat", "-c", "%F", "/nowhere", statuses=(0, 1)) == ""


class Answering(reading.Host):
    """A host of the store that answers by the first word of a command: status, output, complaint."""

    def __init__(self, answers: dict[str, t.Any]) -> None:
        super().__init__(reading.Place("store", "local://", ("store_hosts",), False, "", {"host_devops": []}))
        self.answers = answers

    def run(self, *arguments: str) -> t.Any:
        only_reads.command(arguments)
        answer = self.answers[arguments[0]]
        status, printed, complaint = answer(arguments) if callable(answer) else answer
        return types.SimpleNamespace(rc=status, stdout=printed, stderr=complaint)


PASSWD = (0, "root:x:0:0::/root:/bin/bash\nalice:x:1:1::/srv/alice:/bin/sh\n", "")


def found(folders: dict[str, list[str]], status: int = 0) -> t.Any:
    """A find that knows *folders*, and ends with *status* where it was to look through everything."""

    def answer(arguments: tuple[str, ...]) -> tuple[int, str, str]:
        if "-xdev" in arguments:
            return status, "", "find: '/home': Permission denied\n" if status else ""
        return 0, "".join(f"{name}\n" for name in folders.get(arguments[1].removesuffix("/.") or "/", [])), ""

    return answer


def systemctl(unit: str, folder: str = "/etc/systemd/system") -> t.Any:
    """One that knows one timer."""
    listed = json.dumps([{"unit": f"{unit}.timer", "activates": f"{unit}.service"}])

    def answer(arguments: tuple[str, ...]) -> tuple[int, str, str]:
        return 0, listed if arguments[1] == "list-timers" else f"{folder}/{arguments[-1]}\n", ""

    return answer


@pytest.mark.parametrize(
    ("test", "well", "ill"),
    [
        (test_packages.test_no_program_of_a_package_was_changed, {"dpkg": (0, "", "")}, {"dpkg": (2, "", "")}),
        (
            test_packages.test_no_program_of_a_package_was_changed,
            {"dpkg": (1, "??5?????? c /etc/x\n", "")},
            {"dpkg": (0, "", "dpkg: warning: package x: no information\n")},
        ),
        (
            test_keys.test_no_key_lies_in_a_home,
            {"getent": PASSWD, "find": found({})},
            {"getent": PASSWD, "find": found({}, 1)},
        ),
        (
            test_keys.test_no_key_lies_in_a_home,
            {"getent": PASSWD, "find": found({"/": ["srv"], "/srv": ["alice"], "/srv/alice": [".bashrc"]})},
            {
                "getent": PASSWD,
                "find": found(
                    {
                        "/": ["srv"],
                        "/srv": ["alice"],
                        "/srv/alice": [".ssh"],
                        "/srv/alice/.ssh": ["authorized_keys2"],
                    }
                ),
            },
        ),
        (
            test_hosts.test_devops_alone_becomes_root,
            {"getent": PASSWD, "sudo": (1, "User alice is not allowed to run sudo on store.\n", "")},
            {"getent": PASSWD, "sudo": (1, "", "sudo: unable to open /etc/sudoers\n")},
        ),
        (test_jobs.test_nobody_has_a_table_of_their_own, {"find": found({})}, {"find": (1, "", "refused\n")}),
        (
            test_jobs.test_every_timer_is_debians_or_a_roles,
            {"systemctl": systemctl("taaraxtak-dumps-check")},
            {"systemctl": systemctl("taaraxtak-evil")},
        ),
        (
            test_jobs.test_every_timer_is_debians_or_a_roles,
            {"systemctl": systemctl("apt-daily", "/usr/lib/systemd/system")},
            # Of another group.
            {"systemctl": systemctl("taaraxtak-freshness")},
        ),
    ],
)
def test_what_could_not_be_looked_at_passes_no_test(test, well, ill):
    test(Answering(well))
    with pytest.raises(AssertionError):
        test(Answering(ill))


def test_the_timers_are_those_that_the_roles_have():
    roles = LIVE.parents[1] / "roles"
    files = [path for path in roles.rglob("*") if path.suffix in (".yml", ".j2", ".timer")]
    said = "".join(f"{path.name}\n{path.read_text(encoding='utf-8')}" for path in files)
    ours = set(re.findall(r"taaraxtak-[a-z-]+(?=\.timer)", said))
    assert {name for names in test_jobs.TIMERS.values() for name in names} == ours
