# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One step: its rows saved, its statement run, and what it has touched held against what the plan declares."""

from __future__ import annotations

import dataclasses
import typing as t

from .interface import (
    DDL,
    DELETE,
    INSERT,
    TRUNCATE,
    UPDATE,
    CarryingError,
    Counts,
    Database,
    Defined,
    Place,
    Relation,
    Sink,
    Values,
)
from .plan import Plan, Step
from .records import Save
from .undo import DELETED, INSERTED, UPDATED, Table

_DONE = {DELETE: DELETED, TRUNCATE: DELETED, UPDATE: UPDATED}


@dataclasses.dataclass(frozen=True)
class Ran:
    """What a step did: the rows that it counts (None: none are counted), and how many were saved."""

    rows: int | None
    saved: int


class _Held:
    """Rows of a step that declares cascades, until it is seen which of them it has touched."""

    def __init__(self) -> None:
        self._parts: list[tuple[str, Table, dict[Place, Values]]] = []
        self.rows = 0

    def part(
        self, done: str, table: Table, rows: t.Iterable[tuple[Place, Values]], limit: t.Callable[[], None]
    ) -> None:
        """Hold *rows* of *table*; *limit* is asked at each."""
        held: dict[Place, Values] = {}
        self._parts.append((done, table, held))
        for place, values in rows:
            held[place] = values
            self.rows += 1
            limit()

    def write(self, step: Step, sink: Sink, live: t.Collection[Place]) -> None:
        """Those that are no more as they were, to *sink*."""
        for done, table, rows in self._parts:
            sink.table(step.id, done, table)
            for place, values in rows.items():
                if place not in live:
                    sink.row(values)
        self._parts, self.rows = [], 0


