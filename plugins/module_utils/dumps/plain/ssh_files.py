# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store that is ssh with ``cat`` and ``mv`` alone, such as a storage box.

It can't list: the file ``index`` says what came and went, a line each, and is only ever added to, so that the host
that sends and the one that prunes don't undo each other's. It can't remove either: mv gives what goes the name of
what went before, and the last of these is emptied.
"""

from __future__ import annotations

import contextlib
import typing as t

from ..names import DumpName
from ..processes import DumpError
from .files import AbsentError, Files, Run, partials, said

INDEX = "index"
# What is removed has this name, one after the other.
REMOVED = "removed"
CAME, WENT = "+", "-"
INDEX_LIMIT = 1 << 26
# So many manifests are read over one connection.
BATCH = 40
_ABSENT = "No such file or directory"


class SshFiles(Files):
    """The files behind an ssh command."""

    def begin(self, name: DumpName) -> None:
        # Before its first byte: what is cut on its way can be swept.
        self._note(CAME, name)

    def forget(self, name: DumpName) -> None:
        self._note(WENT, name)

    def names(self) -> dict[str, int | None]:
        """What may be there: of each dump that the index names all files. Which of them are is known when one reads."""
        found: dict[str, DumpName] = {}
        for sign, name in self._index():
            if sign == CAME:
                found[str(name)] = name
            else:
                found.pop(str(name), None)
        return {file: None for name in found.values() for file in (str(name), name.manifest)}

    def has(self, name: str) -> bool:
        try:
            for _piece in self.read(name):
                # The rest of a whole dump would come for nothing.
                return True
        except AbsentError:
            return False
        return True

    def read(self, name: str) -> t.Iterator[bytes]:
        with self._run(f"cat {self._word(name)}") as run:
            yield from run.read()
            self._finish(run, name)

    def write(self, name: str, pieces: t.Iterable[bytes]) -> None:
        with self._run(f"cat > {self._word(name)}", writing=True) as run:
            for piece in pieces:
                run.write(piece)
            self._finish(run, name)

    def place_file(self, name: str) -> None:
        self._move(self.temporary(name), name)

    def withdraw(self, name: DumpName) -> None:
        with contextlib.suppress(AbsentError):
            self._move(name.manifest, partials(name)[0])

    def remove(self, name: str) -> None:
        try:
            self._move(name, REMOVED)
        except AbsentError:
            return
        self.write(REMOVED, ())

    def manifests(self, names: t.Sequence[DumpName], limit: int) -> t.Iterator[tuple[DumpName, bytes | DumpError]]:
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            lines = self._together(batch, limit)
            if lines is None:
                # One of them is not there: which, only each alone can say.
                yield from super().manifests(batch, limit)
            else:
                yield from zip(batch, lines, strict=True)

    def _together(self, names: t.Sequence[DumpName], limit: int) -> list[bytes] | None:
        words = " ".join(self._word(name.manifest) for name in names)
        try:
            with self._run(f"cat {words}") as run:
                lines = said(run, limit * len(names)).splitlines()
        except DumpError:
            return None
        return lines if len(lines) == len(names) else None

    def _index(self) -> t.Iterator[tuple[str, DumpName]]:
        try:
            content = self.content(INDEX, INDEX_LIMIT)
        except AbsentError:
            return
        for line in content.decode("ascii", "replace").splitlines():
            try:
                name = DumpName.parse(line[1:])
            except ValueError:
                # Cut on its way: nothing of that dump was sent.
                continue
            if line[:1] in (CAME, WENT):
                yield line[:1], name

    def _note(self, sign: str, name: DumpName) -> None:
        with self._run(f"cat >> {self._word(INDEX)}", writing=True) as run:
            # A line that was cut before must not swallow this one.
            run.write(f"\n{sign}{name}\n".encode())
            self._finish(run, INDEX)

    def _move(self, old: str, new: str) -> None:
        with self._run(f"mv {self._word(old)} {self._word(new)}") as run:
            for _piece in run.read():
                pass
            self._finish(run, old)

    def _run(self, line: str, *, writing: bool = False) -> Run:
        return Run([*self.place.command, line], self.place, writing=writing)

    def _finish(self, run: Run, name: str) -> None:
        try:
            run.finish()
        except DumpError as error:
            # ssh itself ends with 255.
            if run.child.process.returncode == 1 and _ABSENT in str(error):
                raise AbsentError(f"there is no {name} at {self.place.name}, or no folder for it: {error}") from None
            raise

    def _word(self, name: str) -> str:
        """For the other host's shell: neither folder nor name has a sign that it knows, and the name is no option."""
        return f"'{self.place.path(name)}'"
