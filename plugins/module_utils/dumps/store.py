# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``dump-store``: take dumps in, so that one is either whole and proved or not there at all.

``dump-store ssh`` is the forced command of the sending key: it can add a dump and say whether it has one, nothing else.
``dump-store list`` is for people on the store's host. A dump is there when its manifest is, which is linked last.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime as dt
import hashlib
import json
import os
import signal
import stat
import sys
import syslog
import time
import types
import typing as t

from .config import read_settings
from .frames import Section, StreamDecoder
from .manifest import Abort, Ack, Header, Manifest, Trailer, encode, read_trailer
from .names import PARTIAL_SUFFIX, DumpName, absent, manifest_owner, utc_text
from .processes import ENDING_SIGNALS, Clock, DumpError, hold_signals, say, widen, write_all

PROGRAM = "dump-store"
CONFIG = "/etc/taaraxtak/dump-store.json"
STDIN, STDOUT = 0, 1
# What nobody wrote to for so long, and is no dump, belongs to a run that is dead.
PARTIAL_AGE = 24 * 3600
# So much is written between two looks at the free space.
SPACE_CHECK = 64 << 20
# What a manifest, or a stranger's command in the log, may have at most.
MANIFEST_LIMIT = 1 << 25
SHOWN = 200


@dataclasses.dataclass(frozen=True)
class Settings:
    """The keys of the settings' file: sizes in bytes, times in seconds."""

    incoming: str
    max_bytes: int = 100 << 30
    reserve_bytes: int = 1 << 30
    idle_timeout: float = 900.0
    overall_timeout: float = 6 * 3600.0


class Folder:
    """The folder of incoming dumps, held open: names are looked up in it alone, and links in it are not followed."""

    def __init__(self, path: str) -> None:
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise DumpError(f"the folder of the store could not be opened: {error}") from error

    def free(self) -> int:
        """Bytes that may still be written."""
        found = os.fstatvfs(self._fd)
        return found.f_bavail * found.f_frsize

    def names(self) -> list[str]:
        """What lies in the folder."""
        return sorted(os.listdir(self._fd))  # noqa: PTH208 (a Path has no descriptor)

    def stat(self, name: str) -> os.stat_result | None:
        """What *name* is, None where there is no such file."""
        try:
            return os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def create(self, name: str) -> int:
        """A descriptor of the new file *name*; FileExistsError where there is one."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, 0o400, dir_fd=self._fd)

    def read(self, name: str, limit: int) -> bytes:
        """The content of the regular file *name*; DumpError where it is larger than *limit* or no such file."""
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)
        except OSError as error:
            raise DumpError(f"{name} could not be read: {error.strerror}") from error
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
                raise DumpError(f"{name} is no file of at most {limit} bytes")
            return file.read(limit)

    def link(self, name: str, new: str) -> None:
        """Give *name* the name *new* too; FileExistsError where there is one: a link never overwrites."""
        os.link(name, new, src_dir_fd=self._fd, dst_dir_fd=self._fd, follow_symlinks=False)

    def unlink(self, name: str) -> None:
        """Remove *name*, which may be gone already."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def sync(self) -> None:
        """Bring the names themselves to the disk."""
        os.fsync(self._fd)

    def manifest(self, name: DumpName) -> Manifest:
        """The manifest of the dump *name*; DumpError where there is none, or where it is another's or no manifest."""
        if self.stat(name.manifest) is None:
            raise DumpError(absent(name))
        try:
            manifest = Manifest.read(self.read(name.manifest, MANIFEST_LIMIT))
        except ValueError as error:
            raise DumpError(f"{name.manifest} could not be read: {error}") from error
        if manifest.trailer.name != name:
            raise DumpError(f"{name.manifest} is the manifest of {manifest.trailer.name}")
        data = self.stat(str(name))
        if data is None or not stat.S_ISREG(data.st_mode) or data.st_size != manifest.trailer.bytes:
            size = "nothing" if data is None else f"{data.st_size} bytes"
            raise DumpError(f"{name} should have {manifest.trailer.bytes} bytes, and there are {size}")
        return manifest


