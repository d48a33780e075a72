# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the archive is as it should be: ok, warning or critical, and a sentence for each thing that is not.

Only archived dumps with a right signature count, by the time at which the store received them. Under this policy no
table shrinks by itself: rows that are gone are an alarm until an incident's file says why, or `Limits.look_back_days`
are over.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import typing as t

from . import finding as about
from .finding import Finding, Level
from .incidents import Incident
from .manifest import Manifest
from .names import DUMP, GLOBALS, SAVED, DumpName, read_utc, utc_text

# A clock may be corrected by so much without a word.
CLOCK_STEP = dt.timedelta(hours=1)
# A dump takes less, from its start to its arrival.
ON_THE_WAY = dt.timedelta(hours=24)
# The next dump is expected to be so much of the last one, as it is where dumps come in.
GROWTH = (6, 5)
# Of what one dump lost against the one before, so many tables are named.
NAMED = 20


# A database, a kind, and the host whose dumps they are.
Key = tuple[str, str, str]


@dataclasses.dataclass(frozen=True)
class Limits:
    """What is expected: ``databases`` that must have dumps (those that have one are judged too), and how fresh.

    Hours and days with ``warning`` and ``critical`` are the age from which it is said so; 0 verified days: not asked.
    """

    # The metadata are config.MAY_BE_EMPTY, which reads files and so is not imported here.
    databases: tuple[str, ...] = dataclasses.field(default=(), metadata={"empty": True})
    globals_too: bool = True
    archived_warning_hours: int = 26
    archived_critical_hours: int = 50
    verified_warning_days: int = 8
    verified_critical_days: int = 15
    drop_percent: int = 50
    look_back_days: int = 7
    quota_warning_percent: int = 80
    waiting_warning_minutes: int = 60
    waiting_critical_hours: int = 12
    incident_longest_days: int = 31


@dataclasses.dataclass(frozen=True)
class Dump:
    """An archived dump with a right signature. ``tables``: rows by table; ``verified``: a drill of it went well.

    ``drilled``: when a drill of it ended, however it did; None where none has. ``signer``: the host that signed it.
    """

    name: DumpName
    received: dt.datetime
    bytes: int
    raw_bytes: int
    tables: t.Mapping[str, int]
    verified: bool = False
    drilled: dt.datetime | None = None
    signer: str = ""

    @classmethod
    def of(cls, manifest: Manifest, *, signer: str, verified: bool = False, drilled: dt.datetime | None = None) -> Dump:
        """The dump of a *manifest*, and what else was found out about it."""
        trailer = manifest.trailer
        return cls(
            name=trailer.name,
            received=read_utc(manifest.received),
            bytes=trailer.bytes,
            raw_bytes=trailer.raw_bytes,
            tables={name: table.rows for name, table in trailer.tables.items()},
            verified=verified,
            drilled=drilled,
            signer=signer,
        )


@dataclasses.dataclass(frozen=True)
class Space:
    """Bytes: what the dumps take, what they may (0: no quota), what the disk has free, what must stay free."""

    used: int
    quota: int
    free: int
    reserve: int


@dataclasses.dataclass(frozen=True)
class Archive:
    """What was found. ``wrong``: sentences about files that are unsigned, foreign, cut; ``odd``: less than that.

    ``waiting``: what has arrived, by its time of arrival, and was not archived yet.
    """

    dumps: tuple[Dump, ...]
    space: Space
    incidents: tuple[Incident, ...] = ()
    wrong: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()
    waiting: tuple[tuple[str, dt.datetime], ...] = ()


