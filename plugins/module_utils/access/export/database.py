# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles hold in one database, as grants and default privileges of a policy that leaves it as it is."""

from __future__ import annotations

import dataclasses
import typing as t

from ..catalog.model import Cluster, Named, Objects, Type
from ..plan.acl import Acl
from ..plan.routines import MULTIRANGE_FOLLOWS
from ..plan.statements import shown
from ..policy.model import BUILT_IN, FUTURE, PREDEFINED, PUBLIC, Pattern
from .grants import Given, cover
from .names import Held, Roles, excess, pattern_of, speakable

KIND_OF = {letter: kind for kind, letter in FUTURE.items()}
# What everybody has by default on what is new: said of a whole schema even where it has one object.
EVERYBODY_S = frozenset(KIND_OF[letter] for letter in BUILT_IN)


@dataclasses.dataclass(frozen=True)
class Made:
    """Default privileges: what one role will hold on what ``creator`` makes. The rest as in model.DefaultGrant."""

    creator: str
    schema: str | None
    kind: str
    role: str
    privileges: frozenset[str]
    option: bool = False


@dataclasses.dataclass(frozen=True)
class _Object:
    """An object in a schema: ``arguments`` is a routine's. ``what`` is for a person to read."""

    name: str
    owner: str
    held: Held
    what: str
    arguments: str | None = None


