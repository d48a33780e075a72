"""A corrective action that is cut short: the data is as before or as planned, and the record says which."""

# ruff: noqa: F811 (the fixture is imported)

from __future__ import annotations

import os
import signal
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import ids, records, yamls
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.ledger import alone
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.records import AfterAction
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster
from ansible_collections.taaraxtak.production.tests.integration.actions_host import (  # noqa: F401
    DBA,
    OWNER,
    Action,
    Proxy,
    action,
)
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server

TERMINATE = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{DBA}'"  # noqa: S608 (ours)
# The module is what has started the store's command, which has started the trap.
SIGNAL = """
import os, signal
parent = open(f"/proc/{os.getppid()}/stat").read().rpartition(")")[2].split()[1]
os.kill(int(parent), signal.%s)
"""


@pytest.fixture
def proxied(action: Action) -> t.Iterator[t.Callable[..., Proxy]]:
    """Puts a `Proxy` before the server."""
    made: list[Proxy] = []

    def put(cut: str, **more: t.Any) -> Proxy:
        proxy = Proxy(action.folder / "proxy", action.server, cut, **more)
        action.socket = str(proxy.folder)
        made.append(proxy)
        return proxy

    yield put
    for one in made:
        one.close()


def rolled_back(action: Action, reason: str) -> records.AfterAction:
    """Carry out; it must be rolled back for this *reason*, with the data as it was."""
    before = action.digests()
    result = action.run()
    after = action.after(result)
    assert result.failed
    assert (after.outcome, action.digests()) == ("rolled back", before)
    assert reason in after.reason
    assert reason in result.msg
    return after


def test_a_session_that_is_ended_before_commit_is_rolled_back(action):
    action.approve()
    action.trap_sql(TERMINATE)
    after = rolled_back(action, "the connection was lost")
    # They were away by then, and are no harm there.
    assert after.saved == action.saved()[0].name


def test_commit_that_never_arrives_is_rolled_back(action, proxied):
    action.approve()
    proxy = proxied("before")
    rolled_back(action, "asked again, the server says that it was rolled back")
    assert proxy.done.is_set()


def test_commit_whose_answer_is_lost_is_committed(action, proxied):
    action.approve()
    proxy = proxied("after")
    result = action.run()
    after = action.after(result)
    assert proxy.done.is_set()
    assert not result.failed
    assert after.outcome == "committed"
    assert "asked again, the server says that it was committed" in after.reason
    assert action.server.run("SELECT count(*) FROM measurements", database=action.database) == [(20,)]


@pytest.mark.parametrize(("cut", "outcome", "rows"), [("after", "committed", 20), ("before", "rolled back", 32)])
def test_what_can_not_be_known_is_said_and_settled_later(action, proxied, cut, outcome, rows):
    action.approve()
    proxied(cut, gone=True)
    result = action.run(settle_timeout=1)
    after = action.after(result)
    assert result.failed
    assert after.outcome == "unknown"
    assert action.server.run("SELECT count(*) FROM measurements", database=action.database) == [(rows,)]
    # The server can be reached again; somebody has written into the record meanwhile.
    action.socket = str(action.server.cluster.socket)
    action.files[records.AFTER_FILE] = after.text().replace('learned: ""', 'learned: "look twice"').encode()
    digests = action.digests()
    settled = action.after(action.run())
    assert (settled.outcome, settled.learned, settled.transaction_id) == (outcome, "look twice", after.transaction_id)
    assert action.digests() == digests


