# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a dump or a restore has come, for people: on a terminal all the time, elsewhere a line now and then."""

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
    """Shows what the source says; another thread hands it on.

    Where *stream* is no terminal it gets a line *every* so many seconds, the first one after that time or *at_once*.
    *columns* are the terminal's, None to ask for them.
    """

    def __init__(
        self,
        program: str,
        *,
        stream: t.TextIO | None = None,
        clock: t.Callable[[], float] = time.monotonic,
        every: float = MINUTE,
        at_once: bool = False,
        columns: int | None = None,
    ):
        self._program = program
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._clock = clock
        self._every = every
        self._early = every if at_once else 0.0
        self._columns = columns
        self._what = ""
        self._began = self._shown = clock()
        self._drawn = False

    def begin(self, what: str) -> None:
        """From here on it is *what* that flows."""
        self._what = what
        self._began = self._clock()
        self._shown = self._began - self._early

    def take(self, state: t.Mapping[str, t.Any]) -> None:
        """Show *state*, where it is time to. Its ``seconds`` are those since it began, where it says them."""
        now, seconds = self._clock(), state.get("seconds")
        line = f"{self._what}: {describe(state, seconds if isinstance(seconds, float) else now - self._began)}"
        if self._terminal:
            columns = self._columns or shutil.get_terminal_size().columns - 1
            self._drawn = True
            show(self._stream, f"\r{line[:columns]}\x1b[K")
        elif now - self._shown >= self._every:
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
