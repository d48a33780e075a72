# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree on the disk: read it, and put another in its place all at once.

The new tree is written beside the old one, brought to the disk, read back and looked at; then the two change names in
one step of the kernel (renameat2 with RENAME_EXCHANGE). Whoever looks, and whoever comes after a crash, finds the old
tree or the new one. Where a file system knows no such step, two renames take its place; a run that died between them
leaves the folder missing, and the next run puts it back.

Only the tree's *.json change. Other files are copied with their modes and times, and folders keep their modes and
groups; one that held *.json alone goes with the last of them. Not kept are hard links, the times of folders, and their
ACLs and extended attributes.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import stat
import typing as t
from pathlib import Path

from .tree import COUNT_LIMIT, FILE_LIMIT

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
# What the kernel or the C library says where they or the file system can't exchange names.
_NO_EXCHANGE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV, errno.EPERM}

Look = t.Callable[[t.Mapping[str, bytes]], None]
# Inode, size, and the times of the last change of content and of anything.
Stamp = tuple[int, int, int, int]


def read(folder: Path) -> dict[str, bytes]:
    """The tree's files that end with .json, by their paths in it; none where there is no folder.

    ValueError for links, and for what is too large or too much to be a tree of dashboards.
    """
    found: dict[str, bytes] = {}
    try:
        for path in _walk(folder) if folder.is_dir() else ():
            if path.suffix == ".json":
                if path.stat().st_size > FILE_LIMIT:
                    raise ValueError(f"{path} has more than {FILE_LIMIT} bytes")
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
            if len(found) > COUNT_LIMIT:
                raise ValueError(f"{folder} holds more than {COUNT_LIMIT} files: is it the folder of the dashboards?")
    except OSError as error:
        raise ValueError(f"could not read {folder}: {error.strerror}: {error.filename}") from error
    return found


def _walk(folder: Path) -> t.Iterator[Path]:
    """Every file below, in order; ValueError for a link or anything that is neither file nor folder."""
    for path in sorted(folder.iterdir()):
        kind = path.lstat().st_mode
        if stat.S_ISDIR(kind):
            yield from _walk(path)
        elif stat.S_ISREG(kind):
            yield path
        else:
            raise ValueError(f"{path} is a link, or no file at all: a tree of dashboards holds files and folders alone")


def check(folder: Path) -> Path:
    """Where the tree lies now; ValueError for whatever keeps a run from writing to *folder*. Nothing is changed.

    It lies beside *folder* where a run was killed between two renames, and none has come since.
    """
    target = _resolved(folder)
    with _locked(target):
        _check(target)
    old = _beside(target, "old")
    return old if os.path.lexists(old) and not os.path.lexists(target) else target


def replace(
    folder: Path,
    before: t.Mapping[str, bytes],
    files: t.Mapping[str, bytes],
    look: Look,
    warn: t.Callable[[str], None],
) -> bool:
    """Let the tree in *folder* have exactly these files, besides those that aren't .json; whether that changed it.

    *before* is what was read there, and what *files* were decided by; ValueError where it is something else now.
    *look* is given the new tree as it was read back from the disk, and raises ValueError where it may not be swapped
    in. So does this where something fails; the folder is as it was, then. *warn* is given a sentence where only the
    cleaning up failed.
    """
    with _alone(folder) as target:
        _check_same(target, before)
        if target.is_dir() and dict(before) == dict(files):
            return False
        new = _beside(target, "new")
        try:
            others = _others(target)
            _write(new, target, files)
            back = read(new)
            if back != dict(files):
                raise ValueError(f"what was written to {new} is not what is read there")
            look(back)
            # Somebody may have written there while the server was asked, or just now.
            _check_same(target, before, others)
            _swap(new, target)
        except OSError as error:
            raise ValueError(f"could not write the dashboards beside {target}: {error.strerror}") from error
        finally:
            _tidy(target, warn)
    return True


def recover(folder: Path) -> None:
    """Put right what a run that was killed has left beside *folder*, if it has."""
    if _leftovers(_resolved(folder)):
        with _alone(folder):
            pass


@contextlib.contextmanager
def _alone(folder: Path) -> t.Iterator[Path]:
    """The folder's own path, while no other run writes beside it; swept first."""
    target = _resolved(folder)
    with _locked(target):
        _check(target)
        try:
            _sweep(target)
        except OSError as error:
            raise ValueError(
                f"what an earlier run left beside {target} can't be removed ({error.strerror}: {error.filename}): "
                f"remove it"
            ) from error
        yield target


@contextlib.contextmanager
def _locked(target: Path) -> t.Iterator[None]:
    try:
        lock = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ValueError(
            f"{target.parent}, where the dashboards' folder lies, can't be opened: {error.strerror}"
        ) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise ValueError(f"another run is writing to {target}: wait until it has ended") from None
            raise ValueError(f"{target.parent} can't be locked: {error.strerror}") from error
        yield
    finally:
        os.close(lock)


