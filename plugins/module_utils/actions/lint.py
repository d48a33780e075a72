# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules over a plan's statements: which may run at all, and which need a flag that says so.

A statement is a tree of mappings and lists as PostgreSQL's parser gives it (parsing.py). Only what is known to be safe
passes: a kind of statement that no rule names is refused. Rules look at the whole tree, so it doesn't matter how deep
something lies.
"""

from __future__ import annotations

import typing as t

from . import statements as kinds
from .choosing import chooses
from .functions import HARMLESS, SEQUENCE, VOLATILE, never
from .nodes import Tree, texts, walk
from .plan import Step

SYSTEM_SCHEMAS = ("pg_catalog", "information_schema", "pg_toast", "pg_temp")


class Refusal(t.NamedTuple):
    """The *rule* that a statement hits, and a *sentence* that says what to write."""

    rule: str
    sentence: str


def check_step(statements: t.Sequence[Tree], step: Step) -> list[Refusal]:
    """What is wrong with the statement of a *step*; [] is good."""
    found = _one(statements)
    if found:
        return found
    kind, body = _kind(statements[0])
    allowed = [_refuse_kind(kind, body, step)]
    allowed += _flags(kind, body, step)
    if kind in kinds.CHANGES:
        allowed += _change(kind, body)
    elif kind in kinds.DDL:
        allowed += _definition(kind, body)
    else:
        # A kind that never runs: what else stands in it doesn't matter.
        return _said(allowed)
    allowed += _inside(statements[0], step.functions, sequences=True)
    return _said(allowed)


def check_query(statements: t.Sequence[Tree], functions: t.Sequence[str] = ()) -> list[Refusal]:
    """What is wrong with the query of an assessment or invariant, which may call *functions*; [] is good."""
    found = _one(statements)
    if found:
        return found
    kind, _body = _kind(statements[0])
    if kind != "SelectStmt":
        return [Refusal("not-a-query", f"{_word(kind)} is no question: write one SELECT")]
    refusals: list[Refusal | None] = [
        Refusal("locking", "it locks rows: leave FOR UPDATE and its like out")
        for node in walk(statements[0])
        if "lockingClause" in node
    ]
    return _said(refusals + _inside(statements[0], functions, sequences=False))


def _one(statements: t.Sequence[Tree]) -> list[Refusal]:
    if not statements:
        return [Refusal("one-statement", "there is no statement: write one")]
    if len(statements) > 1:
        return [Refusal("one-statement", f"there are {len(statements)} statements: make a step of each")]
    return []


def _said(found: t.Iterable[Refusal | None]) -> list[Refusal]:
    """Each refusal once, in the order found."""
    return list(dict.fromkeys(refusal for refusal in found if refusal))


def _kind(tree: Tree) -> tuple[str, Tree]:
    ((kind, body),) = tree.items()
    return kind, body


def _word(kind: str) -> str:
    return kind.removesuffix("Stmt")


# --- The statement as a whole -----------------------------------------------------------------------------------------
def _refuse_kind(kind: str, body: Tree, step: Step) -> Refusal | None:
    """Whether a step may be of this kind at all."""
    if body.get("concurrent"):
        return Refusal("concurrently", "CONCURRENTLY runs outside of a transaction: leave it out")
    if kind in kinds.CHANGES:
        return None
    if kind in kinds.DDL:
        if step.allow_ddl:
            return None
        return Refusal("ddl", f"{_word(kind)} changes the schema: write allow_ddl: true, or migrate instead")
    rule, sentence = kinds.REFUSED.get(kind, kinds.UNKNOWN)
    return Refusal(rule, sentence)


def _flags(kind: str, body: Tree, step: Step) -> t.Iterator[Refusal | None]:
    """Flags that are missing, and those that permit what isn't there: nobody is to get used to them."""
    without = kind in ("UpdateStmt", "DeleteStmt") and not chooses(body)
    if without and not step.allow_without_where:
        yield Refusal(
            "without-where",
            "it touches every row: write a WHERE that chooses by a column of the table, or allow_without_where: true",
        )
    if kind == "TruncateStmt" and not step.allow_truncate:
        yield Refusal("truncate", "TRUNCATE empties the table: write DELETE, or allow_truncate: true")
    needed = {
        "allow_without_where": without,
        "allow_truncate": kind == "TruncateStmt",
        "allow_ddl": kind in kinds.DDL,
    }
    for flag, is_needed in needed.items():
        if getattr(step, flag) and not is_needed:
            yield Refusal("needless-flag", f"{flag} permits what the statement does not do: leave it out")


