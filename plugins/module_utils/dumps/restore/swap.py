# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swap a copy with the database that it replaces: by renames in one transaction, while nobody can come in.

A rename locks the database, so that whoever connects waits, and gives those that are in it five seconds to leave: a
second session ends them meanwhile. Who waited is told that the database does not exist, and reaches the new one the
next time. Whatever ends the transaction before its commit leaves all names as they were.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import types
import typing as t

from ..processes import DumpError
from .session import ServerError, Session, composed
from .target import kept, previous, shifts

# What another session may hold a lock on a database for, such as an ALTER DATABASE that is not committed.
LOCK_TIMEOUT = "10s"
# Seconds between two looks for who is connected; the rename looks each 0.1 s.
PAUSE = 0.05
ATTEMPTS = 3
# object_in_use
_IN_USE = "55006"

_END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = ANY ({}) AND pid <> pg_backend_pid()
"""


@dataclasses.dataclass(frozen=True)
class Swapped:
    """``previous`` is what the database is called now that was there before, "" where there was none.

    ``dropped`` are the older ones that are gone, ``problems`` sentences about those that should be and are not.
    """

    previous: str
    dropped: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class Swapper:
    """Two superuser's sessions with another database than those that are swapped."""

    def __init__(self, session: Session, ending: Session) -> None:
        self._session = session
        self._ending = ending

    def __enter__(self) -> Swapper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._ending.close()

    def swap(self, database: str, copy: str, keep_previous: int) -> Swapped:
        """Let *copy* be called *database*, and keep so many of what was called that before."""
        names = self._names()
        if copy not in names:
            raise DumpError(f"there is no database {copy} that could become {database}")
        renames = [(copy, database)]
        if database in names:
            renames = [*shifts(database, names), (database, previous(database)), *renames]
        for attempt in range(ATTEMPTS):
            try:
                self._rename(renames)
                break
            except ServerError as error:
                if error.state != _IN_USE or attempt == ATTEMPTS - 1:
                    raise DumpError(f"{database} is as it was, since it could not be swapped: {error}") from error
        # Only now; and what a killed run was to drop.
        dropped, problems = self._drop(database, keep_previous)
        here = database in names and keep_previous > 0
        return Swapped(previous(database) if here else "", tuple(dropped), tuple(problems))

    def _rename(self, renames: list[tuple[str, str]]) -> None:
        with self._emptying([old for old, _new in renames]), self._session.transaction():
            self._session.rows(composed("SET LOCAL lock_timeout = {}", LOCK_TIMEOUT))
            for old, new in renames:
                self._session.run("ALTER DATABASE {} RENAME TO {}", old, new)

    @contextlib.contextmanager
    def _emptying(self, databases: list[str]) -> t.Iterator[None]:
        """End who is connected to the *databases*, again and again, as long as the block lasts."""
        over = threading.Event()

        def end() -> None:
            # The rename says what went wrong when this could not.
            with contextlib.suppress(ServerError):
                while not over.wait(PAUSE):
                    self._ending.rows(composed(_END, databases))

        thread = threading.Thread(target=end, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _drop(self, database: str, keep_previous: int) -> tuple[list[str], list[str]]:
        """The swap is done: what can't be dropped is said and left."""
        dropped, problems = [], []
        for number, name in kept(database, self._names()).items():
            if number > keep_previous:
                try:
                    self._session.run("DROP DATABASE {} WITH (FORCE)", name)
                    dropped.append(name)
                except ServerError as error:
                    problems.append(f"{name} could not be dropped: {error}")
        return dropped, problems

    def _names(self) -> set[str]:
        return {name for (name,) in self._session.rows("SELECT datname FROM pg_database")}
