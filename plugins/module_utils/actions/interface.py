# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What carrying out asks of the database and of the place for saved rows: small, so that tests can stand in.

database.py is the one for PostgreSQL, saving.py that for the dump store.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .undo import Table

INSERT, UPDATE, DELETE, TRUNCATE, DDL = "INSERT", "UPDATE", "DELETE", "TRUNCATE", "DDL"
# What pg_xact_status() says, where it is asked of the server that got COMMIT.
IS_COMMITTED, IS_ABORTED, IS_ANOTHER = "committed", "aborted", "another"

# The table's oid and ctid: a version of a row.
Place: t.TypeAlias = "tuple[int, str]"
Values: t.TypeAlias = "tuple[str | None, ...]"
Answer: t.TypeAlias = "list[tuple[object, ...]]"


class CarryingError(Exception):
    """Why the action does not go on, in a sentence."""


class LostError(CarryingError):
    """The connection is gone, or the server."""


class EndedError(CarryingError):
    """A statement has ended the transaction that it ran in."""


@dataclasses.dataclass(frozen=True)
class Begun:
    """A transaction: the server's version, the transaction's id and who has logged in.

    ``cluster`` is where that id counts: the cluster's own number, its timeline, and the database's oid.
    """

    server: str
    transaction_id: str
    login: str
    cluster: str = ""


@dataclasses.dataclass(frozen=True)
class Relation:
    """A table with its columns. ``tree``: its oid and those below it. ``problem``: why no step may touch it."""

    table: Table
    oid: int
    tree: frozenset[int]
    problem: str = ""

    @property
    def name(self) -> str:
        return f"{self.table.schema}.{self.table.name}"


@dataclasses.dataclass(frozen=True)
class Link:
    """A foreign key of the table *schema*.*name* that changes its rows where those are changed that it refers to.

    ``columns`` refer to ``referred``. ``deletes``: rows are deleted, not set.
    """

    schema: str
    name: str
    columns: tuple[str, ...]
    referred: tuple[str, ...]
    deletes: bool


@dataclasses.dataclass(frozen=True)
class Counts:
    """Rows of a table that the transaction has inserted, and that it has updated or ``deleted``: both are changed."""

    inserted: int = 0
    changed: int = 0
    deleted: int = 0


@dataclasses.dataclass(frozen=True)
class Defined:
    """The tables whose locks say that more than rows was changed, and how much was written to the catalogues.

    TRUNCATE writes to pg_class alone, whose rows are the ``classes``; the rest is ``written``.
    """

    taken: frozenset[int] = frozenset()
    classes: int = 0
    written: int = 0


class Database(t.Protocol):
    """One database. Each method may raise CarryingError; LostError where the connection is gone."""

    def begin(self, emptied: t.Sequence[tuple[str, str]] = ()) -> Begun:
        """Begin the transaction, with all that is set for it; the tables that will be *emptied* are locked first."""

    def answer(self, query: str) -> Answer:
        """What *query* answers; it changes nothing."""

    def target(self, sql: str) -> tuple[str, str, str]:
        """What the statement does (`INSERT`, `UPDATE`, `DELETE`), and to which schema and table."""

    def relation(self, schema: str, name: str) -> Relation:
        """The table of this name."""

    def relation_of(self, oid: int) -> Relation:
        """The table with this oid."""

    def names(self, oid: int) -> tuple[str, ...]:
        """``schema.table`` of the table and of all above it; () where it is gone."""

    def triggers(self, relation: Relation, operation: str) -> tuple[str, ...]:
        """``schema.table.trigger`` of those that the operation fires."""

    def links(self, relation: Relation, operation: str) -> tuple[Link, ...]:
        """The foreign keys that the operation makes change rows."""

    def places(self, query: str) -> set[Place]:
        """The places of the rows that the query of a save gives."""

    def rows(self, query: str) -> t.Iterator[tuple[Place, Values]]:
        """The rows that the query of a save gives."""

    def linked(self, link: Link, places: t.Collection[Place]) -> t.Iterator[tuple[Place, Values]]:
        """The rows whose *link* refers to those in *places*, locked."""

    def written(self, oid: int) -> t.Iterator[tuple[Place, Values]]:
        """The rows of the table that this transaction has written."""

    def run(self, sql: str) -> int | None:
        """Run a step's statement: how many rows it counts."""

    def counts(self) -> dict[int, Counts]:
        """What this transaction has touched, by the tables' oids."""

    def defined(self) -> Defined:
        """What this transaction has done to more than rows."""

    def parts(self, tree: t.Collection[int]) -> frozenset[int]:
        """The tables with all that TRUNCATE takes along: indexes, and tables for long values."""

    def referring(self, oids: t.Collection[int]) -> set[tuple[int, int]]:
        """Which of the tables refers to which other of them."""

    def live(self, places: t.Collection[Place]) -> set[Place]:
        """Those of these versions of rows that are there."""

    def check_constraints(self) -> None:
        """Do now what was put off to COMMIT."""

    def locks(self) -> tuple[str, ...]:
        """The locks of this transaction on tables."""

    def wal(self) -> str:
        """The position in the WAL."""

    def keep_id(self) -> None:
        """See that the server, should it crash, gives the id of this transaction to no other."""

    def commit(self) -> None:
        """LostError where the answer was lost; CarryingError where the server did not commit."""

    def rollback(self) -> None:
        """Roll back; also where nothing was begun. EndedError where it turns out to be committed already."""

    def settled(self, transaction_id: str, cluster: str) -> str:
        """`IS_COMMITTED` or `IS_ABORTED`; `IS_ANOTHER` where it isn't *cluster*; "" where it can't be asked, or say."""


class Sink(t.Protocol):
    """Where the saved rows go."""

    @property
    def rows(self) -> int:
        """How many there are until now."""

    def table(self, step: str, done: str, table: Table) -> None:
        """What follows are rows of *table* that *step* has *done* something to."""

    def row(self, values: Values) -> None:
        """One row."""

    def finish(self) -> tuple[str, str]:
        """Bring them to where they are kept: the name there and the SHA-256, once that was acknowledged."""
