# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What leads into the scope without being in it: relations and SECURITY DEFINER routines of all other schemas.

Of other schemas only those relations are read that lead into the scope by a view, a rule, inheritance or a foreign key,
or that fire a trigger with somebody else's rights. PostgreSQL's own schemas and those that the policy ignores are none.
"""

from __future__ import annotations

import dataclasses

from ..plan.acl import Acl, AclItem
from ..plan.statements import shown
from . import links
from . import model as catalog
from .snapshot import Names, Row, Rows

# %(schemas)s: those of the scope, %(others)s: all others.
_DEFINERS = """
SELECT p.oid, n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), p.proowner, p.prokind,
       EXISTS (SELECT FROM pg_depend d
               WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'), p.proconfig
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.prosecdef AND p.pronamespace = ANY(%(others)s::oid[])
ORDER BY 2, 3, 4
"""
_INHERITANCE = """
SELECT i.inhparent, i.inhrelid, c.relispartition
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE c.relkind IN ('r', 'p', 'f') ORDER BY 1, 2
"""
# Only those that act on the rows that refer: CASCADE, SET NULL, SET DEFAULT.
_FOREIGN_KEYS = """
SELECT conname, confrelid, conrelid, confdeltype, confupdtype
FROM pg_constraint
WHERE contype = 'f' AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))
ORDER BY 2, 3, 1
"""
# An operator is its function. What belongs to the relation's owner or to a superuser can't be changed by anybody else.
_CALLS = """
WITH used AS (
  SELECT d.classid, d.objid, coalesce(o.oprcode::oid, d.refobjid) AS routine
  FROM pg_depend d LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
  WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) AND d.refobjid >= 16384
), placed AS (
  SELECT a.adrelid AS relation, 'DEFAULT' AS place, u.routine
  FROM used u JOIN pg_attrdef a ON u.classid = 'pg_attrdef'::regclass AND a.oid = u.objid
  UNION ALL
  SELECT k.conrelid, 'CHECK', u.routine
  FROM used u JOIN pg_constraint k ON u.classid = 'pg_constraint'::regclass AND k.oid = u.objid
  UNION ALL
  SELECT coalesce(x.indrelid, u.objid), 'INDEX', u.routine
  FROM used u LEFT JOIN pg_index x ON x.indexrelid = u.objid WHERE u.classid = 'pg_class'::regclass
  UNION ALL
  SELECT p.polrelid, 'POLICY', u.routine
  FROM used u JOIN pg_policy p ON u.classid = 'pg_policy'::regclass AND p.oid = u.objid
  UNION ALL
  SELECT r.ev_class, 'RULE', u.routine
  FROM used u JOIN pg_rewrite r ON u.classid = 'pg_rewrite'::regclass AND r.oid = u.objid
  UNION ALL
  SELECT t.tgrelid, 'TRIGGER', u.routine
  FROM used u JOIN pg_trigger t ON u.classid = 'pg_trigger'::regclass AND t.oid = u.objid AND t.tgfoid <> u.routine
)
SELECT DISTINCT p.relation, p.place, n.nspname, f.proname, pg_get_function_identity_arguments(f.oid), f.proowner
FROM placed p JOIN pg_class c ON c.oid = p.relation JOIN pg_proc f ON f.oid = p.routine
  JOIN pg_namespace n ON n.oid = f.pronamespace JOIN pg_roles o ON o.oid = f.proowner
