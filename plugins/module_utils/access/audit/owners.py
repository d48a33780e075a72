# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about owners that no plan changes: of what lies in no schema, and user mappings for everybody."""

from __future__ import annotations

import typing as t

from ..plan.owners import USER_MAPPING, Foreign, foreign
from ..plan.statements import LARGE_OBJECT, Name, Part, role_shown, shown
from ..policy.model import PUBLIC
from .facts import Facts
from .findings import Finding, sql_text

# An owner of these decides what code or data everybody meets.
SEVERE = ("EXTENSION", "EVENT TRIGGER", "FOREIGN DATA WRAPPER", "SERVER")


def find(facts: Facts) -> t.Iterator[Finding]:
    """The findings of one database."""
    for one in foreign(facts.policy, facts.cluster, facts.objects):
        yield _user_mapping(facts, one) if one.noun == USER_MAPPING else _owner(facts, one)


def _owner(facts: Facts, one: Foreign) -> Finding:
    return Finding(
        severity="high" if one.noun in SEVERE else "medium",
        rule="foreign-owner",
        role=one.owner,
        database=facts.database,
        object=one.shown,
        privilege="OWNER",
        path=(role_shown(one.owner), f"owner of {one.shown}"),
        evidence=f"{one.shown} belongs to {shown(one.owner)}, which is no superuser and owns no schema of the policy",
        remedy="; ".join(_remedies(one, facts.cluster.bootstrap)),
    )


def _remedies(one: Foreign, owner: str) -> t.Iterator[str]:
    if one.noun == "EXTENSION":
        # There is no ALTER EXTENSION ... OWNER TO.
        yield sql_text(("REASSIGN OWNED BY ", Name((one.owner,)), " TO ", Name((owner,))))
        return
    for name in one.names:
        named: Part = name if one.noun == LARGE_OBJECT else Name((name,))
        yield sql_text((f"ALTER {one.noun} ", named, " OWNER TO ", Name((owner,))))


def _user_mapping(facts: Facts, one: Foreign) -> Finding:
    return Finding(
        severity="medium",
        rule="user-mapping",
        role=PUBLIC,
        database=facts.database,
        object=one.shown,
        privilege="USAGE",
        path=("PUBLIC", one.shown),
        evidence=f"whoever may use the foreign server {shown(*one.names)} logs in with the options of this mapping",
        remedy=sql_text(("DROP USER MAPPING FOR PUBLIC SERVER ", Name(one.names))),
    )
