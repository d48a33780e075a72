"""What is taken for one statement is one for the server: else a text could end the transaction that it is sent in."""

from __future__ import annotations

import random

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.reading import only_query

# plpgsql opens a cursor for one statement alone, and says so: the server's own judgement, without running anything.
JUDGE = """
DO $judge$ DECLARE line text; BEGIN
  FOR line IN EXECUTE 'EXPLAIN ' || current_setting('judged.text') LOOP END LOOP;
END $judge$
"""
SEVERAL = "42P11"
# What opens, ends or looks like a quote, a comment or a name, and what can stand between.
PIECES = (
    *("'", "''", '"', "$$", "$a$", "$😀$", "$é$", "$٣$", "$", "E'", "e'", "U&'", "N'", "B'", "x'", "\\", "\\'", "\\\\"),
    *("/*", "*/", "--", "\n", "\r", " ", "\u00a0", "\u2028", "\ufeff", "\v", "\f", "\x1c", "\x85", "😀", "é", "٣", "a"),
    *(
        "1",
        "_",
        ";",
        "; SELECT 2",
        ";",
        "::text",
        "||",
        "+",
        "(",
        ")",
        "[",
        "]",
        "@",
        "<",
        "&",
        "1e",
        "0x",
        ".",
        ",",
        "E",
    ),
)


def judged(cursor, text):
    """The SQLSTATE with which the server refuses *text*, None where it doesn't."""
    cursor.execute("SELECT set_config('judged.text', %s, false)", (text,))
    try:
        cursor.execute(JUDGE)
    except psycopg2.Error as error:
        return error.pgcode
    return None


KNOWN = (
    "SELECT $😀$ ' $😀$; SELECT 2 '",
    "SELECT $٣$ ' $٣$; SELECT 2 '",
    "SELECT -- comment\r; SELECT 2",
    "SELECT 1 -- comment\r; SELECT 2",
    "SELECT 1 AS \u00a0E; SELECT '\\'; SELECT 2 --'",
    "SELECT $a$ $A$ ; $a$; SELECT 2",
)


@pytest.fixture
def cursor(server):
    connection = server.connect()
    yield connection.cursor()
    connection.close()


@pytest.mark.parametrize("text", KNOWN)
def test_a_text_that_looks_like_one_statement_is_refused(cursor, text):
    assert judged(cursor, text) in (SEVERAL, "42601")
    with pytest.raises(ValueError, match=r"statements|does not end"):
        only_query(text)


def test_what_is_taken_for_one_statement_never_is_several_for_the_server(cursor):
    """By chance, but the same chance each time."""
    chance = random.Random(6)  # noqa: S311 - texts, no secrets
    several = 0
    for _ in range(12_000):
        text = "SELECT " + "".join(chance.choices(PIECES, k=chance.randrange(2, 9))) + chance.choice(("", "; SELECT 2"))
        state = judged(cursor, text)
        several += state == SEVERAL
        if state == SEVERAL:
            with pytest.raises(ValueError, match=r"."):
                only_query(text)
    assert several > 100, "too few of the texts say anything"
