# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which dumps of the archive stay, and why: the first of each day, week and month, and what must never go.

All times are the store's own: the moment at which it received a dump, never what the sender says. Slots are counted by
the dumps that are there, not by the calendar: where no dumps come any more, none goes. And because the FIRST dump of a
slot stays, whoever brings more of them pushes nothing out.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from .freshness import CLOCK_STEP
from .names import SAVED, DumpName

Slot = tuple[int, ...]
# A month has no more.
MONTH_DAYS = 31


@dataclasses.dataclass(frozen=True)
class Policy:
    """How many days, weeks and months have a dump kept, how many of the newest stay, and hours in which none goes."""

    daily: int = 7
    weekly: int = 5
    monthly: int = 12
    minimum: int = 3
    young_hours: int = 48

    def __post_init__(self) -> None:
        if min(self.daily, self.weekly, self.monthly, self.young_hours) < 0:
            raise ValueError("daily, weekly, monthly and young_hours are numbers from 0")
        if self.minimum < 1:
            raise ValueError("minimum must be at least 1: the last dump is never removed")


@dataclasses.dataclass(frozen=True)
class Stored:
    """A dump of the archive. ``signed``: its signature is right; ``verified``: a drill of it went well too.

    ``failed``: a drill of it went wrong. ``signer``: the host that signed it.
    """

    name: DumpName
    received: dt.datetime
    signed: bool = True
    verified: bool = False
    failed: bool = False
    signer: str = ""


@dataclasses.dataclass(frozen=True)
class Decision:
    """What becomes of a dump, with every reason to keep it, or those for which none does."""

    name: DumpName
    keep: bool
    reasons: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _Period:
    """One of the three rules: the slot of a moment, and the slot in words."""

    word: str
    slot: t.Callable[[dt.datetime], Slot]
    shown: str

    def show(self, when: dt.datetime) -> str:
        return when.astimezone(dt.UTC).strftime(self.shown)


def _day(when: dt.datetime) -> Slot:
    utc = when.astimezone(dt.UTC)
    return utc.year, utc.month, utc.day


def _week(when: dt.datetime) -> Slot:
    # A week belongs to the year of its Thursday (ISO 8601), so that none is cut in two at new year.
    return tuple(when.astimezone(dt.UTC).isocalendar()[:2])


_PERIODS = {
    "daily": _Period("day", _day, "%Y-%m-%d"),
    "weekly": _Period("week", _week, "%G-W%V"),
    "monthly": _Period("month", lambda when: _day(when)[:2], "%Y-%m"),
}


def decide(dumps: t.Iterable[Stored], policy: Policy, now: dt.datetime) -> tuple[Decision, ...]:
    """What becomes of each of the *dumps*, oldest first. Each host's database has its slots; globals have theirs.

    A dump without a signature (an adopted one) fills no slot, counts for no minimum, and is never removed by itself.
    Nor are saved rows. The same goes for one that was received in the future by this clock, as long as it was. One
    whose drill failed
    counts for nothing either; it stays until a verified dump came so much later as months are kept.
    """
    groups: dict[tuple[str, str, str], list[Stored]] = {}
    decisions = {}
    ordered = sorted(dumps, key=_order)
    for dump in ordered:
        if not dump.signed:
            decisions[dump.name] = Decision(
                dump.name, keep=True, reasons=("it has no signature, so it counts for nothing and is left to people",)
            )
        elif dump.name.kind == SAVED:
            decisions[dump.name] = Decision(
                dump.name, keep=True, reasons=("rows that an action has touched, so it is left to people",)
            )
        elif dump.received > now + CLOCK_STEP:
            decisions[dump.name] = Decision(
                dump.name, keep=True, reasons=("received in the future by this clock, so it counts for nothing",)
            )
        else:
            groups.setdefault((dump.name.database, dump.name.kind, dump.signer), []).append(dump)
    for group in groups.values():
        good = [dump for dump in group if not dump.failed]
        decisions.update((decision.name, decision) for decision in _group(good, policy, now))
        verified = max((dump.received for dump in good if dump.verified), default=None)
        failed = (_failed(dump, verified, policy, now) for dump in group if dump.failed)
        decisions.update((decision.name, decision) for decision in failed)
    return tuple(decisions[dump.name] for dump in ordered)


def _order(dump: Stored) -> tuple[dt.datetime, DumpName]:
    return dump.received, dump.name


def _failed(dump: Stored, verified: dt.datetime | None, policy: Policy, now: dt.datetime) -> Decision:
    """The decision about a dump whose drill failed; *verified*: when the newest verified one came."""
    days = policy.monthly * MONTH_DAYS
    if verified is None or verified - dump.received <= dt.timedelta(days=days):
        return Decision(
            dump.name, keep=True, reasons=("its drill failed, so it counts for nothing and is left to people",)
        )
    if now - dump.received < dt.timedelta(hours=policy.young_hours):
        return Decision(dump.name, keep=True, reasons=(f"younger than {policy.young_hours} hours",))
    return Decision(
        dump.name, keep=False, reasons=(f"its drill failed, and a verified dump came more than {days} days later",)
    )


def _group(dumps: list[Stored], policy: Policy, now: dt.datetime) -> t.Iterator[Decision]:
    """The decisions about the signed dumps of one database, given oldest first."""
    firsts = {kind: _firsts(dumps, period) for kind, period in _PERIODS.items()}
    kept = {kind: _last(slots, getattr(policy, kind)) for kind, slots in firsts.items()}
    newest = {dump.name for dump in dumps[-policy.minimum :]}
    verified = next((dump.name for dump in reversed(dumps) if dump.verified), None)
    for dump in dumps:
        reasons = []
        against = []
        for kind, period in _PERIODS.items():
            slot = period.slot(dump.received)
            first = firsts[kind][slot]
            if slot not in kept[kind]:
                limit = getattr(policy, kind)
                against.append(
                    f"{period.show(dump.received)} is before the last {limit} {period.word}s with a dump"
                    if limit
                    else f"no {period.word} is kept"
                )
            elif first == dump.name:
                reasons.append(f"the first of the {period.word} {period.show(dump.received)}")
            else:
                against.append(f"the {period.word} {period.show(dump.received)} has {first}")
        if dump.name in newest:
            reasons.append(f"one of the newest {policy.minimum}")
        if dump.name == verified:
            reasons.append("the newest verified one")
        if now - dump.received < dt.timedelta(hours=policy.young_hours):
            reasons.append(f"younger than {policy.young_hours} hours")
        yield Decision(dump.name, keep=bool(reasons), reasons=tuple(reasons or against))


def _firsts(dumps: t.Iterable[Stored], period: _Period) -> dict[Slot, DumpName]:
    """The first dump of each slot, of dumps given oldest first."""
    firsts: dict[Slot, DumpName] = {}
    for dump in dumps:
        firsts.setdefault(period.slot(dump.received), dump.name)
    return firsts


def _last(slots: t.Iterable[Slot], number: int) -> set[Slot]:
    return set(sorted(slots)[-number:]) if number else set()
