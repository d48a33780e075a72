"""What ends a dump from beside it always does, whatever it meets."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.postgres import Snapshot, Table
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError

MODULE_UTILS = Path(__file__).resolve().parents[3] / "plugins" / "module_utils"
PROGRAM = """
import ctypes, os, signal, sys, time
sys.path.insert(0, sys.argv[1])
signal.signal(signal.SIGALRM, signal.SIG_IGN)
from dumps.guard import Guard

class Hanging:
    def cancel(self):
        # As psycopg2 does: PyDLL does not release the interpreter's lock.
        ctypes.PyDLL(None).sleep(60)

reading, writing = os.pipe()
guard = Guard("test", reading if sys.argv[2] == "hanging" else int(sys.argv[2]), 600.0)
guard.begin()
guard.session(Hanging()) if sys.argv[2] == "hanging" else None
os.close(writing)
time.sleep(30)
"""


def start(what: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-I", "-c", PROGRAM, str(MODULE_UTILS), what]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)


def test_a_server_that_hangs_does_not_keep_the_source_alive() -> None:
    assert start("hanging").returncode == -signal.SIGALRM


@pytest.mark.parametrize("descriptor", ["0", "99"])
def test_an_input_that_ends_or_can_not_be_read_ends_the_source(descriptor: str) -> None:
    done = start(descriptor)
    assert (done.returncode, done.stderr) == (1, b"test: the sender is gone\n")


def test_a_count_that_is_cancelled_between_two_tables_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Connection:
        def cancel(self) -> None:
            """No query runs that could be ended."""

    snapshot = Snapshot.__new__(Snapshot)
    counted: list[object] = []

    def rows(query: object) -> list[tuple[int]]:
        counted.append(query)
        snapshot.cancel()
        return [(1,)]

    monkeypatch.setattr(snapshot, "_connection", Connection(), raising=False)
    monkeypatch.setattr(snapshot, "_cancelled", False, raising=False)
    monkeypatch.setattr(snapshot, "_rows", rows)
    snapshot.tables = [Table(number, "public", f"t{number}", False, "", None) for number in range(3)]
    with pytest.raises(DumpError, match="cancelled"):
        snapshot.count()
    assert len(counted) == 1
