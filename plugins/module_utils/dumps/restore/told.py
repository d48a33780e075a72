# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a restore has come, in a file: whoever started it from elsewhere reads it there, and shows it."""

from __future__ import annotations

import contextlib
import json
import os
import types
import typing as t
from pathlib import Path

from ..processes import DumpError
from ..reader import Reader

# A document is one line; what is longer is none of ours.
LIMIT = 1 << 14


class Told:
    """A context: the file *path* while it lasts, "" for none. It lies in a folder that nobody else writes to."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> t.Self:
        if self._path:
            try:
                Path(self._path).unlink(missing_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                self._descriptor = os.open(self._path, flags, 0o600)
            except OSError as error:
                raise DumpError(f"{self._path} can't be made, to show how far it is: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            with contextlib.suppress(OSError):
                Path(self._path).unlink()

    def show(self, what: str, state: t.Mapping[str, t.Any]) -> None:
        """Say that *what* is under way, and how far; where that can't be written, the restore goes on."""
        if self._descriptor < 0:
            return
        line = json.dumps({"what": what, **state}).encode() + b"\n"
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, line, 0)
            os.ftruncate(self._descriptor, len(line))


def read(content: bytes) -> tuple[str, dict[str, t.Any]] | None:
    """What is under way and how far, as `Told.show` was given it; None where that can't be read, this time."""
    try:
        state = json.loads(content[:LIMIT])
        return Reader(state, "progress").take("what", str), state
    except (ValueError, TypeError, RecursionError):
        return None
