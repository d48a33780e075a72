# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only an audit asks of a database: code that acts with other rights than its caller's, and what leaves it.

That is views, rules, triggers, row level security's policies, publications, subscriptions, and (outside.py) what leads
into the scope from another schema: their queries, run like those of queries.py, and what their rows mean. The planner
has no use for them, so pg_access doesn't read them.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..plan.statements import shown
from . import model as catalog
from . import outside
from .snapshot import Names, Row, Rows

# Publications have whole schemas since 15.
PUBLISHED_SCHEMAS = 150000
COMMANDS = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}
# pg_rewrite.ev_type, and the bits of pg_relation_is_updatable().
SELECT_EVENT = "1"
EVENTS = {"2": "UPDATE", "3": "INSERT", "4": "DELETE"}
WRITES = {"INSERT": 8, "UPDATE": 4, "DELETE": 16}

# Views, rules and triggers are read in all schemas but PostgreSQL's own and ignored ones, since any may lead into the
# scope. The third column has the bits 4 UPDATE, 8 INSERT, 16 DELETE: what works on the view, but for what INSTEAD rules
# (whose ev_type is the bit's number) and INSTEAD OF triggers (in tgtype: 4 INSERT, 8 DELETE, 16 UPDATE) do in its
# place.
_VIEWS = """
SELECT c.oid,
       EXISTS (SELECT FROM pg_options_to_table(c.reloptions) o
               WHERE o.option_name = 'security_invoker' AND o.option_value::bool),
       CASE c.relkind WHEN 'v' THEN pg_relation_is_updatable(c.oid, true) ELSE 0 END
         & ~ coalesce(r.bits, 0) & ~ coalesce(t.bits, 0)
FROM pg_class c
  LEFT JOIN (SELECT ev_class, bit_or(1 << ev_type::text::int) AS bits
             FROM pg_rewrite WHERE is_instead AND ev_type <> '1' GROUP BY ev_class) r ON r.ev_class = c.oid
  LEFT JOIN (SELECT tgrelid, bit_or(((tgtype & 12) << 1) | ((tgtype & 16) >> 2)) AS bits
             FROM pg_trigger WHERE tgtype & 64 <> 0 GROUP BY tgrelid) t ON t.tgrelid = c.oid
WHERE c.relnamespace = ANY(%(schemas)s::oid[] || %(others)s::oid[]) AND c.relkind IN ('v', 'm')
"""
# A view is a rule too (event 1: SELECT). That a rule mentions its own relation says nothing.
_RULES = """
SELECT r.ev_class, r.rulename, r.ev_type,
       array_agg(DISTINCT d.refobjid::int8) FILTER (WHERE d.refobjid <> r.ev_class)
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
  LEFT JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'n'
WHERE c.relnamespace = ANY(%(schemas)s::oid[] || %(others)s::oid[])
GROUP BY r.oid, r.ev_class, r.rulename, r.ev_type
ORDER BY r.ev_class, r.rulename
"""
# Before 15 the copies of a trigger on partitions are marked internal; what enforces a constraint always is.
_TRIGGERS = """
SELECT t.tgrelid, t.tgname, n.nspname, p.proname, p.prosecdef, p.proowner, t.tgenabled <> 'D', p.oid
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
  JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE c.relnamespace = ANY(%(schemas)s::oid[] || %(others)s::oid[])
  AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstrrelid = 0 AND t.tgconstrindid = 0))
ORDER BY t.tgrelid, t.tgname
"""
_ROW_POLICIES = """
SELECT p.polrelid, p.polname, p.polcmd, p.polpermissive, p.polroles::int8[]
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
WHERE c.relnamespace = ANY(%(schemas)s::oid[])
ORDER BY p.polrelid, p.polname
"""
_EVENT_TRIGGERS = """
SELECT e.evtname, e.evtowner, e.evtevent, n.nspname, p.proname, e.evtenabled <> 'D', p.proowner
FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid JOIN pg_namespace n ON n.oid = p.pronamespace
ORDER BY e.evtname
"""
# The last two columns: schema and table, the table NULL for a whole schema, both NULL for nothing.
_PUBLICATIONS = """
SELECT p.oid, p.pubname, p.pubowner, p.puballtables, n.nspname, c.relname
FROM pg_publication p LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid
  LEFT JOIN pg_class c ON c.oid = r.prrelid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY p.pubname, n.nspname, c.relname
"""
_PUBLICATIONS_15 = """
SELECT p.oid, p.pubname, p.pubowner, p.puballtables, w.nspname, w.relname
FROM pg_publication p LEFT JOIN (
  SELECT r.prpubid AS oid, n.nspname, c.relname
  FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL
  SELECT s.pnpubid, n.nspname, NULL FROM pg_publication_namespace s JOIN pg_namespace n ON n.oid = s.pnnspid
) w USING (oid)
ORDER BY p.pubname, w.nspname, w.relname NULLS FIRST
"""
_SUBSCRIPTIONS = """
SELECT subname, subowner, subenabled FROM pg_subscription
WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY subname
"""
_LO_COMPAT = "SELECT current_setting('lo_compat_privileges')::bool"


