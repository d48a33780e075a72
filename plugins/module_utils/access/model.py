# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an access policy says, as frozen dataclasses: policy.py reads them, plan_*.py and hba.py carry them out."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import re
import typing as t

# Who everybody is. No role can have this name: PostgreSQL reserves it.
PUBLIC = "public"
PREDEFINED = "pg_"
PRIVILEGES: dict[str, tuple[str, ...]] = {
    "database": ("CONNECT", "CREATE", "TEMPORARY"),
    "schema": ("USAGE", "CREATE"),
    "tables": ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"),
    "sequences": ("USAGE", "SELECT", "UPDATE"),
}


@dataclasses.dataclass(frozen=True)
class Pattern:
    """Objects of one schema by name; ``*`` in *name* stands for any characters."""

    schema: str
    name: str

    @property
    def exact(self) -> bool:
        """It names one object."""
        return "*" not in self.name

    @property
    def whole_schema(self) -> bool:
        """It names every object of its schema."""
        return self.name == "*"

    def matches(self, schema: str, name: str) -> bool:
        """Whether the object *schema*.*name* is meant."""
        return schema == self.schema and (self.whole_schema or _expression(self.name).fullmatch(name) is not None)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@functools.cache
def _expression(name: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in name.split("*")), re.DOTALL)


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
    member_of: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Grant:
    """Privileges (upper case) on objects of one kind, a key of PRIVILEGES.

    ``names`` are databases or schemas; ``patterns`` without ``excepted`` are tables or sequences.
    """

    to: tuple[str, ...]
    kind: str
    privileges: frozenset[str]
    names: tuple[str, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    excepted: tuple[Pattern, ...] = ()
    future: bool = False

    def covers(self, schema: str, name: str) -> bool:
        """Whether the table or sequence *schema*.*name* is granted by this."""
        return any(pattern.matches(schema, name) for pattern in self.patterns) and not any(
            pattern.matches(schema, name) for pattern in self.excepted
        )


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

    @property
    def authoritative(self) -> bool:
        """What is not granted is revoked."""
        return self.mode == "authoritative"
