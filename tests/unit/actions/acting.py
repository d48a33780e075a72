"""A database that does as it is told, for the order of a transaction and what is said of its end."""

from __future__ import annotations

import typing as t

from ansible_collections.taaraxtak.production.plugins.module_utils.actions import records
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.carrying import Carried, Carrying
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.interface import (
    DELETE,
    Begun,
    Counts,
    Defined,
    Link,
    Relation,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.plan import Plan
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.undo import Column, Table
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import GOOD, read

OID = 100
TABLE = Relation(Table("public", "provider_marketshare", (Column("name", "text"),)), OID, frozenset({OID}))
OTHER = 200


class Told:
    """One table, of which 12 rows go. ``at`` names a method and what it raises; everything that is asked is noted."""

    def __init__(self, *, at: str = "", error: Exception | None = None, **changes: t.Any) -> None:
        self.at, self.error = at, error
        self.asked: list[str] = []
        self.ran = False
        self.operation = changes.get("operation", DELETE)
        self.kept = changes.get("kept", 12)
        self.count = changes.get("count", 12)
        self.touched = changes.get("touched", {OID: Counts(0, 12)})
        self.answers = changes.get("answers", {False: [(12,)], True: [(0,)]})
        self.fired = changes.get("fired", ())
        self.left = changes.get("left", 0)
        self.defines = changes.get("defines", Defined())
        self.redefined = changes.get("redefined", self.defines)
        self.late = changes.get("late", {})
        self.said = changes.get("said", "")
        self.login = changes.get("login", "dba")
        self.problem = changes.get("problem", "")
        self.invariant = changes.get("invariant", {False: [(40,)], True: [(40,)]})
        self.settles = False
        self.emptied: list[tuple[str, str]] = []

    def __getattribute__(self, name: str) -> t.Any:
        found = object.__getattribute__(self, name)
        if callable(found) and not name.startswith("_"):
            self.asked.append(name)
            if name == self.at and self.error is not None:
                # Once: what comes after it is asked of a database that works.
                self.at = ""
                raise self.error
        return found

    def begin(self, emptied: t.Sequence[tuple[str, str]] = ()) -> Begun:
        self.emptied = list(emptied)
        self.ran = False
        return Begun("17.6", "4711", self.login, "1/00000001/5")

    def answer(self, query: str) -> list[tuple[object, ...]]:
        return (self.answers if "-" in query else self.invariant)[self.ran]

    def target(self, sql: str) -> tuple[str, str, str]:
        return self.operation, "public", "provider_marketshare"

    def relation(self, schema: str, name: str) -> Relation:
        return Relation(TABLE.table, OID, TABLE.tree, self.problem)

    def relation_of(self, oid: int) -> Relation:
        return TABLE

    def names(self, oid: int) -> tuple[str, ...]:
        return ("public.provider_marketshare",) if oid == OID else ("public.other",)

    def triggers(self, relation: Relation, operation: str) -> tuple[str, ...]:
        return self.fired

    def links(self, relation: Relation, operation: str) -> tuple[Link, ...]:
        return ()

    def places(self, query: str) -> set[tuple[int, str]]:
        return {place for place, _values in self._kept()}

    def rows(self, query: str) -> t.Iterator[tuple[tuple[int, str], tuple[str | None, ...]]]:
        return iter(self._kept())

    def _kept(self) -> list[tuple[tuple[int, str], tuple[str | None, ...]]]:
        return [((OID, f"(0,{number})"), (f"name {number}",)) for number in range(self.kept)]

    def linked(self, link: Link, places: t.Any) -> t.Iterator[t.Any]:
        return iter(())

    def written(self, oid: int) -> t.Iterator[t.Any]:
        return iter(())

    def run(self, sql: str) -> int | None:
        self.ran = True
        return self.count

    def counts(self) -> dict[int, Counts]:
        return {**self.touched, **(self.late if self.settles else {})} if self.ran else {}

    def defined(self) -> Defined:
        return (self.redefined if self.settles else self.defines) if self.ran else Defined()

    def parts(self, tree: t.Collection[int]) -> frozenset[int]:
        return frozenset(tree)

    def referring(self, oids: t.Collection[int]) -> set[tuple[int, int]]:
        return set()

    def live(self, places: t.Any) -> set[tuple[int, str]]:
        return set(sorted(places)[: self.left])

    def check_constraints(self) -> None:
        self.settles = True

    def locks(self) -> tuple[str, ...]:
        return ("public.provider_marketshare RowExclusiveLock",)

    def wal(self) -> str:
        return "0/1"

    def keep_id(self) -> None:
        """Done."""

    def commit(self) -> None:
        """Done."""

    def rollback(self) -> None:
        self.ran = False

    def settled(self, transaction_id: str, cluster: str) -> str:
        assert (transaction_id, cluster) == ("4711", "1/00000001/5")
        return self.said


class Kept:
    """Takes rows; ``error``: what comes of bringing them away."""

    def __init__(self, asked: list[str], error: Exception | None = None) -> None:
        self.rows = 0
        self._asked = asked
        self._error = error

    def table(self, step: str, done: str, table: Table) -> None:
        """Noted."""

    def row(self, values: t.Any) -> None:
        self.rows += 1

    def finish(self) -> tuple[str, str]:
        self._asked.append("finish")
        if self._error is not None:
            raise self._error
        return "saved", "e" * 64


class Noted:
    """Notes the two moments among what is asked of the database; ``errors``: what a moment raises."""

    def __init__(self, asked: list[str], **errors: Exception) -> None:
        self._asked = asked
        self._errors = errors

    def begun(self, carried: Carried) -> None:
        self._note("begun")

    def committing(self, carried: Carried) -> None:
        assert carried.saved_sha256
        self._note("committing")

    def _note(self, moment: str) -> None:
        self._asked.append(moment)
        if moment in self._errors:
            raise self._errors[moment]


def carry(
    database: Told,
    *,
    commit: bool = True,
    lost: Exception | None = None,
    plan: Plan | None = None,
    **errors: Exception,
) -> Carried:
    """Carry GOOD out on *database*."""
    made = plan or read(GOOD)
    saves = {step.id: (records.Save("public", "provider_marketshare", "SELECT 1"),) for step in made.steps}
    asked = database.asked
    carrying = Carrying(made, saves, database, Kept(asked, lost), Noted(asked, **errors), lambda: 0.0, login="dba")
    return carrying.run(commit=commit)
