# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster's globals: roles and their settings, without passwords, as pg_dumpall writes them."""

from __future__ import annotations

import typing as t

from .artefact import Artefact
from .globals_scan import GlobalsScanner
from .guard import Guard
from .manifest import Trailer
from .names import DumpName
from .pipeline import Pipeline, Settings
from .postgres import Roles
from .processes import DumpError


class Globals(Artefact[Roles]):
    """One run of pg_dumpall."""

    _scanner: GlobalsScanner

    def __init__(self, settings: Settings, name: DumpName, guard: Guard) -> None:
        super().__init__(settings, name, guard, GlobalsScanner())

    def _session(self) -> Roles:
        settings = self._settings
        return Roles(database=self._name.database, socket=settings.socket, port=settings.port, role=settings.role)

    def _run(self, session: Roles, pipeline: Pipeline, send: t.Callable[[bytes], None]) -> Trailer:
        versions = {"server": session.server_version(), **pipeline.versions("pg_dumpall")}
        output, known = pipeline.run(
            self._arguments(), look=self._scanner.feed, send=send, beside=session.names, cancel=session.cancel
        )
        scanned = self._scanned()
        # No snapshot spans both: of a role that is made or dropped in this second the next attempt knows more.
        if known != self._scanner.roles:
            differing = ", ".join(sorted(known ^ self._scanner.roles))
            raise DumpError(f"the globals hold other roles than the cluster: {differing}")
        return self._trailer(
            pipeline,
            output,
            scanned,
            tables={},
            sequences={},
            via_root=(),
            versions=versions,
            settings={},
            extensions={},
            roles=len(self._scanner.roles),
        )

    def _arguments(self) -> list[str]:
        settings = self._settings
        return [
            settings.program("pg_dumpall"),
            "--globals-only",
            # Hashes of passwords are nobody's business but the server's.
            "--no-role-passwords",
            "--encoding=UTF8",
            *settings.connection(),
            f"--database={self._name.database}",
        ]
