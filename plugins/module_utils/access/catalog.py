# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot of what is: the cluster's roles and databases, and one database's objects with their ACLs.

The queries are here, their rows become frozen dataclasses here, and postgres.py runs them: all with the search_path
pg_catalog, in one READ ONLY, REPEATABLE READ transaction. ACLs are ``aclexplode(coalesce(acl, acldefault()))``: NULL
means the default, not nothing. An owner's own privileges are left out, since they are never touched.
"""

from __future__ import annotations

import dataclasses
import typing as t

from . import settings
from .acl import Acl, AclItem
from .model import PUBLIC

Row = t.Sequence[t.Any]
Rows = t.Iterable[Row]

# Version, who has logged in, whether that is a superuser, and whom initdb made.
SERVER = """
SELECT current_setting('server_version_num')::int, session_user, rolsuper,
       (SELECT rolname FROM pg_roles WHERE oid = 10)
FROM pg_roles WHERE rolname = session_user
"""
# A role's password is never read, only whether there is one.
ROLES = """
SELECT oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
       rolconnlimit, rolpassword IS NOT NULL
FROM pg_authid
"""
ROLE_SETTINGS = """
SELECT s.setrole, d.datname, split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c LEFT JOIN pg_database d ON d.oid = s.setdatabase
WHERE s.setrole <> 0
"""
MEMBERSHIPS = "SELECT roleid, member, grantor, admin_option, NULL, NULL FROM pg_auth_members"
MEMBERSHIPS_16 = "SELECT roleid, member, grantor, admin_option, inherit_option, set_option FROM pg_auth_members"
DATABASES = "SELECT oid, datname, datdba FROM pg_database"
DATABASE_ACLS = """
SELECT d.oid, a.grantee, a.grantor, a.privilege_type, a.is_grantable
FROM pg_database d CROSS JOIN aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
WHERE a.grantee <> d.datdba OR a.grantor <> d.datdba
"""

# %(schemas)s: the names of the schemas in scope.
SCHEMAS = "SELECT oid, nspname, nspowner FROM pg_namespace WHERE nspname = ANY(%(schemas)s)"
SCHEMA_ACLS = """
SELECT n.oid, a.grantee, a.grantor, a.privilege_type, a.is_grantable
FROM pg_namespace n CROSS JOIN aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
WHERE n.nspname = ANY(%(schemas)s) AND (a.grantee <> n.nspowner OR a.grantor <> n.nspowner)
"""
# The last column: the table that an identity or serial sequence belongs to, whose owner it follows.
RELATIONS = """
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relowner,
       EXISTS (SELECT FROM pg_depend e
               WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.objsubid = 0 AND e.deptype = 'e'),
       (SELECT s.refobjid FROM pg_depend s
        WHERE c.relkind = 'S' AND s.classid = 'pg_class'::regclass AND s.objid = c.oid
          AND s.refclassid = 'pg_class'::regclass AND s.deptype IN ('a', 'i') LIMIT 1)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
"""
RELATION_ACLS = """
SELECT c.oid, a.grantee, a.grantor, a.privilege_type, a.is_grantable
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN aclexplode(coalesce(c.relacl,
    acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) a
WHERE n.nspname = ANY(%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  AND (a.grantee <> c.relowner OR a.grantor <> c.relowner)
"""
COLUMN_ACLS = """
SELECT c.oid, a.grantee, a.grantor, a.privilege_type, a.is_grantable, t.attname
FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN aclexplode(t.attacl) a
WHERE t.attacl IS NOT NULL AND NOT t.attisdropped AND n.nspname = ANY(%(schemas)s)
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (a.grantee <> c.relowner OR a.grantor <> c.relowner)
"""
# A row for the whole database (namespace 0) stands in the built-in default's place, so what is built in is no excess.
DEFAULT_ACLS = """
SELECT d.oid, a.grantee, a.grantor, a.privilege_type, a.is_grantable, d.defaclrole, n.nspname, d.defaclobjtype
FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace CROSS JOIN aclexplode(d.defaclacl) a
WHERE (d.defaclnamespace = 0 OR n.nspname = ANY(%(schemas)s)) AND a.grantee <> d.defaclrole
  AND NOT (d.defaclnamespace = 0 AND (a.grantee, a.privilege_type, a.is_grantable) IN (
    SELECT b.grantee, b.privilege_type, b.is_grantable
    FROM aclexplode(acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole)) b))
"""
# %(routine_schemas)s and %(routine_names)s: one pattern each (LIKE).
ROUTINES = """
SELECT p.oid, n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), p.proowner
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE EXISTS (SELECT FROM unnest(%(routine_schemas)s::text[], %(routine_names)s::text[]) AS w (schema, name)
              WHERE n.nspname = w.schema AND p.proname LIKE w.name)
