"""The transaction of a corrective action on every version of PostgreSQL: what is counted, saved and settled."""

# ruff: noqa: F811 (the fixtures are imported)

from __future__ import annotations

import dataclasses
import time
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import parsing
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.carrying import Carried, Carrying
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.database import Server as Session
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.expected import Expected
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.interface import LostError
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.plan import Assessment, Plan, Rows, Step
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.servers import bindir, every_server  # noqa: F401
from ansible_collections.taaraxtak.production.tests.unit.actions.acting import Kept, Noted
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import read

TABLES = """
CREATE TABLE public.a (k int PRIMARY KEY, v text);
INSERT INTO public.a SELECT i, 'v' FROM generate_series(1, 9) AS i;
CREATE TABLE public.b (k int PRIMARY KEY, a int REFERENCES public.a ON DELETE CASCADE ON UPDATE CASCADE);
INSERT INTO public.b VALUES (1, 1), (2, 2), (3, 3);
CREATE TABLE public.p (k int PRIMARY KEY) PARTITION BY RANGE (k);
CREATE TABLE public.p1 PARTITION OF public.p FOR VALUES FROM (0) TO (10);
CREATE TABLE public.p2 PARTITION OF public.p FOR VALUES FROM (10) TO (20);
INSERT INTO public.p VALUES (1), (2), (11);
"""
ROLE = "versions_owner"
FIRST = ("public.b",)
# Statement, rows that it counts, rows that are saved, tables that it declares.
STEPS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("DELETE FROM public.a WHERE k IN (1, 9)", 2, 3, FIRST),
    ("UPDATE public.a SET v = 'w' WHERE k > 5", 3, 3, ()),
    ("UPDATE public.a SET k = 22 WHERE k = 2", 1, 2, FIRST),
    ("INSERT INTO public.a VALUES (30, 'x'), (31, 'y')", 2, 2, ()),
    ("DELETE FROM public.a WHERE k = 30", 1, 1, ()),
    ("UPDATE public.p SET k = 12 WHERE k = 2", 1, 1, ()),
    ("DELETE FROM public.p WHERE k > 10", 2, 2, ()),
    ("TRUNCATE public.p", 1, 1, ()),
)


@pytest.fixture
def place(every_server: Server) -> t.Iterator[tuple[Server, str]]:
    """A server with the tables, and the database that has them."""
    name = f"versions_{time.time_ns()}"
    every_server.run(f"CREATE DATABASE {name}")
    every_server.run(TABLES, database=name)
    if not every_server.run("SELECT 1 FROM pg_roles WHERE rolname = %s", values=[ROLE]):
        every_server.run(f"CREATE ROLE {ROLE}")
    for table in ("a", "b", "p", "p1", "p2"):
        every_server.run(f"ALTER TABLE public.{table} OWNER TO {ROLE}", database=name)
    yield every_server, name
    every_server.run(f"DROP DATABASE {name} WITH (FORCE)")


def planned(steps: t.Sequence[tuple[str, int, int, tuple[str, ...]]]) -> Plan:
    made = tuple(
        Step(f"s{number}", "x", sql, Rows(rows, rows), allow_truncate=sql.startswith("TRUNCATE"), cascades=cascades)
        for number, (sql, rows, _saved, cascades) in enumerate(steps)
    )
    asked = Assessment("a", "SELECT count(*) FROM public.a", Expected(((9,),)), Expected(((8,),)))
    return dataclasses.replace(read(), steps=made, assess=(asked,), invariants=(), max_rows=100)


def session(place: tuple[Server, str], plan: Plan, **more: t.Any) -> Session:
    server, name = place
    return Session(lambda: server.connect(name), plan, ROLE, **more)


def carry(place: tuple[Server, str], plan: Plan, *, commit: bool = True, database: Session | None = None) -> Carried:
    saves = {step.id: parsing.saves(step.sql) for step in plan.steps}
    made = database or session(place, plan)
    carrying = Carrying(plan, saves, made, Kept([]), Noted([]), time.monotonic)
    try:
        return carrying.run(commit=commit)
    finally:
        made.close()


def content(place: tuple[Server, str]) -> list[t.Any]:
    server, name = place
    return [server.run(f"SELECT * FROM public.{table} ORDER BY 1", database=name) for table in "abp"]  # noqa: S608


def test_every_kind_of_step_is_counted_and_saved(place):
    carried = carry(place, planned(STEPS))
    assert (carried.outcome, carried.reason) == ("committed", "")
    assert [(step.rows, step.saved) for step in carried.steps] == [(rows, saved) for _sql, rows, saved, _c in STEPS]
    rows, links, parts = content(place)
    assert [key for key, _v in rows] == [3, 4, 5, 6, 7, 8, 22, 31]
    assert (links, parts) == ([(2, 22), (3, 3)], [])


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_a_row_more_or_less_than_expected_leaves_all_as_it_was(place, number):
    before = content(place)
    for off in (-1, 1):
        steps = [
            (sql, rows + off if at == number else rows, saved, cascades)
            for at, (sql, rows, saved, cascades) in enumerate(STEPS)
        ]
        carried = carry(place, planned(steps))
        assert carried.outcome == "rolled back"
        assert f"step s{number}: it touched" in carried.reason
        assert content(place) == before


