# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes of the tables and views that are there, and of a table that their owner makes for the probe."""

from __future__ import annotations

import dataclasses
import typing as t

from ..catalog.model import Objects, Relation
from ..plan.statements import Name, Part, Statement, joined, shown
from ..policy.model import Grant, Policy, like
from .rights import Given, Rights
from .sql import (
    ALLOWED,
    COLUMN,
    FRESH,
    REFUSED,
    Probe,
    any_column,
    statement,
    unless_column,
    unless_owner,
    unless_table,
)

# Tables of one role in one database, each about ten probes of a few milliseconds.
AT_MOST = 20
MAINTAIN = 170000
# A relation's kind as in pg_class: its name in DROP and ALTER.
NOUNS = {"r": "TABLE", "p": "TABLE", "f": "FOREIGN TABLE", "v": "VIEW", "m": "MATERIALIZED VIEW"}
WRITES = ("INSERT", "UPDATE", "DELETE")
DML = ("SELECT", *WRITES)
UNGIVEN: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Sample:
    """A relation, what the policy gives on it, and how many it ``stands_for``, itself included."""

    relation: Relation
    given: Given
    stands_for: int = 1


class Tables:
    """The tables and views of the scope in one database."""

    def __init__(self, policy: Policy, objects: Objects) -> None:
        self._database = objects.database
        self._schemas = sorted(schema for schema in objects.schemas if policy.in_scope(schema))
        self._policy = policy
        self._writes = {view.oid: view.writes for view in objects.views}
        self._relations = [
            one
            for one in sorted(objects.relations, key=lambda one: (one.schema, one.name))
            if one.kind in NOUNS and not one.extension and policy.in_scope(one.schema)
        ]
        # The same for those that are alike: made once, since an ACL may have hundreds of items.
        self._alike = [hash((one.schema, one.kind, one.owner, _content(one))) for one in self._relations]
        self._in_schema: dict[str, list[int]] = {}
        for number, one in enumerate(self._relations):
            self._in_schema.setdefault(one.schema, []).append(number)
        # By the grant's id(), which the policy keeps alive.
        self._grants: dict[int, tuple[int, ...]] = {}

    def probes(self, role: str, rights: Rights, version: int, *, every_table: bool) -> t.Iterator[Probe]:
        """Of what is there. What doesn't fit in AT_MOST is a probe that is left out, and says so."""
        samples = self._samples(rights, every=every_table)
        chosen = samples if every_table else samples[:AT_MOST]
        for sample in chosen:
            one = sample.relation
            found = [*self._allowed(role, sample), *self._refused(role, rights, sample, version)]
            for probe in found:
                yield dataclasses.replace(probe, user_code=True, stands_for=sample.stands_for)
            if one.kind == "f":
                # postgres_fdw and its like may ask the other server already when they plan.
                why = "planning it may reach another server"
                yield Probe(
                    role, self._database, f"DML on {shown(one.schema, one.name)}", REFUSED, statement(), left_out=why
                )
        if len(samples) > len(chosen):
            why = f"{len(samples) - len(chosen)} more groups of tables that are alike: every_table tries them"
            yield Probe(role, self._database, "more tables", REFUSED, statement(), left_out=why)

    def future(self, role: str, rights: Rights) -> t.Iterator[Probe]:
        """Of a table that the schema's owner makes a moment before: what is granted in advance, and nothing else."""
        for schema in self._schemas:
            owner = self._policy.owner_of(schema)
            if owner is None or owner in rights.held:
                continue
            tables, sequences = rights.future(schema, "tables"), rights.future(schema, "sequences")
            # A serial's INSERT needs its sequence, an identity's doesn't: each where the policy gives what it needs.
            serial = bool(sequences & {"USAGE", "UPDATE"})
            number = "serial" if serial else "integer GENERATED ALWAYS AS IDENTITY"
            kind = "a serial" if serial else "an identity"
            what = f"a table with {kind} that {shown(owner)} made in schema {shown(schema)}"
            table = Name((schema, FRESH))
            setup = (
                statement("SET LOCAL ROLE ", Name((owner,))),
                statement("CREATE TABLE ", table, f" (id {number} PRIMARY KEY, note text)"),
                statement("RESET ROLE"),
            )
            for privilege, parts in {
                "SELECT": ("SELECT note FROM ", table),
                "INSERT": ("INSERT INTO ", table, " (note) VALUES ('probe')"),
                "UPDATE": ("UPDATE ", table, " SET note = NULL"),
                "DELETE": ("DELETE FROM ", table),
                "TRUNCATE": ("TRUNCATE ", table),
            }.items():
                given = privilege in tables
                columns = privilege in ("SELECT", "INSERT", "UPDATE")
                refuse = unless_column if columns else _unless_table
                yield Probe(
                    role,
                    self._database,
                    f"{privilege} on {what}",
                    ALLOWED if given else REFUSED,
                    statement(*parts),
                    guard=None if given else refuse(role, schema, FRESH, privilege, frozenset()),
                    setup=setup,
                    user_code=True,
                )

    def _samples(self, rights: Rights, *, every: bool) -> list[Sample]:
        """*every* relation; or one of each group, and of each schema and kind one before a second of any.

        In that order a bound leaves out no schema and no kind.
        """
        grants: dict[int, list[Grant]] = {}
        for grant in rights.grants:
            for number in self._covered(grant) if grant.kind == "tables" else ():
                grants.setdefault(number, []).append(grant)
        known: dict[tuple[int, ...], tuple[Given, t.Hashable]] = {}
        # By group: its first relation, what is given on it, and of how many.
        groups: dict[t.Hashable, tuple[int, Given, int]] = {}
        for number, alike in enumerate(self._alike):
            mine = grants.get(number, ())
            by = tuple([id(grant) for grant in mine])
            if by not in known:
                given = rights.table(mine)
                known[by] = given, frozenset(given.items())
            given, same = known[by]
            key = number if every else (alike, same)
            first, given, count = groups.get(key, (number, given, 0))
            groups[key] = first, given, count + 1
        turns: dict[tuple[str, str], int] = {}
        ordered: list[tuple[int, Sample]] = []
        for first, given, count in groups.values():
            one = self._relations[first]
            turn = turns[one.schema, one.kind] = turns.get((one.schema, one.kind), 0) + 1
            ordered.append((turn, Sample(one, given, count)))
        return [sample for _turn, sample in sorted(ordered, key=lambda pair: pair[0])]

    def _covered(self, grant: Grant) -> tuple[int, ...]:
        """The relations that *grant* is of, by number. Each grant is looked at once, and in its schemas only."""
        if id(grant) not in self._grants:
            schemas = [name for name in self._schemas if any(like(one.schema, name) for one in grant.patterns)]
            numbers = [number for name in schemas for number in self._in_schema.get(name, ())]
            relations = ((number, self._relations[number]) for number in numbers)
            self._grants[id(grant)] = tuple(number for number, one in relations if grant.covers(one.schema, one.name))
        return self._grants[id(grant)]

    def _dml(self, relation: Relation) -> tuple[str, ...]:
        """What can be planned at all: a view that can't be written to is an error of another kind."""
        if relation.kind in "rp":
            return DML
        if relation.kind == "v":
            return ("SELECT", *(one for one in WRITES if one in self._writes.get(relation.oid, ())))
        return ("SELECT",) if relation.kind == "m" else ()

    def _allowed(self, role: str, sample: Sample) -> t.Iterator[Probe]:
        one = sample.relation
        for privilege in self._dml(one):
            if privilege not in sample.given:
                continue
            columns = sorted(sample.given[privilege] or ())
            guard = any_column(one.schema, one.name) if privilege == "UPDATE" and not columns else None
            what = f"{privilege} on {shown(one.schema, one.name)}" + (f" ({shown_list(columns)})" if columns else "")
            yield Probe(role, self._database, what, ALLOWED, _explain(privilege, one, columns), guard=guard)

    def _refused(self, role: str, rights: Rights, sample: Sample, version: int) -> t.Iterator[Probe]:
        one, given = sample.relation, sample.given
        if rights.owns(one.schema):
            return
        name = shown(one.schema, one.name)
        noun = NOUNS[one.kind]
        table: tuple[Part, ...] = (Name((one.schema, one.name)),)

        def probe(what: str, guard: Statement, parts: t.Iterable[Part]) -> Probe:
            return Probe(role, self._database, what, REFUSED, statement(*parts), guard=guard)

        for privilege in self._dml(one):
            columns = given.get(privilege, UNGIVEN)
            if columns is None:
                continue
            if privilege == "DELETE":
                guard = unless_table(role, one.schema, one.name, privilege)
                yield probe(f"DELETE on {name}", guard, _explain(privilege, one, ()).parts)
                continue
            guard = unless_column(role, one.schema, one.name, privilege, columns)
            besides = " (another column)" if columns else ""
            yield probe(f"{privilege} on {name}{besides}", guard, _explain(privilege, one, (COLUMN,)).parts)
        if one.kind in "rpf" and "TRUNCATE" not in given:
            guard = unless_table(role, one.schema, one.name, "TRUNCATE")
            yield probe(f"TRUNCATE {name}", guard, ("TRUNCATE ", *table))
        locking = ("UPDATE", "DELETE", "TRUNCATE", *(("MAINTAIN",) if version >= MAINTAIN else ()))
        if one.kind in "rpv" and not any(given.get(privilege, UNGIVEN) is None for privilege in locking):
            guard = unless_table(role, one.schema, one.name, ", ".join(locking))
            yield probe(f"LOCK {name} IN EXCLUSIVE MODE", guard, ("LOCK TABLE ", *table, " IN EXCLUSIVE MODE"))
        guard = unless_owner(role, one.schema, one.name, of_schema=True)
        yield probe(f"DROP {noun} {name}", guard, (f"DROP {noun} ", *table))
        change: tuple[Part, ...] = (" ADD COLUMN ", Name((FRESH,)), " integer")
        if one.kind in "vm":
            change = (" RENAME TO ", Name((FRESH,)))
        guard = unless_owner(role, one.schema, one.name, of_schema=False)
        yield probe(f"ALTER {noun} {name}", guard, (f"ALTER {noun} ", *table, *change))


