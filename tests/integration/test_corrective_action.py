"""A corrective action on a real server: what was expected happens and is proved, everything else leaves no trace."""

# ruff: noqa: F811 (the fixture is imported)

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import saved
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.folder import ARRIVED
from ansible_collections.taaraxtak.production.tests.integration.actions_host import DBA, ME, NAME, action  # noqa: F401
from ansible_collections.taaraxtak.production.tests.integration.conftest import COLLECTIONS, RUNNER, run_module


def test_what_was_expected_is_committed_and_recorded(action):
    action.approve()
    result = action.run()
    assert not result.failed, result.msg
    after = action.after(result)
    assert (result.values["outcome"], after.outcome, after.reason) == ("committed", "committed", "")
    assert (after.carried_out_by, after.approved_by) == (ME, "alice")
    assert [(step.rows, step.saved, step.problem) for step in after.steps] == [(12, 13, "")]
    assert [(one.before, one.after, one.met) for one in after.assess] == [("12", "0", True)]
    assert [(one.before, one.after, one.met) for one in after.invariants] == [("20", "20", True)]
    assert action.server.run("SELECT count(*) FROM measurements", database=action.database) == [(20,)]
    status = action.server.run(
        "SELECT pg_xact_status(%s::xid8)", values=[after.transaction_id], database=action.database
    )
    assert status == [("committed",)]
    assert any("RowExclusiveLock" in lock for lock in after.steps[0].locks)
    assert after.wal_position
    assert "Committed" in result.values["report"]
    assert (action.hosts.incoming / after.dump).exists()


def test_the_saved_rows_are_those_that_were_there_signed_and_in_the_store(action):
    before = action.server.run("SELECT id::text, name, value::text FROM measurements", database=action.database)
    action.approve()
    after = action.after(action.run())
    (file,) = action.saved()
    assert file.name == after.saved
    listed = action.hosts.store("list", "--json").stdout
    assert after.saved_sha256 in listed
    lines = subprocess.run(["zstd", "-dcq", file], capture_output=True, check=True).stdout.splitlines(keepends=True)
    about, touched = saved.read(lines)
    assert (about.incident, about.plan_sha256) == (NAME, after.plan_sha256)
    notes, rows = touched
    assert (notes.table.name, notes.rows) == ("notes", (("1", "32", "of the last"),))
    left = action.server.run("SELECT id::text, name, value::text FROM measurements", database=action.database)
    assert sorted(rows.rows) == sorted(set(before) - set(left))
    archived = action.hosts.store("archive")
    assert archived.returncode == 0, archived.stderr
    assert f"archived {after.saved}" in archived.stdout
    assert [(column.name, column.type, column.key) for column in rows.table.columns] == [
        ("id", "integer", True),
        ("name", "text", False),
        ("value", "double precision", False),
    ]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_of_the_saved_rows_nothing_is_written_to_this_host_s_disk(action):
    """Every file that the module or a program of its opens for writing is known, the store's own apart."""
    action.approve()
    trace = action.folder / "trace"
    done = subprocess.run(
        [
            "strace",
            "-f",
            "-qq",
            "-y",
            "-o",
            trace,
            "-e",
            "trace=openat,creat",
            sys.executable,
            "-c",
            RUNNER,
            "corrective_action",
        ],
        input=json.dumps(action.arguments()),
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS), "SUDO_USER": "", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout.splitlines()[-1])["outcome"] == "committed", done.stdout
    opened = re.findall(r'(?:openat|creat)\((?:[^,"]*, )?"([^"]*)", [^)\n]*O_(?:WRONLY|RDWR|CREAT)', trace.read_text())
    # The commands of the test's hosts are no installed ones: Python compiles them.
    ours = [path for path in opened if "/__pycache__/" not in path]
    mine = {path for path in ours if not path.startswith((f"{action.database}_", "/proc/", "/dev/"))} - {ARRIVED}
    known = {action.folder / name for name in ("action.lock", "lock", "ledger", "transfers", "incoming.lock")}
    assert {path for path in mine if not any(path.startswith(str(one)) for one in known)} == set()


