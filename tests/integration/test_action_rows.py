"""On a real server: the rows that are saved are those that a statement touches, and the undo brings them back."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import parsing, plan, yamls
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.undo import (
    DELETED,
    INSERTED,
    UPDATED,
    Column,
    Table,
    Touched,
    undo,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import SUPERUSER, ScratchCluster
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import read
from psycopg2.extensions import UNICODE, new_type, register_type

TABLES = r"""
CREATE TYPE public.mood AS ENUM ('good', 'bad');
CREATE TABLE public.u (id int PRIMARY KEY, a text);
CREATE TABLE public."T x" (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "a b" text, n numeric, f float8, at timestamptz, doc jsonb,
  raw bytea, list text[], feels public.mood, v varchar(5), double numeric GENERATED ALWAYS AS (n * 2) STORED);
INSERT INTO public.u VALUES (1, 'one'), (2, 'two'), (3, 'three');
INSERT INTO public."T x" ("a b", n, f, at, doc, raw, list, feels, v)
  SELECT CASE i WHEN 1 THEN E'it''s\n\ta \\ "row"' WHEN 2 THEN NULL WHEN 3 THEN U&'hidden \202E and \+01F600'
              ELSE 'row ' || i END,
         i / 7.0, 1.0 / i, '2026-11-22 12:00+00'::timestamptz + i * interval '1 second',
         jsonb_build_object('i', i, 'null', NULL), decode(md5(i::text), 'hex'), ARRAY['a"b', NULL, i::text],
         CASE WHEN i % 2 = 0 THEN 'good' ELSE 'bad' END::public.mood, 'v'
    FROM generate_series(1, 40) AS i;
CREATE TABLE public.part (k int, a text) PARTITION BY RANGE (k);
CREATE TABLE public.part_1 PARTITION OF public.part FOR VALUES FROM (0) TO (10);
CREATE TABLE public.part_2 PARTITION OF public.part FOR VALUES FROM (10) TO (20);
INSERT INTO public.part SELECT i, 'x' FROM generate_series(0, 19) AS i;
CREATE TABLE public.twice (a text);
INSERT INTO public.twice SELECT 'x' || i % 5 FROM generate_series(1, 15) AS i;
"""
TABLE = Table(
    "public",
    "T x",
    (
        Column("id", "integer", key=True),
        Column("a b", "text"),
        Column("n", "numeric"),
        Column("f", "double precision"),
        Column("at", "timestamp with time zone"),
        Column("doc", "jsonb"),
        Column("raw", "bytea"),
        Column("list", "text[]"),
        Column("feels", "public.mood"),
        Column("v", "character varying(5)"),
        Column("double", "numeric", generated=True),
    ),
)


@pytest.fixture(scope="module")
def cluster() -> t.Iterator[ScratchCluster]:
    with ScratchCluster(settings={"autovacuum": "off"}) as made:
        with connected(made) as connection, connection.cursor() as cursor:
            cursor.execute(TABLES)
            connection.commit()
        yield made


def connected(cluster: ScratchCluster) -> t.Any:
    return psycopg2.connect(host=cluster.socket, port=cluster.port, user=SUPERUSER, dbname="postgres")


@pytest.fixture
def cursor(cluster: ScratchCluster) -> t.Iterator[t.Any]:
    """A cursor in a transaction that is rolled back, in which every value is its text."""
    connection = connected(cluster)
    try:
        with connection.cursor() as made:
            for name, value in plan.SESSION.items():
                made.execute("SELECT set_config(%s, %s, true)", (name, value))
            yield made
    finally:
        connection.close()


def rows(cursor: t.Any, query: str) -> list[tuple[str | None, ...]]:
    """The rows of a query, each value as its text."""
    cursor.execute(query)
    oids = {column.type_code for column in cursor.description}
    register_type(new_type(tuple(oids), "TEXT", UNICODE), cursor)
    cursor.execute(query)
    return cursor.fetchall()


STATEMENTS = [
    "DELETE FROM public.u WHERE id > 1",
    "DELETE FROM public.twice AS a USING public.twice AS b WHERE a.a = b.a AND a.ctid > b.ctid",
    "WITH n AS (SELECT ctid, row_number() OVER (PARTITION BY a) AS k FROM public.twice) "
    "DELETE FROM public.twice USING n WHERE twice.ctid = n.ctid AND n.k > 1",
    "DELETE FROM public.part WHERE k % 2 = 0",
    "DELETE FROM public.part USING public.u WHERE part.k = u.id + 9 OR part.k = u.id",
    'UPDATE public."T x" SET "a b" = upper("a b") WHERE id IN (SELECT id FROM public.u)',
    'UPDATE public."T x" AS x SET "a b" = u.a FROM public.u AS u WHERE x.id = u.id',
    'UPDATE public."T x" SET n = n * 100 WHERE NOT EXISTS (SELECT FROM public.u WHERE u.id = "T x".id)',
    "UPDATE public.u SET a = NULL",
    "DELETE FROM ONLY public.part_1 WHERE k < 5",
    "TRUNCATE public.u",
]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_the_rows_that_are_saved_are_those_that_are_touched(cursor, sql):
    (save,) = parsing.saves(sql)
    saved = {row[:2] for row in rows(cursor, save.query)}
    everything = f'SELECT tableoid, ctid FROM {save.schema}."{save.table}"'  # noqa: S608 (the statement's own table)
    before = set(rows(cursor, everything))
    cursor.execute(sql)
    count = cursor.rowcount
    after = set(rows(cursor, everything))
    assert saved == before - after
    # TRUNCATE says no count.
    assert count == len(saved) or (count == -1 and not after)
    assert saved


def test_under_the_session_of_a_plan_nothing_without_schema_is_somebody_s(cursor):
    """The rules let lower(x) and = pass, since they can only be PostgreSQL's."""
    cursor.execute("CREATE FUNCTION public.lower(int) RETURNS int LANGUAGE sql AS 'SELECT 1'")
    cursor.execute("CREATE OPERATOR public.## (FUNCTION = public.lower, RIGHTARG = int)")
    for sql in ("SELECT lower(1)", "SELECT ## 1"):
        cursor.execute("SAVEPOINT here")
        with pytest.raises(psycopg2.errors.UndefinedFunction):
            cursor.execute(sql)
        cursor.execute("ROLLBACK TO SAVEPOINT here")


