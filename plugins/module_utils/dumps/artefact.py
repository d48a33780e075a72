# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the source makes: a text that a program of PostgreSQL writes, read as it flows, with a session beside it."""

from __future__ import annotations

import abc
import datetime as dt
import typing as t

from .guard import Guard
from .manifest import Abort, Trailer
from .names import DumpName, utc_text
from .pipeline import Output, Pipeline, Settings
from .postgres import Session
from .processes import DumpError
from .scan import Scanned, Scanner

S = t.TypeVar("S", bound=Session)


class Artefact(abc.ABC, t.Generic[S]):
    """One run of pg_dump or pg_dumpall, beside the session *S* that says what has to come of it."""

    def __init__(self, settings: Settings, name: DumpName, guard: Guard, scanner: Scanner) -> None:
        self._settings = settings
        self._name = name
        self._guard = guard
        self._scanner = scanner
        self._estimate = 0

    def progress(self) -> dict[str, t.Any]:
        """What has gone by; another thread may ask. ``estimate`` is the tables' size on the disk, 0 as yet unknown."""
        return {**self._scanner.progress(), "estimate": self._estimate}

    def run(self, send: t.Callable[[bytes], None]) -> Trailer | Abort:
        """Send the compressed text in pieces; then what the trailer has to say."""
        pipeline = Pipeline(self._settings, self._guard)
        try:
            session = self._session()
        except DumpError as error:
            return Abort(reason=str(error), final=error.final)
        self._guard.session(session)
        try:
            return self._run(session, pipeline, send)
        except DumpError as error:
            return Abort(reason=str(error), statuses=pipeline.statuses(), final=error.final)
        finally:
            pipeline.close()
            session.close()

    @abc.abstractmethod
    def _session(self) -> S:
        """The session beside the text."""

    @abc.abstractmethod
    def _run(self, session: S, pipeline: Pipeline, send: t.Callable[[bytes], None]) -> Trailer:
        """Have the text made and prove it; DumpError where it is not what it should be."""

    def _scanned(self) -> Scanned:
        """What the scan has found; DumpError where the text is not whole."""
        try:
            return self._scanner.finish()
        except ValueError as error:
            raise DumpError(str(error)) from error

    def _trailer(self, pipeline: Pipeline, output: Output, scanned: Scanned, **parts: t.Any) -> Trailer:
        """The trailer: what is the same for all, and *parts*."""
        return Trailer(
            name=self._name,
            started=utc_text(self._name.started),
            finished=utc_text(dt.datetime.now(dt.UTC)),
            statuses=pipeline.statuses(),
            bytes=output.bytes,
            sha256=output.sha256,
            raw_bytes=scanned.raw_bytes,
            **parts,
        )
