# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot of what is: the cluster's roles and databases, and one database's objects with their ACLs.

The queries are in queries.py, and snapshot.py makes these from their rows. An ``acl`` is without the owner's own
privileges, since they are never touched; ``owner``, ``grantee`` and their like are names, or numbers of roles that are
gone.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..plan.acl import Acl
from .links import Call, ForeignKey, Inheritance


@dataclasses.dataclass(frozen=True)
class CatalogRole:
    """A row of pg_authid. ``password`` is the kind of its verifier (scram-sha-256, md5, other) or None."""

    name: str
    superuser: bool
    inherit: bool
    createrole: bool
    createdb: bool
    login: bool
    replication: bool
    bypassrls: bool
    connection_limit: int
    password: str | None
    # SHA-256 of the verifier, to compare it without moving it; never shown.
    password_digest: str | None = dataclasses.field(default=None, repr=False)
    # When its password stops to work (VALID UNTIL), where that is some day.
    valid_until: str | None = None

    @property
    def has_password(self) -> bool:
        """It has one, of whatever kind."""
        return self.password is not None


@dataclasses.dataclass(frozen=True)
class RoleSetting:
    """A row of pg_db_role_setting: of one ``role`` or (None) all, everywhere (``database`` None) or in one database."""

    role: str | None
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
    allows_connections: bool = True
    template: bool = False


@dataclasses.dataclass(frozen=True)
class Named:
    """What has an owner, an ACL and one name: a tablespace, a language, a foreign data wrapper or server.

    ``extension``: it belongs to one. ``system``: initdb made it. ``initial`` is the ACL that it had from either, where
    that is on record (pg_init_privs) or the default. An untrusted language's ACL is shown as empty, since only
    superusers can use it, and GRANT and REVOKE refuse it.
    """

    name: str
    owner: str
    acl: Acl
    extension: bool = False
    system: bool = False
    initial: Acl = ()


@dataclasses.dataclass(frozen=True)
class Cluster:
    """What all databases share. ``version`` is server_version_num; ``bootstrap`` the role that initdb made.

    ``parameters`` (since 15) belong to the bootstrap role. ``standby``: in recovery, so that nothing can be changed.
    """

    version: int
    login_role: str
    bootstrap: str
    names: t.Mapping[int, str]
    roles: t.Mapping[str, CatalogRole]
    settings: tuple[RoleSetting, ...]
    memberships: tuple[Membership, ...]
    databases: t.Mapping[str, Database]
    parameters: t.Mapping[str, Acl] = dataclasses.field(default_factory=dict)
    tablespaces: tuple[Named, ...] = ()
    standby: bool = False


@dataclasses.dataclass(frozen=True)
class Schema:
    """A row of pg_namespace."""

    name: str
    owner: str
    acl: Acl
    extension: bool = False


