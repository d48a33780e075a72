# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What developers are given: a verified copy's text without the rows that they may not see, in a folder of its own.

The store has no key to sign with. So such a copy has no signature; its manifest names the signed dump that it was made
of, and each table in it is compared with that dump's before it is published.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import os
import re
import subprocess
import typing as t

from ..config import MAY_BE_EMPTY
from ..folder import PRIVATE_MODE, Folder, Publication, share
from ..manifest import Document, Manifest, Trailer, encode
from ..names import PARTIAL_SUFFIX, DumpName, manifest_owner, utc_text
from ..processes import PIPE_SIZE, Child, DumpError, write_all
from ..reader import Reader
from ..scan import IDENTIFIER, Scanned, Scanner, qualified, unquote
from ..without import Without
from .origins import printable
from .wire import ANSWER, Wire

# The newest, and the one that somebody may be fetching.
KEPT = 2
_TABLE = re.compile(rb"(%s)\.(%s)" % (IDENTIFIER, IDENTIFIER))


@dataclasses.dataclass(frozen=True)
class Copies:
    """The keys of ``developer``: the ``folder``, "" for no copies; the tables whose rows are left out.

    ``role``: the rows of tables that it can't read are left out too, "" where ``excludes`` has them all. ``policy``:
    the SHA-256 of the access policy, which says what it can read.
    """

    folder: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)
    excludes: tuple[str, ...] = dataclasses.field(default=(), metadata=MAY_BE_EMPTY)
    role: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)
    policy: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)

    @property
    def without(self) -> Without:
        """What they leave out; ValueError where a table is none."""
        return Without(tuple(sorted({qualified(*table(name)) for name in self.excludes})), self.role, self.policy)


NONE = Copies()


class Publisher:
    """Takes the text from the sandbox whose copy was found equal, and publishes it."""

    def __init__(self, copies: Copies, zstd: str, reserve: int) -> None:
        self._copies = copies
        self._zstd = zstd
        self._reserve = reserve
        self.published: DumpName | None = None
        # Why there is none; it says nothing against the dump.
        self.problem = ""

    def take(self, wire: Wire, trailer: Trailer) -> None:
        """Ask for the text, and publish it where it is what it should be."""
        try:
            excludes = [table(name) for name in self._copies.excludes]
            wire.say({"excludes": [list(each) for each in excludes], "role": self._copies.role})
            self._publish(wire, trailer, {qualified(*each) for each in excludes})
        except (DumpError, ValueError, OSError) as error:
            self.problem = f"there is no new copy for developers of {trailer.name}: {error}"

    def _publish(self, wire: Wire, trailer: Trailer, excludes: set[str]) -> None:
        folder = Folder(self._copies.folder)
        sweep(folder)
        if folder.free() < trailer.bytes + self._reserve:
            raise DumpError(f"{folder.path} has {folder.free()} bytes free, and {self._reserve} are held in reserve")
        name = dataclasses.replace(trailer.name, encrypted=False)
        publication = Publication(folder)
        try:
            data = publication.create(str(name), PRIVATE_MODE)
            answer = _good(wire.heard())
            scanned = self._compress(wire, data)
            _good(wire.heard())
            without = excludes | {qualified(*each) for each in _pairs(answer)}
            # Whether or not there will be a new one.
            tighten(folder, lambda older: bool(older.trailer.tables.keys() & without), name.database)
            problems = differences(trailer, scanned, without)
            if problems:
                raise DumpError("; ".join(problems[:5]))
            os.fsync(data)
            size, sha256 = _summed(folder, f"{name}.partial")
            manifest = derived(trailer, scanned, name, size=size, sha256=sha256, without=self._copies.without)
            descriptor = publication.create(name.manifest, PRIVATE_MODE)
            write_all(descriptor, encode(manifest.document()) + b"\n")
            os.fsync(descriptor)
            with folder.alone():
                _remove(folder, name)
                for each in (data, descriptor):
                    share(each)
                publication.publish(str(name))
                publication.publish(name.manifest)
                publication.committed = True
        finally:
            publication.clean()
        self.published = name
        keep_newest(folder)

    def _compress(self, wire: Wire, target: int) -> Scanned:
        """Write the text that comes, compressed; its sums."""
        scanner = Scanner()
        zstd = Child(
            [self._zstd, "--quiet", "-3", "--stdout", "-"],
            name="zstd",
            keep_stderr=True,
            stdin=subprocess.PIPE,
            stdout=target,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            cwd="/",
        )
        try:
            for piece in wire.pieces():
                scanner.feed(piece)
                # It ends early where the disk is full, and says so.
                with contextlib.suppress(BrokenPipeError):
                    write_all(zstd.input, piece)
            zstd.close_input()
            zstd.wait()
        finally:
            zstd.kill()
            zstd.end()
        if problem := zstd.complaint():
            raise DumpError(problem)
        return scanner.finish()


