# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An estate's wanted state, as each tool has it written: nested mappings and lists, ready for YAML."""

from __future__ import annotations

import collections
import typing as t

from .estate import CREATOR, DATABASE, ON_SEQUENCES, ON_TABLES, READ, WRITE, Estate, group, owner
from .loading import PARTITION, PARTITIONED, ROUTINE

Spec = dict[str, t.Any]


def ours(estate: Estate) -> Spec:
    """The policy of pg_access: authoritative, PUBLIC included."""
    roles: Spec = {role: {"login": False} for role in (*estate.owners, *estate.groups)}
    roles |= {role: {"login": True, "member_of": list(groups)} for role, groups in estate.member_of.items()}
    grants: list[Spec] = [
        {"to": list(estate.logins), "on": {"database": DATABASE}, "privileges": ["connect"]},
        {"to": ["public"], "on": {"schema": estate.first}, "privileges": ["usage"]},
    ]
    defaults: list[Spec] = []
    for schema in estate.schemas:
        readers = [group(schema, READ)]
        grants += [
            {"to": list(estate.users_of(schema)), "on": {"schema": schema}, "privileges": ["usage"]},
            {"to": readers, "on": {"routines": f"{schema}.*"}, "privileges": ["execute"]},
            {"to": readers, "on": {"types": f"{schema}.*"}, "privileges": ["usage"]},
        ]
    alike: dict[tuple[str, str, tuple[str, ...]], list[str]] = collections.defaultdict(list)
    for whole in estate.wholes:
        alike[whole.schema, whole.level, whole.excepted].append(whole.role)
    for (schema, level, excepted), to in alike.items():
        for kind, rights in (("tables", ON_TABLES[level]), ("sequences", ON_SEQUENCES[level])):
            privileges = [right.lower() for right in rights]
            on: Spec = {kind: f"{schema}.*"}
            if excepted and kind == "tables":
                on["except"] = [f"{schema}.{name}" for name in excepted]
            grants.append({"to": to, "on": on, "privileges": privileges, "future": True})
            defaults.append({"creator": CREATOR, "schema": schema, "on": kind, "to": to, "privileges": privileges})
    for single in estate.singles:
        names = [*(f"{name}_*" for name in single.families), *single.tables]
        privileges = [right.lower() for right in ON_TABLES[single.level]]
        tables = [f"{single.schema}.{name}" for name in names]
        grants.append({"to": [single.role], "on": {"tables": tables}, "privileges": privileges})
    for one in estate.on_columns:
        on = {"tables": [f"{one.schema}.{one.table}"], "columns": list(one.columns)}
        grants.append({"to": [one.role], "on": on, "privileges": ["select"]})
    return {
        "version": 1,
        "scope": {"databases": [DATABASE], "schemas": list(estate.schemas), "public": True},
        "mode": "authoritative",
        "roles": roles,
        "owners": {schema: owner(schema) for schema in estate.schemas},
        "public": {"revoke_connect": "all"},
        "grants": grants,
        "default_privileges": defaults,
    }


def ldap2pg(estate: Estate) -> Spec:
    """ldap2pg 5's configuration without a directory: all schemas and PUBLIC, every privilege that it knows.

    It has words for whole schemas only, so roles with finer rights are left out of what it manages.
    """
    finer = estate.particular
    managed = [role for role in (*estate.owners, *estate.groups, *estate.logins) if role not in finer]
    members: dict[str, list[str]] = collections.defaultdict(list)
    for login, groups in estate.member_of.items():
        for name in groups:
            if login not in finer:
                members[name].append(login)
    read = ["__select_on_tables__", "__select_on_sequences__"]
    tables = ("insert", "update", "delete", "truncate", "references", "trigger")
    write = [*(f"__{name}_on_tables__" for name in tables), "__usage_on_sequences__", "__update_on_sequences__"]
    names = ", ".join(f"'{name}'" for name in estate.schemas)
    using: dict[str, list[str]] = {schema: [] for schema in estate.schemas}
    for schema in estate.schemas:
        using[schema] = [role for role in estate.users_of(schema) if role not in finer]
    using[estate.first].append("public")
    grants: list[Spec] = [{"privilege": "connect", "role": [role for role in estate.logins if role not in finer]}]
    for schema, roles in using.items():
        grants.append({"privilege": "use", "schema": schema, "role": roles})
        grants.append({"privilege": "execute", "schema": schema, "role": group(schema, READ)})
        grants.append({"privilege": "own", "schema": schema, "role": owner(schema)})
    for whole in estate.wholes:
        if whole.role not in finer:
            grants.append({"privilege": whole.level, "schema": whole.schema, "role": whole.role})
    return {
        "version": 5,
        "postgres": {
            "databases_query": [DATABASE],
            "managed_roles_query": [*managed, "public"],
            # Schemas with whose default privileges are looked at.
            "schemas_query": f"SELECT nspname, ARRAY[pg_get_userbyid(nspowner)::text] FROM pg_namespace "  # noqa: S608 - our own
            f"WHERE nspname IN ({names}) ORDER BY 1",
        },
        "privileges": {
            "connect": ["__connect__"],
            "use": ["__usage_on_schemas__"],
            "execute": ["__execute_on_all_functions__"],
            READ: read,
            WRITE: read + write,
            "own": [
                "__all_on_schemas__",
                "__execute_on_all_functions__",
                *(name.replace("_on_", "_on_all_") for name in read + write),
            ],
            # Nobody has these; being named is what makes it look.
            "nobody": ["__temporary__", "__default_execute_on_functions__"],
        },
        "sync_map": [
            {
                "roles": [
                    *({"name": role, "options": "LOGIN"} for role in estate.logins if role not in finer),
                    *({"name": role, "members": members[role]} for role in estate.groups),
                    *({"name": role} for role in estate.owners),
                ]
            },
            {"grant": [{"database": DATABASE, **grant} for grant in grants]},
        ],
    }


