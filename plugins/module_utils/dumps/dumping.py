# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dump of one database: pg_dump's text, scanned as it flows, held against the counts of its own snapshot."""

from __future__ import annotations

import typing as t

from .artefact import Artefact
from .counts import Counted, compare
from .guard import Guard
from .manifest import Trailer
from .names import DumpName
from .pipeline import Pipeline, Settings
from .postgres import Snapshot
from .processes import DumpError
from .scan import Scanned, Scanner

# Of a differing dump so many tables are named in the reason.
DIFFERENCES_SHOWN = 5


class Dump(Artefact[Snapshot]):
    """One run of pg_dump."""

    def __init__(self, settings: Settings, name: DumpName, guard: Guard) -> None:
        super().__init__(settings, name, guard, Scanner())

    def _session(self) -> Snapshot:
        settings = self._settings
        return Snapshot(
            database=self._name.database,
            socket=settings.socket,
            port=settings.port,
            role=settings.role,
            lock_wait_timeout=settings.lock_wait_timeout,
            leave_out_large_objects=settings.leave_out_large_objects,
        )

    def _run(self, session: Snapshot, pipeline: Pipeline, send: t.Callable[[bytes], None]) -> Trailer:
        versions = {"server": session.server_version(), **pipeline.versions("pg_dump")}
        extensions, database = session.extensions(), session.settings()
        self._estimate = session.size()
        output, counted = pipeline.run(
            self._arguments(session.id),
            look=self._scanner.feed,
            send=send,
            beside=session.count,
            cancel=session.cancel,
        )
        scanned = self._scanned()
        return self._trailer(
            pipeline,
            output,
            scanned,
            tables=scanned.tables,
            sequences=scanned.sequences,
            via_root=_held_against(counted, scanned),
            versions=versions,
            settings=database,
            extensions=extensions,
            left_out=session.left_out,
            ddl=scanned.ddl,
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