def test_saved_rows_are_encrypted_where_dumps_are(action, tmp_path):
    keys = []
    for name in ("one", "two"):
        subprocess.run(["age-keygen", "-o", tmp_path / name], check=True, capture_output=True)
        public = subprocess.run(["age-keygen", "-y", tmp_path / name], check=True, capture_output=True, text=True)
        keys.append(public.stdout.strip())
    action.hosts.configure_source(recipients=keys)
    action.approve()
    after = action.after(action.run())
    assert (after.outcome, after.saved[-19:]) == ("committed", "saved.jsonl.zst.age")
    file = action.hosts.incoming / after.saved
    plain = subprocess.run(["age", "-d", "-i", tmp_path / "two", file], capture_output=True, check=True).stdout
    lines = subprocess.run(["zstd", "-dcq"], input=plain, capture_output=True, check=True).stdout
    assert saved.read(lines.splitlines(keepends=True))[0].incident == NAME


def test_nothing_is_done_twice_even_if_the_record_is_lost(action):
    action.approve()
    first = action.after(action.run())
    digests = action.digests()
    again = action.run()
    assert again.failed
    assert "was begun on this host before" in again.msg
    assert action.after(again) == first
    assert action.digests() == digests
    assert len(action.saved()) == 1


ONE = {"id": "remove", "why": "It is wrong.", "expect_rows": 1}
PLAIN = {
    "assess": [
        {"id": "there", "query": "SELECT count(*) FROM public.plain WHERE a = 'plain 1'", "before": 1, "after": 0}
    ],
    "invariants": [{"id": "others", "query": "SELECT count(*) FROM public.plain WHERE k > 1"}],
}


def step(sql: str, **changes: t.Any) -> list[dict[str, t.Any]]:
    return [{**ONE, "sql": sql, **changes}]


MISMATCHES: dict[str, tuple[dict[str, t.Any], str]] = {
    "one row more than expected": (
        {**PLAIN, "steps": step("DELETE FROM public.plain WHERE k IN (1, 2)")},
        "step remove: it touched 2 rows, and 1 were expected",
    ),
    "one row fewer than expected": (
        {**PLAIN, "steps": step("DELETE FROM public.plain WHERE k = 1", expect_rows=2)},
        "step remove: it touched 1 rows, and 2 were expected",
    ),
    "more than max_rows": (
        {
            **PLAIN,
            "max_rows": 2,
            "steps": step("DELETE FROM public.plain WHERE k < 4", expect_rows={"min": 1, "max": 9}),
        },
        "more rows would be touched than max_rows, which is 2",
    ),
    "the fault is not there": (
        {
            "steps": step("DELETE FROM public.plain WHERE k = 1"),
            "assess": [{"id": "there", "query": "SELECT count(*) FROM public.plain", "before": 8, "after": 7}],
        },
        "before the steps there is 9, and 8 was expected",
    ),
    "the fault is still there": (
        {**PLAIN, "steps": step("DELETE FROM public.plain WHERE k = 2")},
        "after the steps there is 1, and 0 was expected",
    ),
    "an invariant has moved": (
        {
            **PLAIN,
            "steps": [
                *step("DELETE FROM public.plain WHERE k = 1"),
                {**step("DELETE FROM public.plain WHERE k = 2")[0], "id": "too"},
            ],
        },
        "the steps have changed others from 8 to 7",
    ),
    "an answer of another kind": (
        {
            **PLAIN,
            "assess": [{"id": "kind", "query": "SELECT count(*)::text FROM public.plain", "before": 9, "after": 8}],
            "steps": step("DELETE FROM public.plain WHERE k = 1"),
        },
        "before the steps kind is 9, and 9 was expected",
    ),
    "a cascade that is not declared": (
        {**PLAIN, "steps": step("DELETE FROM public.measurements WHERE id = 32")},
        "it touches rows of public.notes, which it does not declare under cascades",
    ),
    "a trigger that is not declared": (
        {**PLAIN, "steps": step("DELETE FROM public.watched WHERE k = 1")},
        "it fires public.watched.noted, which it does not declare under triggers",
    ),
    "a declared trigger that touches what is not declared": (
        {**PLAIN, "steps": step("DELETE FROM public.watched WHERE k = 1", triggers=["public.watched.noted"])},
        "it touches rows of public.audit, which it does not declare under cascades",
    ),
    "a statement that fails": (
        {**PLAIN, "steps": step("UPDATE public.plain SET k = 2 WHERE k = 1")},
        "duplicate key value violates unique constraint",
    ),
    "a table that is not there": (
        {**PLAIN, "steps": step("DELETE FROM public.nothing WHERE k = 1")},
        'relation "public.nothing" does not exist',
    ),
    "a statement that takes too long": (
        {
            **PLAIN,
            "statement_timeout": "600ms",
            "steps": step("DELETE FROM public.plain WHERE k = 1 AND pg_sleep(5) IS NOT NULL", functions=["pg_sleep"]),
        },
        "canceling statement due to statement timeout",
    ),
}


