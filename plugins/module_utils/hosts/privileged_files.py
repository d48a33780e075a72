# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that give who runs them more than they have: setuid, setgid, capabilities."""

from __future__ import annotations

import os
import re
import stat
import typing as t
from pathlib import Path

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


def look() -> dict[str, t.Any]:
    """Each such file, on every file system of this host that lets it count."""
    found = [one for place in _places() for one in _below(place)]
    packaged = shipped([one["path"] for one in found])
    return {
        "files": [{**one, "package": one["path"] in packaged} for one in sorted(found, key=lambda one: one["path"])]
    }


def _places() -> list[str]:
    """Where file systems are mounted that are not nosuid: there, both kinds count."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        left, right = line.split(" - ", 1)
        words = left.split()
        # the kernel writes a blank, and its like, as three octal digits
        place = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), words[4])
        counts = "nosuid" not in words[5].split(",") and right.split()[0] not in _NO_DISKS
        # the last one on a place is the one that is seen
        found[place] = counts and Path(place).is_dir()
    return [place for place, counts in found.items() if counts]


def _below(place: str) -> t.Iterator[dict[str, t.Any]]:
    device = os.lstat(place).st_dev
    waiting = [place]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except FileNotFoundError:
            continue
        for entry in entries:
            try:
                state = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(state.st_mode):
                    if state.st_dev == device:
                        waiting.append(entry.path)
                elif stat.S_ISREG(state.st_mode) and (one := _told(entry.path, state)):
                    yield one
            except FileNotFoundError:
                # it was there a moment ago
                continue


def _told(path: str, state: os.stat_result) -> dict[str, t.Any] | None:
    if not state.st_mode & 0o111:
        return None
    given = _capabilities(path)
    if not given and not state.st_mode & (stat.S_ISUID | stat.S_ISGID):
        return None
    return {
        "path": path, "mode": f"{stat.S_IMODE(state.st_mode):04o}", "owner": user(state.st_uid),
        "group": group(state.st_gid), "capabilities": given,
    }  # fmt: skip


def _capabilities(path: str) -> list[str]:
    try:
        return names(os.getxattr(path, _CAPABILITY, follow_symlinks=False))
    except OSError:
        # most files have none, and some file systems know none
        return []
