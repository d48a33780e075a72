"""Each kind of step touches what it should, saves it, and is undone by what was saved."""

# ruff: noqa: F811 (the fixture is imported)

from __future__ import annotations

import datetime as dt
import subprocess
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import parsing, plan, records, saved, yamls
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.undo import undo
from ansible_collections.taaraxtak.production.tests.integration.actions_host import Action, action  # noqa: F401

# The statement, what it declares, how many rows it counts, and how many are saved.
KINDS: dict[str, tuple[str, dict[str, t.Any], int, int]] = {
    "delete": ("DELETE FROM public.plain WHERE k > 5", {}, 4, 4),
    "delete nothing": ("DELETE FROM public.plain WHERE k > 50", {}, 0, 0),
    "delete with a cascade": (
        "DELETE FROM public.measurements WHERE id IN (1, 2)",
        {"cascades": ["public.notes"]},
        2,
        3,
    ),
    "update": ("UPDATE public.plain SET a = upper(a) WHERE k > 5", {}, 4, 4),
    "insert": ("INSERT INTO public.plain VALUES (50, 'new'), (51, NULL)", {}, 2, 2),
    "truncate": ("TRUNCATE public.plain", {"allow_truncate": True}, 9, 9),
    "truncate what is referred to first": (
        "TRUNCATE public.measurements, public.notes",
        {"allow_truncate": True},
        34,
        34,
    ),
    "delete from partitions": ("DELETE FROM public.parts WHERE k IN (1, 2, 12)", {}, 3, 3),
    "insert into partitions": ("INSERT INTO public.more_parts VALUES (1, 'x'), (12, 'y')", {}, 2, 2),
    "update in partitions": ("UPDATE public.parts SET a = 'moved' WHERE k IN (3, 13)", {}, 2, 2),
    "a declared trigger": (
        "DELETE FROM public.watched WHERE k = 1",
        {"triggers": ["public.watched.noted"], "cascades": ["public.audit"]},
        1,
        2,
    ),
}


def carried_out(action: Action, sql: str, declared: dict[str, t.Any], count: int) -> records.AfterAction:
    """One step, and another one that the assessment sees."""
    first = {"id": "do", "why": "It is needed.", "sql": sql, "expect_rows": count, **declared}
    second = {"id": "note", "why": "To be seen.", "sql": "INSERT INTO public.done VALUES (1)", "expect_rows": 1}
    action.approve(
        steps=[first, second],
        assess=[{"id": "done", "query": "SELECT count(*) FROM public.done", "before": 0, "after": 1}],
        invariants=[],
    )
    result = action.run()
    assert not result.failed, result.msg
    return action.after(result)


def brought_back(action: Action) -> plan.Plan:
    """The plan that undoes what was carried out, made of what lies in the store; people have said their part."""
    (file,) = action.saved()
    lines = subprocess.run(["zstd", "-dcq", file], capture_output=True, check=True).stdout.splitlines(keepends=True)
    about, touched = saved.read(lines)
    assert about.plan_sha256 == records.sha256(action.files[plan.FILE])
    now = dt.datetime.now(dt.UTC)
    was = plan.read(yamls.load(action.files[plan.FILE], plan.FILE))
    text = undo(was, touched, now, {step.id: parsing.assigned(step.sql) for step in was.steps})
    for key in ("problem", "cause", "reporter"):
        text = text.replace(f'{key}: ""', f"{key}: word")
    text = text.replace('expires: ""', f"expires: {records.utc_text(now + dt.timedelta(days=1))}")
    action.files = {plan.FILE: text.encode()}
    made = plan.read(yamls.load(text.encode(), plan.FILE))
    parsing.check(made)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_step_touches_is_saved_and_comes_back(action, kind):
    sql, declared, count, kept = KINDS[kind]
    before = action.digests()
    after = carried_out(action, sql, declared, count)
    assert (after.steps[0].rows, after.steps[0].saved) == (count, kept)
    assert action.digests() != before
    action.approve_written(brought_back(action))
    result = action.run()
    assert not result.failed, result.msg
    assert action.digests() == before


PARTS, MOVED = ("public.parts", "public.parts_1", "public.parts_2"), ("public.more_1", "public.more_parts")
GONE: dict[str, tuple[str, dict[str, t.Any], int, tuple[str, ...]]] = {
    "a table": ("DELETE FROM public.plain WHERE k > 5", {}, 4, ("public.plain",)),
    "partitions": ("DELETE FROM public.parts WHERE k IN (1, 2, 12)", {}, 3, PARTS),
    "one of the partitions": ("DELETE FROM public.parts WHERE k = 12", {}, 1, ("public.parts", "public.parts_2")),
    "a partition that a row has left": ("UPDATE public.more_parts SET k = 15 WHERE k = 5", {}, 1, MOVED),
    "a cascade": (
        "DELETE FROM public.measurements WHERE id = 1",
        {"cascades": ["public.notes"]},
        1,
        ("public.measurements", "public.notes"),
    ),
    "a cascade that reaches none": (
        "DELETE FROM public.measurements WHERE id = 2",
        {"cascades": ["public.notes"]},
        1,
        ("public.measurements",),
    ),
    "all": ("TRUNCATE public.parts", {"allow_truncate": True}, 20, PARTS),
    "none by an update": ("UPDATE public.plain SET a = 'x' WHERE k > 5", {}, 4, ()),
    "none by an insert": ("INSERT INTO public.plain VALUES (50, 'new')", {}, 1, ()),
    "a table whose name is quoted": ('DELETE FROM public."Odd" WHERE k = 1', {}, 1, ('public."Odd"',)),
}


