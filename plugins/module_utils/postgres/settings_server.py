# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a server makes of its configuration files, replace one of them, and have the server read them again."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import time
import typing as t
from pathlib import Path

from ..files.whole import replace, sync_folder
from .connection import connect
from .settings import FileSetting, LiveSetting

with contextlib.suppress(ImportError):  # connection.connect says so before anything here is reached
    import psycopg2

if t.TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

# A reload is a signal: the postmaster has read its files within milliseconds, on a busy host within seconds.
RELOAD_SECONDS = 15
# How long to wait for an answer after a restart: crash recovery aside, a start takes seconds.
START_SECONDS = 90
PAUSE = 0.05
# Settings hold no secret, and the server's own user need not be the one who reads them.
MODE = 0o644


class Server:
    """A server as the ``login_*`` options of a module reach it. Every look is a connection of its own.

    An old session may not have seen a reload yet; a new one starts with what the postmaster has read.
    """

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self.params = params

    @contextlib.contextmanager
    def session(self) -> t.Iterator[Connection]:
        """A session without settings of its own, so that pg_settings shows the server's; ValueError if refused."""
        connection = connect(self.params, database=self.params["database"], session="", timeout=10)
        connection.autocommit = True
        try:
            yield connection
        except psycopg2.Error as error:
            raise ValueError(f"the server refused: {str(error).strip()}") from error
        finally:
            connection.close()

    def files(self) -> tuple[list[FileSetting], list[str]]:
        """What the server would read from its files now, and what it says while it tries that."""
        with self.session() as connection, connection.cursor() as cursor:
            # Its reasons are debug messages; untranslated, since they are read by a pattern.
            cursor.execute("SET lc_messages TO 'C'")
            cursor.execute("SET client_min_messages TO debug3")
            connection.notices = []
            cursor.execute(
                "SELECT sourcefile, sourceline, name, setting, error FROM pg_catalog.pg_file_settings ORDER BY seqno"
            )
            messages = [str(notice) for notice in connection.notices]
            rows = [(os.path.realpath(row[0]), *row[1:]) for row in cursor.fetchall()]
        return [FileSetting(*row) for row in rows], messages

    def live(self) -> list[LiveSetting]:
        """Every setting as a new session sees it."""
        with self.session() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT name, source, context, pending_restart, sourcefile, setting, unit, vartype, enumvals"
                "  FROM pg_catalog.pg_settings"
            )
            return [
                LiveSetting(
                    name,
                    source,
                    context,
                    wait,
                    os.path.realpath(file) if file else None,
                    value,
                    unit,
                    kind,
                    tuple(choices or ()),
                )
                for name, source, context, wait, file, value, unit, kind, choices in cursor.fetchall()
            ]

    def load(self, library: str) -> str | None:
        """Load *library* in a session that ends at once; what the server said, untranslated, where that failed."""
        with self.session() as connection, connection.cursor() as cursor:
            cursor.execute("SET lc_messages TO 'C'")
            try:
                cursor.execute("LOAD %s", (library,))
            except psycopg2.Error as error:
                return str(error).strip().splitlines()[0]
        return None

    def lacks(self, file: str) -> str | None:
        """Why the server itself can't read *file* (relative: to its data directory); None where it can."""
        with self.session() as connection, connection.cursor() as cursor:
            try:
                cursor.execute("SELECT pg_catalog.pg_read_binary_file(%s, 0, 1, true) IS NULL", (file,))
            except psycopg2.Error as error:
                return str(error).strip().splitlines()[0]
            row = cursor.fetchone()
        return "there is no such file" if row is None or row[0] else None

    def loaded(self) -> dt.datetime:
        """When the server last read its files."""
        return self._moment("SELECT pg_catalog.pg_conf_load_time()")

    def started(self) -> dt.datetime:
        """When the server was started."""
        return self._moment("SELECT pg_catalog.pg_postmaster_start_time()")

    def _moment(self, query: str) -> dt.datetime:
        with self.session() as connection, connection.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
        if row is None or not isinstance(row[0], dt.datetime):
            raise ValueError("the server does not say when it was started")
        return row[0]

    def reload(self) -> None:
        """Have the server read its files, and wait until it has. ValueError where it doesn't in time."""
        before = self.loaded()
        with self.session() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_catalog.pg_reload_conf()")
        end = time.monotonic() + RELOAD_SECONDS
        while self.loaded() <= before:
            if time.monotonic() > end:
                raise ValueError(f"the server did not read its files within {RELOAD_SECONDS} s: look at its log")
            time.sleep(PAUSE)

    def wait_for_start(self, before: dt.datetime) -> None:
        """Wait until a server answers that was started after *before*. ValueError where none does in time."""
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                if self.started() > before:
                    return
                reason = "it was not restarted"
            except ValueError as error:
                reason = str(error)
            if time.monotonic() > end:
                raise ValueError(f"no new server answered within {START_SECONDS} s: {reason}")
            time.sleep(PAUSE * 4)


def read_text(path: Path) -> str | None:
    """The text of *path*, None where there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from error


def newer(path: Path, moment: dt.datetime) -> bool:
    """Was *path* changed after *moment*?"""
    return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC) > moment


def write(path: Path, text: str) -> None:
    """Write *path* whole or not at all; ValueError if it can't be."""
    replace(path, text.encode(), mode=MODE)


def put_back(path: Path, text: str | None, times: tuple[int, int] | None) -> None:
    """Make *path* what it was: *text* with its *times* (ns), or not there."""
    if text is None:
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
        return
    write(path, text)
    if times is not None:
        os.utime(path, ns=times)


def started_path(path: Path) -> Path:
    """Where the text of *path* is kept with which the server has started: PostgreSQL reads no dot files."""
    return path.with_name(f".{path.name}.started")


def keep_started(path: Path, text: str | None) -> None:
    """Remember that the server has started with *text* in *path*; None, kept as an empty file, is without it."""
    kept = started_path(path)
    if read_text(kept) == (text or ""):
        return
    replace(kept, (text or "").encode(), mode=MODE)
    like = path if path.exists() else path.parent
    if (like.stat().st_uid, like.stat().st_gid) != (kept.stat().st_uid, kept.stat().st_gid):
        os.chown(kept, like.stat().st_uid, like.stat().st_gid)


def times_of(path: Path) -> tuple[int, int] | None:
    """When *path* was read and changed last, in ns; None where there is no such file."""
    if not path.exists():
        return None
    status = path.stat()
    return status.st_atime_ns, status.st_mtime_ns
