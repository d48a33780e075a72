# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the audit is made of: sources that were read, rules, findings. All of it is plain data that JSON can hold."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import typing as t

from ..access.audit.findings import SEVERITIES
from .promises import PROMISES

# A document of JSON: what a source says, and the report itself.
Document = dict[str, t.Any]

READ, UNREADABLE, ABSENT = "read", "unreadable", "absent"
STATES = (READ, UNREADABLE, ABSENT)
# Where what no host answers for is looked at: the controller.
CONTROLLER = "controller"


@dataclasses.dataclass(frozen=True)
class Source:
    """What one source says of one host: ``data`` where it was read, ``why`` where it was not, or not wholly."""

    id: str
    host: str
    state: str
    why: str = ""
    data: Document = dataclasses.field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """What there is one of."""
        return (self.id, self.host)


@dataclasses.dataclass(frozen=True)
class Rule:
    """A kind of finding. ``severity`` is the usual one, ``promise`` a key of PROMISES, ``mend`` what closes it."""

    id: str
    severity: str
    promise: str
    about: str
    mend: str

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES or self.promise not in PROMISES:
            raise ValueError(f"the rule {self.id} needs a severity of {SEVERITIES} and a promise of {list(PROMISES)}")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is not as the policy says.

    ``object`` is what it is about and ``who`` whose it is ("": nobody's); ``what`` the privilege, option or setting;
    ``path`` the steps by which it came about. ``evidence`` holds nothing that changes by itself, such as an age.
    ``key`` tells findings of one rule, host and object apart; the default is ``who`` and ``what``. ``value`` is what
    was seen there: an acceptance is of it alone, and holds no more where it is another; the default is the evidence,
    which may be too short for it. ``severity``, ``mend`` and ``promise`` are the rule's own where they are "".
    """

    rule: str
    host: str
    object: str
    evidence: str
    who: str = ""
    what: str = ""
    path: tuple[str, ...] = ()
    severity: str = ""
    mend: str = ""
    key: str = ""
    promise: str = ""
    value: str | None = None

    @property
    def id(self) -> str:
        """The same for the same hole in every run: the rule, and a digest of where and whose it is, and how bad."""
        value = self.evidence if self.value is None else self.value
        text = "\0".join((self.rule, self.host, self.object, self.key or f"{self.who}\0{self.what}", value))
        return f"{self.rule}-{hashlib.sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()[:10]}"


@dataclasses.dataclass(frozen=True)
class Expected:
    """What a judge holds a source against: what the inventory says of it, and the time of the run."""

    values: t.Mapping[str, t.Any]
    now: dt.datetime

    def get(self, name: str, default: t.Any = None) -> t.Any:
        """What the inventory says under *name*."""
        return self.values.get(name, default)

    def of(self, host: str) -> Expected:
        """What is expected of *host*: what is said of all, and what stands under ``hosts`` by its name."""
        return Expected(joined(self.values, self.get("hosts", {}).get(host, {})), self.now)


def joined(one: t.Any, other: t.Any) -> t.Any:
    """Both: mappings by their keys, lists one after the other; of anything else it is the *other*."""
    if isinstance(one, t.Mapping) and isinstance(other, t.Mapping):
        return {**one, **{key: joined(one[key], value) if key in one else value for key, value in other.items()}}
    if isinstance(one, list) and isinstance(other, list):
        return [*one, *(value for value in other if value not in one)]
    return other


# A source's data and what is expected, judged. Nothing is read here; ValueError where the data can't be understood.
Judge = t.Callable[[Source, Expected], t.Iterable[Finding]]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of source: ``groups`` are those of the inventory whose hosts must have one, ``rules`` what it can find.

    ``of_host``: it is a part of ``host_access_info``'s answer. ``partial``: what an unreadable one could see all the
    same is judged, too.
    """

    id: str
    title: str
    groups: tuple[str, ...]
    judge: Judge
    rules: tuple[Rule, ...]
    of_host: bool = False
    partial: bool = False


def read_source(document: t.Any) -> Source:
    """A source as a task hands it over; ValueError where it is none."""
    if not isinstance(document, dict):
        raise ValueError("a source must be a mapping with id, host and state")
    unknown = sorted(map(str, document.keys() - {"id", "host", "state", "why", "data"}))
    if unknown:
        raise ValueError(f"a source has a key that is not known, {', '.join(unknown)}: what it says belongs into data")
    lacking = [key for key in ("id", "host", "state") if not isinstance(document.get(key), str) or not document[key]]
    if lacking:
        raise ValueError(f"a source lacks {' and '.join(lacking)}")
    name = f"the source {document['id']} of {document['host']}"
    if document["state"] not in STATES:
        raise ValueError(f"{name} is {document['state']}: write {', '.join(STATES)}")
    why, data = document.get("why") or "", document.get("data") or {}
    if not isinstance(why, str) or not isinstance(data, dict):
        raise ValueError(f"{name} must have a sentence in why and a mapping in data")
    if document["state"] != READ and not why.strip():
        raise ValueError(f"{name} is {document['state']} and does not say why")
    return Source(document["id"], document["host"], document["state"], why, data)
