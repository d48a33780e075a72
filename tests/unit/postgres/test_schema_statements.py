from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.schema_statements import (
    lint,
    split,
    without_noise,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", []),
        (" ;; -- nothing; here\n /* nor; /* here; */ ; */ ", []),
        ("SELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';', \"a;b\", E'\\';', $$;$$, $x$;$$;$x$;", ["SELECT ';', \"a;b\", E'\\';', $$;$$, $x$;$$;$x$"]),
        ("SELECT 'it''s;' -- ;\n, 1;", ["SELECT 'it''s;' -- ;\n, 1"]),
        ("SELECT a$b$, c$b$;SELECT 2", ["SELECT a$b$, c$b$", "SELECT 2"]),
        ("SELECT $1; SELECT 2", ["SELECT $1", "SELECT 2"]),
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3",
            [
                "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
                "SELECT 3",
            ],
        ),
    ],
)
def test_statements_end_at_their_semicolon_alone(text, statements):
    assert [statement.text for statement in split(text)] == statements


def test_a_statement_knows_its_line():
    assert [statement.line for statement in split("-- one\n\nSELECT\n 1;\n/* five */ SELECT 2;")] == [3, 5]


@pytest.mark.parametrize("opened", ["SELECT 'a", 'SELECT "a', "SELECT $x$ a", "SELECT 1 /* a", "SELECT E'a\\'"])
def test_what_stays_open_is_named_with_its_line(opened):
    with pytest.raises(ValueError, match=r"line 2: .* does not end"):
        split("\n" + opened)


@pytest.mark.parametrize(
    "statement",
    [
        "BEGIN",
        "begin work",
        "START TRANSACTION",
        "COMMIT",
        "/* x */ Commit",
        "END",
        "ROLLBACK",
        "ROLLBACK TO a",
        "ABORT",
        "SAVEPOINT a",
        "RELEASE a",
        "PREPARE TRANSACTION 'a'",
        "COMMIT PREPARED 'a'",
        "DISCARD ALL",
        "SET ROLE postgres",
        'SET "role" TO postgres',
        "SET /* */ LOCAL ROLE a",
        "SET SESSION ROLE a",
        "SET SESSION AUTHORIZATION a",
        "SET LOCAL SESSION AUTHORIZATION a",
        "SET session_authorization = a",
        "RESET ROLE",
        "RESET SESSION AUTHORIZATION",
        "RESET ALL",
        "SET TRANSACTION READ ONLY",
        "COPY t FROM stdin",
        "COPY t FROM PROGRAM 'id'",
        "DO $$ BEGIN END $$",
        "\\connect other",
        'SET U&"\\0072ole" TO a',
        "SET standard_conforming_strings TO off",
        "SET backslash_quote TO on",
        "SET LOCAL lock_timeout TO 0",
        "RESET lock_timeout",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET role TO a AS 'SELECT 1'",
        "CREATE OR REPLACE PROCEDURE f(a int, b int, c int) LANGUAGE sql SET \"role\" FROM CURRENT AS 'SELECT 1'",
        "ALTER FUNCTION f() SET session_authorization = a",
        "ALTER DATABASE d SET ROLE a",
        "SELECT set_config('role', 'none', false)",
        "SELECT pg_catalog.set_config('Session_Authorization', 'a', false)",
        "SELECT set_config($$role$$, 'none', false)",
        "INSERT INTO t SELECT set_config('lock_timeout', '0', false)",
        "SELECT 1 \\gexec",
    ],
)
def test_what_leaves_the_transaction_or_the_role_is_refused_with_its_line(statement):
    with pytest.raises(ValueError, match="line 2: "):
        lint(f"SELECT 1;\n{statement};\n")


@pytest.mark.parametrize(
    "statement",
    [
        "SET LOCAL work_mem TO '64MB'",
        "ALTER TABLE t ADD COLUMN role text",
        "PREPARE p AS SELECT 1",
        "SELECT 'COMMIT; ROLLBACK'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$",
        "COMMENT ON TABLE t IS 'begin'",
        "UPDATE t SET role = 'a'",
        "SELECT set_config('work_mem', 'role', false)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path TO a, role AS 'SELECT 1'",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC UPDATE t SET role = 1; SELECT 1; END",
        "SET search_path TO role",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    ],
)
def test_plain_statements_may_be_run(statement):
    assert [found.text for found in lint(statement + ";")] == [statement]


