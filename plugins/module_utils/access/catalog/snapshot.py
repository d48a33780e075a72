# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot from the rows of queries.py, joined by oid: names come last."""

from __future__ import annotations

import collections
import typing as t

from ..plan.acl import Acl, AclItem
from ..policy import settings
from ..policy.model import PUBLIC, Pattern, Policy, like
from . import model as catalog

Row = t.Sequence[t.Any]
# A query's key in queries.py: its rows.
Rows = t.Mapping[str, t.Sequence[Row]]
# What initdb made has lower oids: FirstNormalObjectId in PostgreSQL's src/include/access/transam.h.
FIRST_NORMAL_OID = 16384
SYSTEM_SCHEMAS = ("pg_catalog", "information_schema")


class Names(dict[int, str]):
    """The names of roles by oid; a role that is gone has its number.

    Before 16 a membership may outlive its grantor, and before 17 pg_init_privs anybody.
    """

    def __missing__(self, oid: int) -> str:
        return str(oid)


def names_of(rows: t.Iterable[Row]) -> Names:
    """The names of (oid, name, ...), and PUBLIC's."""
    return Names({0: PUBLIC, **{row[0]: row[1] for row in rows}})


def cluster(server: Row, rows: Rows) -> catalog.Cluster:
    """What all databases share, from the rows of queries.SERVER and of queries.cluster()."""
    version, login_role, _superuser, bootstrap, standby = server
    names = names_of(rows["roles"])
    acls = _by_class(rows["acls"], names)
    return catalog.Cluster(
        version=version,
        login_role=login_role,
        bootstrap=bootstrap,
        names=names,
        roles={row[1]: catalog.CatalogRole(*row[1:]) for row in rows["roles"]},
        settings=tuple(
            catalog.RoleSetting(names[role] if role else None, database, name, settings.stored(name, text))
            for role, database, name, text in rows["role_settings"]
        ),
        memberships=tuple(
            catalog.Membership(names[role], names[member], names[grantor], *options)
            for role, member, grantor, *options in rows["memberships"]
        ),
        databases={
            name: catalog.Database(name, names[owner], acls["pg_database"].get(oid, ()), connections, template)
            for oid, name, owner, connections, template in rows["databases"]
        },
        parameters=_acls(rows["parameters"], names),
        tablespaces=tuple(
            catalog.Named(name, names[owner], acls["pg_tablespace"].get(oid, ()), system=oid < FIRST_NORMAL_OID)
            for oid, name, owner in rows["tablespaces"]
        ),
        standby=standby,
    )


def scope(policy: Policy, schemas: t.Iterable[Row]) -> dict[str, t.Any]:
    """The values of queries.members(): what of *schemas* (rows of queries.SCHEMAS) the policy has to do with."""
    oids = {name: oid for oid, name, _owner in schemas}
    system = {name: oids[name] for name in SYSTEM_SCHEMAS if name in oids}
    grants = [
        (grant.kind, pattern) for grant in policy.grants for pattern in grant.patterns if pattern.schema in system
    ]
    routines = [pattern for kind, pattern in grants if kind == "routines"]
    relations = [pattern for kind, pattern in grants if kind in ("tables", "sequences")]
    permanent = {name: oid for name, oid in oids.items() if not name.startswith(("pg_temp_", "pg_toast"))}
    named = _named([*policy.revoke_execute, *routines], permanent)
    named_relations = _named(relations, system)
    on_columns = [pattern for grant in policy.grants if grant.columns for pattern in grant.patterns]
    inside = {name: oid for name, oid in oids.items() if policy.in_scope(name)}
    column_tables = _named(dict.fromkeys(on_columns), {**inside, **system})
    return {
        "schemas": [oid for name, oid in oids.items() if policy.in_scope(name)],
        "system": list(system.values()),
        "others": [
            oid
            for name, oid in permanent.items()
            if not (name in system or policy.in_scope(name) or any(like(one, name) for one in policy.ignore_schemas))
        ],
        "named_schemas": [oid for oid, _name in named],
        "named_routines": [name for _oid, name in named],
        "relation_schemas": [oid for oid, _name in named_relations],
        "named_relations": [name for _oid, name in named_relations],
        "column_schemas": [oid for oid, _name in column_tables],
        "column_tables": [name for _oid, name in column_tables],
    }


