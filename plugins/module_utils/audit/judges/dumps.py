# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``dump_info`` says of a store: its own verdict, and what the audit asks for by what the inventory says alone.

The store's limits are in a file on the store. That dumps are there, fresh and verified, is asked by the audit's, too.
"""

from __future__ import annotations

import datetime as dt
import typing as t

from ..model import Document, Expected, Finding, Kind, Rule, Source

# What is expected where the inventory says nothing: a dump a day, a drill a week, each with some hours to spare.
MAX_ARCHIVED_HOURS = 26
MAX_VERIFIED_DAYS = 8
# A collector that works adds rows: dumps of so many days that have no more at their end show one that doesn't.
TREND_DAYS = 7
# A clock may be ahead by so much without a word, as on the store itself.
CLOCK_STEP = dt.timedelta(hours=1)

_DUMP = "run playbooks/backup_now.yml"
RULES = (
    Rule(
        "dump-store-problem", "high", "dumps", "something lies in the store that should not lie there",
        "look at the file on the store; docs/runbook.md says what each sentence asks for",
    ),
    Rule("dump-missing", "critical", "dumps", "there is no dump of a database that counts", _DUMP),
    Rule("dump-late", "high", "dumps", "the newest dump that counts is older than agreed", _DUMP),
    Rule(
        "dump-unverified", "high", "dumps", "no drill has restored a dump lately, so that none is known to be whole",
        "run playbooks/restore_drill.yml",
    ),
    Rule(
        "dump-unsigned", "high", "dumps", "an archived dump has no right signature, so that it does not count",
        "find out who wrote it; until then trust the dumps before it",
    ),
    Rule("drill-failed", "critical", "dumps", "a drill found a dump that is not what was dumped", "make another dump"),
    Rule(
        "dump-lost", "critical", "dumps", "a dump has fewer rows, tables or much less text than the one before",
        "look what is gone; docs/runbook.md says how an incident's file explains it, and how rows are restored",
    ),
    Rule(
        "dump-standstill", "medium", "dumps", "the dumps of a week have gained no row",
        "look whether the collector writes: playbooks/status.yml",
    ),
    Rule(
        "dump-time", "high", "dumps", "a time of a dump can't be: an old one was sent again, or a clock is wrong",
        "compare the clocks of both hosts, and find out who sent it",
    ),
    Rule(
        "dump-waiting", "high", "dumps", "a dump has arrived and nobody archives it",
        "systemctl status taaraxtak-dumps-archive.service on the store",
    ),
    Rule(
        "dump-room", "critical", "dumps", "the store has no room for dumps, or will have none for the next",
        "give it a larger disk or quota (dump_store_quota_bytes), or keep less (dump_store_keep)",
    ),
    Rule(
        "dump-excuse", "medium", "dumps", "an incident's file excuses losses for longer than it may",
        "give it a nearer end, or remove it",
    ),
    Rule(
        "dump-unasked", "high", "looked", "nobody says of which databases there must be dumps",
        "name them in backup_databases",
    ),
)  # fmt: skip
# By what the store's verdict is about; a warning of it is no more than medium.
_VERDICT = {
    "missing": "dump-missing", "old": "dump-late", "unverified": "dump-unverified", "lost": "dump-lost",
    "ahead": "dump-time", "replayed": "dump-time", "room": "dump-room", "waiting": "dump-waiting",
    "excuse": "dump-excuse", "file": "dump-store-problem",
}  # fmt: skip
_LEVELS = {"critical": "", "warning": "medium"}


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``databases`` that must have dumps, ``max_archived_hours`` and ``max_verified_days``."""
    host, dumps, own = source.host, source.data["dumps"], expected.of(source.host)
    for sentence in source.data["problems"]:
        yield _problem(host, sentence)
    for one in dumps:
        if one["archived"] and not one["signed"] and not one["adopted"]:
            yield Finding("dump-unsigned", host, f"dump {one['name']}", f"{one['name']} has no right signature")
        drill = one["drill"]
        if drill is not None and not drill["ok"]:
            why = "; ".join(drill.get("problems", [])) or "it does not say why"
            yield Finding("drill-failed", host, f"dump {one['name']}", f"the drill of {one['name']} failed: {why}")
    databases = own.get("databases", [])
    if not databases:
        yield Finding("dump-unasked", host, "dump store", "no database is named of which there must be dumps")
    found = [each for database in databases for each in _of_database(host, database, dumps, own)]
    yield from found
    seen = {(one.rule, one.object) for one in found}
    # What the audit has found by its own limits is not said again by the store's.
    yield from (one for one in _verdict(host, source.data["verdict"]) if (one.rule, one.object) not in seen)


