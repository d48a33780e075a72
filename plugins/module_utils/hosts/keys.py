# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys by which accounts can be logged in to, and those that sshd ignores."""

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path

from . import accounts, sshd
from .owners import group, user
from .parsing.keys import key, lines

STORE_KEYS = Path("/etc/taaraxtak/store_keys")


def look() -> dict[str, t.Any]:
    """``keys``: each line; ``files``: each file that has some, with its owner and mode; ``public``: this host's own."""
    sshd.ask_all()
    read: dict[str, list[str]] = {}
    for name, home in accounts.names():
        for path in _of(name, home):
            read.setdefault(path, []).append(name)
    ignored = {path: name for name, home in accounts.names() for path in _in_home(home) if path not in read}
    found: dict[str, t.Any] = {"keys": [], "files": [], "public": _public()}
    for path, names in sorted(read.items()):
        if os.path.lexists(path):
            _add(found, path, names, ignored=False)
    for path, name in sorted(ignored.items()):
        _add(found, path, [name], ignored=True)
    for path in sorted(_of_nobody(set(read))):
        _add(found, path, [Path(path).name], ignored=True)
    return found


def _public() -> dict[str, str]:
    """The keys that this host brings dumps with, by the store's name."""
    return {
        path.stem: key(path.read_text(encoding="utf-8").strip())["fingerprint"] for path in STORE_KEYS.glob("*.pub")
    }


def _add(found: dict[str, t.Any], path: str, names: t.Sequence[str], *, ignored: bool) -> None:
    state = Path(path).stat()
    folder = Path(path).parent.stat()
    found["files"].append(
        {
            "path": path, "accounts": list(names), "ignored": ignored, "owner": user(state.st_uid),
            "group": group(state.st_gid), "mode": f"{stat.S_IMODE(state.st_mode):04o}",
            "folder_owner": user(folder.st_uid), "folder_mode": f"{stat.S_IMODE(folder.st_mode):04o}",
        }
    )  # fmt: skip
    text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    for name in names:
        found["keys"] += [{"account": name, "path": path, "ignored": ignored, **one} for one in lines(text)]


def _of(name: str, home: str) -> list[str]:
    """The files that sshd reads for *name*."""
    words = [word for value in sshd.effective(name).get("authorizedkeysfile", []) for word in value.split()]
    expanded = [word.replace("%u", name).replace("%h", home).replace("%%", "%") for word in words if word != "none"]
    return [str(Path(home) / path) for path in expanded]


def _in_home(home: str) -> list[str]:
    return sorted(str(path) for path in Path(home, ".ssh").glob("authorized_keys*"))


def _of_nobody(read: set[str]) -> set[str]:
    """Files beside those that sshd reads, in folders that hold nothing else: of accounts that are not there."""
    names = {name for name, _home in accounts.names()}
    folders = {Path(path).parent for path in read if Path(path).name in names}
    return {str(path) for folder in folders for path in folder.glob("*") if str(path) not in read}
