# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all databases share, as a policy says it: roles, their settings and memberships, who holds what on databases."""

from __future__ import annotations

import re
import typing as t

from ..catalog.model import CatalogRole, Cluster, RoleSetting
from ..plan.statements import shown
from ..policy import settings
from ..policy.model import PREDEFINED, PUBLIC, Role
from .grants import Given
from .names import Held, Roles, excess, pattern_of, single_database, speakable

# Attributes of a role: as in model.Role, whose defaults aren't written.
FLAGS = ("login", "inherit", "superuser", "createdb", "createrole", "replication", "bypassrls")
PLAIN = Role("")
# The key of ALTER ROLE ALL.
EVERYWHERE = "*"


def logins_by_peer(
    rules: t.Iterable[tuple[str, t.Collection[str], str, str | None]], mappings: t.Iterable[tuple[str, str, str]]
) -> list[tuple[str, str]]:
    """(OS user, role) of the logins by peer that name both.

    *rules* are (type, user_name, auth_method, map or None) of pg_hba_file_rules, *mappings* (map_name, sys_name,
    pg_username) of pg_ident_file_mappings. Regular expressions, groups and keywords name nobody and are left out.
    """
    maps: dict[str, set[str]] = {}
    for connection, users, method, name in rules:
        if connection == "local" and method == "peer" and name is not None:
            maps.setdefault(name, set()).update(users)
    found = set()
    for name, user, role in mappings:
        admitted = maps.get(name, set())
        if not re.match(r"[/+]", role) and not user.startswith("/") and role != "all" and admitted & {role, "all"}:
            found.add((user, role))
    return sorted(found)


