# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the grants and the default privileges of an access policy."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from . import settings
from .model import (
    FUTURE,
    IN_SCHEMAS,
    ON_COLUMNS,
    PRIVILEGES,
    PUBLIC,
    SHARED,
    DefaultGrant,
    Grant,
    Pattern,
    like,
)
from .patterns import SYSTEM_SCHEMAS, PolicyFields, bare_on, covered

GRANT_KEYS = ("to", "on", "privileges", "future", "grant_option", "databases")
ON_KEYS = (*PRIVILEGES, "except", "columns")
DEFAULT_KEYS = ("creator", "schema", "on", "to", "privileges", "grant_option", "databases")
# Kinds of objects that default privileges reach and that lie in no schema: IN SCHEMA can't stand there.
ANYWHERE = ("schema", "large_objects")
# An oid has 32 bits, and 0 is none.
LARGEST_OID = 2**32 - 1


def read_grants(read: PolicyFields, value: object) -> tuple[Grant, ...]:
    """The grants."""
    return tuple(_grant(read, key, item) for key, item in read.sequence("grants", value))


def read_default_privileges(read: PolicyFields, value: object) -> tuple[DefaultGrant, ...]:
    """The default privileges that are written out."""
    return tuple(_default(read, key, item) for key, item in read.sequence("default_privileges", value))


def _grant(read: PolicyFields, where: str, value: object) -> Grant:
    written = read.mapping(where, bare_on(value), known=GRANT_KEYS, required=("to", "on", "privileges"))
    grant_option = read.flag(f"{where}.grant_option", written.get("grant_option", False))
    future = read.flag(f"{where}.future", written.get("future", False))
    to = read.grantees(f"{where}.to", written["to"], grant_option=grant_option) if "to" in written else ()
    databases = read.scoped(f"{where}.databases", written["databases"]) if "databases" in written else ()
    on = read.mapping(f"{where}.on", written.get("on", {}), known=ON_KEYS)
    kinds = [kind for kind in PRIVILEGES if kind in on]
    if "on" in written and len(kinds) != 1:
        read.say(f"{where}.on", f"write exactly one of {', '.join(PRIVILEGES)}")
    if len(kinds) != 1:
        return Grant(to=to, kind="database", privileges=frozenset())
    kind = kinds[0]
    if databases and kind in SHARED:
        read.say(f"{where}.databases", f"{kind} belongs to no single database: leave the key out")
    privileges = read.privileges(f"{where}.privileges", kind, written["privileges"]) if "privileges" in written else ()
    grant = Grant(
        to=to,
        kind=kind,
        privileges=frozenset(privileges),
        columns=_columns(read, where, kind, frozenset(privileges), on["columns"]) if "columns" in on else (),
        future=future,
        grant_option=grant_option,
        databases=databases,
    )
    if kind in IN_SCHEMAS:
        return _on_patterns(read, where, grant, on)
    if "except" in on or future:
        read.say(where, f"except and future are for {', '.join(IN_SCHEMAS)}: leave them out")
    return dataclasses.replace(grant, names=_names(read, f"{where}.on.{kind}", kind, on[kind]))


def _names(read: PolicyFields, where: str, kind: str, value: object) -> tuple[str, ...]:
    """The names, or patterns of them, of a grant on what lies in no schema."""
    if kind == "large_objects":
        return tuple(dict.fromkeys(_large_object(read, key, item) for key, item in read.one_or_list(where, value)))
    names = read.names(where, value)
    if kind == "parameters":
        # PostgreSQL stores them in lower case.
        names = tuple(dict.fromkeys(name.lower() for name in names))
    for name in names:
        if kind == "schema":
            read.in_schemas(where, name)
        elif kind == "parameters":
            try:
                settings.check_name(name.replace("*", "x"))
            except ValueError as error:
                read.say(where, f"{name!r}: {error}")
        elif kind == "database" and not any(like(name, database) for database in read.databases):
            read.say(where, f"{name} is not in scope.databases: write it there")
    return names


