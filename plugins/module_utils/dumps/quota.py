# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is there room for one more dump: on the disk, in what all may take, and in what may come in a day?"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
import time
import typing as t

from . import locks
from .folder import Folder
from .names import MANIFEST_SUFFIX, PARTIAL_SUFFIX, DumpName, manifest_owner
from .processes import DumpError, FinalError

DAY = 24 * 3600
# A dump is expected to be as large as the last one of its kind, and so much of it more.
GROWTH = (6, 5)


@dataclasses.dataclass(frozen=True)
class Limits:
    """The most that one dump and all of them may take, what stays free on the disk (bytes), and the dumps of a day.

    Adopted dumps do not come in a day.
    """

    dump: int
    all: int
    reserve: int
    a_day: int = 0


class Room:
    """The room that is left in the two folders of the store, for what the *key* brings."""

    def __init__(self, limits: Limits, incoming: Folder, archive: Folder, key: str = "") -> None:
        self._limits = limits
        self._incoming = incoming
        self._archive = archive
        self._key = key
        # What lies there, before the dump that is coming.
        self._used = 0
        self._expected = 0
        self._name: DumpName | None = None

    def look(self, name: DumpName) -> None:
        """DumpError where there is no room for *name*, to judge by the last dump of its kind."""
        self._name = name
        self._used = 0
        today = time.time() - DAY
        came: set[DumpName] = set()
        coming: set[DumpName] = set()
        for folder in (self._incoming, self._archive):
            for file in folder.names():
                found = folder.stat(file)
                if found is None or not stat.S_ISREG(found.st_mode):
                    continue
                self._used += found.st_size
                owner = _owner(file)
                if owner is None:
                    continue
                if found.st_mtime > today and not self._adopted(folder, owner):
                    came.add(owner)
                    if file.endswith(PARTIAL_SUFFIX):
                        coming.add(owner)
        if len(came) >= self._limits.a_day:
            # Those that are still coming may come to nothing.
            kind = FinalError if len(came - coming) >= self._limits.a_day else DumpError
            raise kind(f"{len(came)} dumps came within a day, and no more than {self._limits.a_day} may")
        self._expected = self._last_sizes().get(name.artefact, 0) * GROWTH[0] // GROWTH[1]
        self.check(0)

    def mark(self, descriptor: int) -> None:
        """Let others see whose the data's partial is."""
        locks.mark(descriptor, self._key)

    def settle(self, size: int) -> None:
        """DumpError where, now that its *size* bytes have a name, others that came meanwhile have used the quota up.

        To be called once the data has its name, and before its manifest has: who gives names elsewhere holds another
        lock, and of two that named at once the later sees both, withdraws its name, and the quota holds. Both may.
        """
        used = 0
        for folder in (self._incoming, self._archive):
            for file in folder.names():
                found = folder.stat(file)
                if found is not None and stat.S_ISREG(found.st_mode) and not file.endswith(PARTIAL_SUFFIX):
                    used += found.st_size
        if used > self._limits.all:
            raise DumpError(
                f"the store's quota was used up meanwhile: {used - size} bytes lie there, this dump has {size}, and "
                f"all may have {self._limits.all}"
            )

    def within(self, size: int) -> None:
        """DumpError where *size* bytes are more than one dump may have."""
        if size > self._limits.dump:
            raise FinalError(f"the dump is larger than the {self._limits.dump} bytes that one may have")

    def check(self, size: int) -> None:
        """DumpError where *size* bytes of the dump are written and there is no room for what is yet to come of it."""
        whole = max(size, self._expected)
        if self._used + whole > self._limits.all:
            raise FinalError(
                f"the store's quota is used up: {self._used} bytes lie there, this dump has or may have {whole}, and "
                f"all may have {self._limits.all}"
            )
        needed, copies = whole - size, whole
        # What was promised to others comes before what is more than was promised to this one.
        if size == 0 or size > self._expected:
            coming, promised = self._promised()
            if size == 0 and self._used + whole + coming > self._limits.all:
                raise DumpError(
                    f"the store's quota would be used up: {self._used} bytes lie there, this dump may have {whole}, "
                    f"those that are coming {coming} more, and all may have {self._limits.all}"
                )
            needed, copies = needed + coming, copies + promised
        if self._archive.device() == self._incoming.device():
            # It is there twice until the archive has its copy.
            self._enough(self._incoming, needed + copies)
        else:
            self._enough(self._incoming, needed)
            self._enough(self._archive, copies)

    def adopting(self, size: int, *, written: int) -> None:
        """DumpError where the archive has no room for a dump of *size* bytes of which so many are *written* there."""
        if not written:
            self._used = sum(_sizes(self._incoming)) + sum(_sizes(self._archive))
            self._expected = size
        self.within(written)
        if self._used + size > self._limits.all:
            raise FinalError(
                f"the store's quota is used up: {self._used} bytes lie there, this dump has or may have {size}, and "
                f"all may have {self._limits.all}"
            )
        needed = size - written
        # As in `check`: what was promised to transfers is theirs.
        if not written or written > self._expected:
            coming, copies = self._promised()
            if self._used + size + coming > self._limits.all:
                raise DumpError(
                    f"the store's quota would be used up: {self._used} bytes lie there, this dump has or may have "
                    f"{size}, those that are coming {coming} more, and all may have {self._limits.all}"
                )
            needed += copies + (coming if self._archive.device() == self._incoming.device() else 0)
        self._enough(self._archive, needed)

    def _promised(self) -> tuple[int, int]:
        """What the other transfers that are under way may still write, and what is yet to be copied of all that came.

        A key is promised one dump of each artefact: what it began before, and what it begins again after its network
        broke, hold no more. So an earlier attempt at this dump holds nothing against it.
        """
        held: dict[tuple[str, int | str], tuple[int, int]] = {}
        last = self._last_sizes()
        for file in self._incoming.names():
            name, found = _owner(file), self._incoming.stat(file)
            if not file.endswith(PARTIAL_SUFFIX) or name is None or found is None or name == self._name:
                continue
            if not self._incoming.live(file):
                continue
            mark = self._mark(file)
            # One that is not marked yet stands for itself.
            whose = name.artefact, file if mark is None else mark
            if self._name is not None and whose == (self._name.artefact, locks.mark_of(self._key)):
                continue
            whole = max(found.st_size, last.get(name.artefact, 0) * GROWTH[0] // GROWTH[1])
            coming, copies = held.get(whose, (0, 0))
            held[whose] = max(coming, whole - found.st_size), max(copies, whole)
        promised = held.values()
        return sum(room[0] for room in promised), sum(room[1] for room in promised) + self._waiting()

    def _waiting(self) -> int:
        """What is yet to be written of the copies of what came in and has its names."""
        waiting = 0
        for name in filter(None, map(manifest_owner, self._incoming.names())):
            data, copy = self._incoming.stat(str(name)), self._archive.stat(f"{name}{PARTIAL_SUFFIX}")
            if data is not None and self._archive.stat(name.manifest) is None:
                waiting += max(0, data.st_size - (copy.st_size if copy is not None else 0))
        return waiting

    def _mark(self, file: str) -> int | None:
        """The mark of the key that brings *file*."""
        with contextlib.suppress(OSError):
            descriptor = self._incoming.open(file)
            try:
                return locks.marked(descriptor)
            finally:
                os.close(descriptor)
        return None

    def _last_sizes(self) -> dict[str, int]:
        """For each artefact the size of the dump that came last."""
        found: dict[str, tuple[float, int]] = {}
        for folder in (self._incoming, self._archive):
            for name in filter(None, map(manifest_owner, folder.names())):
                manifest, data = folder.stat(name.manifest), folder.stat(str(name))
                if manifest is None or data is None:
                    continue
                came = manifest.st_mtime, data.st_size
                if came[0] >= found.get(name.artefact, (0.0, 0))[0]:
                    found[name.artefact] = came
        return {artefact: size for artefact, (_came, size) in found.items()}

    def _enough(self, folder: Folder, needed: int) -> None:
        free = folder.free()
        if free < needed + self._limits.reserve:
            raise DumpError(
                f"the store is full: {free} bytes are free, {needed} are needed, and {self._limits.reserve} are held "
                "in reserve"
            )

    @staticmethod
    def _adopted(folder: Folder, name: DumpName) -> bool:
        """Whether it is one of the old dumps, which did not come over the wire."""
        with contextlib.suppress(DumpError):
            return folder.manifest(name).adopted
        return False


def _sizes(folder: Folder) -> t.Iterator[int]:
    for file in folder.names():
        found = folder.stat(file)
        if found is not None and stat.S_ISREG(found.st_mode):
            yield found.st_size


def _owner(file: str) -> DumpName | None:
    """The dump that the manifest, or the partial of a dump, is of; None for any other file."""
    if file.endswith(MANIFEST_SUFFIX):
        return manifest_owner(file)
    with contextlib.suppress(ValueError):
        return DumpName.parse(file.removesuffix(PARTIAL_SUFFIX)) if file.endswith(PARTIAL_SUFFIX) else None
    return None
