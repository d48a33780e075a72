# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a schema consists of, the file that says what it shall consist of, and how two of them differ."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import typing as t

from . import schema_statements
from .schema_statements import Statement

HASH = "-- fingerprint: sha256:"
SCHEMA = "-- schema: "
RELATION = "-- relation: "

# pg_get_viewdef left out needless table names from 16 on: a definition says nothing across that border.
VIEW_WORDING_CHANGED = 16


@dataclasses.dataclass(frozen=True)
class Relation:
    """A table, view, sequence, type or function of the schema.

    ``parts`` are what it is made of, sorted: ("column name", "text not null"), ("constraint c", "CHECK …").
    """

    kind: str
    name: str
    parts: tuple[tuple[str, str], ...]

    @property
    def title(self) -> str:
        """How a sentence calls it: table provider_marketshare."""
        return f"{self.kind} {self.name}"


@dataclasses.dataclass(frozen=True)
class SchemaFile:
    """A schema.sql that was read: the schema's name, what it shall consist of, and the statements that make it."""

    schema: str
    relations: tuple[Relation, ...]
    statements: tuple[Statement, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be done: ``action`` is none, schema or migration; ``extra`` are live relations that the file lacks."""

    action: str
    differences: tuple[str, ...]
    extra: tuple[str, ...]


def catalogue(rows: t.Iterable[tuple[str, str, str | None, str | None]]) -> tuple[Relation, ...]:
    """Rows (kind, name, part, definition) as relations, sorted; a row without a part only says that it is there."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for kind, name, part, definition in rows:
        parts = found.setdefault((kind, name), {})
        if part is not None:
            parts[part] = definition or ""
    return tuple(Relation(kind, name, tuple(sorted(parts.items()))) for (kind, name), parts in sorted(found.items()))


def lines(relations: t.Iterable[Relation]) -> list[str]:
    """The relations as canonical JSON, one a line: what is hashed, compared and shown in a diff."""
    return [
        json.dumps(
            {"kind": relation.kind, "name": relation.name, "parts": dict(relation.parts)},
            sort_keys=True,
            ensure_ascii=False,
            separators=(", ", ": "),
        )
        for relation in relations
    ]


def fingerprint(relations: t.Iterable[Relation]) -> str:
    """SHA-256 of the relations' lines, in hexadecimal."""
    return hashlib.sha256("\n".join(lines(relations)).encode()).hexdigest()


def render(dump: str, relations: tuple[Relation, ...], *, schema: str) -> str:
    """The schema.sql of what pg_dump --schema-only wrote as *dump*: no dates, no versions, no session settings."""
    plain = re.sub(r"(?m)^\\(?:un)?restrict .*\n?", "", dump)
    statements = schema_statements.without_noise(schema_statements.split(plain))
    header = [
        "-- The tables of the app, made by tools/make_schema.py from create_tables.py: `make schema` makes it again.",
        "-- On a host that has them already a change needs a migration: playbooks/migrate.yml -e migration=FILE.",
        f"{SCHEMA}{schema}",
        f"{HASH}{fingerprint(relations)}",
        *(RELATION + line for line in lines(relations)),
    ]
    return "\n".join(header) + "\n\n" + "\n\n".join(statement.text + ";" for statement in statements) + "\n"


def parse(content: str) -> SchemaFile:
    """Read a schema.sql. ValueError where its header is missing or was edited, or its text may not be run."""
    schema, said, found = "", "", []
    for number, line in enumerate(content.split("\n"), start=1):
        if line.startswith(SCHEMA):
            schema = line.removeprefix(SCHEMA).strip()
        elif line.startswith(HASH):
            said = line.removeprefix(HASH).strip()
        elif line.startswith(RELATION):
            found.append(_relation(line.removeprefix(RELATION), number))
    relations = tuple(found)
    if not schema or not said or not relations:
        raise ValueError(
            "the schema file lacks its header with schema, fingerprint and relations: make it with `make schema`"
        )
    if said != fingerprint(relations):
        raise ValueError("the schema file's fingerprint doesn't fit its relations: make it again with `make schema`")
    try:
        statements = schema_statements.lint(content)
    except ValueError as error:
        raise ValueError(f"the schema file may not be run: {error}") from error
    return SchemaFile(schema, relations, tuple(statements))


def _relation(text: str, number: int) -> Relation:
    try:
        read = json.loads(text)
        return Relation(str(read["kind"]), str(read["name"]), tuple(sorted(read["parts"].items())))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"line {number} of the schema file names no relation: make it with `make schema`") from error


def differences(wanted: t.Iterable[Relation], live: t.Iterable[Relation]) -> list[str]:
    """What the live schema lacks or has otherwise, a phrase each; relations that only it has are left out."""
    there = {(relation.kind, relation.name): relation for relation in live}
    found: list[str] = []
    for relation in wanted:
        match = there.get((relation.kind, relation.name))
        if match is None:
            found.append(f"{relation.title} is missing")
        else:
            found.extend(f"{relation.title} {phrase}" for phrase in _parts(dict(relation.parts), dict(match.parts)))
    return found


def _parts(wanted: dict[str, str], live: dict[str, str]) -> t.Iterator[str]:
    for part in sorted({*wanted, *live}):
        if part not in live:
            yield f"lacks {part} ({wanted[part]})"
        elif part not in wanted:
            yield f"has {part} ({live[part]}) and the file doesn't"
        elif wanted[part] != live[part] and _comparable(part, wanted, live):
            yield f"has {part} as {live[part]} where the file says {wanted[part]}"


def _comparable(part: str, wanted: dict[str, str], live: dict[str, str]) -> bool:
    """A view's wording is compared only where both servers word it alike."""
    if part == "wording":
        return False
    return part != "definition" or wanted.get("wording") == live.get("wording")


def unknown(wanted: t.Iterable[Relation], live: t.Iterable[Relation]) -> list[str]:
    """The relations that only the live schema has."""
    known = {(relation.kind, relation.name) for relation in wanted}
    return [relation.title for relation in live if (relation.kind, relation.name) not in known]


def plan(wanted: tuple[Relation, ...], live: tuple[Relation, ...], *, migration: bool) -> Plan:
    """What makes *live* what is *wanted*: nothing, the file, or the migration that was given.

    ValueError, naming what differs, where the live schema differs and there is no migration.
    """
    found = tuple(differences(wanted, live))
    more = tuple(unknown(wanted, live))
    names = {relation.name for relation in live}
    if not found:
        return Plan("none", (), more)
    if not any(relation.name in names for relation in wanted):
        return Plan("schema", found, more)
    if migration:
        return Plan("migration", found, more)
    raise ValueError(
        f"the database differs from the schema file: {'; '.join(found)}. "
        "Write a migration that ends it and run playbooks/migrate.yml -e migration=FILE"
    )
