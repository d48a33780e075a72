# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``sudo -ll -U`` prints: the rules of one account, as sudo itself has resolved them."""

from __future__ import annotations

import re
import typing as t

_FIELD = re.compile(
    r"^    (RunAsUsers|RunAsGroups|Options|Cwd|Chroot|Role|Type|NotBefore|NotAfter|Timeout|Commands): ?(.*)$"
)
_SECTION = re.compile(r"(Matching|Runas) .*[Dd]efaults .*:$")
_REFUSED = re.compile(r"is not allowed to run sudo on ")


def rules(printed: str) -> list[dict[str, t.Any]]:
    """Each command with who it is run as and which options; ValueError where there is neither a rule nor a refusal."""
    found: list[dict[str, t.Any]] = []
    # the one that is being read; None outside of an entry
    entry: dict[str, t.Any] | None = None
    commands = False
    for line in printed.splitlines():
        if re.match(r"^(Sudoers entry|LDAP Role|SSSD Role)", line):
            entry, commands = {"users": [], "groups": [], "options": []}, False
        elif entry is not None and (match := _FIELD.match(line)):
            commands = match.group(1) == "Commands"
            _set(entry, match.group(1), match.group(2))
        elif entry is not None and commands and line.startswith("\t"):
            found.append({**entry, "command": line.strip()})
    if not found and not _REFUSED.search(printed):
        raise ValueError("sudo said neither which commands an account may run nor that it may run none")
    return found


def defaults(printed: str) -> list[str]:
    """The settings that hold for the account, in their order; those for commands and other accounts with whose."""
    found: list[str] = []
    section, held = "", ""
    # the last section ends with what the account may run
    for line in [*printed.splitlines(), ""]:
        if match := _SECTION.match(line):
            section, held = match.group(1), ""
        elif section and line.startswith((" ", "\t")):
            held = f"{held} {line.strip()}"
        elif section:
            found += _settings(held) if section == "Matching" else re.split(r"\s+(?=Defaults\S)", held)
            section = ""
    return [one.strip() for one in found if one.strip()]


def _settings(held: str) -> list[str]:
    """One by one: a comma is in quotation marks, or behind a backslash, where it parts nothing."""
    return re.findall(r'(?:\\.|"[^"]*"|[^,"\\])+', held)


def _set(entry: dict[str, t.Any], name: str, value: str) -> None:
    words = sorted(word.strip() for word in value.split(",") if word.strip())
    if name == "RunAsUsers":
        entry["users"] = words
    elif name == "RunAsGroups":
        entry["groups"] = words
    elif name != "Commands":
        # where it is run, until when: all of it is part of what may be done
        entry["options"] = sorted([*entry["options"], *(words if name == "Options" else [f"{name}={value}"])])
