"""What happens between the gates and COMMIT: time passes, signals come, and who it is must have been shown."""

# ruff: noqa: F811 (the fixture is imported)

from __future__ import annotations

import concurrent.futures
import datetime as dt
import os
import pwd
import shutil
import signal
import socket
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import approval, ledger, plan, records
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.attempt import Attempt, Ended, Places
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.folder import Folder
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.control import Report
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import ENDING_SIGNALS
from ansible_collections.taaraxtak.production.tests.integration.actions_host import (  # noqa: F401
    DBA,
    ME,
    NAME,
    OWNER,
    Action,
    action,
)
from ansible_collections.taaraxtak.production.tests.integration.conftest import run_module

LATER = dt.timedelta(days=9)


@pytest.fixture(autouse=True)
def signals() -> t.Iterator[None]:
    """An attempt takes the process's signals for its own."""
    handlers = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)


class Here:
    """An attempt in this process, whose clock and connection a test can turn."""

    def __init__(self, action: Action) -> None:
        self._action = action
        self.late: t.Callable[[], bool] = lambda: False
        self.connect: t.Callable[[], t.Any] = self._connected
        self.while_dumping: t.Callable[[], object] = lambda: None
        self.dumped = 0

    def _connected(self) -> t.Any:
        cluster = self._action.server.cluster
        return psycopg2.connect(host=str(cluster.socket), port=cluster.port, user=DBA, dbname=self._action.database)

    def _dump(self) -> Report:
        self.dumped += 1
        self.while_dumping()
        return Report(({"artefact": self._action.database, "name": "d", "sha256": "d" * 64, "ok": True},), "")

    def carry_out(self) -> Ended:
        files, place = self._action.files, self._action.folder
        places = Places(
            approvers=str(self._action.approvers),
            ledger=str(place / "ledger"),
            lock=str(place / "action.lock"),
            source=str(place / "source.json"),
            sending=str(place / "sender.json"),
            user="",
            signer="",
        )
        attempt = Attempt(
            Folder(NAME, files),
            lambda: self.connect(),
            dba=ME,
            owner=OWNER,
            places=places,
            clock=lambda: dt.datetime.now(dt.UTC) + (LATER if self.late() else dt.timedelta(0)),
        )
        confirmed = records.confirmation(NAME, records.sha256(files[plan.FILE]))
        return attempt.carry_out(confirmed=confirmed, database=self._action.database, dump=self._dump)


@pytest.fixture
def here(action: Action) -> Here:
    return Here(action)


def test_a_plan_that_expires_during_the_dump_is_not_begun(action, here):
    action.approve()
    here.late = lambda: here.dumped > 0
    ended = here.carry_out()
    assert (ended.outcome, here.dumped) == ("not started", 1)
    assert "the plan has expired" in ended.problem
    assert not (action.folder / "ledger").exists()


@pytest.mark.parametrize(("changes", "why"), [({}, "the plan has expired"), ({"max_dump_age": "1h"}, "older than")])
def test_what_expires_before_commit_is_rolled_back(action, here, changes, why):
    if changes:
        changes["expires"] = records.utc_text(dt.datetime.now(dt.UTC) + 2 * LATER)
    action.approve(**changes)
    before = action.digests()
    # The saved rows are away, and COMMIT would come next.
    action.trap("", at=1)
    here.late = lambda: bool(action.saved())
    ended = here.carry_out()
    assert (ended.outcome, action.digests(), len(action.saved())) == ("rolled back", before, 1)
    assert why in ended.problem


def test_an_approver_whose_key_is_taken_away_during_the_dump_has_approved_nothing(action, here):
    action.approve()
    here.while_dumping = lambda: action.approvers.write_text(mine(action))
    ended = here.carry_out()
    assert (ended.outcome, here.dumped) == ("not started", 1)
    assert "not known here" in ended.problem
    assert not (action.folder / "ledger").exists()


def test_an_approver_whose_key_is_taken_away_before_commit_has_approved_nothing(action, here):
    action.approve()
    before = action.digests()
    action.trap(f"import pathlib\npathlib.Path({str(action.approvers)!r}).write_text({mine(action)!r})", at=1)
    ended = here.carry_out()
    assert (ended.outcome, action.digests(), len(action.saved())) == ("rolled back", before, 1)
    assert "not known here" in ended.problem