@pytest.mark.parametrize("kind", GONE)
def test_which_tables_have_lost_rows_is_recorded_as_dumps_name_them(action, kind):
    sql, declared, count, tables = GONE[kind]
    odd = 'SET ROLE actions_owner; CREATE TABLE public."Odd" (k int PRIMARY KEY); INSERT INTO public."Odd" VALUES (1)'
    action.server.run(odd, database=action.database)
    after = carried_out(action, sql, declared, count)
    assert [step.gone_from for step in after.steps] == [tables, ()]


def test_a_row_that_moves_to_another_partition_is_saved(action):
    """Its key has changed, so that no statement could find it to set it back."""
    after = carried_out(action, "UPDATE public.more_parts SET k = 15 WHERE k = 5", {}, 1)
    assert (after.steps[0].rows, after.steps[0].saved) == (1, 1)
    (file,) = action.saved()
    assert b'{"row":["5","five"]}' in subprocess.run(["zstd", "-dcq", file], capture_output=True, check=True).stdout


REFUSED: dict[str, tuple[str, dict[str, t.Any], str]] = {
    "a view": ("UPDATE public.seen SET a = 'x' WHERE k = 1", {}, "is no ordinary table"),
    "a materialized view": ("DELETE FROM public.old WHERE k = 1", {}, "cannot change materialized view"),
    "a table with rules": ("DELETE FROM public.ruled WHERE k = 1", {}, "has rules"),
    "a deferred trigger": (
        "DELETE FROM public.later WHERE k = 1",
        {"triggers": ["public.later.deferred"]},
        "put off to COMMIT touches rows of public.audit",
    ),
    "a trigger that changes what is not saved": (
        "DELETE FROM public.meddled WHERE k = 1",
        {"triggers": ["public.meddled.meddle"], "cascades": ["public.plain"]},
        "touches 9 rows of public.plain, of which 0 were saved",
    ),
    "a trigger that keeps rows": (
        "DELETE FROM public.kept WHERE k < 3",
        {"triggers": ["public.kept.keep"]},
        "other rows were touched than were saved",
    ),
    "a cascade over two tables": (
        "DELETE FROM public.measurements WHERE id = 32",
        {"cascades": ["public.notes"]},
        "touches rows of public.words",
    ),
}
MORE = """
SET ROLE actions_owner;
CREATE VIEW public.seen AS SELECT * FROM public.plain;
CREATE MATERIALIZED VIEW public.old AS SELECT * FROM public.plain;
CREATE TABLE public.ruled AS TABLE public.plain;
CREATE RULE r AS ON DELETE TO public.ruled DO ALSO DELETE FROM public.plain WHERE plain.k = old.k;
CREATE TABLE public.later AS TABLE public.plain;
CREATE CONSTRAINT TRIGGER deferred AFTER DELETE ON public.later DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION public.note();
CREATE FUNCTION public.meddle() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN UPDATE public.plain SET a = 'meddled'; RETURN NULL; END $$;
CREATE TABLE public.meddled AS TABLE public.plain;
CREATE TRIGGER meddle AFTER DELETE ON public.meddled EXECUTE FUNCTION public.meddle();
CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF old.k = 1 THEN RETURN NULL; END IF; RETURN old; END $$;
CREATE TABLE public.kept AS TABLE public.plain;
CREATE TRIGGER keep BEFORE DELETE ON public.kept FOR EACH ROW EXECUTE FUNCTION public.keep();
CREATE TABLE public.words (id int PRIMARY KEY, note int REFERENCES public.notes ON DELETE SET NULL);
INSERT INTO public.words VALUES (1, 1);
"""


@pytest.mark.parametrize("kind", REFUSED)
def test_what_can_not_be_saved_is_refused(action, kind):
    sql, declared, reason = REFUSED[kind]
    action.server.run(MORE, database=action.database)
    before = action.digests()
    with pytest.raises(AssertionError) as failed:
        carried_out(action, sql, declared, 1)
    assert reason in str(failed.value)
    assert "rolled back" in str(failed.value)
    assert action.digests() == before


def test_a_cascade_over_two_tables_is_undone_when_both_are_declared(action):
    action.server.run(MORE, database=action.database)
    before = action.digests()
    declared = {"cascades": ["public.notes", "public.words"]}
    after = carried_out(action, "DELETE FROM public.measurements WHERE id = 32", declared, 1)
    assert (after.steps[0].rows, after.steps[0].saved) == (1, 3)
    action.approve_written(brought_back(action))
    result = action.run()
    assert not result.failed, result.msg
    assert action.digests() == before