WHERE c.relnamespace = ANY(%(schemas)s::oid[]) AND f.proowner <> c.relowner AND NOT o.rolsuper
ORDER BY 1, 2, 3, 4, 5
"""
MEMBERS = {
    "definers": _DEFINERS,
    "inheritance": _INHERITANCE,
    "foreign_keys": _FOREIGN_KEYS,
    "calls": _CALLS,
}
# After these: %(outside)s are the oids of reached(), %(definers)s of the routines.
_RELATIONS = """
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relowner
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY(%(outside)s::oid[]) AND c.relnamespace = ANY(%(others)s::oid[])
ORDER BY 2, 3
"""
_SCHEMAS = "SELECT oid, nspname, nspowner FROM pg_namespace WHERE oid = ANY(%(others)s::oid[]) ORDER BY 2"
# The second column: the column whose ACL it is, NULL for all else.
_ACLS = """
WITH own AS (
  SELECT 'pg_class' AS class, oid, NULL::name AS attname, relowner AS owner,
         coalesce(relacl, acldefault('r', relowner)) AS acl
  FROM pg_class WHERE oid = ANY(%(outside)s::oid[])
  UNION ALL
  SELECT 'pg_class', c.oid, a.attname, c.relowner, a.attacl
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
  WHERE c.oid = ANY(%(outside)s::oid[]) AND a.attacl IS NOT NULL AND NOT a.attisdropped
  UNION ALL
  SELECT 'pg_namespace', oid, NULL, nspowner, coalesce(nspacl, acldefault('n', nspowner))
  FROM pg_namespace WHERE oid = ANY(%(others)s::oid[])
  UNION ALL
  SELECT 'pg_proc', oid, NULL, proowner, coalesce(proacl, acldefault('f', proowner))
  FROM pg_proc WHERE oid = ANY(%(definers)s::oid[])
)
SELECT o.class, o.oid, o.attname, a.grantee, a.grantor, a.privilege_type, a.is_grantable
FROM own o CROSS JOIN aclexplode(o.acl) a
WHERE a.grantee <> o.owner OR a.grantor <> o.owner
ORDER BY 1, 2, 3, 4, 5, 6
"""
LAST = {"outside": _RELATIONS, "outside_schemas": _SCHEMAS, "outside_acls": _ACLS}


def reached(objects: catalog.Objects, rows: Rows) -> dict[str, list[int]]:
    """The values of LAST: what leads into the scope, or to a trigger that acts with somebody else's rights."""
    inside = {relation.oid for relation in objects.relations}
    above: dict[int, set[int]] = {}
    for oid, _name, _event, below in rows["rules"]:
        for one in below or ():
            above.setdefault(one, set()).add(oid)
    for parent, child, _partition in rows["inheritance"]:
        # A partition's rows are its parent's: whoever reaches either reaches the other.
        above.setdefault(child, set()).add(parent)
        above.setdefault(parent, set()).add(child)
    for _name, referenced, referencing, *_actions in rows["foreign_keys"]:
        above.setdefault(referencing, set()).add(referenced)
    found = inside | {oid for oid, _n, _s, _f, definer, _o, enabled, _r in rows["triggers"] if definer and enabled}
    new = list(found)
    while new:
        fresh = above.get(new.pop(), set()) - found
        found |= fresh
        new += fresh
    known = {routine.oid for routine in objects.routines}
    return {
        "outside": sorted(found - inside),
        "definers": [row[0] for row in rows["definers"] if row[0] not in known],
    }


def added(objects: catalog.Objects, names: Names, rows: Rows) -> catalog.Objects:
    """*objects* with what the rows of MEMBERS and LAST say."""
    acls: dict[tuple[str, int], list[AclItem]] = {}
    columns: dict[int, dict[str, list[AclItem]]] = {}
    for class_, oid, column, grantee, grantor, privilege, grantable in rows["outside_acls"]:
        item = AclItem(names[grantee], names[grantor], privilege, grantable)
        if column is None:
            acls.setdefault((class_, oid), []).append(item)
        else:
            columns.setdefault(oid, {}).setdefault(column, []).append(item)

    def acl(class_: str, oid: int) -> Acl:
        return tuple(acls.get((class_, oid), ()))

    known = {routine.oid for routine in objects.routines}
    return dataclasses.replace(
        objects,
        outside_schemas=tuple(
            catalog.Schema(name, names[owner], acl("pg_namespace", oid)) for oid, name, owner in rows["outside_schemas"]
        ),
        outside_relations=tuple(
            catalog.Relation(
                *(oid, schema, name, kind, names[owner], False, None, acl("pg_class", oid)),
                {column: tuple(items) for column, items in columns.get(oid, {}).items()},
            )
            for oid, schema, name, kind, owner in rows["outside"]
        ),
        outside_routines=tuple(
            catalog.Routine(
                *(schema, name, arguments, names[owner], acl("pg_proc", oid), oid, kind),
                extension=extension,
                definer=True,
                settings=tuple(config or ()),
            )
            for oid, schema, name, arguments, owner, kind, extension, config in rows["definers"]
            if oid not in known
        ),
        inheritance=tuple(links.Inheritance(*row) for row in rows["inheritance"]),
        foreign_keys=tuple(_foreign_key(row) for row in rows["foreign_keys"]),
        calls=tuple(
            links.Call(oid, place, f"{shown(schema, name)}({arguments})", names[owner])
            for oid, place, schema, name, arguments, owner in rows["calls"]
        ),
    )


def _foreign_key(row: Row) -> links.ForeignKey:
    name, referenced, referencing, on_delete, on_update = row
    delete = {"c": "DELETE", "n": "UPDATE", "d": "UPDATE"}.get(on_delete)
    return links.ForeignKey(name, referenced, referencing, delete, "UPDATE" if on_update in "cnd" else None)
