# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an access policy says, as frozen dataclasses: reader.py reads them, plan carries them out."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import re
import typing as t

# Who everybody is. No role can have this name: PostgreSQL reserves it.
PUBLIC = "public"
PREDEFINED = "pg_"
# By kind of object, a key of a grant's "on": the privileges there are.
PRIVILEGES: dict[str, tuple[str, ...]] = {
    "database": ("CONNECT", "CREATE", "TEMPORARY"),
    "schema": ("USAGE", "CREATE"),
    "tables": ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"),
    "sequences": ("USAGE", "SELECT", "UPDATE"),
    "routines": ("EXECUTE",),
    "types": ("USAGE",),
    "languages": ("USAGE",),
    "foreign_data_wrappers": ("USAGE",),
    "foreign_servers": ("USAGE",),
    "large_objects": ("SELECT", "UPDATE"),
    "parameters": ("SET", "ALTER SYSTEM"),
    "tablespaces": ("CREATE",),
}
# Kinds whose objects lie in a schema and are named by Patterns; the others are named by ``names``.
IN_SCHEMAS = ("tables", "sequences", "routines", "types")
# Kinds that the whole cluster shares.
SHARED = ("database", "parameters", "tablespaces")
# What a grant on single columns may give.
ON_COLUMNS = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
# Default privileges: the kind of what will be made, and its letter in pg_default_acl. Large objects since 18.
FUTURE = {"tables": "r", "sequences": "S", "routines": "f", "types": "T", "schema": "n", "large_objects": "L"}
# What PostgreSQL gives PUBLIC on what is newly made, by that letter.
BUILT_IN = {"f": ("EXECUTE",), "T": ("USAGE",)}


@functools.cache
def _expression(name: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in name.split("*")), re.DOTALL)


def like(pattern: str, name: str) -> bool:
    """Whether *name* is what *pattern* means, in which ``*`` stands for any characters."""
    if "*" not in pattern:
        return pattern == name
    return pattern == "*" or _expression(pattern).fullmatch(name) is not None


@dataclasses.dataclass(frozen=True)
class Pattern:
    """Objects by schema and name; ``*`` stands for any characters in both.

    ``arguments`` are a routine's, as pg_get_function_identity_arguments writes them; None: whatever they are.
    """

    schema: str
    name: str
    arguments: str | None = None

    @property
    def exact(self) -> bool:
        """It names one object (or, of routines, one name)."""
        return "*" not in self.schema and "*" not in self.name

    @property
    def whole_schema(self) -> bool:
        """It names every object of its schema."""
        return self.name == "*" and self.arguments is None

    def matches(self, schema: str, name: str, arguments: str | None = None) -> bool:
        """Whether the object *schema*.*name* is meant."""
        return (
            like(self.schema, schema)
            and like(self.name, name)
            and (self.arguments is None or arguments is None or self.arguments == arguments)
        )

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" + ("" if self.arguments is None else f"({self.arguments})")


@dataclasses.dataclass(frozen=True)
class Member:
    """A membership in ``role``. ``inherit`` and ``set`` are options since 16; before, the member's own INHERIT rules.

    ``inherit`` None: as the member's attribute.
    """

    role: str
    inherit: bool | None = None
    set: bool = True
    admin: bool = False


@dataclasses.dataclass(frozen=True)
class HostLogin:
    """Logging in from other hosts: ``address`` in CIDR, ``method`` cert or scram-sha-256, always over TLS."""

    address: str
    method: str = "cert"


@dataclasses.dataclass(frozen=True)
class Role:
    """A role as the policy wants it; ``settings`` maps a lower-case name to the setting's elements."""

    name: str
    login: bool = False
    os_users: tuple[str, ...] = ()
    inherit: bool = True
    connection_limit: int = -1
    superuser: bool = False
    createdb: bool = False
    createrole: bool = False
    replication: bool = False
    bypassrls: bool = False
    settings: t.Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    # By database: what holds there in the place of ``settings``.
    database_settings: t.Mapping[str, t.Mapping[str, tuple[str, ...]]] = dataclasses.field(default_factory=dict)
    memberships: tuple[Member, ...] = ()
    hosts: tuple[HostLogin, ...] = ()
    # Whether a password that it has stays; the reader's default: where it logs in without OS users.
    keep_password: bool = False

    @property
    def member_of(self) -> tuple[str, ...]:
        """The roles it is a member of."""
        return tuple(member.role for member in self.memberships)

    def inherits(self, member: Member) -> bool:
        """Whether it has the privileges of that membership without SET ROLE."""
        return self.inherit if member.inherit is None else member.inherit


