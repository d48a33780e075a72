# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one document of JSON, of which all others are made. docs/audit-report.schema.json says what is in it.

Nothing outside ``run`` changes by itself: two runs over an unchanged estate differ there alone.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ..access.audit.findings import SEVERITIES, at_least
from . import difference
from .frame import UNREAD, Host, Judged
from .model import ABSENT, READ, STATES, UNREADABLE, Document, Finding, Rule
from .promises import PROMISES
from .registry import OWN, rules

SCHEMA = 1
# The exit statuses: nothing at or above the limit, something, something could not be looked at.
CLEAN, FOUND, UNSEEN = 0, 2, 3


def status(judged: Judged, fail_on: str) -> int:
    """The exit status. What was found for certain stands before what could not be looked at."""
    bad = at_least(fail_on)
    if any(one.severity in bad and one.rule != UNREAD for one in judged.findings):
        return FOUND
    return UNSEEN if judged.unread else CLEAN


def report(
    judged: Judged, hosts: t.Sequence[Host], *, now: dt.datetime, fail_on: str, last: Document | str | None
) -> Document:
    """The document. *last* is that of the last run; a sentence says why there is none, None that there never was."""
    known = rules(judged.kinds)
    findings = [_finding(one, known) for one in judged.findings]
    accepted = [{**_finding(one, known), "accepted": by.document()} for one, by in judged.accepted]
    document: Document = {
        "schema": SCHEMA,
        "run": {"at": now.strftime("%Y-%m-%dT%H:%M:%SZ")},
        "status": status(judged, fail_on),
        "fail_on": fail_on,
        "summary": _summary(judged),
        "promises": _promises(judged),
        "findings": findings,
        "accepted": accepted,
        "sources": _sources(judged),
        "rules": _rules(judged),
        "hosts": [dataclasses.asdict(one) | {"groups": sorted(one.groups)} for one in sorted(hosts, key=_name)],
        "links": _links(judged, hosts),
        "access": [one for drawn in judged.drawn for one in drawn.access],
        "dumps": [one for drawn in judged.drawn for one in drawn.dumps],
    }
    _linked(document["access"], judged)
    document["run"]["since"] = difference.since(last, document)
    return document


def _name(host: Host) -> str:
    return host.name


def _links(judged: Judged, hosts: t.Sequence[Host]) -> list[Document]:
    """Who reaches what, where an address that is a host's stands for that host."""
    names = {one.address: one.name for one in hosts if one.address}
    return [{**one, "from": names.get(one["from"], one["from"])} for drawn in judged.drawn for one in drawn.links]


def _linked(access: t.Iterable[Document], judged: Judged) -> None:
    """Give what is too much in the matrices the ids of this report's findings, in the place of the module's own."""
    found = [*judged.findings, *(one for one, _by in judged.accepted)]
    ids = {(one.host, one.key): one.id for one in found if one.key}
    for matrix in access:
        for way in matrix["ways"]:
            way["excess"] = {
                word: [ids.get((matrix["host"], id_), id_) for id_ in listed] for word, listed in way["excess"].items()
            }


def _finding(one: Finding, known: t.Mapping[str, tuple[str, Rule]]) -> Document:
    source = known[one.rule][0]
    return {
        "id": one.id,
        "severity": one.severity,
        "rule": one.rule,
        "promise": one.promise,
        "source": source,
        "host": one.host,
        "object": one.object,
        "who": one.who,
        "what": one.what,
        "evidence": one.evidence,
        "path": list(one.path),
        "mend": one.mend,
    }


def _summary(judged: Judged) -> Document:
    counts = {severity: sum(one.severity == severity for one in judged.findings) for severity in reversed(SEVERITIES)}
    states = {state: sum(one.state == state for one in judged.sources) for state in STATES}
    return {"findings": counts, "accepted": len(judged.accepted), "sources": states}


def _sources(judged: Judged) -> list[Document]:
    titles = {kind.id: kind.title for kind in judged.kinds}
    return [
        {"id": one.id, "title": titles[one.id], "host": one.host, "state": one.state, "why": one.why}
        for one in judged.sources
    ]


def _rules(judged: Judged) -> list[Document]:
    """Every rule with what came of it: ``found``, ``kept``, ``unreadable``, ``absent``, or ``not asked``."""
    found = {one.rule for one in judged.findings}
    states: dict[str, set[str]] = {OWN: {READ}}
    for one in judged.sources:
        states.setdefault(one.id, set()).add(one.state)
    return [
        {
            "id": rule.id,
            "source": source,
            "severity": rule.severity,
            "promise": rule.promise,
            "about": rule.about,
            "mend": rule.mend,
            "result": "found" if rule.id in found else _result(states.get(source, set())),
        }
        for source, rule in rules(judged.kinds).values()
    ]


def _result(states: set[str]) -> str:
    if not states:
        return "not asked"
    if UNREADABLE in states:
        return UNREADABLE
    return "kept" if READ in states else ABSENT


def _promises(judged: Judged) -> list[Document]:
    """Each sentence of the policy with how many findings are against it, and whether all of its rules were asked."""
    listed = _rules(judged)
    # On one host is enough: then the sentence is not wholly seen, whatever was found elsewhere.
    unread = {one.id for one in judged.sources if one.state == UNREADABLE}
    said = []
    for id_, sentence in PROMISES.items():
        own = [one for one in listed if one["promise"] == id_]
        said.append(
            {
                "id": id_,
                "sentence": sentence,
                "findings": sum(one.promise == id_ for one in judged.findings),
                "accepted": sum(one.promise == id_ for one, _by in judged.accepted),
                "rules": len(own),
                "unread": sum(one["source"] in unread for one in own),
                "asked": sum(one["result"] in ("found", "kept") for one in own),
            }
        )
    return said
