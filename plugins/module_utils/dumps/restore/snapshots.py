# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""States of a database that can be brought back: copies beside it on the same server, which nobody may connect to.

The copy of NAME called x is the database ``NAME__snapshot_x``. It is made by CREATE DATABASE … TEMPLATE, while whoever
is connected to NAME is sent away. To bring it back it is copied once more, and that copy is swapped with NAME: the
snapshot stays, and a run that is killed leaves the old database or the new one.
"""

from __future__ import annotations

import re
import types

from ..processes import DumpError
from .server import MAINTENANCE, Needs, Server
from .session import ServerError, Session
from .swap import ATTEMPTS, Swapper
from .target import NAME_LIMIT, SPACE_FACTOR, restoring

MARK = "__snapshot_"
# No two underscores in a row: those separate what names mean here.
_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
# Of what a database was before, so that what was brought back by mistake can be undone.
KEPT = 1
_IN_USE = "55006"


def snapshot(database: str, name: str) -> str:
    """The database that is called *name* among the snapshots of *database*; DumpError where there can't be one."""
    if not _NAME.fullmatch(name):
        raise DumpError(f"{name!r} is no name of a snapshot: take small letters, digits and single underscores")
    copy = f"{database}{MARK}{name}"
    if len(copy.encode()) > NAME_LIMIT:
        raise DumpError(f"the name {name!r} is too long: {copy} may have {NAME_LIMIT} bytes")
    return copy


def snapshots(database: str, existing: list[str]) -> list[str]:
    """The names of the snapshots of *database* among the *existing* databases."""
    prefix = f"{database}{MARK}"
    return sorted(name.removeprefix(prefix) for name in existing if name.startswith(prefix))


class Snapshots(Swapper):
    """A context: the snapshots of one *database*. Only one of these, or one restore, is at work on a server."""

    def __init__(self, server: Server, database: str) -> None:
        super().__init__(server.session, Session(server.target, server.address, MAINTENANCE))
        self._server = server
        self._database = database

    def __enter__(self) -> Snapshots:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)

    def names(self) -> list[str]:
        """Those that are there."""
        return snapshots(self._database, sorted(self._names()))

    def take(self, name: str, *, check: bool = False) -> None:
        """Keep the database as it is now; DumpError where there is such a snapshot. *check* looks only."""
        copy = snapshot(self._database, name)
        self._check(self._database)
        if name in self.names():
            raise DumpError(f"there is a snapshot {name} of {self._database} already: take another name")
        if not check:
            self._copy(self._database, copy)

    def bring_back(self, name: str, *, check: bool = False) -> None:
        """Let the database be what it was when the snapshot was taken; what it is now is kept as a restore keeps it.

        Its privileges and settings as a database are not part of a copy: apply the policy afterwards. With *check* it
        only looks.
        """
        copy, temporary = snapshot(self._database, name), restoring(self._database)
        if name not in self.names():
            known = ", ".join(self.names()) or "none"
            raise DumpError(f"there is no snapshot {name} of {self._database}: there is {known}")
        self._check(copy)
        if check:
            return
        self._server.drop(temporary)
        try:
            self._copy(copy, temporary)
            self._session.run("ALTER DATABASE {} ALLOW_CONNECTIONS true", temporary)
            self.swap(self._database, temporary, KEPT)
        except BaseException:
            self._server.drop(temporary)
            raise

    def _check(self, source: str) -> None:
        """DumpError where a copy of *source* can't go well; from here on this is the only one at work."""
        if source not in self._names():
            raise DumpError(f"there is no database {source}")
        size = int(self._server.size(source) / SPACE_FACTOR)
        self._server.check(Needs(self._database, keep_previous=KEPT, raw_bytes=size))

    def _copy(self, source: str, copy: str) -> None:
        """Make *copy* of *source*, closed to everybody."""
        statement = "CREATE DATABASE {} TEMPLATE {} OWNER {} ALLOW_CONNECTIONS false"
        owner = self._owner(source)
        for attempt in range(ATTEMPTS):
            try:
                with self._emptying([source]):
                    self._session.run(statement, copy, source, owner)
                break
            except ServerError as error:
                if error.state != _IN_USE or attempt == ATTEMPTS - 1:
                    raise DumpError(f"{source} could not be copied: {error}") from error
        self._session.run("REVOKE ALL ON DATABASE {} FROM PUBLIC", copy)

    def _owner(self, database: str) -> str:
        owners: dict[str, str] = dict(self._session.rows("SELECT datname, pg_get_userbyid(datdba) FROM pg_database"))
        return owners[database]
