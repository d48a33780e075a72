# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame around the judges: what every host must have been asked, what was found, what of it is accepted."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ..access.audit.findings import SEVERITIES
from . import grid, history, topology
from .declared import Absence, Deviation, read_expected
from .model import ABSENT, CONTROLLER, READ, UNREADABLE, Document, Expected, Finding, Kind, Rule, Source
from .registry import KINDS, OWN_RULES, rules

OWN_IDS = {rule.id for rule in OWN_RULES}
UNREAD = "source-unreadable"
# Of these a host may say that it has none: a container's clock is its machine's, and Grafana may be none's wish.
# All else is absent where the inventory says so.
OF_THEMSELVES = ("clock", "dashboards")
# By its id every rule, with the id of its source.
Known = t.Mapping[str, tuple[str, Rule]]
# What an answer that is not what its module says can raise in a judge.
STRANGE = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)
# So many ids stand in one evidence.
MOST_IDS = 3


@dataclasses.dataclass(frozen=True)
class Host:
    """A host of the inventory, by its name; ``groups`` say which sources it must have."""

    name: str
    groups: tuple[str, ...]
    address: str = ""


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What of one source is drawn: connections, access matrices, histories of dumps."""

    links: tuple[Document, ...] = ()
    access: tuple[Document, ...] = ()
    dumps: tuple[Document, ...] = ()


@dataclasses.dataclass(frozen=True)
class Judged:
    """What came of it: findings, the worst first; accepted ones with their deviation; every source that was due."""

    findings: tuple[Finding, ...]
    accepted: tuple[tuple[Finding, Deviation], ...]
    sources: tuple[Source, ...]
    kinds: tuple[Kind, ...]
    drawn: tuple[Drawn, ...]

    @property
    def unread(self) -> bool:
        """Whether something could not be looked at."""
        return any(source.state == UNREADABLE for source in self.sources)


def judge(
    sources: t.Iterable[Source],
    hosts: t.Sequence[Host],
    *,
    now: dt.datetime,
    expected: t.Mapping[str, t.Mapping[str, t.Any]],
    absences: t.Sequence[Absence] = (),
    deviations: t.Sequence[Deviation] = (),
    kinds: tuple[Kind, ...] = KINDS,
) -> Judged:
    """Judge all *sources* of *hosts*, as of *now*; *expected* is by the source's id.

    A source that a host's groups ask for and that nobody handed over counts as unreadable. ValueError where one is
    not known, is there twice, or is of a host that isn't, and where a deviation would accept what was not seen.
    """
    known = rules(kinds)
    for one in deviations:
        if one.id in OWN_IDS or one.rule in OWN_IDS:
            raise ValueError(f"audit_accepted can't hold {one.id}: what was not seen can't be accepted, only mended")
    expected = read_expected(expected)
    due = _due(sources, hosts, absences, kinds)
    by_id = {kind.id: kind for kind in kinds}
    found: list[Finding] = []
    seen: list[Source] = []
    drawn: list[Drawn] = []
    for source in due:
        judged, said, picture = _judged(by_id[source.id], source, Expected(expected.get(source.id, {}), now), known)
        seen.append(judged)
        drawn.append(picture)
        found += said
    found += [_whole(one, known) for one in _unused_absences(absences, seen)]
    kept, accepted = _sorted_out(found, deviations, now.date())
    kept += [_whole(one, known) for one in _about(deviations, found, now.date(), seen, known)]
    return Judged(
        ordered(kept), tuple(sorted(accepted, key=lambda one: _rank(one[0]))), tuple(seen), kinds, tuple(drawn)
    )


def ordered(findings: t.Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first, then by name; each once."""
    return tuple(sorted({one.id: one for one in findings}.values(), key=_rank))


def _rank(one: Finding) -> tuple[int, str, str, str, str, str]:
    return (-SEVERITIES.index(one.severity), one.rule, one.host, one.object, one.who, one.id)


def _due(
    sources: t.Iterable[Source], hosts: t.Sequence[Host], absences: t.Sequence[Absence], kinds: tuple[Kind, ...]
) -> list[Source]:
    """Every source in the order of *kinds*; one that is asked for and wasn't handed over is absent or unreadable."""
    given: dict[tuple[str, str], Source] = {}
    names = {kind.id for kind in kinds}
    there = {host.name for host in hosts} | {CONTROLLER}
    for source in sources:
        if source.id not in names:
            raise ValueError(f"the audit knows no source {source.id}: it knows {', '.join(sorted(names))}")
        if source.host not in there:
            raise ValueError(f"the source {source.id} is of {source.host}, which is none of the hosts")
        if source.key in given:
            raise ValueError(f"the source {source.id} of {source.host} was handed over twice")
        given[source.key] = source
    due = []
    for kind in kinds:
        asked = {host.name for host in hosts if set(kind.groups) & set(host.groups)}
        asked |= {CONTROLLER} if CONTROLLER in kind.groups else set()
        asked |= {host for id_, host in given if id_ == kind.id}
        nobody = f"no host is in {' or '.join(kind.groups)}, so that nobody was asked"
        for name in sorted(asked) or ([CONTROLLER] if kind.groups else []):
            source = given.get((kind.id, name)) or _unread(kind.id, name, "nobody looked" if asked else nobody)
            reason = next((one.reason for one in absences if one.covers(kind.id, name)), "")
            if source.state == ABSENT and kind.id not in OF_THEMSELVES:
                source = _unread(kind.id, name, f"it says itself that it is absent ({source.why})")
            # What was read is judged, whatever is declared.
            absent = dataclasses.replace(source, state=ABSENT, why=reason)
            due.append(absent if reason and source.state != READ else source)
    return due


