# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pg_access answers: the outcome as plain lists and texts."""

from __future__ import annotations

import dataclasses
import typing as t

from .statements import Skipped, Statement

# (path, content before, content after)
FileText = tuple[str, str, str]


def result(
    statements: t.Sequence[Statement],
    queries: t.Sequence[str],
    skipped: t.Sequence[Skipped],
    changed_files: t.Sequence[FileText],
) -> dict[str, t.Any]:
    """The module's return values, ``changed`` and ``diff`` among them."""
    return {
        "changed": bool(queries),
        "queries": list(queries),
        "granted": [_access(one) for one in statements if one.kind == "grant" and one.after],
        "revoked": [_access(one) for one in statements if one.kind == "revoke"],
        # Not "skipped": Ansible takes that for a task that did not run.
        "skipped_objects": [{"what": one.what, "why": one.why} for one in skipped],
        "diff": {
            "before": _text([line for one in statements for line in one.before], [file[:2] for file in changed_files]),
            "after": _text(
                [line for one in statements for line in one.after], [(file[0], file[2]) for file in changed_files]
            ),
        },
    }


def warnings(skipped: t.Sequence[Skipped]) -> list[str]:
    """One sentence for each thing that a person has to hear of; the same in two databases is said once."""
    return list(dict.fromkeys(f"the access policy: {one.what} {one.why}" for one in skipped if one.warn))


def _access(statement: Statement) -> dict[str, t.Any]:
    if statement.access is None:
        raise TypeError(f"a {statement.kind} without access")  # a defect of the planner, never the user's
    read = dataclasses.asdict(statement.access)
    return {key: list(value) if isinstance(value, tuple) else value for key, value in read.items()}


def _text(lines: t.Sequence[str], texts: t.Sequence[tuple[str, str]]) -> str:
    parts = "".join(f"{line}\n" for line in lines)
    return parts + "".join(f"==> {path} <==\n{text}" for path, text in texts)
