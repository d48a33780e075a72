"""What a host remembers of an attempt: all of it or nothing, whenever the process is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.ledger import Ledger
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import NAME, after

# Dies where the record's bytes would come to the disk.
KILLED = """
import os, signal, sys
sys.path = sys.argv[2].split(os.pathsep)
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.ledger import Ledger
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import after
os.fsync = lambda _handle: os.kill(os.getpid(), signal.SIGKILL)
Ledger(sys.argv[1]).begin(after())
"""


def test_a_process_that_is_killed_while_it_notes_has_noted_nothing(tmp_path: Path) -> None:
    place = tmp_path / "ledger"
    done = subprocess.run([sys.executable, "-c", KILLED, str(place), os.pathsep.join(sys.path)], check=False)
    assert done.returncode == -9
    ledger = Ledger(str(place))
    assert ledger.find(NAME) is None
    ledger.begin(after())
    assert ledger.find(NAME) == after()


def test_an_attempt_is_begun_once_and_only_its_record_is_left(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path / "ledger"))
    ledger.begin(after())
    with pytest.raises(ValueError, match="was begun on this host before"):
        ledger.begin(after(reason="again"))
    assert ledger.find(NAME) == after()
    (file,) = (tmp_path / "ledger").iterdir()
    assert (file.name, file.stat().st_mode & 0o777, file.stat().st_nlink) == (f"{NAME}.yml", 0o600, 1)


@pytest.mark.parametrize("content", ["", "{", "version: 1\n"])
def test_a_record_that_can_not_be_read_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / f"{NAME}.yml"
    file.write_text(content)
    with pytest.raises(ValueError, match=rf"this host's record {file} can't be read .*: settle by hand"):
        Ledger(str(tmp_path)).find(NAME)
