# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a new store has what an old one has, though each is brought dumps of its own."""

from __future__ import annotations

import datetime as dt
import typing as t

from .names import SAVED, read_utc

Row = t.Mapping[str, t.Any]
GROUP = ("database", "kind", "signer")
# Of daily dumps the one of the same run lies within this.
NEAR = dt.timedelta(hours=12)


def lacking(old: t.Iterable[Row], new: t.Iterable[Row]) -> list[str]:
    """The names of the dumps of *old* that *new* has to have and has not; rows as dump_info gives them.

    What *old* has up to the newest that both have must be in *new*, archived and, where it is signed, signed. Each
    store gets dumps of its own, by other names: of what came to *old* later, *new* needs one of the same host,
    database and kind that was begun within NEAR. Rows that were saved have one name in all stores. What *old* has not
    archived yet is in no other store.
    """
    theirs, here = list(old), [row for row in new if row["archived"]]
    signed = {(row["name"], row["signer"]) for row in here if row["signed"]}
    alike = {(row["name"], row["sha256"]) for row in here}
    shared: list[Row] = []
    missing: list[Row] = []
    for row in theirs:
        known = (row["name"], row["signer"]) in signed if row["signed"] else (row["name"], row["sha256"]) in alike
        (shared if known else missing).append(row)
    names = {row["name"] for row in theirs}
    own = [row for row in here if row["signed"] and row["kind"] != SAVED and row["name"] not in names]
    return [row["name"] for row in missing if not _beside(row, _starts(shared, row), _starts(own, row))]


def _starts(rows: t.Iterable[Row], of: Row) -> list[dt.datetime]:
    """When the *rows* of the same host, database and kind were begun."""
    return [read_utc(row["started"]) for row in rows if all(row[key] == of[key] for key in GROUP)]


def _beside(row: Row, shared: t.Sequence[dt.datetime], own: t.Sequence[dt.datetime]) -> bool:
    started = read_utc(row["started"])
    # Where the two have nothing in common, what is from before the first of its own was not brought to both.
    later = started > max(shared) if shared else bool(own) and started >= min(own)
    return later and any(abs(at - started) < NEAR for at in own)
