# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fault, what was seen when it was injected, and whether the promise held."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .hosts import PATIENCE, Estate, Files, Run

NOTHING = "nothing"
WHOLE = "a whole dump"
SHOWN = 160


@dataclasses.dataclass
class Seen:
    """What an injector saw: exit status and words of what was struck, and what else is wrong in its eyes."""

    status: int
    said: str
    problems: list[str] = dataclasses.field(default_factory=list)

    @classmethod
    def of(cls, run: Run) -> Seen:
        return cls(run.status, run.said)


@dataclasses.dataclass(frozen=True)
class Fault:
    """One row of the table.

    `words` is a pattern that the reason must match. `publishes` is what the store may hold afterwards that it didn't
    hold before. `partial`: what a killed receiver or a full disk can't remove may stay under its partial name.
    `fails` is whether what was struck must exit other than 0. `quick`: one of a short selection.
    """

    name: str
    inject: t.Callable[[Estate], Seen]
    words: str = ""
    publishes: str = NOTHING
    fails: bool = True
    partial: bool = False
    quick: bool = False


@dataclasses.dataclass(frozen=True)
class Row:
    """A fault and its verdict."""

    fault: str
    seen: str
    held: bool


def measure(estate: Estate, fault: Fault) -> Row:
    """Inject the fault and look at everything."""
    before = estate.files()
    try:
        seen = fault.inject(estate)
    except (RuntimeError, OSError) as error:
        seen = Seen(-1, "", [f"it could not be injected: {error}"])
    left = estate.left()
    changed = wrong_files(before, estate.files(), whole=fault.publishes == WHOLE, partial=fault.partial)
    problems = [*seen.problems, *_wrong_end(fault, seen), *changed]
    if fault.partial:
        estate.sweep()
    if left:
        problems.append(f"still there after {PATIENCE:g} s: {', '.join(left)[:SHOWN]}")
    said = _reason(seen.said, fault.words)
    return Row(fault.name, "; ".join([f"{said} (exit status {seen.status})", *problems]), not problems)


def _wrong_end(fault: Fault, seen: Seen) -> list[str]:
    found = []
    if fault.fails != (seen.status != 0):
        found.append("EXIT STATUS 0" if seen.status == 0 else "IT FAILED")
    if re.search(fault.words, seen.said) is None:
        found.append(f"NOT SAID: {fault.words}")
    return found


def wrong_files(before: Files, after: Files, *, whole: bool = False, partial: bool = False) -> list[str]:
    """What differs in the store and should not: an earlier file, a bad dump, a dump where there should be none."""
    found = [f"{path} CHANGED OR GONE" for path, row in before.rows.items() if after.rows.get(path) != row]
    new = sorted(after.rows.keys() - before.rows.keys())
    partials = [path for path in new if path.endswith(".partial")]
    if partials and not partial:
        found.append(f"LEFT: {', '.join(partials)}")
    dumps = [path for path in new if path in after.proofs]
    found += [f"A BAD DUMP: {path}" for path in dumps if not after.proofs[path]]
    # The globals go first, and are whole by themselves.
    made = [path for path in dumps if ".globals." not in path]
    if made and not whole:
        found.append(f"PUBLISHED: {', '.join(made)}")
    if not made and whole:
        found.append("NOTHING WAS PUBLISHED")
    return found


def _reason(said: str, words: str) -> str:
    """The line that tells why, cut to a column's width."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = next((line for line in lines if words and re.search(words, line)), lines[-1] if lines else "nothing said")
    return telling if len(telling) <= SHOWN else telling[: SHOWN - 1] + "…"


def table(rows: t.Sequence[Row]) -> str:
    """The rows in three columns."""
    width = max(len(row.fault) for row in rows)
    lines = [f"{row.fault:{width}}  {'held  ' if row.held else 'BROKEN'}  {row.seen}" for row in rows]
    return "\n".join([f"{'fault':{width}}  verdict what was seen", *lines])