def _named(patterns: t.Iterable[Pattern], schemas: t.Mapping[str, int]) -> list[tuple[int, str]]:
    """(schema's oid, LIKE pattern) of what *patterns* mean."""
    return [
        (oid, _like(pattern.name))
        for pattern in patterns
        for name, oid in schemas.items()
        if like(pattern.schema, name)
    ]


def _like(name: str) -> str:
    """A name with ``*`` for any characters, as LIKE has it."""
    literal = name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return literal.replace("*", "%")


def objects(
    database: str, names: Names, schemas: t.Sequence[Row], in_scope: t.Collection[int], rows: Rows
) -> catalog.Objects:
    """What *rows* say of *database*: those of queries.members() and ACLS. audited.py adds to it.

    *schemas* are the rows of queries.SCHEMAS, *in_scope* the oids of those that are the policy's.
    """
    schema_names = {oid: name for oid, name, _owner in schemas}
    acls = _by_class(rows["acls"], names)
    made = _Made(rows, names)
    columns: dict[int, dict[str, list[AclItem]]] = {}
    for oid, column, *item in rows["column_acls"]:
        columns.setdefault(oid, {}).setdefault(column, []).append(_item(names, *item))
    wanted = set(in_scope)
    of_routines, of_types, of_relations = acls["pg_proc"], acls["pg_type"], acls["pg_class"]
    relation_members, initial_of_relations = made.members["pg_class"], made.initial["pg_class"]
    return catalog.Objects(
        database=database,
        schemas={
            name: catalog.Schema(
                name, names[owner], acls["pg_namespace"].get(oid, ()), made.by_extension("pg_namespace", oid)
            )
            for oid, name, owner in schemas
            if oid in wanted
        },
        relations=tuple(
            catalog.Relation(
                oid,
                schema_names[schema],
                name,
                kind,
                names[owner],
                oid in relation_members,
                follows,
                of_relations.get(oid, ()),
                {column: tuple(items) for column, items in columns[oid].items()} if oid in columns else {},
                partition,
                rls,
                forced,
                initial_of_relations.get(oid, ()),
            )
            for oid, schema, name, kind, owner, partition, rls, forced, follows in rows["relations"]
        ),
        defaults=_defaults(rows["default_acls"], names, schema_names),
        routines=tuple(
            catalog.Routine(
                *(schema_names[schema], name, arguments, names[owner], of_routines.get(oid, ()), oid, kind),
                **made.of("pg_proc", oid),
                definer=definer,
                settings=tuple(config or ()),
                language=language,
            )
            for oid, schema, name, arguments, owner, kind, definer, config, language in rows["routines"]
        ),
        types=tuple(
            catalog.Type(
                *(schema_names[schema], name, names[owner], kind, of_types.get(oid, ())),
                extension=made.by_extension("pg_type", oid),
            )
            for oid, schema, name, owner, kind in rows["types"]
        ),
        languages=_named_objects("pg_language", rows, names, acls, made),
        wrappers=_named_objects("pg_foreign_data_wrapper", rows, names, acls, made),
        servers=_named_objects("pg_foreign_server", rows, names, acls, made),
        large_objects=tuple(
            catalog.LargeObject(oid, names[owner], acls["pg_largeobject"].get(oid, ()))
            for oid, owner in rows["large_objects"]
        ),
        system_relations=_system_relations(rows["system_relations"], names, schema_names),
        owned=tuple(
            catalog.Owned(
                noun, name, names[owner], schema_names[schema] if schema else None, oid in made.members[class_]
            )
            for class_, oid, noun, schema, name, owner in rows["owned"]
            # It was dropped after the transaction began.
            if name is not None
        ),
        column_names={
            (schema_names[schema], name): frozenset(columns or ()) for schema, name, columns in rows["column_names"]
        },
    )


