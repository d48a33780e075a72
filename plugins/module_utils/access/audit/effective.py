# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Effective access: what roles can do in one database by whichever path, and by which.

An ACL alone does not say it: privileges come by membership, PUBLIC, ownership, predefined roles and superuser too; a
role may SET ROLE to another; and what somebody else wrote runs with its owner's rights: SECURITY DEFINER routines,
triggers with such a function, views and rules. Inheritance, partitions and foreign keys reach other tables' rows
without asking for a privilege there.
"""

from __future__ import annotations

import typing as t

from ..catalog.model import Cluster, Objects
from ..plan.statements import role_shown, shown
from ..policy.model import PUBLIC
from . import below
from .below import Beyond
from .reach import Link, Reach, Way
from .things import BITS, COLUMNS, EVERYTHING, OWNER, Thing, Things, words

WRITES = {name: BITS[name] for name in ("INSERT", "UPDATE", "DELETE", "TRUNCATE")}
WRITE = sum(WRITES.values())


class Group(t.NamedTuple):
    """What one role can do by one path to many things at once.

    ``holder`` is whose privilege it is (a role, PUBLIC, or EVERYTHING), ``numbers`` are of Things. ``usable`` is false
    in a schema without USAGE: then the privilege is none, but for code that names the thing by its oid. ``via`` are the
    links of the views and rules that it leads through.
    """

    role: str
    way: Way
    holder: str
    path: tuple[str, ...]
    bits: int
    numbers: t.Sequence[int]
    usable: bool
    via: tuple[Link, ...] = ()


class Row(t.NamedTuple):
    """One role, one thing, one path."""

    role: str
    kind: str
    object: str
    privileges: tuple[str, ...]
    path: tuple[str, ...]
    usable: bool


class _Code(t.NamedTuple):
    """Code that acts as ``owner`` for whoever holds one of ``bits`` on the thing ``number``."""

    kind: str
    number: int
    bits: int
    owner: str
    step: str
    link: Link


class Effective:
    """What *roles* (default: those that can log in) can do with what is in *objects*."""

    def __init__(self, cluster: Cluster, objects: Objects, roles: t.Collection[str] | None = None) -> None:
        self.cluster = cluster
        self.objects = objects
        self.reach = Reach(cluster, objects.database)
        self.things = Things(cluster, objects)
        wanted = cluster.roles if roles is None else roles
        self.roles = tuple(
            sorted(
                name for name in wanted if name in cluster.roles and (roles is not None or cluster.roles[name].login)
            )
        )
        self._schemas = {one.name: number for number, one in enumerate(self.things.all) if one.noun == "schema"}
        self._database = next(iter(self.things.find("database")), None)
        self._connects: dict[str, bool] = {}
        self._ways: dict[str, list[Way]] = {}
        self._usages: dict[str, dict[str, bool]] = {}
        self._holders: dict[str, dict[str, tuple[str, ...]]] = {}
        self._code = self._all_code()
        self._known_below: dict[tuple[str, str], list[tuple[Beyond, tuple[Link, ...], str | None]]] = {}
        self.beyond = below.find(objects, self.things, self.mask)
        # The same of what is in the scope, made once: with the number, the privilege and the schema there.
        inside = self.things.outside
        self._leading = {
            number: [
                (bit, [(one, *one[:2], self.things.all[one.number].place) for one in reached if one.number < inside])
                for bit, reached in by_bit.items()
            ]
            for number, by_bit in self.beyond.items()
        }
        # Turned round: by the thing below, (the view's number, the privilege there, the one here, the steps).
        self._above: dict[int, list[tuple[int, int, int, tuple[str, ...]]]] = {}
        # The same where only the tables themselves have to do with each other: (the number, the privilege there).
        self._related: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for number, by_bit in self.beyond.items():
            for bit, reached in by_bit.items():
                for one in reached:
                    self._above.setdefault(one.number, []).append((number, bit, one.bit, one.steps))
                    if one.related and number < self.things.outside:
                        self._related.setdefault((one.number, one.bit), []).append((number, bit))

    def ways(self, role: str) -> list[Way]:
        """Every way of acting of *role*, code that acts as somebody else included."""
        if role not in self._ways:
            self._ways[role] = self._with_code(self.reach.ways(role))
        return self._ways[role]

    def mask(self, role: str, number: int) -> int:
        """What *role* holds on a thing as itself, as has_table_privilege has it: without SET ROLE, USAGE or not."""
        place = self.things.all[number].place
        bits = 0
        for holder in self.holders(role):
            bits |= self.things.of(holder).get(place, {}).get(number, 0)
        return bits

    def related(self, number: int, bit: int) -> t.Sequence[tuple[int, int]]:
        """The privileges, as (number, mask), on tables of the scope that give *bit* here as well.

        That is by inheritance, partitions or foreign keys, whatever views and rules there are.
        """
        return self._related.get((number, bit), ())

    def holders(self, role: str) -> t.Mapping[str, tuple[str, ...]]:
        """Whose privileges count when *role* acts, each with its chain of memberships."""
        if role not in self._holders:
            superuser = self.reach.superuser(role)
            self._holders[role] = {EVERYTHING: ()} if superuser else {**self.reach.inherited(role), PUBLIC: ()}
        return self._holders[role]

    def connects(self, role: str) -> bool:
        """Whether *role* may connect to the database: by itself, since SET ROLE comes after."""
        if role not in self._connects:
            number = self._database
            self._connects[role] = number is None or bool(self.mask(role, number) & BITS["CONNECT"])
        return self._connects[role]

    def usable(self, acting: str, place: str) -> bool:
        """Whether *acting* may name what is in the schema *place* ("": what has none)."""
        known = self._usages.setdefault(acting, {})
        if place not in known:
            number = self._schemas.get(shown(place)) if place else None
            # A schema that isn't in the snapshot is PostgreSQL's own, which everybody may use.
            known[place] = number is None or bool(self.mask(acting, number) & BITS["USAGE"])
        return known[place]

    def schemas(self, names: t.Collection[str]) -> list[int]:
        """The numbers of the schemas of these *names*."""
        return [self._schemas[shown(name)] for name in sorted(names) if shown(name) in self._schemas]

    def groups(self, roles: t.Iterable[str] | None = None) -> t.Iterator[Group]:
        """Everything that *roles* (default: ``self.roles``) can do: things alike in path and privileges at once."""
        for role in self.roles if roles is None else roles:
            # A longer way to what a shorter one gives already, on nothing but that one's links, is no other path.
            done: dict[tuple[str, str], list[frozenset[Link]]] = {}
            for way in self.ways(role):
                yield from self._groups(role, way, done)

    def rows(self, roles: t.Iterable[str] | None = None) -> t.Iterator[Row]:
        """``groups``, one thing at a time."""
        things = self.things.all
        for group in self.groups(roles):
            said = words(group.bits)
            path = (*group.path, "owner") if group.bits & OWNER and group.holder != EVERYTHING else group.path
            for number in group.numbers:
                thing = things[number]
                yield Row(group.role, thing.noun, thing.name, said, path, group.usable)

    def can(self, role: str, schema: str, name: str, privilege: str) -> tuple[str, ...] | None:
        """The shortest path by which *role* has *privilege* (on some column at least) on a relation; None: by none."""
        number = self.things.relations.get((schema, name))
        if number is None or not self.connects(role):
            return None
        wanted = OWNER if privilege == "OWNER" else BITS[privilege] | BITS[privilege] << COLUMNS
        best: tuple[str, ...] | None = None
        for way in self.ways(role):
            for holder, bits, path in self._on(way, number):
                if bits & wanted and (best is None or len(path) < len(best)):
                    best = (*path, "owner") if bits & OWNER and holder != EVERYTHING else path
        return best

    def who(self, schema: str, name: str, privilege: str) -> dict[str, tuple[str, ...]]:
        """Which of ``self.roles`` ``can``, each with its path."""
        found = {role: self.can(role, schema, name, privilege) for role in self.roles}
        return {role: path for role, path in found.items() if path is not None}

    def _on(self, way: Way, number: int) -> t.Iterator[tuple[str, int, tuple[str, ...]]]:
        """(holder, mask, path) on one thing, by views and rules too."""
        place = self.things.all[number].place
        if way.code or self.usable(way.acting, place):
            for holder in self.holders(way.acting):
                bits = self.things.of(holder).get(place, {}).get(number, 0)
                if bits:
                    yield holder, bits, self._path(way, holder)
        for above, bit, reached, steps in self._above.get(number, ()):
            if self._holds(way, above, bit):
                yield EVERYTHING, reached, (*way.path, *steps)

    def _holds(self, way: Way, number: int, bits: int) -> bool:
        """Whether *way* has one of *bits*, on some column at least, and may name the thing."""
        held = self.mask(way.acting, number)
        usable = way.code or self.usable(way.acting, self.things.all[number].place)
        return usable and bool(held & (bits | bits << COLUMNS))

    def _reaches(self, way: Way, number: int, bits: int) -> bool:
        """``_holds``, or by a view or a rule."""
        return self._holds(way, number, bits) or any(
            reached & bits and self._holds(way, above, bit)
            for above, bit, reached, steps in self._above.get(number, ())
        )

    def _path(self, way: Way, holder: str) -> tuple[str, ...]:
        if holder == EVERYTHING:
            return (*way.path, "superuser")
        if holder == PUBLIC:
            return (*way.path, role_shown(PUBLIC))
        return (*way.path, *(f"member of {shown(role)}" for role in way.holders.get(holder, ())))

    def links(self, way: Way, holder: str) -> tuple[Link, ...]:
        """What it rests on that *holder*'s privileges count when acting by *way*."""
        if holder == EVERYTHING:
            return (*way.links, (way.acting, f"role {shown(way.acting)}", "SUPERUSER"))
        if holder == PUBLIC:
            return way.links
        return (*way.links, *self.reach.links(way.acting, way.holders.get(holder, ())))

    def _groups(self, role: str, way: Way, done: dict[tuple[str, str], list[frozenset[Link]]]) -> t.Iterator[Group]:
        for holder in self.holders(way.acting):
            grouped_by_place = self.things.groups(holder)
            if not grouped_by_place:
                continue
            path = self._path(way, holder)
            links = frozenset(self.links(way, holder))
            for place, grouped in grouped_by_place.items():
                usable = way.code or self.usable(way.acting, place)
                before = done.setdefault((holder, place if usable else f"{place} unusable"), [])
                if any(one <= links for one in before):
                    continue
                before.append(links)
                for bits, numbers in grouped.items():
                    yield Group(role, way, holder, path, bits, numbers, usable)
                if self.beyond and usable:
                    yield from self._below(role, way, holder, path, place)

    def _below(self, role: str, way: Way, holder: str, path: tuple[str, ...], place: str) -> t.Iterator[Group]:
        if (holder, place) not in self._known_below:
            self._known_below[holder, place] = list(self._held_below(holder, place))
        for one, via, held_in in self._known_below[holder, place]:
            # What it holds there itself is told already, unless a schema is in the way.
            if held_in is not None and (way.code or self.usable(way.acting, held_in)):
                continue
            yield Group(role, way, holder, (*path, *one.steps), one.bit, (one.number,), True, via)

    def _held_below(self, holder: str, place: str) -> t.Iterator[tuple[Beyond, tuple[Link, ...], str | None]]:
        """What *holder*'s privileges in *place* lead to, by what, and the schema where it holds the same itself."""
        masks = self.things.of(holder).get(place, {})
        for number in self._leading.keys() & masks.keys():
            held = masks[number]
            for bit, reached in self._leading[number]:
                if not held & (bit | bit << COLUMNS):
                    continue
                for one, below_number, below_bit, there in reached:
                    at = masks if there == place else self.things.of(holder).get(there, {})
                    has = at.get(below_number, 0) & below_bit
                    # In a usable schema it is told already; this one is.
                    if not has or there != place:
                        rule = () if one.rule is None else ((holder, *one.rule),)
                        yield one, (self.link(holder, number, held, bit), *rule), there if has else None

    def link(self, holder: str, number: int, held: int, bit: int) -> Link:
        """What *holder*'s privilege *bit* on a thing rests on, where it holds *held*."""
        thing: Thing = self.things.all[number]
        if held & OWNER and holder != EVERYTHING:
            return (thing.owner, str(thing), "OWNER")
        word = next((word for word in words(bit & held)), None) or words(bit << COLUMNS & held)[0]
        return (holder, str(thing), word)

    # Code that acts as somebody else.

    def _all_code(self) -> list[_Code]:
        found = []
        for routine in (*self.objects.routines, *self.objects.outside_routines):
            if routine.definer:
                number = self.things.routines[routine.schema, routine.name, routine.arguments]
                step = f"runs {self.things.all[number].name} as {shown(routine.owner)}"
                link = (PUBLIC, str(self.things.all[number]), "EXECUTE")
                found.append(_Code("definer", number, BITS["EXECUTE"], routine.owner, step, link))
        for trigger in self.objects.triggers:
            number_of = self.things.by_oid.get(trigger.oid)
            if trigger.definer and trigger.enabled and number_of is not None:
                name = self.things.all[number_of].name
                step = f"fires trigger {shown(trigger.name)} on {name} as {shown(trigger.owner)}"
                link = ("", f"trigger {shown(trigger.name)} on {name}", "TRIGGER")
                found.append(_Code("trigger", number_of, WRITE, trigger.owner, step, link))
        return found

    def _with_code(self, ways: list[Way]) -> list[Way]:
        """*ways*, and one for each routine and trigger that acts as somebody whom none of them is already."""
        if not self._code:
            return ways
        if any(self.reach.superuser(way.acting) for way in ways):
            return ways
        own = {way.acting for way in ways} | {holder for way in ways for holder in way.holders}
        done: set[tuple[int, str, str]] = set()
        new = list(ways)
        while new:
            way = new.pop(0)
            if self.reach.superuser(way.acting):
                continue
            for code in self._code:
                key = (code.number, code.owner, code.step)
                if code.owner in own or key in done or not self._reaches(way, code.number, code.bits):
                    continue
                done.add(key)
                links = (*way.links, *self._why(way, code), *((code.link,) if code.kind == "trigger" else ()))
                added = Way(code.kind, code.owner, (*way.path, code.step), links, self.reach.inherited(code.owner))
                ways.append(added)
                new.append(added)
        return ways

    def _why(self, way: Way, code: _Code) -> t.Iterator[Link]:
        place = self.things.all[code.number].place
        for holder in self.holders(way.acting):
            held = self.things.of(holder).get(place, {}).get(code.number, 0)
            for bit in BITS.values():
                if code.bits & bit and held & (bit | bit << COLUMNS):
                    yield from self.reach.links(way.acting, way.holders.get(holder, ()))
                    yield self.link(holder, code.number, held, bit)
                    return


def listed(effective: Effective, roles: t.Iterable[str]) -> list[dict[str, t.Any]]:
    """What *roles* can do as JSON has it: things of one kind that are alike in path and privileges share an element."""
    found: dict[tuple[t.Any, ...], list[str]] = {}
    for row in effective.rows(roles):
        found.setdefault((row.role, row.path, row.kind, row.privileges, row.usable), []).append(row.object)
    return [
        {
            "role": role,
            "database": effective.objects.database,
            "path": list(path),
            "kind": kind,
            "privileges": list(privileges),
            "objects": objects,
            "usable": usable,
        }
        for (role, path, kind, privileges, usable), objects in found.items()
    ]
