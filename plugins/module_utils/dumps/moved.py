# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a new store has what an old one has, though each is brought dumps of its own."""

from __future__ import annotations

import datetime as dt
import typing as t

from .names import SAVED, read_utc

Row = t.Mapping[str, t.Any]
# Of daily dumps the one of the same run lies within this.
NEAR = dt.timedelta(hours=12)


def lacking(old: t.Iterable[Row], new: t.Iterable[Row]) -> list[str]:
    """The names of the dumps of *old* that *new* has to have and has not; rows as dump_info gives them.

    Each store gets dumps of its own, by other names: what came to the old one since the new one's first need not be
    there where the new one was brought the same within NEAR. Rows that were saved have one name in all stores.
    """
    theirs, ours = ([row for row in rows if row["archived"]] for rows in (old, new))
    known, shared = {row["name"] for row in ours}, {row["name"] for row in theirs}
    own: dict[tuple[str, str], list[dt.datetime]] = {}
    for row in ours:
        if row["name"] not in shared and row["signed"] and row["kind"] != SAVED:
            own.setdefault((row["database"], row["kind"]), []).append(read_utc(row["started"]))
    return [
        row["name"]
        for row in theirs
        if row["name"] not in known
        and not _beside(read_utc(row["started"]), own.get((row["database"], row["kind"]), []))
    ]


def _beside(started: dt.datetime, own: t.Sequence[dt.datetime]) -> bool:
    return bool(own) and min(own) <= started and any(abs(at - started) < NEAR for at in own)
