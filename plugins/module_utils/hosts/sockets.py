# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on this host, by the kernel's tables."""

from __future__ import annotations

import typing as t
from pathlib import Path

from .owners import user
from .parsing.sockets import associations, listening, packets

_TABLES = tuple((f"{name}{six}", name) for name in ("tcp", "udp", "udplite", "raw") for six in ("", "6"))


def look() -> dict[str, t.Any]:
    """Each socket with the account and, where it may be looked at, the program behind it."""
    found = []
    for name, protocol in _TABLES:
        path = Path("/proc/net") / name
        # a kernel without IPv6, say, has no such tables
        if path.exists():
            found += listening(path.read_text(encoding="ascii"), protocol)
    for name, read in (("packet", packets), ("sctp/eps", associations)):
        path = Path("/proc/net") / name
        if path.exists():
            found += read(path.read_text(encoding="ascii"))
    programs = _programs({one["inode"] for one in found})
    return {
        "sockets": [
            {
                "protocol": one["protocol"], "address": one["address"], "port": one["port"],
                "account": user(one["uid"]), "program": programs.get(one["inode"], ""),
            }
            for one in found
        ]
    }  # fmt: skip


def _programs(inodes: set[str]) -> dict[str, str]:
    """The program of each inode; a process that may not be looked at, or has ended meanwhile, has none."""
    found = {}
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            targets = [str(one.readlink()) for one in (process / "fd").iterdir()]
            mine = [wanted[target] for target in targets if target in wanted]
            if mine:
                name = (process / "comm").read_text(encoding="utf-8", errors="surrogateescape").strip()
                found.update(dict.fromkeys(mine, name))
        except OSError:
            continue
    return found
