# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access policy: what is written in the inventory, read into frozen dataclasses. docs/policy.md is its manual.

``parse`` refuses what it does not fully understand: a key with a typing error would otherwise be a grant that nobody
made or, worse, a limit that nobody set.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

from . import settings
from .fields import Fields
from .model import PREDEFINED, PRIVILEGES, PUBLIC, Allowance, Assertion, Grant, Pattern, Policy, Role

VERSION = 1
MODES = ("authoritative", "additive")
MAY_NOT = ("write", "create", "temp", "set_role", "large_objects", "security_definer")
ASSERTED = ("writers", "readers", "deleters")
FLAGS = ("superuser", "createdb", "createrole", "replication", "bypassrls")


def problems(data: object) -> list[str]:
    """What is wrong with the policy *data*: sentences that begin with the key and say what to write. [] is good."""
    return _read(data)[1]


def parse(data: object, mode: str | None = None) -> Policy:
    """The policy that *data* (nested mappings and lists) says; ValueError with all its ``problems``, one a line.

    *mode*, one of MODES, stands in the place of the policy's own.
    """
    policy, found = _read(data)
    if found or policy is None:
        raise ValueError("the access policy has problems:\n" + "\n".join(f"- {problem}" for problem in found))
    return policy if mode is None else dataclasses.replace(policy, mode=mode)


def _read(data: object) -> tuple[Policy | None, list[str]]:
    reader = _Reader()
    policy = reader.policy(data)
    return (None if reader.problems else policy), reader.problems


