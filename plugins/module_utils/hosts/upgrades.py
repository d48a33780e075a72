# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether security updates come by themselves, and have come."""

from __future__ import annotations

import datetime as dt
import typing as t
from pathlib import Path

from .parsing.packages import security
from .parsing.systemd import shown
from .running import run

_STAMPS = Path("/var/lib/apt/periodic")
_LAST = {"lists": ("update-success-stamp", "update-stamp"), "upgrade": ("unattended-upgrades-stamp", "upgrade-stamp")}
_TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")
# apt would write what it has computed.
_NO_CACHE = ("-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=")
# What is on hold, kept back because it needs a new package, or given to some hosts first, waits all the same.
_ALL = ("--ignore-hold", "--with-new-pkgs", "-o", "APT::Get::Always-Include-Phased-Updates=true")
# So does what a pin keeps away.
_NO_PINS = ("-o", "Dir::Etc::Preferences=/dev/null", "-o", "Dir::Etc::PreferencesParts=/dev/null")
_REBOOT = Path("/run/reboot-required")


def look() -> dict[str, t.Any]:
    """Settings, timers, the last success, what is pending, and whether a restart is due."""
    asked = ("LISTS", "APT::Periodic::Update-Package-Lists", "UPGRADE", "APT::Periodic::Unattended-Upgrade")
    shell = run(["/usr/bin/apt-config", "shell", *asked])
    settings = dict(line.partition("=")[::2] for line in shell.splitlines())
    timers = shown(
        run(["/usr/bin/systemctl", "show", "--no-pager", "--property=Id,ActiveState,UnitFileState", *_TIMERS])
    )
    return {
        "lists": settings.get("LISTS", "''").strip("'") not in ("", "0"),
        "upgrade": settings.get("UPGRADE", "''").strip("'") not in ("", "0"),
        "installed": Path("/usr/bin/unattended-upgrade").exists(),
        "timers": [{"unit": one["Id"], "active": one["ActiveState"] == "active"} for one in timers],
        "last": {name: _newest(stamps) for name, stamps in _LAST.items()},
        "since": _since(),
        "pending": security(run(["/usr/bin/apt-get", "--simulate", *_NO_CACHE, *_ALL, *_NO_PINS, "upgrade"])),
        "reboot": _REBOOT.exists(),
    }


def _newest(stamps: t.Sequence[str]) -> str:
    times = [(_STAMPS / name).stat().st_mtime for name in stamps if (_STAMPS / name).exists()]
    return _time(max(times)) if times else ""


def _since() -> str:
    """Since when this host has had the chance: since dpkg was first told of anything by us."""
    configured = [path.stat().st_mtime for path in Path("/etc/apt/apt.conf.d").glob("5*")]
    return _time(max(configured)) if configured else ""


def _time(seconds: float) -> str:
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC).isoformat()
