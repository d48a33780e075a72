# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a dump and its manifest from a plain store into a folder here, whole or not at all: for ``DUMP=FILE``."""

from __future__ import annotations

import hashlib
import os
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
    there = Path(folder) / str(name)
    partial = there.with_name(f"{name}{PARTIAL_SUFFIX}")
    for path in (there, there.with_name(name.manifest)):
        if path.exists():
            raise DumpError(f"{path} is there already: it is not overwritten")
    # Rows of production: nobody else's to read.
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0):
            _copy(files, manifest, descriptor)
        beside = os.open(there.with_name(name.manifest), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(beside, "wb", buffering=0):
            write_all(beside, encode(manifest.document()), b"\n")
        partial.rename(there)
    finally:
        partial.unlink(missing_ok=True)
    return there


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
