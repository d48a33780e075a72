"""The copy is read again by several sessions at once: the same bytes as pg_dump's, or pg_dump alone decides."""

from __future__ import annotations

import os
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore import again, restoring
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.material import from_file
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.server import Server as Restoring
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.target import Target
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import children
from ansible_collections.taaraxtak.production.tests.integration.dumps_restored import DATABASE, Shop

AWKWARD = Path(__file__).with_name("dumps_awkward.sql")
# What is written by settings of the session, and rows of very different sizes.
WRITTEN = """
CREATE TYPE temper AS ENUM ('good; "bad"', 'x');
CREATE TABLE "Written; here" (
  id int, f float8, r real, d date, ts timestamptz, i interval, b bytea, m money, c regclass, a text[], j jsonb,
  e temper, gone int, "a ""quoted"" name" text, g int GENERATED ALWAYS AS (id * 2) STORED);
ALTER TABLE "Written; here" DROP COLUMN gone;
INSERT INTO "Written; here" SELECT i, i / 3.0, i / 7.0, date '1999-01-02' - i * 300, now() + i * interval '37 min',
  i * interval '1 day 3 hours', decode(md5(i::text), 'hex'), i::money, '"Written; here"'::regclass,
  ARRAY['a', NULL, E'\\t\\\\.\\n', '}'], jsonb_build_object('k', i), 'x',
  repeat(E'\\\\.\\n', i % 50) || repeat('x', i * 7 % 5000)
  FROM generate_series(1, 3000) i;
CREATE TABLE without_columns ();
CREATE TABLE "-- none" (a int);
"""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Every table counts as large, and has many ranges; what is read so, each time that the copy is read."""
    read: list[list[str]] = []
    real = again.read_again

    def noted(*given: t.Any) -> t.Any:
        read.append([table.qualified for table in given[4]])
        return real(*given)

    monkeypatch.setattr(again, "LARGE", 0)
    monkeypatch.setattr(again, "RANGE", 2)
    monkeypatch.setattr(restoring, "read_again", noted)
    return read


@pytest.fixture
def shop(tmp_path: Path, fresh_server: Server) -> Shop:
    made = Shop(tmp_path, fresh_server)
    fresh_server.run("GRANT CREATE ON SCHEMA public TO shop_owner; DROP TABLE empty", database=DATABASE)
    awkward = "\n".join(
        line for line in AWKWARD.read_text().splitlines() if "FOREIGN" not in line and "SERVER" not in line
    )
    fresh_server.run(f"SET ROLE shop_owner; {awkward}; {WRITTEN}", database=DATABASE)
    # As unlike the usual ones as may be: a copy has none of them, and the server neither.
    fresh_server.run(f"ALTER DATABASE {DATABASE} SET extra_float_digits = -5", database=DATABASE)
    made.dump()
    return made


def restore(shop: Shop, kind: type[Restoring] = Restoring) -> restoring.Report:
    options = restoring.Options(database=DATABASE, unproved=True)
    (path,) = (path for path in shop.archive.glob("*.sql.zst") if ".globals." not in path.name)
    plan = restoring.plan(from_file(str(path)), options)
    with kind(Target(host=str(shop.server.cluster.socket))) as server:
        return restoring.restore(server, plan, options)


def nothing_left() -> None:
    assert not children(os.getpid())
    assert [thread for thread in threading.enumerate() if thread.name.startswith("again")] == []


def test_what_several_sessions_read_is_what_pg_dump_writes(shop: Shop, small: list[list[str]]) -> None:
    report = restore(shop)
    (tables,) = small
    assert {'public."Written; here"', 'public."-- none"', "public.goods"} <= set(tables)
    assert report.proof.ddl == "equal"
    assert report.tables['public."Written; here"'] == 3000
    assert report.tables["public.goods"] == 2000
    nothing_left()


def test_a_row_that_is_lost_is_found_out(shop: Shop, small: list[list[str]]) -> None:
    class Losing(Restoring):
        def settle(self, temporary: str, owner: str = "") -> None:
            super().settle(temporary, owner)
            shop.server.run("DELETE FROM goods WHERE id = 7", database=temporary)

    with pytest.raises(DumpError, match=r"public\.goods has 1999 rows in the copy and 2000 in the dump"):
        restore(shop, Losing)
    assert [bool(tables) for tables in small] == [True, False]
    assert shop.databases() == {DATABASE}
    nothing_left()


def test_where_they_differ_pg_dump_alone_decides(
    shop: Shop, small: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(again, "SETTINGS", "SET datestyle = German; SET extra_float_digits = 0;\n")
    assert restore(shop).proof.ok
    assert [bool(tables) for tables in small] == [True, False]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("SELECT nothing;\n", "nothing"),
        ("SELECT pg_terminate_backend(pg_backend_pid());\n", "terminat"),
        ("\\q\n", "could not be read"),
    ],
)
def test_a_session_that_fails_is_said_and_leaves_nothing(
    shop: Shop, small: list[list[str]], monkeypatch: pytest.MonkeyPatch, settings: str, said: str
) -> None:
    monkeypatch.setattr(again, "SETTINGS", settings)
    with pytest.raises(DumpError, match=rf"(?s){said}.*the database {DATABASE} is as it was"):
        restore(shop)
    assert (shop.databases(), shop.leftovers()) == ({DATABASE}, [])
    nothing_left()


def test_small_tables_are_pg_dump_s(shop: Shop, small: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "LARGE", 1 << 20)
    restore(shop)
    assert small == [[]]
