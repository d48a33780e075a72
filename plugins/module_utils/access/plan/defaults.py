# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the default privileges of one database: what is granted on objects that will be made.

What is built in (PUBLIC's EXECUTE on functions and USAGE on types) can only be taken away for all schemas at once: a
REVOKE ... IN SCHEMA is a no-op.
"""

from __future__ import annotations

import typing as t

from ..catalog.model import DefaultAcl
from ..policy.model import BUILT_IN, FUTURE, IN_SCHEMAS, PREDEFINED, PUBLIC, like
from .acl import Acl, AclItem, Pair
from .statements import Access, Name, Part, Statement, joined, role_part, role_shown, shown
from .wanted import Wants
from .work import Work

# defaclobjtype: the noun of ALTER DEFAULT PRIVILEGES.
NOUNS = {"r": "TABLES", "S": "SEQUENCES", "f": "FUNCTIONS", "T": "TYPES", "n": "SCHEMAS", "L": "LARGE OBJECTS"}
# The server that default privileges of large objects came with.
LARGE_OBJECTS = 180000
# Change's fields, in its order, that can occur here: there are no third parties.
VERBS = ("options", "revokes", "grants", "grant_options")

# Creator, schema (None: any) and kind (as NOUNS).
Key = tuple[str, t.Optional[str], str]  # noqa: UP045 (evaluated at run time)


class Defaults:
    """The default privileges of the database that *work* is on."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.policy = work.policy
        # All schemas of the scope, those that are yet to be made too: whose objects they will hold.
        live = {name: one.owner for name, one in work.objects.schemas.items() if self.policy.in_scope(name)}
        names = [*live, *(name for name in self.policy.schemas if "*" not in name and self.policy.in_scope(name))]
        self.schemas = {name: self.policy.owner_of(name) or live.get(name) for name in names}
        self.owners = {owner for name in names if (owner := self._maker(name)) is not None}

    def statements(self) -> list[Statement]:
        """ALTER DEFAULT PRIVILEGES: first what is taken away, then what is given."""
        wanted = self._wanted()
        live = {(one.creator, one.schema, one.kind): one.acl for one in self.work.objects.defaults if self._counts(one)}
        keys = dict.fromkeys([*live, *wanted])
        if self.policy.authoritative:
            keys |= dict.fromkeys((owner, None, kind) for owner in sorted(self.owners) for kind in BUILT_IN)
        # What changes alike in several schemas is one statement.
        groups: dict[str, dict[tuple[str, str, bool, str, tuple[str, ...]], list[str]]] = {verb: {} for verb in VERBS}
        for creator, schema, kind in keys:
            acl = live.get((creator, schema, kind))
            if acl is None:
                acl = _built_in(creator, kind) if schema is None else ()
            pairs, grantable = wanted.get((creator, schema, kind), (set(), set()))
            if schema is None and kind in BUILT_IN and creator not in self.owners:
                pairs |= {(item.grantee, item.privilege) for item in _built_in(creator, kind) if item in acl}
            change = self.work.difference(creator, acl, Wants(frozenset(pairs), frozenset(grantable)))
            for verb in VERBS:
                for role, privileges in _by_role(getattr(change, verb)):
                    key = (creator, kind, schema is None, role, privileges)
                    groups[verb].setdefault(key, []).append(schema or "")
        return [
            self._statement(verb, creator, kind, [] if anywhere else sorted(schemas), role, privileges)
            for verb in VERBS
            for (creator, kind, anywhere, role, privileges), schemas in groups[verb].items()
        ]

    def _maker(self, schema: str) -> str | None:
        """Who makes what is in *schema*, whose own default privileges are the policy's.

        Of owners that the policy doesn't name, predefined roles make nothing, and what superusers make are extensions,
        whose routines would come to be without PUBLIC's EXECUTE.
        """
        owner = self.schemas[schema]
        if owner is None or self.policy.owner_of(schema) is not None:
            return owner
        return None if owner in self.work.protected or owner.startswith(PREDEFINED) else owner

    def _wanted(self) -> dict[Key, tuple[set[Pair], set[Pair]]]:
        wanted: dict[Key, tuple[set[Pair], set[Pair]]] = {}

        def want(key: Key, to: t.Iterable[str], privileges: t.Iterable[str], grantable: bool) -> None:
            held = wanted.setdefault(key, (set(), set()))
            given = {(role, privilege) for role in to for privilege in privileges}
            held[0].update(given)
            held[1].update(given if grantable else ())

        for kind in IN_SCHEMAS:
            for grant in self.work.grants(kind):
                for schema in self.schemas if grant.future else ():
                    owner = self.policy.owner_of(schema)
                    if owner is not None and any(like(pattern.schema, schema) for pattern in grant.patterns):
                        want((owner, schema, FUTURE[kind]), grant.to, grant.privileges, grant.grant_option)
        for default in self.policy.default_privileges:
            if default.databases and self.work.objects.database not in default.databases:
                continue
            if default.kind == "large_objects" and self.work.cluster.version < LARGE_OBJECTS:
                raise ValueError("default_privileges of large_objects are there since PostgreSQL 18: leave them out")
            within: list[str | None] = [None]
            if default.schema is not None:
                within = [schema for schema in self.schemas if like(default.schema, schema)]
            for place in within:
                key = (default.creator, place, FUTURE[default.kind])
                want(key, default.to, default.privileges, default.grant_option)
        return wanted

    def _counts(self, default: DefaultAcl) -> bool:
        """Whether what *creator* makes may come to lie in the scope.

        Without a schema they reach into the scope if their creator can: owners, the policy's roles, superusers.
        """
        if self.policy.ignores(default.creator):
            return False
        if default.schema is not None:
            return self.policy.in_scope(default.schema)
        creators = self.policy.roles.keys() | set(self.policy.owners.values()) | self.owners | self.work.protected
        return default.creator in creators

    def _statement(
        self, verb: str, creator: str, kind: str, schemas: list[str], role: str, privileges: tuple[str, ...]
    ) -> Statement:
        given = verb in ("grants", "grant_options")
        option = verb in ("options", "grant_options")
        where = (" IN SCHEMA ", *joined([Name((schema,))] for schema in schemas)) if schemas else ()
        what = f"{', '.join(privileges)} ON {NOUNS[kind]} "
        head: tuple[Part, ...] = ("ALTER DEFAULT PRIVILEGES FOR ROLE ", Name((creator,)), *where)
        if given:
            tail: tuple[Part, ...] = (f" GRANT {what}TO ", role_part(role), " WITH GRANT OPTION" if option else "")
        else:
            tail = (
                f" REVOKE {'GRANT OPTION FOR ' if option else ''}{what}FROM ",
                *(role_part(role), " CASCADE"),
            )
        new = f"new {NOUNS[kind].lower()} of {shown(creator)}"
        may = f"{role_shown(role)} may {', '.join(privileges)}{', and grant it' if option else ''} on {new} in "
        places = [shown(schema) for schema in schemas] or ["any schema"]
        lines = tuple(f"{may}{place} of {shown(self.work.objects.database)}" for place in places)
        return Statement(
            kind="grant" if given else "revoke",
            parts=(*head, *tail),
            before=() if given else lines,
            after=lines if given else (),
            access=Access(
                role=role,
                privileges=privileges,
                on=f"new {NOUNS[kind].lower()}",
                names=tuple(f"{shown(schema)}.*" for schema in schemas) or ("*",),
                database=self.work.objects.database,
                grant_option=option,
            ),
        )


def _built_in(creator: str, kind: str) -> Acl:
    """What is granted on what *creator* makes as long as nobody has said anything else."""
    return tuple(AclItem(PUBLIC, creator, privilege) for privilege in BUILT_IN.get(kind, ()))


def _by_role(pairs: t.Iterable[Pair]) -> list[tuple[str, tuple[str, ...]]]:
    """(role, its privileges), both sorted: sets have no order of their own, and two runs shall read the same."""
    by_role: dict[str, list[str]] = {}
    for role, privilege in sorted(pairs):
        by_role.setdefault(role, []).append(privilege)
    return [(role, tuple(privileges)) for role, privileges in by_role.items()]
