# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring to one store all that it lacks: in one run of the source where that works, and again where it did not."""

from __future__ import annotations

import dataclasses
import subprocess
import time
import typing as t

from . import notify
from .config import MAY_BE_EMPTY
from .manifest import Document, Trailer
from .names import GLOBALS
from .processes import Clock, DumpError
from .progress import Progress
from .sources import Source
from .transfer import (
    Interruption,
    RefusedError,
    SourceFailedError,
    Transfer,
    UnknownOutcomeError,
    ask,
)


@dataclasses.dataclass(frozen=True)
class Store:
    """A store by its *name*. The verbs ``receive`` and ``stat NAME`` are put after its *command*."""

    name: str
    command: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Settings:
    """The keys of the sender's settings; times in seconds. After each of ``retry_delays`` there is another attempt."""

    source_command: tuple[str, ...]
    stores: tuple[Store, ...]
    databases: tuple[str, ...]
    lock_file: str = "/run/taaraxtak-backup/dump-send.lock"
    idle_timeout: float = 900.0
    overall_timeout: float = 6 * 3600.0
    notify_file: str = notify.CONFIG
    retry_delays: tuple[float, ...] = dataclasses.field(default=(30.0, 120.0), metadata=MAY_BE_EMPTY)

    def __post_init__(self) -> None:
        names = [store.name for store in self.stores]
        if len(set(names)) != len(names):
            raise ValueError(f"stores must have different names, not {', '.join(names)}")

    @property
    def artefacts(self) -> tuple[str, ...]:
        """All that is dumped, in its order: without the roles no dump can be restored."""
        return (GLOBALS, *self.databases)


@dataclasses.dataclass
class Result:
    """How it ended for one artefact and one store. ``unknown``: the store may hold what ``trailer`` is of.

    ``unsettled`` has trailer and signature of each attempt of which it is not known: any of them may be there.
    """

    store: str
    artefact: str
    reason: str = ""
    final: bool = False
    unknown: bool = False
    attempts: int = 0
    seconds: float = 0.0
    trailer: Trailer | None = None
    signature: bytes = b""
    unsettled: list[tuple[Trailer, bytes]] = dataclasses.field(default_factory=list)
    tried: str = ""
    """How the attempts ended that were made: the part of ``reason`` that no later sentence takes the place of."""

    @property
    def ok(self) -> bool:
        return self.trailer is not None and not self.unknown and self.trailer.name.artefact == self.artefact

    def stored(self, trailer: Trailer, signature: bytes) -> None:
        """The store has said that it holds this one."""
        self.trailer, self.signature, self.reason, self.tried = trailer, signature, "", ""
        self.final, self.unknown, self.unsettled = False, False, []

    def failed(self, error: Exception) -> None:
        """Another attempt did not bring it. What may be there all the same stays so."""
        self.reason = self.tried = f"{self.tried}; then: {error}" if self.unknown else str(error)
        self.final = isinstance(error, DumpError) and error.final
        if isinstance(error, UnknownOutcomeError):
            self.trailer, self.signature, self.unknown = error.trailer, error.signature, True
            self.unsettled.append((error.trailer, error.signature))

    def not_begun(self, error: Exception, attempt: int = 0) -> None:
        """Something else, which is the *error*, kept it from being begun in this *attempt*, 0 where none follows."""
        if not self.tried:
            self.reason = f"it was not begun, because {error}"
        elif str(error) in self.tried:
            self.reason = self.tried
        else:
            words = f"in attempt {attempt} it was not begun" if attempt else "it was not tried again"
            self.reason = f"{self.tried}; {words}, because {error}"

    def line(self) -> str:
        """For the journal."""
        if self.trailer is None:
            return f"no dump of {self.artefact} was stored at {self.store}: {self.reason}"
        name = self.trailer.name
        if self.unknown:
            return f"whether {name} is stored is not known: ask {self.store} with dump-store list ({self.reason})"
        held = f"{self.trailer.rows} rows of {len(self.trailer.tables)} tables"
        if self.artefact == GLOBALS:
            held = f"{self.trailer.roles} roles"
        left_out = f", without {', '.join(self.trailer.left_out)}" if self.trailer.left_out else ""
        rate = self.trailer.raw_bytes / 1e6 / max(self.seconds, 0.001)
        return (
            f"{name} is stored at {self.store}: {held} in {self.trailer.bytes} bytes{left_out}, sha256 "
            f"{self.trailer.sha256}, {self.seconds:.1f} s, {rate:.1f} MB/s"
        )

    def document(self) -> Document:
        """For programs; ``trailer`` and ``signature`` are those of the manifest."""
        trailer = self.trailer
        return {
            "store": self.store,
            "artefact": self.artefact,
            "ok": self.ok,
            "name": str(trailer.name) if trailer else "",
            "reason": self.reason,
            "final": self.final,
            "unknown": self.unknown,
            "attempts": self.attempts,
            "seconds": round(self.seconds, 3),
            "bytes": trailer.bytes if trailer else 0,
            "sha256": trailer.sha256 if trailer else "",
            "rows": trailer.rows if trailer else 0,
            "trailer": trailer.document() if trailer else None,
            "signature": self.signature.decode("ascii", "replace"),
        }


