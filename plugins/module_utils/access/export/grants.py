# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what roles hold as few grants of a policy: by whole schemas, with exceptions, and for several roles at once."""

from __future__ import annotations

import dataclasses
import typing as t

from ..policy.model import PRIVILEGES, Pattern
from ..policy.patterns import written as pattern_written

# An exception for every so many objects is still a whole schema with exceptions; beyond that the objects are listed.
OBJECTS_AN_EXCEPTION = 4
KIND_ORDER = {kind: number for number, kind in enumerate(PRIVILEGES)}
Target = t.Union[str, Pattern]  # noqa: UP007 (evaluated at run time)
# What is granted on, and the exceptions.
Place = tuple[tuple[Target, ...], tuple[Pattern, ...]]
Key = t.TypeVar("Key")
Value = t.TypeVar("Value")


@dataclasses.dataclass(frozen=True)
class Given:
    """What one role is given on objects of one kind, a key of model.PRIVILEGES; the rest as in model.Grant."""

    kind: str
    role: str
    privileges: frozenset[str]
    targets: tuple[Target, ...]
    option: bool = False
    excepted: tuple[Pattern, ...] = ()
    columns: tuple[str, ...] = ()
    future: bool = False


class Cover(t.NamedTuple):
    """Privileges on ``objects``; or, if ``whole``, on all of the schema but these."""

    privileges: frozenset[str]
    whole: bool
    objects: tuple[int, ...]


def cover(
    held: t.Mapping[int, frozenset[str]], every: t.Collection[int], free: t.Collection[int], *, whole_from: int = 2
) -> list[Cover]:
    """Say *held* (object: privileges) of the *every* objects of a schema in as few words as it takes.

    It doesn't matter whether the *free* objects are covered: their owner needs no grant. A schema with less than
    *whole_from* objects is never covered whole: to name a single table is to say less.
    """
    bound = frozenset(every).difference(free)
    by_privilege: dict[str, set[int]] = {}
    for one, privileges in held.items():
        for privilege in privileges:
            by_privilege.setdefault(privilege, set()).add(one)
    alike: dict[frozenset[int], set[str]] = {}
    for privilege, objects in by_privilege.items():
        alike.setdefault(frozenset(objects), set()).add(privilege)
    whole = len(bound) >= whole_from
    first = [_cover(frozenset(privileges), objects, bound, whole) for objects, privileges in alike.items()]
    second = _by_object(held, bound, whole)
    return min((first, second), key=lambda covers: sum(1 + len(one.objects) for one in covers))


def _by_object(held: t.Mapping[int, frozenset[str]], bound: frozenset[int], whole: bool) -> list[Cover]:
    """What all objects share, and then the objects that hold the same beyond that."""
    nothing: frozenset[str] = frozenset()
    shared = frozenset.intersection(*(held.get(one, nothing) for one in bound)) if bound and whole else nothing
    rest: dict[frozenset[str], set[int]] = {}
    for one, privileges in held.items():
        if privileges - shared:
            rest.setdefault(privileges - shared, set()).add(one)
    covers = [_cover(privileges, frozenset(objects), bound, whole) for privileges, objects in rest.items()]
    return [*([Cover(shared, True, ())] if shared else []), *covers]


def _cover(privileges: frozenset[str], objects: frozenset[int], bound: frozenset[int], whole: bool) -> Cover:
    without = bound - objects
    if whole and len(without) * OBJECTS_AN_EXCEPTION <= len(objects):
        return Cover(privileges, True, tuple(sorted(without)))
    return Cover(privileges, False, tuple(sorted(objects)))


def written(given: t.Mapping[str, t.Iterable[Given]], shared: t.Iterable[Given]) -> list[dict[str, t.Any]]:
    """The grants of a policy: *given* by database, and what the cluster's *shared* objects have."""
    where: dict[Given, list[str]] = {one: [] for one in shared}
    for database in sorted(given):
        for one in given[database]:
            where.setdefault(one, []).append(database)
    alike: dict[tuple[t.Any, ...], dict[str, list[Place]]] = {}
    for one, found in where.items():
        # A grant names its databases unless it holds in all of them.
        databases = () if len(found) == len(given) else tuple(found)
        key = (one.kind, one.privileges, one.option, one.columns, one.future, databases)
        alike.setdefault(key, {}).setdefault(one.role, []).append((one.targets, one.excepted))
    grants = []
    for key, by_role in alike.items():
        by_place: dict[Place, list[str]] = {}
        for role, places in by_role.items():
            for place in places:
                by_place.setdefault(place, []).append(role)
        # Roles that hold the same everywhere, or places where the same roles do: what makes fewer grants.
        roles_first = _grouped((_joined(places), role) for role, places in by_role.items())
        places_first = _grouped((tuple(sorted(roles)), place) for place, roles in by_place.items())
        if len(roles_first) <= len(places_first):
            grants += [_grant(sorted(roles), _joined([place]), *key) for place, roles in roles_first.items()]
        else:
            grants += [_grant(list(roles), _joined(places), *key) for roles, places in places_first.items()]
    return [grant for _key, grant in sorted(grants, key=lambda one: one[0])]


def _grouped(pairs: t.Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    groups: dict[Key, list[Value]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def _joined(places: t.Iterable[Place]) -> Place:
    """All of *places* in one: an exception is of its own schema, and reaches no other's objects."""
    targets: set[Target] = set()
    excepted: set[Pattern] = set()
    for some, but in places:
        targets.update(some)
        excepted.update(but)
    return _sorted(targets), t.cast("tuple[Pattern, ...]", _sorted(excepted))


def _sorted(targets: t.Iterable[Target]) -> tuple[Target, ...]:
    return tuple(sorted(targets, key=_order))


def _order(target: Target) -> tuple[str, ...]:
    # Large objects are numbers: by length first.
    if isinstance(target, str):
        return (f"{len(target):03d}" if target.isdigit() else "", target)
    return (target.schema, target.name, target.arguments or "")


def _grant(
    roles: list[str],
    place: Place,
    kind: str,
    privileges: frozenset[str],
    option: bool,
    columns: tuple[str, ...],
    future: bool,
    databases: tuple[str, ...],
) -> tuple[tuple[t.Any, ...], dict[str, t.Any]]:
    """The grant as it is written, with what it is sorted by."""
    targets, excepted = place
    words = privilege_words(kind, privileges)
    on: dict[str, t.Any] = {kind: one_or_list([_target(one) for one in targets])}
    if excepted:
        on["except"] = one_or_list([_target(one) for one in excepted])
    if columns:
        on["columns"] = list(columns)
    grant: dict[str, t.Any] = {"to": one_or_list(roles), "on": on, "privileges": words}
    if future:
        grant["future"] = True
    if option:
        grant["grant_option"] = True
    if databases:
        grant["databases"] = list(databases)
    order = [PRIVILEGES[kind].index(word.upper()) for word in words]
    places = tuple(_order(one) for one in targets)
    return (KIND_ORDER[kind], databases, places, columns, order, option, future, roles), grant


def privilege_words(kind: str, privileges: t.Collection[str]) -> list[str]:
    """Privileges as the policy has them, in PostgreSQL's order."""
    return [privilege.lower() for privilege in PRIVILEGES[kind] if privilege in privileges]


def one_or_list(items: t.Sequence[t.Any]) -> t.Any:
    """A single item stands for itself."""
    return items[0] if len(items) == 1 else list(items)


def _target(target: Target) -> t.Any:
    return target if isinstance(target, str) else pattern_written(target)
