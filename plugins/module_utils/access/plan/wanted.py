# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the policy grants on an object, looked up by its name.

Names are resolved once for all objects of a kind: a policy may have hundreds of grants, and a database ten thousand
tables.
"""

from __future__ import annotations

import bisect
import dataclasses
import typing as t

from ..policy.model import Grant, Pattern, Policy, like
from .acl import Pair

# A name and, of routines, the arguments ("" where there are none).
Key = tuple[str, str]
NO_PAIRS: frozenset[Pair] = frozenset()


class Wants(t.NamedTuple):
    """The (role, privilege) that an object's ACL shall have; ``grantable`` are those of them with grant option."""

    pairs: frozenset[Pair] = NO_PAIRS
    grantable: frozenset[Pair] = NO_PAIRS


NO_WANTS = Wants()


def wants(grants: t.Iterable[Grant]) -> Wants:
    """What all of *grants* give together."""
    pairs: set[Pair] = set()
    grantable: set[Pair] = set()
    for grant in grants:
        given = {(role, privilege) for role in grant.to for privilege in grant.privileges}
        pairs |= given
        if grant.grant_option:
            grantable |= given
    return Wants(frozenset(pairs), frozenset(grantable)) if pairs else NO_WANTS


@dataclasses.dataclass
class _Place:
    """One schema: the numbers of the grants that reach all of it, and by object those that reach it or except it."""

    keys: list[Key]
    whole: set[int] = dataclasses.field(default_factory=set)
    some: dict[Key, set[int]] = dataclasses.field(default_factory=dict)
    without: dict[Key, set[int]] = dataclasses.field(default_factory=dict)


class Lying:
    """The grants on objects of one kind that lie in schemas."""

    def __init__(self, policy: Policy, grants: t.Sequence[Grant], there: t.Iterable[tuple[str, str, str]]) -> None:
        """*there* are the (schema, name, arguments) of all that may be looked up."""
        self.grants = grants
        self.places: dict[str, _Place] = {}
        if not grants:
            return
        for schema, name, arguments in there:
            self.places.setdefault(schema, _Place([])).keys.append((name, arguments))
        for place in self.places.values():
            place.keys.sort()
        # A * stands for schemas of the scope only: PostgreSQL's own are named.
        self.scope = [schema for schema in self.places if policy.in_scope(schema)]
        for number, grant in enumerate(grants):
            for pattern in grant.patterns:
                for place in self._places(pattern):
                    if pattern.whole_schema:
                        place.whole.add(number)
                    else:
                        for key in _meant(pattern, place.keys):
                            place.some.setdefault(key, set()).add(number)
            for pattern in grant.excepted:
                for place in self._places(pattern):
                    for key in _meant(pattern, place.keys):
                        place.without.setdefault(key, set()).add(number)
        self.whole = {schema: frozenset(place.whole) for schema, place in self.places.items()}
        self.known: dict[frozenset[int], Wants] = {}
        self.known_columns: dict[frozenset[int], dict[str, Wants]] = {}

    def _places(self, pattern: Pattern) -> list[_Place]:
        if "*" not in pattern.schema:
            return [self.places[pattern.schema]] if pattern.schema in self.places else []
        return [self.places[schema] for schema in self.scope if like(pattern.schema, schema)]

    def _numbers(self, schema: str, name: str, arguments: str) -> frozenset[int]:
        place = self.places[schema]
        some, without = place.some.get((name, arguments)), place.without.get((name, arguments))
        if some is None and without is None:
            return self.whole[schema]
        return self.whole[schema].union(some or ()).difference(without or ())

    def wants(self, schema: str, name: str, arguments: str = "") -> Wants:
        """What is granted on the object as a whole."""
        if not self.grants:
            return NO_WANTS
        numbers = self._numbers(schema, name, arguments)
        if numbers not in self.known:
            self.known[numbers] = wants(self.grants[number] for number in numbers)
        return self.known[numbers]

    def columns(self, schema: str, name: str) -> dict[str, Wants]:
        """What is granted on the columns of a table by name, where *grants* are on columns."""
        if not self.grants:
            return {}
        numbers = self._numbers(schema, name, "")
        if numbers not in self.known_columns:
            by_column: dict[str, list[Grant]] = {}
            for number in numbers:
                for column in self.grants[number].columns:
                    by_column.setdefault(column, []).append(self.grants[number])
            self.known_columns[numbers] = {column: wants(held) for column, held in by_column.items()}
        return self.known_columns[numbers]


def _meant(pattern: Pattern, keys: list[Key]) -> t.Iterator[Key]:
    """Those of the sorted *keys* that *pattern* means: it looks only at names that begin as the pattern does."""
    exact = "*" not in pattern.name
    prefix = pattern.name.partition("*")[0]
    for number in range(bisect.bisect_left(keys, (prefix, "")), len(keys)):
        name, arguments = keys[number]
        if (name != prefix) if exact else not name.startswith(prefix):
            return
        if (exact or like(pattern.name, name)) and pattern.arguments in (None, arguments):
            yield keys[number]


def named(grants: t.Iterable[Grant], name: str) -> Wants:
    """What *grants* give on the schema, language, server, ... *name*."""
    return wants(grant for grant in grants if grant.names_one(name))
