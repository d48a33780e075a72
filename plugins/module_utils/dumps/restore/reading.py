# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a dump as plain text: fetched, hashed as it is stored, decrypted and decompressed as it flows; no file between.

A thread hands the stored bytes to the first program while whoever iterates takes the text from the last. So neither
waits for the other's end: a reader that stops leaves the thread with a full pipe, and `close` wakes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import signal
import subprocess
import threading
import types
import typing as t

from ..adopt import refuse_tar
from ..processes import GRACE, PIPE_SIZE, Child, DumpError
from .material import GZ, SQL, ZST, Material
from .origins import Origin, complaint

# A window that zstd -19 needs eight times; what asks for more was made to fill a memory.
ZSTD_MEMORY = "64MB"
# Where the first member of a tar has its mark, a tar can be told.
_BEGINNING = 512
_CUSTOM = b"PGDMP"
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


class Reading:
    """A context manager; iterate over it once, to the end, for the text in pieces.

    The end of the iteration is the end of a whole and right dump: else it raises DumpError. ``taken`` is how many of
    `Material.size` stored bytes were taken until now.
    """

    def __init__(
        self,
        material: Material,
        *,
        zstd: str = "/usr/bin/zstd",
        gzip: str = "/usr/bin/gzip",
        age: str = "/usr/bin/age",
        identity: str = "",
    ) -> None:
        if material.encrypted and not identity:
            raise DumpError(f"{material.file} is encrypted, and no identity is given that opens it")
        if material.encrypted and not os.access(identity, os.R_OK):
            raise DumpError(f"the identity {identity} that should open {material.file} can't be read")
        self.taken = 0
        self._material = material
        self._commands = _commands(material, zstd=zstd, gzip=gzip, age=age, identity=identity)
        self._digest = hashlib.sha256()
        self._children: list[Child] = []
        self._origin: Origin | None = None
        self._feeder: threading.Thread | None = None
        self._error: BaseException | None = None
        # Whether all that is stored was taken, and whether the text came to its end and was right.
        self._exhausted = False
        self._whole = False
        self._begun = False
        self._stop = -1

    def __enter__(self) -> t.Self:
        try:
            self._stop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            # In this thread, for children end with the one that started them.
            self._origin = self._material.start()
            source: t.Any = subprocess.PIPE
            for name, command in self._commands:
                self._start(name, command, source)
                source = self._children[-1].process.stdout
            for child in self._children[:-1]:
                child.close_output()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> t.Iterator[bytes]:
        if self._origin is None or self._begun:
            raise TypeError("a reading is entered, and read once")
        self._begun = True
        if self._children:
            os.set_blocking(self._children[0].input, False)
            self._feeder = threading.Thread(target=self._feed, name="feeder", daemon=True)
            self._feeder.start()
            yield from self._looked_at(self._output())
        else:
            yield from self._looked_at(self._stored(self._origin))
        self._settle()

    def finish(self) -> None:
        """DumpError unless the text was read to its end, and was that of a whole dump."""
        if not self._whole:
            raise DumpError(f"{self._material.file} was not read to its end")

    def close(self) -> None:
        """No process is left, and no thread."""
        if self._stop >= 0:
            os.eventfd_write(self._stop, 1)
        for child in self._children:
            child.kill()
        if self._origin is not None:
            self._origin.kill()
        if self._feeder is not None:
            self._feeder.join()
        for child in self._children:
            child.end()
        if self._origin is not None:
            self._origin.close()
            self._origin = None
        if self._stop >= 0:
            os.close(self._stop)
            self._stop = -1

    def _start(self, name: str, command: list[str], source: t.Any) -> None:
        # A session of its own has no terminal at which a program could wait for a passphrase.
        self._children.append(
            Child(
                command,
                name=name,
                keep_stderr=True,
                stdin=source,
                stdout=subprocess.PIPE,
                cwd="/",
                env=_ENVIRONMENT,
                start_new_session=True,
            )
        )

    # In the thread, where there are programs

    def _feed(self) -> None:
        """Hand what is stored to the first program; what goes wrong is kept for `_settle`."""
        first = self._children[0]
        try:
            if self._origin is not None:
                for piece in self._stored(self._origin):
                    if not self._hand_on(first.input, piece):
                        return
        except BaseException as error:
            self._error = error
        finally:
            with contextlib.suppress(BrokenPipeError):
                first.close_input()

    def _hand_on(self, target: int, piece: bytes) -> bool:
        """Write the *piece* wholly; False where nobody takes it any more."""
        rest = memoryview(piece)
        while rest:
            try:
                rest = rest[os.write(target, rest) :]
            except BlockingIOError:
                # However long it takes: at the other end a server may be making an index.
                if not self._ready(target, select.POLLOUT, None):
                    return False
            except BrokenPipeError:
                return False
        return True

    def _stored(self, origin: Origin) -> t.Iterator[bytes]:
        """What is stored, hashed on its way, and never more than it should be."""
        while self._ready(origin.descriptor, select.POLLIN, origin.idle):
            try:
                piece = os.read(origin.descriptor, PIPE_SIZE)
            except OSError as error:
                raise DumpError(f"{self._material.file} could not be read: {error.strerror}") from None
            if not piece:
                self._exhausted = True
                return
            self.taken += len(piece)
            if self.taken > self._material.size:
                raise DumpError(
                    f"{self._material.file} has more than the {self._material.size} bytes that it should have"
                )
            self._digest.update(piece)
            yield piece

    def _ready(self, descriptor: int, event: int, idle: float | None) -> bool:
        """Wait until *descriptor* is ready; False where `close` was called, DumpError after *idle* seconds."""
        poll = select.poll()
        poll.register(self._stop, select.POLLIN)
        poll.register(descriptor, event)
        ready = dict(poll.poll(None if idle is None else idle * 1000))
        if not ready:
            raise DumpError(f"nothing of {self._material.file} came for {idle:g} s")
        return self._stop not in ready

    # Where the text is taken

    def _output(self) -> t.Iterator[bytes]:
        last = self._children[-1].output
        while piece := os.read(last, PIPE_SIZE):
            yield piece
            if self._stop < 0:
                # Its number may be another file's by now.
                raise TypeError("a reading that was closed is read on")

    def _looked_at(self, pieces: t.Iterator[bytes]) -> t.Iterator[bytes]:
        """The *pieces*, the first large enough to be told from what is no text; DumpError where it is none."""
        beginning = b""
        for piece in pieces:
            beginning += piece
            if len(beginning) >= _BEGINNING:
                break
        if beginning.startswith(_CUSTOM):
            raise DumpError(f"{self._material.file} is in PostgreSQL's custom format: make it text with pg_restore -f")
        try:
            refuse_tar(beginning)
        except DumpError as error:
            raise DumpError(f"{self._material.file} is no dump: {error}") from None
        if beginning:
            yield beginning
        del beginning
        yield from pieces

    def _settle(self) -> None:
        """Everything has ended, and well; DumpError with what went wrong first."""
        file = self._material.file
        if self._feeder is not None:
            # The last program has ended. One before it may be left, and the thread with it.
            if not self._exhausted:
                self._feeder.join(GRACE)
            os.eventfd_write(self._stop, 1)
            self._feeder.join()
        if self._error is not None:
            raise self._error
        if self._exhausted and self._origin is not None:
            self._origin.finish()
            self._compare()
        for child in self._children:
            child.wait(GRACE)
        failed = [child for child in self._children if child.process.returncode != 0]
        if failed:
            # Who was writing to a program that failed was ended by that.
            cause = next((child for child in failed if child.process.returncode != -signal.SIGPIPE), failed[0])
            raise DumpError(f"{file} could not be unpacked: {complaint(cause)}")
        if not self._exhausted:
            raise DumpError(f"{file} goes on after the end of what is packed in it")
        self._whole = True

    def _compare(self) -> None:
        """DumpError unless the stored bytes are as many as they should be, and the manifest's."""
        material = self._material
        if self.taken != material.size:
            raise DumpError(f"{material.file} was cut: {self.taken} of its {material.size} bytes came")
        if material.manifest is not None and self._digest.hexdigest() != material.manifest.trailer.sha256:
            raise DumpError(
                f"{material.file} is not the dump that its manifest tells of: its SHA-256 is "
                f"{self._digest.hexdigest()}, and should be {material.manifest.trailer.sha256}"
            )


def _commands(material: Material, *, zstd: str, gzip: str, age: str, identity: str) -> list[tuple[str, list[str]]]:
    """The programs that turn what is stored into text, with their names; none where it is text."""
    unpack = {
        ZST: [("zstd", [zstd, "--quiet", "--decompress", "--stdout", f"--memory={ZSTD_MEMORY}", "-"])],
        GZ: [("gzip", [gzip, "--decompress", "--stdout"])],
        SQL: [],
    }
    decrypt = [("age", [age, "--decrypt", f"--identity={identity}"])] if material.encrypted else []
    return [*decrypt, *unpack[material.packing]]