def pgbedrock(estate: Estate, built_in: Spec) -> Spec:
    """pgbedrock's spec. *built_in* are the server's own roles, which it wants to have listed too.

    Columns, routines, types, databases and PUBLIC are beyond it.
    """
    spec: Spec = {**built_in}
    for schema in estate.schemas:
        owned = {"schemas": [schema], "tables": [f"{schema}.*"], "sequences": [f"{schema}.*"]}
        if not estate.sequences[schema]:
            del owned["sequences"]
        spec[owner(schema)] = {"owns": owned}
    for role in estate.groups:
        spec[role] = {"can_login": False}
    for role, groups in estate.member_of.items():
        spec[role] = {"can_login": True, "member_of": list(groups)}

    def held(role: str, kind: str, key: str) -> list[str]:
        there: list[str] = spec[role].setdefault("privileges", {}).setdefault(kind, {}).setdefault(key, [])
        return there

    for schema in estate.schemas:
        for role in estate.users_of(schema):
            held(role, "schemas", READ).append(schema)
    for whole in estate.wholes:
        for kind in ("tables", "sequences"):
            held(whole.role, kind, whole.level).append(f"{whole.schema}.*")
        if whole.excepted:
            held(whole.role, "tables", "except").extend(f"{whole.schema}.{name}" for name in whole.excepted)
    for single in estate.singles:
        held(single.role, "tables", single.level).extend(f"{single.schema}.{name}" for name in estate.named(single))
    return spec


def pgsesame(estate: Estate) -> Spec:
    """pgsesame's spec, with attributes and superusers pinned and PUBLIC managed where it holds something."""
    principals: Spec = {"public": {"type": "builtin", "privileges": {"schemas": {"usage": [estate.first]}}}}
    for schema in estate.schemas:
        owned = {kind: [f"{schema}.*"] for kind in ("tables", "sequences")}
        principals[owner(schema)] = {"type": "role", "attributes": [], "owns": {"schemas": [schema], **owned}}
    for role in estate.groups:
        principals[role] = {"type": "role", "attributes": []}
    for role, groups in estate.member_of.items():
        principals[role] = {"type": "user", "attributes": [], "member_of": list(groups)}

    def give(role: str, kind: str, rights: t.Iterable[str], names: t.Iterable[str]) -> None:
        held = principals[role].setdefault("privileges", {}).setdefault(kind, {})
        for right in rights:
            held.setdefault(right.lower(), []).extend(names)

    defaults: list[Spec] = []
    for role in estate.logins:
        give(role, "databases", ["connect"], [DATABASE])
    for schema in estate.schemas:
        for role in estate.users_of(schema):
            give(role, "schemas", ["usage"], [schema])
        routines = ("look", ROUTINE) if schema == estate.first else ("look",)
        give(group(schema, READ), "functions", ["execute"], [f"{schema}.{name}()" for name in routines])
    for whole in estate.wholes:
        schema, on_tables, on_sequences = whole.schema, ON_TABLES[whole.level], ON_SEQUENCES[whole.level]
        some = [f"{schema}.{name}" for name in estate.tables[schema] if name not in whole.excepted]
        if whole.excepted and schema == estate.first:
            some += [f"{schema}.{name}" for name in (PARTITIONED, PARTITION)]
        give(whole.role, "tables", on_tables, some if whole.excepted else [f"{schema}.*"])
        give(whole.role, "sequences", on_sequences, [f"{schema}.*"])
        for creator in (owner(schema), CREATOR):
            entry = {"owner": creator, "schema": schema, "grantee": whole.role}
            defaults.append(entry | {"tables": _lower(on_tables), "sequences": _lower(on_sequences)})
    for single in estate.singles:
        names = [f"{single.schema}.{name}" for name in estate.named(single)]
        give(single.role, "tables", ON_TABLES[single.level], names)
    for one in estate.on_columns:
        names = [f"{one.schema}.{one.table}.{name}" for name in one.columns]
        give(one.role, "columns", ["select"], names)
    return {
        "version": 1,
        "engine": "postgres",
        "principals": principals,
        "default_privileges": defaults,
        "manage": {"superusers": [CREATOR]},
    }


def _lower(rights: t.Iterable[str]) -> list[str]:
    return [right.lower() for right in rights]
