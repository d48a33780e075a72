# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at what lies in the store: which dumps count, which were verified, and what should not be there."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import os
import stat
import typing as t
from pathlib import Path

from .drilled import Drilled
from .folder import ARRIVED, PARTIAL_AGE, Folder
from .freshness import Archive, Dump, Space
from .incidents import Incident, read_incident
from .manifest import Manifest
from .names import MANIFEST_SUFFIX, PARTIAL_SUFFIX, DumpName, manifest_owner, read_utc
from .processes import DumpError
from .retention import Stored
from .signatures import Signers

# What a drill writes beside the manifest: {"ok": true, "finished": "2026-11-22T03:00:00Z", ...}
DRILL_SUFFIX = ".drill.json"
# What a drill's result, or an incident, may have at most.
NOTE_LIMIT = 1 << 20
WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@dataclasses.dataclass(frozen=True)
class Held:
    """An archived dump. ``signed``: its signature is right, and ``signer``'s. ``drilled``: when its drill ended.

    ``verified`` and ``failed``: how that went. ``drill``: all that it found.
    """

    manifest: Manifest
    signed: bool
    verified: bool
    drilled: dt.datetime | None = None
    signer: str = ""
    failed: bool = False
    drill: Drilled | None = None

    @property
    def stored(self) -> Stored:
        """What retention asks for."""
        return Stored(
            name=self.manifest.trailer.name,
            received=read_utc(self.manifest.received),
            signed=self.signed,
            verified=self.verified,
            failed=self.failed,
            signer=self.signer,
        )

    @property
    def dump(self) -> Dump:
        """What the verdict asks for."""
        return Dump.of(self.manifest, signer=self.signer, verified=self.verified, drilled=self.drilled)


@dataclasses.dataclass
class Survey:
    """What lies in the archive. ``wrong`` and ``odd`` are sentences: bad dumps, and what is none.

    ``uncounted`` are the names of those dumps among the wrong that can't be read or have no right signature, with the
    sentence.
    """

    held: list[Held] = dataclasses.field(default_factory=list)
    wrong: list[str] = dataclasses.field(default_factory=list)
    odd: list[str] = dataclasses.field(default_factory=list)
    # Results of drills whose dump is gone.
    orphans: list[str] = dataclasses.field(default_factory=list)
    uncounted: list[tuple[DumpName, str]] = dataclasses.field(default_factory=list)


def survey(archive: Folder, signers: Signers, now: dt.datetime) -> Survey:
    """Look at every file of the *archive*."""
    found = Survey()
    names = archive.names()
    for file in names:
        owner = manifest_owner(file)
        if owner is not None:
            _hold(archive, signers, owner, found)
        elif file.endswith(DRILL_SUFFIX) and _name(file.removesuffix(DRILL_SUFFIX)) is not None:
            if archive.stat(f"{file.removesuffix(DRILL_SUFFIX)}{MANIFEST_SUFFIX}") is None:
                found.orphans.append(file)
        else:
            found.odd += _stray(archive, file, now)
    return found


def _hold(archive: Folder, signers: Signers, name: DumpName, found: Survey) -> None:
    """Add the dump *name*, and what is wrong with it."""
    try:
        manifest = archive.manifest(name)
    except DumpError as error:
        # Removed between the two looks.
        if archive.stat(name.manifest) is not None:
            found.wrong.append(str(error))
            found.uncounted.append((name, str(error)))
        return
    for file in (str(name), name.manifest):
        found.wrong += _exposed(archive, file)
    signer = None
    if not manifest.adopted:
        try:
            signer = signers.of(manifest)
        except DumpError as error:
            found.wrong.append(f"{name} does not count: {error}")
            found.uncounted.append((name, found.wrong[-1]))
    if signer is None:
        found.held.append(Held(manifest, signed=False, verified=False))
        return
    drill, problems = drill_of(archive, name)
    found.wrong += problems
    if drill is None:
        found.held.append(Held(manifest, True, False, signer=signer))
        return
    if not drill.ok:
        found.wrong.append(f"the drill of {name} failed: see {name}{DRILL_SUFFIX}")
    found.held.append(Held(manifest, True, drill.ok, drill.finished, signer, not drill.ok, drill))


