# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of roles (ALTER ROLE ... SET): as written, as pg_db_role_setting stores them, and when both are the same."""

from __future__ import annotations

import re
import typing as t

# GUC_LIST_QUOTE: the server stores these as quoted elements, so 'a, b' given as one text would be ONE element.
# Source: variable_is_guc_list_quote() in PostgreSQL's src/bin/pg_dump/dumputils.c, the same in 14 to 18.
LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)


# Settings of applications may be secrets; no setting of PostgreSQL's own that a role can have is one.
SECRET = re.compile(
    r"\..*(password|passwd|secret|key|token|credential)|(password|passwd|secret|key|token|credential).*\."
)


def secret(name: str) -> bool:
    """Whether nobody is to see the value of the setting *name*: one with a dot in its name, that says so."""
    return SECRET.search(name.lower()) is not None


def as_text(name: str, elements: t.Sequence[str]) -> str:
    """The *elements* of a setting as one text, as set_config() takes it."""
    if name.lower() not in LISTS:
        return elements[0]
    return ", ".join('"' + element.replace('"', '""') + '"' for element in elements)


def check_name(name: str) -> None:
    """ValueError where *name* is no setting's name."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*", name):
        raise ValueError("this is no setting's name: write one as SHOW ALL lists it")


def wanted(name: str, value: object) -> tuple[str, ...]:
    """The elements of a setting as the policy has it: one, but for the settings that are LISTS.

    YAML reads a bare on as true: it means on again here.
    """
    if isinstance(value, bool):
        value = "on" if value else "off"
    if isinstance(value, (int, float)):
        value = str(value)
    if isinstance(value, str):
        return stored(name, str(value))
    if name in LISTS and isinstance(value, t.Sequence) and all(isinstance(item, str) for item in value):
        return tuple(str(item) for item in value) or ("",)
    raise ValueError("write the value as text in quotes")


def stored(name: str, text: str) -> tuple[str, ...]:
    """The elements of a setting as the catalogue has it, *text* being what follows ``name=``."""
    if name.lower() not in LISTS:
        return (text,)
    return tuple(_elements(text)) or ("",)


def _elements(text: str) -> t.Iterator[str]:
    """Split as SplitGUCList does: commas part, double quotes hold together, a doubled one is one."""
    for found in re.finditer(r'\s*(?:"((?:[^"]|"")*)"|([^,"]+))\s*(?:,|$)', text):
        quoted, bare = found.groups()
        yield quoted.replace('""', '"') if quoted is not None else bare.strip()
