# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which refusals of the archiver were told: each is told once a day, and not at every look at what came in."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import typing as t
from pathlib import Path

from .names import DumpName, read_utc, utc_text

REMINDER = dt.timedelta(hours=24)
# So many are remembered; whoever brings more is told of more often.
REMEMBERED = 1000


class Told:
    """What was told of refused dumps, noted in the file *path*; "" to tell at every look.

    A dump that is refused for another reason is told of again.
    """

    def __init__(self, path: str, now: dt.datetime) -> None:
        self._path = path
        self._now = now
        self._at: dict[str, dt.datetime] = {}
        try:
            noted = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
            self._at = {str(what): read_utc(at) for what, at in noted.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            # What is not known was not told.
            self._at = {}

    def new(self, refused: t.Mapping[DumpName, str]) -> dict[DumpName, str]:
        """Those of the *refused* dumps, each with why, that are to be told now."""
        return {name: reason for name, reason in refused.items() if not self._lately(_kind(name, reason))}

    def note(self, refused: t.Mapping[DumpName, str]) -> str | None:
        """These are told now: the file's new text, None where nobody keeps it."""
        self._at |= {_kind(name, reason): self._now for name, reason in refused.items()}
        kept = sorted(filter(self._lately, self._at), key=lambda what: self._at[what])[-REMEMBERED:]
        self._at = {what: self._at[what] for what in kept}
        return json.dumps({what: utc_text(at) for what, at in self._at.items()}) + "\n" if self._path else None

    def _lately(self, what: str) -> bool:
        at = self._at.get(what)
        # A clock that was ahead has told it, but not lately.
        return at is not None and dt.timedelta(seconds=-1) <= self._now - at < REMINDER


def _kind(name: DumpName, reason: str) -> str:
    """The dump and what kind of refusal it is: free bytes and the like are other ones at each look."""
    kind = re.sub(r"[0-9]+", "0", reason)
    return f"{name} {hashlib.sha256(kind.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
