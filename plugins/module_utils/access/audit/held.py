# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds what by the ACLs of a snapshot, looked up by the words that findings have for objects."""

from __future__ import annotations

import typing as t

from ..catalog.model import Cluster, Objects
from ..plan.acl import Acl
from ..plan.statements import shown
from .things import Things


class Held:
    """Who holds what now, by the words of an object: what falls for a moment and is granted again is no drift."""

    def __init__(self, cluster: Cluster, objects: Objects | None, things: Things | None) -> None:
        self.cluster = cluster
        self.names = {shown(name): name for name in cluster.roles}
        self._acls: dict[str, tuple[str, Acl]] = {}
        self._columns: dict[str, list[str]] = {}
        # The schema that an object lies in.
        self.schemas: dict[str, str] = {}
        self.definers: set[str] = set()
        self.systems: set[str] = set()
        for database in cluster.databases.values():
            self._acls[f"database {shown(database.name)}"] = (database.owner, database.acl)
        if things is not None:
            self._acls.update((str(thing), (thing.owner, thing.acl)) for thing in things.all)
            self.schemas.update((str(thing), thing.place) for thing in things.all if thing.place)
        if objects is None:
            return
        for relation in objects.relations:
            for column, acl in relation.columns.items():
                where = f"column {shown(relation.schema, relation.name, column)}"
                self._acls[where] = (relation.owner, acl)
                self.schemas[where] = relation.schema
                self._columns.setdefault(f"table {shown(relation.schema, relation.name)}", []).append(where)
        for routine in objects.routines:
            name = f"routine {shown(routine.schema, routine.name)}({routine.arguments})"
            self.definers.update((name,) if routine.definer else ())
            self.systems.update((name,) if routine.system else ())

    def fallen(self, where: str, privilege: str, roots: t.Collection[str]) -> set[str]:
        """Who loses *privilege* on the object where the *roots* can't grant it any more: by nobody else has it."""
        owner, acl = self._acls.get(where, ("", ()))
        items = [item for item in acl if item.privilege == privilege and item.grantee != owner]
        lost = set(roots)
        fallen: set[str] = set()
        while True:
            left = {item.grantee for item in items if item.grantor not in lost}
            new = {item.grantee for item in items if item.grantor in lost} - left - fallen
            if not new:
                return fallen
            fallen |= new
            lost |= new

    def columns(self, where: str) -> list[str]:
        """The columns that have ACLs of a table, as findings name them."""
        return self._columns.get(where, [])

    def superuser(self, role: str) -> bool:
        """Whether nothing binds *role*."""
        held = self.cluster.roles.get(role)
        return held is not None and held.superuser

    def knows(self, where: str) -> bool:
        """Whether the object's ACL is at hand."""
        return where in self._acls

    def granted(self, role: str, where: str, privilege: str) -> bool:
        """Whether the object's ACL gives *privilege* to *role*, which isn't its owner."""
        owner, acl = self._acls.get(where, ("", ()))
        return role != owner and any(item.grantee == role and item.privilege == privilege for item in acl)

    def has(self, role: str, where: str, privilege: str) -> bool:
        """Whether *role* holds *privilege* on the object by a grant or as its owner."""
        owner, acl = self._acls.get(where, ("", ()))
        return role == owner or any(item.grantee == role and item.privilege == privilege for item in acl)