def _large_object(read: PolicyFields, where: str, value: object) -> str:
    number = value if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    text = str(number)
    if text != "*" and not (re.fullmatch(r"[1-9][0-9]{0,9}", text) and int(text) <= LARGEST_OID):
        read.say(where, f'write a large object\'s number, or "*" for all, not {value!r}')
    return text


def _columns(read: PolicyFields, where: str, kind: str, privileges: frozenset[str], value: object) -> tuple[str, ...]:
    if kind != "tables":
        read.say(f"{where}.on.columns", "only tables have columns: leave the key out")
    for privilege in sorted(privileges.difference(ON_COLUMNS)) if kind == "tables" else ():
        listed = ", ".join(one.lower() for one in ON_COLUMNS)
        read.say(f"{where}.privileges", f"{privilege.lower()} is no privilege on columns; there are {listed}")
    return read.names(f"{where}.on.columns", value)


def _on_patterns(read: PolicyFields, where: str, grant: Grant, on: t.Mapping[str, object]) -> Grant:
    routines = grant.kind == "routines"
    patterns = read.patterns(f"{where}.on.{grant.kind}", on[grant.kind], routines=routines)
    excepted = read.patterns(f"{where}.on.except", on["except"], routines=routines) if "except" in on else ()
    if grant.future and grant.columns:
        read.say(f"{where}.future", "default privileges have no columns: leave future or columns out")
    for pattern in patterns:
        _in_scope(read, f"{where}.on.{grant.kind}", grant.kind, pattern)
        if not grant.future:
            continue
        if not pattern.whole_schema:
            read.say(f"{where}.future", f"{pattern} is not a whole schema: write {pattern.schema}.*, or no future")
        elif not covered(read.owners, pattern.schema):
            read.say(f"{where}.future", f"who will make them? Write the owner of {pattern.schema} under owners")
    for pattern in excepted:
        _in_scope(read, f"{where}.on.except", grant.kind, pattern)
    return dataclasses.replace(grant, patterns=patterns, excepted=excepted)


def _in_scope(read: PolicyFields, where: str, kind: str, pattern: Pattern) -> None:
    """Note a problem where *pattern* is not in scope. Of PostgreSQL's own schemas, some objects may be named."""
    if pattern.schema not in SYSTEM_SCHEMAS or kind not in ("tables", "routines"):
        read.in_schemas(where, pattern.schema, pattern)
    elif pattern.whole_schema:
        read.say(where, f"{pattern} is far more than anybody needs: name the {kind}")


def _default(read: PolicyFields, where: str, value: object) -> DefaultGrant:
    required = ("creator", "on", "to", "privileges")
    written = read.mapping(where, bare_on(value), known=DEFAULT_KEYS, required=required)
    grant_option = read.flag(f"{where}.grant_option", written.get("grant_option", False))
    kind = read.choice(f"{where}.on", written.get("on", "tables"), tuple(FUTURE))
    creator = read.owner(f"{where}.creator", written["creator"]) if "creator" in written else None
    if creator == PUBLIC:
        read.say(f"{where}.creator", "everybody is no role: write who makes the objects")
    schema = read.name(f"{where}.schema", written["schema"]) if "schema" in written else None
    if schema is not None:
        if kind in ANYWHERE:
            read.say(f"{where}.schema", f"{kind} lie in no schema: leave the key out")
        else:
            read.in_schemas(f"{where}.schema", schema)
    return DefaultGrant(
        creator=creator or "",
        kind=kind,
        to=read.grantees(f"{where}.to", written["to"], grant_option=grant_option) if "to" in written else (),
        privileges=read.privileges(f"{where}.privileges", kind, written["privileges"])
        if "privileges" in written
        else frozenset(),
        schema=schema,
        grant_option=grant_option,
        databases=read.scoped(f"{where}.databases", written["databases"]) if "databases" in written else (),
    )
