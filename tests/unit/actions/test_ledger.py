"""What a host remembers of an attempt: all of it or nothing, whenever the process is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import ledger
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
    noted = Ledger(str(place))
    assert noted.find(NAME) is None
    noted.begin(after())
    assert noted.find(NAME) == after()


def test_an_attempt_is_begun_once_and_only_its_record_is_left(tmp_path: Path) -> None:
    noted = Ledger(str(tmp_path / "ledger"))
    noted.begin(after())
    with pytest.raises(ValueError, match="was begun on this host before"):
        noted.begin(after(reason="again"))
    assert noted.find(NAME) == after()
    (file,) = (tmp_path / "ledger").iterdir()
    assert (file.name, file.stat().st_mode & 0o777, file.stat().st_nlink) == (f"{NAME}.yml", 0o600, 1)


def test_what_could_not_be_noted_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is there already when the folder's sync fails: the attempt would have begun, and nobody knows."""
    place = Ledger(str(tmp_path / "ledger"))

    def full(_folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "sync_folder", full)
        with pytest.raises(ValueError, match="could not be written: No space left on device"):
            place.begin(after())
    assert list((tmp_path / "ledger").iterdir()) == []
    place.begin(after())
    place.forget(NAME)
    assert place.find(NAME) is None
    with pytest.raises(ValueError, match="could not be removed: No such file"):
        place.forget(NAME)


@pytest.mark.parametrize("content", ["", "{", "version: 1\n"])
def test_a_record_that_can_not_be_read_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / f"{NAME}.yml"
    file.write_text(content)
    with pytest.raises(ValueError, match=rf"this host's record {file} can't be read .*: settle by hand"):
        Ledger(str(tmp_path)).find(NAME)
