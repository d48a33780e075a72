# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a plan reads much without a time filter.

The plan decides, not the text: a filter in a subquery, in a join or behind a view is where the planner has put it, and
a condition that only looks like one ends in no scan. For each scan of a table the rows that it reads are estimated: of
a sequential scan all that the catalogue says the table has, since each is looked at; of any other scan those that the
planner expects. A LIMIT above, with nothing between that reads on, reads only as many as it needs. A scan has a time
filter where its conditions name a date or timestamp column of its table, or hold an end of the time range as a number.
The query is slow where the scans without one read more than the limit together.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

Node = t.Mapping[str, t.Any]
CONDITIONS = ("Filter", "Index Cond", "Recheck Cond", "Join Filter", "TID Cond")
# What hands rows on one by one, so that a LIMIT above stops the scan below.
STREAMING = {"Result", "Subquery Scan", "Append", "Merge Append", "ProjectSet", "Gather", "Gather Merge", "LockRows"}


@dataclasses.dataclass(frozen=True)
class Relation:
    """What the catalogue says of a table: its columns of a date or timestamp type, its rows (-1: never counted)."""

    times: frozenset[str]
    rows: float


Relations = t.Mapping[tuple[str, str], Relation]


def nodes(plan: Node) -> t.Iterator[Node]:
    """Every node of *plan*, which is what EXPLAIN (FORMAT JSON) has under ``Plan``."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def scanned(plan: Node) -> list[tuple[str, str]]:
    """Schema and name of the tables that *plan* reads; EXPLAIN has to be VERBOSE."""
    return sorted({(str(node["Schema"]), str(node["Relation Name"])) for node in nodes(plan) if _is_scan(node)})


def changes(plan: Node) -> str | None:
    """What *plan* does beside reading, in SQL's word; None where it only reads."""
    for node in nodes(plan):
        if node["Node Type"] == "ModifyTable":
            return str(node.get("Operation", "change")).upper()
        if node["Node Type"] == "LockRows":
            return "SELECT FOR UPDATE or FOR SHARE"
    return None


def slow(plan: Node, relations: Relations, limit: int, marks: t.Sequence[str] = ()) -> str | None:
    """Why *plan* is slow, None where it is not; *limit* is in rows, *marks* are the time range's ends as numbers."""
    read: dict[str, float] = {}
    for node, most in _scans(plan, None):
        relation = relations.get((str(node["Schema"]), str(node["Relation Name"])))
        if relation is not None and not _filtered(node, relation, marks):
            name = f"{node['Schema']}.{node['Relation Name']}"
            read[name] = read.get(name, 0) + _rows(node, relation, most)
    total = sum(read.values())
    if total <= limit:
        return None
    largest = sorted(read, key=lambda name: (-read[name], name))
    shown = " and ".join(largest[:2]) + (" and others" if len(largest) > 2 else "")
    return f"reads some {total:,.0f} rows of {shown} without a time filter"


def _is_scan(node: Node) -> bool:
    return "Relation Name" in node and "Scan" in str(node["Node Type"])


def _scans(node: Node, most: float | None) -> t.Iterator[tuple[Node, float | None]]:
    """The scans, each with the most rows that are asked of it: None for all."""
    if _is_scan(node):
        yield node, most
    kind = node["Node Type"]
    for child in node.get("Plans", ()):
        below = None
        if child.get("Parent Relationship") in ("Outer", "Member", "Subquery"):
            if kind == "Limit":
                below = float(node["Plan Rows"])
            elif kind in STREAMING:
                below = most
        yield from _scans(child, below)


def _rows(node: Node, relation: Relation, most: float | None) -> float:
    expected = float(node["Plan Rows"])
    every = max(relation.rows, expected) if node["Node Type"] == "Seq Scan" else expected
    if most is None:
        return every
    # With a filter of which one row in n comes through, n times as many are read.
    return min(every, most * max(every / max(expected, 1), 1))


def _filtered(node: Node, relation: Relation, marks: t.Sequence[str]) -> bool:
    alias = str(node.get("Alias", node["Relation Name"]))
    conditions = " ".join(str(node[key]) for key in CONDITIONS if key in node)
    for child in node.get("Plans", ()):
        # The index scans below a bitmap heap scan.
        if str(child["Node Type"]).startswith("Bitmap"):
            conditions += " " + " ".join(str(one.get("Index Cond", "")) for one in nodes(child))
    for column in relation.times:
        # VERBOSE writes every column with its table's alias; "time" alone is a part of a type's name too.
        name = rf"(?<![\w\"]){_either(alias)}\.{_either(column)}(?![\w\"])"
        if re.search(rf"{name}(?!\s+IS (?:NOT )?NULL)", conditions):
            return True
    return any(re.search(rf"(?<!\d){mark}(?!\d)", conditions) for mark in marks)


def _either(name: str) -> str:
    """A pattern for *name* with quotes or without, as EXPLAIN writes it."""
    quoted = '"' + name.replace('"', '""') + '"'
    return f"(?:{re.escape(name)}|{re.escape(quoted)})"
