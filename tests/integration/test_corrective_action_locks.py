"""What TRUNCATE empties was all saved, whoever else writes; and no statement leaves the owner's role."""

# ruff: noqa: F811 (the fixtures are imported)

from __future__ import annotations

import concurrent.futures
import dataclasses
import time
import typing as t

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import parsing
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.carrying import Carried, Carrying
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.expected import Expected
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.interface import CarryingError
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.plan import Assessment, Plan, Rows, Step
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.servers import bindir, every_server  # noqa: F401
from ansible_collections.taaraxtak.production.tests.integration.test_corrective_action_versions import (  # noqa: F401
    ROLE,
    Session,
    place,
    session,
)
from ansible_collections.taaraxtak.production.tests.unit.actions.acting import Kept, Noted
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import read

INSERT = "INSERT INTO public.b (k) VALUES (77)"


def emptying(rows: int = 3, **changes: t.Any) -> Plan:
    step = Step("empty", "x", "TRUNCATE public.b", Rows(rows, rows), allow_truncate=True)
    asked = Assessment("a", "SELECT count(*) FROM public.b", Expected(((rows,),)), Expected(((0,),)))
    changes = {"lock_timeout": 200, "max_rows": 100, **changes}
    return dataclasses.replace(read(), steps=(step,), assess=(asked,), invariants=(), **changes)


def carry(place: tuple[Server, str], plan: Plan, watch: Noted, sink: Kept) -> Carried:
    saves = {step.id: parsing.saves(step.sql) for step in plan.steps}
    made = session(place, plan)
    try:
        return Carrying(plan, saves, made, sink, watch, time.monotonic).run(commit=True)
    finally:
        made.close()


def test_nobody_adds_a_row_between_what_is_saved_and_truncate(place):
    server, name = place

    class Meanwhile(Noted):
        def begun(self, carried: Carried) -> None:
            with pytest.raises(psycopg2.errors.LockNotAvailable):
                server.run(f"SET lock_timeout = '100ms'; {INSERT}", database=name)

    carried = carry(place, emptying(), Meanwhile([]), Kept([]))
    assert (carried.outcome, carried.reason) == ("committed", "")


def test_a_row_that_somebody_was_about_to_add_is_seen(place):
    """What is seen is seen once the lock is held, not when it was asked for."""
    server, name = place
    other = server.connect(name)
    other.autocommit = False
    sink = Kept([])
    with other.cursor() as cursor, concurrent.futures.ThreadPoolExecutor(1) as pool:
        cursor.execute(INSERT)
        running = pool.submit(carry, place, emptying(4, lock_timeout=30_000), Noted([]), sink)
        while not server.run(
            "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'public.b'::regclass", database=name
        ):
            assert not running.done(), running.result()
        other.commit()
        carried = running.result()
    other.close()
    assert (carried.outcome, carried.reason, sink.rows) == ("committed", "", 4)


def test_where_the_lock_is_not_given_nothing_is_begun(place):
    server, name = place
    other = server.connect(name)
    other.autocommit = False
    with other.cursor() as cursor:
        cursor.execute(INSERT)
        noted: list[str] = []
        carried = carry(place, emptying(), Noted(noted), Kept([]))
    other.rollback()
    other.close()
    assert (carried.outcome, noted) == ("not started", [])
    assert "lock timeout" in carried.reason
    assert server.run("SELECT count(*) FROM public.b", database=name) == [(3,)]


@pytest.mark.parametrize("how", ["run", "answer"])
def test_a_statement_that_leaves_the_owner_s_role_ends_it(place, how):
    made: Session = session(place, emptying())
    try:
        made.begin()
        with pytest.raises(CarryingError, match=f"has changed the role from {ROLE} to postgres"):
            getattr(made, how)("SELECT set_config('role', 'none', true)")
    finally:
        made.close()
