"""What else may lie in the dashboards' folder, who may write there, and what happens meanwhile: nothing is lost."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards import swap

OLD = {"a.json": b"old a", "Folder/b.json": b"old b"}
NEW = {"a.json": b"new a", "Other/c.json": b"new c"}
SOMEBODY = 1234


@pytest.fixture
def tree() -> t.Iterator[Path]:
    """An old tree in a folder that other users can reach."""
    around = Path(tempfile.mkdtemp())
    folder = around / "dashboards"
    for name, content in OLD.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "README.md").write_text("mine", encoding="utf-8")
    yield folder
    shutil.rmtree(around)


def nothing(_files: t.Mapping[str, bytes]) -> None:
    """Everything is a tree."""


def put(folder: Path, look: swap.Look = nothing) -> bool:
    return swap.replace(folder, swap.read(folder), NEW, look, pytest.fail)


def seen(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def somebody(folder: Path) -> t.Iterator[None]:
    """Work as a user who isn't root, and whose the folder is."""
    if os.geteuid():
        yield
        return
    for path in [folder.parent, folder, *folder.rglob("*")]:
        os.chown(path, SOMEBODY, SOMEBODY)
    os.setegid(SOMEBODY)
    os.seteuid(SOMEBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.mark.parametrize(
    ("when", "name"),
    [
        *(("before", name) for name in ("mine.json", "Folder/mine.json", "a.json")),
        *(("at last", name) for name in ("mine.json", "Folder/mine.json", "a.json", "README.md", "Folder/notes.txt")),
    ],
)
def test_what_is_written_meanwhile_is_kept_and_ends_the_run(tree: Path, when: str, name: str) -> None:
    """While the server is asked nobody holds the folder; a file written then was seen by nobody."""
    before = swap.read(tree)

    def write(_files: t.Mapping[str, bytes] = NEW) -> None:
        (tree / name).write_bytes(b"written meanwhile")

    if when == "before":
        write()
    with pytest.raises(ValueError, match="was changed meanwhile: run this again"):
        swap.replace(tree, before, NEW, nothing if when == "before" else write, pytest.fail)
    assert seen(tree) == {**OLD, "README.md": b"mine", name: b"written meanwhile"}
    assert list(tree.parent.iterdir()) == [tree]


def test_a_file_that_went_meanwhile_ends_the_run_too(tree: Path) -> None:
    before = swap.read(tree)
    (tree / "a.json").unlink()
    with pytest.raises(ValueError, match="was changed meanwhile"):
        swap.replace(tree, before, NEW, nothing, pytest.fail)
    assert "a.json" not in seen(tree)


def test_a_tree_that_was_changed_meanwhile_is_not_said_to_be_as_wanted(tree: Path) -> None:
    before = swap.read(tree)
    (tree / "mine.json").write_bytes(b"written meanwhile")
    with pytest.raises(ValueError, match="was changed meanwhile"):
        swap.replace(tree, before, before, nothing, pytest.fail)


@pytest.mark.parametrize("name", [".git/HEAD", "Folder/.git/HEAD", ".git", ".hidden/mine"])
def test_a_folder_that_holds_a_checkout_or_hidden_folders_is_refused(tree: Path, name: str) -> None:
    (tree / name).parent.mkdir(exist_ok=True)
    (tree / name).write_text("mine", encoding="utf-8")
    before = seen(tree)
    for run in (put, swap.check):
        with pytest.raises(ValueError, match=r"is in the way: give a folder that holds dashboards"):
            run(tree)
    assert seen(tree) == before
    assert list(tree.parent.iterdir()) == [tree]


def test_other_files_and_folders_stay_with_their_modes(tree: Path) -> None:
    (tree / "Empty" / "inner").mkdir(parents=True)
    (tree / ".gitkeep").touch()
    (tree / "Kept").mkdir()
    (tree / "Kept" / "run.sh").touch(mode=0o750)
    for name, mode in {"Empty": 0o2770, "Empty/inner": 0o700, "Kept": 0o711, "Kept/run.sh": 0o750, ".": 0o775}.items():
        (tree / name).chmod(mode)
    kept = ["Empty", "Empty/inner", "Kept", "Kept/run.sh", ".gitkeep", "README.md", "."]
    before = {name: (tree / name).stat().st_mode for name in kept}
    put(tree)
    assert {name: (tree / name).stat().st_mode for name in kept} == before
    # Its last dashboard went, and nothing else was there.
    assert not (tree / "Folder").exists()
    assert (tree / "Other").stat().st_mode == before["."]


def test_a_folder_that_could_not_be_emptied_afterwards_is_refused_before_anything_is_written(tree: Path) -> None:
    with somebody(tree):
        (tree / "Folder").chmod(0o555)
        before = seen(tree)
        for run in (put, swap.check):
            with pytest.raises(ValueError, match=r"/Folder may not be written to"):
                run(tree)
        (tree / "Folder").chmod(0o755)
    assert seen(tree) == before
    assert list(tree.parent.iterdir()) == [tree]


def test_cleaning_up_that_fails_is_a_warning_as_the_dashboards_are_there(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(path: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted", str(path))

    said: list[str] = []
    with monkeypatch.context() as broken:
        broken.setattr(shutil, "rmtree", failing)
        assert swap.replace(tree, OLD, NEW, nothing, said.append) is True
        assert len(said) == 1
        assert ".dashboards.new (Operation not permitted)" in said[0]
        assert seen(tree) == {**NEW, "README.md": b"mine"}
        with pytest.raises(ValueError, match=r"\.dashboards\.new\): remove it"):
            put(tree)
    assert put(tree) is False
    assert list(tree.parent.iterdir()) == [tree]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write into everybody's folders")
@pytest.mark.parametrize("whose", ["dashboards", "."])
def test_root_does_not_write_into_somebody_elses_folder(tree: Path, whose: str) -> None:
    """Its owner could put a link where root is about to write."""
    os.chown(tree.parent / whose, SOMEBODY, SOMEBODY)
    before = seen(tree)
    for run in (put, swap.check):
        with pytest.raises(ValueError, match=f"belongs to the user {SOMEBODY}: run this as that user"):
            run(tree)
    assert seen(tree) == before
    with somebody(tree):
        assert put(tree)


def test_what_a_run_refuses_is_foretold(tree: Path) -> None:
    file = tree / "README.md"
    for folder, words in ((tree / "not" / "there", "can't be opened"), (file, "is not a folder")):
        with pytest.raises(ValueError, match=words):
            swap.check(folder)
    with swap._alone(tree), pytest.raises(ValueError, match="another run is writing"):
        swap.check(tree)
    assert swap.check(tree) == tree


def test_the_tree_is_looked_for_where_a_killed_run_left_it(tree: Path) -> None:
    left = tree.with_name(".dashboards.old")
    tree.rename(left)
    assert swap.check(tree) == left
    assert not tree.exists()
    swap.recover(tree)
    assert swap.check(tree) == tree
    assert swap.read(tree) == OLD