class ClusterExport:
    """Writes the parts of a policy that the *cluster* gives, for the *databases* of the scope."""

    def __init__(self, cluster: Cluster, databases: t.Collection[str], roles: Roles) -> None:
        self.cluster = cluster
        self.databases = databases
        self.roles = roles

    @property
    def listed(self) -> list[str]:
        """The roles of the policy: all that it can name but PostgreSQL's own."""
        return sorted(self.roles.known.intersection(self.cluster.roles) - set(self._predefined))

    @property
    def _predefined(self) -> list[str]:
        return [name for name in self.cluster.roles if name.startswith(PREDEFINED)]

    def ignored(self) -> list[str]:
        """Patterns of the roles that the policy can't name, so that they keep what they have."""
        patterns = []
        for name in sorted(self.cluster.roles.keys() - self.roles.known):
            self.roles.say(f"role {shown(name)}: the policy can't name it, so it is ignored")
            # Roles that the policy names are never ignored, whatever the pattern; PostgreSQL's own might be.
            patterns.append(pattern_of(name, self._predefined) or name)
        return [pattern for pattern in patterns if speakable(pattern)]

    def written_roles(self, ident: t.Iterable[tuple[str, str]]) -> dict[str, dict[str, t.Any]]:
        """``roles``; *ident* are (OS user, role)."""
        users = self._os_users(ident)
        memberships = self._memberships()
        found = {}
        for name in self.listed:
            role = self.cluster.roles[name]
            written: dict[str, t.Any] = {}
            for flag in FLAGS:
                if getattr(role, flag) != getattr(PLAIN, flag):
                    written[flag] = getattr(role, flag)
            if role.connection_limit != PLAIN.connection_limit:
                written["connection_limit"] = role.connection_limit
            if name in users:
                written["os_users"] = users[name]
            if role.has_password:
                written["password"] = "keep"  # noqa: S105 (no password)
            if role.login and role.valid_until is not None:
                self.roles.say(
                    f"role {shown(name)}: its password is valid until {role.valid_until}, and a policy's has no end"
                )
            written.update(self._role_settings(name))
            if name in memberships:
                written["member_of"] = memberships[name]
            found[name] = written
        return found

    def _os_users(self, ident: t.Iterable[tuple[str, str]]) -> dict[str, list[str]]:
        taken: dict[str, str] = {}
        found: dict[str, list[str]] = {}
        for user, name in sorted(set(ident)):
            role = self.cluster.roles.get(name)
            if role is None or not role.login or name not in self.listed or not speakable(user):
                continue
            if taken.setdefault(user, name) != name:
                self.roles.say(
                    f"the OS user {user} logs in as {shown(taken[user])} and as {shown(name)}: only one is said"
                )
                continue
            found.setdefault(name, []).append(user)
        return found

    def _role_settings(self, name: str) -> dict[str, t.Any]:
        everywhere: dict[str, t.Any] = {}
        by_database: dict[str, dict[str, t.Any]] = {}
        for setting in self._settings(name):
            if setting.database is None:
                everywhere.update(self._setting(f"role {shown(name)}", setting))
            elif single_database(setting.database):
                what = f"role {shown(name)} in {shown(setting.database)}"
                by_database.setdefault(setting.database, {}).update(self._setting(what, setting))
            else:
                self.roles.say(f"role {shown(name)}: the policy can't name the database of its setting {setting.name}")
        written: dict[str, t.Any] = {"settings": everywhere, "database_settings": by_database}
        return {key: value for key, value in written.items() if value}

    def _settings(self, role: str | None) -> list[RoleSetting]:
        own = [setting for setting in self.cluster.settings if setting.role == role]
        return sorted(own, key=lambda one: (one.database or "", one.name.lower()))

    def _setting(self, what: str, setting: RoleSetting) -> dict[str, t.Any]:
        name = setting.name.lower()
        try:
            settings.check_name(name)
        except ValueError:
            self.roles.say(f"{what}: the policy can't name the setting {setting.name}")
            return {}
        plain = len(setting.elements) == 1 and settings.stored(name, setting.elements[0]) == setting.elements
        return {name: setting.elements[0] if plain else list(setting.elements)}

    def database_settings(self) -> dict[str, dict[str, t.Any]]:
        """``database_settings``: of the databases of the scope, and of all roles everywhere."""
        found: dict[str, dict[str, t.Any]] = {}
        for setting in self._settings(None):
            if setting.database is None:
                found.setdefault(EVERYWHERE, {}).update(self._setting("all roles", setting))
            elif setting.database in self.databases:
                what = f"database {shown(setting.database)}"
                found.setdefault(setting.database, {}).update(self._setting(what, setting))
        return {name: written for name, written in sorted(found.items()) if written}

    def _memberships(self) -> dict[str, list[t.Any]]:
        """``member_of`` by member. Since 16 each grantor has a row, and what they grant adds up."""
        rows: dict[str, dict[str, dict[str, bool]]] = {}
        listed, predefined = set(self.listed), set(self._predefined)
        for row in self.cluster.memberships:
            member = self.cluster.roles.get(row.member)
            if member is None or row.member not in listed:
                if row.role in listed and row.member in predefined:
                    self.roles.say(
                        f"role {shown(row.member)}: it is a member of {shown(row.role)}, and the policy doesn't list "
                        "PostgreSQL's own roles"
                    )
                continue
            if row.role not in self.roles.known:
                self.roles.say(f"role {shown(row.member)}: the policy can't name the role {shown(row.role)} above it")
                continue
            if row.set is not None and row.grantor not in self.roles.known:
                self.roles.say(f"role {shown(row.member)}: the policy can't name who granted it {shown(row.role)}")
            held = rows.setdefault(row.member, {}).setdefault(
                row.role, {"inherit": False, "set": False, "admin": False}
            )
            held["inherit"] |= member.inherit if row.inherit is None else row.inherit
            held["set"] |= row.set is None or row.set
            held["admin"] |= row.admin
        return {
            name: [_member(self.cluster.roles[name], role, held[role]) for role in sorted(held)]
            for name, held in rows.items()
        }

    def revoke_connect(self) -> bool:
        """Whether PUBLIC connects nowhere, and holds nothing on the databases out of scope."""
        return not any(
            item.grantee == PUBLIC and (item.privilege == "CONNECT" or name not in self.databases)
            for name, database in self.cluster.databases.items()
            for item in database.acl
        )

    def database_owners(self, owners: t.Collection[str]) -> dict[str, str]:
        """``database_owners``: of those that belong neither to a superuser nor to one of the schemas' *owners*."""
        found = {}
        for name in sorted(self.databases):
            owner = self.cluster.databases[name].owner
            role = self.cluster.roles.get(owner)
            if owner in owners or (role is not None and role.superuser):
                continue
            if owner in self.roles.known:
                found[name] = owner
            else:
                self.roles.say(f"database {shown(name)}: the policy can't name its owner {shown(owner)}")
        return found

    def shared(self) -> list[Given]:
        """What roles hold on the databases of the scope, on parameters and on tablespaces."""
        given: list[Given] = []
        for name in sorted(self.databases):
            database = self.cluster.databases[name]
            held = self.roles.held(f"database {shown(name)}", database.owner, database.acl)
            self._give(given, "database", f"database {shown(name)}", held, pattern_of(name, self.cluster.databases))
        for name, acl in sorted(self.cluster.parameters.items()):
            held = self.roles.held(f"parameter {name}", self.cluster.bootstrap, acl)
            self._give(given, "parameters", f"parameter {name}", held, name)
        names = [one.name for one in self.cluster.tablespaces]
        for one in self.cluster.tablespaces:
            acl = excess(one.acl, one.initial) if one.system else one.acl
            what = f"tablespace {shown(one.name)}"
            self._give(given, "tablespaces", what, self.roles.held(what, one.owner, acl), pattern_of(one.name, names))
        return given

    def _give(self, given: list[Given], kind: str, what: str, held: Held, name: str | None) -> None:
        if held and name is None:
            self.roles.say(
                f"{what}: no name or pattern of the policy means it alone, so what is granted on it can't be said"
            )
            return
        for (role, option), privileges in held.items():
            given.append(Given(kind, role, privileges, (name or "",), option))


def _member(member: CatalogRole, role: str, held: t.Mapping[str, bool]) -> t.Any:
    """One of ``member_of``: the name alone where all is as usual."""
    written: dict[str, t.Any] = {"role": role}
    if held["inherit"] != member.inherit:
        written["inherit"] = held["inherit"]
    if not held["set"]:
        written["set"] = False
    if held["admin"]:
        written["admin"] = True
    return written if len(written) > 1 else role
