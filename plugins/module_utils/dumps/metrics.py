# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict as node_exporter's textfile collector reads it."""

from __future__ import annotations

import datetime as dt
import typing as t

from .finding import Level
from .freshness import Dump, Group, Verdict

PREFIX = "taaraxtak_dumps_"


def textfile(verdict: Verdict) -> str:
    """The figures of a *verdict*: times in seconds since 1970, sizes in bytes. A dump that there isn't has no line."""
    levels = [finding.level for finding in verdict.findings]
    lines = [
        *_checked(verdict.level, verdict.at),
        *_metric(
            "check_findings",
            "What was found that is not as it should be.",
            [(f'level="{level}"', levels.count(level)) for level in (Level.WARNING, Level.CRITICAL)],
        ),
        *_of_dumps(verdict, "newest_archived_timestamp_seconds", "archived", lambda dump: _seconds(dump.received)),
        *_of_dumps(verdict, "newest_verified_timestamp_seconds", "verified", lambda dump: _seconds(dump.received)),
        *_of_drills(
            verdict, "drill_timestamp_seconds", "When the last drill ended.", lambda _dump, when: _seconds(when)
        ),
        *_of_drills(verdict, "drill_ok", "Whether it verified its dump.", lambda dump, _when: int(dump.verified)),
        *_of_dumps(verdict, "newest_archived_bytes", "archived", lambda dump: dump.bytes),
        *_of_dumps(verdict, "newest_archived_rows", "archived", lambda dump: sum(dump.tables.values())),
        *_metric(
            "archived_dumps",
            "The archived dumps with a right signature.",
            [(_labels(group), group.number) for group in verdict.groups],
        ),
        *_metric("used_bytes", "What the dumps take.", [("", verdict.space.used)]),
        *_metric("quota_bytes", "What they may take, 0 where nothing says so.", [("", verdict.space.quota)]),
        *_metric("free_bytes", "What their disk has free.", [("", verdict.space.free)]),
    ]
    return "\n".join(lines) + "\n"


def unchecked(now: dt.datetime) -> str:
    """The figures where there is no verdict: critical, and nothing else."""
    return "\n".join(_checked(Level.CRITICAL, now)) + "\n"


def _checked(level: Level, at: dt.datetime) -> list[str]:
    return [
        *_metric("check_status", "0 ok, 1 warning, 2 critical.", [("", int(level))]),
        *_metric("check_timestamp_seconds", "When it was checked.", [("", _seconds(at))]),
    ]


def _of_dumps(verdict: Verdict, name: str, which: str, value: t.Callable[[Dump], int]) -> list[str]:
    found = [(group, getattr(group, which)) for group in verdict.groups]
    values = [(_labels(group), value(dump)) for group, dump in found if dump is not None]
    return _metric(name, f"Of the newest {which} dump.", values)


def _of_drills(verdict: Verdict, name: str, about: str, value: t.Callable[[Dump, dt.datetime], int]) -> list[str]:
    found = [(group, group.drilled) for group in verdict.groups]
    values = [(_labels(group), value(dump, dump.drilled)) for group, dump in found if dump is not None and dump.drilled]
    return _metric(name, about, values)


def _metric(name: str, about: str, values: t.Sequence[tuple[str, int]]) -> list[str]:
    full = f"{PREFIX}{name}"
    samples = [f"{full}{{{labels}}} {value}" if labels else f"{full} {value}" for labels, value in values]
    return [f"# HELP {full} {about}", f"# TYPE {full} gauge", *samples] if samples else []


def _labels(group: Group) -> str:
    # The names of databases in dumps' names need no escaping; that of a signer is what a file of root's says.
    signer = group.signer.replace("\\", "\\\\").replace('"', '\\"')
    return f'database="{group.database}",kind="{group.kind}",signer="{signer}"'


def _seconds(when: dt.datetime) -> int:
    return int(when.timestamp())
