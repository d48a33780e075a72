# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a host's files: every folder on the way is opened by itself, and no link of a stranger is followed."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
import typing as t

from .plan import MISSING, Observed, Situation
from .wanted import Tree, Wanted, name_of, parent_of

# What the kernel itself follows before it says ELOOP (path_resolution(7)).
MOST_LINKS = 40

# A file of another size differs for sure: it is read for the diff alone, up to this many bytes.
LONGEST_READ = 1024 * 1024

_WALK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def open_folder(path: str) -> t.Iterator[int]:
    """A descriptor of the folder *path*.

    A link on the way is followed only where root or we ourselves made it (/var/run is one): another user's could lead
    anywhere. Raises FileNotFoundError where the folder is missing, and ValueError where the way is unsafe or no folder.
    """
    handle = os.open("/", _WALK)
    try:
        left = [part for part in path.split("/") if part]
        links = 0
        while left:
            part = left.pop(0)
            try:
                step = os.open(part, _WALK, dir_fd=handle)
            except NotADirectoryError:
                target = _read_trusted_link(part, handle, path)
                links += 1
                if links > MOST_LINKS:
                    raise ValueError(f"the way to {path} leads through too many links") from None
                left = [piece for piece in target.split("/") if piece] + left
                step = os.open("/" if target.startswith("/") else ".", _WALK, dir_fd=handle)
            os.close(handle)
            handle = step
        # a walking descriptor can't be listed or synced
        readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=handle)
        os.close(handle)
        handle = readable
        yield handle
    finally:
        os.close(handle)


def _read_trusted_link(name: str, folder: int, path: str) -> str:
    # the link itself is held, so that what is checked is what is read
    link = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        seen = os.fstat(link)
        if not stat.S_ISLNK(seen.st_mode):
            raise ValueError(f"the way to {path} leads through {name}, which is no folder")
        if seen.st_uid not in (0, os.geteuid()):
            raise ValueError(
                f"the way to {path} leads through the link {name} of the user {_user_name(seen.st_uid)}: "
                "links of other users are not followed"
            )
        return os.readlink("", dir_fd=link)
    finally:
        os.close(link)


def look(wanted: Wanted, *, planning: bool) -> Situation:
    """Observe everything that *wanted* speaks of; only reads.

    Raises ValueError where the way to a path is unsafe or can't be looked at, OSError where a tree can't be listed.
    """
    observed: dict[str, Observed] = {}
    folders: set[str] = set()
    changing = set()
    for entry in wanted.entries:
        parent = parent_of(entry.path)
        if parent in changing:
            # the parent is missing or no folder yet, so nothing that its name leads to now is meant
            observed[entry.path] = MISSING
        else:
            try:
                with open_folder(parent) as handle:
                    observed[entry.path] = observe(name_of(entry.path), handle, expected=len(entry.content))
                folders.add(parent)
            except FileNotFoundError:
                observed[entry.path] = MISSING
            except OSError as error:
                raise ValueError(f"could not look at {entry.path}: {error.strerror or error}") from error
        if entry.kind == "folder" and observed[entry.path].kind != "folder":
            changing.add(entry.path)
    return Situation(
        observed=observed,
        folders=frozenset(folders),
        found={tree.path: _walk_tree(tree) for tree in wanted.trees if observed[tree.path].kind == "folder"},
        owners={entry.owner: _user_number(entry.owner) for entry in wanted.entries},
        groups={entry.group: _group_number(entry.group) for entry in wanted.entries},
        planning=planning,
    )


def observe(name: str, folder: int, *, expected: int | None = None) -> Observed:
    """What is at *name* in *folder*; a regular file is read where *expected* (a size in bytes) is given."""
    try:
        seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return MISSING
    kind: t.Literal["file", "folder", "link", "other"] = "other"
    content, target, empty = None, "", False
    if stat.S_ISREG(seen.st_mode):
        kind = "file"
        if expected is not None and (seen.st_size == expected or seen.st_size <= LONGEST_READ):
            content, seen = _read(name, folder)
    elif stat.S_ISDIR(seen.st_mode):
        kind = "folder"
        empty = _is_empty(name, folder)
    elif stat.S_ISLNK(seen.st_mode):
        kind = "link"
        target = os.readlink(name, dir_fd=folder)
    return Observed(
        kind=kind,
        uid=seen.st_uid,
        gid=seen.st_gid,
        owner=_user_name(seen.st_uid),
        group=_group_name(seen.st_gid),
        mode=stat.S_IMODE(seen.st_mode),
        size=seen.st_size,
        content=content,
        target=target,
        empty=empty,
    )


def _read(name: str, folder: int) -> tuple[bytes, os.stat_result]:
    # O_NONBLOCK: a pipe put there meanwhile must not make us wait
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(handle, "rb") as stream:
        return stream.read(), os.fstat(stream.fileno())


def _is_empty(name: str, folder: int) -> bool:
    handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        with os.scandir(handle) as entries:
            return next(entries, None) is None
    finally:
        os.close(handle)


def _walk_tree(tree: Tree) -> dict[str, Observed]:
    found: dict[str, Observed] = {}
    with open_folder(parent_of(tree.path)) as parent:
        _walk(name_of(tree.path), parent, tree.path, tree, found)
    return found


def _walk(name: str, parent: int, path: str, tree: Tree, found: dict[str, Observed]) -> None:
    handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        device = os.fstat(handle).st_dev
        with os.scandir(handle) as children:
            names = sorted(child.name for child in children)
        for child in names:
            below = f"{path}/{child}"
            seen = observe(child, handle)
            if seen.kind == "folder" and os.stat(child, dir_fd=handle, follow_symlinks=False).st_dev != device:
                seen = Observed(kind="folder", mount=True)
            found[below] = seen
            if seen.kind == "folder" and not tree.keeps(below):
                _walk(child, handle, below, tree, found)
    finally:
        os.close(handle)


def _user_number(name: str) -> int | None:
    try:
        return int(name) if name.isdecimal() else pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _group_number(name: str) -> int | None:
    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
