# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the roles: who is made, what they may be, their passwords, and the settings of roles and databases."""

from __future__ import annotations

import hashlib
import re
import typing as t

from ..catalog.model import CatalogRole, Cluster, RoleSetting
from ..policy import settings
from ..policy.model import Policy, Role
from .statements import MASK, Name, Part, Secret, Skipped, Statement, Value, joined, shown

# Options of CREATE ROLE and ALTER ROLE: the attribute of model.Role and catalog.CatalogRole, and the word.
ATTRIBUTES = {
    "login": "LOGIN",
    "inherit": "INHERIT",
    "superuser": "SUPERUSER",
    "createdb": "CREATEDB",
    "createrole": "CREATEROLE",
    "replication": "REPLICATION",
    "bypassrls": "BYPASSRLS",
}
# What a disabled role doesn't have.
DISABLING = ("login", "superuser", "createdb", "createrole", "replication", "bypassrls")
# The key of what ALTER ROLE ALL sets, in Policy.database_settings.
EVERYWHERE = "*"
# Source: parse_scram_secret() in PostgreSQL's src/backend/libpq/auth-scram.c.
VERIFIER = re.compile(r"SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+")
# The role and the database that a setting holds for: None is all of them.
_Place = tuple[t.Optional[str], t.Optional[str]]  # noqa: UP045 (evaluated at run time)


def check_passwords(policy: Policy, passwords: t.Mapping[str, object]) -> None:
    """ValueError where *passwords* are no SCRAM verifiers, or of roles that shall have none; none is ever repeated."""
    for name, verifier in passwords.items():
        role = policy.roles.get(name)
        if role is None:
            raise ValueError(f"passwords: the role {name} is not defined: write it under the policy's roles")
        if not role.keep_password:
            raise ValueError(
                f"passwords: {name} is to have none: write password: keep under roles.{name}, or leave it out"
            )
        if not isinstance(verifier, str) or not VERIFIER.fullmatch(verifier):
            raise ValueError(
                f"passwords: that of {name} is no SCRAM-SHA-256 verifier: "
                "make one with the filter taaraxtak.production.scram_verifier"
            )


def role_statements(
    policy: Policy, cluster: Cluster, disabled: t.Collection[str], passwords: t.Mapping[str, str]
) -> tuple[list[Statement], list[Skipped]]:
    """CREATE ROLE and ALTER ROLE, and what is left and why."""
    statements: list[Statement] = []
    skipped: list[Skipped] = []
    for role in policy.roles.values():
        live = cluster.roles.get(role.name)
        if live is None:
            statements.append(_create(role))
        elif policy.authoritative:
            statements += _alter(
                role.name, live, {name: getattr(role, name) for name in (*ATTRIBUTES, "connection_limit")}
            )
            if role.login and live.valid_until is not None:
                statements.append(_without_end(role.name, live.valid_until))
        given = passwords.get(role.name)
        if given is not None:
            statements += _set_password(role.name, live, given, authoritative=policy.authoritative)
        elif live is not None and live.has_password and not role.keep_password and policy.authoritative:
            if role.name == cluster.login_role:
                skipped.append(Skipped(f"password of {shown(role.name)}", "it is the role that logs in here"))
            else:
                statements.append(_no_password(role.name))
    for name in sorted(disabled):
        live = cluster.roles[name]
        statements += _alter(name, live, dict.fromkeys(DISABLING, False))
        if live.has_password:
            statements.append(_no_password(name))
    return statements, skipped