@dataclasses.dataclass(frozen=True)
class Relation:
    """A table, view, materialized view, foreign table (``kind`` r p v m f) or sequence (S), with its columns' ACLs.

    ``extension``: it belongs to one, from which it had ``initial``. ``follows``: the oid of the table that the sequence
    belongs to. ``rls``: row level security is on, ``rls_forced`` for its owner too.
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
    partition: bool = False
    rls: bool = False
    rls_forced: bool = False
    initial: Acl = ()


@dataclasses.dataclass(frozen=True)
class DefaultAcl:
    """A row of pg_default_acl: of what ``creator`` will make, in ``schema`` or (None) anywhere; ``kind``: r S f T n L.

    A row without a schema stands in the place of what is built in (model.BUILT_IN), which its ``acl`` has where it is
    still given; one with a schema adds to it.
    """

    creator: str
    schema: str | None
    kind: str
    acl: Acl


@dataclasses.dataclass(frozen=True)
class Routine:
    """A row of pg_proc; ``arguments`` as pg_get_function_identity_arguments writes them, ``kind`` f p a w.

    ``extension``, ``system`` and ``initial`` as in Named. ``definer``: SECURITY DEFINER; ``settings`` are its SET
    clauses (``name=value``).
    """

    schema: str
    name: str
    arguments: str
    owner: str
    acl: Acl
    oid: int = 0
    kind: str = "f"
    extension: bool = False
    system: bool = False
    initial: Acl = ()
    definer: bool = False
    settings: tuple[str, ...] = ()
    language: str = ""


@dataclasses.dataclass(frozen=True)
class Type:
    """A type that has an ACL of its own: base, composite, domain, enum, range, multirange (``kind`` b c d e r m).

    Since 17 a multirange has none: its range's counts.
    """

    schema: str
    name: str
    owner: str
    kind: str
    acl: Acl
    extension: bool = False


@dataclasses.dataclass(frozen=True)
class Owned:
    """What has an owner and no ACL; ``noun`` as in ALTER ... OWNER TO.

    In a ``schema``: a collation, conversion, operator (class, family), statistics object, text search configuration or
    dictionary, whose ``name`` is SQL. In none: an extension, event trigger or publication; or a USER MAPPING for
    PUBLIC, whose name and owner are its server's.
    """

    noun: str
    name: str
    owner: str
    schema: str | None = None
    extension: bool = False


@dataclasses.dataclass(frozen=True)
class LargeObject:
    """A row of pg_largeobject_metadata."""

    oid: int
    owner: str
    acl: Acl


@dataclasses.dataclass(frozen=True)
class SystemRelation:
    """A relation (``column`` None) or column of pg_catalog or information_schema whose ACL is not what initdb gave it.

    Relations that the policy's grants name are here too, whatever their ACL.
    """

    schema: str
    name: str
    kind: str
    owner: str
    acl: Acl
    initial: Acl
    column: str | None = None


@dataclasses.dataclass(frozen=True)
class View:
    """How a view (``oid`` is its relation's) reaches what lies below it: with its owner's rights, or its ``invoker``'s.

    ``below`` are the oids of the relations that it reads. ``writes`` are the privileges (INSERT, UPDATE, DELETE) that
    work on it and then on these. What an INSTEAD rule or an INSTEAD OF trigger does in their place is a Rule's or a
    Trigger's. A materialized view is here too: it shows what its owner has read.
    """

    oid: int
    invoker: bool
    below: tuple[int, ...]
    writes: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule other than a view's own SELECT: an ``event`` (INSERT, UPDATE, DELETE) on the relation acts on ``reaches``.

    It acts with the rights of the relation's owner.
    """

    oid: int
    name: str
    event: str
    reaches: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Trigger:
    """A trigger on a relation, none of PostgreSQL's own; ``function`` is written schema.name.

    Whoever writes to the relation fires it, EXECUTE or not; a SECURITY DEFINER function acts as its owner then.
    """

    oid: int
    name: str
    function: str
    definer: bool
    owner: str
    enabled: bool = True
    oid_of_function: int = 0


@dataclasses.dataclass(frozen=True)
class RowPolicy:
    """A row of pg_policy: on the relation ``oid``, for ``roles`` (model.PUBLIC: all)."""

    oid: int
    name: str
    command: str
    permissive: bool
    roles: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class EventTrigger:
    """A row of pg_event_trigger: whoever runs DDL runs its function, which is ``owner_of_function``'s."""

    name: str
    owner: str
    event: str
    function: str
    enabled: bool
    owner_of_function: str = ""


@dataclasses.dataclass(frozen=True)
class Publication:
    """A row of pg_publication: what may leave by replication. ``tables`` are written schema.name, or schema.*."""

    name: str
    owner: str
    all_tables: bool
    tables: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Subscription:
    """A row of pg_subscription: who writes here by replication.

    Its connection text, which may hold a password, isn't read.
    """

    name: str
    owner: str
    enabled: bool


@dataclasses.dataclass(frozen=True)
class Objects:
    """What is in one database's scope, and what of the database has no schema."""

    database: str
    schemas: t.Mapping[str, Schema]
    relations: tuple[Relation, ...]
    defaults: tuple[DefaultAcl, ...]
    # Those of the scope, those that the policy names elsewhere, and PostgreSQL's own whose ACL isn't the initial one.
    routines: tuple[Routine, ...]
    types: tuple[Type, ...] = ()
    languages: tuple[Named, ...] = ()
    wrappers: tuple[Named, ...] = ()
    servers: tuple[Named, ...] = ()
    large_objects: tuple[LargeObject, ...] = ()
    system_relations: tuple[SystemRelation, ...] = ()
    owned: tuple[Owned, ...] = ()
    # By (schema, name) of the tables that the policy's grants on columns name: all their columns.
    column_names: t.Mapping[tuple[str, str], frozenset[str]] = dataclasses.field(default_factory=dict)
    views: tuple[View, ...] = ()
    rules: tuple[Rule, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    row_policies: tuple[RowPolicy, ...] = ()
    event_triggers: tuple[EventTrigger, ...] = ()
    publications: tuple[Publication, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    # Out of the scope, and leading into it: all other schemas, and their relations and SECURITY DEFINER routines.
    outside_schemas: tuple[Schema, ...] = ()
    outside_relations: tuple[Relation, ...] = ()
    outside_routines: tuple[Routine, ...] = ()
    inheritance: tuple[Inheritance, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    calls: tuple[Call, ...] = ()
    # Whether the large objects' own checks are switched off (lo_compat_privileges).
    lo_compat: bool = False