# --- INSERT, UPDATE, DELETE, TRUNCATE ---------------------------------------------------------------------------------
def _change(kind: str, body: Tree) -> t.Iterator[Refusal | None]:
    for target in body["relations"] if kind == "TruncateStmt" else [{"RangeVar": body["relation"]}]:
        name = target["RangeVar"]
        # No WITH stands for the table that is changed, though it may give the same name.
        if not name.get("schemaname"):
            yield _without_schema(name["relname"])
        if _is_system(name.get("schemaname", "")):
            yield Refusal("system-table", f"{name['relname']} is PostgreSQL's own: no action changes it")
    if body.get("behavior") == "DROP_CASCADE":
        yield Refusal("cascade", "CASCADE empties what is not named: name each table")
    if body.get("restart_seqs"):
        yield Refusal("sequence", "RESTART IDENTITY moves sequences: make a step of ALTER SEQUENCE with allow_ddl")
    conflict = body.get("onConflictClause", {})
    if conflict.get("action") == "ONCONFLICT_UPDATE":
        yield Refusal(
            "upsert", "which rows it changes is not known beforehand: make a step of UPDATE and one of INSERT"
        )
    if "CurrentOfExpr" in body.get("whereClause", {}):
        yield Refusal("cursor", "there is no cursor: write which rows")
    if "returningClause" in body or "returningList" in body:
        yield Refusal("returning", "nobody reads what it returns: leave RETURNING out")
    if kind in ("UpdateStmt", "DeleteStmt"):
        chosen = [body.get(key) for key in ("whereClause", "fromClause", "usingClause", "withClause")]
        for schema, name in _functions(chosen):
            if schema in ("", "pg_catalog") and name in VOLATILE | SEQUENCE:
                yield Refusal("volatile", f"{name}() chooses other rows each time: which ones could not be saved first")
        # Without an order, the rows saved first need not be those that are touched then.
        if any(_some_of_many(node) for node in walk(chosen)):
            yield Refusal("volatile", "without ORDER BY, LIMIT, OFFSET and DISTINCT ON choose any rows: write it")


def _some_of_many(node: Tree) -> bool:
    """Whether a query takes some of its rows without saying which."""
    distinct_on = any(node.get("distinctClause") or ())
    return bool((distinct_on or "limitCount" in node or "limitOffset" in node) and "sortClause" not in node)


# --- DDL --------------------------------------------------------------------------------------------------------------
def _definition(kind: str, body: Tree) -> t.Iterator[Refusal | None]:
    for node in walk(body):
        if node.get("behavior") == "DROP_CASCADE":
            yield Refusal("cascade", "CASCADE drops what is not named: make a step of each")
        if node.get("concurrent"):
            yield Refusal("concurrently", "CONCURRENTLY runs outside of a transaction: leave it out")
        if node.get("relpersistence") == "t":
            yield Refusal("temporary", "a temporary table is gone before anybody can look: write a plain one")
    objects = {
        "DropStmt": body.get("removeType"),
        "RenameStmt": body.get("renameType"),
        "AlterTableStmt": body.get("objtype"),
    }
    what = objects.get(kind)
    if kind == "DropStmt" and what == "OBJECT_TABLE":
        yield _losing("DROP TABLE")
    if kind in objects and what not in kinds.OBJECTS:
        word = str(what).removeprefix("OBJECT_").replace("_", " ").lower()
        yield Refusal("ddl-object", f"a {word} is none of what an action may change: migrate instead")
    for command in body.get("cmds", ()):
        subtype = command["AlterTableCmd"]["subtype"]
        if subtype in kinds.LOSING:
            yield _losing(kinds.LOSING[subtype])
        elif subtype not in kinds.ALTERATIONS:
            yield Refusal(
                "ddl-alteration", f"{subtype.removeprefix('AT_')} is not what an action may do: migrate instead"
            )
    made = body.get("into", {}).get("rel")
    for name in [made, *(body.get(key) for key in ("relation", "view", "sequence"))]:
        if name and _is_system(name.get("schemaname", "")):
            yield Refusal("system-table", f"{name['relname']} is PostgreSQL's own: no action changes it")
    for dropped in body.get("objects", ()):
        parts = texts(dropped.get("List", {}).get("items", ()))
        if len(parts) < 2:
            yield Refusal(
                "without-schema", f"which {'.'.join(parts)} is meant depends on the session: write its schema"
            )
        elif _is_system(parts[-2]):
            yield Refusal("system-table", f"{parts[-1]} is PostgreSQL's own: no action changes it")


