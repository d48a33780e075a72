"""Before a corrective action is carried out every gate must be open; what changes nothing must change nothing."""

# ruff: noqa: F811 (the fixture is imported)

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import approval, plan, records, yamls
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.records import AfterAction, Rehearsal, Signed
from ansible_collections.taaraxtak.production.tests.integration.actions_host import (  # noqa: F401
    ME,
    NAME,
    Action,
    action,
)
from ansible_collections.taaraxtak.production.tests.integration.conftest import COLLECTIONS, Result, run_module


def refused(action: Action, reason: str, **arguments: t.Any) -> records.AfterAction:
    """Carry out: it must not be begun for this *reason*, before anything was dumped."""
    before = action.digests()
    result = action.run(**arguments)
    after = action.after(result)
    assert result.failed
    assert (after.outcome, after.dump, action.digests()) == ("not started", "", before)
    assert reason in after.reason
    assert list(action.hosts.incoming.iterdir()) == []
    assert not (action.folder / "ledger").exists()
    return after


def edit(action: Action, file: str, old: bytes, new: bytes) -> None:
    assert action.files[file].count(old) >= 1
    action.files[file] = action.files[file].replace(old, new)


def test_an_approved_incident_is_refused_without_its_approval(action):
    action.approve()
    del action.files[records.APPROVAL_FILE]
    refused(action, "the incident is rehearsed")


def test_an_edit_of_the_plan_after_the_approval_is_refused(action):
    action.approve()
    edit(action, plan.FILE, b"expect_rows: 12", b"expect_rows: 13")
    refused(action, "before.yml was edited after the rehearsal")


def test_an_edit_of_the_queries_that_save_is_refused(action):
    action.approve()
    edit(action, records.REHEARSAL_FILE, b"FOR UPDATE", b"FOR SHARE")
    refused(action, "approve the plan again")


def test_one_s_own_approval_is_refused(action):
    action.approved_by = ME
    action.approve()
    refused(action, "has approved it")


def test_break_glass_lets_one_s_own_approval_count_and_is_recorded(action):
    action.approved_by = ME
    action.approve(break_glass="There is nobody else tonight.")
    after = action.after(action.run())
    assert (after.outcome, after.approved_by) == ("committed", ME)
    assert after.break_glass == "There is nobody else tonight."


def test_a_key_that_is_not_deployed_here_is_refused(action):
    action.approve()
    action.approvers.write_text(f"{ME} {action.keys[ME].with_suffix('.pub').read_text()}")
    refused(action, "not known here")


def test_an_expired_plan_is_refused(action):
    long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
    action.approve(
        devops_contacted=records.utc_text(long_ago), expires=records.utc_text(long_ago + dt.timedelta(days=1))
    )
    refused(action, "the plan has expired")


def test_another_host_is_refused(action):
    action.approve(host="elsewhere")
    refused(action, "the plan is for the host elsewhere")


def test_another_database_is_refused(action):
    action.approve(database="other")
    refused(action, "the plan is for the database other")


def test_what_was_not_typed_is_refused(action):
    action.approve()
    refused(action, "it was not confirmed", confirmed=f"{NAME} 000000000000")


def test_a_rehearsal_that_failed_is_refused(action):
    action.approve()
    made = Rehearsal.read(yamls.load(action.files[records.REHEARSAL_FILE], records.REHEARSAL_FILE))
    failed = made.text().replace('outcome: "committed"', 'outcome: "rolled back"').encode()
    action.files[records.REHEARSAL_FILE] = failed
    before = plan.read(yamls.load(action.files[plan.FILE], plan.FILE))
    again = Rehearsal.read(yamls.load(failed, records.REHEARSAL_FILE))
    signed = Signed.of(before, action.files[plan.FILE], again, failed)
    action.files[records.APPROVAL_FILE] = approval.sign(signed, str(action.keys["alice"]))
    refused(action, "the rehearsal failed")


def test_the_approval_of_another_incident_is_refused(action):
    action.approve()
    other = action.files[records.APPROVAL_FILE]
    action.approve(problem="Another one.")
    action.files[records.APPROVAL_FILE] = other
    refused(action, "approve the plan again")


