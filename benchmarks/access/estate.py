# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database with many tables and roles, and what each role may do there: the same for the same size.

Nothing in it is beyond all of the peers: privileges come as read (SELECT) and write (everything else too), since
pgbedrock has no finer words. One login in five holds rights on single tables or columns, for which
ldap2pg has none.
"""

from __future__ import annotations

import dataclasses
import random
import typing as t

DATABASE = "bench"
CREATOR = "postgres"
SEED = 20261123
READ, WRITE = "read", "write"
# What a login gets by chance: most read.
LEVELS = (READ, READ, READ, WRITE)
ON_TABLES = {READ: ("SELECT",), WRITE: ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")}
ON_SEQUENCES = {READ: ("SELECT",), WRITE: ("SELECT", "USAGE", "UPDATE")}
# Tables are named after what they hold: FAMILY_NUMBER.
FAMILIES = ("account", "device", "event", "invoice", "journal", "measure", "order", "payment", "report", "ticket")
# Of every table: its columns and their types.
COLUMNS = {"id": "bigint", "name": "varchar(40)", "value": "integer"}
# What a column grant is on.
GRANTED_COLUMNS = ("id", "name")


@dataclasses.dataclass(frozen=True)
class Size:
    """How much of everything there is; ``logins`` log in, groups and owners come on top."""

    name: str
    tables: int
    logins: int
    schemas: int


SIZES = (Size("small", 100, 5, 2), Size("medium", 2_000, 50, 5), Size("large", 10_000, 200, 10))


@dataclasses.dataclass(frozen=True)
class Whole:
    """``role`` may read or write all of ``schema``, what its owner will make there too, without ``excepted`` tables."""

    role: str
    schema: str
    level: str
    excepted: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Single:
    """``role`` may read or write the tables of ``families``, and ``tables`` besides, of ``schema``."""

    role: str
    schema: str
    level: str
    families: tuple[str, ...]
    tables: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class OnColumns:
    """``role`` may SELECT ``columns`` of one table."""

    role: str
    schema: str
    table: str
    columns: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Estate:
    """The whole: what there is (by schema) and who may do what."""

    size: Size
    tables: t.Mapping[str, tuple[str, ...]]
    sequences: t.Mapping[str, tuple[str, ...]]
    member_of: t.Mapping[str, tuple[str, ...]]
    wholes: tuple[Whole, ...]
    singles: tuple[Single, ...]
    on_columns: tuple[OnColumns, ...]

    @property
    def schemas(self) -> tuple[str, ...]:
        return tuple(self.tables)

    @property
    def first(self) -> str:
        """The schema that has PUBLIC's USAGE, a partitioned table and what holes are planted in."""
        return self.schemas[0]

    @property
    def logins(self) -> tuple[str, ...]:
        return tuple(self.member_of)

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(group(schema, level) for schema in self.schemas for level in (READ, WRITE))

    @property
    def owners(self) -> tuple[str, ...]:
        return tuple(owner(schema) for schema in self.schemas)

    @property
    def particular(self) -> frozenset[str]:
        """Logins that hold rights on single tables or columns, or on all tables but some."""
        excepted = (whole.role for whole in self.wholes if whole.excepted)
        return frozenset({one.role for one in self.singles} | {one.role for one in self.on_columns} | set(excepted))

    def named(self, single: Single) -> tuple[str, ...]:
        """All tables of *single*, by name."""
        return tuple(
            name for name in self.tables[single.schema] if name in single.tables or family(name) in single.families
        )

    def users_of(self, schema: str) -> tuple[str, ...]:
        """Who has USAGE on *schema*: whoever may do something in it."""
        grants: t.Iterable[Whole | Single | OnColumns] = (*self.wholes, *self.singles, *self.on_columns)
        return tuple(sorted({grant.role for grant in grants if grant.schema == schema}))


def owner(schema: str) -> str:
    """Whom *schema* and all in it belongs to."""
    return f"owner_{schema}"


def group(schema: str, level: str) -> str:
    """The role whose members may read or write all of *schema*."""
    return f"{'readers' if level == READ else 'writers'}_{schema}"


def family(table: str) -> str:
    """What the table holds, by its name."""
    return table.rpartition("_")[0]


def make(size: Size) -> Estate:
    """The estate of that size, the same each time."""
    chance = random.Random(SEED + size.tables)  # noqa: S311 - a fixed course of choices, nothing secret
    schemas = [f"app_{number:02}" for number in range(size.schemas)]
    tables = {
        schema: tuple(f"{FAMILIES[n % len(FAMILIES)]}_{n:04}" for n in range(size.tables // size.schemas))
        for schema in schemas
    }
    sequences = {schema: tuple(f"number_{n:04}" for n in range(size.tables // 5 // size.schemas)) for schema in schemas}
    wholes = [Whole(group(schema, level), schema, level) for schema in schemas for level in (READ, WRITE)]
    singles: list[Single] = []
    on_columns: list[OnColumns] = []
    member_of: dict[str, tuple[str, ...]] = {}
    for number in range(size.logins):
        login = f"login_{number:03}"
        mine = chance.sample(schemas, k=min(len(schemas), 4))
        if number == 0:  # reads one schema and has nothing of its own: holes are planted for it
            member_of[login] = (group(schemas[0], READ),)
            continue
        member_of[login] = (group(mine.pop(), chance.choice(LEVELS)),)
        if number % 5 != 4:
            if len(mine) > 1:
                member_of[login] += (group(mine.pop(), READ),)
            if mine and chance.random() < 0.1:
                wholes.append(Whole(login, mine.pop(), chance.choice(LEVELS)))
            continue
        there = tables[mine[-1]]
        families = (chance.choice(FAMILIES),)
        others = tuple(sorted(chance.sample([name for name in there if family(name) not in families], k=15)))
        singles.append(Single(login, mine[-1], chance.choice(LEVELS), families, others))
        if len(mine) > 1:
            excepted = tuple(sorted(chance.sample(tables[mine[0]], k=3)))
            wholes.append(Whole(login, mine[0], READ, excepted))
            on_columns += [OnColumns(login, mine[0], name, GRANTED_COLUMNS) for name in excepted]
        else:
            rest = [name for name in there if family(name) not in families and name not in others]
            on_columns += [
                OnColumns(login, mine[0], name, GRANTED_COLUMNS) for name in sorted(chance.sample(rest, k=3))
            ]
    return Estate(size, tables, sequences, member_of, tuple(wholes), tuple(singles), tuple(on_columns))