@pytest.mark.parametrize("where", ["another cluster", "another database of its name", "a promoted copy"])
def test_what_became_of_commit_is_asked_only_of_the_server_that_got_it(tmp_path: Path, where: str):
    """A dump restored elsewhere, or a standby that may lack it, has ids of its own: others committed by them."""
    with ScratchCluster() as cluster, ScratchCluster() as other:
        server, restored = Server(cluster), Server(other)
        server.run("CREATE DATABASE taaraxtak")
        mine = Action(tmp_path, server, "taaraxtak")
        mine.approve()
        proxy = Proxy(tmp_path / "proxy", server, "before", gone=True)
        mine.socket = str(proxy.folder)
        after = mine.after(mine.run(settle_timeout=1))
        proxy.close()
        assert after.outcome == "unknown"
        if where == "another cluster":
            for name in (OWNER, DBA):
                restored.run(f"CREATE ROLE {name} LOGIN")
            restored.run(f"GRANT {OWNER} TO {DBA}")
            restored.run("CREATE DATABASE taaraxtak")
            mine.server = restored
        elif where == "another database of its name":
            server.run("ALTER DATABASE taaraxtak RENAME TO before_it")
            server.run("CREATE DATABASE taaraxtak")
        else:
            promote(cluster)
        while int(mine.server.run("SELECT pg_current_xact_id()::text")[0][0]) <= int(after.transaction_id):
            pass
        mine.socket = str(mine.server.cluster.socket)
        mine.files[records.AFTER_FILE] = after.text().encode()
        for _ in range(2):
            result = mine.run(settle_timeout=1)
            again = AfterAction.read(yamls.load(result.values["after"].encode(), records.AFTER_FILE))
            assert (result.failed, again.outcome, again.cluster) == (True, "unknown", after.cluster)
            assert again.reason.count("this is another server or database than the one that got COMMIT") == 1


def promote(cluster: ScratchCluster) -> None:
    """Start it as a standby, and make it a primary."""
    control = [str(cluster.bindir / "pg_ctl"), "-w", "-D", str(cluster.data), "-l", str(cluster.folder / "log")]
    cluster.stop()
    signal_file = cluster.data / "standby.signal"
    signal_file.touch()
    cluster.start()
    subprocess.run([*control, "promote"], check=True, user=cluster.user, cwd="/")


def test_saved_rows_that_the_store_refuses_are_the_end(action):
    action.approve()
    action.trap("", refuse=True)
    after = rolled_back(action, "the saved rows are not stored: ")
    assert after.saved == ""
    assert action.saved() == []


def test_a_store_that_is_full_by_then_is_the_end(action):
    action.approve()
    settings = action.folder / "store.json"
    action.trap(
        "import json, pathlib\n"
        f"p = pathlib.Path({str(settings)!r})\n"
        "p.write_text(json.dumps({**json.loads(p.read_text()), 'reserve_bytes': 1 << 60}))"
    )
    rolled_back(action, "the saved rows are not stored: ")
    assert action.saved() == []


def test_saved_rows_whose_acknowledgement_is_lost_and_that_are_not_there_are_the_end(action):
    """The store dies before it has answered."""
    action.approve()
    action.trap("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)")
    rolled_back(action, "the saved rows are not stored: ")


@pytest.mark.parametrize("how", ["refused", "full", "nothing"])
def test_without_a_fresh_dump_nothing_is_begun(action, how):
    action.approve()
    before = action.digests()
    if how == "refused":
        action.trap("", refuse=True, at=2)
    elif how == "full":
        action.hosts.configure_store(reserve_bytes=1 << 60)
    result = action.run(**({"send_command": "/bin/false"} if how == "nothing" else {}))
    after = action.after(result)
    assert (after.outcome, after.dump, after.transaction_id) == ("not started", "", "")
    assert "there is no fresh dump" in after.reason
    assert action.digests() == before
    assert not (action.folder / "ledger").exists()
    # What was not started may be tried again with the same approval.
    action.files[records.AFTER_FILE] = after.text().encode()
    action.trap("")
    (action.folder / "refuse").unlink(missing_ok=True)
    action.hosts.configure_store()
    assert action.after(action.run()).outcome == "committed"


def test_a_signal_before_commit_rolls_back_and_is_recorded(action):
    action.approve()
    action.trap(SIGNAL % "SIGTERM")
    rolled_back(action, "interrupted by SIGTERM")


def test_a_killed_module_has_committed_nothing_and_this_host_says_so(action):
    """Nobody is left who could answer: the record is the host's."""
    action.approve()
    before = action.digests()
    action.trap(SIGNAL % "SIGKILL")
    with pytest.raises(AssertionError, match="said nothing"):
        action.run()
    action.trap("")
    for _ in range(100):
        if not action.server.run("SELECT 1 FROM pg_stat_activity WHERE usename = %s", values=[DBA]):
            break
        time.sleep(0.05)
    assert action.digests() == before
    result = action.run()
    after = action.after(result)
    assert after.outcome == "rolled back"
    assert "interrupted" in after.reason
    assert action.digests() == before


