# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory declares: deviations that are accepted until a day, and sources that are absent for a reason."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import typing as t

from .model import Document, Finding, joined
from .registry import KINDS

_SOURCES = {kind.id for kind in KINDS}
_ID = re.compile(r"[a-z][a-z-]*-[0-9a-f]{10}")


@dataclasses.dataclass(frozen=True)
class Deviation:
    """A finding that is accepted. ``id`` is the finding's own, and with it what was seen; the day is the last.

    ``object`` is exactly the finding's, and so is ``host``, where it isn't "".
    """

    id: str
    object: str
    reason: str
    expires: dt.date
    host: str = ""

    @property
    def rule(self) -> str:
        """The rule of the finding."""
        return self.id.rpartition("-")[0]

    def covers(self, finding: Finding) -> bool:
        """Whether *finding* is the one that is meant, today or not."""
        return self.id == finding.id and self.beside(finding)

    def beside(self, finding: Finding) -> bool:
        """Whether *finding* is about the same, whatever its value."""
        same = (self.rule, self.object) == (finding.rule, finding.object)
        return same and self.host in ("", finding.host)

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
        if not _ID.fullmatch(fields["id"]):
            raise ValueError(
                f"{where}: id must be a finding's own, such as RULE-0123456789, as the report has it: a rule's would "
                "accept what nobody has seen yet"
            )
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


def read_expected(documents: t.Any) -> dict[str, Document]:
    """What ``audit_expected`` says, by the id of a source; ValueError names what of it can't be understood."""
    for source, one in _mapping(documents, "audit_expected").items():
        if source not in _SOURCES:
            raise ValueError(f"audit_expected knows no source {source}: it knows {', '.join(sorted(_SOURCES))}")
        where = f"audit_expected, {source}"
        for host, own in _mapping(_mapping(one, where).get("hosts", {}), f"{where}, hosts").items():
            _mapping(own, f"{where}, hosts, {host}")
    return dict(documents)


def of_host(own: t.Mapping[str, Document], said: t.Mapping[str, Document], host: str) -> dict[str, Document]:
    """What is expected of *host*, by source: its roles' *own*, and what ``audit_expected`` *said* beside it."""
    found: dict[str, Document] = {}
    for source in {**own, **said}:
        more = said.get(source, {})
        every = {key: value for key, value in more.items() if key != "hosts"}
        found[source] = joined(joined(every, own.get(source, {})), more.get("hosts", {}).get(host, {}))
    return found


def _mapping(value: t.Any, where: str) -> t.Mapping[str, t.Any]:
    if not isinstance(value, t.Mapping):
        raise ValueError(f"{where} must be a mapping")
    return value


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
