"""What happens between the gates and COMMIT: time passes, signals come, and who it is must have been shown."""

# ruff: noqa: F811 (the fixture is imported)

from __future__ import annotations

import datetime as dt
import os
import pwd
import signal
import socket
import sys
import typing as t
from pathlib import Path

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import plan, records
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
        self.dumped = 0

    def _connected(self) -> t.Any:
        cluster = self._action.server.cluster
        return psycopg2.connect(host=str(cluster.socket), port=cluster.port, user=DBA, dbname=self._action.database)

    def _dump(self) -> Report:
        self.dumped += 1
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


def test_in_time_it_is_committed(action, here):
    action.approve()
    assert here.carry_out().outcome == "committed"


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
    for ledger in ("ledger", "another"):
        action.files[records.AFTER_FILE] = b"learned: what took an hour to write: and this\n"
        result = action.run(ledger=str(action.folder / ledger))
        assert result.failed
        assert (result.values["outcome"], result.values["after"]) == ("not started", "")
        assert "after.yml" in result.msg


def test_what_is_committed_is_on_the_disk(action):
    action.server.run(f"ALTER ROLE {DBA} SET synchronous_commit = off")
    try:
        action.approve(invariants=[{"id": "kept", "query": "SELECT current_setting('synchronous_commit')"}])
        assert action.after(action.run()).invariants[0].before == "on"
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