class Delivery:
    """All that one store is to get."""

    def __init__(self, settings: Settings, store: Store, progress: Progress, interruption: Interruption) -> None:
        self._settings = settings
        self._store = store
        self._progress = progress
        self._interruption = interruption
        # In the order of what is wanted; filled in as it comes, so that an interrupted run can tell what it has done.
        self.results: dict[str, Result] = {}
        # The artefact whose attempt has not ended yet.
        self._under_way = ""

    def run(self, wanted: t.Sequence[str]) -> None:
        """Try until the store holds everything, or nothing can be bettered by trying again."""
        self.results = {artefact: Result(self._store.name, artefact, "it was not begun") for artefact in wanted}
        lacking = list(wanted)
        delays = self._settings.retry_delays
        for attempt in range(len(delays) + 1):
            if attempt:
                self._progress.say(self._again(lacking, attempt), error=True)
                time.sleep(delays[attempt - 1])
                lacking = [artefact for artefact in lacking if not self._came_after_all(self.results[artefact])]
            self._attempt(lacking, attempt + 1)
            lacking = [
                artefact for artefact in lacking if not self.results[artefact].ok and not self.results[artefact].final
            ]
            if not lacking:
                return

    def _again(self, lacking: list[str], attempt: int) -> str:
        reasons = "; ".join(dict.fromkeys(self.results[artefact].reason for artefact in lacking))
        return (
            f"attempt {attempt} of {len(self._settings.retry_delays) + 1} at {self._store.name} failed for "
            f"{', '.join(lacking)}, the next is in {self._settings.retry_delays[attempt - 1]:g} s: {reasons}"
        )

    def _came_after_all(self, result: Result) -> bool:
        """Whether the store now says that it holds a dump of which it was not known."""
        for trailer, signature in reversed(result.unsettled):
            try:
                ack = ask(self._store.command, trailer.name)
            except (OSError, ValueError, subprocess.SubprocessError):
                continue
            if ack.ok and (ack.name, ack.bytes, ack.sha256) == (str(trailer.name), trailer.bytes, trailer.sha256):
                result.stored(trailer, signature)
                return True
        return False

    def give_up(self, error: Exception, wanted: t.Sequence[str] = ()) -> None:
        """What the store does not hold by now it won't get, of *wanted* too: *error* says why."""
        for artefact in wanted:
            self.results.setdefault(artefact, Result(self._store.name, artefact))
        lacking = [name for name, result in self.results.items() if not result.ok and not result.final]
        if self._under_way in lacking:
            lacking.remove(self._under_way)
            self.results[self._under_way].failed(DumpError(str(error)))
        self._leave(lacking, error)

    def _leave(self, artefacts: t.Iterable[str], error: Exception, attempt: int = 0) -> None:
        """None of these was begun: whatever *error* is, it is about no dump of theirs."""
        for artefact in artefacts:
            self.results[artefact].not_begun(error, attempt)

    def _attempt(self, wanted: t.Sequence[str], number: int) -> None:
        """Each once, whatever becomes of the others, unless there is no source or no store to try it with."""
        rest = list(wanted)
        while rest:
            error: DumpError | None = None
            try:
                source = Source(self._settings.source_command, rest, self._progress.take)
            except DumpError as failure:
                self._leave(rest, failure, number)
                self._interruption.release()
                return
            try:
                while rest:
                    artefact = rest.pop(0)
                    error = self._one(source, artefact, last=not rest)
                    if error is not None and not source.between:
                        break
            finally:
                source.end()
                self._progress.end()
                for warning in source.warnings():
                    self._progress.say(warning, error=True)
            if error is not None and not isinstance(error, RefusedError | SourceFailedError):
                # The next would go the same way: it has its turn in the next attempt.
                self._leave(rest, error, number)
                return

    def _one(self, source: Source, artefact: str, *, last: bool) -> DumpError | None:
        began = time.monotonic()
        settings = self._settings
        clock = Clock(idle=settings.idle_timeout, overall=settings.overall_timeout)
        self._progress.begin(f"{artefact} to {self._store.name}")
        result = self.results[artefact]
        result.attempts += 1
        self._under_way = artefact
        try:
            trailer, signature = Transfer(
                source, self._store.command, clock, self._interruption, idle=settings.idle_timeout
            ).run(artefact, last=last)
        except DumpError as error:
            result.seconds += time.monotonic() - began
            result.failed(error)
            self._under_way = ""
            # Nothing else is tried by a run that was asked to end.
            self._interruption.release()
            return error
        result.stored(trailer, signature)
        self._under_way = ""
        result.seconds += time.monotonic() - began
        self._interruption.release()
        return None