class _Reader(Fields):
    """The policy's grammar. What a later part refers to is read first."""

    def __init__(self) -> None:
        super().__init__()
        self.databases: tuple[str, ...] = ()
        self.schemas: tuple[str, ...] = ()
        self.roles: dict[str, Role] = {}
        self.owners: dict[str, str] = {}

    def policy(self, data: object) -> Policy:
        keys = ("version", "scope", "mode", "roles", "owners", "public", "grants", "assertions")
        top = self.mapping("access policy", data, known=keys, required=("version", "scope", "mode", "roles"))
        if "version" in top and (top["version"] != VERSION or isinstance(top["version"], bool)):
            self.say("version", f"write {VERSION}, the only version there is")
        scope = self.mapping(
            "scope",
            top.get("scope", {}),
            known=("databases", "schemas", "public"),
            required=("databases", "schemas") if "scope" in top else (),
        )
        self.databases = self.names("scope.databases", scope["databases"]) if "databases" in scope else ()
        self.schemas = self.names("scope.schemas", scope["schemas"]) if "schemas" in scope else ()
        for schema in self.schemas:
            if schema.startswith(PREDEFINED) or schema == "information_schema":
                self.say("scope.schemas", f"{schema} is PostgreSQL's own: leave it out")
        public = self.flag("scope.public", scope.get("public", True))
        mode = self.choice("mode", top.get("mode", MODES[0]), MODES)
        self._roles(top.get("roles", {}), given="roles" in top)
        self._owners(top.get("owners", {}))
        everybody = self.mapping("public", top.get("public", {}), known=("revoke_connect", "revoke_execute"))
        if everybody.get("revoke_connect", "all") != "all":
            self.say("public.revoke_connect", "write all, or leave the key out")
        return Policy(
            mode=mode,
            databases=self.databases,
            schemas=self.schemas,
            public=public,
            roles=self.roles,
            owners=self.owners,
            revoke_connect="revoke_connect" in everybody,
            revoke_execute=self._revoke_execute(everybody.get("revoke_execute")),
            grants=tuple(self._grant(key, item) for key, item in self.sequence("grants", top.get("grants", []))),
            assertions=self._assertions(top.get("assertions", [])),
        )

    def _roles(self, value: object, *, given: bool) -> None:
        written = self.mapping("roles", value)
        if given and isinstance(value, t.Mapping) and not value:
            self.say("roles", "no role is defined, and an empty policy is refused: write the roles")
        for name, attributes in written.items():
            self.roles[name] = self._role(name, {} if attributes is None else attributes)
        users: dict[str, str] = {}
        for role in self.roles.values():
            for member_of in role.member_of:
                self.defined(f"roles.{role.name}.member_of", member_of)
            for user in role.os_users:
                if users.setdefault(user, role.name) != role.name:
                    self.say(
                        f"roles.{role.name}.os_users", f"{user} is already {users[user]}: one role for each OS user"
                    )
        for name in self.roles:
            if name in self._above(name):
                self.say(f"roles.{name}.member_of", "the role is a member of itself: break the circle")

    def _above(self, name: str) -> set[str]:
        """The roles that the role *name* is a member of, directly or not."""
        above: set[str] = set()
        new = list(self.roles[name].member_of)
        while new:
            role = new.pop()
            if role not in above:
                above.add(role)
                new += self.roles[role].member_of if role in self.roles else ()
        return above

    def _role(self, name: str, value: object) -> Role:
        where = f"roles.{name}"
        self.name(where, name)
        if name in (PUBLIC, "none") or name.startswith(PREDEFINED):
            self.say(where, "PostgreSQL reserves this name: write another")
        keys = ("login", "os_users", "inherit", "connection_limit", *FLAGS, "settings", "member_of")
        written = self.mapping(where, value, known=keys)
        users = self.names(f"{where}.os_users", written["os_users"]) if written.get("os_users", []) != [] else ()
        for user in users:
            if user.startswith("/") or re.search(r"\s", user):
                self.say(f"{where}.os_users", f"{user!r} is no OS user's name: write one")
        login = self.flag(f"{where}.login", written.get("login", bool(users)))
        if users and written.get("login") is False:
            self.say(f"{where}.os_users", "OS users can't log in as a role with login: false: leave one of both out")
        limit = written.get("connection_limit", -1)
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < -1:
            self.say(f"{where}.connection_limit", "write a number from 0 up, or -1 for no limit")
            limit = -1
        return Role(
            name=name,
            login=login,
            os_users=users,
            inherit=self.flag(f"{where}.inherit", written.get("inherit", True)),
            connection_limit=limit,
            settings=self._settings(f"{where}.settings", written.get("settings", {})),
            member_of=self.names(f"{where}.member_of", written["member_of"])
            if written.get("member_of", []) != []
            else (),
            **{flag: self.flag(f"{where}.{flag}", written.get(flag, False)) for flag in FLAGS},
        )

    def _settings(self, where: str, value: object) -> dict[str, tuple[str, ...]]:
        read: dict[str, tuple[str, ...]] = {}
        for name, content in self.mapping(where, value).items():
            try:
                settings.check_name(name)
                read[name.lower()] = settings.wanted(name, content)
            except ValueError as error:
                self.say(f"{where}.{name}", str(error))
        return read

    def defined(self, where: str, role: str) -> None:
        """Note a problem where *role* is neither the policy's own nor PostgreSQL's."""
        if role not in self.roles and not role.startswith(PREDEFINED):
            self.say(where, f"the role {role} is not defined: write it under roles")

    def _owners(self, value: object) -> None:
        for schema, owner in self.mapping("owners", value).items():
            where = f"owners.{schema}"
            if schema not in self.schemas:
                self.say(where, f"the schema {schema} is not in scope.schemas: write it there")
            name = self.name(where, owner)
            if name is not None:
                self.defined(where, name)
                self.owners[schema] = name

    def _revoke_execute(self, value: object) -> tuple[Pattern, ...]:
        where = "public.revoke_execute"
        patterns = () if value is None else self._patterns(where, value)
        for pattern in patterns:
            if pattern.whole_schema and pattern.schema == "pg_catalog":
                self.say(
                    where, "pg_catalog.* would take every operator away: name the functions, as in pg_catalog.lo_*"
                )
        return patterns

    def _patterns(self, where: str, value: object) -> tuple[Pattern, ...]:
        read = [self._pattern(key, item) for key, item in self.one_or_list(where, value)]
        return tuple(dict.fromkeys(pattern for pattern in read if pattern is not None))

    def _pattern(self, where: str, value: object) -> Pattern | None:
        if isinstance(value, str):
            schema, dot, name = value.partition(".")
            if not dot or "." in name or '"' in value or "*" in schema:
                self.say(
                    where,
                    f"write {value!r} as schema.name, with * in the name for any characters; "
                    "a name with dots or quotes as {schema: ..., name: ...}",
                )
                return None
            parts: dict[str, t.Any] = {"schema": schema, "name": name}
        else:
            parts = self.mapping(where, value, known=("schema", "name"), required=("schema", "name"))
        read = [self.name(where, parts[key]) for key in ("schema", "name") if key in parts]
        return Pattern(*read) if len(read) == 2 and None not in read else None  # type: ignore[arg-type]

    def _grant(self, where: str, value: object) -> Grant:
        keys = ("to", "on", "privileges", "future")
        written = self.mapping(where, _bare_on(value), known=keys, required=("to", "on", "privileges"))
        grantees = self.names(f"{where}.to", written["to"]) if "to" in written else ()
        for role in grantees:
            if role != PUBLIC:
                self.defined(f"{where}.to", role)
        on = self.mapping(f"{where}.on", written.get("on", {}), known=(*PRIVILEGES, "except"))
        kinds = [kind for kind in PRIVILEGES if kind in on]
        if "on" in written and len(kinds) != 1:
            self.say(f"{where}.on", f"write exactly one of {', '.join(PRIVILEGES)}")
        if len(kinds) != 1:
            return Grant(to=grantees, kind="database", privileges=frozenset())
        kind = kinds[0]
        grant = Grant(
            to=grantees,
            kind=kind,
            privileges=self._privileges(f"{where}.privileges", kind, written.get("privileges", [])),
            future=self.flag(f"{where}.future", written.get("future", False)),
        )
        if kind in ("database", "schema"):
            return self._grant_on_names(where, grant, on)
        return self._grant_on_patterns(where, grant, on)

    def _grant_on_names(self, where: str, grant: Grant, on: t.Mapping[str, object]) -> Grant:
        names = self.names(f"{where}.on.{grant.kind}", on[grant.kind])
        for name in names:
            if name not in (self.databases if grant.kind == "database" else self.schemas):
                self.say(f"{where}.on.{grant.kind}", f"{name} is not in scope.{grant.kind}s: write it there")
        if "except" in on or grant.future:
            self.say(where, "except and future are for tables and sequences: leave them out")
        return dataclasses.replace(grant, names=names)

    def _grant_on_patterns(self, where: str, grant: Grant, on: t.Mapping[str, object]) -> Grant:
        patterns = self._patterns(f"{where}.on.{grant.kind}", on[grant.kind])
        excepted = self._patterns(f"{where}.on.except", on["except"]) if "except" in on else ()
        for pattern in patterns:
            if pattern.schema not in self.schemas:
                self.say(f"{where}.on", f"the schema of {pattern} is not in scope.schemas: write it there")
            elif grant.future and not pattern.whole_schema:
                self.say(f"{where}.future", f"{pattern} is not a whole schema: write {pattern.schema}.*, or no future")
            elif grant.future and pattern.schema not in self.owners:
                self.say(
                    f"{where}.future", f"who will make the tables? Write the owner of {pattern.schema} under owners"
                )
        for pattern in excepted:
            if pattern.schema not in self.schemas:
                self.say(f"{where}.on.except", f"the schema of {pattern} is not in scope.schemas: write it there")
        return dataclasses.replace(grant, patterns=patterns, excepted=excepted)

    def _privileges(self, where: str, kind: str, value: object) -> frozenset[str]:
        read = set()
        for key, item in self.one_or_list(where, value):
            word = item.upper() if isinstance(item, str) else item
            word = "TEMPORARY" if word == "TEMP" else word
            if word in PRIVILEGES[kind]:
                read.add(str(word))
            else:
                listed = ", ".join(privilege.lower() for privilege in PRIVILEGES[kind])
                what = "all says too little: list them" if word == "ALL" else f"{item!r} is no privilege on {kind}"
                self.say(key, f"{what}; there are {listed}")
        return frozenset(read)

    def _assertions(self, value: object) -> tuple[Assertion, ...]:
        read = tuple(self._assertion(key, item) for key, item in self.sequence("assertions", value))
        ids = [assertion.id for assertion in read if assertion.id]
        for twice in sorted({one for one in ids if ids.count(one) > 1}):
            self.say("assertions", f"the id {twice} is there twice: write another")
        return read

    def _assertion(self, where: str, value: object) -> Assertion:
        keys = ("id", "tables", *ASSERTED, "role", "may_not", "allow")
        written = self.mapping(where, value, known=keys, required=("id",))
        named = self.name(f"{where}.id", written["id"]) if "id" in written else None
        asserted = {key: self._asserted(f"{where}.{key}", written[key]) for key in ASSERTED if key in written}
        if ("tables" in written) == ("role" in written):
            self.say(where, "write either tables (with writers, readers or deleters) or role (with may_not)")
        elif "tables" in written and (not asserted or "may_not" in written):
            self.say(where, "tables go with writers, readers or deleters, and without may_not")
        elif "role" in written and (asserted or "may_not" not in written):
            self.say(where, "role goes with may_not, and without writers, readers and deleters")
        role = self.name(f"{where}.role", written["role"]) if "role" in written else None
        if role is not None:
            self.defined(f"{where}.role", role)
        may_not = self.one_or_list(f"{where}.may_not", written["may_not"]) if "may_not" in written else []
        return Assertion(
            id=named or "",
            tables=self._patterns(f"{where}.tables", written["tables"]) if "tables" in written else (),
            role=role,
            may_not=tuple(self.choice(key, item, MAY_NOT) for key, item in may_not),
            allow=tuple(
                self._allowance(key, item) for key, item in self.sequence(f"{where}.allow", written.get("allow", []))
            ),
            **asserted,
        )

    def _asserted(self, where: str, value: object) -> tuple[str, ...]:
        """The roles of an assertion. Nobody (an empty list) is an answer."""
        roles = () if value == [] else self.names(where, value)
        for role in roles:
            self.defined(where, role)
        return roles

    def _allowance(self, where: str, value: object) -> Allowance:
        written = self.mapping(where, value, known=("role", "reason", "expires"), required=("role", "reason"))
        role = self.name(f"{where}.role", written["role"]) if "role" in written else None
        reason = written.get("reason", "")
        if "reason" in written and not (isinstance(reason, str) and reason.strip()):
            self.say(f"{where}.reason", "write why, in words")
        expires = written.get("expires")
        if isinstance(expires, str):
            try:
                expires = datetime.date.fromisoformat(expires)
            except ValueError:
                self.say(f"{where}.expires", f"write a day as 2027-01-31, not {expires!r}")
                expires = None
        if expires is not None and (not isinstance(expires, datetime.date) or isinstance(expires, datetime.datetime)):
            self.say(f"{where}.expires", "write a day as 2027-01-31")
            expires = None
        return Allowance(role=role or "", reason=str(reason), expires=expires)


def _bare_on(value: object) -> object:
    """A grant with its key ``on`` again: YAML 1.1 reads the bare word as true, and JSON then writes "true"."""
    if not isinstance(value, t.Mapping):
        return value
    return {"on" if key is True or key in ("true", "True") else key: content for key, content in value.items()}
