"""Who waits for whom: the developer's tests run beside those of the hosts, which end by taking the hosts away.

What the recovery took is shown at the end.
"""

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

# The files of the developer's tests; all others are of the hosts.
DEVELOPER = ("test_container_only.py", "test_developer_copies.py", "test_local.py")
BUILD = Path(__file__).resolve().parents[2] / "build"
FOLDER = BUILD / "molecule" / "restore"
RECOVERY = BUILD / "recovery.json"
BEGUN = time.time()


class TwoAtOnce(LoadScopeScheduling):
    """One worker does the developer's files, one after the other, and the other one those of the hosts."""

    def _split_scope(self, nodeid: str) -> str:
        return "developer" if Path(nodeid.split("::")[0]).name in DEVELOPER else "hosts"


def pytest_xdist_make_scheduler(config: t.Any, log: t.Any) -> TwoAtOnce:
    """As xdist asks."""
    return TwoAtOnce(config, log)


@pytest.fixture(scope="session")
def developer_is_done(testrun_uid: str) -> Path:
    """The file that says so, in this run."""
    return FOLDER / f"developer-is-done-{testrun_uid}"


@pytest.fixture
def nobody_else_needs_the_hosts(request: t.Any, developer_is_done: Path, until: t.Any, store: t.Any) -> None:
    """The developer's tests, where they run too, are over."""
    if any(item.path.stem == "test_local" for item in request.session.items):
        what = "the developer's tests still need the store"
        until(developer_is_done.exists, seconds=900, what=what, host=store, unit="ssh")


def pytest_terminal_summary(terminalreporter: t.Any) -> None:
    """Recovery time and recovery point, where this run has measured them."""
    if not RECOVERY.exists() or RECOVERY.stat().st_mtime < BEGUN:
        return
    figures = json.loads(RECOVERY.read_text())
    terminalreporter.section("measured recovery")
    terminalreporter.line(
        f"time   {figures['recovery_time_s']} s from a host that is gone to a collector that writes again"
    )
    terminalreporter.line(
        f"point  {figures['recovery_point_s']} s, the age of the newest verified dump when it was gone"
    )
    for what, seconds in figures["seconds_since_the_loss"].items():
        terminalreporter.line(f"       {seconds:7.1f} s  {what}")
    terminalreporter.line(f"       {figures['dump']}, {figures['machine']}")