def columns(cursor: t.Any) -> list[tuple[str | None, ...]]:
    return rows(cursor, 'SELECT * FROM public."T x" ORDER BY id')


def run_undo(
    cursor: t.Any, *touched: Touched, assigned: t.Mapping[str, t.Collection[str]] | None = None, **changes: t.Any
) -> plan.Plan:
    """Make the undo, fill in what people have to say, judge it, and carry out its steps."""
    undone = read()
    undone = dataclasses.replace(undone, steps=(dataclasses.replace(undone.steps[0], id="s", **changes),))
    text = undo(undone, touched, dt.datetime(2026, 11, 25, tzinfo=dt.UTC), assigned)
    for key in ("problem", "cause", "reporter"):
        assert f'{key}: ""' in text
        text = text.replace(f'{key}: ""', f"{key}: word")
    text = text.replace('expires: ""', "expires: 2026-12-01T00:00:00Z")
    made = plan.read(yamls.load(text.encode(), plan.FILE))
    parsing.check(made)
    for step in made.steps:
        cursor.execute(step.sql)
        assert step.rows.met_by(cursor.rowcount)
    return made


def test_what_was_deleted_comes_back_byte_by_byte(cursor):
    before = columns(cursor)
    cursor.execute('DELETE FROM public."T x" WHERE id < 30')
    assert len(columns(cursor)) == 11
    run_undo(cursor, Touched("s", DELETED, TABLE, tuple(before[:29])))
    assert columns(cursor) == before


def test_what_was_changed_is_set_back_byte_by_byte(cursor):
    before = columns(cursor)
    cursor.execute(
        """UPDATE public."T x" SET "a b" = 'x', n = NULL, f = 'NaN', at = now(), doc = 'null', raw = '', list = '{}',
        feels = NULL, v = 'w'"""
    )
    assert columns(cursor) != before
    run_undo(cursor, Touched("s", UPDATED, TABLE, tuple(before)))
    assert columns(cursor) == before


def changed_since(cursor: t.Any, before: list[tuple[str | None, ...]]) -> list[str]:
    """The columns in which the rows differ now."""
    found = [
        number
        for number, pair in enumerate(zip(*before, strict=True))
        if pair != tuple(zip(*columns(cursor), strict=True))[number]
    ]
    return [TABLE.columns[number].name for number in found]


@pytest.mark.parametrize("cascade", [False, True])
def test_what_others_have_written_since_into_other_columns_stays(cursor, cascade):
    before = columns(cursor)
    cursor.execute("""UPDATE public."T x" SET n = 0""")
    cursor.execute("""UPDATE public."T x" SET v = 'late' WHERE id = 1""")
    touched = [Touched("s", UPDATED, TABLE, tuple(before))]
    # Before them the rows that foreign keys have reached, of which nothing is known.
    others = [Touched("s", UPDATED, TABLE, (before[1],))] if cascade else []
    run_undo(cursor, *others, *touched, assigned={"s": {"n"}})
    assert changed_since(cursor, before) == ["v"]


