"""What the options of host_files may say, and what is refused."""

from __future__ import annotations

import base64
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.files.wanted import Tree, read_wanted


def file(path: str, **more: t.Any) -> dict[str, t.Any]:
    return {"path": path, "content": "x", **more}


def tree(path: str, *names: str, **more: t.Any) -> dict[str, t.Any]:
    return {"path": path, "files": {name: base64.b64encode(name.encode()).decode() for name in names}, **more}


@pytest.mark.parametrize(
    ("files", "trees", "says"),
    [
        ([file("etc/x")], [], "relative"),
        ([file("")], [], "relative"),
        ([file("/etc/../x")], [], r"'\.\.'"),
        ([file("/")], [], "can't be managed"),
        ([file("/a/x"), file("/a//x/")], [], "/a/x is named twice"),
        ([file("/a/b/x")], [tree("/a/b", "x")], "/a/b/x is named twice"),
        ([], [tree("/a/b", "../x")], "plain relative path"),
        ([], [tree("/a/b", "/x")], "plain relative path"),
        ([], [tree("/a/b", "c//x")], "plain relative path"),
        ([], [tree("/etc", "x")], "system's own folders"),
        ([], [tree("/a/b", "x"), tree("/a/b/c", "y")], "lies below the tree"),
        ([], [tree("/a/b", "x", "x/y")], "(named twice|to be a file)"),
        ([], [tree("/a/b", "x", executable=["y"])], "no file y"),
        ([file("/a/x"), file("/a/x/y")], [], "/a/x is to be a file"),
        ([{"path": "/a/x"}], [], "exactly one of content"),
        ([file("/a/x", content_base64="eA==")], [], "exactly one of content"),
        ([{"path": "/a/x", "content_base64": "?"}], [], "can't be decoded"),
        ([file("/a/x", state="directory")], [], "option content has no meaning"),
        ([{"path": "/a/x", "state": "link"}], [], "needs a target"),
        ([{"path": "/a/x", "state": "link", "target": "y", "mode": "0644"}], [], "option mode has no meaning"),
        ([file("/a/x", target="y")], [], "option target has no meaning"),
        ([file("/a/x", validate=["true"])], [], "has no %s"),
        ([file("/a/x", state="touch")], [], "unknown"),
    ],
)
def test_what_is_ambiguous_is_refused(files: list[dict[str, t.Any]], trees: list[dict[str, t.Any]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_wanted(files, trees)


@pytest.mark.parametrize("mode", ["420", "644", "u=rw", "0888", "", "00644 "])
def test_a_mode_that_yaml_misread_is_refused(mode: str) -> None:
    with pytest.raises(ValueError, match="quote it"):
        read_wanted([file("/a/x", mode=mode)], [])


def test_a_refused_base64_content_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="can't be decoded") as caught:
        read_wanted([{"path": "/a/x", "content_base64": "hunter2!"}], [])
    assert "hunter2" not in str(caught.value)


def test_folders_come_before_what_they_hold() -> None:
    wanted = read_wanted(
        [file("/a/b/c/x"), {"path": "/a/b/c", "state": "directory"}, {"path": "/a/b", "state": "directory"}],
        [tree("/a/b/t", "z/y/x")],
    )
    paths = [entry.path for entry in wanted.entries]
    assert paths == ["/a/b", "/a/b/c", "/a/b/c/x", "/a/b/t", "/a/b/t/z", "/a/b/t/z/y", "/a/b/t/z/y/x"]


def test_defaults_are_root_0644_and_0755() -> None:
    folder, entry = read_wanted([file("/a/d/x"), {"path": "/a/d", "state": "directory"}], []).entries
    assert (folder.owner, folder.group, folder.mode) == ("root", "root", 0o755)
    assert (entry.owner, entry.group, entry.mode) == ("root", "root", 0o644)


@pytest.mark.parametrize(("mode", "executable"), [("0644", 0o755), ("0640", 0o750), ("0400", 0o500)])
def test_an_executable_may_be_run_by_its_readers_alone(mode: str, executable: int) -> None:
    wanted = read_wanted([], [tree("/a/b", "run", "read", file_mode=mode, executable=["run"])])
    modes = {entry.path: entry.mode for entry in wanted.entries}
    assert modes["/a/b/run"] == executable
    assert modes["/a/b/read"] == int(mode, 8)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/a/b/config.py", True),
        ("/a/b/sub/config.py", True),
        ("/a/b/__pycache__/x.pyc", True),
        ("/a/b/data/x/y", True),
        ("/a/b/sub/data", False),
        ("/a/b/other.py", False),
    ],
)
def test_keep_names_files_folders_and_relative_paths(path: str, kept: bool) -> None:
    keep = Tree(path="/a/b", keep=("config.py", "__pycache__", "data/*"))
    assert keep.keeps(path) is kept


def test_a_content_is_not_in_the_representation_of_an_entry() -> None:
    assert "hunter2" not in repr(read_wanted([file("/a/x", content="hunter2")], []))