def test_what_people_wrote_of_an_attempt_that_was_not_started_stays(action):
    action.approve()
    first = action.after(action.run(send_command="/bin/false"))
    assert first.outcome == "not started"
    written = first.text().replace('learned: ""', 'learned: "look at the store"')
    action.files[records.AFTER_FILE] = written.encode()
    again = action.after(action.run(send_command="/bin/false"))
    assert (again.outcome, again.learned) == ("not started", "look at the store")
    done = action.after(action.run())
    assert (done.outcome, done.learned) == ("committed", "look at the store")
    # The host has begun it, and what lies in the folder is older than that.
    result = action.run()
    known = AfterAction.read(yamls.load(result.values["after"].encode(), records.AFTER_FILE))
    assert (known.outcome, known.learned) == ("committed", "look at the store")
    action.files[records.AFTER_FILE] = written.replace("look at", "look twice at").encode()
    assert "look twice at the store" in action.run().values["after"]


def test_an_incident_that_ended_is_not_begun_again_and_its_record_stays(action):
    action.approve()
    first = action.run()
    action.files[records.AFTER_FILE] = first.values["after"].replace('learned: ""', 'learned: "much"').encode()
    # Somebody has cleared the host's memory.
    (action.folder / "ledger" / f"{NAME}.yml").unlink()
    result = action.run()
    assert result.failed
    assert result.values["after"] == ""
    assert "has an after.yml: committed" in result.msg


def test_a_bomb_is_no_plan(action):
    action.approve()
    bomb = b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    action.files[plan.FILE] = bomb
    result = action.run()
    assert result.failed
    assert "before.yml" in result.msg


def test_a_host_without_the_driver_says_which_package_it_lacks(action, tmp_path):
    action.approve()
    (tmp_path / "none" / "psycopg2").mkdir(parents=True)
    (tmp_path / "none" / "psycopg2" / "__init__.py").write_text("raise ImportError('none')\n")
    environment = {"SUDO_USER": "", "PYTHONPATH": f"{tmp_path / 'none'}:{COLLECTIONS}"}
    result = run_module("corrective_action", action.arguments(), check=True, env=environment)
    assert result.values["outcome"] == "not started"
    assert "psycopg2 is missing on this host: install the package python3-psycopg2" in result.msg


# --- What changes nothing ---------------------------------------------------------------------------------------------
def test_a_dry_run_leaves_everything_as_it_was_and_shows_it(action):
    action.approve()
    del action.files[records.APPROVAL_FILE]
    before = action.digests()
    result = action.run(check=True, confirmed="")
    assert not result.failed, result.msg
    assert (result.values["outcome"], result.values["after"]) == ("rolled back", "")
    assert "asked again, everything answers as before" in result.values["report"]
    assert "| 12 | 12 | 13 |" in result.values["report"]
    assert action.digests() == before
    assert list(action.hosts.incoming.iterdir()) == []
    assert not (action.folder / "ledger").exists()


def test_sequences_move_in_a_dry_run_and_the_report_says_so(action):
    action.approve(
        steps=[
            {
                "id": "add",
                "why": "One is missing.",
                "sql": "INSERT INTO public.measurements (name) VALUES ('new')",
                "expect_rows": 1,
            }
        ],
        assess=[
            {
                "id": "new",
                "query": "SELECT count(*) FROM public.measurements WHERE name = 'new'",
                "before": 0,
                "after": 1,
            }
        ],
        invariants=[],
    )
    asked = "SELECT last_value FROM measurements_id_seq"
    before = action.server.run(asked, database=action.database)
    result = action.run(check=True)
    assert not result.failed, result.msg
    assert action.server.run(asked, database=action.database) != before
    assert "Sequences that were asked are not." in result.values["report"]


def test_a_dry_run_says_what_would_fail(action):
    changed = action.plan()["steps"][0] | {"expect_rows": 11}
    action.approve(steps=[changed])
    before = action.digests()
    result = action.run(check=True)
    assert result.failed
    assert "it touched 12 rows, and 11 were expected" in result.msg
    assert action.digests() == before


def test_a_dry_run_of_what_was_not_rehearsed_is_refused(action):
    action.write()
    result = action.run(check=True)
    assert result.failed
    assert "the incident is draft" in result.msg


