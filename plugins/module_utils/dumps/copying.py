# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy the archive of another store into this one: a store that takes another's place has what that one had.

It is read by a reading key, over ssh. Each dump's signature and SHA-256 are checked, and it keeps the time at which the
other store received it, or the retention would take all of them for young ones. What a drill found there is not copied.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import json
import os
import select
import typing as t
from pathlib import Path

from .folder import MANIFEST_LIMIT, PRIVATE_MODE, Folder, Publication, group_of, share
from .manifest import Manifest, encode
from .names import PARTIAL_SUFFIX, DumpName, read_utc, utc_text
from .processes import PIPE_SIZE, DumpError, say, write_all
from .quota import Room
from .restore.origins import CommandOrigin, ask
from .signatures import Signers

PROGRAM = "dump-store"


def add_verb(verbs: t.Any) -> None:
    """Add the verb to a parser's *verbs*."""
    parser = verbs.add_parser("copy", help="copy what another store has and this one has not, by a reading key")
    parser.add_argument("command", nargs="+", metavar="WORD", help="the words that connect: -- ssh … dumps-read@STORE")


def run(copier: Copier, now: dt.datetime) -> int:
    """Copy everything; 0 where each dump of the other store is here then."""
    copied, failed, names = 0, 0, copier.names()
    for name in names:
        try:
            if copier.copy(name, now):
                copied += 1
                say(PROGRAM, f"copied {name}")
        except (DumpError, OSError) as error:
            failed += 1
            say(PROGRAM, f"{name} was not copied: {error}", error=True)
    say(PROGRAM, f"{copied} of {len(names)} dumps were copied, {failed} could not be, the others were here")
    return 1 if failed else 0


@dataclasses.dataclass(frozen=True)
class Copier:
    """Copies into *archive*, whose owner this must be. *command* are the words by which a reading key connects."""

    archive: Folder
    room: Room
    signers: Signers
    readers: str
    command: tuple[str, ...]

    def names(self) -> list[DumpName]:
        """What the other store has, oldest first; DumpError where its answer is none."""
        text = ask([*self.command, "list"], MANIFEST_LIMIT)
        try:
            return [DumpName.parse(row["name"]) for row in json.loads(text)]
        except (ValueError, TypeError, KeyError) as error:
            raise DumpError(f"the other store's list could not be read: {error}") from None

    def copy(self, name: DumpName, now: dt.datetime) -> bool:
        """Copy one dump; False where it is here already. DumpError says why it can't be, and nothing is left of it."""
        owner = Path(self.archive.path).stat().st_uid
        if os.geteuid() != owner:
            raise DumpError(f"only the archive's owner (user {owner}) can copy: start this as that user, with runuser")
        manifest = self._manifest(name, now)
        if self.archive.stat(name.manifest) is not None:
            self._compare(self.archive.manifest(name), manifest)
            return False
        for partial in (f"{name}{PARTIAL_SUFFIX}", f"{name.manifest}{PARTIAL_SUFFIX}"):
            # Of a run that was killed.
            if self.archive.stat(partial) is not None and not self.archive.live(partial):
                self.archive.unlink(partial)
        publication = Publication(self.archive)
        try:
            self._publish(publication, manifest, self._data(publication, manifest))
        except FileExistsError:
            raise DumpError("it is being written already") from None
        finally:
            publication.clean()
        return True

    def _manifest(self, name: DumpName, now: dt.datetime) -> Manifest:
        """What the other store says of it, whose signature is right here too."""
        try:
            manifest = Manifest.read(ask([*self.command, "manifest", str(name)], MANIFEST_LIMIT))
        except ValueError as error:
            raise DumpError(f"its manifest could not be read: {error}") from None
        if manifest.trailer.name != name:
            raise DumpError(f"its manifest is that of {manifest.trailer.name}")
        if manifest.derived_from is not None:
            raise DumpError("it was made of another dump, and is made anew here by a drill")
        # Of a clock that was ahead: such a dump would count for nothing until then.
        received = min(read_utc(manifest.received), now)
        manifest = dataclasses.replace(manifest, received=utc_text(received))
        if not manifest.adopted:
            self.signers.of(manifest)
        return manifest

    def _compare(self, there: Manifest, manifest: Manifest) -> None:
        """DumpError where what is here under the same name is none of the same host's.

        A dump is made for each store: of a small database two may have been begun in one second.
        """
        if (there.trailer, there.signature) == (manifest.trailer, manifest.signature):
            return
        if there.adopted or manifest.adopted or self.signers.of(there) != self.signers.of(manifest):
            raise DumpError("another dump of that name is here, and nothing is ever overwritten")

    def _data(self, publication: Publication, manifest: Manifest) -> int:
        """A descriptor of the partial with the dump's bytes, which are those that were signed."""
        trailer = manifest.trailer
        self.room.adopting(trailer.bytes, written=0)
        target = publication.create(str(trailer.name), PRIVATE_MODE)
        digest, size = hashlib.sha256(), 0
        origin = CommandOrigin([*self.command, "fetch", str(trailer.name)])
        poll = select.poll()
        poll.register(origin.descriptor, select.POLLIN)
        try:
            while poll.poll((origin.idle or 0) * 1000):
                chunk = os.read(origin.descriptor, PIPE_SIZE)
                size += len(chunk)
                if not chunk or size > trailer.bytes:
                    break
                digest.update(chunk)
                write_all(target, chunk)
            else:
                raise DumpError(f"the other store said nothing for {origin.idle:g} s")
            if size <= trailer.bytes:
                origin.finish()
        finally:
            origin.kill()
            with contextlib.suppress(DumpError):
                origin.close()
        if (size, digest.hexdigest()) != (trailer.bytes, trailer.sha256):
            raise DumpError("what came is not what its manifest says")
        os.fsync(target)
        return target

    def _publish(self, publication: Publication, manifest: Manifest, target: int) -> None:
        """Name the data, then its manifest."""
        trailer, group = manifest.trailer, group_of(self.readers)
        beside = publication.create(trailer.name.manifest, PRIVATE_MODE)
        write_all(beside, encode(manifest.document()), b"\n")
        # What came today is counted by that, and may not be too many.
        then = read_utc(manifest.received).timestamp()
        for descriptor in (target, beside):
            os.utime(descriptor, (then, then))
            os.fsync(descriptor)
        with self.archive.alone():
            if self.archive.stat(trailer.name.manifest) is None:
                # Without a manifest it is no dump: of a run that was killed.
                self.archive.unlink(str(trailer.name))
            share(target, group)
            share(beside)
            publication.publish(str(trailer.name))
            self.room.settle(trailer.bytes)
            publication.publish(trailer.name.manifest)
            publication.committed = True
