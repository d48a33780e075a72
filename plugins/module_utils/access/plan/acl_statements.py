# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn the changes of many ACLs into few statements: objects that change alike share one."""

from __future__ import annotations

import dataclasses
import typing as t

from ..policy.model import PUBLIC
from .acl import Acl, Change, Pair
from .statements import OBJECTS_A_STATEMENT, Name, Skipped, Statement, Target, acl_statement, line, shown

# The order is Change's: what is reached first, what is granted last.
VERBS = ("reach", "by_grantor", "option", "revoke", "grant", "grant_option")
RESET_ROLE = Statement("role", ("RESET ROLE",))
# (verb, grantor or None, role, noun, privileges), and a column's name
_Key = tuple[str, t.Optional[str], str, str, tuple[str, ...], tuple[object, ...]]  # noqa: UP045 (evaluated at run time)


def acl_statements(
    changes: t.Iterable[tuple[Target, Change]],
    *,
    database: str | None,
    entered: t.Mapping[str, t.Collection[str]] | None = None,
) -> list[Statement]:
    """The statements for *changes*: all of one verb before the next; *database* is named in the diff.

    *entered*: by schema, who has its USAGE. A grantor who isn't there has it for the moment in which it revokes.
    """
    groups: dict[str, dict[_Key, list[Target]]] = {verb: {} for verb in VERBS}
    fallen: list[str] = []
    for target, change in changes:
        fallen += [
            f"{line(role, (privilege,), target, database)} (granted by {shown(grantor)})"
            for grantor, role, privilege in sorted(change.falls)
        ]
        # A column's name is part of the privilege, not of the object: tables share it.
        own = (target.column,) if target.column is not None else ()
        for verb, grantor, role, privileges in _verbs(change):
            groups[verb].setdefault((verb, grantor, role, target.noun, privileges, own), []).append(target)
    statements: list[Statement] = []
    for verb in VERBS:
        keys = list(groups[verb])
        if verb in ("by_grantor", "option", "revoke"):
            # How far a CASCADE goes hangs on who loses an option first: acl.py counts on the order of the roles.
            keys.sort(key=lambda key: (key[1] or "", key[2]))
        for key in keys:
            statements += _group(key, groups[verb][key], database, entered or {})
        if verb == "revoke" and fallen:
            # What a CASCADE takes along has no statement of its own, and stands in the diff with the last one.
            last = max(number for number, one in enumerate(statements) if one.kind == "revoke")
            statements[last] = dataclasses.replace(statements[last], before=(*statements[last].before, *fallen))
    return statements


def left_over(changes: t.Iterable[tuple[Target, Change]], *, database: str | None) -> list[Skipped]:
    """What of *changes* no statement can do."""
    return [
        Skipped(
            line(role, (privilege,), target, database),
            f"stays: {shown(grantor)} granted it and is a superuser now, whose REVOKE acts as the owner: "
            "make it a plain role for a moment, and run again",
            warn=True,
        )
        for target, change in changes
        for grantor, role, privilege in sorted(change.left)
    ]


def public_pairs(acl: Acl) -> set[Pair]:
    """What PUBLIC may do: wanted as it is, where the policy leaves PUBLIC out of its scope."""
    return {(item.grantee, item.privilege) for item in acl if item.grantee == PUBLIC}


def _group(
    key: _Key, targets: t.Sequence[Target], database: str | None, entered: t.Mapping[str, t.Collection[str]]
) -> list[Statement]:
    verb, grantor, role, _noun, privileges, _own = key
    statements = []
    for start in range(0, len(targets), OBJECTS_A_STATEMENT):
        part = targets[start : start + OBJECTS_A_STATEMENT]
        if grantor is None:
            statements.append(acl_statement(verb, role, privileges, part, database))
        else:
            revoke = acl_statement("revoke", role, privileges, part, database)
            outside = [name for name in _schemas_of(part, entered) if not {grantor, PUBLIC} & set(entered[name])]
            enter = [_usage("GRANT", " TO ", grantor, name) for name in outside]
            leave = [_usage("REVOKE", " FROM ", grantor, name) for name in outside]
            set_role = Statement("role", ("SET LOCAL ROLE ", Name((grantor,))))
            statements += [*enter, set_role, revoke, RESET_ROLE, *leave]
    return statements


def _schemas_of(targets: t.Iterable[Target], known: t.Iterable[str]) -> list[str]:
    """Those of the *known* schemas that a statement on *targets* looks into; routines' arguments have types in some."""
    direct = {target.name[0] for target in targets if len(target.name) > 1}
    arguments = " ".join(target.arguments or "" for target in targets)
    return sorted(name for name in known if name in direct or (arguments and name.replace('"', '""') in arguments))


def _usage(verb: str, of: str, role: str, schema: str) -> Statement:
    """Let *role* into *schema* for a moment, or out again: nobody's access in the end, so that nothing tells of it."""
    return Statement("role", (f"{verb} USAGE ON SCHEMA ", Name((schema,)), of, Name((role,))))


def _verbs(change: Change) -> t.Iterator[tuple[str, str | None, str, tuple[str, ...]]]:
    """(verb, grantor, role, privileges): what to say to each role."""
    pairs = (change.reach, change.options, change.revokes, change.grants, change.grant_options)
    for verb, sets in zip(("reach", "option", "revoke", "grant", "grant_option"), pairs, strict=True):
        for role, privileges in _by_role(sets):
            yield verb, None, role, privileges
    for grantor in sorted({one[0] for one in change.by_grantor}):
        for role, privileges in _by_role((one[1], one[2]) for one in change.by_grantor if one[0] == grantor):
            yield "by_grantor", grantor, role, privileges


def _by_role(pairs: t.Iterable[Pair]) -> list[tuple[str, tuple[str, ...]]]:
    """(role, its privileges), both sorted: sets have no order of their own, and two runs shall read the same."""
    by_role: dict[str, list[str]] = {}
    for role, privilege in sorted(pairs):
        by_role.setdefault(role, []).append(privilege)
    return [(role, tuple(privileges)) for role, privileges in by_role.items()]
