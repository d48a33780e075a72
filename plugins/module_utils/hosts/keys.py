# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys by which accounts can be logged in to, and those that sshd ignores."""

from __future__ import annotations

import re
import socket
import stat
import typing as t
from pathlib import Path

from . import accounts, sshd
from .digests import digest
from .owners import group, user
from .parsing.keys import key, lines
from .reading import OddError, kind, text

STORE_KEYS = Path("/etc/taaraxtak/store_keys")
# Where they wait that come in the place of those.
NEXT_KEYS = Path("/etc/taaraxtak/next/store_keys")
# Of no account there are as many; each would be a finding.
_MOST_LINES = 1000
# Of the documentation's networks: nothing is sent there.
_OUTSIDE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def look() -> dict[str, t.Any]:
    """``keys``: each line; ``files``: each file that has some, with its owner and mode.

    ``public``, ``next``: this host's own, by the store's name; ``addresses``: by which it goes to other hosts.
    """
    sshd.ask_all()
    read: dict[str, list[str]] = {}
    for name, home in accounts.names():
        for path in _of(name, home):
            read.setdefault(path, []).append(name)
    ignored = {path: name for name, home in accounts.names() for path in _in_home(home) if path not in read}
    found: dict[str, t.Any] = {
        "keys": [], "files": [], "public": _public(STORE_KEYS), "next": _public(NEXT_KEYS), "addresses": _addresses(),
    }  # fmt: skip
    for path, names in sorted(read.items()):
        _add(found, path, names, ignored=False)
    for path, name in sorted(ignored.items()):
        _add(found, path, [name], ignored=True)
    for path in sorted(_of_nobody(set(read))):
        _add(found, path, [Path(path).name], ignored=True)
    return found


def _public(folder: Path) -> dict[str, str]:
    """The keys that this host brings dumps with, by the store's name."""
    return {path.stem: key(text(str(path)).strip())["fingerprint"] for path in sorted(folder.glob("*.pub"))}


def _addresses() -> list[str]:
    """This host's own, one of each family that it has a way out by."""
    found = []
    for family, outside in _OUTSIDE:
        with socket.socket(family, socket.SOCK_DGRAM) as one:
            try:
                # of datagrams, this only looks for the way
                one.connect((outside, 9))
            except OSError:
                continue
            found.append(str(one.getsockname()[0]))
    return found


def _add(found: dict[str, t.Any], path: str, names: t.Sequence[str], *, ignored: bool) -> None:
    try:
        state, folder = Path(path).lstat(), Path(path).parent.stat()
        problem, content = "", text(path)
        if content.count("\n") > _MOST_LINES:
            raise OddError(f"it has more than {_MOST_LINES} lines")
    except (FileNotFoundError, NotADirectoryError):
        return
    except OddError as error:
        problem, content = str(error), ""
    found["files"].append(
        {
            "path": path, "accounts": list(names), "ignored": ignored, "owner": user(state.st_uid),
            "group": group(state.st_gid), "mode": f"{stat.S_IMODE(state.st_mode):04o}", "kind": kind(state.st_mode),
            "problem": problem, "digest": digest(path), "folder_owner": user(folder.st_uid),
            "folder_mode": f"{stat.S_IMODE(folder.st_mode):04o}",
        }
    )  # fmt: skip
    for name in names:
        found["keys"] += [{"account": name, "path": path, "ignored": ignored, **one} for one in lines(content)]


def _of(name: str, home: str) -> list[str]:
    """The files that sshd reads for *name*."""
    words = [word for value in sshd.effective(name).get("authorizedkeysfile", []) for word in value.split()]
    known = {"%u": name, "%h": home, "%%": "%"}
    expanded = [re.sub("%.", lambda match: _known(match.group(), known), word) for word in words if word != "none"]
    return [str(Path(home) / path) for path in expanded]


def _known(token: str, known: t.Mapping[str, str]) -> str:
    if token not in known:
        raise ValueError(f"sshd looks for keys in a place with {token}, which is not known here")
    return known[token]


def _in_home(home: str) -> list[str]:
    return sorted(str(path) for path in Path(home or "/", ".ssh").glob("authorized_keys*"))


def _of_nobody(read: set[str]) -> set[str]:
    """What lies beside those that sshd reads, in folders that hold nothing else: of accounts that are not there."""
    names = {name for name, _home in accounts.names()}
    folders = {Path(path).parent for path in read if Path(path).name in names}
    return {str(path) for folder in folders for path in folder.glob("*") if str(path) not in read}