def mine(action: Action) -> str:
    """An approvers' file without alice."""
    return f"{ME} {action.keys[ME].with_suffix('.pub').read_text()}"


def test_a_signal_while_the_attempt_is_noted_leaves_it_not_started(action, here, monkeypatch):
    action.approve()

    def sync(_folder: Path) -> None:
        monkeypatch.undo()
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(ledger, "sync_folder", sync)
    ended = here.carry_out()
    assert (ended.outcome, ended.problem) == ("not started", "interrupted by SIGTERM")
    assert list((action.folder / "ledger").iterdir()) == []


@pytest.mark.parametrize(("look", "outcome"), [(3, "not started"), (4, "rolled back")])
def test_a_signal_while_the_approval_is_looked_at_is_told_as_one(action, here, monkeypatch, look, outcome):
    """After the dump, and before COMMIT."""
    action.approve()
    before, real, looks = action.digests(), approval.approver, []

    def approver(*given: t.Any, **more: t.Any) -> str:
        looks.append(1)
        if len(looks) == look:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*given, **more)

    monkeypatch.setattr(approval, "approver", approver)
    ended = here.carry_out()
    assert (ended.outcome, ended.problem, action.digests()) == (outcome, "interrupted by SIGTERM", before)


def test_in_time_it_is_committed(action, here):
    action.approve()
    assert here.carry_out().outcome == "committed"


def no_second_session(action: Action) -> t.Callable[[], None]:
    action.server.run(f"ALTER ROLE {DBA} CONNECTION LIMIT 1")
    return lambda: action.server.run(f"ALTER ROLE {DBA} CONNECTION LIMIT -1") and None


def no_place_for_records(action: Action) -> t.Callable[[], None]:
    place = action.folder / "ledger"
    place.mkdir()
    place.chmod(0o777)
    return lambda: place.chmod(0o700)


@pytest.mark.parametrize("hindered", [no_second_session, no_place_for_records])
def test_what_fails_before_the_attempt_is_noted_may_be_tried_again(action, hindered):
    action.approve()
    before, mend = action.digests(), hindered(action)
    try:
        # Of the second nothing is written here, so it is for carrying out alone.
        dry = action.run(check=True)
        result = action.run()
    finally:
        mend()
    assert dry.values["outcome"] == ("not started" if hindered is no_second_session else "rolled back")
    after = action.after(result)
    assert (after.outcome, after.transaction_id, action.digests()) == ("not started", "", before)
    assert after.reason
    action.files[records.AFTER_FILE] = after.text().encode()
    assert action.after(action.run()).outcome == "committed"


def test_a_signal_while_the_session_is_opened_leaves_a_report(action, here):
    action.approve()

    def connect() -> t.Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return here._connected()

    here.connect = connect
    ended = here.carry_out()
    assert ended.after is not None
    assert (ended.outcome, ended.after.outcome, ended.problem) == (
        "not started",
        "not started",
        "interrupted by SIGTERM",
    )


def test_the_first_part_of_a_host_s_name_is_not_its_name(action, here, monkeypatch):
    action.approve(host="production")
    monkeypatch.setattr(socket, "gethostname", lambda: "production.staging.example.org")
    ended = here.carry_out()
    assert (ended.outcome, here.dumped) == ("not started", 0)
    assert "for the host production, and this is production.staging.example.org" in ended.problem
    monkeypatch.setattr(socket, "gethostname", lambda: "production")
    assert here.carry_out().outcome == "committed"


def test_a_report_that_can_not_be_read_is_not_written_over(action):
    action.approve()
    assert action.run().values["outcome"] == "committed"
    # This host knows of it, and the next one does not.
    for place in ("ledger", "another"):
        action.files[records.AFTER_FILE] = b"learned: what took an hour to write: and this\n"
        result = action.run(ledger=str(action.folder / place))
        assert result.failed
        assert (result.values["outcome"], result.values["after"]) == ("not started", "")
        assert "after.yml" in result.msg


