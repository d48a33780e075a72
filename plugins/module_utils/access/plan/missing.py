# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the policy names exactly and is not there, or is not what it takes it for: mostly a typing error."""

from __future__ import annotations

import typing as t

from ..catalog.model import Named
from ..policy.model import IN_SCHEMAS, Grant, Pattern
from .routines import follows_its_range
from .statements import Skipped, shown
from .work import Work

GONE = "does not exist"
AN_EXTENSION_S = "belongs to an extension, whose privileges are left alone"
NOT_AMONG = "is not among what the grant is on: it excepts nothing"


class There(t.NamedTuple):
    """An object that a pattern may name. ``kinds`` are the keys of a grant's ``on`` that it goes under."""

    kinds: tuple[str, ...]
    arguments: str | None = None
    # Why a grant on it has no effect, if it hasn't.
    left_alone: str | None = None


def missing_names(work: Work) -> list[Skipped]:
    """What the policy names in this database in vain; ``warn`` where it isn't there at all."""
    there = _in_schemas(work)
    named = _named(work)
    found: dict[Skipped, None] = {}
    for kind in IN_SCHEMAS:
        for grant in work.grants(kind):
            for pattern in grant.patterns:
                why = _why(kind, pattern, there.get((pattern.schema, pattern.name), ())) if pattern.exact else None
                if why is not None:
                    found[Skipped(f"{kind} {_shown(pattern)}", why, warn=why.startswith(GONE))] = None
            for pattern in grant.excepted:
                why = _why_excepted(grant, pattern, there.get((pattern.schema, pattern.name), ()))
                if pattern.exact and why is not None:
                    found[Skipped(f"except {_shown(pattern)}", why, warn=True)] = None
    found.update(dict.fromkeys(_columns(work)))
    for kind, names in named.items():
        for grant in work.grants(kind):
            for name in grant.names:
                if "*" not in name and names.get(name, GONE) is not None:
                    why = names.get(name, GONE) or ""
                    found[Skipped(f"{kind} {name}", why, warn=why == GONE)] = None
    for default in work.policy.default_privileges:
        schema = default.schema
        here = not default.databases or work.objects.database in default.databases
        if here and schema is not None and "*" not in schema and schema not in named["schema"]:
            found[Skipped(f"default_privileges of the schema {shown(schema)}", GONE, warn=True)] = None
    for pattern in work.policy.revoke_execute:
        if not any(pattern.matches(one.schema, one.name, one.arguments) for one in work.objects.routines):
            found[Skipped(f"revoke_execute {pattern}", GONE, warn=True)] = None
    return list(found)


def _columns(work: Work) -> t.Iterator[Skipped]:
    """Columns that a table hasn't, or of a pattern no table that it means."""
    tables = work.objects.column_names
    for grant in work.grants("tables"):
        for pattern in grant.patterns if grant.columns else ():
            held = [
                names
                for (schema, name), names in tables.items()
                if pattern.matches(schema, name) and grant.covers(schema, name)
            ]
            for column in grant.columns if held else ():
                if not any(column in names for names in held):
                    where = _shown(pattern) if pattern.exact else f"any of {pattern}"
                    yield Skipped(f"column {shown(column)} of {where}", GONE, warn=True)


def _in_schemas(work: Work) -> dict[tuple[str, str], tuple[There, ...]]:
    """What lies in schemas, by schema and name. A table's and a type's name may be one."""
    there: dict[tuple[str, str], tuple[There, ...]] = {}

    def add(schema: str, name: str, *what: t.Any) -> None:
        there[schema, name] = (*there.get((schema, name), ()), There(*what))

    for relation in work.objects.relations:
        kinds = ("sequences",) if relation.kind == "S" else ("tables",)
        add(relation.schema, relation.name, kinds, None, AN_EXTENSION_S if relation.extension else None)
    for name in {(one.schema, one.name) for one in work.objects.system_relations}:
        add(*name, ("tables",))
    for routine in work.objects.routines:
        # What revoke_execute names of an extension is the policy's.
        managed = any(
            one.matches(routine.schema, routine.name, routine.arguments) for one in work.policy.revoke_execute
        )
        left_alone = AN_EXTENSION_S if routine.extension and not routine.system and not managed else None
        add(routine.schema, routine.name, ("routines",), routine.arguments, left_alone)
    for one in work.objects.types:
        left_alone = AN_EXTENSION_S if one.extension else None
        if follows_its_range(work, one):
            left_alone = "is a multirange, which has its range's privileges: write the range"
        add(one.schema, one.name, ("types",), None, left_alone)
    return there


def _named(work: Work) -> dict[str, dict[str, str | None]]:
    """What has no schema: by kind and name, why a grant on it has no effect (None: it has)."""

    def named(objects: t.Iterable[Named]) -> dict[str, str | None]:
        return {one.name: AN_EXTENSION_S if one.extension and not one.system else None for one in objects}

    objects = work.objects
    # Those of the scope that aren't there are made.
    schemas: dict[str, str | None] = {name: None for name in work.policy.schemas if "*" not in name}
    schemas.update({one.name: AN_EXTENSION_S if one.extension else None for one in objects.schemas.values()})
    return {
        "schema": schemas,
        "languages": named(objects.languages),
        "foreign_data_wrappers": named(objects.wrappers),
        "foreign_servers": named(objects.servers),
        "large_objects": {str(one.oid): None for one in objects.large_objects},
    }


def _why(kind: str, pattern: Pattern, there: t.Sequence[There]) -> str | None:
    """Why a grant on the one object that *pattern* names has no effect; None where it has."""
    of_kind = [one for one in there if kind in one.kinds]
    meant = [one for one in of_kind if pattern.arguments in (None, one.arguments)]
    if of_kind and not meant:
        others = " and ".join(f"({one.arguments})" for one in of_kind)
        return f"{GONE} with these arguments: there is one with {others}"
    if not meant:
        other = next((one.kinds[0] for one in there if {one.kinds[0], kind} <= {"tables", "sequences"}), None)
        return GONE if other is None else f"is a {other[:-1]}: write it under {other}"
    # Of several routines of a name it is enough that one is the policy's.
    return meant[0].left_alone if all(one.left_alone for one in meant) else None


def _why_excepted(grant: Grant, pattern: Pattern, there: t.Sequence[There]) -> str | None:
    """Why the name *pattern* excepts nothing from *grant*; None where it does."""
    if not there:
        return GONE
    if not any(grant.kind in one.kinds for one in there):
        return f"is no name under {grant.kind}: it excepts nothing"
    if not any(one.matches(pattern.schema, pattern.name, pattern.arguments) for one in grant.patterns):
        return NOT_AMONG
    why = _why(grant.kind, pattern, there)
    return why if why is not None and why.startswith(GONE) else None


def _shown(pattern: Pattern) -> str:
    arguments = "" if pattern.arguments is None else f"({pattern.arguments})"
    return shown(pattern.schema, pattern.name) + arguments