class _Made:
    """Who made an object: an extension, or initdb; and the ACL that it had from them."""

    def __init__(self, rows: Rows, names: Names) -> None:
        self.members: dict[str, frozenset[int]] = collections.defaultdict(frozenset)
        self.members.update({class_: frozenset(oids) for class_, oids in rows["extensions"]})
        self.initial = _by_class(rows["initial"], names)

    def by_extension(self, class_: str, oid: int) -> bool:
        """Whether the object *oid* of the catalogue *class_* belongs to an extension."""
        return oid in self.members[class_]

    def of(self, class_: str, oid: int) -> dict[str, t.Any]:
        """The fields extension, system and initial."""
        extension, system = oid in self.members[class_], oid < FIRST_NORMAL_OID
        initial = self.initial[class_].get(oid, ()) if extension or system else ()
        return {"extension": extension, "system": system, "initial": initial}


def _item(names: Names, grantee: int, grantor: int, privilege: str, grantable: bool) -> AclItem:
    return AclItem(names[grantee], names[grantor], privilege, grantable)


def _acls(rows: t.Iterable[Row], names: Names) -> dict[t.Any, Acl]:
    """The ACL of each object, sorted, from (grantee, grantor, privilege, grantable, objects)."""
    groups = sorted(((_item(names, *item), oids) for *item, oids in rows), key=lambda group: group[0])
    by_object: dict[t.Any, list[AclItem]] = collections.defaultdict(list)
    for item, oids in groups:
        for oid in oids:
            by_object[oid].append(item)
    return {oid: tuple(items) for oid, items in by_object.items()}


def _by_class(rows: t.Iterable[Row], names: Names) -> dict[str, dict[int, Acl]]:
    """The same by the catalogue that the objects are in, an oid being unique only there."""
    by_class: dict[str, list[Row]] = {}
    for class_, *row in rows:
        by_class.setdefault(class_, []).append(row)
    acls: dict[str, dict[int, Acl]] = collections.defaultdict(dict)
    acls.update({class_: _acls(of_class, names) for class_, of_class in by_class.items()})
    return acls


def _defaults(rows: t.Iterable[Row], names: Names, schemas: t.Mapping[int, str]) -> tuple[catalog.DefaultAcl, ...]:
    found: dict[tuple[str, str | None, str], list[AclItem]] = {}
    for _oid, creator, schema, kind, *item in rows:
        items = found.setdefault((names[creator], schemas[schema] if schema else None, kind), [])
        if item[0] is not None:
            items.append(_item(names, *item))
    return tuple(catalog.DefaultAcl(*key, tuple(sorted(items))) for key, items in found.items())


def _named_objects(
    class_: str, rows: Rows, names: Names, acls: t.Mapping[str, t.Mapping[int, Acl]], made: _Made
) -> tuple[catalog.Named, ...]:
    return tuple(
        catalog.Named(name, names[owner], acls[class_].get(oid, ()), **made.of(class_, oid))
        for of_class, oid, name, owner in rows["named"]
        if of_class == class_
    )


def _system_relations(
    rows: t.Iterable[Row], names: Names, schemas: t.Mapping[int, str]
) -> tuple[catalog.SystemRelation, ...]:
    found: dict[tuple[str, str, str, str, str | None], tuple[list[AclItem], list[AclItem]]] = {}
    for _oid, schema, name, kind, owner, column, initial, *item in rows:
        lists = found.setdefault((schemas[schema], name, kind, names[owner], column), ([], []))
        if initial is not None:
            lists[initial].append(_item(names, *item))
    return tuple(
        catalog.SystemRelation(schema, name, kind, owner, tuple(sorted(acl)), tuple(sorted(first)), column)
        for (schema, name, kind, owner, column), (acl, first) in found.items()
    )
