"""What the lookup reads on the controller, and what it refuses."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.files.folder import read_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "app"
    for name in ("z.py", "a.py", "sub/b.sql", "tests/t.py", ".git/config", ".env", "__pycache__/a.pyc", "sub/c.pyc"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def test_all_files_are_read_sorted_and_without_what_no_host_needs(folder: Path) -> None:
    contents = read_folder(str(folder))
    assert list(contents) == ["a.py", "sub/b.sql", "tests/t.py", "z.py"]
    assert all(base64.b64decode(content) == name.encode() for name, content in contents.items())


@pytest.mark.parametrize("pattern", ["tests", "t.py", "tests/t.py", "*/t.py"])
def test_excluded_names_are_left_out(folder: Path, pattern: str) -> None:
    assert list(read_folder(str(folder), [pattern])) == ["a.py", "sub/b.sql", "z.py"]


def test_a_link_inside_is_read_and_one_that_leaves_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "inside").symlink_to("a.py")
    assert base64.b64decode(read_folder(str(folder))["inside"]) == b"a.py"
    (tmp_path / "secret").write_text("hunter2")
    (folder / "outside").symlink_to("../secret")
    with pytest.raises(ValueError, match="outside leaves the folder"):
        read_folder(str(folder))


@pytest.mark.parametrize(
    ("target", "says"), [("nothing", "leads nowhere"), ("loop", "leads nowhere"), (".", "no regular")]
)
def test_a_link_to_no_file_is_refused(folder: Path, target: str, says: str) -> None:
    (folder / "loop").symlink_to(target)
    with pytest.raises(ValueError, match=says):
        read_folder(str(folder))


def test_a_pipe_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(ValueError, match="no regular file"):
        read_folder(str(folder))


def test_a_folder_that_is_too_large_is_refused_with_another_way(folder: Path) -> None:
    with (folder / "large").open("wb") as stream:
        stream.truncate(8 * 1024 * 1024)
    with pytest.raises(ValueError, match=r"more than 8 MiB.*git"):
        read_folder(str(folder))


def test_a_missing_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no folder .*missing"):
        read_folder(str(tmp_path / "missing"))


def test_a_pattern_from_the_root_leaves_the_same_name_deeper(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    for name in ("config.py", "pkg/config.py"):
        (tmp_path / name).write_text("")
    assert list(read_folder(str(tmp_path), exclude=["/config.py"])) == ["pkg/config.py"]
    assert list(read_folder(str(tmp_path), exclude=["config.py"])) == []


def test_only_what_is_asked_for_is_read_and_nothing_else_is_in_the_way(folder: Path) -> None:
    (folder / "sub" / "c.json").write_text("{}")
    (folder / "large.bin").write_bytes(b"x" * 100)
    (folder / "leaves.txt").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    assert list(read_folder(str(folder), only=["*.json"], most_bytes=50)) == ["sub/c.json"]
    assert list(read_folder(str(folder), ["sub"], only=["*.json"])) == []