class DatabaseExport:
    """Reads one database's *objects* into ``given`` and ``made``.

    *schemas*: by the name of each schema in scope, its pattern. *owners*: by name, the owner that the policy gives it.
    """

    def __init__(
        self,
        objects: Objects,
        schemas: t.Mapping[str, str],
        owners: t.Mapping[str, str],
        roles: Roles,
        cluster: Cluster,
    ) -> None:
        self.objects = objects
        self.schemas = schemas
        self.owners = owners
        self.roles = roles
        self.version = cluster.version
        self.superusers = {role.name for role in cluster.roles.values() if role.superuser}
        self.given: list[Given] = []
        self.made: list[Made] = []
        # (schema, kind, role, with the grant option): what its owner's default privileges give there.
        self.future: dict[tuple[str, str, str, bool], frozenset[str]] = {}

    def read(self) -> DatabaseExport:
        """Itself, read."""
        self._defaults()
        self._schemas()
        by_place: dict[tuple[str, str], list[_Object]] = {}
        self._relations(by_place)
        self._routines_and_types(by_place)
        for (schema, kind), there in sorted(by_place.items()):
            self._place(schema, kind, there)
        self._named()
        self._system_relations()
        for (schema, kind, role, option), privileges in self.future.items():
            self.made.append(Made(self.owners[schema], schema, kind, role, privileges, option))
        return self

    def _held(self, what: str, owner: str, acl: Acl, upstream: Acl = ()) -> Held:
        if not acl:
            return {}
        return self.roles.held(f"{what} in {shown(self.objects.database)}", owner, acl, upstream)

    def _give(self, kind: str, held: Held, target: str | Pattern, columns: tuple[str, ...] = ()) -> None:
        for (role, option), privileges in held.items():
            self.given.append(Given(kind, role, privileges, (target,), option, columns=columns))

    def _unnamed(self, what: str) -> None:
        self._unsaid(what, "no name or pattern of the policy means it alone, so what is granted on it can't be said")

    def _unsaid(self, what: str, why: str) -> None:
        self.roles.say(f"{what} in {shown(self.objects.database)}: {why}")

    def _schemas(self) -> None:
        for name, pattern in self.schemas.items():
            schema = self.objects.schemas.get(name)
            if schema is not None and not schema.extension:
                self._give("schema", self._held(f"schema {shown(name)}", schema.owner, schema.acl), pattern)

    def _relations(self, by_place: dict[tuple[str, str], list[_Object]]) -> None:
        tables: dict[str, list[str]] = {}
        for relation in self.objects.relations:
            if relation.kind != "S":
                tables.setdefault(relation.schema, []).append(relation.name)
        for relation in self.objects.relations:
            if relation.extension or relation.schema not in self.schemas:
                continue
            kind = "sequences" if relation.kind == "S" else "tables"
            what = f"{kind[:-1]} {shown(relation.schema, relation.name)}"
            held = self._held(what, relation.owner, relation.acl)
            found = _Object(relation.name, relation.owner, held, what)
            by_place.setdefault((relation.schema, kind), []).append(found)
            if relation.columns:
                columns = {
                    column: self._held(f"column {shown(column)} of {what}", relation.owner, acl, relation.acl)
                    for column, acl in relation.columns.items()
                }
                pattern = pattern_of(relation.name, tables[relation.schema])
                if any(columns.values()):
                    self._columns(what, self.schemas[relation.schema], pattern, columns)

    def _columns(self, what: str, schema: str, pattern: str | None, columns: t.Mapping[str, Held]) -> None:
        if pattern is None:
            self._unnamed(f"columns of {what}")
            return
        alike: dict[tuple[str, bool, frozenset[str]], list[str]] = {}
        for column, held in sorted(columns.items()):
            if held and not speakable(column):
                self._unnamed(f"column {shown(column)} of {what}")
                continue
            for (role, option), privileges in held.items():
                alike.setdefault((role, option, privileges), []).append(column)
        for (role, option, privileges), names in alike.items():
            self._give("tables", {(role, option): privileges}, Pattern(schema, pattern), tuple(names))

    def _routines_and_types(self, by_place: dict[tuple[str, str], list[_Object]]) -> None:
        for routine in self.objects.routines:
            if routine.extension:
                continue
            what = f"routine {shown(routine.schema, routine.name)}({routine.arguments})"
            if routine.system:
                beyond = self._held(what, routine.owner, excess(routine.acl, routine.initial), routine.acl)
                self._give("routines", beyond, Pattern(routine.schema, routine.name, routine.arguments))
            elif routine.schema in self.schemas:
                held = self._held(what, routine.owner, routine.acl)
                found = _Object(routine.name, routine.owner, held, what, routine.arguments)
                by_place.setdefault((routine.schema, "routines"), []).append(found)
        for one in self.objects.types:
            if not one.extension and one.schema in self.schemas and not self._follows_its_range(one):
                what = f"type {shown(one.schema, one.name)}"
                found = _Object(one.name, one.owner, self._held(what, one.owner, one.acl), what)
                by_place.setdefault((one.schema, "types"), []).append(found)

    def _follows_its_range(self, one: Type) -> bool:
        """Whether the type is a multirange without an ACL of its own."""
        return one.kind == "m" and self.version >= MULTIRANGE_FOLLOWS

    def _place(self, schema: str, kind: str, there: list[_Object]) -> None:
        """The objects of one kind in one schema: role by role, since each holds something else."""
        patterns = self._patterns(schema, kind, there)
        unnamed = {number for number, pattern in enumerate(patterns) if pattern is None}
        for number in sorted(unnamed):
            if there[number].held:
                self._unnamed(there[number].what)
        owned: dict[str, set[int]] = {}
        by_role: dict[tuple[str, bool], dict[int, frozenset[str]]] = {}
        for number, one in enumerate(there):
            owned.setdefault(one.owner, set()).add(number)
            if number not in unnamed:
                for key, privileges in one.held.items():
                    by_role.setdefault(key, {})[number] = privileges
        whole = Pattern(self.schemas[schema], "*")
        for (role, option), held in sorted(by_role.items()):
            free = unnamed | owned.get(role, set())
            few = 1 if role == PUBLIC and kind in EVERYBODY_S else 2
            for one_cover in cover(held, range(len(there)), free, whole_from=few):
                named = tuple(pattern for number in one_cover.objects if (pattern := patterns[number]) is not None)
                given = Given(kind, role, one_cover.privileges, named, option)
                if one_cover.whole:
                    future = self._future((schema, kind, role, option), one_cover.privileges)
                    given = dataclasses.replace(given, targets=(whole,), excepted=named, future=future)
                self.given.append(given)

    def _future(self, key: tuple[str, str, str, bool], privileges: frozenset[str]) -> bool:
        """Whether the owner's default privileges give as much; the rest of them is left to be said."""
        left = self.future.get(key, frozenset())
        if not privileges <= left:
            return False
        if privileges == left:
            del self.future[key]
        else:
            self.future[key] = left - privileges
        return True

    def _patterns(self, schema: str, kind: str, there: list[_Object]) -> list[Pattern | None]:
        """What means each object alone; None where nothing does."""
        names = [one.name for one in there]
        found: list[Pattern | None] = []
        for one in there:
            name = pattern_of(one.name, names)
            arguments = one.arguments
            if arguments is not None and not speakable(arguments):
                # Without arguments it means all of that name.
                arguments = None
                name = name if names.count(one.name) == 1 else None
            found.append(None if name is None else Pattern(self.schemas[schema], name, arguments))
        return found

    def _named(self) -> None:
        kinds: tuple[tuple[str, str, tuple[Named, ...]], ...] = (
            ("languages", "language", self.objects.languages),
            ("foreign_data_wrappers", "foreign data wrapper", self.objects.wrappers),
            ("foreign_servers", "foreign server", self.objects.servers),
        )
        for kind, noun, there in kinds:
            names = [one.name for one in there]
            for one in there:
                if one.extension and not one.system:
                    continue
                what = f"{noun} {shown(one.name)}"
                acl = excess(one.acl, one.initial) if one.system else one.acl
                held = self._held(what, one.owner, acl, one.acl)
                name = pattern_of(one.name, names)
                if name is not None:
                    self._give(kind, held, name)
                elif held:
                    self._unnamed(what)
        for large in self.objects.large_objects:
            held = self._held(f"large object {large.oid}", large.owner, large.acl)
            self._give("large_objects", held, str(large.oid))

    def _system_relations(self) -> None:
        for one in self.objects.system_relations:
            what = f"{shown(one.schema, one.name)}" + ("" if one.column is None else f", column {shown(one.column)}")
            held = self._held(what, one.owner, excess(one.acl, one.initial), one.acl)
            columns = () if one.column is None else (one.column,)
            self._give("tables", held, Pattern(one.schema, one.name), columns)

    def _defaults(self) -> None:
        """Default privileges. Those of a schema's owner in it may become ``future`` of a grant."""
        everywhere = set()
        for default in self.objects.defaults:
            kind = KIND_OF[default.kind]
            schema = default.schema
            if schema is None:
                everywhere.add((default.creator, default.kind))
            if schema not in self.schemas and (schema is not None or default.creator.startswith(PREDEFINED)):
                # PostgreSQL's own roles make nothing: what is said of it anywhere is no matter of the policy.
                continue
            what = f"new {kind} of {shown(default.creator)}"
            if default.creator not in self.roles.known:
                self._unsaid(what, "the policy can't name this role")
                continue
            held = self._held(what, default.creator, default.acl)
            if schema is not None and self.schemas[schema] != schema:
                if held:
                    self._unsaid(f"{what} in the schema {shown(schema)}", "default privileges take no pattern")
                continue
            for (role, option), privileges in held.items():
                if schema is not None and self.owners.get(schema) == default.creator:
                    self.future[(schema, kind, role, option)] = privileges
                else:
                    self.made.append(Made(default.creator, schema, kind, role, privileges, option))
        # No row: what is built in holds, and would be taken from PUBLIC if it weren't said.
        for owner in sorted(self._makers()):
            for letter, words in BUILT_IN.items():
                if (owner, letter) not in everywhere:
                    self.made.append(Made(owner, None, KIND_OF[letter], PUBLIC, frozenset(words)))

    def _makers(self) -> set[str]:
        """The schemas' owners whose default privileges are the policy's; see plan_defaults.py on who isn't one."""
        makers = {
            schema.owner
            for schema in self.objects.schemas.values()
            if schema.name in self.schemas and schema.owner not in self.superusers
        }
        named = {name for name in makers if name in self.roles.known and not name.startswith(PREDEFINED)}
        return named | set(self.owners.values())
