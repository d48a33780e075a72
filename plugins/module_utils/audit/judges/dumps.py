# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``dump_info`` says of a store: problems of its files, failed drills, and dumps that are missing or too old."""

from __future__ import annotations

import datetime as dt
import typing as t

from ..model import Document, Expected, Finding, Kind, Rule, Source

# What is expected where the inventory says nothing: a dump a day, a drill a week, each with some hours to spare.
MAX_ARCHIVED_HOURS = 26
MAX_VERIFIED_DAYS = 8

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
)  # fmt: skip


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``databases`` that must have dumps, ``max_archived_hours`` and ``max_verified_days``."""
    host, dumps = source.host, source.data["dumps"]
    for sentence in source.data.get("problems", []):
        yield Finding("dump-store-problem", host, "dump store", sentence, key=sentence)
    for one in dumps:
        if one["archived"] and not one["signed"] and not one.get("adopted"):
            yield Finding("dump-unsigned", host, f"dump {one['name']}", f"{one['name']} has no right signature")
        drill = one.get("drill")
        if drill is not None and not drill["ok"]:
            why = "; ".join(drill.get("problems", [])) or "it does not say why"
            yield Finding("drill-failed", host, f"dump {one['name']}", f"the drill of {one['name']} failed: {why}")
    for database in expected.get("databases", []):
        yield from _fresh(host, database, [one for one in dumps if one["database"] == database], expected)


def _fresh(host: str, database: str, dumps: list[Document], expected: Expected) -> t.Iterator[Finding]:
    where = f"database {database}"
    counted = [one for one in dumps if one["kind"] == "dump" and one["archived"] and one["signed"]]
    if not counted:
        yield Finding(
            "dump-missing", host, where, f"there is no dump of {database} that is archived and rightly signed"
        )
        return
    newest = max(counted, key=lambda one: str(one["received"]))
    hours = expected.get("max_archived_hours", MAX_ARCHIVED_HOURS)
    if _received(newest) < expected.now - dt.timedelta(hours=hours):
        evidence = f"the newest dump of {database}, {newest['name']}, is older than {hours} hours"
        yield Finding("dump-late", host, where, evidence)
    verified = [one for one in counted if one["verified"]]
    days = expected.get("max_verified_days", MAX_VERIFIED_DAYS)
    if not verified:
        yield Finding("dump-unverified", host, where, f"no drill has verified a dump of {database}")
        return
    proved = max(verified, key=lambda one: str(one["received"]))
    if _received(proved) < expected.now - dt.timedelta(days=days):
        evidence = f"the newest verified dump of {database}, {proved['name']}, is older than {days} days"
        yield Finding("dump-unverified", host, where, evidence)


def _received(dump: Document) -> dt.datetime:
    return dt.datetime.fromisoformat(str(dump["received"]).replace("Z", "+00:00"))


KIND = Kind("dumps", "The dump store", ("store_hosts",), judge, RULES)
