# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every part of the access policy's reader shares: the names of the scope and the roles, patterns, privileges."""

from __future__ import annotations

import re
import typing as t

from ..plan.hba import SUPERUSER
from . import settings
from .fields import Fields, did_you_mean
from .model import PREDEFINED, PRIVILEGES, PUBLIC, Pattern, Role, like

# PostgreSQL's own schemas that a grant on tables or routines may name, though they are never in scope.
SYSTEM_SCHEMAS = ("pg_catalog", "information_schema")
PATTERN_KEYS = ("schema", "name", "arguments")


class PolicyFields(Fields):
    """The policy's vocabulary. What a later part refers to is read first, and stands here then."""

    def __init__(self) -> None:
        super().__init__()
        self.databases: tuple[str, ...] = ()
        self.schemas: tuple[str, ...] = ()
        self.ignore_roles: tuple[str, ...] = ()
        self.ignore_schemas: tuple[str, ...] = ()
        self.roles: dict[str, Role] = {}
        self.owners: dict[str, str] = {}

    def none_or_names(self, where: str, value: object) -> tuple[str, ...]:
        """As ``names``, but an empty list is an answer."""
        return () if value == [] else self.names(where, value)

    def defined(self, where: str, role: str, *, also: t.Collection[str] = ()) -> None:
        """Note a problem where *role* is neither the policy's own, nor PostgreSQL's, nor one of *also*."""
        if role not in self.roles and not role.startswith(PREDEFINED) and role not in also:
            hint = did_you_mean(role, self.roles)
            self.say(where, f"the role {role} is not defined: write it under roles" + (f" ({hint})" if hint else ""))

    def owner(self, where: str, value: object) -> str | None:
        """A role that owns or makes objects: the server's own superuser need not be written under roles."""
        name = self.name(where, value)
        if name is not None:
            self.defined(where, name, also=(SUPERUSER,))
        return name

    def in_databases(self, where: str, database: str) -> None:
        """Note a problem where *database*, a name, isn't in scope."""
        if database not in self.databases:
            self.say(where, f"{database} is not in scope.databases: write it there")

    def in_schemas(self, where: str, schema: str, pattern: Pattern | None = None) -> None:
        """Note a problem where the scope doesn't hold all that *schema* (of *pattern*), a name or pattern, can mean."""
        if is_system(schema):
            self.say(where, f"{schema} is PostgreSQL's own and never in scope: leave it out")
        elif not covered(self.schemas, schema):
            hint = did_you_mean(schema, self.schemas)
            what = f"the schema {schema}" if pattern is None else f"the schema of {pattern}"
            self.say(where, f"{what} is not in scope.schemas: write it there" + (f" ({hint})" if hint else ""))
        elif covered(self.ignore_schemas, schema):
            self.say(where, f"{schema} is left to others by ignore.schemas: leave one of both out")

    def patterns(self, where: str, value: object, *, routines: bool = False) -> tuple[Pattern, ...]:
        """One pattern or a list of them; *routines*: with arguments, where they are written."""
        read = [self.pattern(key, item, routines=routines) for key, item in self.one_or_list(where, value)]
        return tuple(dict.fromkeys(pattern for pattern in read if pattern is not None))

    def pattern(self, where: str, value: object, *, routines: bool = False) -> Pattern | None:
        """``schema.name``, of a routine ``schema.name(arguments)`` too, or a mapping of these."""
        known = PATTERN_KEYS if routines else PATTERN_KEYS[:2]
        if not isinstance(value, str):
            parts = self.mapping(where, value, known=known, required=PATTERN_KEYS[:2])
        else:
            parts = _parts(value, routines=routines)
            if not parts:
                self.say(
                    where,
                    f"write {value!r} as schema.name{'(arguments)' if routines and '(' in value else ''}, "
                    f"with * for any characters; a name with dots or quotes as {{{': ..., '.join(known)}: ...}}",
                )
        read = [self.name(where, parts[key]) for key in ("schema", "name") if key in parts]
        arguments = parts.get("arguments")
        if "arguments" in parts and (not isinstance(arguments, str) or re.search(r"[\x00-\x1f\x7f]", arguments)):
            self.say(f"{where}.arguments", 'write them as text, as in "integer, text", or "" for none')
            return None
        if len(read) != 2 or read[0] is None or read[1] is None:
            return None
        return Pattern(read[0], read[1], arguments)

    def grantees(self, where: str, value: object, *, grant_option: bool) -> tuple[str, ...]:
        """The roles of a grant's ``to``: defined ones, PostgreSQL's, and public for everybody."""
        read = self.names(where, value)
        for role in read:
            if role != PUBLIC:
                self.defined(where, role)
            elif grant_option:
                self.say(where, "PostgreSQL gives everybody no grant option: leave public or grant_option out")
        return read

    def privileges(self, where: str, kind: str, value: object) -> frozenset[str]:
        """Privileges on objects of *kind* in upper case; they are written in lower or in upper case."""
        read = set()
        for key, item in self.one_or_list(where, value):
            written = isinstance(item, str) and item in (item.lower(), item.upper())
            word = item.upper() if isinstance(item, str) and written else item
            word = "TEMPORARY" if word == "TEMP" else word
            if word in PRIVILEGES[kind]:
                read.add(str(word))
            else:
                listed = ", ".join(privilege.lower() for privilege in PRIVILEGES[kind])
                what = "all says too little: list them" if word == "ALL" else f"{item!r} is no privilege on {kind}"
                self.say(key, f"{what}; there are {listed}")
        return frozenset(read)

    def scoped(self, where: str, value: object) -> tuple[str, ...]:
        """A grant's ``databases``: names of the scope."""
        read = self.names(where, value)
        for database in read:
            self.in_databases(where, database)
        return read

    def settings(self, where: str, value: object) -> dict[str, tuple[str, ...]]:
        """Settings by lower-case name, each with its elements."""
        read: dict[str, tuple[str, ...]] = {}
        for name, content in self.mapping(where, value).items():
            try:
                settings.check_name(name)
                if name.lower() in read:
                    raise ValueError("this setting is there twice: leave one out")
                read[name.lower()] = settings.wanted(name, content)
            except ValueError as error:
                self.say(f"{where}.{name}", str(error))
        return read