def _unread(id_: str, host: str, why: str) -> Source:
    return Source(id_, host, UNREADABLE, why)


def _judged(kind: Kind, source: Source, expected: Expected, known: Known) -> tuple[Source, list[Finding], Drawn]:
    """The source as it counts, its findings and pictures: data that can't be understood was not read."""
    if source.state == READ:
        try:
            said, drawn = [_plain(one) for one in kind.judge(source, expected)], _drawn(source)
        except KeyError as error:
            source = dataclasses.replace(source, state=UNREADABLE, why=f"its answer lacks {error.args[0]}")
        except STRANGE as error:
            source = dataclasses.replace(source, state=UNREADABLE, why=f"its answer can't be understood: {error}")
        else:
            return source, [_whole(one, known) for one in said], drawn
    if source.state == UNREADABLE:
        evidence = f"{kind.title} of {source.host} could not be looked at: {source.why}"
        # The reason may be another one in each run: it is the same hole.
        one = Finding(UNREAD, source.host, f"source {source.id}", evidence, value="")
        return source, [_whole(each, known) for each in (one, *_partly(kind, source, expected))], Drawn()
    return source, [_whole(each, known) for each in _partly(kind, source, expected)], Drawn()


def _partly(kind: Kind, source: Source, expected: Expected) -> list[Finding]:
    """What a source that was not read wholly has seen; nothing where that can't be understood."""
    if not kind.partial or not source.data:
        return []
    try:
        return [_plain(one) for one in kind.judge(source, expected)]
    except STRANGE:
        return []


def _plain(one: Finding) -> Finding:
    """A finding as the reports need it: text throughout; TypeError or ValueError where an answer has made another."""
    held = dataclasses.asdict(one)
    texts = [*held.pop("path"), *(value for name, value in held.items() if (name, value) != ("value", None))]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"what it says of {one.rule} is no text")
    if one.severity and one.severity not in SEVERITIES:
        raise ValueError(f"the finding {one.id} has the severity {one.severity}: {', '.join(SEVERITIES)} are known")
    return one


def _drawn(source: Source) -> Drawn:
    access: list[Document] = []
    if source.id == "access":
        # Where there is much, the matrix is made on the host and handed over whole.
        given = source.data.get("grid")
        access = [grid.read(one) for one in (grid.grids(source.data) if given is None else given)]
    return Drawn(
        tuple(topology.links(source)),
        tuple({"host": source.host, **one} for one in access),
        tuple(history.histories(source)),
    )


def _whole(one: Finding, known: Known) -> Finding:
    """The finding with its rule's severity, remedy and sentence of the policy where it has none of its own."""
    if one.rule not in known:
        raise ValueError(f"a judge has found {one.rule}, which is no rule of its source")
    rule = known[one.rule][1]
    own = {key: getattr(one, key) or getattr(rule, key) for key in ("severity", "mend", "promise")}
    return dataclasses.replace(one, **own)


def _unused_absences(absences: t.Sequence[Absence], seen: t.Sequence[Source]) -> t.Iterator[Finding]:
    for one in absences:
        if not any(one.covers(*source.key) and source.state == ABSENT for source in seen):
            there = any(one.covers(*source.key) for source in seen)
            why = "it was read" if there else "no host is asked for it"
            evidence = f"{one.source} is declared absent, and {why}"
            yield Finding("unused-absence", one.host or CONTROLLER, f"source {one.source}", evidence)


def _sorted_out(
    found: t.Iterable[Finding], deviations: t.Sequence[Deviation], today: dt.date
) -> tuple[list[Finding], list[tuple[Finding, Deviation]]]:
    """What counts, and what is accepted today."""
    kept: list[Finding] = []
    accepted: list[tuple[Finding, Deviation]] = []
    for one in ordered(found):
        own = one.rule in OWN_IDS
        by = None if own else next((each for each in deviations if each.covers(one) and not each.over(today)), None)
        if by is None:
            kept.append(one)
        else:
            accepted.append((one, by))
    return kept, accepted


def _about(
    deviations: t.Sequence[Deviation],
    found: t.Sequence[Finding],
    today: dt.date,
    seen: t.Sequence[Source],
    known: Known,
) -> t.Iterator[Finding]:
    """Findings on the deviations themselves."""
    for one in deviations:
        where = one.host or CONTROLLER
        about = f"deviation {one.id} on {one.object}"
        if one.over(today):
            evidence = f"{one.id} on {one.object} was accepted until {one.expires}: {one.reason}"
            yield Finding("expired-deviation", where, about, evidence)
        elif not any(one.covers(each) for each in found) and not _unknowable(one, seen, known):
            instead = " and ".join(sorted(each.id for each in found if one.beside(each))[:MOST_IDS])
            there = f"what is there now is another, {instead}" if instead else "nothing like it was found"
            evidence = f"{one.id} on {one.object} is accepted until {one.expires}, and {there}"
            yield Finding("unused-deviation", where, about, evidence)


def _unknowable(one: Deviation, seen: t.Sequence[Source], known: Known) -> bool:
    """Whether the source that would say so was not read: then nobody knows whether the deviation is still there."""
    if one.rule not in known:
        return False
    asked = [each for each in seen if each.id == known[one.rule][0] and one.host in ("", each.host)]
    return any(each.state == UNREADABLE for each in asked)
