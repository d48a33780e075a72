# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Incidents: small files that say why rows are gone, so that a loss that people know of is no alarm."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from .names import DumpName, read_utc

_KEYS = {"tables", "reason", "until", "database"}


@dataclasses.dataclass(frozen=True)
class Incident:
    """Why rows of *tables* are gone from the dumps received up to *until*; of every database where none is named."""

    file: str
    tables: tuple[str, ...]
    reason: str
    until: dt.datetime
    database: str = ""

    def explains(self, name: DumpName, received: dt.datetime, table: str) -> bool:
        """Whether *table* may have fewer rows in the dump *name* than in the one before."""
        return table in self.tables and self.database in ("", name.database) and received <= self.until


def read_incident(file: str, document: t.Any) -> Incident:
    """An incident from the JSON of its *file*: ``{"tables": [...], "reason": "...", "until": "2026-11-30T00:00:00Z"}``.

    ``database`` may be there too. The tables are those of the manifest: ``schema.name``. ValueError says what is wrong.
    """
    if not isinstance(document, dict):
        raise ValueError(f"the incident {file} is not a JSON object")
    unknown = sorted(document.keys() - _KEYS)
    if unknown:
        raise ValueError(f"the incident {file} holds a key that is not known: {', '.join(unknown)}")
    tables = document.get("tables")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, str) and table for table in tables):
        raise ValueError(f"the incident {file} must have tables, a list of names such as public.measurements")
    reason, until, database = (document.get(key, "") for key in ("reason", "until", "database"))
    if not isinstance(reason, str) or not reason.strip():
        raise ValueError(f"the incident {file} must have a reason")
    if not isinstance(database, str):
        raise ValueError(f"database in the incident {file} must be a name")
    try:
        end = read_utc(until)
    except (TypeError, ValueError):
        raise ValueError(f"until in the incident {file} must be a time such as 2026-11-30T00:00:00Z") from None
    return Incident(file, tuple(tables), reason, end, database)