def members(version: int) -> dict[str, str]:
    """The queries that need nothing but the schemas of the scope, by their key in the rows of ``added``."""
    return {
        "views": _VIEWS,
        "rules": _RULES,
        "triggers": _TRIGGERS,
        "row_policies": _ROW_POLICIES,
        "event_triggers": _EVENT_TRIGGERS,
        "publications": _PUBLICATIONS_15 if version >= PUBLISHED_SCHEMAS else _PUBLICATIONS,
        "subscriptions": _SUBSCRIPTIONS,
        "lo_compat": _LO_COMPAT,
        **outside.MEMBERS,
    }


def count(version: int) -> int:
    """How many queries these are, outside.LAST too."""
    return len(members(version)) + len(outside.LAST)


def added(objects: catalog.Objects, names: Names, rows: Rows) -> catalog.Objects:
    """*objects* with what the rows of ``members`` say, and those of outside.LAST."""
    with_code = dataclasses.replace(
        objects,
        views=_views(rows),
        rules=tuple(
            catalog.Rule(oid, name, EVENTS[event], tuple(reaches or ()))
            for oid, name, event, reaches in rows["rules"]
            if event != SELECT_EVENT
        ),
        triggers=tuple(
            catalog.Trigger(oid, name, shown(schema, function), definer, names[owner], enabled, routine)
            for oid, name, schema, function, definer, owner, enabled, routine in rows["triggers"]
        ),
        row_policies=tuple(
            catalog.RowPolicy(oid, name, COMMANDS[command], permissive, tuple(sorted(names[role] for role in roles)))
            for oid, name, command, permissive, roles in rows["row_policies"]
        ),
        event_triggers=tuple(
            catalog.EventTrigger(name, names[owner], event, shown(schema, function), enabled, names[runs])
            for name, owner, event, schema, function, enabled, runs in rows["event_triggers"]
        ),
        publications=_publications(rows["publications"], names),
        subscriptions=tuple(
            catalog.Subscription(name, names[owner], enabled) for name, owner, enabled in rows["subscriptions"]
        ),
        lo_compat=rows["lo_compat"][0][0],
    )
    return outside.added(with_code, names, rows)


def _views(rows: Rows) -> tuple[catalog.View, ...]:
    below = {oid: tuple(reaches or ()) for oid, _name, event, reaches in rows["rules"] if event == SELECT_EVENT}
    return tuple(
        catalog.View(oid, invoker, below.get(oid, ()), frozenset(word for word, bit in WRITES.items() if writes & bit))
        for oid, invoker, writes in rows["views"]
    )


def _publications(rows: t.Iterable[Row], names: Names) -> tuple[catalog.Publication, ...]:
    found: dict[tuple[str, str, bool], list[str]] = {}
    for _oid, name, owner, all_tables, schema, table in rows:
        tables = found.setdefault((name, names[owner], all_tables), [])
        if schema is not None:
            tables.append(shown(schema) + ".*" if table is None else shown(schema, table))
    return tuple(catalog.Publication(*key, tuple(tables)) for key, tables in found.items())