@pytest.mark.parametrize(
    "how", [["stop", "-m", "immediate"], ["restart", "-m", "immediate"], ["restart", "-m", "fast"]], ids=" ".join
)
def test_a_server_that_is_started_again_has_rolled_back(tmp_path: Path, how: list[str]):
    """It goes when COMMIT would come next; it comes back at once, or later."""
    with ScratchCluster() as cluster:
        server = Server(cluster)
        server.run("CREATE DATABASE taaraxtak")
        mine = Action(tmp_path, server, "taaraxtak")
        mine.approve()
        places = ["-D", str(cluster.data), "-l", str(cluster.folder / "log")]
        program = [str(cluster.bindir / "pg_ctl"), *how, "-w", *places]
        mine.trap(f"import subprocess\nsubprocess.run({program!r}, check=True, user={cluster.user!r}, cwd='/')")
        before = mine.digests()
        result = mine.run()
        if how[0] == "stop":
            cluster.start()
        after = mine.after(result)
        assert (after.outcome, mine.digests()) == ("rolled back", before)
        assert "the connection was lost" in after.reason


@pytest.mark.parametrize(("cut", "outcome"), [("before", "rolled back"), ("after", "committed")])
def test_the_id_of_a_transaction_is_no_other_s_after_a_crash(tmp_path: Path, cut: str, outcome: str):
    """The server forgets an id that it has not written down, and gives it again, to somebody who commits."""
    with ScratchCluster() as cluster:
        server = Server(cluster)
        server.run("CREATE DATABASE taaraxtak")
        mine = Action(tmp_path, server, "taaraxtak")
        mine.approve()
        before = mine.digests()

        def crash() -> None:
            cluster.stop(mode="immediate")
            cluster.start()
            for _ in range(50):
                server.run("SELECT pg_current_xact_id()")

        proxy = Proxy(tmp_path / "proxy", server, cut, then=crash)
        mine.socket = str(proxy.folder)
        after = mine.after(mine.run())
        proxy.close()
        assert proxy.done.is_set()
        assert (after.outcome, mine.digests() == before) == (outcome, outcome == "rolled back")
        assert f"asked again, the server says that it was {outcome}" in after.reason


def test_an_id_that_is_not_written_down_is_not_relied_on(fresh_server, monkeypatch):
    monkeypatch.setattr(ids, "WRITTEN", 1.0)
    ((writer,),) = fresh_server.run("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")
    os.kill(writer, signal.SIGSTOP)
    try:
        with pytest.raises(ValueError, match="has not written its WAL"):
            ids.keep(fresh_server.connect)
    finally:
        os.kill(writer, signal.SIGCONT)
    ids.keep(fresh_server.connect)


def test_one_action_at_a_time(action):
    action.approve()
    before = action.digests()
    with alone(str(action.folder / "action.lock")):
        result = action.run()
    assert result.failed
    assert "another corrective action is under way" in result.msg
    # It would write over the record of the one that is.
    assert result.values["after"] == ""
    assert action.digests() == before


def test_a_statement_that_commits_by_itself_is_told_as_what_it_is(action):
    """The rules on the controller refuse it; if they did not, the record would still be true."""
    first, second = (
        {"id": name, "why": "x", "sql": sql, "expect_rows": 1}
        for name, sql in (
            ("one", "DELETE FROM public.plain WHERE k = 1"),
            ("two", "DELETE FROM public.plain WHERE k = 2"),
        )
    )
    good = action.saves(action.write(steps=[first, second]))
    action.saves = lambda _plan: good
    action.approve(steps=[first, {**second, "sql": second["sql"] + "; COMMIT"}])
    before = action.digests()
    result = action.run()
    after = action.after(result)
    assert result.failed
    assert "a statement has ended the transaction" in result.msg
    assert after.outcome == "committed"
    assert action.digests() != before
    assert action.server.run("SELECT count(*) FROM plain", database=action.database) == [(8,)]