@pytest.mark.parametrize("number", [0, 2])
def test_a_cascade_that_is_not_declared_leaves_all_as_it_was(place, number):
    before = content(place)
    steps = [(sql, rows, saved, () if at == number else c) for at, (sql, rows, saved, c) in enumerate(STEPS)]
    carried = carry(place, planned(steps))
    assert carried.outcome == "rolled back"
    assert "touches rows of public.b, which it does not declare" in carried.reason
    assert content(place) == before


DEFINITIONS = (
    "ALTER TABLE public.a ADD COLUMN n int DEFAULT 1",
    "ALTER TABLE public.a ALTER COLUMN k TYPE bigint",
    "CREATE INDEX ON public.a (v)",
    "CREATE TABLE public.kept AS SELECT * FROM public.a",
)


@pytest.mark.parametrize("sql", DEFINITIONS)
def test_a_definition_counts_no_rows_and_the_steps_after_it_do(place, sql):
    server, name = place
    server.run(f"GRANT CREATE ON SCHEMA public TO {ROLE}", database=name)
    plan = planned(STEPS)
    plan = dataclasses.replace(plan, steps=(Step("ddl", "x", sql, None, allow_ddl=True), *plan.steps))
    carried = carry(place, plan)
    assert (carried.outcome, carried.reason) == ("committed", "")
    assert (carried.steps[0].rows, carried.steps[0].saved) == (None, 0)


def test_a_definition_that_changes_rows_is_refused(place):
    server, name = place
    server.run(f"GRANT CREATE ON SCHEMA public TO {ROLE}", database=name)
    server.run(
        "SET ROLE versions_owner; CREATE FUNCTION public.empty() RETURNS int LANGUAGE plpgsql AS"
        " 'BEGIN DELETE FROM public.b; RETURN 1; END'",
        database=name,
    )
    before = content(place)
    plan = planned(STEPS)
    ddl = Step("ddl", "x", "CREATE TABLE public.kept AS SELECT public.empty() AS e", None, allow_ddl=True)
    carried = carry(place, dataclasses.replace(plan, steps=(ddl, *plan.steps)))
    assert "step ddl: it touches rows of public.b" in carried.reason
    assert content(place) == before


def test_a_dry_run_leaves_all_as_it_was(place):
    before = content(place)
    carried = carry(place, planned(STEPS), commit=False)
    assert carried.reason.endswith("asked again, everything answers as before")
    assert content(place) == before


@pytest.mark.parametrize("committed", [True, False])
def test_the_server_says_what_became_of_a_commit_whose_answer_was_lost(place, committed):
    class Cut(Session):
        def commit(self) -> None:
            if committed:
                super().commit()
            self._connection.close()
            raise LostError("the connection was lost")

    plan = planned(STEPS)
    before = content(place)
    server, name = place
    carried = carry(place, plan, database=Cut(lambda: server.connect(name), plan, ROLE, patience=20))
    assert carried.outcome == ("committed" if committed else "rolled back")
    assert (content(place) == before) is not committed


def test_where_nothing_is_counted_nothing_is_begun(place):
    """Without the server's own counts nobody could see what a statement touches beside its table."""
    server, name = place
    server.run(f"ALTER DATABASE {name} SET track_counts = off")
    before = content(place)
    carried = carry(place, planned(STEPS))
    assert carried.outcome == "not started"
    assert "track_counts must be on" in carried.reason
    assert content(place) == before


def test_a_role_that_would_fire_no_triggers_begins_nothing(place):
    server, name = place
    server.run(f"ALTER DATABASE {name} SET session_replication_role = replica")
    assert "session_replication_role origin" in carry(place, planned(STEPS)).reason


def test_an_answer_is_read_as_the_server_writes_it_and_changes_nothing(place):
    made = session(place, planned(STEPS))
    try:
        made.begin()
        answer = made.answer(
            "SELECT 1, 1.50, true, NULL, 'x'::text, timestamptz '2026-11-22 00:00+02', ARRAY[1, 2], '{\"a\": 1}'::jsonb"
        )
        assert [str(value) for value in answer[0]] == [
            *("1", "1.50", "True", "None", "x", "2026-11-21 22:00:00+00", "{1,2}", '{"a": 1}')
        ]
        with pytest.raises(Exception, match="read-only transaction"):
            made.answer("DELETE FROM public.a")
    finally:
        made.close()