@pytest.mark.parametrize(("of_the_role", "kept"), [("off", "on"), ("remote_apply", "remote_apply"), ("local", "local")])
def test_what_is_committed_is_on_the_disk(action, of_the_role, kept):
    """And where standbys are waited for, they still are."""
    action.server.run(f"ALTER ROLE {DBA} SET synchronous_commit = {of_the_role}")
    try:
        action.approve(invariants=[{"id": "kept", "query": "SELECT current_setting('synchronous_commit')"}])
        assert action.after(action.run()).invariants[0].before == kept
    finally:
        action.server.run(f"ALTER ROLE {DBA} RESET synchronous_commit")


# Tells its parent, the module, to end, and would go on.
DUMPING = """#!{python}
import os, pathlib, signal, time
pathlib.Path({file!r}).write_text(str(os.getpid()))
os.kill(os.getppid(), signal.SIGTERM)
time.sleep(60)
"""


def test_a_dump_does_not_go_on_where_the_attempt_was_interrupted(action, tmp_path):
    action.approve()
    command, file = tmp_path / "dumping", tmp_path / "pid"
    command.write_text(DUMPING.format(python=sys.executable, file=str(file)))
    command.chmod(0o755)
    after = action.after(action.run(send_command=str(command)))
    assert after.outcome == "not started"
    assert "interrupted by SIGTERM" in after.reason
    assert not Path(f"/proc/{file.read_text()}").exists()


# Says who it is, and would go on.
DUMPING_ELSEWHERE = """#!/usr/bin/python3
import os, pathlib, time
pathlib.Path({file!r}).write_text(f"{{os.getuid()}} {{os.getpid()}} ")
time.sleep(60)
"""


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def anybody_s() -> t.Iterator[Path]:
    """A folder of an account that is not this one."""
    if os.geteuid() != 0:
        pytest.skip("only root becomes somebody else")
    with tempfile.TemporaryDirectory() as made:
        shutil.chown(made, "nobody")
        yield Path(made)


def test_a_dump_as_its_own_account_does_not_go_on_where_the_attempt_was_interrupted(action, anybody_s):
    """Between the two is runuser, which has to hand the signal on."""
    action.approve()
    command, file = anybody_s / "dumping", anybody_s / "process"
    command.write_text(DUMPING_ELSEWHERE.format(file=str(file)))
    command.chmod(0o755)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(action.run, send_command=str(command), send_user="nobody")
        while not (file.exists() and file.read_text().endswith(" ")):
            assert not running.done(), running.result()
            time.sleep(0.02)
        user, dumping = map(int, file.read_text().split())
        os.kill(parent(parent(dumping)), signal.SIGTERM)
        after = action.after(running.result())
    assert user == pwd.getpwnam("nobody").pw_uid
    assert after.outcome == "not started"
    assert "interrupted by SIGTERM" in after.reason
    # runuser has ended it, and does not wait until it is gone.
    for _ in range(200):
        if not Path(f"/proc/{dumping}").exists():
            return
        time.sleep(0.05)
    pytest.fail("the dump goes on")


@pytest.mark.parametrize("said", ["", "root", "mallory"])
def test_who_is_not_shown_to_be_the_dba_carries_nothing_out(action, said):
    """Without sudo it is the account that counts; where that is the dba's, it is they."""
    action.approve()
    before = action.digests()
    # With "" the account is ME.
    dba = ME if said == "mallory" else "nobody"
    result = run_module(
        "corrective_action", action.arguments(dba=dba, vouched=said == "mallory"), env={"SUDO_USER": said}
    )
    assert result.failed
    assert f"and not {dba}: each carries out as themselves" in result.msg
    assert action.digests() == before


def test_what_was_only_said_of_the_person_is_recorded(action):
    if pwd.getpwnam(ME).pw_uid != 0:
        pytest.skip("only root's word is taken")
    action.approve()
    # The name is that of another account, so that nothing here shows it.
    result = run_module("corrective_action", action.arguments(dba="nobody", vouched=True), env={"SUDO_USER": ""})
    after = action.after(result)
    assert (after.carried_out_by, after.vouched) == ("nobody", True)
    assert "nobody, as who ran it says" in result.values["report"]