def test_every_refused_line_is_named():
    with pytest.raises(ValueError, match=r"(?s)line 1: COMMIT.*line 3: RESET ROLE"):
        lint("COMMIT;\nSELECT 1;\nRESET ROLE;")


def test_a_text_without_a_statement_is_refused():
    with pytest.raises(ValueError, match="no statement"):
        lint("-- later\n")


def test_the_noise_of_pg_dump_is_left_out():
    text = "SET x = 0; SELECT pg_catalog.set_config('search_path', '', false); CREATE TABLE public.t (); SELECT 1"
    assert [statement.text for statement in without_noise(split(text))] == ["CREATE TABLE public.t ()", "SELECT 1"]


PIECES = st.sampled_from(["SELECT 1", "'a;b'", '"c;d"', "$$;$$", "-- e;f\n", "/* ;g */", ", 2", "\n", "E'\\\\;'"])


@given(st.lists(st.lists(PIECES, min_size=1).map(" ".join), min_size=1))
def test_no_statement_is_lost_nor_split(statements):
    written = [statement for statement in statements if split(statement)]
    found = split(";\n".join(f"{statement}\n" for statement in statements))
    assert len(found) == len(written)
    for statement, original in zip(found, written, strict=True):
        assert statement.text in original
        assert split(statement.text)[0].text == statement.text


@pytest.mark.parametrize(
    "text",
    [
        "SELECT $😀$ ' $😀$; COMMIT; SELECT 1 --'",
        "SELECT $٣$ ' $٣$; COMMIT; SELECT 1 --'",
        "SELECT 1 -- \r; COMMIT; SELECT 1",
        "SELECT a\u00a0$x$ ' $x$ '; COMMIT; --'",
    ],
)
def test_what_is_not_ascii_and_a_carriage_return_hide_no_statement(text):
    """The server takes any such sign for a letter, and ends a comment at either end of a line."""
    with pytest.raises(ValueError, match="COMMIT has no place here"):
        lint(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT E'a'\n'b\\''; COMMIT; --'\n",
        "SELECT e'a' -- c\r -- d\n\t'b\\''; COMMIT; --'\n",
        "SELECT E'a'\n'b'\n\f'c\\''; COMMIT; --'\n",
        # Of another kind, without the end of a line, with another comment, with a doubled quote, behind a number.
        "SELECT 'a'\n'b\\'; COMMIT; --'\n",
        "SELECT U&'a'\n'b\\'; COMMIT; --'\n",
        "SELECT N'a'\n'b\\'; COMMIT; --'\n",
        "SELECT B'1'\n'0'; COMMIT; --'\n",
        "SELECT E'a' 'b\\'; COMMIT; --'\n",
        "SELECT E'a' /*\n*/ 'b\\'; COMMIT; --'\n",
        "SELECT E'a'\n/**/ 'b\\'; COMMIT; --'\n",
        "SELECT E'a'';\n'; COMMIT; --'\n",
        "SELECT E'a'\n-- 'b\\\n; COMMIT; --'\n",
        "SELECT 1E'\\''; COMMIT; --'\n",
    ],
)
def test_a_string_goes_on_in_the_next_line_as_it_began(text):
    """And hides no statement: what the server takes for the end of a string is taken for it here."""
    with pytest.raises(ValueError, match="COMMIT has no place here"):
        lint(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT E'a'\n'b\\';c', 1",
        "SELECT E'a' -- ' ;\n  -- ' ;\n 'b\\';', 1",
        "SELECT 'a'\n'b\\', ';'",
        "SELECT 'a'\n';''b', 1",
    ],
)
def test_a_string_of_several_lines_is_one(text):
    assert [statement.text for statement in split(f"{text}; SELECT 2")] == [text, "SELECT 2"]


@pytest.mark.parametrize("name", ["'ro'\n'le'", "E'ro' -- \n'le'"])
def test_a_setting_named_in_several_lines_is_seen(name):
    with pytest.raises(ValueError, match="setting role inside a statement has no place here"):
        lint(f"SELECT set_config({name}, 'none', false)")


def test_what_never_ends_is_read_in_time():
    """Comments between the parts of a string can be read in one way alone."""
    with pytest.raises(ValueError, match="does not end"):
        split("SELECT E'a'" + " -- -- --\n" * 5000 + "'b")
