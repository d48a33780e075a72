# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as node_exporter's textfile collector reads it."""

from __future__ import annotations

import datetime as dt
import typing as t

from .model import Document
from .text import cut, label

PREFIX = "taaraxtak_audit_"
# So many findings have a line of their own, the worst of them: each is a series to whoever stores it.
NAMED = 100
# A label is for people to recognise it by; the report has all of it.
LONGEST = 200


def textfile(document: Document) -> str:
    """The figures of a report; times in seconds since 1970."""
    summary = document["summary"]
    named = document["findings"][:NAMED]
    keys = ("id", "severity", "rule", "host", "object")
    lines = [
        *_metric("status", "0 clean, 2 found something, 3 could not look.", [({}, document["status"])]),
        *_metric("timestamp_seconds", "When the audit was made.", [({}, _seconds(document["run"]["at"]))]),
        *_metric(
            "findings",
            "Findings that are not accepted.",
            [({"severity": key}, number) for key, number in summary["findings"].items()],
        ),
        *_metric("accepted", "Findings that are accepted deviations.", [({}, summary["accepted"])]),
        *_metric(
            "sources", "Sources by how they were read.", [({"state": key}, n) for key, n in summary["sources"].items()]
        ),
        *_metric("finding", "The worst findings.", [({key: one[key] for key in keys}, 1) for one in named]),
    ]
    return "\n".join(lines) + "\n"


def _metric(name: str, about: str, values: t.Sequence[tuple[dict[str, str], int]]) -> list[str]:
    full = f"{PREFIX}{name}"
    samples = [f"{full}{_labels(labels)} {value}" for labels, value in values]
    return [f"# HELP {full} {about}", f"# TYPE {full} gauge", *samples] if samples else []


def _labels(labels: dict[str, str]) -> str:
    said = ",".join(f'{key}="{label(cut(value, LONGEST))}"' for key, value in labels.items())
    return f"{{{said}}}" if said else ""


def _seconds(when: str) -> int:
    return int(dt.datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp())