"""
ROUTINE_ACLS = """
SELECT p.oid, a.grantee, a.grantor, a.privilege_type, a.is_grantable
FROM pg_proc p CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
WHERE p.oid = ANY(%(routines)s::oid[]) AND (a.grantee <> p.proowner OR a.grantor <> p.proowner)
"""


# Who may run what acts with its owner's rights. %(login_roles)s: names. Superusers are left out: nothing binds them.
DEFINERS = """
SELECT n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), pg_get_userbyid(p.proowner),
       EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0),
       ARRAY(SELECT r.rolname::text FROM pg_roles r
             WHERE r.rolname = ANY(%(login_roles)s) AND r.oid <> p.proowner AND NOT r.rolsuper
               AND has_function_privilege(r.oid, p.oid, 'EXECUTE') ORDER BY 1)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.prosecdef AND n.nspname = ANY(%(schemas)s)
ORDER BY 1, 2, 3
"""


@dataclasses.dataclass(frozen=True)
class CatalogRole:
    """A row of pg_authid."""

    name: str
    superuser: bool
    inherit: bool
    createrole: bool
    createdb: bool
    login: bool
    replication: bool
    bypassrls: bool
    connection_limit: int
    has_password: bool


@dataclasses.dataclass(frozen=True)
class RoleSetting:
    """A setting of a role, everywhere or (``database``) in one database."""

    role: str
    database: str | None
    name: str
    elements: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Membership:
    """A row of pg_auth_members; before 16 it has no options of its own and ``inherit`` and ``set`` are None."""

    role: str
    member: str
    grantor: str
    admin: bool
    inherit: bool | None
    set: bool | None


@dataclasses.dataclass(frozen=True)
class Database:
    """A row of pg_database."""

    name: str
    owner: str
    acl: Acl


@dataclasses.dataclass(frozen=True)
class Cluster:
    """What all databases share. ``version`` is server_version_num; ``bootstrap`` the role that initdb made."""

    version: int
    login_role: str
    bootstrap: str
    names: t.Mapping[int, str]
    roles: t.Mapping[str, CatalogRole]
    settings: tuple[RoleSetting, ...]
    memberships: tuple[Membership, ...]
    databases: t.Mapping[str, Database]


@dataclasses.dataclass(frozen=True)
class Schema:
    """A row of pg_namespace."""

    name: str
    owner: str
    acl: Acl


@dataclasses.dataclass(frozen=True)
class Relation:
    """A table, view, materialized view, foreign table (``kind`` r p v m f) or sequence (S), with its columns' ACLs.

    ``extension``: it belongs to one. ``follows``: the oid of the table that the sequence belongs to.
    """

    oid: int
    schema: str
    name: str
    kind: str
    owner: str
    extension: bool
    follows: int | None
    acl: Acl
    columns: t.Mapping[str, Acl]


@dataclasses.dataclass(frozen=True)
class DefaultAcl:
    """Default privileges of what ``creator`` will make, in ``schema`` or (None) anywhere; ``kind``: r S f T n L."""

    creator: str
    schema: str | None
    kind: str
    acl: Acl


@dataclasses.dataclass(frozen=True)
class Routine:
    """A row of pg_proc; ``arguments`` as pg_get_function_identity_arguments writes them."""

    schema: str
    name: str
    arguments: str
    owner: str
    acl: Acl


@dataclasses.dataclass(frozen=True)
class Definer:
    """A SECURITY DEFINER routine; ``roles`` are the login roles of the policy that may run it, ``public``: all may."""

    schema: str
    name: str
    arguments: str
    owner: str
    public: bool
    roles: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Objects:
    """What is in one database's scope."""

    database: str
    schemas: t.Mapping[str, Schema]
    relations: tuple[Relation, ...]
    defaults: tuple[DefaultAcl, ...]
    routines: tuple[Routine, ...]
    definers: tuple[Definer, ...] = ()


