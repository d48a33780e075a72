# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queries that save rows, where no parser is: the host sends them to the server, so each must be one SELECT."""

from __future__ import annotations

import typing as t

from ..postgres.schema_statements import split
from .plan import Plan
from .records import REHEARSAL_FILE, Rehearsal, Save


def unsent(plan: Plan, rehearsal: Rehearsal) -> str:
    """Why the saves of *rehearsal* are not sent: other steps than those of *plan*, or no queries; "" where they are."""
    if [(step.id, step.sql) for step in rehearsal.steps] != [(step.id, step.sql) for step in plan.steps]:
        return f"{REHEARSAL_FILE} has other steps than the plan: rehearse it again"
    try:
        check_saves(plan, {step.id: step.saves for step in rehearsal.steps})
    except ValueError as error:
        return str(error)
    return ""


def check_saves(plan: Plan, saves: t.Mapping[str, t.Sequence[Save]]) -> None:
    """ValueError where *saves* are not those of the steps of *plan*, or one is anything but one query."""
    if sorted(saves) != sorted(step.id for step in plan.steps):
        raise ValueError("saves must have each step of the plan, and nothing else: derive them anew")
    for step in plan.steps:
        if step.allow_truncate and not saves[step.id]:
            raise ValueError(f"step {step.id}: it is TRUNCATE, and no rows of it are saved: derive the saves anew")
        for save in saves[step.id]:
            _check_query(step.id, save.query)


def _check_query(step: str, query: str) -> None:
    try:
        found = split(query)
    except ValueError as error:
        raise ValueError(f"step {step}: what saves its rows can't be read: {error}") from None
    if len(found) != 1 or found[0].words[:1] != ("select",) or found[0].text != query:
        raise ValueError(f"step {step}: what saves its rows is not one SELECT: derive the saves anew")
