"""What the writer does when the host resists, on folders of its own."""

from __future__ import annotations

import base64
import contextlib
import grp
import os
import pwd
import resource
import stat
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.files import writer
from ansible_collections.taaraxtak.production.plugins.module_utils.files.disk import look, open_folder
from ansible_collections.taaraxtak.production.plugins.module_utils.files.plan import Plan, decide
from ansible_collections.taaraxtak.production.plugins.module_utils.files.wanted import Wanted, read_wanted

ME = {"owner": pwd.getpwuid(os.geteuid()).pw_name, "group": grp.getgrgid(os.getegid()).gr_name}


def file(path: Path, content: str = "new\n", **more: t.Any) -> dict[str, t.Any]:
    return {"path": str(path), "content": content, **ME, **more}


def tree(path: Path, contents: dict[str, str], **more: t.Any) -> dict[str, t.Any]:
    files = {name: base64.b64encode(content.encode()).decode() for name, content in contents.items()}
    return {"path": str(path), "files": files, **ME, **more}


def snapshot(root: Path) -> dict[str, tuple[t.Any, ...]]:
    """Everything below *root* with its inode, and the times of files: one that was written anew differs."""
    found = {}
    for path in sorted(root.rglob("*")):
        seen = path.lstat()
        regular = stat.S_ISREG(seen.st_mode)
        extra = (seen.st_mtime_ns, path.read_bytes()) if regular else ()
        found[str(path.relative_to(root))] = (seen.st_mode, seen.st_uid, seen.st_ino, *extra)
    return found


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@contextlib.contextmanager
def small_disk() -> t.Iterator[None]:
    """No file may grow above 1 KiB, as on a full disk; not even pytest's own log, so for the block alone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def plan_of(wanted: Wanted) -> Plan:
    return decide(wanted, look(wanted, planning=False))


def test_a_full_disk_leaves_the_host_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old\n")
    (tmp_path / "b").write_text("old\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "sub").write_text("a file in a folder's place\n")
    before = snapshot(tmp_path)
    arguments = {
        "files": [
            file(tmp_path / "a"),
            {"path": str(tmp_path / "new"), "state": "directory", **ME},
            file(tmp_path / "new" / "x"),
        ],
        "trees": [tree(tmp_path / "app", {"sub/x": "small", "sub/y": "large" * 1000})],
    }
    wanted = read_wanted(arguments["files"], arguments["trees"])
    plan = plan_of(wanted)
    with pytest.raises(ValueError, match=r"could not write .*/app/sub/y: File too large"), small_disk():
        writer.carry_out(plan)
    assert snapshot(tmp_path) == before


def test_a_failure_in_the_midst_names_what_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b").write_text("old\n")
    wanted = read_wanted([file(tmp_path / "a"), file(tmp_path / "b")], [])
    real = os.replace

    def fails_on_b(source: str, name: str, **more: t.Any) -> None:
        if name == "b":
            raise PermissionError(1, "Operation not permitted")
        real(source, name, **more)

    monkeypatch.setattr(os, "replace", fails_on_b)
    with pytest.raises(writer.PartlyWrittenError, match=r"could not write .*/b: Operation not permitted") as caught:
        writer.carry_out(plan_of(wanted))
    assert caught.value.done == (str(tmp_path / "a"),)
    assert (tmp_path / "b").read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_staged_file_that_somebody_replaced_is_not_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = read_wanted([file(tmp_path / "a")], [])
    real = writer._Writer._mend

    def attack(self: t.Any, action: t.Any) -> bool:
        (staged,) = tmp_path.iterdir()
        staged.rename(tmp_path / "elsewhere")
        staged.write_text("evil\n")
        return real(self, action)

    monkeypatch.setattr(writer._Writer, "_mend", attack)
    with pytest.raises(writer.PartlyWrittenError, match="somebody replaced"):
        writer.carry_out(plan_of(wanted))
    assert not (tmp_path / "a").exists()


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = open_descriptors()
    wanted = read_wanted([file(tmp_path / "a")], [tree(tmp_path / "t", {"x/y": ""})])
    writer.carry_out(plan_of(wanted))
    assert plan_of(wanted).actions == ()
    (tmp_path / "loop").symlink_to("loop")
    for path in ("missing/x", "a", "loop"):
        with pytest.raises((ValueError, FileNotFoundError)), open_folder(str(tmp_path / path)):
            pass
    assert open_descriptors() == before
