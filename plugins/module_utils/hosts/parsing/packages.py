# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dpkg and apt print of packages."""

from __future__ import annotations

import re
import typing as t

_VERIFIED = re.compile(r"^(missing  |[?.5A-Za-z]{9})\s+(c )?\s*(/.*?)(?: \(.*\))?$")
_TO_INSTALL = re.compile(r"^Inst (\S+) \[[^\]]*\] \((\S+) (.*)\)", re.MULTILINE)


def changed(printed: str) -> list[dict[str, t.Any]]:
    """The files that ``dpkg --verify`` names; ValueError where a line is none of its."""
    found = []
    for line in printed.splitlines():
        match = _VERIFIED.match(line)
        if not match:
            raise ValueError(f"dpkg --verify said what is not known here: {line}")
        missing = match.group(1).startswith("missing")
        found.append({"path": match.group(3), "configuration": bool(match.group(2)), "missing": missing})
    return found


def security(printed: str) -> list[str]:
    """The packages that ``apt-get --simulate upgrade`` would take from Debian's security archive."""
    return sorted({one.group(1) for one in _TO_INSTALL.finditer(printed) if "Debian-Security" in one.group(3)})


def policies(printed: str) -> list[dict[str, str]]:
    """Installed version and candidate of each package of ``apt-cache policy``."""
    found: list[dict[str, str]] = []
    for line in printed.splitlines():
        if line and not line.startswith(" "):
            found.append({"name": line.rstrip(":"), "installed": "", "candidate": ""})
        elif found and (match := re.match(r"^  (Installed|Candidate): (\S+)", line)):
            value = "" if match.group(2) == "(none)" else match.group(2)
            found[-1][match.group(1).lower()] = value
    return found


def owners(printed: str) -> set[str]:
    """The paths that ``dpkg-query --search`` has found in a package."""
    diverted = ("diversion by ", "local diversion ")
    listed = [line.rpartition(": ") for line in printed.splitlines() if not line.startswith(diverted)]
    return {path for package, colon, path in listed if package and colon}
