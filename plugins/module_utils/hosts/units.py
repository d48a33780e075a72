# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd: those that have failed, those that are watched, and what they leave behind."""

from __future__ import annotations

import typing as t
from pathlib import Path

from .digests import digest
from .packages import shipped
from .parsing.systemd import listed, shown
from .running import run

_SYSTEMCTL = "/usr/bin/systemctl"
_PROPERTIES = "--property=Id,ActiveState,UnitFileState,Result,DropInPaths,FragmentPath,NeedDaemonReload"
_DUMPABLE = Path("/proc/sys/fs/suid_dumpable")


def look(watched: t.Sequence[str]) -> dict[str, t.Any]:
    """``failed`` units, each of *watched*, and how large a core services leave.

    ``files``: what a unit is made of, itself and what is laid over it, but for what came with a package.
    """
    failed = listed(run([_SYSTEMCTL, "list-units", "--all", "--state=failed", "--no-pager", "--output=json"]))
    answers = shown(run([_SYSTEMCTL, "show", "--no-pager", _PROPERTIES, "--", *watched])) if watched else []
    files = [_files(one) for one in answers]
    packaged = shipped([path for paths in files for path in paths])
    (manager,) = shown(run([_SYSTEMCTL, "show", "--no-pager", "--property=DefaultLimitCORE"]))
    container = run(["/usr/bin/systemd-detect-virt", "--container"], statuses=(0, 1)).strip() not in ("", "none")
    return {
        "failed": sorted(str(row["unit"]) for row in failed),
        "units": [
            {
                "unit": name, "active": one["ActiveState"], "enabled": one["UnitFileState"],
                "result": one.get("Result", ""),
                "files": [path for path in paths if path not in packaged],
                "contents": {path: digest(path) for path in paths if path not in packaged},
                "outdated": one["NeedDaemonReload"] == "yes",
            }
            for name, one, paths in zip(watched, answers, files, strict=True)
        ],
        "core_limit": manager["DefaultLimitCORE"],
        # it is the machine's underneath
        "suid_dumpable": "" if container else _DUMPABLE.read_text(encoding="ascii").strip(),
    }  # fmt: skip


def _files(unit: dict[str, str]) -> list[str]:
    return [path for path in [unit["FragmentPath"], *unit["DropInPaths"].split()] if path]
