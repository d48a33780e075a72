"""The swap of the trees: whenever it is killed, whoever looks finds the old tree or the new one, nothing between."""

from __future__ import annotations

import errno
import os
import signal
import sys
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards import swap

OLD = {"a.json": b"old a", "Folder/b.json": b"old b", "Folder/gone.json": b"old gone"}
NEW = {"a.json": b"new a", "Folder/b.json": b"old b", "Other/c.json": b"new c"}
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

# The last line of a run needs no more than this; a run that never ends would hold the test up.
STEPS = 2000


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An old tree with a file that isn't a dashboard's."""
    folder = tmp_path / "dashboards"
    for name, content in OLD.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "README.md").write_text("mine", encoding="utf-8")
    return folder


def nothing(_files: t.Mapping[str, bytes]) -> None:
    """Everything is a tree."""


def without_exchange(_one: Path, _other: Path) -> bool:
    """A file system that can't exchange names."""
    return False


def put(folder: Path, files: t.Mapping[str, bytes] = NEW, look: swap.Look = nothing) -> bool:
    """Replace whatever is there; the cleaning up must not fail."""
    return swap.replace(folder, swap.read(folder), files, look, pytest.fail)


def replace(folder: Path) -> None:
    put(folder)


def killed_at(step: int, folder: Path, work: t.Callable[[Path], None]) -> bool:
    """Let a process do the work and kill itself as with kill -9 at this line of swap.py; False where it had ended."""
    child = os.fork()
    if not child:
        left = step

        def trace(frame: types.FrameType, event: str, _argument: t.Any) -> t.Any:
            nonlocal left
            if frame.f_code.co_filename != swap.__file__:
                return None
            if event == "line":
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        try:
            sys.settrace(trace)
            work(folder)
            sys.settrace(None)
            os._exit(0)
        finally:
            os._exit(1)
    _pid, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def seen(folder: Path) -> dict[str, bytes]:
    """What somebody who reads the folder finds."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def beside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.parent.iterdir())


def test_the_new_tree_takes_the_old_ones_place(tree: Path) -> None:
    assert put(tree, NEW) is True
    assert seen(tree) == {**NEW, "README.md": b"mine"}
    assert beside(tree) == ["dashboards"]
    assert put(tree, NEW) is False


def test_killed_at_any_step_the_folder_is_the_old_or_the_new_tree(tree: Path) -> None:
    """Each line of a run is one test: a process that is killed there, a look, and the next run."""
    old, new = seen(tree), {**NEW, "README.md": b"mine"}
    found = set()
    for step in range(STEPS):
        if not killed_at(step, tree, replace):
            break
        state = seen(tree)
        assert state in (old, new), f"after step {step}"
        found.add(state == new)
        # The next run sweeps, whatever it finds.
        swap.recover(tree)
        assert seen(tree) == state
        assert beside(tree) == ["dashboards"]
        put(tree, OLD)
        assert seen(tree) == old
    else:
        pytest.fail("the run did not end")
    assert step > 100
    # It was killed before the swap and after it.
    assert found == {True, False}
    assert seen(tree) == new


def test_killed_where_names_cannot_be_exchanged_the_next_run_puts_the_old_tree_back(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swap, "_exchange", without_exchange)
    old, new = seen(tree), {**NEW, "README.md": b"mine"}
    missing = 0
    for step in range(STEPS):
        if not killed_at(step, tree, replace):
            break
        missing += not tree.exists()
        swap.recover(tree)
        assert seen(tree) in (old, new), f"after step {step}"
        assert beside(tree) == ["dashboards"]
        put(tree, OLD)
    else:
        pytest.fail("the run did not end")
    assert missing
    assert seen(tree) == new


def test_killed_at_the_first_export_there_is_no_tree_or_all_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "dashboards"
    for step in range(STEPS):
        if not killed_at(step, folder, replace):
            break
        assert seen(folder) in ({}, NEW)
        swap.recover(folder)
        assert beside(folder) in ([], ["dashboards"])
        put(folder, {})
        folder.rmdir()
    else:
        pytest.fail("the run did not end")
    assert seen(folder) == NEW


def test_killed_while_it_recovers_the_next_run_recovers_again(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = seen(tree)
    for step in range(STEPS):
        tree.rename(tree.with_name(".dashboards.old"))
        tree.with_name(".dashboards.new").mkdir()
        (tree.with_name(".dashboards.new") / "half.json").write_bytes(b"{")
        ended = not killed_at(step, tree, swap.recover)
        swap.recover(tree)
        assert seen(tree) == old
        assert beside(tree) == ["dashboards"]
        if ended:
            return
    pytest.fail("the run did not end")


def test_the_two_names_change_in_one_step_here(tree: Path) -> None:
    """Else the promise that whoever looks finds a tree would hold by chance."""
    other = tree.with_name("other")
    other.mkdir()
    assert swap._exchange(other, tree) is True
    assert seen(other)["a.json"] == b"old a"
    assert list(tree.iterdir()) == []


def test_what_is_no_tree_is_not_swapped_in(tree: Path) -> None:
    before = seen(tree)

    def refuse(files: t.Mapping[str, bytes]) -> None:
        assert dict(files) == NEW
        raise ValueError("no tree")

    with pytest.raises(ValueError, match=r"^no tree$"):
        put(tree, NEW, refuse)
    assert seen(tree) == before
    assert beside(tree) == ["dashboards"]


@pytest.mark.parametrize("name", ["fsync", "rename", "fchmod"])
def test_an_error_of_the_disk_leaves_the_old_tree(tree: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = seen(tree)
    monkeypatch.setattr(swap, "_exchange", without_exchange)
    real, calls = getattr(os, name), 0

    def failing(*arguments: t.Any, **more: t.Any) -> t.Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(errno.EIO, "Input/output error")
        return real(*arguments, **more)

    monkeypatch.setattr(os, name, failing)
    with pytest.raises(ValueError, match="Input/output error"):
        put(tree, NEW)
    assert calls >= 2
    assert seen(tree) == before
    assert beside(tree) == ["dashboards"]


def test_two_runs_do_not_write_at_the_same_time(tree: Path) -> None:
    with swap._alone(tree), pytest.raises(ValueError, match="another run is writing"):
        put(tree, NEW)
    assert put(tree, NEW)


def test_a_link_to_the_tree_stays_a_link(tree: Path) -> None:
    link = tree.with_name("link")
    link.symlink_to(tree)
    put(link, NEW)
    assert link.is_symlink()
    assert seen(tree) == {**NEW, "README.md": b"mine"}


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_file_ends_it_before_anything_is_written(tree: Path, kind: str) -> None:
    odd = tree / "odd.json"
    if kind == "link":
        odd.symlink_to("/etc/passwd")
    else:
        os.mkfifo(odd)
    with pytest.raises(ValueError, match="is a link, or no file at all"):
        put(tree, NEW)
    assert beside(tree) == ["dashboards"]
