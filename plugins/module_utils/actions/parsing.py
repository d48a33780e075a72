# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's own parser, on the controller alone: statements to trees, and the query of the rows that one touches."""

from __future__ import annotations

import functools
import json
import typing as t

from . import lint
from .nodes import Tree
from .plan import FILE, Plan, Step
from .records import Save

try:
    from pglast import ast, enums, parse_sql
    from pglast.parser import ParseError, parse_sql_json
    from pglast.stream import RawStream

    PGLAST_IMPORT_ERROR: ImportError | None = None
except ImportError as error:  # said by trees(), with what to install
    PGLAST_IMPORT_ERROR = error

# The name that no table of a plan has.
SAVED = "taaraxtak_saved"
_TOO_DEEP = "the statement is nested too deeply, or is no text that PostgreSQL reads: write it more simply"


def trees(sql: str) -> list[Tree]:
    """The statements in *sql*; ValueError where PostgreSQL could not read it either."""
    if PGLAST_IMPORT_ERROR is not None:
        raise ValueError("pglast is missing here: statements are judged on the control machine, by make's environment")
    try:
        parsed = json.loads(parse_sql_json(sql))
    except ParseError as error:
        message, place = (*error.args, 0)[:2]
        line = sql.count("\n", 0, place if isinstance(place, int) else 0) + 1
        raise ValueError(f"line {line} of the statement: {message}") from None
    except (ValueError, RecursionError):
        raise ValueError(_TOO_DEEP) from None
    return [one["stmt"] for one in parsed.get("stmts", ()) if one.get("stmt")]


def problems(plan: Plan) -> list[str]:
    """What the rules have against the statements of *plan*: a sentence each, with the rule at its end. [] is good."""
    found = []
    for step in plan.steps:
        said = _judged(f"step {step.id}", step.sql, functools.partial(lint.check_step, step=step))
        found += said or _savable(step)
    for what, queries in (("assessment", plan.assess), ("invariant", plan.invariants)):
        for one in queries:
            judge = functools.partial(lint.check_query, functions=one.functions)
            found += _judged(f"{what} {one.id}", one.query, judge)
    return found


def check(plan: Plan) -> None:
    """ValueError with all that the rules have against *plan*, one a line."""
    found = problems(plan)
    if found:
        raise ValueError(f"{FILE} may not be carried out:\n" + "\n".join(f"- {problem}" for problem in found))


def saves(sql: str) -> tuple[Save, ...]:
    """The queries that lock and give the rows which the one statement of a step will touch; none for INSERT and DDL.

    Each row is: the table that holds it (``tableoid::regclass``, below a partitioned one its partition), ``ctid``, then
    the table's columns. A row comes once, however often the statement's joins meet it.
    """
    trees(sql)
    try:
        (statement,) = (one.stmt for one in parse_sql(sql))
        return _saves(statement)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def assigned(sql: str) -> frozenset[str]:
    """The columns that the one statement of a step assigns to, where it is an UPDATE."""
    statements = trees(sql)
    updated = statements[0].get("UpdateStmt", {}) if statements else {}
    return frozenset(target["ResTarget"].get("name", "") for target in updated.get("targetList", ()))


def _saves(statement: t.Any) -> tuple[Save, ...]:
    if isinstance(statement, ast.TruncateStmt):
        return tuple(_save(target, None) for target in statement.relations or ())
    if isinstance(statement, ast.UpdateStmt):
        return (_save(statement.relation, statement, statement.fromClause),)
    if isinstance(statement, ast.DeleteStmt):
        return (_save(statement.relation, statement, statement.usingClause),)
    return ()


def _save(target: t.Any, statement: t.Any, joined: t.Any = None) -> Save:
    """The query for the rows of *target* that the condition of *statement* (None: every row) chooses."""
    schema, table = target.schemaname, target.relname
    name = target.alias.aliasname if target.alias else target.relname
    where, bound = (None, None) if statement is None else (statement.whereClause, statement.withClause)
    if joined or bound:
        # FOR UPDATE takes no DISTINCT: the rows are chosen by their places, and locked outside of the join.
        chosen = _select(name, ["tableoid", "ctid"], [target, *(joined or ())], where, bound)
        target = ast.RangeVar(schemaname=schema, relname=table, inh=target.inh, relpersistence=target.relpersistence)
        target.alias = ast.Alias(aliasname=SAVED)
        name = SAVED
        where = ast.SubLink(
            subLinkType=enums.SubLinkType.ANY_SUBLINK,
            subLinkId=0,
            testexpr=ast.RowExpr(
                args=[_column(SAVED, "tableoid"), _column(SAVED, "ctid")],
                row_format=enums.CoercionForm.COERCE_IMPLICIT_CAST,
            ),
            subselect=chosen,
        )
    query = _select(name, ["tableoid", "ctid", None], [target], where, None)
    query.lockingClause = [
        ast.LockingClause(
            lockedRels=[ast.RangeVar(relname=name, inh=True, relpersistence="p")],
            strength=enums.LockClauseStrength.LCS_FORUPDATE,
            waitPolicy=enums.LockWaitPolicy.LockWaitBlock,
        )
    ]
    return Save(schema, table, _text(query))


def _select(name: str, columns: t.Sequence[str | None], tables: t.Sequence[t.Any], where: t.Any, bound: t.Any) -> t.Any:
    """SELECT *columns* (None: all) of the table that is called *name* FROM *tables* WHERE *where*."""
    return ast.SelectStmt(
        targetList=[ast.ResTarget(val=_column(name, column)) for column in columns],
        fromClause=list(tables),
        whereClause=where,
        withClause=bound,
        limitOption=enums.LimitOption.LIMIT_OPTION_DEFAULT,
        op=enums.SetOperation.SETOP_NONE,
        all=False,
        groupDistinct=False,
    )


def _column(name: str, column: str | None) -> t.Any:
    last = ast.A_Star() if column is None else ast.String(sval=column)
    return ast.ColumnRef(fields=[ast.String(sval=name), last])


def _text(query: t.Any) -> str:
    """*query* written out, and read again: what is written is what was built, or nothing is."""
    written: str = RawStream()(query)
    (again,) = (one.stmt for one in parse_sql(written))
    if again != query:
        raise ValueError("the rows that the statement touches could not be told from it: write it more simply")
    return written


def _savable(step: Step) -> list[str]:
    try:
        saves(step.sql)
    except ValueError as error:
        return [f"step {step.id}: {error} (saving)"]
    return []


def _judged(what: str, sql: str, judge: t.Callable[[list[Tree]], list[lint.Refusal]]) -> list[str]:
    try:
        return [f"{what}: {refusal.sentence} ({refusal.rule})" for refusal in judge(trees(sql))]
    except ValueError as error:
        return [f"{what}: {error} (syntax)"]