def differences(trailer: Trailer, scanned: Scanned, without: t.Collection[str]) -> list[str]:
    """What the text has that it should not, or has not: all but the tables *without* is as in the signed dump."""
    found = [f"{name} has rows, which were to be left out" for name in sorted(scanned.tables.keys() & set(without))]
    wanted = {name: data for name, data in trailer.tables.items() if name not in without}
    for name in sorted(wanted.keys() | (scanned.tables.keys() - set(without))):
        old, new = wanted.get(name), scanned.tables.get(name)
        same = old is not None and new is not None and (old.rows, old.bytes) == (new.rows, new.bytes)
        if not same or (old != new and name not in trailer.via_root):
            found.append(f"{name} is not as in the signed dump")
    return found


def derived(
    trailer: Trailer, scanned: Scanned, name: DumpName, *, size: int, sha256: str, without: Without
) -> Manifest:
    """The manifest of a copy: the signed dump's, with what the copy holds and was to leave out."""
    now = utc_text(dt.datetime.now(dt.UTC))
    of_copy = dataclasses.replace(
        trailer,
        name=name,
        finished=now,
        statuses={"pg_dump": 0, "zstd": 0},
        bytes=size,
        sha256=sha256,
        raw_bytes=scanned.raw_bytes,
        tables=scanned.tables,
        sequences=scanned.sequences,
        via_root=tuple(one for one in trailer.via_root if one in scanned.tables),
        ddl=scanned.ddl,
    )
    of = {"name": str(trailer.name), "sha256": trailer.sha256}
    return Manifest(received=now, trailer=of_copy, adopted=True, derived_from=of, without=without)


def keep_newest(folder: Folder) -> None:
    """Remove all but the newest copies of each database, by when their dumps were begun."""
    names = sorted(filter(None, map(manifest_owner, folder.names())), reverse=True)
    seen: dict[str, int] = {}
    with folder.alone():
        for name in names:
            seen[name.database] = seen.get(name.database, 0) + 1
            if seen[name.database] > KEPT:
                _remove(folder, name)
        folder.sync()


def sweep(folder: Folder) -> None:
    """Remove what killed runs have left half written."""
    for file in folder.names():
        if file.endswith(PARTIAL_SUFFIX) and not folder.live(file):
            folder.unlink(file)


def shows(copies: Copies, manifest: Manifest) -> bool:
    """Whether a copy may hold rows that the settings leave out now: what lies below a table only its maker knew."""
    return manifest.without is None or not manifest.without.covers(copies.without)


def tighten(folder: Folder, shown: t.Callable[[Manifest], bool], database: str = "") -> list[DumpName]:
    """Remove the copies (of *database*, "" for all) of which *shown* is true, or that have no good manifest; which."""
    removed = []
    with folder.alone():
        for name in filter(None, map(manifest_owner, folder.names())):
            if database in ("", name.database):
                try:
                    wrong = shown(folder.manifest(name))
                except DumpError:
                    wrong = True
                if wrong:
                    _remove(folder, name)
                    removed.append(name)
        folder.sync()
    return removed


def refresh(copies: Copies) -> list[DumpName]:
    """Let no copy stay that may hold what the settings leave out now; which were removed. DumpError where that fails.

    Before any drill, and when the settings have changed: until then `store.read_over_ssh` gives none of them.
    """
    try:
        folder = Folder(copies.folder)
        sweep(folder)
        return tighten(folder, lambda copy: shows(copies, copy))
    except (DumpError, ValueError, OSError) as error:
        raise DumpError(f"older copies for developers could not be looked at: {error}") from error


def table(name: str) -> tuple[str, str]:
    """Schema and table of ``schema.table``, quoted as in SQL where they need it; ValueError where it is none."""
    match = _TABLE.fullmatch(name.encode())
    if match is None:
        raise ValueError(f"{name!r} is not the name of a table: write schema.table, as in a manifest")
    return unquote(match[1]), unquote(match[2])


def _good(answer: Document) -> Document:
    if answer.get("ok") is not True:
        raise DumpError(printable(str(answer.get("reason", "the sandbox failed without a word"))))
    return answer


def _pairs(answer: Document) -> t.Iterator[tuple[str, str]]:
    """Which tables the sandbox has left out; ValueError where it doesn't say that."""
    for each in Reader(answer, ANSWER).take("excluded", list):
        if not isinstance(each, list) or len(each) != 2 or not all(isinstance(word, str) for word in each):
            raise ValueError(f"excluded in the {ANSWER} has what is no schema and table")
        yield each[0], each[1]


def _remove(folder: Folder, name: DumpName) -> None:
    """The manifest first: without it there is no dump."""
    folder.unlink(name.manifest)
    folder.unlink(str(name))


def _summed(folder: Folder, file: str) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with os.fdopen(folder.open(file), "rb", buffering=0) as data:
        while piece := data.read(PIPE_SIZE):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()
