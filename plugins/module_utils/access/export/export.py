# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adopt a server: write the policy that is in force there, so that applying it changes nothing.

What everybody has by default is written out too: a policy takes from PUBLIC whatever it doesn't grant. Two exports of
the same state are equal.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..catalog.model import Cluster, Objects, Owned, Relation, Routine, Type
from ..plan.statements import shown
from ..policy.model import PREDEFINED
from .cluster import ClusterExport
from .database import DatabaseExport, Made
from .grants import KIND_ORDER, one_or_list, privilege_words, written
from .names import Roles, pattern_of, single_database, system_schema

VERSION = 1
# It belongs to initdb: its being closed to everybody is no news.
TEMPLATE = "template0"


@dataclasses.dataclass(frozen=True)
class Exported:
    """``policy`` is of plain mappings, lists, texts, numbers and flags, in the order to write them in.

    ``not_expressed`` are sentences about what the policy's format can't say: that may change when it is applied.
    """

    policy: dict[str, t.Any]
    not_expressed: tuple[str, ...]


def export(
    cluster: Cluster, databases: t.Mapping[str, Objects], *, ident: t.Sequence[tuple[str, str]] = ()
) -> Exported:
    """The policy of *cluster* and its *databases*, read with every schema in scope.

    *ident*: (OS user, role) of logins by peer, as ``export_cluster.logins_by_peer`` has them. ValueError without a
    database that a policy can name.
    """
    roles = Roles(cluster)
    there = {name: databases[name] for name in sorted(databases) if single_database(name)}
    for name in sorted(databases.keys() - there.keys()):
        roles.say(f"database {shown(name)}: the policy can't name it, so it is out of scope")
    if not there:
        raise ValueError("there is no database to write a policy of: give at least one")
    for name, database in sorted(cluster.databases.items()):
        if not database.allows_connections and name not in databases and name != TEMPLATE:
            roles.say(f"database {shown(name)}: it accepts no connections, so it is out of scope")
    shared = ClusterExport(cluster, there, roles)
    schemas = _schemas(there, roles)
    owners = _owners(there, schemas, roles)
    given, made = {}, {}
    for name, objects in there.items():
        here = {schema: owner for schema, owner in owners.items() if schema in objects.schemas}
        one = DatabaseExport(objects, schemas, here, roles, cluster).read()
        given[name], made[name] = one.given, one.made
    ignored = shared.ignored()
    policy = {
        "version": VERSION,
        "scope": {"databases": list(there), "schemas": _scope(there, schemas), "public": True},
        "mode": "authoritative",
        "ignore": {"roles": ignored} if ignored else {},
        "roles": shared.written_roles(ident),
        "owners": {schemas[name]: owner for name, owner in owners.items()},
        "database_owners": shared.database_owners(owners.values()),
        "database_settings": shared.database_settings(),
        "public": {"revoke_connect": "all"} if shared.revoke_connect() else {},
        "grants": written(given, shared.shared()),
        "default_privileges": _default_privileges(made),
    }
    # An empty part says nothing, but for the roles, which a policy has to have.
    policy = {key: value for key, value in policy.items() if value or key == "roles"}
    return Exported(policy, tuple(sorted(roles.sentences)))


def _schemas(databases: t.Mapping[str, Objects], roles: Roles) -> dict[str, str]:
    """By the name of each schema, the pattern that means it alone."""
    names = sorted({name for objects in databases.values() for name in objects.schemas if not system_schema(name)})
    found = {}
    for name in names:
        pattern = pattern_of(name, names)
        if pattern is None:
            roles.say(f"schema {shown(name)}: no pattern of the policy means it alone, so nothing in it can be said")
        else:
            found[name] = pattern
    return found


def _scope(databases: t.Mapping[str, Objects], schemas: t.Mapping[str, str]) -> list[str]:
    """``scope.schemas``: the names, if every database has every schema, since one that is missing would be made."""
    everywhere = all(name in objects.schemas for objects in databases.values() for name in schemas)
    return list(schemas.values()) if schemas and everywhere else ["*"]


def _owners(databases: t.Mapping[str, Objects], schemas: t.Iterable[str], roles: Roles) -> dict[str, str]:
    """By schema, whom it and everything in it belongs to, wherever it is; without those of mixed owners.

    pg_database_owner is no answer: it owns the schema public of a new database, and nobody can make a table as it.
    """
    found: dict[str, set[str]] = {name: set() for name in schemas}
    for objects in databases.values():
        for schema in objects.schemas.values():
            if schema.name in found:
                # An extension's own is left alone, whoever owns the rest.
                found[schema.name].add("" if schema.extension else schema.owner)
        several: list[Relation | Routine | Type | Owned] = [*objects.relations, *objects.routines, *objects.types]
        for one in [*several, *objects.owned]:
            if one.schema in found and not one.extension:
                found[one.schema].add(one.owner)
    alone = {name: next(iter(owners)) for name, owners in found.items() if len(owners) == 1}
    return {
        name: owner
        for name, owner in alone.items()
        if owner in roles.known and not owner.startswith(PREDEFINED) and owner
    }


def _default_privileges(made: t.Mapping[str, t.Iterable[Made]]) -> list[dict[str, t.Any]]:
    where: dict[Made, list[str]] = {}
    for database, several in made.items():
        for one in several:
            where.setdefault(one, []).append(database)
    to: dict[tuple[t.Any, ...], list[str]] = {}
    for one, found in where.items():
        databases = () if len(found) == len(made) else tuple(found)
        words = tuple(privilege_words(one.kind, one.privileges))
        order = (databases, one.creator, one.schema is not None, one.schema or "", KIND_ORDER[one.kind])
        to.setdefault((*order, words, one.option, one.kind), []).append(one.role)
    entries = []
    for key, names in sorted(to.items(), key=lambda item: (item[0], sorted(item[1]))):
        databases, creator, somewhere, schema, _order, words, option, kind = key
        entry: dict[str, t.Any] = {"creator": creator}
        if somewhere:
            entry["schema"] = schema
        entry.update({"on": kind, "to": one_or_list(sorted(names)), "privileges": list(words)})
        if option:
            entry["grant_option"] = True
        if databases:
            entry["databases"] = list(databases)
        entries.append(entry)
    return entries
