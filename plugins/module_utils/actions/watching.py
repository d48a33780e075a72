# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who watches an attempt: the host's ledger is told at each moment what is certain."""

from __future__ import annotations

import dataclasses
import typing as t

from ..dumps.transfer import Interruption
from .carrying import Carried
from .interface import CarryingError
from .ledger import Ledger
from .records import ROLLED_BACK, UNKNOWN, AfterAction

INTERRUPTED = "it was interrupted, and its process has left no word"


class Watching:
    """Notes at each moment what is certain: before COMMIT is sent, that nothing was committed."""

    def __init__(
        self,
        ledger: Ledger,
        record: t.Callable[[Carried], AfterAction],
        interruption: Interruption,
        refused: t.Callable[[], str],
    ) -> None:
        self._ledger = ledger
        self._record = record
        self._interruption = interruption
        self._refused = refused
        self.noted = False

    def begun(self, carried: Carried) -> None:
        reason = f"{INTERRUPTED}: COMMIT was never sent"
        record = self._record(dataclasses.replace(carried, outcome=ROLLED_BACK, reason=reason))
        # A signal must not come between what is written and that this is known.
        self._interruption.hold()
        self._ledger.begin(record)
        self.noted = True
        self._interruption.release()

    def committing(self, carried: Carried) -> None:
        if refused := self._refused():
            raise CarryingError(refused)
        reason = f"{INTERRUPTED} of how COMMIT ended"
        self._ledger.note(self._record(dataclasses.replace(carried, outcome=UNKNOWN, reason=reason)))
        # A signal must not come between COMMIT and what is said of it.
        self._interruption.hold()