def _losing(what: str) -> Refusal:
    return Refusal(
        "rows-lost",
        f"{what} destroys what nobody has saved or counted: save it by a step of DELETE or UPDATE, and migrate instead",
    )


# --- Anywhere in the tree ---------------------------------------------------------------------------------------------
def _inside(tree: Tree, declared: t.Sequence[str], *, sequences: bool) -> list[Refusal | None]:
    found: list[Refusal | None] = []
    known = _ctes(tree)
    for depth, node in enumerate(walk(tree)):
        for key in node:
            # What isn't a SELECT runs as well where it stands inside: in WITH, or as CREATE TABLE AS EXECUTE.
            if depth and key.endswith("Stmt") and key[0].isupper() and key != "SelectStmt":
                found.append(Refusal("statement-inside", f"{_word(key)} stands inside: make a step of its own of it"))
        if node.get("intoClause"):
            found.append(Refusal("select-into", "SELECT INTO makes a table: write CREATE TABLE AS with allow_ddl"))
        if "ParamRef" in node:
            found.append(Refusal("parameter", "nothing is put in place of $1: write the value"))
        if "RangeTableSample" in node:
            found.append(Refusal("sample", "TABLESAMPLE chooses any rows: write which"))
        if "relname" in node and not node.get("schemaname") and node["relname"] not in known:
            found.append(_without_schema(node["relname"]))
        if "catalogname" in node:
            found.append(Refusal("other-database", f"leave {node['catalogname']} out: the plan names the database"))
        found += _operators(node)
        found += _attributes(node)
    for schema, name in _functions(tree):
        found.append(_function(schema, name, declared, sequences=sequences))
    return found


def _without_schema(name: str) -> Refusal:
    return Refusal("without-schema", f"which {name} is meant depends on the session: write public.{name}")


def _ctes(tree: Tree) -> set[str]:
    """The names that WITH gives."""
    return {node["ctename"] for node in walk(tree) if "ctename" in node}


def _operators(node: Tree) -> t.Iterator[Refusal | None]:
    """OPERATOR(schema.+) calls whatever function stands behind it."""
    places = [node["A_Expr"].get("name")] if "A_Expr" in node else []
    for names in (*places, node.get("operName"), node.get("useOp")):
        parts = texts(names or [])
        if len(parts) > 1 and parts[0] != "pg_catalog":
            yield Refusal("operator", f"the operator {'.'.join(parts)} is not PostgreSQL's: write what it does")


def _attributes(node: Tree) -> t.Iterator[Refusal | None]:
    """(x).f and t.f call f(x) and f(t) where there is no such column."""
    if texts(node.get("A_Indirection", {}).get("indirection", ())):
        yield Refusal("attribute", "(x).f may call the function f: write the column, or f(x)")
    parts = texts(node.get("fields", ()))
    if len(parts) > 1 and (never(parts[-1].lower()) or parts[-1].lower() in VOLATILE | SEQUENCE):
        yield Refusal("attribute", f"{'.'.join(parts)} may call the function {parts[-1]}: leave the table's name out")


def _function(schema: str, name: str, declared: t.Sequence[str], *, sequences: bool) -> Refusal | None:
    full = f"{schema}.{name}" if schema else name
    why = never(name)
    if why:
        return Refusal("function", f"{full}() may not be called: {why}")
    own = schema in ("", "pg_catalog")
    if own and (name in HARMLESS or name in VOLATILE or (sequences and name in SEQUENCE)):
        return None
    if full in declared:
        return None
    return Refusal(
        "function", f"what {full}() does is not known here: read it, and list it under functions if it changes nothing"
    )


def _functions(tree: object) -> t.Iterator[tuple[str, str]]:
    """(schema, name) of each function that is called by name."""
    for node in walk(tree):
        parts = texts(node.get("funcname", []))
        if parts:
            yield ".".join(parts[:-1]).lower(), parts[-1].lower()


def _is_system(schema: str) -> bool:
    return schema in SYSTEM_SCHEMAS or schema.startswith("pg_")
