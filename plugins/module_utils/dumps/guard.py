# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ends a dump from beside it: its reader is gone, its time is over, another part of it failed."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import typing as t

from .processes import Child, say

# So begins what the sender shows of a dump that went well.
WARNING = "warning: "
# Seconds for ending what runs: a server that lives takes none of them.
_LAST_RESORT = 5


class Cancellable(t.Protocol):
    """A session whose query can be ended by another thread."""

    def cancel(self) -> None: ...


class Guard:
    """Ends everything as soon as stdin does, or the time is over, whatever the main thread waits for."""

    def __init__(self, program: str, descriptor: int, overall_timeout: float) -> None:
        self._program = program
        self._descriptor = descriptor
        self._overall_timeout = overall_timeout
        self._lock = threading.Lock()
        self._children: list[Child] = []
        self._sessions: list[Cancellable] = []
        self._timer: threading.Timer | None = None
        # What started us may have ignored it, and that is inherited.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        threading.Thread(target=self._watch_input, daemon=True).start()

    def begin(self) -> None:
        """What was held has ended, and the time begins anew."""
        with self._lock:
            self._children.clear()
            self._sessions.clear()
            if self._timer is not None:
                self._timer.cancel()
            why = f"the dump took longer than {self._overall_timeout:g} s"
            self._timer = threading.Timer(self._overall_timeout, self._give_up, [why])
            self._timer.daemon = True
            self._timer.start()

    def child(self, child: Child) -> Child:
        """End *child* too."""
        with self._lock:
            self._children.append(child)
        return child

    def session(self, session: Cancellable) -> None:
        """End what *session* runs too."""
        with self._lock:
            self._sessions.append(session)

    def warn(self, text: str) -> None:
        """Tell the sender what does not end anything."""
        say(self._program, f"{WARNING}{text}", error=True)

    def _watch_input(self) -> None:
        more = b""
        # A stdin that can't be read any more has ended too.
        with contextlib.suppress(OSError):
            more = os.read(self._descriptor, 1)
        if more:
            self._give_up("the sender wrote more than its request")
        self._give_up("the sender is gone")

    def _give_up(self, why: str) -> None:
        # psycopg2 holds all threads while it cancels, for ever where the server hangs: then SIGALRM ends this process.
        signal.alarm(_LAST_RESORT)
        # Never released: what the main thread begins now is killed with this process (PR_SET_PDEATHSIG).
        self._lock.acquire()
        for child in self._children:
            child.kill()
        for session in self._sessions:
            session.cancel()
        with contextlib.suppress(OSError):
            # Whoever would read it may be gone.
            say(self._program, why, error=True)
        os._exit(1)


class Task(threading.Thread):
    """A thread whose failure is kept and handed on; it stops the rest when it fails."""

    def __init__(self, work: t.Callable[[], t.Any], stop: t.Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._stop_rest = stop
        self.result: t.Any = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._work()
        except Exception as error:
            self.error = error
            self._stop_rest()