def test_what_a_trigger_of_the_table_may_have_changed_is_set_back_too(cursor):
    before = columns(cursor)
    cursor.execute("""UPDATE public."T x" SET n = 0, v = 'w'""")
    touched = Touched("s", UPDATED, TABLE, tuple(before))
    run_undo(cursor, touched, assigned={"s": {"n"}}, triggers=("public.T x.fires",))
    assert changed_since(cursor, before) == []


def test_a_column_that_only_the_server_writes_is_left_alone(cursor):
    cursor.execute("CREATE TABLE public.own (k int PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, a text)")
    cursor.execute("INSERT INTO public.own (k, a) VALUES (1, 'a'), (2, 'b')")
    table = Table(
        "public", "own", (Column("k", "integer", key=True), Column("n", "integer", identity=True), Column("a", "text"))
    )
    before = rows(cursor, "SELECT * FROM public.own ORDER BY 1")
    cursor.execute("UPDATE public.own SET a = 'x' WHERE k = 1")
    cursor.execute("DELETE FROM public.own WHERE k = 2")
    run_undo(cursor, Touched("s", UPDATED, table, (before[0],)), Touched("t", DELETED, table, (before[1],)))
    assert rows(cursor, "SELECT * FROM public.own ORDER BY 1") == before


def test_what_was_added_is_taken_out(cursor):
    before = columns(cursor)
    cursor.execute('INSERT INTO public."T x" ("a b") VALUES (\'new\'), (NULL)')
    added = [row for row in columns(cursor) if row not in before]
    run_undo(cursor, Touched("s", INSERTED, TABLE, tuple(added)))
    assert columns(cursor) == before


def test_steps_are_undone_from_the_last_to_the_first(cursor):
    """A row that is changed and then deleted comes back as it was at first."""
    before = columns(cursor)
    cursor.execute('UPDATE public."T x" SET n = 0 WHERE id = 1')
    changed = columns(cursor)
    cursor.execute('DELETE FROM public."T x" WHERE id = 1')
    run_undo(
        cursor,
        Touched("first", UPDATED, TABLE, (before[0],)),
        Touched("second", DELETED, TABLE, (changed[0],)),
    )
    assert columns(cursor) == before


def test_many_rows_are_several_statements(cursor):
    before = columns(cursor)
    long = tuple((str(number), "x" * 900, *before[5][2:]) for number in range(1000, 1100))
    made = run_undo(cursor, Touched("s", DELETED, TABLE, long))
    assert len(made.steps) > 2
    assert made.max_rows == 100


def test_the_undo_expects_the_fault_to_be_back():
    text = undo(
        read(), [Touched("s", DELETED, TABLE, (("1",) + ("x",) * 10,))], dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
    )
    assert "    before: 0\n    after: 12\n" in text
    assert "incident: 2026-11-25-undo-duplicate-rows\n" in text
    with pytest.raises(ValueError, match="problem: write a text"):
        plan.read(yamls.load(text.encode(), plan.FILE))


def test_the_undo_of_an_undo_has_a_name_of_its_own():
    undone = dataclasses.replace(read(), incident="2026-11-25-undo-duplicate-rows")
    touched = [Touched("s", DELETED, TABLE, (("1",) + ("x",) * 10,))]
    text = undo(undone, touched, dt.datetime(2026, 11, 25, tzinfo=dt.UTC))
    assert "incident: 2026-11-25-undo-undo-duplicate-rows\n" in text


@pytest.mark.parametrize(
    ("touched", "problem"),
    [
        ((), "nothing to undo"),
        ((Touched("s", DELETED, TABLE, ()),), "nothing to undo"),
        ((Touched("s", DELETED, TABLE, (("1",),)),), "has not the table's columns"),
        ((Touched("s", "moved", TABLE, (("1",) * 11,)),), "nothing that is known"),
        ((Touched("s", UPDATED, Table("public", "t", (Column("a", "text"),)), (("x",),)),), "no primary key"),
        ((Touched("s", UPDATED, Table("public", "t", (Column("a", "text", key=True),)), (("x",),)),), "is all key"),
        ((Touched("s", UPDATED, Table("public", "t", (Column("a", "text); DROP", key=True),)), (("x",),)),), "no type"),
        ((Touched("s", DELETED, Table("public", "t", (Column("a", "text"),)), (("x" * 99_999,),)),), "too long"),
        (
            (Touched("s", DELETED, Table("public", "t", (Column("a", "text"),)), (("x" * 99,),) * 3000),),
            "a plan has at most 128: restore the dump",
        ),
    ],
)
def test_what_can_not_be_undone_by_a_plan_is_said(touched, problem):
    with pytest.raises(ValueError, match=problem):
        undo(read(), touched, dt.datetime(2026, 11, 25, tzinfo=dt.UTC))
