# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take old dumps into the archive: gzipped text named .sql.tar.gz (which no tar ever was) or .sql.gz.

Nothing proves who made them, so they are marked as adopted, have no signature and count for nothing that is counted.
But each is read to its end, scanned as new ones are, and compressed again with zstd, for a dump's name in the archive
says so; what zstd gives back is compared with what was read. The old file is left as it is.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import hashlib
import io
import os
import re
import signal
import stat
import subprocess
import typing as t
import zlib
from pathlib import Path

from .folder import PRIVATE_MODE, Folder, Publication, group_of, share
from .manifest import Manifest, Trailer, encode
from .names import PARTIAL_SUFFIX, SUFFIX, DumpName, utc_text
from .processes import ENDING_SIGNALS, PIPE_SIZE, Child, DumpError, write_all
from .quota import Room
from .scan import Scanned, Scanner

_OLD = re.compile(r"(.+)\.sql(?:\.tar)?\.gz", re.ASCII | re.DOTALL)
_SERVER = re.compile(rb"^-- Dumped from database version ([^\n]+)$", re.MULTILINE)
_PG_DUMP = re.compile(rb"^-- Dumped by pg_dump version ([^\n]+)$", re.MULTILINE)
# pg_dump says its versions at the beginning.
BEGINNING = 4096
# Where a tar's first member has its mark.
TAR_MARK = slice(257, 262)


def old_name(file_name: str) -> DumpName:
    """The name under which an old file is adopted; its time is taken for UTC. ValueError where it is no old dump's."""
    match = _OLD.fullmatch(file_name)
    # The old pipeline knew no globals.
    if match is None or match[1].endswith(".globals"):
        raise ValueError("its name is not that of an old dump: DATABASE_YYYY-MM-DD-HH.MM.SS.sql.tar.gz or .sql.gz")
    return DumpName.parse(f"{match[1]}{SUFFIX}")


def refuse_tar(beginning: bytes) -> None:
    """DumpError where what begins so is a tar."""
    if beginning[TAR_MARK] == b"ustar":
        raise DumpError("it holds a tar, not the text of a dump: unpack it, and gzip the .sql in it")


def candidates(paths: t.Iterable[str]) -> list[Path]:
    """The files that *paths* name, and in folders the old dumps, each once."""
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += sorted(file for file in path.iterdir() if _OLD.fullmatch(file.name))
        else:
            found.append(path)
    return list(dict.fromkeys(found))