@dataclasses.dataclass(frozen=True)
class Grant:
    """Privileges (upper case) on objects of one kind, a key of PRIVILEGES.

    ``names`` are what isn't IN_SCHEMAS, with ``*`` for any characters (large objects by number); ``patterns`` without
    ``excepted`` are what is; ``columns``, of tables, narrow it. ``databases`` without a name: every one of the scope.
    ``future``: of what the schema's owner will make, too.
    """

    to: tuple[str, ...]
    kind: str
    privileges: frozenset[str]
    names: tuple[str, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    excepted: tuple[Pattern, ...] = ()
    columns: tuple[str, ...] = ()
    future: bool = False
    grant_option: bool = False
    databases: tuple[str, ...] = ()

    def covers(self, schema: str, name: str, arguments: str | None = None) -> bool:
        """Whether the object *schema*.*name* is granted by this."""
        return any(pattern.matches(schema, name, arguments) for pattern in self.patterns) and not any(
            pattern.matches(schema, name, arguments) for pattern in self.excepted
        )

    def names_one(self, name: str) -> bool:
        """Whether the database, schema, language, ... *name* is granted by this."""
        return any(like(pattern, name) for pattern in self.names)

    def in_database(self, database: str) -> bool:
        """Whether it holds in *database*."""
        return not self.databases or database in self.databases


@dataclasses.dataclass(frozen=True)
class DefaultGrant:
    """Default privileges of what ``creator`` will make, written out: in ``schema`` (a name or pattern), or anywhere.

    ``kind`` is a key of FUTURE; ``databases`` as in Grant.
    """

    creator: str
    kind: str
    to: tuple[str, ...]
    privileges: frozenset[str]
    schema: str | None = None
    grant_option: bool = False
    databases: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Allowance:
    """An exception to an assertion; ``expires`` is its last day."""

    role: str
    reason: str
    expires: datetime.date | None = None


@dataclasses.dataclass(frozen=True)
class Assertion:
    """A promise about effective access: of tables (who may), or of a role (what it may not)."""

    id: str
    tables: tuple[Pattern, ...] = ()
    writers: tuple[str, ...] | None = None
    readers: tuple[str, ...] | None = None
    deleters: tuple[str, ...] | None = None
    role: str | None = None
    may_not: tuple[str, ...] = ()
    allow: tuple[Allowance, ...] = ()


@dataclasses.dataclass(frozen=True)
class Policy:
    """All that is granted within the scope: ``databases`` by ``schemas``, and PUBLIC where ``public`` says so."""

    mode: str
    databases: tuple[str, ...]
    schemas: tuple[str, ...]
    public: bool
    roles: t.Mapping[str, Role]
    owners: t.Mapping[str, str]
    revoke_connect: bool
    revoke_execute: tuple[Pattern, ...]
    grants: tuple[Grant, ...]
    assertions: tuple[Assertion, ...]
    # Database: its owner. One that isn't here belongs to a superuser or to one of ``owners``.
    database_owners: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    # Database ("*": ALTER ROLE ALL, everywhere): its settings' elements. Exact for the databases of the scope.
    database_settings: t.Mapping[str, t.Mapping[str, tuple[str, ...]]] = dataclasses.field(default_factory=dict)
    default_privileges: tuple[DefaultGrant, ...] = ()
    # Names and patterns of what other tools manage: neither changed nor reported.
    ignore_roles: tuple[str, ...] = ()
    ignore_schemas: tuple[str, ...] = ()
    # What becomes of roles that the policy doesn't name: leave, or disable (no login, no attribute, no password).
    unlisted_roles: str = "leave"

    @property
    def authoritative(self) -> bool:
        """What is not granted is revoked."""
        return self.mode == "authoritative"

    def ignores(self, role: str) -> bool:
        """Whether *role* is another tool's; one that the policy names never is."""
        return role not in self.roles and any(like(pattern, role) for pattern in self.ignore_roles)

    def in_scope(self, schema: str) -> bool:
        """Whether the schema of this name is the policy's: PostgreSQL's own never are."""
        if schema.startswith(PREDEFINED) or schema == "information_schema":
            return False
        return any(like(pattern, schema) for pattern in self.schemas) and not any(
            like(pattern, schema) for pattern in self.ignore_schemas
        )

    def owner_of(self, schema: str) -> str | None:
        """Whom *schema* and everything in it belongs to; None: to whom it does. A name stands before a pattern."""
        if schema in self.owners:
            return self.owners[schema]
        return next((owner for pattern, owner in self.owners.items() if like(pattern, schema)), None)
