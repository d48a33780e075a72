# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory declares: deviations that are accepted until a day, and sources that are absent for a reason."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from .model import Document, Finding


@dataclasses.dataclass(frozen=True)
class Deviation:
    """A finding that is accepted. ``id`` is the finding's own, or its rule's; ``host`` "" is any; the day is the last.

    ``object`` is exactly the finding's.
    """

    id: str
    object: str
    reason: str
    expires: dt.date
    host: str = ""

    def covers(self, finding: Finding) -> bool:
        """Whether *finding* is the one that is meant, today or not."""
        named = self.id in (finding.id, finding.rule)
        return named and self.object == finding.object and self.host in ("", finding.host)

    def over(self, today: dt.date) -> bool:
        """Whether its last day is over."""
        return today > self.expires

    def document(self) -> Document:
        """It as JSON has it."""
        return {"id": self.id, "object": self.object, "reason": self.reason, "expires": self.expires.isoformat()}


@dataclasses.dataclass(frozen=True)
class Absence:
    """A source that is not there, on ``host`` ("": on any), and why that is so."""

    source: str
    reason: str
    host: str = ""

    def covers(self, source: str, host: str) -> bool:
        """Whether the source of that host is meant."""
        return self.source == source and self.host in ("", host)


def read_deviations(documents: t.Any) -> tuple[Deviation, ...]:
    """What ``audit_accepted`` says; ValueError names the entry that is wrong and why."""
    found = []
    for number, one in enumerate(_listed(documents, "audit_accepted"), 1):
        where = f"audit_accepted, entry {number}"
        fields = _fields(one, where, required=("id", "object", "reason", "expires"))
        try:
            expires = dt.date.fromisoformat(fields["expires"])
        except ValueError:
            raise ValueError(f"{where}: expires must be a day such as 2027-01-31, its last one") from None
        found.append(Deviation(fields["id"], fields["object"], fields["reason"], expires, fields["host"]))
    return tuple(found)


def read_absences(documents: t.Any) -> tuple[Absence, ...]:
    """What ``audit_absent`` says; ValueError names the entry that is wrong and why."""
    found = []
    for number, one in enumerate(_listed(documents, "audit_absent"), 1):
        fields = _fields(one, f"audit_absent, entry {number}", required=("source", "reason"))
        found.append(Absence(fields["source"], fields["reason"], fields["host"]))
    return tuple(found)


def _listed(documents: t.Any, name: str) -> list[t.Any]:
    if not isinstance(documents, list):
        raise ValueError(f"{name} must be a list")
    return documents


def _fields(one: t.Any, where: str, *, required: t.Sequence[str]) -> dict[str, str]:
    """The entry's texts by key, ``host`` among them."""
    if not isinstance(one, dict):
        raise ValueError(f"{where} must be a mapping with {', '.join(required)}")
    unknown = sorted(map(str, one.keys() - {*required, "host"}))
    if unknown:
        raise ValueError(f"{where}: {', '.join(unknown)} is not known; write {', '.join((*required, 'host'))}")
    # YAML reads a day as a date.
    texts = {key: one[key].isoformat() if isinstance(one[key], dt.date) else one[key] for key in one}
    lacking = [key for key in required if not isinstance(texts.get(key), str) or not texts[key].strip()]
    if lacking:
        raise ValueError(f"{where} lacks {' and '.join(lacking)}")
    if not isinstance(texts.get("host", ""), str):
        raise ValueError(f"{where}: host must be a name of the inventory")
    return {"host": "", **texts}
