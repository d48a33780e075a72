# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that give who runs them more than they have: setuid, setgid, capabilities."""

from __future__ import annotations

import dataclasses
import os
import re
import stat
import typing as t
from pathlib import Path

from .digests import digest
from .owners import group, user
from .packages import shipped
from .parsing.capabilities import names

# Kinds of file systems that no disk is behind, and that hold no programs.
_NO_DISKS = {
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "efivarfs", "fusectl",
    "hugetlbfs", "mqueue", "nfs", "nfs4", "nsfs", "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs",
    "tracefs",
}  # fmt: skip
_CAPABILITY = "security.capability"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# PATH_MAX; and what nothing but malice needs: beyond it the search would take hours.
_AT_ONCE, _LONGEST_PATH = 4096, 65536
# So much of a path is told.
_SHOWN = 300


@dataclasses.dataclass
class Found:
    """``files`` of a file system, and ``unsearched`` folders of it, with the reason."""

    files: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    unsearched: list[dict[str, str]] = dataclasses.field(default_factory=list)


def look() -> dict[str, t.Any]:
    """Each such file, on every file system of this host that lets it count; folders that could not be searched."""
    mounted, found = _mounted(), Found()
    for place, counts in mounted.items():
        if counts:
            search(place, set(mounted), found)
    packaged = shipped([one["path"] for one in found.files])
    return {
        "files": [
            {**one, "package": one["path"] in packaged} for one in sorted(found.files, key=lambda one: one["path"])
        ],
        "unsearched": sorted(found.unsearched, key=lambda one: one["path"]),
    }


def _mounted() -> dict[str, bool]:
    """Where file systems are mounted, and whether they are not nosuid: there, both kinds count."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        left, right = line.split(" - ", 1)
        words = left.split()
        # the kernel writes a blank, and its like, as three octal digits
        place = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), words[4])
        counts = "nosuid" not in words[5].split(",") and right.split()[0] not in _NO_DISKS
        # the last one on a place is the one that is seen; a file is looked at in the folder that it is in
        found[place] = counts
        if counts and not Path(place).is_dir():
            del found[place]
    return found


def search(place: str, mounted: t.Container[str], found: Found) -> None:
    """Add what is below *place*, on its own file system.

    What somebody makes in folders of their own hides nothing but itself: what can't be searched there is told. OSError
    where it is root's.
    """
    state = os.lstat(place)
    waiting = [(place, state)]
    while waiting:
        path, about = waiting.pop()
        try:
            opened = _open(path)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            _told_of(path, about, error, found)
            continue
        try:
            for name, one in _entries(path, opened, mounted, found):
                if stat.S_ISDIR(one.st_mode):
                    waiting += [(_inside(path, name), one)] if one.st_dev == state.st_dev else []
                elif stat.S_ISREG(one.st_mode) and (told := _told(f"/proc/self/fd/{opened}/{name}", one)):
                    found.files.append({"path": _inside(path, name), **told})
        finally:
            os.close(opened)


def _entries(path: str, opened: int, mounted: t.Container[str], found: Found) -> t.Iterator[tuple[str, os.stat_result]]:
    about = os.fstat(opened)
    try:
        entries = list(os.scandir(opened))
    except OSError as error:
        _told_of(path, about, error, found)
        return
    for entry in entries:
        inside = _inside(path, entry.name)
        try:
            # what is mounted is a place of its own; one of somebody's (FUSE) refuses even root
            if inside not in mounted:
                yield entry.name, entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            # it was there a moment ago
            continue
        except OSError as error:
            _told_of(inside, about, error, found)


def _inside(path: str, name: str) -> str:
    return f"{path.rstrip('/')}/{name}"


def _open(path: str) -> int:
    """The folder, by as many steps as the kernel needs for so long a path."""
    raw = os.fsencode(path)
    if len(raw) > _LONGEST_PATH:
        raise ValueError("it lies too deep")
    if len(raw) < _AT_ONCE:
        return os.open(raw, _FOLDER)
    opened = os.open("/", _FOLDER)
    names = raw.split(b"/")[1:]
    while names:
        # a name has up to 255 bytes
        piece, names = b"/".join(names[:15]), names[15:]
        try:
            inside = os.open(piece, _FOLDER, dir_fd=opened)
        finally:
            os.close(opened)
        opened = inside
    return opened


def _told_of(path: str, about: os.stat_result, error: Exception, found: Found) -> None:
    """That a folder could not be searched. Where only root, by *about*, can have brought that about, it is raised."""
    if _by_root(about):
        raise error
    why = error.strerror if isinstance(error, OSError) else str(error)
    shown = path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…"
    found.unsearched.append({"path": shown, "owner": user(about.st_uid), "why": str(why)})


def _by_root(about: os.stat_result) -> bool:
    return about.st_uid == 0 and not about.st_mode & 0o022


def _told(path: str, state: os.stat_result) -> dict[str, t.Any] | None:
    if not state.st_mode & 0o111:
        return None
    given = _capabilities(path)
    if not given and not state.st_mode & (stat.S_ISUID | stat.S_ISGID):
        return None
    return {
        "mode": f"{stat.S_IMODE(state.st_mode):04o}", "owner": user(state.st_uid), "group": group(state.st_gid),
        "capabilities": given, "digest": digest(path),
    }  # fmt: skip


def _capabilities(path: str) -> list[str]:
    try:
        return names(os.getxattr(path, _CAPABILITY, follow_symlinks=False))
    except OSError:
        # most files have none, and some file systems know none
        return []
