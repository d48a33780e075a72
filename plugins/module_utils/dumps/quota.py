# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is there room for one more dump: on the disk, in what all may take, and in what may come in a day?"""

from __future__ import annotations

import contextlib
import dataclasses
import stat
import time

from .folder import Folder
from .names import MANIFEST_SUFFIX, PARTIAL_SUFFIX, DumpName, manifest_owner
from .processes import DumpError, FinalError

DAY = 24 * 3600
# A dump is expected to be as large as the last one of its kind, and so much of it more.
GROWTH = (6, 5)


@dataclasses.dataclass(frozen=True)
class Limits:
    """The most that one dump and all of them may take, what stays free on the disk (bytes), and the dumps of a day."""

    dump: int
    all: int
    reserve: int
    a_day: int


class Room:
    """The room that is left in the two folders of the store."""

    def __init__(self, limits: Limits, incoming: Folder, archive: Folder) -> None:
        self._limits = limits
        self._incoming = incoming
        self._archive = archive
        # What lies there, before the dump that is coming.
        self._used = 0
        self._expected = 0

    def look(self, name: DumpName) -> None:
        """DumpError where there is no room for *name*, to judge by the last dump of its kind."""
        self._used = 0
        last, today = 0.0, time.time() - DAY
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
                data = folder.stat(str(owner))
                if owner.artefact == name.artefact and data is not None and found.st_mtime >= last:
                    last, self._expected = found.st_mtime, data.st_size * GROWTH[0] // GROWTH[1]
        if len(came) >= self._limits.a_day:
            # Those that are still coming may come to nothing.
            kind = FinalError if len(came - coming) >= self._limits.a_day else DumpError
            raise kind(f"{len(came)} dumps came within a day, and no more than {self._limits.a_day} may")
        self.check(0)

    def settle(self, size: int) -> None:
        """DumpError where, once all of its *size* bytes are here, others that came meanwhile have used the quota up.

        To be called where nobody else gives a name: what has names is then never more than the quota.
        """
        used = 0
        for folder in (self._incoming, self._archive):
            for file in folder.names():
                found = folder.stat(file)
                if found is not None and stat.S_ISREG(found.st_mode) and not file.endswith(PARTIAL_SUFFIX):
                    used += found.st_size
        if used + size > self._limits.all:
            raise DumpError(
                f"the store's quota was used up meanwhile: {used} bytes lie there, this dump has {size}, and all may "
                f"have {self._limits.all}"
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
        needed = whole - size
        if self._archive.device() == self._incoming.device():
            # It is there twice until the archive has its copy.
            self._enough(self._incoming, needed + whole)
        else:
            self._enough(self._incoming, needed)
            self._enough(self._archive, whole)

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


def _owner(file: str) -> DumpName | None:
    """The dump that the manifest, or the partial of a dump, is of; None for any other file."""
    if file.endswith(MANIFEST_SUFFIX):
        return manifest_owner(file)
    with contextlib.suppress(ValueError):
        return DumpName.parse(file.removesuffix(PARTIAL_SUFFIX)) if file.endswith(PARTIAL_SUFFIX) else None
    return None
