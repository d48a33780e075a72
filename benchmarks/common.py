# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every benchmark writes alike: build/bench/NAME.json, and tables for people."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import platform
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "bench"
COLLECTIONS = ROOT / ".ansible" / "collections"


@dataclasses.dataclass(frozen=True)
class Target:
    """A figure to reach; ``limit`` is for people, as "<= 3 s". None is what couldn't be measured."""

    name: str
    limit: str
    value: float | str | None
    met: bool | None


def write(name: str, rows: t.Sequence[t.Mapping[str, t.Any]], targets: t.Sequence[Target] = ()) -> Path:
    """Write build/bench/*name*.json; its path, as seen from the repository's root."""
    report = {
        "machine": {"system": platform.platform(), "cpus": os.cpu_count(), "python": platform.python_version()},
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "rows": list(rows),
        "targets": [dataclasses.asdict(target) for target in targets],
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    return path.relative_to(ROOT)


def table(heads: t.Sequence[str], rows: t.Sequence[t.Sequence[object]]) -> str:
    """Rows of cells below *heads*, in columns: the first to the left, the others to the right. None is a dash."""
    lines = [list(heads), *([_cell(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def target_table(targets: t.Sequence[Target]) -> str:
    """The targets as a table."""
    words = {True: "met", False: "MISSED", None: "not measured"}
    return table(
        ("target", "limit", "value", ""),
        [(target.name, target.limit, target.value, words[target.met]) for target in targets],
    )


def _cell(cell: object) -> str:
    if cell is None:
        return "-"
    return f"{cell:.2f}" if isinstance(cell, float) else str(cell)
