# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which refusals of the archiver were told: each is told once a day, and not at every look at what came in."""

from __future__ import annotations

import datetime as dt
import json
import typing as t
from pathlib import Path

from .names import DumpName, read_utc, utc_text

REMINDER = dt.timedelta(hours=24)
# So many are remembered; whoever brings more is told of more often.
REMEMBERED = 1000


class Told:
    """What was told of refused dumps, noted in the file *path*; "" to tell at every look."""

    def __init__(self, path: str, now: dt.datetime) -> None:
        self._path = path
        self._now = now
        self._at: dict[str, dt.datetime] = {}
        try:
            noted = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
            self._at = {str(name): read_utc(at) for name, at in noted.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            # What is not known was not told.
            self._at = {}

    def new(self, names: t.Iterable[DumpName]) -> list[DumpName]:
        """Those of the *names* that are to be told now."""
        return [name for name in names if not self._lately(str(name))]

    def note(self, names: t.Iterable[DumpName]) -> str | None:
        """The *names* are told now: the file's new text, None where nobody keeps it."""
        self._at |= {str(name): self._now for name in names}
        kept = sorted(filter(self._lately, self._at), key=lambda name: self._at[name])[-REMEMBERED:]
        self._at = {name: self._at[name] for name in kept}
        return json.dumps({name: utc_text(at) for name, at in self._at.items()}) + "\n" if self._path else None

    def _lately(self, name: str) -> bool:
        at = self._at.get(name)
        # A clock that was ahead has told it, but not lately.
        return at is not None and dt.timedelta(seconds=-1) <= self._now - at < REMINDER