def cluster(server: Row, roles: Rows, role_settings: Rows, memberships: Rows, databases: Rows, acls: Rows) -> Cluster:
    """The rows of the cluster's queries, joined by oid."""
    roles = list(roles)
    names: dict[int, str] = {0: PUBLIC, **{row[0]: row[1] for row in roles}}
    by_database = _acls(acls, names)
    version, login_role, _superuser, bootstrap = server
    return Cluster(
        version=version,
        login_role=login_role,
        bootstrap=bootstrap,
        names=names,
        roles={row[1]: CatalogRole(*row[1:]) for row in roles},
        settings=tuple(
            RoleSetting(_name(names, role), database, name, settings.stored(name, text))
            for role, database, name, text in role_settings
        ),
        memberships=tuple(
            Membership(_name(names, role), _name(names, member), _name(names, grantor), *options)
            for role, member, grantor, *options in memberships
        ),
        databases={
            name: Database(name, _name(names, owner), by_database.get(oid, ())) for oid, name, owner in databases
        },
    )


def objects(
    database: str,
    names: t.Mapping[int, str],
    *,
    schemas: Rows,
    schema_acls: Rows,
    relations: Rows,
    relation_acls: Rows,
    column_acls: Rows,
    default_acls: Rows,
    routines: Rows,
    routine_acls: Rows,
    definers: Rows,
) -> Objects:
    """The rows of one database's queries, joined by oid; *names* maps a role's oid to its name."""
    by_schema, by_relation, by_routine = (_acls(rows, names) for rows in (schema_acls, relation_acls, routine_acls))
    columns: dict[int, dict[str, list[AclItem]]] = {}
    for *item, column in column_acls:
        columns.setdefault(item[0], {}).setdefault(column, []).extend(_item(item, names))
    defaults: dict[tuple[str, str | None, str], list[AclItem]] = {}
    for *item, creator, schema, kind in default_acls:
        defaults.setdefault((_name(names, creator), schema, kind), []).extend(_item(item, names))
    return Objects(
        database=database,
        schemas={name: Schema(name, _name(names, owner), by_schema.get(oid, ())) for oid, name, owner in schemas},
        relations=tuple(
            Relation(
                *(oid, schema, name, kind, _name(names, owner), extension, follows),
                acl=by_relation.get(oid, ()),
                columns={column: tuple(items) for column, items in columns.get(oid, {}).items()},
            )
            for oid, schema, name, kind, owner, extension, follows in relations
        ),
        defaults=tuple(DefaultAcl(*key, tuple(items)) for key, items in defaults.items()),
        routines=tuple(
            Routine(schema, name, arguments, _name(names, owner), by_routine.get(oid, ()))
            for oid, schema, name, arguments, owner in routines
        ),
        definers=tuple(
            Definer(schema, name, arguments, owner, public, tuple(roles))
            for schema, name, arguments, owner, public, roles in definers
        ),
    )


def _name(names: t.Mapping[int, str], oid: int) -> str:
    """A role's name, or its number: before 16 a membership may outlive its grantor, and roles are dropped meanwhile."""
    return names.get(oid, str(oid))


def _acls(rows: Rows, names: t.Mapping[int, str]) -> dict[int, Acl]:
    by_object: dict[int, list[AclItem]] = {}
    for row in rows:
        by_object.setdefault(row[0], []).extend(_item(row, names))
    return {oid: tuple(items) for oid, items in by_object.items()}


def _item(row: Row, names: t.Mapping[int, str]) -> tuple[AclItem, ...]:
    """The item of (object, grantee, grantor, privilege, grantable); none where a role is gone and can't be named."""
    _object, grantee, grantor, privilege, grantable = row
    if grantee not in names or grantor not in names:
        return ()
    return (AclItem(names[grantee], names[grantor], privilege, grantable),)
