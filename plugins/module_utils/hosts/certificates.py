# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the certificates of a host end."""

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path

from .parsing.certificates import ends

# A chain has a few kilobytes, a long list of revoked certificates some hundred.
_MOST_BYTES = 1024 * 1024


def look(paths: t.Sequence[str]) -> dict[str, t.Any]:
    """Of each of *paths*, whose names may be patterns: which files there are, and when what is in them ends first."""
    return {"files": [one for path in paths for one in _files(path)]}


def _files(asked: str) -> list[dict[str, t.Any]]:
    folder, name = os.path.split(asked)
    found = sorted(map(str, Path(folder).glob(name))) if "*" in name else []
    return [_file(asked, path) for path in found or [asked]]


def _file(asked: str, path: str) -> dict[str, t.Any]:
    said: dict[str, t.Any] = {"asked": asked, "path": path, "ends": "", "problem": ""}
    try:
        times = ends(_content(path))
    except FileNotFoundError:
        return {**said, "problem": "it is not there"}
    except (OSError, ValueError) as error:
        return {**said, "problem": f"it can't be read: {error.strerror if isinstance(error, OSError) else error}"}
    if not times:
        return {**said, "problem": "there is no certificate in it"}
    return {**said, "ends": min(times).isoformat()}


def _content(path: str) -> bytes:
    # What is no file is not waited for. A link is followed: that of an ACME authority's is one.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no file")
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError("it is too large for a certificate")
    return content
