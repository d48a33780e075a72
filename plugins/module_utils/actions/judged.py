# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An incident whose plan was read and judged, on the controller: nothing else may go to a host."""

from __future__ import annotations

import dataclasses

from . import folder, parsing
from .plan import FILE, MOST_PLAN, Plan
from .records import REHEARSAL_FILE, Rehearsal, Save
from .states import Incident


@dataclasses.dataclass(frozen=True)
class Judged:
    """The files of an incident as they were read once, what they say, and its plan, which may be carried out."""

    folder: folder.Folder
    incident: Incident
    plan: Plan


def judge(read: folder.Folder, *, rehearsed: bool = False) -> Judged:
    """What *read* says; ValueError where its plan can't be read, is another's, or has a statement that may not run.

    *rehearsed*: also where there is a rehearsal that saves other rows than those of the plan. What it holds is sent to
    the server as it stands, so nobody but the parser may have written it. No signature is looked at.
    """
    found = folder.understand(read, None)
    if found.plan is None:
        raise ValueError(" ".join(found.problems) or f"{found.name} has no {FILE}: write it")
    if found.plan.incident != found.name:
        raise ValueError(f"{FILE} is of the incident {found.plan.incident}: this folder is {found.name}")
    if len(read.files[FILE]) > MOST_PLAN:
        raise ValueError(f"{FILE} is larger than {MOST_PLAN // 1024} KiB: make several incidents of it")
    parsing.check(found.plan)
    if rehearsed and REHEARSAL_FILE in read.files:
        _check_rehearsal(found)
    return Judged(read, found, found.plan)


def _check_rehearsal(found: Incident) -> None:
    if found.rehearsal is None or found.plan is None:
        raise ValueError(" ".join(found.problems))
    if _saved(found.rehearsal) != [(step.id, step.sql, parsing.saves(step.sql)) for step in found.plan.steps]:
        raise ValueError(f"{REHEARSAL_FILE} does not save the rows of this plan: rehearse it again")


def _saved(rehearsal: Rehearsal) -> list[tuple[str, str, tuple[Save, ...]]]:
    return [(step.id, step.sql, step.saves) for step in rehearsal.steps]
