# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is different from the last run: findings that came and went, and sources that are in another state."""

from __future__ import annotations

import typing as t

from .model import Document


def since(last: Document | str | None, now: Document) -> Document:
    """``at`` of the last run, ``new`` and ``gone`` findings, ``sources`` in another state; or ``why`` there is none."""
    if last is None:
        return _nothing("this is the first run here")
    if isinstance(last, str):
        return _nothing(last)
    if last.get("schema") != now["schema"]:
        return _nothing("the last report is of another version")
    try:
        before, after = _by_id(last["findings"]), _by_id(now["findings"])
        states_before, states_after = _states(last["sources"]), _states(now["sources"])
        at = str(last["run"]["at"])
    except (KeyError, TypeError) as error:
        return _nothing(f"the last report can't be read: it lacks {error}")
    return {
        "at": at,
        "why": "",
        "new": [id_ for id_ in after if id_ not in before],
        "gone": [
            {key: str(one.get(key, "")) for key in ("id", "severity", "host", "evidence")}
            for id_, one in before.items()
            if id_ not in after
        ],
        "sources": [
            {"id": key[0], "host": key[1], "before": states_before.get(key, ""), "now": states_after.get(key, "")}
            for key in sorted({*states_before, *states_after})
            if states_before.get(key) != states_after.get(key)
        ],
    }


def _nothing(why: str) -> Document:
    return {"at": "", "why": why, "new": [], "gone": [], "sources": []}


def _by_id(findings: t.Iterable[Document]) -> dict[str, Document]:
    return {str(one["id"]): one for one in findings}


def _states(sources: t.Iterable[Document]) -> dict[tuple[str, str], str]:
    return {(str(one["id"]), str(one["host"])): str(one["state"]) for one in sources}
