# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of each panel, and whether that was known: the list of broken panels, each with a reason."""

from __future__ import annotations

import dataclasses
import typing as t

from .panels import PANEL, Query

WORKS, SLOW, REFUSED, BROKEN = "works", "slow", "refused", "broken"
# From the best to the worst: a panel is as bad as its worst query.
RESULTS = (WORKS, SLOW, REFUSED, BROKEN)
KNOWN_BROKEN = "known_broken"


@dataclasses.dataclass(frozen=True)
class Checked:
    """What came of one query: one of RESULTS, and why in one sentence; ``missing`` are the grants that it lacks."""

    query: Query
    result: str
    why: str = ""
    missing: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Known:
    """A panel that does not work, and why that is so: ``panel`` is its title or its id."""

    dashboard: str
    panel: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What came of one panel, variable or annotation; ``result`` may be KNOWN_BROKEN, with the ``reason`` for it."""

    dashboard: str
    title: str
    panel: str
    panel_id: int | None
    kind: str
    result: str
    why: str = ""
    missing: tuple[str, ...] = ()
    reason: str = ""

    def as_dict(self) -> dict[str, t.Any]:
        """As a module returns it."""
        return {**dataclasses.asdict(self), "missing": list(self.missing)}


def read_known(entries: t.Sequence[t.Mapping[str, t.Any]]) -> tuple[Known, ...]:
    """The entries of the list, looked at; ValueError where one has no reason, or says something twice or else."""
    found: list[Known] = []
    for number, entry in enumerate(entries, 1):
        if set(entry) != {"dashboard", "panel", "reason"}:
            raise ValueError(
                f"entry {number} of known_broken has to have dashboard, panel and reason, and nothing else"
            )
        known = Known(*(str(entry[key] or "").strip() for key in ("dashboard", "panel", "reason")))
        if not all((known.dashboard, known.panel, known.reason)):
            raise ValueError(f"entry {number} of known_broken leaves dashboard, panel or reason empty")
        if any((one.dashboard, one.panel) == (known.dashboard, known.panel) for one in found):
            raise ValueError(f"known_broken names {known.panel} of the dashboard {known.dashboard} twice")
        found.append(known)
    return tuple(found)


def judge(checked: t.Sequence[Checked], known: t.Sequence[Known]) -> tuple[list[Verdict], list[str]]:
    """A verdict for each panel, and sentences about the entries of *known* that are right no longer.

    Such an entry names a panel that works, that isn't there, or that could be several.
    """
    together: dict[tuple[str, str, int | None, str], list[Checked]] = {}
    for one in checked:
        query = one.query
        together.setdefault((query.dashboard, query.kind, query.panel_id, query.panel), []).append(one)
    verdicts = [_verdict(group) for group in together.values()]
    stale = []
    for entry in known:
        said = _apply(entry, verdicts)
        if said is not None:
            stale.append(f"known_broken: {entry.panel} of the dashboard {entry.dashboard} {said}")
    return verdicts, stale


def _verdict(group: t.Sequence[Checked]) -> Verdict:
    worst = max(group, key=lambda one: RESULTS.index(one.result))
    query = worst.query
    why = worst.why
    if len(group) > 1 and query.ref_id and why:
        why = f"query {query.ref_id}: {why}"
    missing = tuple(dict.fromkeys(grant for one in group for grant in one.missing))
    return Verdict(query.dashboard, query.title, query.panel, query.panel_id, query.kind, worst.result, why, missing)


def _apply(entry: Known, verdicts: list[Verdict]) -> str | None:
    """Mark the panel of *entry* as known in *verdicts*; what is wrong with the entry, if anything."""
    there = [
        number
        for number, one in enumerate(verdicts)
        if one.dashboard == entry.dashboard and entry.panel in (one.panel, str(one.panel_id or ""))
    ]
    if not there:
        return "is not there, or asks nothing of the database: take the entry out"
    if len(there) > 1:
        return "could be one of several: write the panel's id"
    one = verdicts[there[0]]
    if one.result in (WORKS, SLOW):
        return "works again: take the entry out"
    verdicts[there[0]] = dataclasses.replace(one, result=KNOWN_BROKEN, reason=entry.reason)
    return None


def summary(verdicts: t.Iterable[Verdict]) -> dict[str, int]:
    """How many panels came out how."""
    counts = dict.fromkeys((*RESULTS, KNOWN_BROKEN), 0)
    for one in verdicts:
        counts[one.result] += 1
    return counts


def named(verdict: Verdict | Query) -> str:
    """What the verdict or query is of, in words."""
    if verdict.kind == PANEL:
        return verdict.panel
    return f"{verdict.kind} {verdict.panel}"