@dataclasses.dataclass(frozen=True)
class Group:
    """The figures of one host's dumps of a database, or of its globals; None where there is no such dump.

    ``several``: other hosts have dumps of a database with this name too.
    """

    database: str
    kind: str
    number: int
    archived: Dump | None
    verified: Dump | None
    drilled: Dump | None = None
    signer: str = ""
    several: bool = False


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The judgement, worst findings first."""

    at: dt.datetime
    findings: tuple[Finding, ...]
    groups: tuple[Group, ...]
    space: Space

    @property
    def level(self) -> Level:
        return max((finding.level for finding in self.findings), default=Level.OK)

    def document(self) -> dict[str, t.Any]:
        """The verdict for JSON."""
        return {
            "level": str(self.level),
            "at": utc_text(self.at),
            "findings": [one.document() for one in self.findings],
            "groups": [
                {
                    "database": group.database,
                    "kind": group.kind,
                    "signer": group.signer,
                    "dumps": group.number,
                    "archived": _shown(group.archived),
                    "verified": _shown(group.verified),
                }
                for group in self.groups
            ],
            "space": dataclasses.asdict(self.space),
        }


def judge(archive: Archive, limits: Limits, now: dt.datetime) -> Verdict:
    """Judge what was found in the *archive*."""
    dumps = sorted(archive.dumps, key=lambda dump: (dump.received, dump.name))
    groups = []
    findings: list[Finding] = []
    expected = _expected(dumps, limits)
    for key in expected:
        every = [dump for dump in dumps if _key(dump) == key]
        # Under a clock that was ahead: as the newest one it would hide for how long none has come.
        mine = [dump for dump in every if dump.received <= now + CLOCK_STEP]
        group = _group(key, mine, several=sum(other[:2] == key[:2] for other in expected) > 1)
        groups.append(group)
        findings += _age(group, limits, now)
        findings += _ahead(group, every[len(mine) :])
        findings += _replays(mine, limits, now)
        if group.kind == DUMP:
            findings += _drill(group, mine, limits, now)
            findings += _losses(mine, archive.incidents, limits, now)
    if not groups:
        findings.append(Finding(Level.CRITICAL, "there is no archived dump at all", about=about.MISSING))
    findings += _space(archive.space, groups, limits)
    findings += _waiting(archive.waiting, limits, now)
    findings += [Finding(Level.CRITICAL, sentence) for sentence in archive.wrong]
    findings += [Finding(Level.WARNING, sentence) for sentence in archive.odd]
    findings += _incidents(archive.incidents, limits, now)
    findings.sort(key=lambda finding: -finding.level)
    return Verdict(now, tuple(findings), tuple(groups), archive.space)


def _key(dump: Dump) -> Key:
    return dump.name.database, dump.name.kind, dump.signer


def _expected(dumps: t.Iterable[Dump], limits: Limits) -> list[Key]:
    """Databases, kinds and signers to judge: what is asked for first, of whoever has it, then what else is there."""
    wanted = [(database, DUMP) for database in limits.databases]
    if limits.globals_too and limits.databases:
        wanted.insert(0, (limits.databases[0], GLOBALS))
    # Rows are saved when something is mended, and not each night.
    found = sorted({_key(dump) for dump in dumps if dump.name.kind != SAVED})
    asked = [[key for key in found if key[:2] == one] or [(*one, "")] for one in wanted]
    return list(dict.fromkeys([*itertools.chain(*asked), *found]))


def _group(key: Key, mine: list[Dump], *, several: bool) -> Group:
    """The figures of dumps given oldest first."""
    database, kind, signer = key
    verified = [dump for dump in mine if dump.verified]
    drilled = max((dump for dump in mine if dump.drilled), key=lambda dump: str(dump.drilled), default=None)
    archived = mine[-1] if mine else None
    return Group(database, kind, len(mine), archived, verified[-1] if verified else None, drilled, signer, several)


def _age(group: Group, limits: Limits, now: dt.datetime) -> t.Iterator[Finding]:
    what = _what(group)
    newest = group.archived
    if newest is None:
        yield Finding(
            Level.CRITICAL, f"{what}: there is no archived dump", f"none {what}", about.MISSING, _where(group)
        )
        return
    age = now - newest.received
    level = _step(
        age, dt.timedelta(hours=limits.archived_warning_hours), dt.timedelta(hours=limits.archived_critical_hours)
    )
    if level:
        sentence = f"{what}: the newest archived dump is {_span(age)} old: {newest.name}"
        steady = f"{what}: the newest archived dump is too old: {newest.name}"
        yield Finding(level, sentence, f"old {what}", about.OLD, _where(group), steady)


def _ahead(group: Group, dumps: list[Dump]) -> t.Iterator[Finding]:
    """Dumps received later than now."""
    if dumps:
        yield Finding(
            Level.WARNING,
            f"{_what(group)}: {len(dumps)} dumps were received in the future by this clock, so they count for nothing "
            f"(the last, {dumps[-1].name}, at {utc_text(dumps[-1].received)}): its clock was wrong then, or is now",
            about=about.AHEAD,
            where=_where(group),
        )


def _drill(group: Group, dumps: list[Dump], limits: Limits, now: dt.datetime) -> t.Iterator[Finding]:
    """The age of the newest dump that a drill has verified; before there was a first one, that of the oldest dump."""
    if not limits.verified_warning_days or not dumps:
        return
    newest = group.verified
    age = now - (newest or dumps[0]).received
    level = _step(
        age, dt.timedelta(days=limits.verified_warning_days), dt.timedelta(days=limits.verified_critical_days)
    )
    if level and newest is not None:
        sentence = f"{_what(group)}: the newest verified dump is {_span(age)} old: {newest.name}"
        steady = f"{_what(group)}: the newest verified dump is too old: {newest.name}"
        yield Finding(level, sentence, f"verified {_what(group)}", about.UNVERIFIED, _where(group), steady)
    elif level:
        sentence = f"{_what(group)}: there are dumps since {_span(age)}, and none of them was verified"
        steady = f"{_what(group)}: there are dumps for too long, and none of them was verified"
        yield Finding(level, sentence, f"unverified {_what(group)}", about.UNVERIFIED, _where(group), steady)


def _replays(dumps: list[Dump], limits: Limits, now: dt.datetime) -> t.Iterator[Finding]:
    """An old dump that is sent again has a right signature, and would seem fresh."""
    start = now - dt.timedelta(days=limits.look_back_days)
    for dump in dumps:
        late = dump.received - dump.name.started
        if (dump.received >= start or dump is dumps[-1]) and not -CLOCK_STEP <= late <= ON_THE_WAY:
            yield Finding(
                Level.CRITICAL,
                f"{dump.name} was received at {utc_text(dump.received)}, which its own time does not fit: an old dump "
                "was sent again, or a clock is wrong",
                about=about.REPLAYED,
                where=f"dump {dump.name}",
            )


def _losses(
    dumps: list[Dump], incidents: tuple[Incident, ...], limits: Limits, now: dt.datetime
) -> t.Iterator[Finding]:
    """What a dump lost against the one before it, for each dump of the last days."""
    start = now - dt.timedelta(days=limits.look_back_days)
    for before, dump in itertools.pairwise(dumps):
        # The newest is looked at however old it is.
        if dump.received < start and dump is not dumps[-1]:
            continue
        fallen = sorted(table for table, rows in before.tables.items() if dump.tables.get(table, -1) < rows)
        said = {table: _saying(table, before, dump, incidents) for table in fallen}
        unsaid = [table for table in fallen if not said[table]]
        where = f"{dump.name.database}: in {dump.name}, against {before.name} before it,"
        lost = [f"{_loss(table, before, dump)}, and no incident says why" for table in unsaid[:NAMED]]
        if len(unsaid) > NAMED:
            lost.append(f"{len(unsaid) - NAMED} more tables lost rows or are missing")
        # Where all that shrank was said, the size may be said with it.
        explained = fallen and not unsaid and any(one.tables_dropped for found in said.values() for one in found)
        if dump.raw_bytes * 100 < before.raw_bytes * (100 - limits.drop_percent) and not explained:
            sizes = f"from {before.raw_bytes} to {dump.raw_bytes} bytes"
            lost.append(f"the text shrank {sizes}, by more than {limits.drop_percent} %")
        for what in lost:
            yield Finding(Level.CRITICAL, f"{where} {what}", about=about.LOST, where=f"dump {dump.name}")


def _saying(table: str, before: Dump, dump: Dump, incidents: tuple[Incident, ...]) -> list[Incident]:
    """The incidents that say why *table* has lost what it has lost."""
    lost, dropped = before.tables[table] - dump.tables.get(table, 0), table not in dump.tables
    return [one for one in incidents if one.explains(dump.name, dump.received, table, lost, dropped=dropped)]


def _loss(table: str, before: Dump, dump: Dump) -> str:
    if table not in dump.tables:
        return f"the table {table} is missing (it had {before.tables[table]} rows)"
    return f"the table {table} went from {before.tables[table]} to {dump.tables[table]} rows"


def _space(space: Space, groups: list[Group], limits: Limits) -> t.Iterator[Finding]:
    """What is full, or will be with the next dump of each group."""
    coming = sum(group.archived.bytes for group in groups if group.archived) * GROWTH[0] // GROWTH[1]
    if space.quota:
        taken = f"the dumps take {space.used} of the {space.quota} bytes that they may"
        if space.used >= space.quota:
            steady = "the dumps take all the room that they may: no more are taken in"
            yield _full(Level.CRITICAL, f"{taken}: no more are taken in", "quota", steady)
        elif space.used + coming > space.quota:
            sentence = f"{taken}, and the next ones may have {coming}: there is no room for them"
            steady = "the next dumps have no room in what the dumps may take"
            yield _full(Level.WARNING, sentence, "quota for the next", steady)
        elif space.used * 100 >= space.quota * limits.quota_warning_percent:
            steady = f"the dumps take {limits.quota_warning_percent} % or more of what they may"
            yield _full(Level.WARNING, taken, "quota", steady)
    free = f"{space.free} bytes are free, and {space.reserve} are held in reserve"
    if space.free < space.reserve:
        steady = "less is free than is held in reserve: no more dumps are taken in"
        yield _full(Level.CRITICAL, f"{free}: no more are taken in", "free", steady)
    elif space.free < space.reserve + 2 * coming:
        # A dump is there twice until the archive has its copy.
        sentence = (
            f"{free}, and the next dumps may need {2 * coming} until they are archived: there is no room for them"
        )
        yield _full(Level.WARNING, sentence, "free for the next", "the next dumps have no room in what is free")


def _full(level: Level, sentence: str, key: str, steady: str) -> Finding:
    return Finding(level, sentence, key, about.ROOM, steady=steady)


def _waiting(waiting: tuple[tuple[str, dt.datetime], ...], limits: Limits, now: dt.datetime) -> t.Iterator[Finding]:
    for name, since in waiting:
        age = now - since
        level = _step(
            age, dt.timedelta(minutes=limits.waiting_warning_minutes), dt.timedelta(hours=limits.waiting_critical_hours)
        )
        if level:
            sentence = f"{name} arrived {_span(age)} ago and is not archived: does the archiver run?"
            steady = f"{name} arrived and is not archived: does the archiver run?"
            yield Finding(level, sentence, f"waiting {name}", about.WAITING, f"dump {name}", steady)


def _incidents(incidents: tuple[Incident, ...], limits: Limits, now: dt.datetime) -> t.Iterator[Finding]:
    """An incident without an end would be an alarm that is switched off."""
    for incident in incidents:
        if incident.until - now > dt.timedelta(days=limits.incident_longest_days):
            yield Finding(
                Level.WARNING,
                f"the incident {incident.file} excuses losses until {utc_text(incident.until)}, more than "
                f"{limits.incident_longest_days} days from now: give it a nearer end",
                about=about.EXCUSE,
                where=f"incident {incident.file}",
            )


def _step(age: dt.timedelta, warning: dt.timedelta, critical: dt.timedelta) -> Level:
    """How bad an *age* is."""
    return Level.CRITICAL if age >= critical else Level.WARNING if age >= warning else Level.OK


def _what(group: Group) -> str:
    what = group.database if group.kind == DUMP else f"the {group.kind} of {group.database}"
    return f"{what} from {group.signer}" if group.several else what


def _where(group: Group) -> str:
    return f"database {_what(group)}" if group.kind == DUMP else _what(group)


def _span(age: dt.timedelta) -> str:
    """An age for people: days from two on, else hours, else minutes."""
    minutes = int(age.total_seconds() // 60)
    if minutes >= 2 * 24 * 60:
        return f"{minutes // (24 * 60)} days"
    return f"{minutes // 60} hours" if minutes >= 120 else f"{minutes} minutes"


def _shown(dump: Dump | None) -> dict[str, t.Any] | None:
    if dump is None:
        return None
    return {
        "name": str(dump.name),
        "received": utc_text(dump.received),
        "bytes": dump.bytes,
        "tables": len(dump.tables),
    }
