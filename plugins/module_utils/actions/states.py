# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an incident stands: a pure function of its files' contents and digests and of a clock."""

from __future__ import annotations

import dataclasses
import datetime as dt

from .plan import Plan
from .records import NOT_STARTED, UNKNOWN, AfterAction, Rehearsal, confirmation

DRAFT, REHEARSED, APPROVED, CARRIED_OUT, CLOSED, VOID = (
    "draft",
    "rehearsed",
    "approved",
    "carried out",
    "closed",
    "void",
)
# For so long a plan may be written without being one yet.
PATIENCE = dt.timedelta(days=7)
STATES = (DRAFT, REHEARSED, APPROVED, CARRIED_OUT, CLOSED, VOID)


@dataclasses.dataclass(frozen=True)
class Incident:
    """The folder *name* with what its files say.

    Where a file can't be read as what it should be, its record is None and ``problems`` says why. ``approver`` is the
    verified name; "" where there is no approval, or where *approval_problem* says why it is none; ``unverified`` where
    nobody has looked, since the approvers' keys are not at hand.
    """

    name: str
    plan_sha256: str = ""
    plan: Plan | None = None
    rehearsal_sha256: str = ""
    rehearsal: Rehearsal | None = None
    approval_sha256: str = ""
    approver: str = ""
    approval_problem: str = ""
    unverified: bool = False
    after: AfterAction | None = None
    problems: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class State:
    """One of STATES and *why*, a sentence where there is something to do or to know."""

    word: str
    why: str = ""


def state(incident: Incident, now: dt.datetime) -> State:
    """Where *incident* stands *now*. Whatever is unclear is never `APPROVED`."""
    after = incident.after
    if after is not None and (after.outcome != NOT_STARTED or _given_up(incident, after, now)):
        return _after(incident, after)
    if incident.problems or incident.plan is None:
        later = incident.rehearsal_sha256 or incident.approval_sha256 or after is not None
        return State(VOID if later else DRAFT, " ".join(incident.problems) or "before.yml is missing: write it")
    why = _void(incident, incident.plan, now)
    if why:
        return State(VOID, why)
    return _before(incident, f"an attempt was not started: {after.reason}" if after is not None else "")


def _after(incident: Incident, after: AfterAction) -> State:
    if incident.problems:
        return State(VOID, " ".join(incident.problems))
    if after.incident != incident.name:
        return State(VOID, f"after.yml is of the incident {after.incident}")
    other = _other(incident, after)
    if other:
        return State(VOID, f"{other} is not the one that was carried out: bring that one back")
    if after.outcome == UNKNOWN:
        return State(CARRIED_OUT, "whether it was committed is not known: settle that first")
    if after.empty_fields:
        return State(CARRIED_OUT, f"{after.outcome}; fill in {', '.join(after.empty_fields)} in after.yml")
    return State(CLOSED, after.outcome)


def _other(incident: Incident, after: AfterAction) -> str:
    """The first file that *after* is not of; "" where it is of all."""
    for file, digest, recorded in (
        ("before.yml", incident.plan_sha256, after.plan_sha256),
        ("rehearsal.yml", incident.rehearsal_sha256, after.rehearsal_sha256),
        ("approval.sig", incident.approval_sha256, after.approval_sha256),
    ):
        if digest != recorded:
            return file
    return ""


def _given_up(incident: Incident, after: AfterAction, now: dt.datetime) -> bool:
    """Whether what was not started can't be any more, and people have said their part of it."""
    if incident.plan is None or incident.problems or now < incident.plan.expires:
        return False
    return after.incident == incident.name and not _other(incident, after) and not after.empty_fields


def _void(incident: Incident, plan: Plan, now: dt.datetime) -> str:
    """Why what was done so far counts for nothing; "" where it counts."""
    rehearsal = incident.rehearsal
    if plan.incident != incident.name:
        return f"before.yml is of the incident {plan.incident}: this folder is {incident.name}"
    if now >= plan.expires:
        return "the plan has expired: write a later time, and rehearse and approve it again"
    if rehearsal is None:
        return "there is an approval and no rehearsal: rehearse it" if incident.approval_sha256 else ""
    if rehearsal.incident != incident.name:
        return f"rehearsal.yml is of the incident {rehearsal.incident}: rehearse this one"
    if rehearsal.plan_sha256 != incident.plan_sha256:
        return "before.yml was edited after the rehearsal: rehearse it again"
    if rehearsal.dump_taken > now:
        return "the rehearsal's dump is of the future: a clock is wrong"
    if now - rehearsal.dump_taken > dt.timedelta(milliseconds=plan.max_dump_age):
        return "the rehearsal's dump is older than agreed: rehearse it again on a newer one"
    if incident.approval_sha256 and incident.approval_problem:
        return incident.approval_problem
    return ""


def _before(incident: Incident, note: str) -> State:
    rehearsal = incident.rehearsal
    if rehearsal is None:
        return State(DRAFT, note)
    if not rehearsal.passed:
        return State(DRAFT, f"the rehearsal failed: {rehearsal.problem or rehearsal.outcome}")
    if not incident.approval_sha256:
        return State(REHEARSED, note)
    if incident.unverified or not incident.approver:
        return State(REHEARSED, "there is an approval that was not verified here: name the approvers' file")
    return State(APPROVED, note)


def overdue(incident: Incident, now: dt.datetime) -> bool:
    """Whether there should be a right and certain after-action report by *now* and is none, or a file can't be read.

    Of a plan that nobody has tried yet that is only so a week after the day in its name: it may be half written.
    """
    after = incident.after
    if after is not None and after.outcome not in (NOT_STARTED, UNKNOWN):
        return state(incident, now).word == VOID
    if state(incident, now).word == CLOSED:
        return False
    if incident.plan is None and incident.plan_sha256 and not _tried(incident):
        return now >= _begun(incident.name) + PATIENCE
    return incident.plan is None or bool(incident.problems) or now >= incident.plan.expires


def _tried(incident: Incident) -> bool:
    # A second problem is one of a file that comes later.
    later = incident.rehearsal_sha256 or incident.approval_sha256 or incident.after is not None
    return bool(later) or len(incident.problems) > 1


def _begun(name: str) -> dt.datetime:
    """The day in the name of an incident."""
    try:
        return dt.datetime.combine(dt.date.fromisoformat(name[:10]), dt.time(), dt.UTC)
    except ValueError:
        return dt.datetime.min.replace(tzinfo=dt.UTC)


def refusals(
    incident: Incident, now: dt.datetime, *, host: str, database: str, dba: str, confirmed: str
) -> tuple[str, ...]:
    """Why the person *dba* may not carry it out now on this *host* and *database*; () where every gate is open.

    *confirmed* is what was typed: `records.confirmation` of the incident.
    """
    found = []
    now_is = state(incident, now)
    if now_is.word != APPROVED:
        found.append(f"the incident is {now_is.word}" + (f": {now_is.why}" if now_is.why else ""))
    plan = incident.plan
    if plan is not None:
        if plan.host != host:
            found.append(f"the plan is for the host {plan.host}, and this is {host}")
        if plan.database != database:
            found.append(f"the plan is for the database {plan.database}, and this is {database}")
        if not dba:
            found.append("who carries it out is not known: say who you are")
        elif incident.approver == dba and not plan.break_glass:
            found.append(
                f"{dba} has approved it, so somebody else carries it out, or the plan says break_glass and why"
            )
    if confirmed != confirmation(incident.name, incident.plan_sha256):
        found.append(f"it was not confirmed: type {confirmation(incident.name, incident.plan_sha256)}")
    return tuple(found)
