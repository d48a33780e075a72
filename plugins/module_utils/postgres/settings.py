# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a configuration file of PostgreSQL, and what the server's own reading of all its files says of it."""

from __future__ import annotations

import dataclasses
import posixpath
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
    """A row of pg_settings as a new session sees it; ``file`` is where its value came from, if from a file.

    ``value`` is in ``unit`` (8kB, ms, …), ``kind`` is bool, integer, real, enum or string, ``choices`` an enum's words.
    """

    name: str
    source: str
    context: str
    pending_restart: bool
    file: str | None
    value: str = ""
    unit: str | None = None
    kind: str = "string"
    choices: tuple[str, ...] = ()


# As guc.c has them: bytes and milliseconds.
UNITS = {
    **{"B": 1.0, "kB": 2.0**10, "MB": 2.0**20, "GB": 2.0**30, "TB": 2.0**40},
    **{"us": 0.001, "ms": 1.0, "s": 1e3, "min": 6e4, "h": 3.6e6, "d": 8.64e7},
}
QUANTITY = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")
# Whose paths the server makes absolute when it starts, and the others that it writes down without dots and slashes too
# many (guc_tables.c, the same from 14 to 18).
ABSOLUTE = {"config_file", "data_directory", "hba_file", "ident_file"}
CANONICAL = ABSOLUTE | {"external_pid_file", "log_directory"}
ON, OFF = {"on", "true", "yes", "1"}, {"off", "false", "no", "0"}


def same(setting: LiveSetting, wanted: str) -> bool | None:
    """Is *wanted*, as a file has it, the value that the server has? None where that can't be told from here."""
    live, given = setting.value.lower(), wanted.strip().lower()
    if wanted == setting.value or (setting.kind != "string" and live == given):
        return True
    if setting.kind == "bool":
        return {True: live in ON, False: live in OFF}[given in ON] if given in ON | OFF else None
    if setting.kind == "enum":
        return False if given in {choice.lower() for choice in setting.choices} else None
    if setting.kind in ("integer", "real"):
        return _same_quantity(setting, wanted)
    if setting.name in CANONICAL and wanted and posixpath.normpath(wanted) == setting.value:
        return True
    return None if setting.name in ABSOLUTE and not wanted.startswith("/") else False


def _same_quantity(setting: LiveSetting, wanted: str) -> bool | None:
    found, base = QUANTITY.fullmatch(wanted), re.fullmatch(r"(\d*)([a-zA-Z]+)", setting.unit or "")
    if found is None:
        return None
    number, unit = float(found[1]), found[2]
    # What isn't whole is rounded by rules of the unit's own; -1, and 0 for buffers, are for the server to fill.
    if number < 0 or (setting.kind == "integer" and not number.is_integer()):
        return None
    if number == 0 and setting.name.endswith("_buffers"):
        return None
    if unit:
        if base is None or unit not in UNITS:
            return None
        number *= UNITS[unit] / (UNITS[base[2]] * float(base[1] or 1))
        if setting.kind == "integer" and not number.is_integer():
            return None
    return number == float(setting.value)


def libraries(wanted: t.Mapping[str, str], live: t.Iterable[LiveSetting]) -> list[str]:
    """The libraries *wanted* to be preloaded that the server has not yet, by the names that LOAD takes."""
    there = {setting.name.lower(): setting.value for setting in live}
    found: list[str] = []
    for name in sorted(wanted):
        if name.endswith("_preload_libraries"):
            for library in _elements(wanted[name]):
                if library not in _elements(there.get(name, "")):
                    plugin = name == "local_preload_libraries" and "/" not in library
                    found.append(f"$libdir/plugins/{library}" if plugin else library)
    return found


def _elements(value: str) -> list[str]:
    """The names in a list, as SplitDirectoriesString reads them."""
    parts = re.findall(r'\s*(?:"((?:[^"]|"")*)"|([^,"]+))\s*(?:,|$)', value)
    return [quoted_part.replace('""', '"') or bare.strip() for quoted_part, bare in parts]


def only_at_start(said: str) -> bool:
    """Does what a library *said* to LOAD only mean that it wants to be loaded when the server starts?"""
    return re.search(r"preload|server start|startup|postmaster start", said) is not None


def must_exist(wanted: t.Mapping[str, str]) -> dict[str, str]:
    """The settings whose files the server reads and doesn't make, with the file."""
    return {
        name: value
        for name, value in sorted(wanted.items())
        if name.endswith(("_file", "_keyfile")) and name != "external_pid_file" and value
    }


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

    Where it can't be told whether a value is the server's own, it isn't claimed. ValueError where the server knows no
    such setting or lets nobody set it.
    """
    rows = list(rows)
    others = {row.name.lower(): row.value or "" for row in rows if row.file != path and row.name is not None}
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
        if setting.context == "postmaster" and _waits(setting, {**others, **wanted}.get(name), before.get(name))
    )


def _waits(setting: LiveSetting, after: str | None, before: str | None) -> bool:
    """Will *setting* wait for a restart when the files say *after* (None: nothing)? *before* is what ours says now."""
    if setting.source == "command line":
        return False
    if after is None:  # a value that was taken from a file and is in none waits, whatever the default is
        return setting.pending_restart or (before is not None and setting.source == "configuration file")
    equal = same(setting, after)
    return setting.pending_restart if equal is None else not equal


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
        elif setting.context == "postmaster" and setting.source in ("default", "override"):
            continue  # what doesn't wait for a start has the same value already: the server then keeps its source
        elif setting.source != "configuration file":
            said.append(f"{name} is set by the server's {setting.source}, which wins over every file")
        elif setting.file is not None and setting.file != places.get(name):
            said.append(f"{name} still comes from {setting.file}")
    return said
