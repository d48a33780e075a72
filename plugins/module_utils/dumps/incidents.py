# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Incidents: small files that say why rows are gone, so that a loss that people know of is no alarm."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from .names import DumpName, read_utc

_REQUIRED = ("tables", "reason", "from", "until", "rows")
_KEYS = {*_REQUIRED, "database", "tables_dropped"}


@dataclasses.dataclass(frozen=True)
class Incident:
    """Why rows of *tables* are gone from the dumps received from *since* to *until*.

    They are those of every database where none is named. Each of the tables may have lost at most *rows* against the
    dump before. With *tables_dropped* it may be gone, and the whole dump much smaller.
    """

    file: str
    tables: tuple[str, ...]
    reason: str
    since: dt.datetime
    until: dt.datetime
    rows: int
    database: str = ""
    tables_dropped: bool = False

    def explains(self, name: DumpName, received: dt.datetime, table: str, lost: int, *, dropped: bool) -> bool:
        """Whether *table* may have *lost* so many rows in the dump *name* against the one before, or be *dropped*."""
        meant = table in self.tables and self.database in ("", name.database)
        allowed = lost <= self.rows and (self.tables_dropped or not dropped)
        return meant and allowed and self.since <= received <= self.until


def read_incident(file: str, document: t.Any) -> Incident:
    """An incident from the JSON of its *file*, with ``tables``, ``reason``, ``from``, ``until`` and ``rows``.

    ``database`` and ``tables_dropped`` may be there too. The tables are those of the manifest: ``schema.name``; the
    times are like ``2026-11-30T00:00:00Z``. ValueError says what is wrong.
    """
    if not isinstance(document, dict):
        raise ValueError(f"the incident {file} is not a JSON object")
    unknown = sorted(document.keys() - _KEYS)
    if unknown:
        raise ValueError(f"the incident {file} holds a key that is not known: {', '.join(unknown)}")
    lacking = [key for key in _REQUIRED if key not in document]
    if lacking:
        raise ValueError(f"it lacks {' and '.join(lacking)}")
    tables = document["tables"]
    if not isinstance(tables, list) or not tables or not all(isinstance(table, str) and table for table in tables):
        raise ValueError(f"the incident {file} must have tables, a list of names such as public.measurements")
    reason, rows, database = document["reason"], document["rows"], document.get("database", "")
    if not isinstance(reason, str) or not reason.strip():
        raise ValueError(f"the incident {file} must have a reason")
    if not isinstance(database, str):
        raise ValueError(f"database in the incident {file} must be a name")
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 0:
        raise ValueError(f"rows in the incident {file} must be a number: how many each table may have lost at most")
    dropped = document.get("tables_dropped", False)
    if not isinstance(dropped, bool):
        raise ValueError(f"tables_dropped in the incident {file} must be true or false")
    since, until = (_time(file, key, document[key]) for key in ("from", "until"))
    if since >= until:
        raise ValueError(f"from in the incident {file} must be before until")
    return Incident(file, tuple(tables), reason, since, until, rows, database, dropped)


def _time(file: str, key: str, value: t.Any) -> dt.datetime:
    try:
        return read_utc(value)
    except (TypeError, ValueError):
        raise ValueError(f"{key} in the incident {file} must be a time such as 2026-11-30T00:00:00Z") from None
