# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a WHERE chooses among the rows of the table that an UPDATE or DELETE is of, or takes them all."""

from __future__ import annotations

import typing as t

from .nodes import Tree, texts, walk


def chooses(body: Tree) -> bool:
    """Whether the condition of the UPDATE or DELETE *body* looks at a column of its table.

    What is the same for every row of it doesn't count: constants, a column held against itself, a query of its own,
    columns of other tables.
    """
    relation = body["relation"]
    name = relation.get("alias", {}).get("aliasname") or relation["relname"]
    try:
        return _chooses(body.get("whereClause"), name, negated=False)
    except RecursionError:
        raise ValueError("the WHERE is nested too deeply: write it more simply") from None


def _chooses(node: t.Any, name: str, *, negated: bool) -> bool:
    if not node:
        return False
    if "BoolExpr" in node:
        kind, parts = node["BoolExpr"]["boolop"], node["BoolExpr"]["args"]
        if kind == "NOT_EXPR":
            return _chooses(parts[0], name, negated=not negated)
        # One part of an OR that is true for every row makes all of it so; under NOT that is AND.
        each = all if (kind == "OR_EXPR") != negated else any
        return each(_chooses(part, name, negated=negated) for part in parts)
    if "A_Expr" in node and _against_itself(node["A_Expr"]):
        return False
    return any(_is_of(column, name) for column in _columns(node, name))


def _against_itself(expression: Tree) -> bool:
    left, right = expression.get("lexpr"), expression.get("rexpr")
    others = right["List"].get("items", ()) if isinstance(right, t.Mapping) and "List" in right else [right]
    return left is not None and any(_same(left, other) for other in others)


def _same(one: t.Any, other: t.Any) -> bool:
    """Whether two expressions are one, wherever they stand; a column may have its table's name or not."""
    if isinstance(one, t.Mapping) and isinstance(other, t.Mapping):
        if "ColumnRef" in one and "ColumnRef" in other:
            names, others = (texts(each["ColumnRef"]["fields"])[::-1] for each in (one, other))
            shorter = min(len(names), len(others))
            return names[:shorter] == others[:shorter]
        keys = (one.keys() | other.keys()) - {"location"}
        return all(_same(one.get(key), other.get(key)) for key in keys)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _columns(node: object, name: str) -> t.Iterator[list[str]]:
    """The names of the columns in *node*; of a query inside those alone that say that they are *name*'s."""
    waiting: list[tuple[object, bool]] = [(node, False)]
    while waiting:
        one, inside = waiting.pop()
        if isinstance(one, t.Mapping):
            if "SelectStmt" in one:
                if _hides(one, name):
                    continue
                inside = True
            if "fields" in one:
                parts = texts(one["fields"])
                if len(parts) > 1 or not inside:
                    yield parts
            waiting.extend((value, inside) for value in one.values())
        elif isinstance(one, list):
            waiting.extend((value, inside) for value in one)


def _hides(query: Tree, name: str) -> bool:
    """Whether *name* is a table of the query's own."""
    return any(
        node.get("aliasname") == name
        or node.get("ctename") == name
        or ("alias" not in node and node.get("relname") == name)
        for node in walk(query)
    )


def _is_of(column: t.Sequence[str], name: str) -> bool:
    return len(column) == 1 or (len(column) > 1 and column[-2] == name)
