# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On which disk PostgreSQL's data lie, wherever their folders lead.

usage: data_places.py FOLDER

Looks at FOLDER, at each cluster's data folder, at what a cluster links to (pg_wal, tablespaces), and at what is mounted
below any of them. Prints JSON: {"folder": …, "source": …, "root": …, "elsewhere": [{"path": …, "source": …}]}, of which
the last has what lies on another source than the root file system. Exit status 1 with a sentence where it can't look.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path


def findmnt(*words: str) -> list[str]:
    """The lines that findmnt prints; a part of a file system that is mounted elsewhere counts as the whole."""
    command = ["findmnt", "--noheadings", "--nofsroot", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def source_of(path: Path) -> str:
    """Of several that are mounted there the last one is on top."""
    return findmnt("--output", "SOURCE", "--target", str(path))[-1].strip()


def clusters(folder: Path) -> list[Path]:
    """The data folders below *folder*, as Debian has them, and those that a cluster's settings have elsewhere."""
    found = {path for path in folder.glob("*/*") if path.is_dir()}
    if shutil.which("pg_lsclusters"):
        said = subprocess.run(["pg_lsclusters", "--no-header"], check=True, stdout=subprocess.PIPE, text=True).stdout
        found |= {Path(line.split()[5]) for line in said.splitlines()}
    return sorted(found)


def linked(data: Path) -> list[Path]:
    """What a cluster keeps by links: its log, its tablespaces. Nothing where *data* is no cluster's."""
    try:
        (data / "PG_VERSION").stat()
    except FileNotFoundError:
        return []
    return [data / "pg_wal", *sorted((data / "pg_tblspc").iterdir())]


def look(folder: Path) -> dict[str, object]:
    """What is printed."""
    root = source_of(Path("/"))
    said = json.loads("".join(findmnt("--list", "--json", "--output", "TARGET")))
    mounted = [Path(one["target"]) for one in said["filesystems"]]
    elsewhere = {}
    for data in [folder, *clusters(folder)]:
        for path in [data, *linked(data)]:
            real = path.resolve(strict=True)
            for place in [path, *(mount for mount in mounted if real in mount.parents)]:
                source = source_of(place.resolve())
                if source != root:
                    elsewhere[str(place)] = source
    here = elsewhere.pop(str(folder), root)
    return {
        "folder": str(folder),
        "source": here,
        "root": root,
        "elsewhere": [{"path": path, "source": source} for path, source in sorted(elsewhere.items())],
    }


if __name__ == "__main__":
    try:
        print(json.dumps(look(Path(sys.argv[1]))))
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"Where the data lie can't be looked at: {error}")
