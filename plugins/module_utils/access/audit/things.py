# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything of a snapshot that has an ACL, as one numbered list, and who holds what on it as bit masks.

Ten thousand tables and two hundred roles make a million pairs: so what is held is kept by grantee, never by role, and
a set of privileges is one integer.
"""

from __future__ import annotations

import typing as t

from ..catalog.model import Cluster, Objects, Routine
from ..plan.acl import Acl
from ..plan.statements import shown
from ..policy.model import PRIVILEGES

BITS = {
    privilege: 1 << number
    for number, privilege in enumerate(dict.fromkeys(one for kind in PRIVILEGES.values() for one in kind))
}
# Who owns a thing can alter and drop it, and give itself every privilege on it.
OWNER = 1 << len(BITS)
# A privilege on some of the columns only.
COLUMNS = len(BITS) + 1
WORDS = {
    **{bit: privilege for privilege, bit in BITS.items()},
    OWNER: "OWNER",
    **{bit << COLUMNS: f"{privilege} (columns)" for privilege, bit in BITS.items()},
}
# relkind of a sequence; everything else is a table to GRANT.
SEQUENCE = "S"
# What is made later: the letter of pg_default_acl, and the word.
FUTURE_NOUNS = {"r": "tables", "S": "sequences", "f": "functions", "T": "types", "n": "schemas", "L": "large objects"}
# The servers that MAINTAIN came with.
MAINTAIN = 170000
TABLE_WORDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
# What a predefined role may do to every table and view, every sequence, and every schema.
BLANKET: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "pg_read_all_data": (("SELECT",), ("SELECT",), ("USAGE",)),
    "pg_write_all_data": (("INSERT", "UPDATE", "DELETE"), ("UPDATE",), ("USAGE",)),
    "pg_maintain": (("MAINTAIN",), (), ()),
}
# Stands for a superuser's privileges: no role can have an empty name.
EVERYTHING = ""
# Where schemas out of the scope are put: no schema can have this name.
OUTSIDE = "\0outside"


class Thing(t.NamedTuple):
    """What an ACL is of: ``noun`` as in GRANT ... ON, ``name`` for people, ``place`` the schema or ""."""

    noun: str
    name: str
    place: str
    owner: str
    acl: Acl

    def __str__(self) -> str:
        return f"{self.noun} {self.name}"


# By schema (or ""), by number of the thing: the mask.
Held = dict[str, dict[int, int]]


def mask(privileges: t.Iterable[str]) -> int:
    """A set of privileges as one integer."""
    bits = 0
    for privilege in privileges:
        bits |= BITS[privilege]
    return bits


def words(bits: int) -> tuple[str, ...]:
    """The privileges of a mask, in the order of BITS; the owner's are only said to be that."""
    if bits & OWNER:
        return ("OWNER",)
    return tuple(word for bit, word in WORDS.items() if bits & bit and not (bit >> COLUMNS) & bits)