class Touching:
    """Runs the steps of *plan*."""

    def __init__(self, plan: Plan, database: Database, sink: Sink) -> None:
        self._plan = plan
        self._database = database
        self._sink = sink
        self._counts: dict[int, Counts] = {}
        self._defined = Defined()
        self._held = _Held()

    def run(self, step: Step, saves: t.Sequence[Save]) -> Ran:
        """Run *step*, whose rows are those of the *saves*; CarryingError where it did not what is expected of it."""
        before = self._sink.rows
        operation, relations = self._targets(step, saves)
        saved: set[Place] = set()
        pairs = list(zip(relations, saves, strict=False))
        for relation, save in self._ordered(pairs) if operation == TRUNCATE else pairs:
            self._save(step, operation, relation, save, saved)
        looked = {oid: {place for place, _row in self._database.written(oid)} for oid in self._may_add(operation, step)}
        self._defined = self._database.defined()
        rows = self._database.run(step.sql)
        tree = frozenset[int]().union(*(relation.tree for relation in relations))
        self._check_defined(f"step {step.id}: it", operation, tree)
        touched = self._touched()
        mine = {place for place in saved if place[0] in tree}
        self._judge(step, operation, tree, saved, touched)
        live = self._database.live(saved)
        if live & mine:
            raise CarryingError(f"step {step.id}: rows that it was to touch are still there as they were")
        self._check_others(step, saved - mine, live, touched)
        self._held.write(step, self._sink, live)
        for oid, counts in touched.items():
            if counts.inserted and not (operation == UPDATE and oid in tree) and operation != DDL:
                self._keep_new(step, oid, counts, looked.get(oid, set()))
        if operation == TRUNCATE:
            rows = len(mine)
        if step.rows is not None:
            self._expect(step, rows)
        return Ran(rows if step.rows is not None else None, self._sink.rows - before)

    def settle(self) -> None:
        """Have done what was put off to COMMIT; CarryingError where that touches rows, or more."""
        self._defined = self._database.defined()
        self._database.check_constraints()
        self._check_defined("what was put off to COMMIT", "", frozenset())
        touched = self._touched()
        if touched:
            names = self._named(touched)
            raise CarryingError(f"what was put off to COMMIT touches rows of {names}, which no step saved")

    def _expect(self, step: Step, rows: int | None) -> None:
        if rows is None or step.rows is None or not step.rows.met_by(rows):
            raise CarryingError(f"step {step.id}: it touched {rows} rows, and {step.rows} were expected")

    # --- Before the statement -----------------------------------------------------------------------------------------
    def _targets(self, step: Step, saves: t.Sequence[Save]) -> tuple[str, list[Relation]]:
        """What the step does, and the tables that it names; CarryingError where it may not."""
        if step.allow_ddl:
            return DDL, []
        if step.allow_truncate:
            operation, names = TRUNCATE, [(save.schema, save.table) for save in saves]
        else:
            operation, *name = self._database.target(step.sql)
            names = [(name[0], name[1])]
        kept = [(save.schema, save.table) for save in saves]
        # A view is no table of its own to the server, but to the statement.
        relations = [self._database.relation(*name) for name in (kept if operation in _DONE else names)]
        for relation in relations:
            self._admit(step, operation, relation)
        if operation in _DONE and kept != names:
            raise CarryingError(f"step {step.id}: the rehearsal saves rows of other tables than it touches")
        return operation, relations

    def _admit(self, step: Step, operation: str, relation: Relation) -> None:
        if relation.problem:
            raise CarryingError(f"step {step.id}: {relation.name} {relation.problem}")
        undeclared = [one for one in self._database.triggers(relation, operation) if one not in step.triggers]
        if undeclared:
            raise CarryingError(
                f"step {step.id}: it fires {', '.join(undeclared)}, which it does not declare under triggers"
            )

    def _save(self, step: Step, operation: str, relation: Relation, save: Save, saved: set[Place]) -> None:
        if operation not in _DONE:
            raise CarryingError(f"step {step.id}: the rehearsal saves rows, and it touches none that are there")
        # TRUNCATE empties no table that it does not name.
        if step.cascades and operation != TRUNCATE:
            # What refers to rows comes before them: the undo, from the last to the first, brings those back first.
            places = self._database.places(save.query)
            saved.update(places)
            self._follow(step, operation, relation, places, saved)
            rows = dict(self._database.rows(save.query))
            saved.update(rows)
            self._held.part(_DONE[operation], relation.table, rows.items(), self._limit)
            return
        self._sink.table(step.id, _DONE[operation], relation.table)
        for place, values in self._database.rows(save.query):
            saved.add(place)
            self._sink.row(values)
            self._limit()

    def _follow(self, step: Step, operation: str, relation: Relation, places: set[Place], saved: set[Place]) -> None:
        """Save the rows that foreign keys will reach from those in *places*, as far as *step* declares their tables."""
        for link in self._database.links(relation, operation):
            if f"{link.schema}.{link.name}" not in step.cascades:
                # Where it has rows, they will be counted.
                continue
            deletes = link.deletes and operation == DELETE
            other = self._database.relation(link.schema, link.name)
            self._admit(step, DELETE if deletes else UPDATE, other)
            rows = {place: values for place, values in self._database.linked(link, places) if place not in saved}
            saved.update(rows)
            if deletes and rows:
                self._follow(step, operation, other, set(rows), saved)
            self._held.part(DELETED if deletes else UPDATED, other.table, rows.items(), self._limit)

    def _ordered(self, pairs: t.Sequence[tuple[Relation, Save]]) -> list[tuple[Relation, Save]]:
        """A table after those that refer to it, as the undo needs it; those that refer to each other as they are."""
        owner = {oid: number for number, (relation, _save) in enumerate(pairs) for oid in relation.tree}
        found = {(owner[one], owner[other]) for one, other in self._database.referring(owner)}
        waiting, ordered = list(range(len(pairs))), []
        while waiting:
            free = [n for n in waiting if not any(one in waiting and other == n != one for one, other in found)]
            ordered.append((free or waiting)[0])
            waiting.remove(ordered[-1])
        return [pairs[number] for number in ordered]

    def _limit(self) -> None:
        if self._sink.rows + self._held.rows > self._plan.max_rows:
            raise CarryingError(f"more rows would be touched than max_rows, which is {self._plan.max_rows}")

    def _may_add(self, operation: str, step: Step) -> list[int]:
        """Tables that this transaction has written to and to which this step may add."""
        adds = operation == INSERT or bool(step.cascades or step.triggers)
        return list(self._counts) if adds else []

    # --- After it -----------------------------------------------------------------------------------------------------
    def _touched(self) -> dict[int, Counts]:
        """What was touched since this was asked last, by table."""
        now, was = self._database.counts(), self._counts
        self._counts = now
        found = {}
        for oid, counts in now.items():
            old = was.get(oid, Counts())
            # TRUNCATE sets them back.
            new = Counts(
                max(0, counts.inserted - old.inserted),
                max(0, counts.changed - old.changed),
                max(0, counts.deleted - old.deleted),
            )
            if new != Counts():
                found[oid] = new
        return found

    def _check_defined(self, what: str, operation: str, tree: frozenset[int]) -> None:
        """CarryingError where more than rows was changed: neither TRUNCATE nor a definition is counted."""
        if operation == DDL:
            return
        was, now = self._defined, self._database.defined()
        taken, classes = now.taken - was.taken, now.classes - was.classes
        if operation == TRUNCATE:
            taken, classes = taken - self._database.parts(tree), 0
        if taken or classes or now.written != was.written:
            names = f" ({self._named(taken)})" if taken else ""
            raise CarryingError(
                f"{what} changes definitions, or empties tables or locks them{names}, which no step says"
            )

    def _check_others(self, step: Step, saved: set[Place], live: set[Place], touched: t.Mapping[int, Counts]) -> None:
        """CarryingError where of another table other rows were changed than those that were *saved*."""
        gone = dict.fromkeys((oid for oid, _ctid in saved), 0)
        for oid, _ctid in saved - live:
            gone[oid] += 1
        missed = [oid for oid, count in gone.items() if touched.get(oid, Counts()).changed != count]
        if missed:
            raise CarryingError(f"step {step.id}: of {self._named(missed)} other rows were touched than were saved")

    def _judge(
        self,
        step: Step,
        operation: str,
        tree: frozenset[int],
        saved: set[Place],
        touched: dict[int, Counts],
    ) -> None:
        """CarryingError where other rows were touched than were saved, or other tables than are declared."""
        kept: dict[int, int] = {}
        for oid, _ctid in saved:
            kept[oid] = kept.get(oid, 0) + 1
        for oid, counts in touched.items():
            mine = oid in tree
            if operation == TRUNCATE and mine:
                continue
            changes = mine and operation in (UPDATE, DELETE)
            # A row that moves to another partition is inserted there.
            adds = operation == DDL or (mine and (operation == INSERT or (operation == UPDATE and len(tree) > 1)))
            wrong = (counts.changed and not changes) or (counts.inserted and not adds)
            if wrong and not any(name in step.cascades for name in self._database.names(oid)):
                raise CarryingError(
                    f"step {step.id}: it touches rows of {self._named([oid])}, which it does not declare under cascades"
                )
            if counts.changed > kept.get(oid, 0):
                raise CarryingError(
                    f"step {step.id}: it touches {counts.changed} rows of {self._named([oid])}, of which "
                    f"{kept.get(oid, 0)} were saved"
                )
        if operation == UPDATE:
            here = [counts for oid, counts in touched.items() if oid in tree]
            if sum(one.inserted for one in here) != sum(one.deleted for one in here):
                names = self._named(oid for oid, counts in touched.items() if oid in tree and counts.inserted)
                raise CarryingError(f"step {step.id}: it adds rows to {names} beside those that it moves")
        if operation in (UPDATE, DELETE):
            missed = [oid for oid in tree & kept.keys() if touched.get(oid, Counts()).changed != kept[oid]]
            if missed:
                raise CarryingError(f"step {step.id}: of {self._named(missed)} other rows were touched than were saved")

    def _keep_new(self, step: Step, oid: int, counts: Counts, looked: set[Place]) -> None:
        relation = self._database.relation_of(oid)
        if counts.changed:
            raise CarryingError(f"step {step.id}: it both adds to {relation.name} and changes it: make two steps of it")
        self._sink.table(step.id, INSERTED, relation.table)
        before = self._sink.rows
        for place, values in self._database.written(oid):
            if place not in looked:
                self._sink.row(values)
                self._limit()
        if self._sink.rows - before != counts.inserted:
            raise CarryingError(f"step {step.id}: the rows that it adds to {relation.name} can't be told from others")

    def _named(self, oids: t.Iterable[int]) -> str:
        return ", ".join(sorted((self._database.names(oid) or ("a table that is gone",))[0] for oid in oids))