def _exposed(archive: Folder, file: str) -> t.Iterator[str]:
    """What would let somebody else than the archive's owner change *file*."""
    status, owner = archive.stat(file), Path(archive.path).stat().st_uid
    if status is None or archive.live(f"{file}{PARTIAL_SUFFIX}"):
        return
    if status.st_uid != owner:
        yield f"{file} belongs to the user {status.st_uid}, not to the archive's owner: that user can change it"
    # A run that was killed leaves its partial; the next sweep takes it.
    partial = archive.stat(f"{file}{PARTIAL_SUFFIX}")
    others = status.st_nlink - 1 - (partial is not None and partial.st_ino == status.st_ino)
    if others:
        yield f"{file} has {others + 1} names: whoever has another could change it unseen"
    if status.st_mode & WRITABLE:
        yield f"{file} can be written to (mode {stat.S_IMODE(status.st_mode):04o}): nothing in the archive may be"


def drill_of(archive: Folder, name: DumpName) -> tuple[Drilled | None, list[str]]:
    """What the last drill of the dump found, None where nothing that counts says so; and what is wrong with that."""
    file = f"{name}{DRILL_SUFFIX}"
    if archive.stat(file) is None:
        return None, []
    try:
        drill = Drilled.read(archive.read(file, NOTE_LIMIT))
    except DumpError as error:
        return None, [str(error)]
    except (ValueError, TypeError):
        return None, [f"{file} is not the result of a drill"]
    exposed = [*_exposed_note(archive, file)]
    return None if exposed else drill, exposed


def _exposed_note(archive: Folder, file: str) -> t.Iterator[str]:
    """A drill's result is its owner's to write again, and nobody else's."""
    status, owner = archive.stat(file), Path(archive.path).stat().st_uid
    if status is not None and (status.st_uid != owner or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        yield f"{file} was written, or can be, by others than the archive's owner: it counts for nothing"


def _stray(folder: Folder, file: str, now: dt.datetime) -> t.Iterator[str]:
    """What is no part of a dump that is there, or about to be."""
    status = folder.stat(file)
    if status is None:
        return
    name = _name(file.removesuffix(PARTIAL_SUFFIX).removesuffix(DRILL_SUFFIX).removesuffix(MANIFEST_SUFFIX))
    if name is None or not stat.S_ISREG(status.st_mode):
        yield f"{_quoted(file)} in {folder.path} is no part of a dump: look where it came from, and remove it"
        return
    complete = not file.endswith(PARTIAL_SUFFIX) and folder.stat(name.manifest) is not None
    if not complete and now.timestamp() - status.st_ctime >= PARTIAL_AGE and not folder.live(file):
        yield f"{file} in {folder.path} was left by a run that is dead, and nothing has swept it for a day"


def _name(text: str) -> DumpName | None:
    with contextlib.suppress(ValueError):
        return DumpName.parse(text)
    return None


def _quoted(text: str) -> str:
    """A file's name as a stranger may have chosen it, without what would break the line."""
    return json.dumps(text[:200])


def incidents(path: str) -> tuple[list[Incident], list[str]]:
    """The incidents in the folder *path*, which need not be there, and sentences about files that are none."""
    found, wrong = [], []
    for file in sorted(Path(path).glob("*.json")) if Path(path).is_dir() else []:
        try:
            with file.open("rb") as opened:
                found.append(read_incident(file.name, json.loads(opened.read(NOTE_LIMIT))))
        except RecursionError:
            wrong.append(f"{file} explains nothing: it is not JSON that can be read, nested too deeply")
        except (OSError, ValueError) as error:
            wrong.append(f"{file} explains nothing: {error}")
    return found, wrong


def look(
    archive: Folder, incoming: Folder, signers: Signers, *, notes: str, quota: int, reserve: int, now: dt.datetime
) -> Archive:
    """All that the verdict needs; *notes* is the folder of the incidents."""
    # What came in first: what is archived meanwhile is then seen at least once.
    waiting: list[tuple[str, dt.datetime]] = []
    odd: list[str] = []
    for file in incoming.names():
        status, owner = incoming.stat(file), manifest_owner(file)
        if owner is not None and status is not None:
            waiting.append((str(owner), dt.datetime.fromtimestamp(status.st_ctime, dt.UTC)))
        elif owner is None and file != ARRIVED:
            odd += _stray(incoming, file, now)
    found = survey(archive, signers, now)
    said, unread = incidents(notes)
    used = sum(_sizes(archive)) + sum(_sizes(incoming))
    return Archive(
        dumps=tuple(held.dump for held in found.held if held.signed),
        space=Space(used=used, quota=quota, free=min(archive.free(), incoming.free()), reserve=reserve),
        incidents=tuple(said),
        wrong=tuple(found.wrong),
        odd=(*found.odd, *odd, *unread),
        waiting=tuple(waiting),
    )


def _sizes(folder: Folder) -> t.Iterator[int]:
    for file in folder.names():
        status: os.stat_result | None = folder.stat(file)
        if status is not None and stat.S_ISREG(status.st_mode):
            yield status.st_size
