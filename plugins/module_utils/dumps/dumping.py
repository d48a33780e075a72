# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dump of one database: pg_dump's text, scanned as it flows, held against the counts of its own snapshot."""

from __future__ import annotations

import datetime as dt
import typing as t

from .counts import Counted, compare
from .guard import Guard
from .manifest import Abort, Trailer
from .names import DumpName, utc_text
from .pipeline import Pipeline, Settings
from .postgres import Snapshot
from .processes import DumpError
from .scan import Scanned, Scanner

# Of a differing dump so many tables are named in the reason.
DIFFERENCES_SHOWN = 5


class Dump:
    """One run of pg_dump."""

    def __init__(self, settings: Settings, name: DumpName, guard: Guard) -> None:
        self._settings = settings
        self._name = name
        self._guard = guard
        self._scanner = Scanner()
        self._estimate = 0

    def progress(self) -> dict[str, t.Any]:
        """What has gone by; another thread may ask. ``estimate`` is the tables' size on the disk, 0 as yet unknown."""
        return {**self._scanner.progress(), "estimate": self._estimate}

    def run(self, send: t.Callable[[bytes], None]) -> Trailer | Abort:
        """Send the compressed dump in pieces; then what the trailer has to say."""
        settings = self._settings
        pipeline = Pipeline(settings, self._guard)
        try:
            snapshot = Snapshot(
                database=self._name.database,
                socket=settings.socket,
                port=settings.port,
                role=settings.role,
                lock_wait_timeout=settings.lock_wait_timeout,
                leave_out_large_objects=settings.leave_out_large_objects,
            )
        except DumpError as error:
            return Abort(reason=str(error), final=error.final)
        self._guard.session(snapshot)
        try:
            return self._run(snapshot, pipeline, send)
        except DumpError as error:
            return Abort(reason=str(error), statuses=pipeline.statuses(), final=error.final)
        finally:
            pipeline.close()
            snapshot.close()

    def _run(self, snapshot: Snapshot, pipeline: Pipeline, send: t.Callable[[bytes], None]) -> Trailer:
        versions = {"server": snapshot.server_version(), **pipeline.versions("pg_dump")}
        extensions, database = snapshot.extensions(), snapshot.settings()
        self._estimate = snapshot.size()
        output, counted = pipeline.run(
            self._arguments(snapshot.id),
            look=self._scanner.feed,
            send=send,
            beside=snapshot.count,
            cancel=snapshot.cancel,
        )
        try:
            scanned = self._scanner.finish()
        except ValueError as error:
            raise DumpError(str(error)) from error
        return Trailer(
            name=self._name,
            started=utc_text(self._name.started),
            finished=utc_text(dt.datetime.now(dt.UTC)),
            statuses=pipeline.statuses(),
            bytes=output.bytes,
            sha256=output.sha256,
            raw_bytes=scanned.raw_bytes,
            tables=scanned.tables,
            sequences=scanned.sequences,
            via_root=_held_against(counted, scanned),
            versions=versions,
            settings=database,
            extensions=extensions,
            left_out=snapshot.left_out,
        )

    def _arguments(self, snapshot: str) -> list[str]:
        settings = self._settings
        return [
            settings.program("pg_dump"),
            "--format=plain",
            "--encoding=UTF8",
            f"--snapshot={snapshot}",
            f"--lock-wait-timeout={settings.lock_wait_timeout}s",
            *settings.connection(),
            # The long form of this has another name since 16.
            *(["-B"] if settings.leave_out_large_objects else []),
            f"--dbname={self._name.database}",
        ]


def _held_against(counted: list[Counted], scanned: Scanned) -> tuple[str, ...]:
    """The tables whose rows are loaded through a partition root; DumpError where the numbers of rows differ."""
    compared = compare(counted, {table: data.rows for table, data in scanned.tables.items()})
    if not compared.differences:
        return compared.via_root
    shown = "; ".join(compared.differences[:DIFFERENCES_SHOWN])
    rest = len(compared.differences) - DIFFERENCES_SHOWN
    more = f"; and {rest} more" if rest > 0 else ""
    raise DumpError(f"the dump is not what the snapshot holds: {shown}{more}")
