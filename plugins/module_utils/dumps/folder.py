# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of dumps, held open. A dump is there when its manifest is, which is linked last.

Whoever writes a partial holds a lock on it, so that anybody can tell a run that is under way from one that is dead.
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import os
import stat
import syslog
import time
import typing as t

from . import locks
from .manifest import Manifest
from .names import PARTIAL_SUFFIX, DumpName, absent, manifest_owner
from .processes import DumpError, write_all

# What nobody wrote to for so long, and is no dump, belongs to a run that is dead.
PARTIAL_AGE = 24 * 3600
# What a manifest may have at most: 160 bytes a table make room for 200,000 of them.
MANIFEST_LIMIT = 1 << 25
# Its owner's, and for reading its group's: the archiver must read what the receiving user wrote.
FILE_MODE = 0o440
# Nobody else's yet: whoever may read a partial could hold its lock, and would seem to be writing it.
PRIVATE_MODE = 0o400
# What lies in the folder from the moment at which a dump is there until the archiver begins to look for it.
ARRIVED = ".arrived"
# A look whether a file is being written holds its lock for a moment.
LOOK_TIMEOUT = 10.0


class Folder:
    """A folder of dumps, held open: names are looked up in it alone, and links in it are not followed."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise DumpError(f"the folder of the store could not be opened: {error}") from error

    def free(self) -> int:
        """Bytes that may still be written."""
        found = os.fstatvfs(self._fd)
        return found.f_bavail * found.f_frsize

    def device(self) -> int:
        """The file system that it lies on."""
        return os.fstat(self._fd).st_dev

    def names(self) -> list[str]:
        """What lies in the folder."""
        return sorted(os.listdir(self._fd))  # noqa: PTH208 (a Path has no descriptor)

    def stat(self, name: str) -> os.stat_result | None:
        """What *name* is, None where there is no such file."""
        try:
            return os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def alone(self) -> t.Iterator[None]:
        """Held by one process at a time: for what is looked at first and done then, both short."""
        with locks.alone(self.path, self.owner()):
            yield

    def owner(self) -> int:
        """The user that it belongs to."""
        return os.fstat(self._fd).st_uid

    def create(self, name: str, mode: int = FILE_MODE) -> int:
        """A locked descriptor of the new file *name*; FileExistsError where there is one."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, PRIVATE_MODE, dir_fd=self._fd)
        try:
            locks.hold(descriptor, LOOK_TIMEOUT)
            os.fchmod(descriptor, mode)
        except BaseException:
            os.close(descriptor)
            self.unlink(name)
            raise
        return descriptor

    def live(self, name: str) -> bool:
        """Whether somebody is writing *name* now."""
        try:
            descriptor = self.open(name)
        except FileNotFoundError:
            return False
        except PermissionError:
            # Made a moment ago, and its mode comes in the next.
            return True
        except OSError:
            # A link, which no writer makes.
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def open(self, name: str) -> int:
        """A descriptor for reading *name*, which may be anything but a link: look at it before you read."""
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)

    def read(self, name: str, limit: int) -> bytes:
        """The content of the regular file *name*; DumpError where it is larger than *limit* or no such file."""
        try:
            descriptor = self.open(name)
        except OSError as error:
            raise DumpError(f"{name} could not be read: {error.strerror}") from error
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
                raise DumpError(f"{name} is no file of at most {limit} bytes")
            return file.read(limit)

    def put(self, name: str, content: bytes) -> None:
        """Put *content* in the place of the file *name*: whoever reads it finds the old or the new one, whole."""
        partial = f"{name}{PARTIAL_SUFFIX}"
        if self.stat(partial) is not None and not self.live(partial):
            # Of a run that was killed.
            self.unlink(partial)
        descriptor = self.create(partial, PRIVATE_MODE)
        try:
            write_all(descriptor, content)
            share(descriptor)
            os.rename(partial, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except BaseException:
            self.unlink(partial)
            raise
        finally:
            os.close(descriptor)
        self.sync()

    def link(self, name: str, new: str) -> None:
        """Give *name* the name *new* too; FileExistsError where there is one: a link never overwrites."""
        os.link(name, new, src_dir_fd=self._fd, dst_dir_fd=self._fd, follow_symlinks=False)

    def unlink(self, name: str) -> None:
        """Remove *name*, which may be gone already."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def announce(self) -> None:
        """Leave the mark that starts the archiver, now or, where it runs, again when it has ended."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        os.close(os.open(ARRIVED, flags, PRIVATE_MODE, dir_fd=self._fd))

    def heard(self) -> None:
        """Take the mark away, before the look: what arrives after it leaves the next one."""
        try:
            self.unlink(ARRIVED)
        except OSError:
            # No mark of ours, and it would start the archiver without end: out of the way, where it is seen as a stray.
            os.rename(ARRIVED, f"odd{ARRIVED}.{time.time_ns()}", src_dir_fd=self._fd, dst_dir_fd=self._fd)

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


class Publication:
    """Files on their way into a folder: written as partials, then named, and nothing of them left where that fails."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._files: list[int] = []
        # What is removed in any case, and what unless it was committed.
        self._partials: list[str] = []
        self._published: list[str] = []
        self.committed = False

    def create(self, name: str, mode: int = FILE_MODE) -> int:
        """A locked descriptor of the partial of *name*; FileExistsError where there is one."""
        partial = f"{name}{PARTIAL_SUFFIX}"
        descriptor = self._folder.create(partial, mode)
        self._partials.append(partial)
        self._files.append(descriptor)
        return descriptor

    def publish(self, name: str) -> None:
        """Give a partial its name, on the disk too. Noted first: a link that fails may have been made all the same."""
        self._published.append(name)
        try:
            self._folder.link(f"{name}{PARTIAL_SUFFIX}", name)
        except FileExistsError:
            # Another's, so not to be removed.
            self._published.remove(name)
            raise DumpError(f"{name} is here already, and nothing is ever overwritten") from None
        self._folder.sync()

    def clean(self) -> None:
        """Remove the partials and, unless it was committed, what was named."""
        # The manifest first: without it nothing is a dump. The data's partial last: it shows that this is under way.
        for name in [*([] if self.committed else reversed(self._published)), *reversed(self._partials)]:
            self._folder.unlink(name)
        self._folder.sync()
        # Last: whoever finds neither the lock nor the names may take it as settled.
        while self._files:
            os.close(self._files.pop())


def group_of(readers: str) -> int:
    """The number of the group *readers*, -1 for ""."""
    try:
        return grp.getgrnam(readers).gr_gid if readers else -1
    except KeyError:
        raise DumpError(f"the group {readers} does not exist: run the role dump_store") from None


def share(descriptor: int, group: int = -1) -> None:
    """Let its *group* (-1: the one that it has) read what was its writer's alone, and bring that to the disk."""
    if group >= 0:
        os.fchown(descriptor, -1, group)
    # After that: changing the group may take bits away.
    os.fchmod(descriptor, FILE_MODE)
    os.fsync(descriptor)


def sweep(folder: Folder, now: float, *, data: bool = False) -> None:
    """Remove what dead runs left behind: partials too old, and, with *data*, data that was named but has no manifest.

    In the archive data stays: a manifest may have been lost, and what it was of is not to be lost with it.
    """
    for partial in folder.names():
        if not partial.endswith(PARTIAL_SUFFIX):
            continue
        found = folder.stat(partial)
        if found is None or now - found.st_mtime < PARTIAL_AGE or folder.live(partial):
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
    for name in unproved(folder.names()) if data else ():
        found = folder.stat(name)
        # Its ctime: what is just being copied here with its times kept is young, and its manifest may follow.
        if found is None or not stat.S_ISREG(found.st_mode) or now - found.st_ctime < PARTIAL_AGE:
            continue
        manifest = DumpName.parse(name).manifest
        if any(folder.live(f"{file}{PARTIAL_SUFFIX}") for file in (name, manifest)):
            continue
        if folder.stat(manifest) is None:
            folder.unlink(name)
            syslog.syslog(syslog.LOG_WARNING, f"removed {name}, which has had no manifest for a day")


def unproved(names: t.Sequence[str]) -> list[str]:
    """Those of the *names* in the folder that are data's, and whose manifest is not among them."""
    known, found = set(names), []
    for name in names:
        with contextlib.suppress(ValueError):
            if DumpName.parse(name).manifest not in known:
                found.append(name)
    return found


def entries(folder: Folder) -> tuple[list[Manifest], list[str]]:
    """The manifests of the dumps in the folder, oldest first, and sentences about what is wrong there."""
    found, wrong = [], []
    names = folder.names()
    for owner in filter(None, map(manifest_owner, names)):
        try:
            found.append(folder.manifest(owner))
        except DumpError as error:
            # Moved into the archive between the two looks.
            if folder.stat(owner.manifest) is not None:
                wrong.append(str(error))
    wrong += [
        f"{name} has no manifest, so it is no dump: remove it, or put its manifest beside it if it was copied here "
        "(in the folder of what comes in, the next dump's arrival removes it once it is a day old)"
        for name in unproved(names)
        if folder.stat(name) is not None and not folder.live(f"{name}{PARTIAL_SUFFIX}")
    ]
    return sorted(found, key=lambda manifest: (manifest.received, manifest.trailer.name)), wrong
