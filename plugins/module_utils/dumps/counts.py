# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the snapshot counted against what pg_dump streamed."""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class Counted:
    """The rows of a table in the snapshot, as pg_dump copies them.

    ``root`` is the partition root under whose name pg_dump writes the rows where it can't trust that they fall into the
    same partition again (hash partitions on an enum); releases before 2023-02 write them under ``name`` still.
    """

    name: str
    rows: int
    root: str | None = None


@dataclasses.dataclass(frozen=True)
class Compared:
    """``differences`` are sentences; ``via_root`` the roots through which rows are loaded, in no certain order."""

    differences: tuple[str, ...]
    via_root: tuple[str, ...]


def compare(counted: t.Iterable[Counted], streamed: t.Mapping[str, int]) -> Compared:
    """Hold the snapshot's counts against the rows *streamed* under each name."""
    expected: dict[str, int] = {}
    roots: set[str] = set()
    for table in counted:
        name = table.name
        if table.root is not None and name not in streamed:
            name = table.root
            roots.add(name)
        expected[name] = expected.get(name, 0) + table.rows
    differences = []
    for name in sorted(expected.keys() | streamed.keys()):
        if name not in streamed:
            differences.append(f"{name} was counted ({expected[name]} rows) but not streamed")
        elif name not in expected:
            differences.append(f"{name} was streamed ({streamed[name]} rows) but not counted")
        elif expected[name] != streamed[name]:
            differences.append(f"{name} has {expected[name]} rows in the snapshot but {streamed[name]} were streamed")
    return Compared(differences=tuple(differences), via_root=tuple(sorted(roots)))
