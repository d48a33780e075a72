"""What a statement does beside its own table, where no count of rows shows it, ends in a rollback."""

# ruff: noqa: F811 (the fixtures are imported)

from __future__ import annotations

import dataclasses
import time
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import parsing
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.carrying import Carried, Carrying
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.expected import Expected
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.plan import Assessment, Rows, Step
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.servers import bindir, every_server  # noqa: F401
from ansible_collections.taaraxtak.production.tests.integration.test_corrective_action_versions import (  # noqa: F401
    ROLE,
    place,
    session,
)
from ansible_collections.taaraxtak.production.tests.unit.actions.acting import Kept, Noted
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import read

MORE = """
GRANT CREATE ON SCHEMA public TO versions_owner;
SET ROLE versions_owner;
CREATE TABLE public.plain (k int PRIMARY KEY, t text);
INSERT INTO public.plain SELECT i, 't' FROM generate_series(1, 9) AS i;
CREATE FUNCTION public.doing() RETURNS int LANGUAGE plpgsql AS $$ BEGIN {doing}; RETURN 1; END $$;
CREATE TABLE public.defaulted (k int PRIMARY KEY, n int DEFAULT public.doing());
CREATE TABLE public.checked (k int PRIMARY KEY, CHECK (k = 0 OR public.doing() = 1));
INSERT INTO public.checked VALUES (0);
CREATE FUNCTION public.firing() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM public.doing(); RETURN NULL; END $$;
CREATE TABLE public.fired AS TABLE public.plain;
CREATE TRIGGER fires AFTER DELETE ON public.fired EXECUTE FUNCTION public.firing();
CREATE TABLE public.deferred AS TABLE public.plain;
CREATE CONSTRAINT TRIGGER defers AFTER DELETE ON public.deferred DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION public.firing();
CREATE TABLE public.emptied AS TABLE public.plain;
CREATE TRIGGER empties BEFORE TRUNCATE ON public.emptied EXECUTE FUNCTION public.firing();
"""
# What a function does to a table that is declared nowhere.
DOINGS = {
    "truncate": "TRUNCATE public.plain",
    "drop": "DROP TABLE public.plain",
    "drop a column": "ALTER TABLE public.plain DROP COLUMN t",
    "grant": "GRANT EXECUTE ON FUNCTION public.doing() TO public",
}
STEPS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "a default": ("INSERT INTO public.defaulted (k) VALUES (1)", 1, ()),
    "a check": ("UPDATE public.checked SET k = 1 WHERE k = 0", 1, ()),
    "a trigger": ("DELETE FROM public.fired WHERE k = 1", 1, ("public.fired.fires",)),
    "a deferred trigger": ("DELETE FROM public.deferred WHERE k = 1", 1, ("public.deferred.defers",)),
    "a trigger of TRUNCATE": ("TRUNCATE public.emptied", 9, ("public.emptied.empties",)),
}


def step(sql: str, rows: int, **declared: t.Any) -> Step:
    return Step(f"s{abs(hash(sql))}", "x", sql, Rows(rows, rows), allow_truncate=sql.startswith("TRUNCATE"), **declared)


def carry(place: tuple[Server, str], *steps: Step, sink: Kept | None = None) -> Carried:
    asked = Assessment("a", "SELECT 1", Expected(((1,),)), Expected(((1,),)))
    plan = dataclasses.replace(read(), steps=steps, assess=(asked,), invariants=(), max_rows=100)
    saves = {one.id: () if one.allow_ddl else parsing.saves(one.sql) for one in steps}
    made = session(place, plan)
    try:
        return Carrying(plan, saves, made, sink or Kept([]), Noted([]), time.monotonic).run(commit=True)
    finally:
        made.close()


def content(place: tuple[Server, str], *tables: str) -> list[t.Any]:
    server, name = place
    return [server.run(f"SELECT * FROM public.{table} ORDER BY 1", database=name) for table in tables]  # noqa: S608


@pytest.fixture
def run(place: tuple[Server, str]) -> t.Callable[[str], t.Any]:
    server, name = place
    return lambda sql: server.run(sql, database=name)


# --- Definitions and TRUNCATE -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", STEPS)
@pytest.mark.parametrize("doing", DOINGS)
def test_what_a_function_does_that_no_count_shows_is_seen(place, run, how, doing):
    run(MORE.format(doing=DOINGS[doing]))
    sql, rows, triggers = STEPS[how]
    before = content(place, "plain", "fired", "checked")
    carried = carry(place, step(sql, rows, triggers=triggers))
    assert carried.outcome == "rolled back"
    assert "changes definitions, or empties tables" in carried.reason
    assert content(place, "plain", "fired", "checked") == before


def test_what_an_earlier_step_has_locked_is_looked_at_too(place, run):
    run(MORE.format(doing=DOINGS["drop a column"]))
    locked = Step("ddl", "x", "ALTER TABLE public.plain ADD COLUMN n int", None, allow_ddl=True)
    carried = carry(place, locked, step("INSERT INTO public.defaulted (k) VALUES (1)", 1))
    assert carried.outcome == "rolled back"
    assert "changes definitions, or empties tables" in carried.reason


