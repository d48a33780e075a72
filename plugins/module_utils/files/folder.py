# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a folder of the controller whole, to be sent in one task."""

from __future__ import annotations

import base64
import typing as t
from pathlib import Path

from .wanted import matches

# A task's arguments travel as one JSON text through memory: what is larger has better ways.
MOST_BYTES = 8 * 1024 * 1024

# Left out always, beside every name that begins with a dot: what Python makes by itself.
NEVER = ("__pycache__", "*.pyc")


def read_folder(
    path: str, exclude: t.Sequence[str] = (), *, only: t.Sequence[str] = (), most_bytes: int = MOST_BYTES
) -> dict[str, str]:
    """Relative path -> base64 content of all files below *path*, sorted; of those alone that a pattern of *only* means.

    Names that begin with a dot, ``__pycache__``, ``*.pyc`` and whatever a pattern of *exclude* means (`matches`) are
    left out. Links to files inside of the folder are read. Raises ValueError for a missing folder, a link that leaves
    it or leads to a folder, a special file, a name that is no UTF-8, and more than *most_bytes*.
    """
    root = Path(path)
    if not root.is_dir():
        raise ValueError(f"there is no folder {path} on the controller")
    contents: dict[str, str] = {}
    total = 0
    for relative, file in _files(root, root.resolve(), "", tuple(exclude), tuple(only)):
        total += file.stat().st_size
        if total > most_bytes:
            raise ValueError(
                f"the folder {path} holds more than {most_bytes // 1024 // 1024} MiB: "
                "let the host fetch it with git (ansible.builtin.git), or exclude what it does not need"
            )
        contents[relative] = base64.b64encode(file.read_bytes()).decode("ascii")
    return dict(sorted(contents.items()))


def _files(
    folder: Path, root: Path, prefix: str, exclude: tuple[str, ...], only: tuple[str, ...]
) -> t.Iterator[tuple[str, Path]]:
    for item in sorted(folder.iterdir()):
        relative = prefix + item.name
        if item.name.startswith(".") or any(matches(relative, pattern) for pattern in (*NEVER, *exclude)):
            continue
        is_folder = item.is_dir() and not item.is_symlink()
        if only and not is_folder and not any(matches(relative, pattern) for pattern in only):
            continue
        if not relative.isprintable():
            raise ValueError(f"the name {relative!r} in {root} can't be sent: rename or exclude it")
        if item.is_symlink():
            _check_link(item, relative, root)
            yield relative, item
        elif is_folder:
            yield from _files(item, root, relative + "/", exclude, only)
        elif item.is_file():
            yield relative, item
        else:
            raise ValueError(f"{relative} in {root} is no regular file: exclude it")


def _check_link(link: Path, relative: str, root: Path) -> None:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        raise ValueError(f"the link {relative} in {root} leads nowhere: exclude it") from None
    if not target.is_relative_to(root):
        raise ValueError(
            f"the link {relative} leaves the folder {root}: put the file itself there, or exclude the link"
        )
    if not target.is_file():
        raise ValueError(f"the link {relative} in {root} leads to no regular file: exclude it")