class Reception:
    """One dump on its way in."""

    def __init__(self, settings: Settings, folder: Folder) -> None:
        self._settings = settings
        self._folder = folder
        self._clock = Clock(idle=settings.idle_timeout, overall=settings.overall_timeout)
        self._digest = hashlib.sha256()
        self._size = 0
        self._name: DumpName | None = None
        self._file = -1
        # What is removed in any case, and what unless the dump was committed.
        self._partials: list[str] = []
        self._published: list[str] = []
        self._committed = False

    def run(self) -> Ack:
        """Receive a whole dump; DumpError says why there is none, and nothing is left of it."""
        try:
            return self._receive()
        except OSError as error:
            raise DumpError(f"the dump could not be written: {error}") from error
        finally:
            hold_signals()
            try:
                self._clean()
            except OSError as error:
                # The answer is about the dump; what is left lying about is swept another day.
                syslog.syslog(syslog.LOG_WARNING, f"what is left of the transfer could not be removed: {error}")

    def _clean(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        # The manifest first: without it nothing is a dump.
        for name in [*([] if self._committed else reversed(self._published)), *self._partials]:
            self._folder.unlink(name)
        self._folder.sync()

    def _receive(self) -> Ack:
        decoder = StreamDecoder()
        ending: Trailer | Abort = Abort(reason="it sent no trailer")
        while not decoder.ended:
            chunk = self._clock.read(STDIN, "waiting for the sender")
            if not chunk:
                raise DumpError("the stream ended before its trailer")
            try:
                for part, content in decoder.feed(chunk):
                    if part is Section.HEADER:
                        self._begin(Header.read(content))
                    elif part is Section.DATA:
                        self._write(content)
                    else:
                        ending = read_trailer(content)
            except ValueError as error:
                raise DumpError(f"the stream is wrong: {error}") from error
        if isinstance(ending, Abort):
            raise DumpError(f"the sender aborted: {ending.reason}")
        return self._commit(ending)

    def _begin(self, header: Header) -> None:
        name = header.name
        for taken in (str(name), name.manifest):
            if self._folder.stat(taken) is not None:
                raise DumpError(f"{taken} is here already, and nothing is ever overwritten")
        self._check_space()
        partial = f"{name}{PARTIAL_SUFFIX}"
        try:
            self._file = self._folder.create(partial)
        except FileExistsError:
            raise DumpError(f"{name} is being received already") from None
        self._partials.append(partial)
        self._name = name

    def _write(self, content: bytes) -> None:
        before, self._size = self._size, self._size + len(content)
        if self._size > self._settings.max_bytes:
            raise DumpError(f"the dump is larger than the {self._settings.max_bytes} bytes that one may have")
        if before // SPACE_CHECK != self._size // SPACE_CHECK:
            self._check_space()
        self._digest.update(content)
        write_all(self._file, content)

    def _check_space(self) -> None:
        free = self._folder.free()
        if free < self._settings.reserve_bytes:
            raise DumpError(
                f"the store is full: {free} bytes are free, and {self._settings.reserve_bytes} are held in reserve"
            )

    def _commit(self, trailer: Trailer) -> Ack:
        """Everything on the disk first, then the data's name, then the manifest's: from then on the dump is there."""
        if trailer.name != self._name:
            raise DumpError(f"the stream's header names {self._name}, its trailer {trailer.name}")
        if (trailer.bytes, trailer.sha256) != (self._size, self._digest.hexdigest()):
            raise DumpError(
                f"what arrived ({self._size} bytes, sha256 {self._digest.hexdigest()}) is not what was sent "
                f"({trailer.bytes} bytes, sha256 {trailer.sha256})"
            )
        name = trailer.name
        os.fsync(self._file)
        manifest = Manifest(received=utc_text(dt.datetime.now(dt.UTC)), trailer=trailer)
        partial = f"{name.manifest}{PARTIAL_SUFFIX}"
        descriptor = self._folder.create(partial)
        self._partials.append(partial)
        try:
            write_all(descriptor, encode(manifest.document()), b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        # Up to the answer: interrupted in between, it would deny a dump that is there.
        hold_signals()
        self._publish(str(name))
        self._publish(name.manifest)
        self._committed = True
        return Ack(name=str(name), bytes=trailer.bytes, sha256=trailer.sha256)

    def _publish(self, name: str) -> None:
        """Give a partial its name, on the disk too. Noted first: a link that fails may have been made all the same."""
        self._published.append(name)
        try:
            self._folder.link(f"{name}{PARTIAL_SUFFIX}", name)
        except FileExistsError:
            # Another's, so not to be removed.
            self._published.remove(name)
            raise DumpError(f"{name} is here already, and nothing is ever overwritten") from None
        self._folder.sync()


def sweep(folder: Folder, now: float) -> None:
    """Remove what dead runs left behind: partials too old, and data that was named but has no manifest."""
    for partial in folder.names():
        if not partial.endswith(PARTIAL_SUFFIX):
            continue
        found = folder.stat(partial)
        if found is None or now - found.st_mtime < PARTIAL_AGE:
            continue
        name = partial.removesuffix(PARTIAL_SUFFIX)
        named = folder.stat(name)
        with contextlib.suppress(ValueError):
            if (
                named is not None
                and named.st_ino == found.st_ino
                and folder.stat(DumpName.parse(name).manifest) is None
            ):
                folder.unlink(name)
        folder.unlink(partial)
        syslog.syslog(syslog.LOG_WARNING, f"removed {partial}, left by a run that is dead")
    for name in unproved(folder.names()):
        found = folder.stat(name)
        # Its ctime: what is just being copied here with its times kept is young, and its manifest may follow.
        if found is None or not stat.S_ISREG(found.st_mode) or now - found.st_ctime < PARTIAL_AGE:
            continue
        if folder.stat(DumpName.parse(name).manifest) is None:
            folder.unlink(name)
            syslog.syslog(syslog.LOG_WARNING, f"removed {name}, which has had no manifest for a day")


def unproved(names: t.Sequence[str]) -> list[str]:
    """Those of the *names* in the folder that are data's, and whose manifest is not among them."""
    found = []
    for name in names:
        with contextlib.suppress(ValueError):
            if DumpName.parse(name).manifest not in names:
                found.append(name)
    return found


def receive(settings: Settings) -> Ack:
    """The verb ``receive``: the stream is on stdin."""
    folder = Folder(settings.incoming)
    sweep(folder, time.time())
    widen(STDIN)
    return Reception(settings, folder).run()


def look(settings: Settings, name: str) -> Ack:
    """The verb ``stat``: what the manifest of *name* says."""
    trailer = Folder(settings.incoming).manifest(DumpName.parse(name)).trailer
    return Ack(name=name, bytes=trailer.bytes, sha256=trailer.sha256)


def over_ssh(settings: Settings, command: str) -> Ack:
    """Do what the key's owner asked for, if it is one of the two things that are allowed."""
    words = command.split(" ")
    if words == ["receive"]:
        return receive(settings)
    if len(words) == 2 and words[0] == "stat":
        return look(settings, words[1])
    raise DumpError(f"this key may receive and stat NAME, not {command[:SHOWN]!r}")


def answer(work: t.Callable[[], Ack]) -> int:
    """Do *work*, say how it ended in one line of JSON and in the log; the exit status."""
    try:
        ack = work()
        syslog.syslog(syslog.LOG_INFO, f"holds {ack.name}: {ack.bytes} bytes, sha256 {ack.sha256}")
    except (DumpError, ValueError, OSError) as error:
        ack = Ack(reason=str(error) or type(error).__name__)
        syslog.syslog(syslog.LOG_ERR, f"refused: {ack.reason}")
    try:
        write_all(STDOUT, encode(ack.document()), b"\n")
    except OSError as error:
        # The dump is there or not all the same; the sender will ask.
        syslog.syslog(syslog.LOG_WARNING, f"the answer could not be given: {error}")
    return 0 if ack.ok else 1


def entries(folder: Folder) -> tuple[list[Manifest], list[str]]:
    """The manifests of the dumps in the folder, oldest first, and sentences about what is wrong there."""
    found, wrong = [], []
    names = folder.names()
    for owner in filter(None, map(manifest_owner, names)):
        try:
            found.append(folder.manifest(owner))
        except DumpError as error:
            wrong.append(str(error))
    wrong += [
        f"{name} has no manifest, so it is no dump: remove it, or put its manifest beside it if it was copied here "
        "(once it is a day old, the next dump's arrival removes it)"
        for name in unproved(names)
    ]
    return sorted(found, key=lambda manifest: (manifest.received, manifest.trailer.name)), wrong


def show(settings: Settings, *, as_json: bool) -> int:
    """The verb ``list``: 0 where everything in the folder is in order."""
    found, wrong = entries(Folder(settings.incoming))
    rows = [
        {
            "name": str(manifest.trailer.name),
            "database": manifest.trailer.name.database,
            "bytes": manifest.trailer.bytes,
            "sha256": manifest.trailer.sha256,
            "rows": manifest.trailer.rows,
            "tables": {name: table.rows for name, table in sorted(manifest.trailer.tables.items())},
            "started": manifest.trailer.started,
            "received": manifest.received,
        }
        for manifest in found
    ]
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        for row in rows:
            sys.stdout.write(f"{row['name']}  {row['bytes']} bytes  {row['rows']} rows  received {row['received']}\n")
    for sentence in wrong:
        say(PROGRAM, sentence, error=True)
    return 1 if wrong else 0


def _interrupted(number: int, frame: types.FrameType | None) -> None:
    raise DumpError(f"interrupted by {signal.Signals(number).name}")


def main(config: str = CONFIG) -> int:
    """Do one verb: ``ssh`` (reads SSH_ORIGINAL_COMMAND) or ``list [--json]``."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Take dumps in, and list them.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("ssh", help="the forced command of the sending key")
    listing = verbs.add_parser("list", help="the dumps that are here, oldest first")
    listing.add_argument("--json", action="store_true", help="as JSON")
    given = parser.parse_args()
    syslog.openlog(PROGRAM, syslog.LOG_PID, syslog.LOG_DAEMON)
    for number in ENDING_SIGNALS:
        signal.signal(number, _interrupted)
    if given.verb == "ssh":
        return answer(lambda: over_ssh(read_settings(Settings, config), os.environ.get("SSH_ORIGINAL_COMMAND", "")))
    try:
        return show(read_settings(Settings, config), as_json=given.json)
    except (DumpError, ValueError, OSError) as error:
        say(PROGRAM, str(error), error=True)
        return 1