def _check(target: Path) -> None:
    """ValueError where a run may not write beside the tree, could not remove the old one, or would lose some of it."""
    trees = [path for path in (target, *_leftovers(target)) if path.is_dir()]
    me = os.geteuid()
    for path in (target.parent, *trees):
        owner = path.stat().st_uid
        # The owner could lead root's writing elsewhere by a link.
        if owner != me and (me == 0 or path != target.parent):
            raise ValueError(f"{path} belongs to the user {owner}: run this as that user")
    try:
        for folder in (target.parent, *(each for tree in trees for each in _folders(tree))):
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
                raise ValueError(f"{folder} may not be written to: the dashboards' folder is put there anew")
    except OSError as error:
        raise ValueError(f"could not read {target}: {error.strerror}: {error.filename}") from error


def _folders(folder: Path) -> t.Iterator[Path]:
    """The folder and all below; ValueError for one that is no tree's, such as a checkout's .git."""
    yield folder
    for path in sorted(folder.iterdir()):
        is_folder = stat.S_ISDIR(path.lstat().st_mode)
        if path.name == ".git" or (is_folder and path.name.startswith(".")):
            raise ValueError(f"{path} is in the way: give a folder that holds dashboards, and none that is hidden")
        if is_folder:
            yield from _folders(path)


def _check_same(target: Path, before: t.Mapping[str, bytes], others: t.Mapping[str, Stamp] | None = None) -> None:
    """ValueError where the tree isn't what it was."""
    if read(target) != dict(before) or (others is not None and _others(target) != others):
        raise ValueError(f"{target} was changed meanwhile: run this again")


def _others(target: Path) -> dict[str, Stamp]:
    """What tells whether a file that is not .json was changed, by its path in the tree."""
    found = {}
    for path in _walk(target) if target.is_dir() else ():
        if path.suffix != ".json":
            seen = path.stat()
            found[path.relative_to(target).as_posix()] = (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
    return found


def _resolved(folder: Path) -> Path:
    target = folder.resolve()
    if target == target.parent or (target.exists() and not target.is_dir()):
        raise ValueError(f"{folder} is not a folder that dashboards could lie in")
    return target


def _beside(target: Path, kind: str) -> Path:
    return target.with_name(f".{target.name}.{kind}")


def _leftovers(target: Path) -> list[Path]:
    return [path for path in (_beside(target, "old"), _beside(target, "new")) if os.path.lexists(path)]


def _sweep(target: Path) -> None:
    """Remove what a killed run left; where it died between two renames, the old tree is put back first."""
    old = _beside(target, "old")
    if os.path.lexists(old) and not os.path.lexists(target):
        old.rename(target)
        _sync(target.parent)
    for path in _leftovers(target):
        shutil.rmtree(path)


def _tidy(target: Path, warn: t.Callable[[str], None]) -> None:
    """Bring the names to the disk and remove the tree that isn't needed; the dashboards are right without it."""
    try:
        _sync(target.parent)
        _sweep(target)
    except OSError as error:
        left = " and ".join(map(str, _leftovers(target))) or target.parent
        warn(f"could not clean up {left} ({error.strerror}): the next run does, or says what to remove")


def _write(new: Path, target: Path, files: t.Mapping[str, bytes]) -> None:
    """Write the new tree, with the old one's other files and folders, and bring all of it to the disk."""
    group = (target if target.is_dir() else target.parent).stat().st_gid
    new.mkdir(mode=0o700)
    for name, content in sorted(files.items()):
        path = new / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _create(path, content, group)
    for folder in _folders(target) if target.is_dir() else ():
        others = [path for path in _walk(folder) if path.suffix != ".json"]
        if others or not any(_walk(folder)):
            (new / folder.relative_to(target)).mkdir(parents=True, exist_ok=True)
        for other in others:
            if other.parent == folder:
                path = new / other.relative_to(target)
                _create(path, other.read_bytes(), group)
                shutil.copystat(other, path)
    for folder in [new, *sorted(path for path in new.rglob("*") if path.is_dir())]:
        there = target / folder.relative_to(new)
        like = there if there.is_dir() else target
        _finish(folder, like.stat() if like.is_dir() else None, group)


def _finish(folder: Path, like: os.stat_result | None, group: int) -> None:
    """Give a new folder the mode and group of the one that it is to be like, and bring it to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _regroup(descriptor, like.st_gid if like else group)
        os.fchmod(descriptor, stat.S_IMODE(like.st_mode) if like else 0o755)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(path: Path, content: bytes, group: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        _regroup(descriptor, group)
        os.fchmod(descriptor, 0o644)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _regroup(descriptor: int, group: int) -> None:
    """A checkout that a group shares stays the group's."""
    if os.fstat(descriptor).st_gid != group:
        os.fchown(descriptor, -1, group)


def _swap(new: Path, target: Path) -> None:
    """Let *new* be called *target*; the old tree, where there is one, is called *new* or .old then."""
    if not target.exists():
        new.rename(target)
    elif not _exchange(new, target):
        target.rename(_beside(target, "old"))
        new.rename(target)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two folders in one step; False where that can't be done here."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
