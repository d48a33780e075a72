# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replace one file in a folder that can be trusted, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Put *content* in the place of the file *path*, or make it; ValueError where that can't be done.

    It keeps the owner of the file, or gets that of its folder. *mode* is the file's own unless given, and 0644 for a
    new one. A reader sees the old content or the new, also after a crash.
    """
    partial = ""
    try:
        target = path.resolve()
        like = target.stat() if target.exists() else target.parent.stat()
        kept = like.st_mode & 0o7777 if target.exists() else 0o644
        # PostgreSQL reads no name in its folders that begins with a dot.
        descriptor, partial = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
        with os.fdopen(descriptor, "wb") as file:
            if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, like.st_uid, like.st_gid)
            os.fchmod(descriptor, kept if mode is None else mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(partial).replace(target)
        partial = ""
        sync_folder(target.parent)
    except OSError as error:
        raise ValueError(f"could not write {path}: {error.strerror}") from error
    finally:
        if partial:
            Path(partial).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Bring the names in *folder* to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