class Adopter:
    """Adopts files into *archive*, whose owner this must be, as far as *room* goes.

    *readers* is the group of the data, "" the folder's.
    """

    def __init__(self, archive: Folder, room: Room, *, zstd: str, readers: str) -> None:
        self._archive = archive
        self._room = room
        self._zstd = zstd
        self._readers = readers

    def adopt(self, file: Path, name: DumpName, now: dt.datetime) -> Trailer:
        """Adopt the *file* as *name*; DumpError says why it can't be, and nothing is left of it."""
        owner = Path(self._archive.path).stat().st_uid
        if os.geteuid() != owner:
            raise DumpError(f"only the archive's owner (user {owner}) can adopt: start this as that user, with sudo -u")
        if self._archive.stat(name.manifest) is not None:
            raise DumpError(f"{name} is in the archive already, and nothing is ever overwritten")
        for partial in (f"{name}{PARTIAL_SUFFIX}", f"{name.manifest}{PARTIAL_SUFFIX}"):
            # Of a run that was killed.
            if self._archive.stat(partial) is not None and not self._archive.live(partial):
                self._archive.unlink(partial)
        publication = Publication(self._archive)
        try:
            return self._adopt(publication, file, name, now)
        except FileExistsError:
            raise DumpError(f"{name} is being written already") from None
        finally:
            with _undisturbed():
                publication.clean()

    def _adopt(self, publication: Publication, file: Path, name: DumpName, now: dt.datetime) -> Trailer:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as source:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise DumpError("it is no file")
            # zstd's output is smaller than gzip's was, or hardly larger; what it is, is seen as it is written.
            self._room.adopting(found.st_size, written=0)
            target = publication.create(str(name), PRIVATE_MODE)
            text = _Text(source)
            self._compress(text, target)
        scanned = text.finish()
        os.fsync(target)
        size, digest = self._compare(f"{name}{PARTIAL_SUFFIX}", text)
        trailer = Trailer(
            name=name,
            started=utc_text(name.started),
            # The old pipeline wrote the file until the dump was over.
            finished=utc_text(max(name.started, dt.datetime.fromtimestamp(found.st_mtime, dt.UTC))),
            statuses={"zstd": 0},
            bytes=size,
            sha256=digest,
            raw_bytes=scanned.raw_bytes,
            tables=scanned.tables,
            sequences=scanned.sequences,
            via_root=(),
            versions={**text.versions(), "adopted_from": file.name},
            settings={},
            extensions={},
            ddl=scanned.ddl,
        )
        self._publish(publication, trailer, target, now)
        return trailer

    def _compress(self, text: _Text, target: int) -> None:
        """Read the text to its end and write it to *target*, compressed again."""
        command = [self._zstd, "--quiet", "--stdout", "-3", "-T2", "-"]
        child = Child(command, name="zstd", keep_stderr=True, stdin=subprocess.PIPE, stdout=target, cwd="/")
        try:
            for chunk in text:
                write_all(child.input, chunk)
                self._fits(target)
            child.close_input()
            child.wait()
            self._fits(target)
        except BrokenPipeError:
            child.wait()
        except BaseException:
            child.kill()
            raise
        finally:
            child.end()
        if child.process.returncode != 0:
            raise DumpError(child.complaint() or "zstd stopped before the text ended")

    def _fits(self, target: int) -> None:
        """DumpError where what is written by now is more than there is room for."""
        size = os.fstat(target).st_size
        self._room.adopting(size, written=size)

    def _compare(self, partial: str, text: _Text) -> tuple[int, str]:
        """The size and SHA-256 of what was written; DumpError unless it decompresses to the text that was read."""
        size, written, back = 0, hashlib.sha256(), hashlib.sha256()
        with os.fdopen(self._archive.open(partial), "rb", buffering=0) as data:
            while chunk := data.read(PIPE_SIZE):
                size += len(chunk)
                written.update(chunk)
            data.seek(0)
            command = [self._zstd, "--quiet", "--decompress", "--stdout", "-"]
            child = Child(command, name="zstd", keep_stderr=True, stdin=data, stdout=subprocess.PIPE, cwd="/")
            try:
                while chunk := os.read(child.output, PIPE_SIZE):
                    back.update(chunk)
                child.wait()
            finally:
                child.kill()
                child.end()
        if child.process.returncode != 0 or back.digest() != text.digest():
            raise DumpError(child.complaint() or "what zstd gives back is not what was read")
        return size, written.hexdigest()

    def _publish(self, publication: Publication, trailer: Trailer, target: int, now: dt.datetime) -> None:
        """Name the data, then its manifest."""
        name, group = trailer.name, group_of(self._readers)
        manifest = publication.create(name.manifest, PRIVATE_MODE)
        content = encode(Manifest(received=utc_text(now), trailer=trailer, adopted=True).document())
        write_all(manifest, content, b"\n")
        os.fsync(manifest)
        with _undisturbed(), self._archive.alone():
            if self._archive.stat(name.manifest) is None:
                # Without a manifest it is no dump: of a run that was killed.
                self._archive.unlink(str(name))
            share(target, group)
            share(manifest)
            publication.publish(str(name))
            self._room.settle(trailer.bytes)
            publication.publish(name.manifest)
            publication.committed = True


class _Text:
    """The text of a gzipped file, scanned and hashed as it is read; DumpError where it is cut or no dump's."""

    def __init__(self, source: t.Any) -> None:
        self._source = gzip.GzipFile(fileobj=io.BufferedReader(source, PIPE_SIZE))
        self._scanner = Scanner()
        self._digest = hashlib.sha256()
        self._beginning = b""

    def __iter__(self) -> t.Iterator[bytes]:
        try:
            while chunk := self._source.read(PIPE_SIZE):
                if len(self._beginning) < BEGINNING:
                    self._beginning += chunk[: BEGINNING - len(self._beginning)]
                    refuse_tar(self._beginning)
                self._digest.update(chunk)
                self._scanner.feed(chunk)
                yield chunk
        except EOFError:
            raise DumpError("it was cut: the gzipped data ends before its end") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise DumpError(f"it can't be decompressed: {error}") from None
        except ValueError as error:
            raise DumpError(f"it is no dump that pg_dump wrote as text: {error}") from None

    def finish(self) -> Scanned:
        """What the text holds; DumpError unless its last line says that it is complete."""
        try:
            return self._scanner.finish()
        except ValueError as error:
            raise DumpError(f"it was cut before it was compressed, or is no dump: {error}") from None

    def digest(self) -> bytes:
        return self._digest.digest()

    def versions(self) -> dict[str, str]:
        """The versions that pg_dump wrote at the top."""
        found = {"server": _SERVER.search(self._beginning), "pg_dump": _PG_DUMP.search(self._beginning)}
        return {key: match[1].decode("utf-8", "replace") for key, match in found.items() if match is not None}


@contextlib.contextmanager
def _undisturbed() -> t.Iterator[None]:
    """No signal that asks to end comes between; it comes at the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
