# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this host remembers of the actions that were begun on it, and the lock by which there is one at a time.

The record of an attempt lies here from its beginning on, each time as far as it is certain: so an action is not carried
out twice because its after.yml was lost, and one that was interrupted can be settled.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from ..dumps.locks import only_one
from ..files.whole import replace, sync_folder
from . import yamls
from .records import AFTER_FILE, AfterAction

FOLDER = "/var/lib/taaraxtak/incidents"
LOCK = "/run/taaraxtak-corrective-action.lock"


class Ledger:
    """The folder *path*, which is its user's alone."""

    def __init__(self, path: str = FOLDER) -> None:
        self._folder = Path(path)

    def find(self, incident: str) -> AfterAction | None:
        """The record of an attempt that was begun; None where there was none. ValueError where it can't be read."""
        try:
            handle = os.open(self._file(incident), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ValueError(f"the record {self._file(incident)} could not be read: {error.strerror}") from error
        with open(handle, "rb") as file:  # noqa: PTH123 (opened above, so that no link is followed)
            content = file.read(yamls.MAX_BYTES + 1)
        try:
            return AfterAction.read(yamls.load(content, AFTER_FILE))
        except ValueError as error:
            raise ValueError(
                f"this host's record {self._file(incident)} can't be read ({error}): settle by hand what became of that"
                " attempt, then remove the file"
            ) from error

    def begin(self, record: AfterAction) -> None:
        """Note that the attempt has begun; ValueError where one was begun before, or it can't be noted."""
        self._made()
        file, partial, linked = self._file(record.incident), "", False
        try:
            # It gets its name when it is whole, so that a process that is killed leaves none that can't be read.
            handle, partial = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".partial", dir=self._folder)
            with os.fdopen(handle, "wb") as opened:
                opened.write(record.text().encode())
                opened.flush()
                os.fsync(opened.fileno())
            os.link(partial, file)
            linked = True
            sync_folder(self._folder)
        except FileExistsError:
            raise ValueError(f"{record.incident} was begun on this host before: see {file}") from None
        except OSError as error:
            if linked:
                file.unlink(missing_ok=True)
            raise ValueError(f"{file} could not be written: {error.strerror}") from error
        finally:
            if partial:
                Path(partial).unlink(missing_ok=True)

    def note(self, record: AfterAction) -> None:
        """What is now known of it; ValueError where it can't be noted."""
        replace(self._file(record.incident), record.text().encode(), mode=0o600)

    def forget(self, incident: str) -> None:
        """The attempt that was noted turned out not to have begun; ValueError where it can't be forgotten."""
        try:
            self._file(incident).unlink()
            sync_folder(self._folder)
        except OSError as error:
            raise ValueError(f"{self._file(incident)} could not be removed: {error.strerror}") from error

    def _file(self, incident: str) -> Path:
        return self._folder / f"{incident}.yml"

    def _made(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self._folder.lstat()
        except OSError as error:
            raise ValueError(f"{self._folder} could not be made: {error.strerror}") from error
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise ValueError(f"{self._folder} must be a folder that nobody but its owner, who runs this, may write in")


def alone(path: str = LOCK) -> contextlib.AbstractContextManager[None]:
    """Hold the lock on the file *path*; ValueError where another process does."""
    return only_one(path, "corrective action", "wait for its end")
