# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn the changes of many ACLs into few statements: objects that change alike share one."""

from __future__ import annotations

import typing as t

from .acl import Acl, Change, Pair
from .model import PUBLIC
from .statements import OBJECTS_A_STATEMENT, Statement, Target, acl_statement

# The order is Change's: what is reached first, what is granted last.
VERBS = ("reach", "option", "revoke", "grant")


def acl_statements(changes: t.Iterable[tuple[Target, Change]], *, database: str | None) -> list[Statement]:
    """The statements for *changes*: all of one verb before the next; *database* is named in the diff."""
    groups: dict[str, dict[tuple[object, ...], list[Target]]] = {verb: {} for verb in VERBS}
    for target, change in changes:
        pairs = (change.reach, change.options, change.revokes, change.grants)
        for verb, sets in zip(VERBS, pairs, strict=True):
            for role, privileges in _by_role(sets):
                # A column stands alone: its name is part of the privilege, not of the object.
                own = (target.name, target.column) if target.column is not None else ()
                groups[verb].setdefault((target.noun, role, privileges, *own), []).append(target)
    statements = []
    for verb in VERBS:
        for key, targets in groups[verb].items():
            role, privileges = t.cast("tuple[str, tuple[str, ...]]", key[1:3])
            for start in range(0, len(targets), OBJECTS_A_STATEMENT):
                part = targets[start : start + OBJECTS_A_STATEMENT]
                statements.append(acl_statement(verb, role, privileges, part, database))
    return statements


def public_pairs(acl: Acl) -> set[Pair]:
    """What PUBLIC may do: wanted as it is, where the policy leaves PUBLIC out of its scope."""
    return {(item.grantee, item.privilege) for item in acl if item.grantee == PUBLIC}


def _by_role(pairs: t.Iterable[Pair]) -> list[tuple[str, tuple[str, ...]]]:
    """(role, its privileges), both sorted: sets have no order of their own, and two runs shall read the same."""
    by_role: dict[str, list[str]] = {}
    for role, privilege in sorted(pairs):
        by_role.setdefault(role, []).append(privilege)
    return [(role, tuple(privileges)) for role, privileges in by_role.items()]
