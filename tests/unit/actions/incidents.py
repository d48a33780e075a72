"""A good before.yml, its changes, and records that belong to it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.taaraxtak.production.plugins.module_utils.actions import parsing, plan, records, yamls
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.records import AfterAction, Rehearsal
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.states import Incident

NAME = "2026-11-22-duplicate-rows"
GOOD = """\
version: 1
incident: 2026-11-22-duplicate-rows
problem: The collector ran twice on 22 November, and each row is there twice.
cause: There was no lock, and the tests start one collector alone.
reporter: alice
devops_contacted: 2026-11-22T14:00:00Z
host: production
database: taaraxtak
steps:
  - id: remove-duplicates
    why: The younger of two equal rows goes.
    sql: |
      DELETE FROM public.provider_marketshare AS a
      USING public.provider_marketshare AS b
      WHERE a.name = b.name AND a.ctid > b.ctid
    expect_rows: 12
assess:
  - id: duplicates
    query: SELECT count(*) - count(DISTINCT name) FROM public.provider_marketshare
    before: 12
    after: 0
invariants:
  - id: names
    query: SELECT count(DISTINCT name) FROM public.provider_marketshare
max_rows: 12
lock_timeout: 5s
statement_timeout: 1min
max_dump_age: 24h
expires: 2026-11-24T14:00:00Z
"""
NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
DUMP = "taaraxtak_2026-11-23-03.00.00.sql.zst"


def read(text: str = GOOD) -> plan.Plan:
    """The plan that *text* says."""
    return plan.read(yamls.load(text.encode(), plan.FILE))


def digest(letter: str) -> str:
    return letter * 64


def rehearsal(**changes: t.Any) -> Rehearsal:
    """A rehearsal of GOOD that went well, but for *changes*."""
    step = records.StepDone(
        id="remove-duplicates",
        why="The younger of two equal rows goes.",
        sql=read().steps[0].sql,
        expected="12",
        milliseconds=7,
        rows=12,
        saved=12,
        locks=("public.provider_marketshare RowExclusiveLock",),
        saves=parsing.saves(read().steps[0].sql),
    )
    answered = records.Answered("duplicates", "SELECT 1", "12", "12", "0", "0", met=True)
    made = Rehearsal(
        version=1,
        incident=NAME,
        plan_sha256=records.sha256(GOOD.encode()),
        rehearsed="2026-11-23T08:00:00Z",
        rehearsed_by="bob",
        dump=DUMP,
        dump_sha256=digest("d"),
        server="17.6",
        outcome=records.COMMITTED,
        problem="",
        steps=(step,),
        assess=(answered,),
        invariants=(records.Answered("names", "SELECT 2", before="40", after="40", met=True),),
    )
    return dataclasses.replace(made, **changes)


def incident(**changes: t.Any) -> Incident:
    """An approved incident, but for *changes*."""
    made = Incident(
        name=NAME,
        plan_sha256=records.sha256(GOOD.encode()),
        plan=read(),
        rehearsal_sha256=digest("b"),
        rehearsal=rehearsal(),
        approval_sha256=digest("c"),
        approver="alice",
    )
    return dataclasses.replace(made, **changes)


def after(**changes: t.Any) -> AfterAction:
    """The record of `incident` carried out well, but for *changes*."""
    found, made = incident(), rehearsal()
    record = AfterAction(
        version=1,
        incident=NAME,
        problem=read().problem,
        cause=read().cause,
        reporter="alice",
        devops_contacted="2026-11-22T14:00:00Z",
        host="production",
        database="taaraxtak",
        outcome=records.COMMITTED,
        reason="",
        carried_out_by="dba",
        approved_by="alice",
        break_glass="",
        started="2026-11-23T12:00:00Z",
        finished="2026-11-23T12:00:09Z",
        plan_sha256=found.plan_sha256,
        rehearsal_sha256=found.rehearsal_sha256,
        approval_sha256=found.approval_sha256,
        server="17.6",
        transaction_id="4711",
        wal_position="0/1A2B3C",
        dump=DUMP,
        dump_sha256=digest("d"),
        saved="2026-11-22-duplicate-rows.jsonl.zst",
        saved_sha256=digest("e"),
        steps=made.steps,
        assess=made.assess,
        invariants=made.invariants,
    )
    return dataclasses.replace(record, **changes)
