"""The proof on real servers: a copy that psql made is equal, and one that was touched is not."""

from __future__ import annotations

import subprocess
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.proof import Proof, prove
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.server import Server as Restoring
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.target import Target
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.text import Text
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.scan import Scanner
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.restoring import restore

# Rows of such different sizes leave gaps that later ones would fit into.
TABLES = """
SET ROLE app;
CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x text);
INSERT INTO t (x) SELECT repeat(md5(g::text), (ARRAY[1, 6, 18, 56])[1 + abs(hashint4(g)) % 4])
    FROM generate_series(1, 20000) g;
CREATE TABLE empty (a int);
CREATE TYPE colour AS ENUM ('red', 'green', 'blue');
CREATE TABLE root (c colour, a int) PARTITION BY LIST (c);
CREATE TABLE leaf PARTITION OF root FOR VALUES IN ('red', 'green', 'blue');
INSERT INTO root SELECT (enum_range(NULL::colour))[1 + g % 3], g FROM generate_series(1, 100) g;
"""


@pytest.fixture
def text(fresh_server: Server) -> bytes:
    fresh_server.run("CREATE ROLE app")
    fresh_server.run("CREATE DATABASE live OWNER app")
    fresh_server.run(TABLES, database="live")
    # Gaps from the beginning on, as in a table that is years old.
    fresh_server.run("DELETE FROM t WHERE id % 7 = 0", database="live")
    fresh_server.run("VACUUM t", database="live")
    fresh_server.run("UPDATE t SET x = x || 'more' WHERE id % 11 = 0", database="live")
    return dumped(fresh_server)


@pytest.fixture
def restoring(fresh_server: Server) -> t.Iterator[Restoring]:
    with Restoring(Target(host=str(fresh_server.cluster.socket))) as opened:
        yield opened


def dumped(server: Server) -> bytes:
    cluster = server.cluster
    where = [f"--host={cluster.socket}", f"--port={cluster.port}", "--username=postgres"]
    return subprocess.run([cluster.bindir / "pg_dump", *where, "live"], capture_output=True, check=True).stdout


def proved(came: Scanner, again: bytes) -> Proof:
    copy = Scanner()
    copy.feed(again)
    return prove(None, came, (copy.finish(), copy.statements), same_major=True)


def test_a_copy_is_equal_whatever_the_sizes_of_rows(fresh_server: Server, restoring: Restoring, text: bytes) -> None:
    came = Scanner()
    given = Text(came, "k" * 32)
    parts = [*given.feed(text), given.finish()[1]]
    _swapped, again = restore(restoring, b"".join(parts), "live")
    proof = proved(came, again)
    assert proof.problems == ()
    assert (proof.tables, proof.ddl) == (3, "equal")
    assert proof.rows > 10_000
    fresh_server.run("UPDATE t SET x = reverse(x) WHERE id = 5", database="live")
    fresh_server.run("INSERT INTO empty VALUES (1)", database="live")
    fresh_server.run("ALTER TABLE t DROP CONSTRAINT t_pkey", database="live")
    fresh_server.run("SELECT nextval('t_id_seq')", database="live")
    problems = "\n".join(proved(came, dumped(fresh_server)).problems)
    for name in ("the table public.t ", "the table public.empty ", "public.t_id_seq", "t_pkey"):
        assert name in problems
