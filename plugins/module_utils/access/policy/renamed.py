# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy of one database for a copy of it that has another name yet, and of no other database."""

from __future__ import annotations

import dataclasses
import typing as t

from .model import DefaultGrant, Grant, Policy, Role

EVERYWHERE = "*"
Granted = t.TypeVar("Granted", Grant, DefaultGrant)


def renamed(policy: Policy, database: str, copy: str, there: t.Collection[str]) -> Policy:
    """*policy* with what it says of *database* said of *copy*; ValueError where it says nothing of it.

    ``databases`` are the copy alone, so nothing is changed of the others. What roles have set in the databases that
    are *there* stays wanted.
    """
    if database not in policy.databases:
        raise ValueError(f"the policy does not speak of the database {database}: scope.databases must name it")
    settings = {EVERYWHERE: policy.database_settings.get(EVERYWHERE), copy: policy.database_settings.get(database)}
    owners = policy.database_owners
    return dataclasses.replace(
        policy,
        databases=(copy,),
        roles={name: _role(role, database, copy, there) for name, role in policy.roles.items()},
        # That is about databases out of the scope, which the present one is now.
        revoke_connect=False,
        grants=_named(_held(policy.grants, database, copy), database, copy),
        database_owners={copy: owners[database]} if database in owners else {},
        database_settings={key: value for key, value in settings.items() if value is not None},
        default_privileges=_held(policy.default_privileges, database, copy),
        # A restore is not the time to shut somebody out.
        unlisted_roles="leave",
    )


def _role(role: Role, database: str, copy: str, there: t.Collection[str]) -> Role:
    settings = {name: value for name, value in role.database_settings.items() if name in there}
    if database in role.database_settings:
        settings[copy] = role.database_settings[database]
    return dataclasses.replace(role, database_settings=settings)


def _held(grants: t.Iterable[Granted], database: str, copy: str) -> tuple[Granted, ...]:
    """Those of the *grants* that hold in *database*."""
    return tuple(
        dataclasses.replace(grant, databases=(copy,) if grant.databases else ())
        for grant in grants
        if not grant.databases or database in grant.databases
    )


def _named(grants: t.Iterable[Grant], database: str, copy: str) -> tuple[Grant, ...]:
    """The same *grants*; those on databases are on the copy, where they are on *database*."""
    return tuple(
        dataclasses.replace(grant, names=(copy,)) if grant.kind == "database" else grant
        for grant in grants
        if grant.kind != "database" or grant.names_one(database)
    )