def covered(by: t.Iterable[str], name: str) -> bool:
    """Whether one of the patterns *by* means all that *name*, itself a name or a pattern, can mean."""
    return any(like(pattern, name) for pattern in by)


def is_system(schema: str) -> bool:
    """Whether *schema* is a schema of PostgreSQL's own, or a pattern of nothing else."""
    return schema.startswith(PREDEFINED) or schema == "information_schema"


def bare_on(value: object) -> object:
    """A grant with its key ``on`` again: YAML 1.1 reads the bare word as true, and JSON then writes "true"."""
    if not isinstance(value, t.Mapping):
        return value
    return {"on" if key is True or key in ("true", "True") else key: content for key, content in value.items()}


def written(pattern: Pattern) -> str | dict[str, str]:
    """*pattern* as a person writes it: the text that ``PolicyFields.pattern`` reads back, or else the mapping."""
    text = str(pattern)
    parts = {"schema": pattern.schema, "name": pattern.name}
    if pattern.arguments is not None:
        parts["arguments"] = pattern.arguments
    # Of a table's name, parentheses would be a part; of a routine's they begin the arguments.
    return text if "(" not in pattern.name and _parts(text, routines=True) == parts else parts


def _parts(text: str, *, routines: bool) -> dict[str, t.Any]:
    """The keys of a pattern that is written as text; {} where it doesn't say where each part ends."""
    arguments = {}
    if routines and "(" in text:
        text, _sep, rest = text.partition("(")
        if not rest.endswith(")"):
            return {}
        arguments = {"arguments": rest[:-1].strip()}
    schema, dot, name = text.partition(".")
    if not dot or "." in name or '"' in text:
        return {}
    return {"schema": schema, "name": name, **arguments}
