# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask sshd what it would do for each account."""

from __future__ import annotations

import concurrent.futures
import functools
import glob
import os
import stat
import typing as t
from pathlib import Path

from ..sshd.effective import read
from . import accounts
from .digests import digest
from .owners import folders, group, user
from .parsing.sshd import includes, matches
from .reading import kind, text
from .running import run

_SETTINGS = "/etc/ssh/sshd_config"
# sshd goes no deeper.
_DEEPEST = 16

ANYBODY = "*"
# Of a documentation's network, so that no rule for an address is meant.
_FROM = "host=any,addr=192.0.2.1"


@functools.cache
def effective(name: str) -> dict[str, list[str]]:
    """What sshd would do for *name*, keyword by keyword."""
    return read(run(["/usr/sbin/sshd", "-T", "-C", f"user={name},{_FROM}"]))


def ask_all() -> None:
    """Ask for every account, several at a time."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(effective, _names()))


def look() -> dict[str, t.Any]:
    """What it does for anybody, and what else it does for each account; where it depends on something else.

    ``keys``, ``files``: the keys that this host proves itself by, and the settings' files, with owner and mode;
    ``folders``: those that they lie in, or would.
    """
    ask_all()
    common = effective(_names()[0])
    differing = {name: _others(effective(name), common) for name in _names()}
    files = _files(_SETTINGS)
    keys = {*common.get("hostkey", []), *map(str, Path("/etc/ssh").glob("ssh_host_*_key"))}
    return {
        "settings": {ANYBODY: common, **{name: found for name, found in differing.items() if found}},
        "matches": [
            {"path": path, "text": words, "lines": [*lines, *_read_there(lines)]}
            for path, said in files.items()
            for words, lines in matches(said)
        ],
        "keys": [_of(path) for path in sorted(keys) if os.path.lexists(path)],
        "files": [_of(path) for path in files],
        "folders": folders(str(Path(path).parent) for path in [*keys, *files, *_included(files)]),
    }


def _files(path: str, depth: int = 0) -> dict[str, str]:
    """What is in the file and in all that it includes."""
    if depth > _DEEPEST:
        raise ValueError(f"{path} is included too deep")
    found = {path: text(path, follow=True)}
    for pattern in _included(found):
        for one in sorted(glob.glob(pattern)):  # noqa: PTH207
            if one not in found:
                found |= _files(one, depth + 1)
    return found


def _read_there(lines: t.Sequence[str]) -> list[str]:
    """The files that a block's lines include, each with its digest."""
    patterns = _included({"": "\n".join(lines)})
    return [f"{path} {digest(path)}" for pattern in patterns for path in sorted(glob.glob(pattern))]  # noqa: PTH207


def _included(files: dict[str, str]) -> list[str]:
    """What is read too, as the files have it, whether it is there or not."""
    # a relative one is sshd's own folder's
    return [str(Path("/etc/ssh") / pattern) for said in files.values() for pattern in includes(said)]


def _of(path: str) -> dict[str, t.Any]:
    """The file itself: a link says nothing of who can change what it leads to."""
    state = Path(path).lstat()
    return {
        "path": path, "owner": user(state.st_uid), "group": group(state.st_gid), "kind": kind(state.st_mode),
        "mode": f"{stat.S_IMODE(state.st_mode):04o}",
    }  # fmt: skip


def _names() -> list[str]:
    # the first is nobody's: what no Match block is about
    return ["-", *(name for name, _home in accounts.names())]


def _others(own: dict[str, list[str]], common: dict[str, list[str]]) -> dict[str, list[str]]:
    return {word: own.get(word, []) for word in sorted({*own, *common}) if own.get(word) != common.get(word)}
