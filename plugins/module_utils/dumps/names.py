# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of artefacts, in UTC, and of the manifest beside each.

``DATABASE_YYYY-MM-DD-HH.MM.SS.sql.zst`` is the dump of a database, ``….globals.sql.zst`` the cluster's roles and their
settings, named by the first database of the configuration, and ``….saved.jsonl.zst`` the rows that a corrective action
has touched, as they were before. What is encrypted ends in ``.age`` too.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re

SUFFIX = ".sql.zst"
ENCRYPTED_SUFFIX = ".age"
MANIFEST_SUFFIX = ".manifest.json"
PARTIAL_SUFFIX = ".partial"
DUMP, GLOBALS, SAVED = "dump", "globals", "saved"
_SUFFIXES = {DUMP: SUFFIX, GLOBALS: f".globals{SUFFIX}", SAVED: ".saved.jsonl.zst"}
_KINDS = {suffix: kind for kind, suffix in _SUFFIXES.items()}
_STAMP = "%Y-%m-%d-%H.%M.%S"

# 63 bytes is PostgreSQL's limit for a name; a leading dash would be an option, a leading dot a hidden file.
_DATABASE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}", re.ASCII)
_NAME = re.compile(
    r"([A-Za-z0-9_][A-Za-z0-9_-]{0,62})_([0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{2}\.[0-9]{2}\.[0-9]{2})"
    r"((?:\.globals)?\.sql\.zst|\.saved\.jsonl\.zst)(\.age)?",
    re.ASCII,
)


@dataclasses.dataclass(frozen=True, order=True)
class DumpName:
    """What the name of an artefact says.

    The database (for globals: the configuration's first), the second, in UTC, in which it was started, its kind
    (`DUMP`, `GLOBALS` or `SAVED`) and whether it is encrypted.
    """

    database: str
    started: dt.datetime
    kind: str = DUMP
    encrypted: bool = False

    def __post_init__(self) -> None:
        if _DATABASE.fullmatch(self.database) is None:
            raise ValueError(
                f"the database name {self.database!r} can't be part of a file name: dumps are made of databases whose "
                "names have ASCII letters, digits, _ and - alone, at most 63 of them, and no - at the beginning"
            )
        if self.kind not in _SUFFIXES:
            raise ValueError(f"the kind {self.kind!r} is not known: it is {DUMP}, {GLOBALS} or {SAVED}")
        if self.started.utcoffset() != dt.timedelta(0):
            raise ValueError("the time in the name of a dump must be in UTC")
        if self.started.microsecond:
            object.__setattr__(self, "started", self.started.replace(microsecond=0))

    def __str__(self) -> str:
        stamp = self.started.strftime(_STAMP).rjust(19, "0")
        return f"{self.database}_{stamp}{_SUFFIXES[self.kind]}{ENCRYPTED_SUFFIX if self.encrypted else ''}"

    @property
    def artefact(self) -> str:
        """What a request calls it: the database, or `GLOBALS`; `SAVED`, which nobody requests."""
        return self.database if self.kind == DUMP else self.kind

    @property
    def manifest(self) -> str:
        """The name of the manifest beside the dump."""
        return f"{self}{MANIFEST_SUFFIX}"

    @classmethod
    def parse(cls, name: str) -> DumpName:
        """Read a name; ValueError unless it is exactly one that ``str()`` of a DumpName gives."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError(f"{_shown(name)} is not the name of a dump: DATABASE_YYYY-MM-DD-HH.MM.SS{SUFFIX}")
        try:
            started = dt.datetime.strptime(match[2], _STAMP).replace(tzinfo=dt.UTC)
        except ValueError:
            raise ValueError(f"{_shown(name)} is not the name of a dump: there is no such date or time") from None
        return cls(match[1], started, _KINDS[match[3]], match[4] is not None)


def manifest_owner(file_name: str) -> DumpName | None:
    """The dump whose manifest *file_name* is; None where it is no manifest's name."""
    if not file_name.endswith(MANIFEST_SUFFIX):
        return None
    try:
        return DumpName.parse(file_name.removesuffix(MANIFEST_SUFFIX))
    except ValueError:
        return None


def absent(name: DumpName) -> str:
    """The store's sentence about a dump that it does not have: of all its refusals the one that proves that."""
    return f"there is no dump {name} here"


def utc_text(when: dt.datetime) -> str:
    """*when* as ``2026-11-22T03:00:00Z``."""
    return when.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_utc(text: str) -> dt.datetime:
    """Read what `utc_text` writes; ValueError for anything else."""
    return dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.UTC)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 120 else text[:120] + "…")