def _verdict(host: str, verdict: Document) -> t.Iterator[Finding]:
    """What the store's own check says."""
    for one in verdict["findings"]:
        if one["about"] not in _VERDICT or one["level"] not in _LEVELS:
            raise ValueError(f"its verdict has a finding that is not known: {one['level']}, about {one['about']}")
        if one["about"] == "file":
            # The same as among the problems, where it is there.
            yield _problem(host, one["steady"])
            continue
        severity = _LEVELS[one["level"]]
        yield Finding(_VERDICT[one["about"]], host, one["where"], one["steady"], severity=severity, key=one["steady"])


def _problem(host: str, sentence: str) -> Finding:
    return Finding("dump-store-problem", host, "dump store", sentence, key=sentence)


def _of_database(host: str, database: str, dumps: list[Document], expected: Expected) -> t.Iterator[Finding]:
    where = f"database {database}"
    latest = expected.now + CLOCK_STEP
    # As the newest one a dump of the future would hide for how long none has come.
    counted = sorted(
        (
            one for one in dumps
            if one["database"] == database and one["kind"] == "dump" and one["archived"] and one["signed"]
            and _time(one["received"]) <= latest
        ),
        key=lambda one: _time(one["received"]),
    )  # fmt: skip
    if not counted:
        evidence = f"there is no dump of {database} that is archived and rightly signed"
        yield Finding("dump-missing", host, where, evidence)
        return
    newest = counted[-1]
    hours = expected.get("max_archived_hours", MAX_ARCHIVED_HOURS)
    if _time(newest["received"]) < expected.now - dt.timedelta(hours=hours):
        evidence = f"the newest dump of {database}, {newest['name']}, is older than {hours} hours"
        yield Finding("dump-late", host, where, evidence)
    yield from _trend(host, where, counted)
    verified = [one for one in counted if one["verified"] and _time(one["drill"]["finished"]) <= latest]
    days = expected.get("max_verified_days", MAX_VERIFIED_DAYS)
    if not verified:
        yield Finding("dump-unverified", host, where, f"no drill has verified a dump of {database}")
        return
    proved = verified[-1]
    # No drill of it is older than the dump itself.
    if _time(proved["received"]) < expected.now - dt.timedelta(days=days):
        evidence = f"the newest verified dump of {database}, {proved['name']}, is older than {days} days"
        yield Finding("dump-unverified", host, where, evidence)


def _trend(host: str, where: str, counted: list[Document]) -> t.Iterator[Finding]:
    """Whether the dumps of the last days, given oldest first, have gained a row; that they lost some the store says."""
    newest = counted[-1]
    start = _time(newest["received"]) - dt.timedelta(days=TREND_DAYS)
    before = [one for one in counted if one["signer"] == newest["signer"] and _time(one["received"]) <= start]
    if before and newest["rows"] == before[-1]["rows"]:
        evidence = (
            f"{newest['name']} has the {newest['rows']} rows of {before[-1]['name']}, {TREND_DAYS} days before it"
        )
        # The next dump with as many is the same finding.
        yield Finding("dump-standstill", host, where, evidence, value=str(newest["rows"]))


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(str(text).replace("Z", "+00:00"))


KIND = Kind("dumps", "The dump store", ("store_hosts",), judge, RULES)