# --- The rehearsal ----------------------------------------------------------------------------------------------------
def rehearse(action: Action, *, check: bool = False, **arguments: t.Any) -> Result:
    made = plan.read(yamls.load(action.files[plan.FILE], plan.FILE))
    saves = {step: [vars(save) for save in saved] for step, saved in action.saves(made).items()}
    given = {
        "state": "rehearsed",
        "saves": saves,
        "dump": f"{action.database}_2026-11-22-03.00.00.sql.zst",
        "dump_sha256": "d" * 64,
        "login_user": "postgres",
        **arguments,
    }
    return run_module("corrective_action", action.arguments(**given), check=check)


def test_a_rehearsal_commits_on_the_copy_and_says_all(action):
    action.write()
    result = rehearse(action)
    assert not result.failed, result.msg
    made = Rehearsal.read(yamls.load(result.values["rehearsal"].encode(), records.REHEARSAL_FILE))
    assert made.passed
    assert made.plan_sha256 == records.sha256(action.files[plan.FILE])
    assert (made.rehearsed_by, made.dump_sha256) == (ME, "d" * 64)
    (step,) = made.steps
    assert (step.rows, step.saved, len(step.saves)) == (12, 13, 1)
    assert any("RowExclusiveLock" in lock for lock in step.locks)
    assert action.server.run("SELECT count(*) FROM measurements", database=action.database) == [(20,)]
    assert list(action.hosts.incoming.iterdir()) == []


def test_a_rehearsal_that_fails_is_recorded_as_that(action):
    action.write(steps=[action.plan()["steps"][0] | {"expect_rows": 11}])
    before = action.digests()
    result = rehearse(action)
    assert result.failed
    made = Rehearsal.read(yamls.load(result.values["rehearsal"].encode(), records.REHEARSAL_FILE))
    assert not made.passed
    assert "11 were expected" in made.problem
    assert action.digests() == before


def test_check_mode_of_a_rehearsal_leaves_the_copy_as_it_was(action):
    action.write()
    before = action.digests()
    assert not rehearse(action, check=True).failed
    assert action.digests() == before


def test_a_rehearsal_with_other_saves_is_refused(action):
    action.write()
    assert "saves must have each step" in rehearse(action, saves={}).msg


def test_what_was_rehearsed_here_is_approved_and_carried_out(action):
    """The same files, from one to the other: the copy and the real thing are one database here, so put back between."""
    action.write()
    action.server.run("CREATE TABLE public.kept AS TABLE public.measurements", database=action.database)
    dump = f"{action.database}_{dt.datetime.now(dt.UTC):%Y-%m-%d-%H.%M.%S}.sql.zst"
    text = rehearse(action, dump=dump).values["rehearsal"].encode()
    action.server.run(
        "DELETE FROM measurements; INSERT INTO measurements OVERRIDING SYSTEM VALUE SELECT * FROM kept",
        database=action.database,
    )
    action.files[records.REHEARSAL_FILE] = text
    made = plan.read(yamls.load(action.files[plan.FILE], plan.FILE))
    rehearsal = Rehearsal.read(yamls.load(text, records.REHEARSAL_FILE))
    signed = Signed.of(made, action.files[plan.FILE], rehearsal, text)
    action.files[records.APPROVAL_FILE] = approval.sign(signed, str(action.keys["alice"]))
    assert action.after(action.run()).outcome == "committed"


# --- What the rehearsal has the host send -----------------------------------------------------------------------------
@pytest.mark.parametrize("check", [False, True])
def test_what_saves_rows_is_sent_only_if_it_is_one_query(action, check):
    """It was signed, and the rules on the controller would refuse it; the host looks itself."""
    made = action.saves(action.write())
    (save,) = made["remove"]
    worse = {"remove": (dataclasses.replace(save, query=f"{save.query}; DROP TABLE public.notes"),)}
    action.saves = lambda _plan: worse
    action.approve()
    before = action.digests()
    result = action.run(check=check)
    assert result.failed
    assert "not started: step remove: what saves its rows is not one SELECT" in result.msg
    assert action.digests() == before


def test_a_rehearsal_saves_by_queries_alone(action):
    action.write()
    save = {"schema": "public", "table": "measurements", "query": "SELECT 1; DROP TABLE public.notes"}
    before = action.digests()
    result = rehearse(action, saves={"remove": [save]})
    assert result.failed
    assert "what saves its rows is not one SELECT" in result.msg
    assert action.digests() == before
