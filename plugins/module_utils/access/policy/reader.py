# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access policy: what is written in the inventory, read into frozen dataclasses. docs/policy.md is its manual.

``parse`` refuses what it does not fully understand: a key with a typing error would otherwise be a grant that nobody
made or, worse, a limit that nobody set.
"""

from __future__ import annotations

import dataclasses

from .assertions import read_assertions
from .grants import read_default_privileges, read_grants
from .model import Pattern, Policy, like
from .patterns import PolicyFields, covered, is_system
from .roles import read_roles

VERSION = 1
MODES = ("authoritative", "adopt", "additive")
UNLISTED = ("leave", "disable")
REQUIRED = ("version", "scope", "mode", "roles")
POLICY_KEYS = (
    *REQUIRED,
    "unlisted_roles",
    "ignore",
    "owners",
    "database_owners",
    "database_settings",
    "public",
    "grants",
    "default_privileges",
    "assertions",
)
SCOPE_KEYS = ("databases", "schemas", "public")
IGNORE_KEYS = ("roles", "schemas")
PUBLIC_KEYS = ("revoke_connect", "revoke_execute")
# ALTER ROLE ALL SET: what holds in every database.
EVERYWHERE = "*"


def problems(data: object) -> list[str]:
    """What is wrong with the policy *data*: sentences that begin with the key and say what to write. [] is good."""
    return _read(data)[1]


def parse(data: object, mode: str | None = None) -> Policy:
    """The policy that *data* (nested mappings and lists) says; ValueError with all its ``problems``, one a line.

    *mode*, one of MODES, stands in the place of the policy's own.
    """
    policy, found = _read(data)
    if found:
        raise ValueError("the access policy has problems:\n" + "\n".join(f"- {problem}" for problem in found))
    return policy if mode is None else dataclasses.replace(policy, mode=mode)


def _read(data: object) -> tuple[Policy, list[str]]:
    read = PolicyFields()
    top = read.mapping("access policy", data, known=POLICY_KEYS, required=REQUIRED)
    if "version" in top and (top["version"] != VERSION or isinstance(top["version"], bool)):
        read.say("version", f"write {VERSION}, the only version there is")
    ignore = read.mapping("ignore", top.get("ignore", {}), known=IGNORE_KEYS)
    read.ignore_roles = read.none_or_names("ignore.roles", ignore.get("roles", []))
    read.ignore_schemas = read.none_or_names("ignore.schemas", ignore.get("schemas", []))
    public = _scope(read, top["scope"]) if "scope" in top else True
    mode = read.choice("mode", top.get("mode", MODES[0]), MODES)
    if "roles" in top:
        read_roles(read, top["roles"])
    _owners(read, top.get("owners", {}))
    everybody = read.mapping("public", top.get("public", {}), known=PUBLIC_KEYS)
    if everybody.get("revoke_connect", "all") != "all":
        read.say("public.revoke_connect", "write all, or leave the key out")
    policy = Policy(
        mode=mode,
        databases=read.databases,
        schemas=read.schemas,
        public=public,
        roles=read.roles,
        owners=read.owners,
        revoke_connect="revoke_connect" in everybody,
        revoke_execute=_revoke_execute(read, everybody["revoke_execute"]) if "revoke_execute" in everybody else (),
        grants=read_grants(read, top.get("grants", [])),
        assertions=read_assertions(read, top.get("assertions", [])),
        database_owners=_database_owners(read, top.get("database_owners", {})),
        database_settings=_database_settings(read, top.get("database_settings", {})),
        default_privileges=read_default_privileges(read, top.get("default_privileges", [])),
        ignore_roles=read.ignore_roles,
        ignore_schemas=read.ignore_schemas,
        unlisted_roles=read.choice("unlisted_roles", top.get("unlisted_roles", UNLISTED[0]), UNLISTED),
    )
    return policy, read.problems


def _scope(read: PolicyFields, value: object) -> bool:
    """Fill ``read.databases`` and ``read.schemas``; whether PUBLIC is in scope."""
    scope = read.mapping("scope", value, known=SCOPE_KEYS, required=("databases", "schemas"))
    read.databases = read.names("scope.databases", scope["databases"]) if "databases" in scope else ()
    read.schemas = read.names("scope.schemas", scope["schemas"]) if "schemas" in scope else ()
    for database in read.databases:
        read.database("scope.databases", database)
    for schema in read.schemas:
        if is_system(schema):
            read.say("scope.schemas", f"{schema} is PostgreSQL's own: leave it out")
        elif covered(read.ignore_schemas, schema):
            read.say("scope.schemas", f"{schema} is left to others by ignore.schemas: leave one of both out")
    return read.flag("scope.public", scope.get("public", True))


def _owners(read: PolicyFields, value: object) -> None:
    """Fill ``read.owners``."""
    for schema, written in read.mapping("owners", value).items():
        where = f"owners.{schema}"
        if read.name(where, schema) is not None:
            read.in_schemas(where, schema)
        owner = read.owner(where, written)
        if owner is not None:
            read.owners[schema] = owner


def _database_owners(read: PolicyFields, value: object) -> dict[str, str]:
    owners = {}
    for database, written in read.mapping("database_owners", value).items():
        where = f"database_owners.{database}"
        read.in_databases(where, database)
        owner = read.owner(where, written)
        if owner is not None:
            owners[database] = owner
    return owners


def _database_settings(read: PolicyFields, value: object) -> dict[str, dict[str, tuple[str, ...]]]:
    settings = {}
    for database, written in read.mapping("database_settings", value).items():
        where = f"database_settings.{database}"
        if database != EVERYWHERE:
            read.in_databases(where, database)
        settings[database] = read.settings(where, written)
    return settings


def _revoke_execute(read: PolicyFields, value: object) -> tuple[Pattern, ...]:
    where = "public.revoke_execute"
    patterns = read.patterns(where, value, routines=True)
    for pattern in patterns:
        if pattern.whole_schema and like(pattern.schema, "pg_catalog"):
            read.say(where, f"{pattern} would take every operator away: name the functions, as in pg_catalog.lo_*")
    return patterns
