# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store that speaks S3, by rclone. Its settings' file has the endpoint and the keys, as the remote ``store``.

There is no rename: the data get their own name at once, and the manifest, written last, is what makes them a dump. As
long as they are none a small object beside them says so, so that what a dead run leaves is known as that.
"""

from __future__ import annotations

import json
import typing as t

from ..names import PARTIAL_SUFFIX, DumpName
from ..processes import DumpError, say
from .files import AbsentError, Files, Run, said

REMOTE = "store"
# Parts of 16 MiB: 10,000 of them, which is what S3 takes, are 156 GiB, and two of them are held in memory at a time.
OPTIONS = (
    "--s3-no-check-bucket",
    "--s3-chunk-size=16Mi",
    "--s3-upload-concurrency=2",
    "--buffer-size=0",
    "--retries=1",
    "--low-level-retries=3",
    "--contimeout=20s",
    "--timeout=2m",
    "--use-mmap",
)
PROGRAM = "dump-carry"


def _sign(name: DumpName) -> str:
    return f"{name}{PARTIAL_SUFFIX}"


class Bucket(Files):
    """The objects of a bucket, or of a part of it."""

    def begin(self, name: DumpName) -> None:
        self.write(_sign(name), (b"no dump yet, or none any more\n",))

    def end(self, name: DumpName) -> None:
        try:
            self.remove(_sign(name))
        except DumpError as error:
            # The dump is one by its manifest, and this is swept another day.
            say(PROGRAM, f"{_sign(name)} could not be removed: {error}", error=True)

    def temporary(self, name: str) -> str:
        return name

    def names(self) -> dict[str, int | None]:
        with self._run("lsjson", "--files-only", "--no-modtime", "--no-mimetype", self._folder) as run:
            answer = said(run, 1 << 26)
        try:
            return {row["Name"]: int(row["Size"]) for row in json.loads(answer)}
        except (ValueError, TypeError, KeyError) as error:
            raise DumpError(f"the list of {self.place.name} could not be read: {error}") from None

    def read(self, name: str) -> t.Iterator[bytes]:
        seen = False
        with self._run("cat", self._object(name)) as run:
            for piece in run.read():
                seen = True
                yield piece
            run.finish()
        # Of an object that is not there rclone shows nothing and is content.
        if not seen and name not in self.names():
            raise AbsentError(f"there is no {name} at {self.place.name}")

    def write(self, name: str, pieces: t.Iterable[bytes]) -> None:
        # It is an object once rclone has seen the end of its input: where *pieces* raises it is killed before that.
        with self._run("rcat", self._object(name), writing=True) as run:
            for piece in pieces:
                run.write(piece)
            run.finish()

    def place_file(self, name: str) -> None:
        """It has its name."""

    def withdraw(self, name: DumpName) -> None:
        self.begin(name)
        self.remove(name.manifest)

    def remove(self, name: str) -> None:
        with self._run("deletefile", self._object(name)) as run:
            try:
                run.finish()
            except DumpError:
                if name in self.names():
                    raise

    def sweep(self) -> None:
        # Parts of uploads that were begun a day ago: nobody sees them, and they cost money.
        with self._run("cleanup", self._folder) as run:
            try:
                run.finish()
            except DumpError as error:
                # Not every server knows how; what is kept and what goes does not hang on it.
                say(PROGRAM, f"uploads that were cut could not be removed: {error}", error=True)

    @property
    def _folder(self) -> str:
        return f"{REMOTE}:{self.place.folder.strip('/')}"

    def _object(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _run(self, verb: str, *words: str, writing: bool = False) -> Run:
        return Run([*self.place.command, verb, *OPTIONS, *words], self.place, writing=writing)