def test_what_the_steps_do_themselves_is_no_such_thing(place, run):
    """TRUNCATE has indexes, a table for long values and partitions of its own."""
    run(MORE.format(doing="PERFORM 1"))
    steps = [step(sql, rows, triggers=triggers) for sql, rows, triggers in STEPS.values()]
    steps += [step("TRUNCATE public.p, public.plain", 12)]
    made = Step("ddl", "x", "CREATE TABLE public.made AS TABLE public.fired", None, allow_ddl=True)
    carried = carry(place, made, *steps)
    assert (carried.outcome, carried.reason) == ("committed", "")


# --- Rows -------------------------------------------------------------------------------------------------------------
def test_rows_of_a_declared_table_that_others_refer_by_are_not_changed_unsaved(place, run):
    run(f"""
        GRANT CREATE ON SCHEMA public TO {ROLE};
        SET ROLE {ROLE};
        CREATE FUNCTION public.others() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN UPDATE public.c SET v = 'LOST' WHERE a <> new.k; RETURN NULL; END $$;
        """)  # noqa: S608
    run("CREATE TABLE public.c (k int PRIMARY KEY, a int REFERENCES public.a ON UPDATE CASCADE, v text)")
    run("INSERT INTO public.c VALUES (1, 1, 'mine'), (2, 2, 'others')")
    run(f"ALTER TABLE public.c OWNER TO {ROLE}")
    run("CREATE TRIGGER others AFTER UPDATE ON public.a FOR EACH ROW EXECUTE FUNCTION public.others()")
    before = content(place, "a", "c")
    declared = {"triggers": ("public.a.others",), "cascades": ("public.c",)}
    carried = carry(place, step("UPDATE public.a SET v = 'z' WHERE k = 1", 1, **declared))
    assert carried.outcome == "rolled back"
    assert "of public.c other rows were touched than were saved" in carried.reason
    assert content(place, "a", "c") == before


def test_rows_that_a_foreign_key_could_reach_and_does_not_are_not_undone(place):
    """The undo would set them back to what they were, whoever has changed them since."""
    kept = Kept([])
    carried = carry(place, step("UPDATE public.a SET v = 'z' WHERE k = 1", 1, cascades=("public.b",)), sink=kept)
    assert (carried.outcome, carried.reason, kept.rows, carried.steps[0].saved) == ("committed", "", 1, 1)
    carried = carry(place, step("UPDATE public.a SET k = 22 WHERE k = 2", 1, cascades=("public.b",)), sink=kept)
    assert (carried.outcome, kept.rows, carried.steps[0].saved) == ("committed", 3, 2)


@pytest.mark.parametrize("cascades", [(), ("public.p",)])
def test_a_row_that_a_trigger_adds_beside_an_update_of_partitions_is_seen(place, run, cascades):
    run(f"""
        GRANT CREATE ON SCHEMA public TO {ROLE};
        SET ROLE {ROLE};
        CREATE FUNCTION public.adding() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN INSERT INTO public.p VALUES (19); RETURN NULL; END $$;
        CREATE TRIGGER adds AFTER UPDATE ON public.p EXECUTE FUNCTION public.adding();
        """)  # noqa: S608
    before = content(place, "p")
    for sql in ("UPDATE public.p SET k = 3 WHERE k = 2", "UPDATE public.p SET k = 12 WHERE k = 2"):
        carried = carry(place, step(sql, 1, triggers=("public.p.adds",), cascades=cascades))
        assert carried.outcome == "rolled back"
        assert "adds rows to public.p2 beside those that it moves" in carried.reason
        assert content(place, "p") == before


@pytest.mark.parametrize("sql", ["DELETE FROM public.base WHERE k = 2", "UPDATE public.base SET k = 3 WHERE k = 2"])
def test_rows_of_an_inheriting_table_which_has_columns_of_its_own_are_not_touched(place, run, sql):
    run("CREATE TABLE public.base (k int PRIMARY KEY); CREATE TABLE public.kid (extra text) INHERITS (public.base)")
    run("INSERT INTO public.kid VALUES (2, 'PRECIOUS')")
    run(f"ALTER TABLE public.base OWNER TO {ROLE}; ALTER TABLE public.kid OWNER TO {ROLE}")
    carried = carry(place, step(sql, 1))
    assert carried.outcome == "rolled back"
    assert "public.base has foreign or inheriting tables below it" in carried.reason
    assert content(place, "kid") == [[(2, "PRECIOUS")]]


def test_an_insert_that_a_rule_turns_elsewhere_is_refused(place, run):
    run("CREATE TABLE public.ra (k int PRIMARY KEY); CREATE TABLE public.rb (k int PRIMARY KEY)")
    run("CREATE RULE r AS ON INSERT TO public.ra DO INSTEAD INSERT INTO public.rb VALUES (new.k)")
    run(f"ALTER TABLE public.ra OWNER TO {ROLE}; ALTER TABLE public.rb OWNER TO {ROLE}")
    carried = carry(place, step("INSERT INTO public.ra VALUES (1)", 1))
    assert carried.outcome == "rolled back"
    assert "public.ra has rules" in carried.reason
    assert content(place, "ra", "rb") == [[], []]
