# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the relations of one database: owners and ACLs of tables, their columns and sequences; and PostgreSQL's own.

A PostgreSQL fact that shapes it (tried on 15 to 18): REVOKE of a table's privilege takes the same privilege on its
columns along, and what was granted by means of that.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..catalog.model import Relation
from .acl import NOTHING, Acl, Change, Pair, after, after_owner_change
from .statements import Target
from .wanted import NO_WANTS, Lying, Wants
from .work import Work, relation_target, with_initial

# relkind: the noun of ALTER ... OWNER TO, and what a person calls it.
KINDS = {
    "r": "TABLE",
    "p": "TABLE",
    "v": "VIEW",
    "m": "MATERIALIZED VIEW",
    "f": "FOREIGN TABLE",
    "S": "SEQUENCE",
}


def plan_relations(work: Work) -> None:
    """Plan all relations of the scope, and those of pg_catalog and information_schema whose ACL was changed."""
    tables = [(one.schema, one.name, "") for one in work.objects.relations if one.kind != "S"]
    sequences = [(one.schema, one.name, "") for one in work.objects.relations if one.kind == "S"]
    tables += sorted({(one.schema, one.name, "") for one in work.objects.system_relations})
    wanted = {"tables": work.lying("tables", tables), "sequences": work.lying("sequences", sequences)}
    on_columns = Lying(work.policy, [grant for grant in work.grants("tables") if grant.columns], tables)
    by_oid = {relation.oid: relation for relation in work.objects.relations}
    for relation in sorted(work.objects.relations, key=lambda one: (one.schema, one.name)):
        # What an extension made has the extension's own ACL, which pg_dump leaves to it too.
        if relation.extension:
            work.leave_extension(relation_target(relation), relation.owner, relation.acl, relation.initial)
            continue
        kind = "sequences" if relation.kind == "S" else "tables"
        whole = wanted[kind].wants(relation.schema, relation.name)
        owner, acl = _owned(work, relation, by_oid)
        change = work.difference(owner, acl, whole)
        work.change(relation_target(relation), change)
        if relation.kind != "S":
            columns = _there(work, relation, on_columns.columns(relation.schema, relation.name))
            if columns or (relation.columns and work.policy.authoritative):
                _columns(work, relation, owner, change, whole, columns)
    _system(work, wanted["tables"], on_columns)


def _owned(work: Work, relation: Relation, by_oid: dict[int, Relation]) -> tuple[str, Acl]:
    """Plan the owner; who it is then, and the ACL then."""
    owner, acl = relation.owner, relation.acl
    if relation.follows is None:
        return work.owned(KINDS[relation.kind], relation_target(relation), owner, acl, relation=True)
    # Its table's ALTER ... OWNER takes it along; a table out of scope keeps its owner, and so does this.
    table = by_oid.get(relation.follows)
    if table is None or table.extension:
        return owner, acl
    new = work.new_owner(table.schema, table.owner)
    return (owner, acl) if new == owner else (new, after_owner_change(acl, owner, new))


def _there(work: Work, relation: Relation, columns: dict[str, Wants]) -> dict[str, Wants]:
    """Those of *columns* that the relation has: missing.py tells of the others."""
    names = work.objects.column_names.get((relation.schema, relation.name))
    if names is None or names.issuperset(columns):
        return columns
    return {column: wants for column, wants in columns.items() if column in names}


def _columns(
    work: Work, relation: Relation, owner: str, change: Change, whole: Wants, columns: dict[str, Wants]
) -> None:
    """Plan the columns' own ACLs, as they are after the *change* of their table's."""
    kept = {(one.grantee, one.privilege) for one in relation.acl if one.grantable and one.grantee in work.protected}
    through = whole.grantable | kept
    for column in sorted({*relation.columns, *columns}):
        acl = relation.columns.get(column, ())
        if owner != relation.owner:
            acl = after_owner_change(acl, relation.owner, owner)
        acl = _after_table(work, owner, acl, change)
        wanted = columns.get(column, NO_WANTS)
        held = {(item.grantee, item.privilege) for item in acl}
        # Who has the whole table needs no column of it; if it was granted both, what it has may stay.
        idle = {
            pair
            for pair in wanted.pairs
            if pair in whole.pairs and pair not in held and (pair in whole.grantable or pair not in wanted.grantable)
        }
        needed = Wants(wanted.pairs - idle, wanted.grantable - idle) if idle else wanted
        work.change(relation_target(relation, column), _column(work, owner, acl, needed, change, through))


def _column(work: Work, owner: str, acl: Acl, wanted: Wants, change: Change, through: t.Collection[Pair]) -> Change:
    """How a column's *acl* becomes what is *wanted*, beside the *change* of its table's.

    Statements go verb by verb, so that the table's REVOKE may come after what is first granted on the column to reach a
    third party's grant: what both are about is granted again in any case.
    """
    found = work.difference(owner, acl, wanted, through)
    options = wanted.grantable & (change.revokes | change.options)
    grants = (wanted.pairs & change.revokes) - options
    if options or grants:
        return dataclasses.replace(found, grants=found.grants | grants, grant_options=found.grant_options | options)
    return found


def _after_table(work: Work, owner: str, acl: Acl, change: Change) -> Acl:
    """What *change* of a table's ACL leaves of a column's *acl*."""
    if not acl or not (change.revokes or change.options or change.by_grantor):
        return acl
    taken = Change(options=change.options, revokes=change.revokes, by_grantor=change.by_grantor)
    return after(owner, acl, taken, work.powers)


def _system(work: Work, tables: Lying, on_columns: Lying) -> None:
    """PostgreSQL's own: what exceeds what initdb gave, and isn't the policy's, goes."""
    changes: dict[tuple[str, str], Change] = {}
    # A relation comes before its columns.
    for one in sorted(work.objects.system_relations, key=lambda one: (one.schema, one.name, one.column or "")):
        name, acl = (one.schema, one.name), one.acl
        if one.column is None:
            wanted = tables.wants(*name)
        else:
            wanted = on_columns.columns(*name).get(one.column, NO_WANTS)
            acl = _after_table(work, one.owner, acl, changes.get(name, NOTHING))
        wanted = with_initial(wanted, one.acl, one.initial)
        if one.column is None:
            change = changes[name] = work.difference(one.owner, acl, wanted)
        else:
            change = _column(work, one.owner, acl, wanted, changes.get(name, NOTHING), tables.wants(*name).grantable)
        work.change(Target("SEQUENCE" if one.kind == "S" else "TABLE", name, column=one.column), change)