class Things:
    """The numbered list of what is in *cluster* and in *objects*; ``by_oid`` has the relations' numbers.

    From the number ``outside`` on it is what leads into the scope without being in it: nobody asks what is held there.
    """

    def __init__(self, cluster: Cluster, objects: Objects) -> None:
        self.all: list[Thing] = []
        self.by_oid: dict[int, int] = {}
        self.relations: dict[tuple[str, str], int] = {}
        self.routines: dict[tuple[str, str, str], int] = {}
        self.routine_keys: dict[int, tuple[str, str, str]] = {}
        self.held: dict[str, Held] = {}
        tables = TABLE_WORDS + (("MAINTAIN",) if cluster.version >= MAINTAIN else ())
        self.full = {noun: mask(PRIVILEGES[kind]) | OWNER for noun, kind in NOUNS.items()}
        self.full["table"] = mask(tables) | OWNER
        self._cluster(cluster, objects.database)
        self._schemas(objects)
        self._relations(objects)
        self._others(objects)
        self.outside = len(self.all)
        self._outside(objects)
        self._groups: dict[str, dict[str, dict[int, list[int]]]] = {}

    @property
    def relations_in_scope(self) -> list[int]:
        """The numbers of the tables and views, without sequences."""
        return [number for number in self.relations.values() if self.all[number].noun == "table"]

    def find(self, noun: str) -> list[int]:
        """The numbers of the things of one kind in the scope."""
        return [number for number, thing in enumerate(self.all[: self.outside]) if thing.noun == noun]

    def of(self, holder: str) -> Held:
        """What is granted to *holder* (a role, PUBLIC, or EVERYTHING), or is its own."""
        if holder not in self.held:
            self.held[holder] = {}
        if (holder == EVERYTHING or holder in BLANKET) and holder not in self._groups:
            self._groups[holder] = {}
            for number, thing in enumerate(self.all):
                bits = self._blanket(holder, thing)
                if bits:
                    masks = self.held[holder].setdefault(thing.place, {})
                    masks[number] = masks.get(number, 0) | bits
        return self.held[holder]

    def groups(self, holder: str) -> dict[str, dict[int, list[int]]]:
        """``of`` turned round: by schema, by mask, the numbers; a schema out of the scope has none."""
        held = self.of(holder)
        if not self._groups.get(holder):
            self._groups[holder] = {}
            for place, masks in held.items():
                grouped = self._groups[holder].setdefault(place, {})
                for number, bits in masks.items():
                    if number < self.outside:
                        grouped.setdefault(bits, []).append(number)
        return self._groups[holder]

    def _blanket(self, holder: str, thing: Thing) -> int:
        if holder == EVERYTHING:
            return self.full.get(thing.noun, 0)
        on_tables, on_sequences, on_schemas = BLANKET[holder]
        on = {"table": on_tables, "sequence": on_sequences, "schema": on_schemas}.get(thing.noun, ())
        return mask(on) & self.full.get(thing.noun, 0)

    def _add(self, thing: Thing, columns: t.Mapping[str, Acl] | None = None) -> int:
        number = len(self.all)
        self.all.append(thing)
        place = thing.place
        held = self.held
        for item in thing.acl:
            masks = held.setdefault(item.grantee, {}).setdefault(place, {})
            masks[number] = masks.get(number, 0) | BITS[item.privilege]
        for acl in (columns or {}).values():
            for item in acl:
                masks = held.setdefault(item.grantee, {}).setdefault(place, {})
                masks[number] = masks.get(number, 0) | BITS[item.privilege] << COLUMNS
        full = self.full.get(thing.noun)
        if full is not None:
            held.setdefault(thing.owner, {}).setdefault(place, {})[number] = full
        return number

    def _cluster(self, cluster: Cluster, database: str) -> None:
        held = cluster.databases.get(database)
        if held is not None:
            self._add(Thing("database", shown(held.name), "", held.owner, held.acl))
        for name, acl in cluster.parameters.items():
            self._add(Thing("parameter", name, "", cluster.bootstrap, acl))
        for space in cluster.tablespaces:
            self._add(Thing("tablespace", shown(space.name), "", space.owner, space.acl))

    def _schemas(self, objects: Objects) -> None:
        # Of no place: a schema's own privileges need no USAGE on it.
        for schema in objects.schemas.values():
            self._add(Thing("schema", shown(schema.name), "", schema.owner, schema.acl))

    def _relations(self, objects: Objects) -> None:
        for one in objects.relations:
            noun = "sequence" if one.kind == SEQUENCE else "table"
            thing = Thing(noun, shown(one.schema, one.name), one.schema, one.owner, one.acl)
            self.by_oid[one.oid] = self._add(thing, one.columns)
            self.relations[one.schema, one.name] = self.by_oid[one.oid]

    def _outside(self, objects: Objects) -> None:
        for schema in objects.outside_schemas:
            self._add(Thing("schema", shown(schema.name), OUTSIDE, schema.owner, schema.acl))
        for one in objects.outside_relations:
            thing = Thing("table", shown(one.schema, one.name), one.schema, one.owner, one.acl)
            self.by_oid[one.oid] = self._add(thing, one.columns)
        self._routines(objects.outside_routines)

    def _routines(self, routines: t.Iterable[Routine]) -> None:
        for routine in routines:
            name = f"{shown(routine.schema, routine.name)}({routine.arguments})"
            thing = Thing("routine", name, routine.schema, routine.owner, routine.acl)
            key = (routine.schema, routine.name, routine.arguments)
            self.routines[key] = self._add(thing)
            self.routine_keys[self.routines[key]] = key

    def _others(self, objects: Objects) -> None:
        self._routines(objects.routines)
        for type_ in objects.types:
            thing = Thing("type", shown(type_.schema, type_.name), type_.schema, type_.owner, type_.acl)
            self._add(thing)
        named = (
            ("language", objects.languages),
            ("foreign data wrapper", objects.wrappers),
            ("foreign server", objects.servers),
        )
        for noun, ones in named:
            for one in ones:
                self._add(Thing(noun, shown(one.name), "", one.owner, one.acl))
        for system in objects.system_relations:
            if system.column is None:
                noun = "sequence" if system.kind == SEQUENCE else "table"
                name = shown(system.schema, system.name)
                self._add(Thing(noun, name, system.schema, system.owner, system.acl))
        for large in objects.large_objects:
            self._add(Thing("large object", str(large.oid), "", large.owner, large.acl))
        for default in objects.defaults:
            # What somebody will make isn't there to be owned, so nobody does (full has no such noun).
            where = "*" if default.schema is None else f"{shown(default.schema)}.*"
            name = f"{where} of {shown(default.creator)}"
            noun = f"new {FUTURE_NOUNS[default.kind]}"
            self._add(Thing(noun, name, default.schema or "", default.creator, default.acl))


NOUNS = {
    "database": "database",
    "schema": "schema",
    "sequence": "sequences",
    "routine": "routines",
    "type": "types",
    "language": "languages",
    "foreign data wrapper": "foreign_data_wrappers",
    "foreign server": "foreign_servers",
    "large object": "large_objects",
    "parameter": "parameters",
    "tablespace": "tablespaces",
}