def setting_statements(policy: Policy, cluster: Cluster, disabled: t.Collection[str]) -> list[Statement]:
    """What differs of the settings of listed and disabled roles, the scope's databases, and ALL.

    Other modes than authoritative only set those of roles and databases that are new.
    """
    wanted: dict[_Place, t.Mapping[str, tuple[str, ...]]] = {}
    for role in policy.roles.values():
        if policy.authoritative or role.name not in cluster.roles:
            wanted[role.name, None] = role.settings
            wanted.update({(role.name, database): content for database, content in role.database_settings.items()})
    for database in policy.databases:
        if policy.authoritative or database not in cluster.databases:
            wanted[None, database] = policy.database_settings.get(database, {})
    if policy.authoritative:
        wanted[None, None] = policy.database_settings.get(EVERYWHERE, {})
    live: dict[_Place, dict[str, tuple[str, ...]]] = {}
    statements: list[Statement] = []
    for row in cluster.settings:
        place = (row.role, row.database)
        # Whatever else a listed role or a disabled one has set in some database is in excess.
        ours = place in wanted or row.role in disabled or row.role in policy.roles
        if not (policy.authoritative and ours):
            continue
        if row.name.lower() in wanted.get(place, {}):
            live.setdefault(place, {})[row.name.lower()] = row.elements
        else:
            parts = (*_whose(place), " RESET ", Name(tuple(row.name.split("."))))
            statements.append(Statement("setting", parts, before=(_line(row),)))
    for place, content in wanted.items():
        for name, elements in content.items():
            held = live.get(place, {}).get(name)
            if held != elements:
                values = joined([_value(name, element)] for element in elements)
                parts = (*_whose(place), " SET ", Name(tuple(name.split("."))), " TO ", *values)
                before = () if held is None else (_line(RoleSetting(*place, name, held)),)
                after = (_line(RoleSetting(*place, name, elements)),)
                statements.append(Statement("setting", parts, before, after))
    return statements


def _create(role: Role) -> Statement:
    words = [_word(name, getattr(role, name)) for name in ATTRIBUTES]
    text = f" {' '.join(words)} CONNECTION LIMIT {role.connection_limit}"
    line = f"role {shown(role.name)}:{text}"
    return Statement("create", ("CREATE ROLE ", Name((role.name,)), text), after=(line,))


def _alter(name: str, live: CatalogRole, wanted: t.Mapping[str, bool | int]) -> list[Statement]:
    differing = {key: value for key, value in wanted.items() if getattr(live, key) != value}
    if not differing:
        return []
    before, after = (
        " ".join(_word(key, value) for key, value in values.items())
        for values in ({key: getattr(live, key) for key in differing}, differing)
    )
    line = f"role {shown(name)}: "
    return [Statement("alter", ("ALTER ROLE ", Name((name,)), f" {after}"), (line + before,), (line + after,))]


def _word(attribute: str, value: bool | int) -> str:
    if attribute == "connection_limit":
        return f"CONNECTION LIMIT {int(value)}"
    return ("" if value else "NO") + ATTRIBUTES[attribute]


def _without_end(name: str, end: str) -> Statement:
    """The policy knows no end of a password, and one that is over would lock its role out."""
    parts = ("ALTER ROLE ", Name((name,)), " VALID UNTIL 'infinity'")
    return Statement("alter", parts, before=(f"role {shown(name)}: VALID UNTIL {end}",))


def _no_password(name: str) -> Statement:
    line = f"role {shown(name)} has a password"
    return Statement("alter", ("ALTER ROLE ", Name((name,)), " PASSWORD NULL"), before=(line,))


def _set_password(name: str, live: CatalogRole | None, verifier: str, *, authoritative: bool) -> list[Statement]:
    """Set it where it differs; other modes only give one to who has none."""
    has = live is not None and live.has_password
    digest = hashlib.sha256(verifier.encode()).hexdigest()
    if live is not None and has and (live.password_digest == digest or not authoritative):
        return []
    line = f"role {shown(name)} has "
    parts: tuple[Part, ...] = ("ALTER ROLE ", Name((name,)), " PASSWORD ", Secret(verifier))
    before = (line + "another password",) if has else ()
    return [Statement("alter", parts, before, (line + "the password that is given",))]


def _whose(place: _Place) -> tuple[Part, ...]:
    role, database = place
    if role is None:
        return ("ALTER ROLE ALL",) if database is None else ("ALTER DATABASE ", Name((database,)))
    where: tuple[Part, ...] = () if database is None else (" IN DATABASE ", Name((database,)))
    return ("ALTER ROLE ", Name((role,)), *where)


def _value(name: str, element: str) -> Part:
    return Secret(element) if settings.secret(name) else Value(element)


def _line(row: RoleSetting) -> str:
    if row.role is None:
        whose = "all roles" if row.database is None else f"database {shown(row.database)}"
    else:
        whose = f"role {shown(row.role)}" + ("" if row.database is None else f" in {shown(row.database)}")
    in_list = row.name.lower() in settings.LISTS
    value = ", ".join(shown(element) for element in row.elements) if in_list else row.elements[0]
    value = MASK if settings.secret(row.name) else value
    return f"{whose}: {row.name} = {value}"
