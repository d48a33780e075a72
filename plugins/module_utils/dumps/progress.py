# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a dump has come, for people: on a terminal all the time, in the journal once a minute."""

from __future__ import annotations

import shutil
import sys
import time
import typing as t

from .processes import say, show

MINUTE = 60.0
_MEGABYTE = 1_000_000


def describe(state: t.Mapping[str, t.Any], seconds: float) -> str:
    """What the source says of itself (table, rows, bytes, estimate; a restore: left) after *seconds*, in a line."""
    table, rows, done, estimate = (state.get(key) for key in ("table", "rows", "bytes", "estimate"))
    if not (isinstance(rows, int) and isinstance(done, int) and isinstance(estimate, int)):
        return "under way"
    parts = [_printable(table)] if isinstance(table, str) and table else []
    parts.append(f"{rows} rows")
    share = f" of about {estimate / _MEGABYTE:.1f} MB ({min(99, 100 * done // estimate)} %)" if estimate > 0 else ""
    parts.append(f"{done / _MEGABYTE:.1f} MB{share}")
    if seconds > 0:
        parts.append(f"{done / _MEGABYTE / seconds:.1f} MB/s")
    left = state.get("left")
    if isinstance(left, float):
        parts.append(f"about {_time(left)} left")
    return ", ".join(parts)


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _printable(text: str) -> str:
    """A table may be called anything, and a terminal obeys what it is sent."""
    return "".join(each if each.isprintable() else "?" for each in text)


class Progress:
    """Shows what the source says; another thread hands it on."""

    def __init__(self, program: str, *, stream: t.TextIO | None = None, clock: t.Callable[[], float] = time.monotonic):
        self._program = program
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._clock = clock
        self._what = ""
        self._began = self._shown = clock()
        self._drawn = False

    def begin(self, what: str) -> None:
        """From here on it is *what* that flows."""
        self._what = what
        self._began = self._shown = self._clock()

    def take(self, state: t.Mapping[str, t.Any]) -> None:
        """Show *state*, where it is time to."""
        now = self._clock()
        line = f"{self._what}: {describe(state, now - self._began)}"
        if self._terminal:
            columns = shutil.get_terminal_size().columns - 1
            self._drawn = True
            show(self._stream, f"\r{line[:columns]}\x1b[K")
        elif now - self._shown >= MINUTE:
            self._shown = now
            show(self._stream, f"{self._program}: {line}\n")

    def end(self) -> None:
        """Clear what was drawn, so that the next line has the place for itself."""
        if self._drawn:
            self._drawn = False
            show(self._stream, "\r\x1b[K")

    def say(self, text: str, *, error: bool = False) -> None:
        """One line in its own right."""
        self.end()
        say(self._program, text, error=error)
