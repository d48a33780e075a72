# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy what came in to where the receiving user can't change it.

A rename would leave that user owner of the file. So this runs as another user, trusts nothing that lies where dumps
come in, and names a copy only where its content is what was signed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import os
import stat
import typing as t

from .folder import MANIFEST_LIMIT, PRIVATE_MODE, Folder, Publication, group_of, share
from .manifest import Manifest, encode
from .names import PARTIAL_SUFFIX, DumpName, manifest_owner, utc_text
from .processes import PIPE_SIZE, DumpError, write_all
from .signatures import Signers


@dataclasses.dataclass
class Outcome:
    """What one pass did: the dumps that are archived now, and why others are not."""

    archived: list[DumpName] = dataclasses.field(default_factory=list)
    refused: dict[DumpName, str] = dataclasses.field(default_factory=dict)


class Archiver:
    """Brings dumps from *incoming* into *archive*. *readers* is the group that may read their data, "" the folder's."""

    def __init__(self, incoming: Folder, archive: Folder, signers: Signers, *, reserve: int, readers: str = "") -> None:
        self._incoming = incoming
        self._archive = archive
        self._signers = signers
        self._reserve = reserve
        self._group = group_of(readers)

    def run(self, *, tell: t.Callable[[Outcome], bool]) -> bool:
        """Archive until nothing more is there; whether *tell*, which is given each pass, found all well.

        What arrives after a pass began leaves the mark that starts this again, and so does what is still coming.
        """
        refused: set[DumpName] = set()
        well = True
        while True:
            self._incoming.heard()
            outcome = self.once(refused)
            well = tell(outcome) and well
            refused |= outcome.refused.keys()
            if not outcome.archived:
                return well

    def once(self, leave: t.Collection[DumpName] = ()) -> Outcome:
        """One pass over the folder of what comes in, but for the dumps of *leave*: each is tried once in a run."""
        outcome = Outcome()
        for name in filter(None, map(manifest_owner, self._incoming.names())):
            # A dump's partial is locked from its first byte until nothing of the transfer is left.
            if name in leave or self._incoming.live(f"{name}{PARTIAL_SUFFIX}"):
                continue
            try:
                if self._bring(name):
                    outcome.archived.append(name)
            except (DumpError, ValueError, OSError) as error:
                outcome.refused[name] = str(error) or type(error).__name__
        return outcome

    def _bring(self, name: DumpName) -> bool:
        """Archive one dump, and remove it where it came in; False where it was gone already."""
        if self._incoming.stat(name.manifest) is None:
            return False
        with os.fdopen(self._opened(name.manifest), "rb") as file:
            written = file.read(MANIFEST_LIMIT + 1)
        if len(written) > MANIFEST_LIMIT:
            raise DumpError(f"{name.manifest} has more than {MANIFEST_LIMIT} bytes")
        manifest = Manifest.read(written)
        if manifest.trailer.name != name:
            raise DumpError(f"{name.manifest} is the manifest of {manifest.trailer.name}")
        self._signers.verify(manifest.trailer.signed, manifest.signature)
        if self._archive.stat(name.manifest) is None:
            with os.fdopen(self._opened(str(name)), "rb", buffering=0) as data:
                self._copy(data.fileno(), manifest)
        elif not _same(self._archive.manifest(name), manifest):
            raise DumpError(f"another dump of the name {name} is in the archive, and nothing is ever overwritten")
        else:
            # An earlier run died here.
            for name_there in (name.manifest, str(name)):
                self._forget(name_there)
        # What lies here is the receiving user's own to lose.
        self._incoming.unlink(name.manifest)
        self._incoming.unlink(str(name))
        self._incoming.sync()
        return True

    def _opened(self, name: str) -> int:
        """A descriptor of a regular file that has no other name: by a second one it could be changed unseen."""
        try:
            descriptor = self._incoming.open(name)
        except OSError as error:
            raise DumpError(f"{name} could not be read: {error.strerror}") from error
        found = os.fstat(descriptor)
        partial = f"{name}{PARTIAL_SUFFIX}"
        second = self._incoming.stat(partial) if found.st_nlink > 1 else None
        if second is not None and second.st_ino == found.st_ino and not self._incoming.live(partial):
            # It was killed between the commit and the end.
            self._incoming.unlink(partial)
            found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            return descriptor
        os.close(descriptor)
        raise DumpError(f"{name} is not a regular file with one name: whoever has another could change it unseen")

    def _copy(self, data: int, manifest: Manifest) -> None:
        """Copy the data, hashing what is written, write a manifest beside it, and name both."""
        trailer = manifest.trailer
        name = trailer.name
        # No signature covers the time that the receiving user wrote, and what is kept is judged by it.
        archived = dataclasses.replace(manifest, received=utc_text(dt.datetime.now(dt.UTC)))
        content = encode(archived.document()) + b"\n"
        if len(content) > MANIFEST_LIMIT:
            raise DumpError(f"{name.manifest} would have more than {MANIFEST_LIMIT} bytes")
        if self._archive.free() < trailer.bytes + self._reserve:
            raise DumpError(
                f"the archive is full: {self._archive.free()} bytes are free, {name} has {trailer.bytes}, and "
                f"{self._reserve} are held in reserve"
            )
        publication = Publication(self._archive)
        try:
            target = self._create(publication, str(name))
            digest, size = hashlib.sha256(), 0
            while chunk := os.read(data, PIPE_SIZE):
                size += len(chunk)
                if size > trailer.bytes:
                    break
                digest.update(chunk)
                write_all(target, chunk)
            if (size, digest.hexdigest()) != (trailer.bytes, trailer.sha256):
                raise DumpError(f"{name} is not what its manifest says: it was changed after it had come in")
            os.fsync(target)
            descriptor = self._create(publication, name.manifest)
            write_all(descriptor, content)
            os.fsync(descriptor)
            # What removes old dumps holds the same lock.
            with self._archive.alone():
                if self._archive.stat(name.manifest) is None:
                    # Of an archiver that was killed: without a manifest it is no dump.
                    self._archive.unlink(str(name))
                share(target, self._group)
                share(descriptor)
                publication.publish(str(name))
                publication.publish(name.manifest)
                publication.committed = True
        except OSError as error:
            raise DumpError(f"{name} could not be copied into the archive: {error}") from error
        finally:
            publication.clean()

    def _create(self, publication: Publication, name: str) -> int:
        """A new partial in the archive, in place of one whose archiver is dead."""
        try:
            return publication.create(name, PRIVATE_MODE)
        except FileExistsError:
            self._forget(name)
            return publication.create(name, PRIVATE_MODE)

    def _forget(self, name: str) -> None:
        """Remove the partial of an archiver that is dead."""
        partial = f"{name}{PARTIAL_SUFFIX}"
        if self._archive.live(partial):
            raise DumpError(f"{name} is being archived already")
        self._archive.unlink(partial)


def _same(one: Manifest, other: Manifest) -> bool:
    """Whether both are of one dump: when each was received is not signed, and differs."""
    return (one.trailer, one.signature) == (other.trailer, other.signature)
