# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a role can act as, and whose privileges it has then: the closures of the memberships, with shortest paths.

Two closures, as in PostgreSQL's src/backend/utils/adt/acl.c (roles_is_member_of): what is inherited counts at once,
what may be SET ROLE to only then; and SET ROLE asks the session's user, so it leads one step, never two.
"""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ..catalog.model import Cluster
from ..plan.statements import shown

# Since 16 each membership says itself whether it is inherited and whether SET ROLE may be used.
OPTIONS = 160000
DATABASE_OWNER = "pg_database_owner"
# What runs programs or writes files as the server's own user is as good as the superuser that initdb made, and what
# reads the server's files reads all data.
SERVER_USER = {"pg_execute_server_program": "runs programs", "pg_write_server_files": "writes files"}
FILE_READER = "pg_read_server_files"
READ_ALL = "pg_read_all_data"
# (role, object, privilege): what a step rests on, in the words of a finding.
Link = tuple[str, str, str]
# From a role (left out) to one above it: each one's name.
Chain = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Way:
    """How a role that logs in comes to act as ``acting``.

    ``kind``: login; set_role; admin (it could grant itself the role); definer or trigger (code that runs as
    ``acting``); files (by the server's files it does what ``acting`` could). ``path`` is for people, ``links`` is what
    it rests on. ``holders`` are the roles whose privileges count then, each with its chain of memberships.
    """

    kind: str
    acting: str
    path: tuple[str, ...]
    links: tuple[Link, ...]
    holders: t.Mapping[str, Chain]

    @property
    def code(self) -> bool:
        """It acts by code that somebody else wrote: what that does isn't known."""
        return self.kind in ("definer", "trigger", "files")


def membership_links(start: str, chain: Chain) -> tuple[Link, ...]:
    """What a chain of memberships that begins at the role *start* rests on."""
    return tuple(
        (member, f"role {shown(role)}", "MEMBER") for member, role in zip((start, *chain), chain, strict=False)
    )


class Reach:
    """The closures of *cluster*'s memberships, as they are in *database* (whose owner is in pg_database_owner)."""

    def __init__(self, cluster: Cluster, database: str | None = None) -> None:
        self.cluster = cluster
        self._inherit: dict[str, list[str]] = {}
        self._set: dict[str, list[str]] = {}
        self._admin: dict[str, list[str]] = {}
        self._closures: dict[tuple[int, str], dict[str, Chain]] = {}
        self.implicit: tuple[str, str] | None = None
        own = cluster.version >= OPTIONS
        for row in cluster.memberships:
            member = cluster.roles.get(row.member)
            if row.inherit if own else member is not None and member.inherit:
                self._inherit.setdefault(row.member, []).append(row.role)
            if row.set if own else True:
                self._set.setdefault(row.member, []).append(row.role)
            if row.admin:
                self._admin.setdefault(row.member, []).append(row.role)
        held = cluster.databases.get(database) if database is not None else None
        if held is not None and DATABASE_OWNER in cluster.roles:
            self.implicit = (held.owner, f"database {shown(held.name)}")
            owner = cluster.roles.get(held.owner)
            if own or (owner is not None and owner.inherit):
                self._inherit.setdefault(held.owner, []).append(DATABASE_OWNER)
            self._set.setdefault(held.owner, []).append(DATABASE_OWNER)

    def superuser(self, role: str) -> bool:
        """Whether nothing binds *role*."""
        held = self.cluster.roles.get(role)
        return held is not None and held.superuser

    def inherited(self, role: str) -> t.Mapping[str, Chain]:
        """The roles whose privileges *role* has without SET ROLE, itself (an empty chain) included."""
        return self._closure(0, self._inherit, role)

    def settable(self, role: str) -> t.Mapping[str, Chain]:
        """The roles that *role* may SET ROLE to by its memberships, itself left out. A superuser may to every one."""
        return {name: chain for name, chain in self._closure(1, self._set, role).items() if chain}

    def grantable(self, role: str) -> t.Mapping[str, tuple[str, Link]]:
        """The roles that *role*, acting, could grant to itself, each with the step's words and what it rests on."""
        found: dict[str, tuple[str, Link]] = {}
        for holder in self.inherited(role):
            for name in self._admin.get(holder, ()):
                by = "" if holder == role else f" of {shown(holder)}"
                link = (holder, f"role {shown(name)}", "ADMIN")
                found.setdefault(name, (f"grants itself {shown(name)} by the admin option{by}", link))
        held = self.cluster.roles.get(role)
        if held is not None and held.createrole and self.cluster.version < OPTIONS:
            link = (role, f"role {shown(role)}", "CREATEROLE")
            for name, other in self.cluster.roles.items():
                if not other.superuser and name not in (role, DATABASE_OWNER):
                    found.setdefault(name, (f"grants itself {shown(name)} by CREATEROLE", link))
        return found

    def ways(self, role: str) -> list[Way]:
        """Every way of acting of *role*, one for each role that it can act as: itself first, by a grant last."""
        ways = {role: Way("login", role, (shown(role),), (), self.inherited(role))}
        if self.superuser(role):
            return list(ways.values())
        for name, chain in self.settable(role).items():
            ways[name] = self._by_set_role(ways[role], name, chain)
        new = collections.deque(ways.values())
        while new:
            way = new.popleft()
            if self.superuser(way.acting):
                continue
            for name, (step, link) in self.grantable(way.acting).items():
                # What it inherits from, or may SET ROLE to, it needs no grant for.
                if name in ways or name in way.holders:
                    continue
                links = (*way.links, link)
                ways[name] = Way("admin", name, (*way.path, step), links, self.inherited(name))
                new.append(ways[name])
                for above, chain in self.settable(name).items():
                    if above not in ways:
                        ways[above] = self._by_set_role(ways[name], above, chain)
                        new.append(ways[above])
        return [*ways.values(), *self._by_files(ways.values())]

    def _by_files(self, ways: t.Collection[Way]) -> t.Iterator[Way]:
        """The shortest way to the server's programs and files, if no way is a superuser's already."""
        if any(self.superuser(way.acting) for way in ways):
            return
        for name, does in SERVER_USER.items():
            way = next((way for way in ways if name in way.holders), None)
            if way is not None:
                yield self._files(way, name, f"{does} as the server's user", self.cluster.bootstrap)
                return
        way = next((way for way in ways if FILE_READER in way.holders and READ_ALL not in way.holders), None)
        if way is not None and READ_ALL in self.cluster.roles:
            yield self._files(way, FILE_READER, "reads the server's files", READ_ALL)

    def _files(self, way: Way, name: str, step: str, acting: str) -> Way:
        chain = way.holders[name]
        path = (*way.path, *(f"member of {shown(role)}" for role in chain), step)
        return Way("files", acting, path, (*way.links, *self.links(way.acting, chain)), self.inherited(acting))

    def links(self, start: str, chain: Chain) -> tuple[Link, ...]:
        """As ``membership_links``; being in pg_database_owner rests on the database."""
        found = membership_links(start, chain)
        if self.implicit is None or DATABASE_OWNER not in chain:
            return found
        owner, database = self.implicit
        implicit = (owner, f"role {DATABASE_OWNER}", "MEMBER")
        return tuple((owner, database, "OWNER") if link == implicit else link for link in found)

    def _by_set_role(self, way: Way, name: str, chain: Chain) -> Way:
        by = f" (by {', '.join(map(shown, chain[:-1]))})" if len(chain) > 1 else ""
        links = (*way.links, *self.links(way.acting, chain))
        kind = "set_role" if way.kind == "login" else way.kind
        return Way(kind, name, (*way.path, f"SET ROLE {shown(name)}{by}"), links, self.inherited(name))

    def _closure(self, which: int, edges: t.Mapping[str, t.Sequence[str]], start: str) -> dict[str, Chain]:
        """Breadth first, so each chain is a shortest one; a circle ends where it began."""
        if (which, start) not in self._closures:
            chains: dict[str, Chain] = {start: ()}
            new = collections.deque([start])
            while new:
                role = new.popleft()
                for above in edges.get(role, ()):
                    if above not in chains:
                        chains[above] = (*chains[role], above)
                        new.append(above)
            self._closures[which, start] = chains
        return self._closures[which, start]
