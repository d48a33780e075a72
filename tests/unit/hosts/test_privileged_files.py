"""Whoever makes folders of their own odd hides nothing but them."""

from __future__ import annotations

import os
import shutil
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.hosts import privileged_files
from ansible_collections.taaraxtak.production.plugins.module_utils.hosts.privileged_files import Found, search


def deep(tmp_path: t.Any, levels: int) -> int:
    """A folder so many levels below, made as an attacker makes it."""
    opened = os.open(tmp_path, os.O_RDONLY)
    for _level in range(levels):
        os.mkdir("x" * 200, dir_fd=opened)
        inside = os.open("x" * 200, os.O_RDONLY, dir_fd=opened)
        os.close(opened)
        opened = inside
    return opened


def setuid(name: str, folder: int) -> None:
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o755, dir_fd=folder))
    Path(f"/proc/self/fd/{folder}", name).chmod(0o4755)


@pytest.fixture
def place(tmp_path):
    yield tmp_path / "home"
    shutil.rmtree(tmp_path / "home")


def searched(place: t.Any, mounted: t.Container[str] = ()) -> Found:
    found = Found()
    search(str(place), mounted, found)
    return found


def test_a_program_that_lies_deeper_than_a_path_is_long_is_found(place):
    place.mkdir()
    folder = deep(place, 30)
    setuid("oops", folder)
    os.close(folder)
    (place / "z").write_text("z")
    (place / "z").chmod(0o2755)
    found = searched(place)
    modes = {one["path"].rpartition("/")[2]: one["mode"] for one in found.files}
    assert modes == {"oops": "4755", "z": "2755"}
    # What is in it is known all the same: an acceptance is of that.
    assert {len(one["digest"]) for one in found.files} == {16}
    assert found.unsearched == []


def test_what_lies_so_deep_that_the_search_would_not_end_is_told(place, monkeypatch):
    place.mkdir()
    os.close(deep(place, 30))
    (place / "z").write_text("z")
    (place / "z").chmod(0o4755)
    monkeypatch.setattr(privileged_files, "_LONGEST_PATH", 5000)
    monkeypatch.setattr(privileged_files, "_by_root", lambda _about: False)
    found = searched(place)
    assert [one["path"] for one in found.files] == [str(place / "z")]
    (one,) = found.unsearched
    assert one["why"] == "it lies too deep"
    assert len(one["path"]) < 400


def refusing(refused: str) -> t.Callable[..., int]:
    """As a file system of somebody's own does."""
    opened = os.open

    def refuse(path, *words, **more):
        if os.fsdecode(path) == refused:
            raise PermissionError(13, "Permission denied")
        return opened(path, *words, **more)

    return refuse


def test_a_folder_that_refuses_is_told_and_the_others_are_searched(place, monkeypatch):
    for name in ("a", "b", "c"):
        (place / name).mkdir(parents=True)
    (place / "c" / "x").write_text("x")
    (place / "c" / "x").chmod(0o4755)
    monkeypatch.setattr(privileged_files.os, "open", refusing(str(place / "b")))
    monkeypatch.setattr(privileged_files, "_by_root", lambda _about: False)
    found = searched(place)
    assert [one["path"] for one in found.files] == [str(place / "c" / "x")]
    assert [(one["path"], one["why"]) for one in found.unsearched] == [(str(place / "b"), "Permission denied")]


def test_one_of_root_s_that_refuses_is_an_error(place, monkeypatch):
    (place / "b").mkdir(parents=True)
    monkeypatch.setattr(privileged_files.os, "open", refusing(str(place / "b")))
    monkeypatch.setattr(privileged_files, "_by_root", lambda _about: True)
    with pytest.raises(PermissionError):
        searched(place)


def test_what_is_mounted_there_is_a_place_of_its_own(place):
    (place / "m").mkdir(parents=True)
    (place / "m" / "x").write_text("x")
    (place / "m" / "x").chmod(0o4755)
    assert searched(place, {str(place / "m")}).files == []
    assert len(searched(place).files) == 1
