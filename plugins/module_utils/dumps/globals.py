# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster's globals: roles and their settings, without passwords, as pg_dumpall writes them."""

from __future__ import annotations

import datetime as dt
import re
import typing as t

from .guard import Guard
from .manifest import Abort, Trailer
from .names import DumpName, utc_text
from .pipeline import Pipeline, Settings
from .postgres import Roles
from .processes import DumpError
from .scan import IDENTIFIER, Scanner, unquote

_CREATE = re.compile(rb"CREATE ROLE (%s);\n" % IDENTIFIER)


class GlobalsScanner(Scanner):
    """Reads to pg_dumpall's own end line, and the names of the roles on the way."""

    complete = b"-- PostgreSQL database cluster dump complete\n"
    captured = (b"CREATE ROLE ", b"COPY ")

    def __init__(self) -> None:
        super().__init__()
        self.roles: set[str] = set()

    def _statement(self, statement: bytes) -> None:
        create = _CREATE.fullmatch(statement)
        if create is None:
            raise ValueError(f"the globals hold a statement that could not be read: {statement[:120]!r}")
        self.roles.add(unquote(create[1]))


class Globals:
    """One run of pg_dumpall."""

    def __init__(self, settings: Settings, name: DumpName, guard: Guard) -> None:
        self._settings = settings
        self._name = name
        self._guard = guard
        self._scanner = GlobalsScanner()

    def progress(self) -> dict[str, t.Any]:
        """What has gone by; another thread may ask."""
        return {**self._scanner.progress(), "estimate": 0}

    def run(self, send: t.Callable[[bytes], None]) -> Trailer | Abort:
        """Send the compressed text in pieces; then what the trailer has to say."""
        settings = self._settings
        pipeline = Pipeline(settings, self._guard)
        try:
            roles = Roles(database=self._name.database, socket=settings.socket, port=settings.port, role=settings.role)
        except DumpError as error:
            return Abort(reason=str(error), final=error.final)
        self._guard.session(roles)
        try:
            return self._run(roles, pipeline, send)
        except DumpError as error:
            return Abort(reason=str(error), statuses=pipeline.statuses(), final=error.final)
        finally:
            pipeline.close()
            roles.close()

    def _run(self, roles: Roles, pipeline: Pipeline, send: t.Callable[[bytes], None]) -> Trailer:
        versions = {"server": roles.server_version(), **pipeline.versions("pg_dumpall")}
        output, known = pipeline.run(
            self._arguments(), look=self._scanner.feed, send=send, beside=roles.names, cancel=roles.cancel
        )
        try:
            scanned = self._scanner.finish()
        except ValueError as error:
            raise DumpError(str(error)) from error
        # No snapshot spans both: of a role that is made or dropped in this second the next attempt knows more.
        if known != self._scanner.roles:
            differing = ", ".join(sorted(known ^ self._scanner.roles))
            raise DumpError(f"the globals hold other roles than the cluster: {differing}")
        return Trailer(
            name=self._name,
            started=utc_text(self._name.started),
            finished=utc_text(dt.datetime.now(dt.UTC)),
            statuses=pipeline.statuses(),
            bytes=output.bytes,
            sha256=output.sha256,
            raw_bytes=scanned.raw_bytes,
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
