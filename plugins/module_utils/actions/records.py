# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is recorded of an incident: the rehearsal, what its approver signs, and what then happened."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import re
import typing as t

from ..dumps.manifest import encode
from ..dumps.names import DumpName, read_utc, utc_text
from . import codec
from .plan import Plan
from .written import Written

VERSION = 1
REHEARSAL_FILE, APPROVAL_FILE, AFTER_FILE, REPORT_FILE = "rehearsal.yml", "approval.sig", "after.yml", "after.md"
# What ssh-keygen signs an approval for, so that a signature for something else is none here.
NAMESPACE = "taaraxtak-incident"
COMMITTED, ROLLED_BACK, NOT_STARTED, UNKNOWN = "committed", "rolled back", "not started", "unknown"
OUTCOMES = (COMMITTED, ROLLED_BACK, NOT_STARTED, UNKNOWN)
# What a person writes into after.yml before the incident is closed.
HUMAN = ("why_different", "learned", "follow_ups")
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
# What is typed out by who carries it out: enough of it that nobody types it by chance.
SHORT = 12

Outcome: t.TypeAlias = str


def sha256(content: bytes) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def confirmation(incident: str, plan_sha256: str) -> str:
    """What the DBA types before *incident* is carried out: its name and the short hash of its before.yml."""
    return f"{incident} {plan_sha256[:SHORT]}"


@dataclasses.dataclass(frozen=True)
class Save:
    """The *query* that locks and gives the rows of the table *schema*.*table* that a step will touch."""

    schema: str
    table: str
    query: str


@dataclasses.dataclass(frozen=True)
class StepDone:
    """What a step did: *rows* (None: it did not run, or counts none) against those *expected*.

    ``gone_from``: the tables that have lost rows by it, with those that they are partitions of, named as dumps do.
    """

    id: str
    why: str
    sql: str
    expected: str
    milliseconds: int = 0
    rows: int | None = None
    saved: int | None = None
    locks: tuple[str, ...] = ()
    saves: tuple[Save, ...] = ()
    problem: str = ""
    gone_from: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Answered:
    """What a query answered before the steps and after them (None: it was not asked), and what was expected.

    Of an invariant nothing else is expected than the answer before.
    """

    id: str
    query: str
    expected_before: str = ""
    before: str | None = None
    expected_after: str = ""
    after: str | None = None
    met: bool = False


@dataclasses.dataclass(frozen=True)
class Rehearsal:
    """The whole action on a copy of *dump*; times are like 2026-11-22T14:00:00Z, ``outcome`` is as of the real one."""

    version: int
    incident: str
    plan_sha256: str
    rehearsed: str
    rehearsed_by: str
    dump: str
    dump_sha256: str
    server: str
    outcome: Outcome
    problem: str
    steps: tuple[StepDone, ...]
    assess: tuple[Answered, ...]
    invariants: tuple[Answered, ...]

    @property
    def passed(self) -> bool:
        """Whether the copy was changed as expected."""
        return self.outcome == COMMITTED and not self.problem

    @property
    def dump_taken(self) -> dt.datetime:
        """When the dump was started."""
        return DumpName.parse(self.dump).started

    def text(self) -> str:
        """The text of rehearsal.yml, always the same."""
        return codec.encode(self, "A rehearsal on a restored copy. Made by the tool: an edit voids it.")

    @classmethod
    def read(cls, written: Written) -> Rehearsal:
        """Read rehearsal.yml; ValueError where it is none."""
        record = codec.decode(cls, written.data, REHEARSAL_FILE)
        _check(record, REHEARSAL_FILE, ("plan_sha256", "dump_sha256"), ("rehearsed",))
        DumpName.parse(record.dump)
        return record


@dataclasses.dataclass(frozen=True)
class Signed:
    """What an approver signs. It follows from the two files alone, so nothing else has to be kept."""

    incident: str
    host: str
    database: str
    expires: str
    plan_sha256: str
    rehearsal_sha256: str
    dump: str
    max_dump_age: int

    @classmethod
    def of(cls, plan: Plan, before: bytes, rehearsal: Rehearsal, rehearsed: bytes) -> Signed:
        """What is signed of the *plan* and *rehearsal*, whose files hold the bytes *before* and *rehearsed*."""
        return cls(
            incident=plan.incident,
            host=plan.host,
            database=plan.database,
            expires=utc_text(plan.expires),
            plan_sha256=sha256(before),
            rehearsal_sha256=sha256(rehearsed),
            dump=rehearsal.dump,
            max_dump_age=plan.max_dump_age,
        )

    @property
    def message(self) -> bytes:
        """The bytes that the signature is of."""
        return encode({"namespace": NAMESPACE, "version": VERSION, **dataclasses.asdict(self)})


@dataclasses.dataclass(frozen=True)
class AfterAction:
    """What happened, written however it ended; the last three fields are a person's.

    ``saved`` is the name of the file of saved rows in the dump store, "" where there is none; ``cluster`` is where
    ``transaction_id`` counts.
    """

    version: int
    incident: str
    problem: str
    cause: str
    reporter: str
    devops_contacted: str
    host: str
    database: str
    outcome: Outcome
    reason: str
    carried_out_by: str
    approved_by: str
    break_glass: str
    started: str
    finished: str
    plan_sha256: str
    rehearsal_sha256: str
    approval_sha256: str
    server: str
    transaction_id: str
    wal_position: str
    dump: str
    dump_sha256: str
    saved: str
    saved_sha256: str
    steps: tuple[StepDone, ...]
    assess: tuple[Answered, ...]
    invariants: tuple[Answered, ...]
    cluster: str = ""
    # Nothing on the host has shown that it was they.
    vouched: bool = False
    why_different: str = ""
    learned: str = ""
    follow_ups: str = ""

    @property
    def empty_fields(self) -> tuple[str, ...]:
        """Those of a person's fields in which nothing is written yet."""
        return tuple(name for name in HUMAN if not getattr(self, name).strip())

    def text(self) -> str:
        """The text of after.yml, always the same."""
        return codec.encode(self, "Made by the tool. why_different, learned and follow_ups are for people to fill in.")

    @classmethod
    def read(cls, written: Written) -> AfterAction:
        """Read after.yml; ValueError where it is none."""
        record = codec.decode(cls, written.data, AFTER_FILE)
        digests = [
            name
            for name in ("rehearsal_sha256", "approval_sha256", "dump_sha256", "saved_sha256")
            if getattr(record, name)
        ]
        _check(record, AFTER_FILE, ("plan_sha256", *digests), ("started", "finished", "devops_contacted"))
        return record


def _check(record: t.Any, what: str, digests: t.Sequence[str], times: t.Sequence[str]) -> None:
    if record.version != VERSION:
        raise ValueError(f"{what} has version {record.version}; this one reads version {VERSION}")
    if record.outcome not in OUTCOMES:
        raise ValueError(f"outcome in {what} is none of {', '.join(OUTCOMES)}")
    for name in digests:
        if _SHA256.fullmatch(getattr(record, name)) is None:
            raise ValueError(f"{name} in {what} is not a SHA-256 in hexadecimal")
    for name in times:
        try:
            read_utc(getattr(record, name))
        except ValueError:
            raise ValueError(f"{name} in {what} is not a time such as 2026-11-22T03:00:00Z") from None