def _content(one: Relation) -> int:
    """The same for ACLs, with those of the columns, that differ in nothing but their order."""
    return hash((frozenset(one.acl), frozenset((column, frozenset(acl)) for column, acl in one.columns.items())))


def _unless_table(role: str, schema: str, name: str, privilege: str, _given: frozenset[str]) -> Statement:
    return unless_table(role, schema, name, privilege)


def shown_list(columns: t.Iterable[str]) -> str:
    """Columns for a person to read."""
    return ", ".join(shown(column) for column in columns)


def _explain(privilege: str, relation: Relation, columns: t.Sequence[str]) -> Statement:
    """EXPLAIN of the DML; without *columns* of the whole table. WHERE false: should it ever run, it does nothing."""
    table = Name((relation.schema, relation.name))
    names = joined([(Name((column,)),) for column in columns])
    if privilege == "SELECT":
        # Without a column, a row as a whole: that needs SELECT on every column.
        row = Name((FRESH,))  # no column's name
        return statement("EXPLAIN SELECT ", *(names or (row,)), " FROM ", table, " AS ", row, " WHERE false")
    if privilege == "INSERT":
        values = f" VALUES ({', '.join('DEFAULT' for _column in columns)})"
        return statement(
            "EXPLAIN INSERT INTO ", table, *((" (", *names, ")", values) if columns else (" DEFAULT VALUES",))
        )
    if privilege == "UPDATE":
        sets = joined([(Name((column,)), " = DEFAULT") for column in (columns or (COLUMN,))])
        return statement("EXPLAIN UPDATE ", table, " SET ", *sets, " WHERE false")
    return statement("EXPLAIN DELETE FROM ", table, " WHERE false")
