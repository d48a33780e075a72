"""What was there can be put back: each kind of change has the commands that undo it, tried on real files."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.files import guarded
from ansible_collections.taaraxtak.production.plugins.module_utils.files.disk import look
from ansible_collections.taaraxtak.production.plugins.module_utils.files.plan import decide
from ansible_collections.taaraxtak.production.plugins.module_utils.files.wanted import read_wanted
from ansible_collections.taaraxtak.production.plugins.module_utils.guard.undo import Undo

DEFAULTS: dict[str, t.Any] = {
    **dict.fromkeys(("content", "content_base64", "target", "mode", "validate")),
    "state": "file",
    "owner": str(os.geteuid()),
    "group": str(os.getegid()),
    "secret": False,
}


class Host:
    """A folder of its own in place of /etc, and what systemd would be told."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kept, self.undo, self.put_back = folder, [], []
        monkeypatch.setattr(guarded, "begin", self.begin)
        monkeypatch.setattr(guarded, "arm", self.undo.append)
        monkeypatch.setattr(guarded, "put_back", self.put_back.append)

    def begin(self, name: str) -> Path:
        """The folder of a change."""
        (self.kept / name).mkdir(parents=True)
        return self.kept / name

    def carry_out(self, files: list[dict[str, t.Any]], trees: t.Sequence[dict[str, t.Any]] = ()) -> Undo:
        """Change files; gives what would undo it."""
        wanted = read_wanted([{**DEFAULTS, **given} for given in files], list(trees))
        plan = decide(wanted, look(wanted, planning=False))
        guarded.carry_out_guarded(plan, name="logins", seconds=90, commands=[["/usr/bin/true"]])
        return self.undo[-1]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host whose files lie below tmp_path/etc."""
    (tmp_path / "etc").mkdir()
    return Host(tmp_path / "kept", monkeypatch)


def everything(root: Path) -> dict[str, tuple[t.Any, ...]]:
    """Modes, owners, contents and targets of all below *root*."""
    found = {}
    for path in sorted(root.rglob("*")):
        seen = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(seen.st_mode) else path.readlink() if path.is_symlink() else b""
        found[str(path.relative_to(root))] = (seen.st_mode, seen.st_uid, seen.st_gid, content)
    return found


def changed_in_every_way(host: Host, etc: Path) -> tuple[dict[str, tuple[t.Any, ...]], Undo]:
    """What was below *etc*, and what would undo the change that was made of it."""
    (etc / "old").write_text("old\n")
    (etc / "old").chmod(0o640)
    (etc / "link").symlink_to("old")
    (etc / "mended").mkdir(mode=0o700)
    (etc / "gone").write_text("gone\n")
    (etc / "keys" / "sub").mkdir(parents=True)
    (etc / "keys" / "alice").write_text("key\n")
    (etc / "keys" / "sub" / "bob").write_text("key\n")
    (etc / "keys" / "carol").mkdir()
    (etc / "keys" / "carol" / "x").write_text("x\n")
    (etc / "keys" / "dave").write_text("a file that becomes a folder\n")
    before = everything(etc)
    tree = {
        "path": str(etc / "keys"),
        "files": {"alice": "bmV3Cg==", "carol": "bmV3Cg==", "dave/key": "bmV3Cg=="},
        "keep": [],
        "executable": [],
    }
    owner = {"owner": DEFAULTS["owner"], "group": DEFAULTS["group"], "file_mode": "0644", "folder_mode": "0755"}
    undo = host.carry_out(
        [
            {"path": str(etc / "old"), "content": "new\n"},
            {"path": str(etc / "link"), "content": "a file now\n"},
            {"path": str(etc / "made"), "state": "directory"},
            {"path": str(etc / "made" / "file"), "content": "new\n"},
            {"path": str(etc / "mended"), "state": "directory"},
            {"path": str(etc / "gone"), "state": "absent"},
        ],
        [{**tree, **owner}],
    )
    assert everything(etc) != before
    return before, undo


def test_the_undo_of_every_kind_of_change_gives_what_was_there(host, tmp_path):
    before, undo = changed_in_every_way(host, tmp_path / "etc")
    for command in undo.commands:
        subprocess.run(command, check=True)
    assert everything(tmp_path / "etc") == before
    assert undo.then == (("/usr/bin/true",),)


def test_an_undo_that_is_cut_off_anywhere_is_done_by_the_same_again(host, tmp_path):
    etc, changed = tmp_path / "etc", tmp_path / "changed"
    before, undo = changed_in_every_way(host, etc)
    shutil.copytree(etc, changed, symlinks=True)
    for cut in range(len(undo.commands) + 1):
        shutil.rmtree(etc)
        shutil.copytree(changed, etc, symlinks=True)
        for command in (*undo.commands[:cut], *undo.commands):
            subprocess.run(command, check=True)
        assert everything(etc) == before, cut


def test_it_is_armed_before_anything_is_written(host, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(guarded, "carry_out", lambda plan: seen.append(len(host.undo)))
    host.carry_out([{"path": str(tmp_path / "etc" / "new"), "content": "new\n"}])
    assert seen == [1]


def test_what_can_not_be_written_whole_is_taken_back_at_once(host, tmp_path, monkeypatch):
    def fail(_plan: object) -> None:
        raise ValueError("no room")

    monkeypatch.setattr(guarded, "carry_out", fail)
    with pytest.raises(ValueError, match="no room; what had been changed is as it was"):
        host.carry_out([{"path": str(tmp_path / "etc" / "new"), "content": "new\n"}])
    assert host.put_back == ["logins"]


def test_a_change_that_another_run_has_on_trial_is_left_to_it(host, tmp_path, monkeypatch):
    def taken(_name: str) -> Path:
        raise ValueError("the last change logins is neither confirmed nor taken back")

    monkeypatch.setattr(guarded, "begin", taken)
    with pytest.raises(ValueError, match="neither confirmed nor taken back"):
        host.carry_out([{"path": str(tmp_path / "etc" / "new"), "content": "new\n"}])
    assert host.put_back == []
    assert not (tmp_path / "etc" / "new").exists()
