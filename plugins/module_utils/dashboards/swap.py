# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree on the disk: read it, and put another in its place all at once.

The new tree is written beside the old one, brought to the disk, read back and looked at; then the two change names in
one step of the kernel (renameat2 with RENAME_EXCHANGE). Whoever looks, and whoever comes after a crash, finds the old
tree or the new one. Where a file system knows no such step, two renames take its place; a run that died between them
leaves the folder missing, and the next run puts it back. Nothing but the tree's *.json is ever touched.
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


def replace(folder: Path, files: t.Mapping[str, bytes], look: Look) -> bool:
    """Let the tree in *folder* have exactly these files, besides those that aren't .json; whether that changed it.

    *look* is given the new tree as it was read back from the disk, and raises ValueError where it may not be swapped
    in. So does this where something fails; the folder is as it was, then.
    """
    with _alone(folder) as target:
        if target.is_dir() and read(target) == dict(files):
            return False
        new = _beside(target, "new")
        try:
            _write(new, target, files)
            back = read(new)
            if back != dict(files):
                raise ValueError(f"what was written to {new} is not what is read there")
            look(back)
            _swap(new, target)
        except OSError as error:
            raise ValueError(f"could not write the dashboards beside {target}: {error.strerror}") from error
        finally:
            _sweep(target)
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
    try:
        lock = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ValueError(
            f"{target.parent}, where the dashboards' folder lies, can't be opened: {error.strerror}"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _sweep(target)
        yield target
    except BlockingIOError:
        raise ValueError(f"another run is writing to {target}: wait until it has ended") from None
    except OSError as error:
        raise ValueError(f"could not sweep beside {target}: {error.strerror}") from error
    finally:
        os.close(lock)


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


def _write(new: Path, target: Path, files: t.Mapping[str, bytes]) -> None:
    """Write the new tree, with the old one's other files, and bring all of it to the disk."""
    like = (target if target.is_dir() else target.parent).stat()
    new.mkdir(mode=0o700)
    for name, content in sorted(files.items()):
        path = new / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _create(path, content)
    if target.is_dir():
        for other in _walk(target):
            if other.suffix != ".json":
                path = new / other.relative_to(target)
                path.parent.mkdir(parents=True, exist_ok=True)
                _create(path, other.read_bytes())
                shutil.copystat(other, path)
    folders = [new, *sorted(path for path in new.rglob("*") if path.is_dir())]
    for path in [*folders, *_walk(new)]:
        # sudo must not leave files in somebody's checkout that they can't change
        if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(path, like.st_uid, like.st_gid)
    for path in folders:
        path.chmod(stat.S_IMODE(like.st_mode) if target.is_dir() else 0o755)
        _sync(path)


def _create(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o644)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _swap(new: Path, target: Path) -> None:
    """Let *new* be called *target*; the old tree, where there is one, is called *new* or .old then."""
    if not target.exists():
        new.rename(target)
    elif not _exchange(new, target):
        target.rename(_beside(target, "old"))
        new.rename(target)
    _sync(target.parent)


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
