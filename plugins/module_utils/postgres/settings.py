# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a configuration file of PostgreSQL, and what the server's own reading of all its files says of it."""

from __future__ import annotations

import dataclasses
import re
import typing as t

HEADER = "# Managed by Ansible (taaraxtak.production.pg_settings): what is written here by hand is overwritten.\n"

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*")
# Words that the file's grammar takes for a command to read another file.
DIRECTIVES = {"include", "include_dir", "include_if_exists"}
# What the server says, untranslated, of a good value that only a start can apply (guc.c, the same from 14 to 18).
NEEDS_RESTART = re.compile(r'parameter "([^"]+)" cannot be changed without restarting the server')


@dataclasses.dataclass(frozen=True)
class FileSetting:
    """A row of pg_file_settings, in the order in which the server reads: the last of a name wins."""

    file: str
    line: int
    name: str | None
    value: str | None
    error: str | None


@dataclasses.dataclass(frozen=True)
class LiveSetting:
    """A row of pg_settings as a new session sees it; ``file`` is where its value came from, if from a file."""

    name: str
    source: str
    context: str
    pending_restart: bool
    file: str | None


def text(name: str, value: object) -> str:
    """A value as the server reads it from a file, not yet quoted. ValueError where it isn't one."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (int, float, str)):
        plain = str(value)
        if "\n" in plain or "\r" in plain or "\0" in plain:
            raise ValueError(f"the setting {name} has a line break in its value, which no configuration file can hold")
        return plain
    raise ValueError(f"the setting {name} must be a text, a number or a boolean, not {value!r}: leave it out otherwise")


def quoted(value: str) -> str:
    """*value* in single quotes, as the file's grammar (guc-file.l) wants it: quotes doubled, backslashes too."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def values(settings: t.Mapping[str, object]) -> dict[str, str]:
    """Names in lower case and values as text. ValueError, naming the setting, where it can't be written down."""
    found: dict[str, str] = {}
    for name, value in settings.items():
        key = str(name).lower()
        if not NAME.fullmatch(key) or key in DIRECTIVES:
            raise ValueError(f"{name!r} is no name of a setting")
        if key in found:
            raise ValueError(f"the setting {key} is given twice: upper and lower case are the same")
        found[key] = text(key, value)
    return found


def render(settings: t.Mapping[str, object]) -> str:
    """The file for *settings*, sorted by name. ValueError, naming the setting, where it can't be written down."""
    return HEADER + "".join(f"{name} = {quoted(value)}\n" for name, value in sorted(values(settings).items()))


def predicted(
    wanted: t.Mapping[str, str], rows: t.Iterable[FileSetting], live: t.Iterable[LiveSetting], path: str
) -> list[str]:
    """The settings that would wait for a restart if the file *path* said what is *wanted*.

    ValueError where the server knows no such setting or lets nobody set it.
    """
    before = {row.name.lower(): row.value for row in rows if row.file == path and row.name is not None}
    there = {setting.name.lower(): setting for setting in live}
    for name in sorted(wanted):
        # A name with a dot is an extension's, which the server may not have loaded.
        if name not in there and "." not in name:
            raise ValueError(f"the server knows no setting {name}")
        if name in there and there[name].context == "internal":
            raise ValueError(f"the setting {name} can't be set in a file")
    return sorted(
        setting.name
        for name, setting in there.items()
        if setting.pending_restart or (setting.context == "postmaster" and wanted.get(name) != before.get(name))
    )


def waiting(messages: t.Iterable[str]) -> frozenset[str]:
    """The settings that the server, reading its files, said only a start can apply."""
    return frozenset(name.lower() for message in messages for name in NEEDS_RESTART.findall(message))


def refused(rows: t.Iterable[FileSetting], messages: t.Sequence[str]) -> list[str]:
    """What the server would refuse in its files, a phrase each; that a setting has to wait for a start is no error."""
    wait = waiting(messages)
    said: list[str] = []
    for row in rows:
        if row.error is None or (row.name or "").lower() in wait:
            continue
        place = f"{row.file} line {row.line}"
        if row.name is None:
            said.append(f"{place}: {row.error}")
        else:
            reason = next((line for line in map(_plain, messages) if f'"{row.name}"' in line), row.error)
            said.append(f"{row.name} = {quoted(row.value or '')} ({place}): {reason}")
    return said


def _plain(message: str) -> str:
    return message.strip().splitlines()[0].split(":", 1)[-1].strip() if message.strip() else ""


def overridden(rows: t.Sequence[FileSetting], path: str) -> list[str]:
    """The settings of the file *path* that a place which is read later gives another value, a phrase each."""
    said: list[str] = []
    for number, row in enumerate(rows):
        if row.file != path or row.name is None:
            continue
        later = [other for other in rows[number + 1 :] if (other.name or "").lower() == row.name.lower()]
        if later and later[-1].value != row.value:
            place = f"{later[-1].file} line {later[-1].line}"
            cure = f"take it out of {later[-1].file}"
            if later[-1].file.endswith("/postgresql.auto.conf"):
                cure = f"run ALTER SYSTEM RESET {row.name}"
            said.append(f"{row.name} is set to {quoted(later[-1].value or '')} in {place}, which is read later: {cure}")
    return said


def unseen(wanted: t.Iterable[str], live: t.Iterable[LiveSetting], places: t.Mapping[str, str]) -> list[str]:
    """The *wanted* names whose value in a new session comes from elsewhere than *places* say, a phrase each.

    *places* has the file that the server reads each name from last. What is set for a role, a database or by the
    session says nothing of the server's own value, and what waits for a start can't be seen yet.
    """
    there = {setting.name.lower(): setting for setting in live}
    said: list[str] = []
    for name in wanted:
        setting = there.get(name)
        if setting is None and "." in name:
            continue  # pg_settings leaves out the names of extensions that aren't loaded
        if setting is None:
            said.append(f"the server knows no setting {name}")
        elif setting.pending_restart or setting.source in ("database", "user", "database user", "client", "session"):
            continue
        elif setting.source != "configuration file":
            said.append(f"{name} is set by the server's {setting.source}, which wins over every file")
        elif setting.file is not None and setting.file != places.get(name):
            said.append(f"{name} still comes from {setting.file}")
    return said
