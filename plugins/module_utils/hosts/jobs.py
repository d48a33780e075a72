# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs by the clock: cron's tables, timers of systemd, at, and accounts whose own systemd runs without a login."""

from __future__ import annotations

import stat
import typing as t
from pathlib import Path

from .digests import digest
from .owners import folders, user
from .packages import shipped
from .parsing import cron
from .parsing.systemd import listed, shown
from .running import run

_SYSTEM = ("/etc/crontab", "/etc/anacrontab")
_TABLES = "/etc/cron.d"
_SCRIPTS = ("/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly", "/etc/cron.yearly")
_SPOOL, _AT, _LINGER = "/var/spool/cron/crontabs", "/var/spool/cron/atjobs", "/var/lib/systemd/linger"


def look() -> dict[str, t.Any]:
    """All of it."""
    found = [*_tables(), *_scripts(), *_spooled()]
    programs = {path for one in found if (path := _program(one["command"]))}
    packaged = shipped([*(one["table"] for one in found), *sorted(programs)])
    digests = {path: digest(path) for path in programs - packaged}
    return {
        "cron": [
            {**one, "package": one["table"] in packaged, "digest": digests.get(_program(one["command"]), "")}
            for one in found
        ],
        "timers": _timers(),
        "at": [{"name": name, "digest": digest(f"{_AT}/{name}")} for name in _names(_AT) if not name.startswith(".")],
        "linger": _names(_LINGER),
        "folders": folders([*(str(Path(path).parent) for path in _SYSTEM), _TABLES, *_SCRIPTS, _SPOOL, _LINGER]),
    }


def _tables() -> t.Iterator[dict[str, t.Any]]:
    listed_tables = [path for path in _SYSTEM if Path(path).exists()]
    listed_tables += [f"{_TABLES}/{name}" for name in _names(_TABLES) if cron.read_by_cron(name)]
    for path in listed_tables:
        # a table without a job may get one: its owner and mode count all the same
        for job in cron.jobs(_text(path)) or [{"schedule": "", "account": "", "command": "", "environment": {}}]:
            yield {"table": path, **_of(path), **job}


def _scripts() -> t.Iterator[dict[str, t.Any]]:
    for folder in _SCRIPTS:
        for name in _names(folder):
            if cron.read_by_cron(name):
                path = f"{folder}/{name}"
                job = {"schedule": folder, "account": "root", "command": path, "environment": {}}
                yield {"table": path, **_of(path), **job}


def _spooled() -> t.Iterator[dict[str, t.Any]]:
    for name in _names(_SPOOL):
        path = f"{_SPOOL}/{name}"
        for job in cron.jobs(_text(path), account=name):
            yield {"table": path, **_of(path), **job}


def _timers() -> list[dict[str, t.Any]]:
    rows = listed(run(["/usr/bin/systemctl", "list-timers", "--all", "--no-pager", "--output=json"]))
    units = sorted({str(row[key]) for row in rows for key in ("unit", "activates") if row.get(key)})
    if not units:
        return []
    properties = "--property=Id,FragmentPath,DropInPaths,LoadState"
    answers = shown(run(["/usr/bin/systemctl", "show", "--no-pager", properties, "--", *units]))
    files = {unit: _files(answer) for unit, answer in zip(units, answers, strict=True)}
    packaged = shipped([path for paths in files.values() for path in paths])
    return [
        {
            "unit": str(row["unit"]), "starts": str(row.get("activates") or ""),
            "next": int(row.get("next") or 0) // 1_000_000,
            "schedule": [
                line for path in files.get(str(row["unit"]), []) if path not in packaged for line in _when(path)
            ],
            "files": {
                path: digest(path)
                for key in ("unit", "activates")
                for path in files.get(str(row.get(key)), [])
                if path not in packaged
            },
        }
        for row in rows
    ]  # fmt: skip


def _program(command: str) -> str:
    """The file that a command begins with, where it is one."""
    word = (command.split() or [""])[0]
    return word if word.startswith("/") else ""


def _files(unit: dict[str, str]) -> list[str]:
    return [path for path in [unit.get("FragmentPath", ""), *unit.get("DropInPaths", "").split()] if path]


def _when(path: str) -> list[str]:
    """The lines of a timer's file that say when it starts what."""
    lines = [line.strip() for line in _text(path).split("\n")] if path.endswith((".timer", ".conf")) else []
    return [line for line in lines if line.startswith("On")]


def _of(path: str) -> dict[str, str]:
    state = Path(path).stat()
    return {"owner": user(state.st_uid), "mode": f"{stat.S_IMODE(state.st_mode):04o}"}


def _names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir()) if Path(folder).is_dir() else []


def _text(path: str) -> str:
    return Path(path).read_bytes().decode("utf-8", "surrogateescape")