@pytest.mark.parametrize("kind", MISMATCHES)
def test_what_is_not_as_expected_is_rolled_back(action, kind):
    changes, reason = MISMATCHES[kind]
    before = action.digests()
    action.approve(**changes)
    result = action.run()
    assert result.failed
    after = action.after(result)
    assert (result.values["outcome"], after.outcome) == ("rolled back", "rolled back")
    assert reason in after.reason
    assert after.saved == ""
    assert after.dump
    assert action.digests() == before
    assert action.saved() == []


def test_a_lock_that_is_not_got_is_rolled_back(action):
    action.approve()
    before = action.digests()
    holder = action.server.connect(action.database)
    holder.autocommit = False
    with holder.cursor() as cursor:
        cursor.execute("SELECT FROM measurements WHERE id = 32 FOR UPDATE")
        result = action.run()
    holder.close()
    assert action.after(result).outcome == "rolled back"
    assert "canceling statement due to lock timeout" in result.msg
    assert action.digests() == before


def test_rows_that_somebody_changes_meanwhile_are_not_touched(action):
    """Between the dump and the saving another session commits: the transaction sees one state, or none."""
    action.approve(**PLAIN, steps=step("DELETE FROM public.plain WHERE a = 'plain 1'"))
    action.trap_sql("UPDATE plain SET a = 'other' WHERE k = 1", at=2)
    result = action.run()
    assert action.after(result).outcome == "rolled back"
    assert action.server.run("SELECT a FROM plain WHERE k = 1", database=action.database) == [("other",)]


def test_another_account_s_session_carries_nothing_out(action):
    action.approve()
    before = action.digests()
    result = action.run(login_os_user="nobody")
    assert "carries it out" in result.msg
    assert action.digests() == before


def test_what_sudo_says_of_the_person_counts(action):
    action.approve()
    result = run_module("corrective_action", action.arguments(), env={"SUDO_USER": "mallory"})
    assert "sudo says that this is mallory" in result.msg


def test_a_role_that_may_not_become_the_owner_carries_nothing_out(action):
    if not action.server.run("SELECT 1 FROM pg_roles WHERE rolname = 'actions_nobody'"):
        action.server.run("CREATE ROLE actions_nobody LOGIN")
    action.approve()
    before = action.digests()
    result = action.run(login_user="actions_nobody")
    assert action.after(result).outcome == "not started"
    assert "permission denied to set role" in result.msg
    assert action.digests() == before


def test_the_statements_run_as_the_owner_by_the_dba_s_login(action):
    """An assessment sees who asks."""
    action.approve(invariants=[{"id": "who", "query": "SELECT session_user::text || ' ' || current_user::text"}])
    after = action.after(action.run())
    assert after.invariants[0].before == f"{DBA} actions_owner"
