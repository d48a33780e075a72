# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a dump and its manifest from a plain store into a folder here, whole or not at all: for ``DUMP=FILE``."""

from __future__ import annotations

import hashlib
import os
import typing as t
from pathlib import Path

from ..manifest import Manifest, encode
from ..names import DUMP, PARTIAL_SUFFIX, DumpName
from ..processes import DumpError, write_all
from . import shelf
from .files import Files


def newest(found: shelf.Found, database: str) -> DumpName:
    """The newest dump of the *database*, "" where there is but one; DumpError where that is none or not certain."""
    dumps = [held.manifest.trailer.name for held in found.held if held.manifest.trailer.name.kind == DUMP]
    dumps = [name for name in dumps if database in ("", name.database)]
    several = sorted({name.database for name in dumps})
    if not dumps:
        raise DumpError("the store holds no dump" + (f" of {database}" if database else ""))
    if len(several) > 1:
        raise DumpError(f"the store holds dumps of {', '.join(several[:5])}: say which database, or name a dump")
    return dumps[-1]


def get(files: Files, name: DumpName, folder: str) -> Path:
    """The path of the dump in *folder*, with its manifest beside it. A file that is there is never overwritten."""
    manifest = shelf.manifest_of(files, name)
    content = encode(manifest.document()) + b"\n"
    there = Path(folder) / str(name)
    beside = there.with_name(name.manifest)
    if there.exists():
        raise DumpError(f"{there} is there already: it is not overwritten")
    # The same one is of a run that was killed before the dump had its name.
    if beside.exists() and beside.read_bytes() != content:
        raise DumpError(f"{beside} is there already: it is not overwritten")
    partials = [path.with_name(f"{path.name}{PARTIAL_SUFFIX}") for path in (there, beside)]
    try:
        with _new(partials[0]) as opened:
            _copy(files, manifest, opened.fileno())
        with _new(partials[1]) as opened:
            write_all(opened.fileno(), content)
            os.fsync(opened.fileno())
        # The dump comes last: where it is there, so is its manifest.
        partials[1].rename(beside)
        partials[0].rename(there)
    finally:
        for partial in partials:
            partial.unlink(missing_ok=True)
    return there


def _new(path: Path) -> t.IO[bytes]:
    # Rows of production: nobody else's to read. What a run that was killed has left is in nobody's way.
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0)


def _copy(files: Files, manifest: Manifest, descriptor: int) -> None:
    digest, size, trailer = hashlib.sha256(), 0, manifest.trailer
    for piece in files.read(str(trailer.name)):
        digest.update(piece)
        size += len(piece)
        write_all(descriptor, piece)
    if (size, digest.hexdigest()) != (trailer.bytes, trailer.sha256):
        raise DumpError(
            f"{trailer.name} came with {size} bytes and the sha256 {digest.hexdigest()}, its manifest says "
            f"{trailer.bytes} bytes and {trailer.sha256}: it is not the dump that was sent"
        )
    os.fsync(descriptor)
