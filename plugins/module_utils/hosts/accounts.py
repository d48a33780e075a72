# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts of this host. No hash leaves this file."""

from __future__ import annotations

import grp
import pwd
import time
import typing as t
from pathlib import Path

from .parsing import accounts as parsing


def look() -> dict[str, t.Any]:
    """Accounts, and the members of groups."""
    passwd, shadow, group = (_text(f"/etc/{name}") for name in ("passwd", "shadow", "group"))
    found = parsing.accounts(passwd, shadow, int(time.time() // 86400))
    found += _elsewhere({(one["name"], one["uid"]) for one in found})
    elsewhere = [(one.gr_name, one.gr_gid, one.gr_mem) for one in grp.getgrall()]
    return {"accounts": found, "groups": parsing.groups(group, found, elsewhere)}


def names() -> list[tuple[str, str]]:
    """Each account's name and home."""
    rows = parsing.rows(_text("/etc/passwd"), 7, "passwd")
    return list(
        dict.fromkeys([(row[0], row[5]) for row in rows] + [(one.pw_name, one.pw_dir) for one in pwd.getpwall()])
    )


def _elsewhere(known: set[tuple[str, int]]) -> list[dict[str, t.Any]]:
    """Accounts of other places, as nsswitch.conf(5) has it: whoever asks the system is told of them too."""
    return [
        {
            "name": one.pw_name, "uid": one.pw_uid, "gid": one.pw_gid, "home": one.pw_dir, "shell": one.pw_shell,
            "password": "locked", "hash": "", "login": parsing.is_login(one.pw_shell), "expired": False,
        }
        for one in pwd.getpwall()
        if (one.pw_name, one.pw_uid) not in known
    ]  # fmt: skip


def _text(path: str) -> str:
    return Path(path).read_bytes().decode("utf-8", "surrogateescape")
