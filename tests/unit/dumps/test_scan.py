"""The scan of pg_dump's text: the same whatever pieces it comes in, and never fooled by words in the wrong place."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.ddl import Ddl, Statements
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.scan import (
    LINE_LIMIT,
    STATEMENT_LIMIT,
    Scanned,
    Scanner,
    SequenceValue,
    TableData,
    qualified,
    scan,
)
from hypothesis import given
from hypothesis import strategies as st

BEGIN = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc123\n\nSET statement_timeout = 0;\n"
END = "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc123\n\n"


def dump(*parts: str, end: str = END) -> bytes:
    return "".join([BEGIN, *parts, end]).encode()


def rows(text: str) -> TableData:
    content = text.encode()
    return TableData(rows=content.count(b"\n"), bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def copy(name: str, data: str, columns: str = "(a, b)") -> str:
    return f"COPY {name} {columns} FROM stdin;\n{data}\\.\n\n\n"


def ddl_of(*statements: str) -> Ddl:
    taken = Statements()
    for statement in statements:
        taken.add(statement.encode())
    return taken.ddl()


FUNCTION = "CREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS $_$\nCOPY public.a (a) FROM stdin;\n1\n\\.\n$_$;\n"
EXAMPLE = dump(
    FUNCTION,
    copy("public.a", "1\tx\n2\ty\n"),
    copy("public.empty", ""),
    copy("public.none", "\n\n\n", ""),
    copy('"S.x"."t ""q"" FROM stdin;"', "\\\\.\n\\N\n", '("c\nd", "e, f")'),
    "SELECT pg_catalog.setval('public.\"odd ''one''\"', -7, false);\n",
    copy("public.root", "1\n"),
    copy("public.root", "2\n"),
)
EXPECTED = Scanned(
    raw_bytes=len(EXAMPLE),
    tables={
        "public.a": rows("1\tx\n2\ty\n"),
        "public.empty": rows(""),
        "public.none": rows("\n\n\n"),
        '"S.x"."t ""q"" FROM stdin;"': rows("\\\\.\n\\N\n"),
        "public.root": rows("1\n2\n"),
    },
    sequences={"public.\"odd 'one'\"": SequenceValue(value=-7, called=False)},
    ddl=ddl_of(FUNCTION),
)


def test_rows_bytes_and_hashes_are_those_of_the_copy_data() -> None:
    assert scan([EXAMPLE]) == EXPECTED


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 16, 100])
def test_pieces_of_any_one_size_give_the_same(size: int) -> None:
    assert scan(EXAMPLE[start : start + size] for start in range(0, len(EXAMPLE), size)) == EXPECTED


@given(cuts=st.lists(st.integers(0, len(EXAMPLE)), max_size=30))
def test_pieces_of_different_sizes_give_the_same(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(EXAMPLE)]
    assert scan(EXAMPLE[start:end] for start, end in itertools.pairwise(places)) == EXPECTED


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
# COPY's text: a backslash is always escaped, so that no line is the terminator.
VALUES = st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"]), max_size=12).map(
    lambda text: text.replace("\\", "\\\\")
)


@given(
    tables=st.dictionaries(st.tuples(NAMES, NAMES), st.lists(VALUES, max_size=6), max_size=5),
    comment=NAMES,
    body=NAMES,
    cuts=st.lists(st.integers(0, 2000), max_size=10),
)
def test_any_names_and_rows_are_counted_right(
    tables: dict[tuple[str, str], list[str]], comment: str, body: str, cuts: list[int]
) -> None:
    def quote(name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    text = dump(
        "COMMENT ON SCHEMA public IS '" + comment.replace("'", "''") + "';\n",
        "CREATE FUNCTION f() RETURNS int AS $wrap_$" + body.replace("$wrap_$", "") + "$wrap_$;\n",
        *(
            copy(f"{quote(schema)}.{quote(name)}", "".join(f"{value}\n" for value in values), f"({quote(name)})")
            for (schema, name), values in tables.items()
        ),
    )
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    scanned = scan(text[start:end] for start, end in itertools.pairwise(places))
    assert scanned.tables == {
        qualified(*name): rows("".join(f"{value}\n" for value in values)) for name, values in tables.items()
    }


@pytest.mark.parametrize(
    "words",
    [
        "COMMENT ON TABLE a IS '\nCOPY public.a (a) FROM stdin;\n1\n\\.\n';\n",
        "COMMENT ON TABLE a IS 'it''s\nCOPY public.a (a) FROM stdin;\n';\n",
        "CREATE VIEW v AS SELECT E'a\\\\''\nCOPY public.a (a) FROM stdin;\n' AS x;\n",
        "CREATE VIEW v AS SELECT E'a\\'\nCOPY public.a (a) FROM stdin;\n' AS x;\n",
        'CREATE TABLE public."x\nCOPY public.a (a) FROM stdin;\n" ();\n',
        'CREATE TABLE public."x""\nCOPY public.a (a) FROM stdin;\n" ();\n',
        "CREATE FUNCTION f() AS $$\nCOPY public.a (a) FROM stdin;\n$$;\n",
        "CREATE FUNCTION f() AS $_x1$ $$ $_x$\nCOPY public.a (a) FROM stdin;\n$_x1$;\n",
        "CREATE FUNCTION f() AS $é$ ' \n$é$;\n",
        "-- it's a comment $$ \" /*\n",
        "/* it's /* nested */\nCOPY public.a (a) FROM stdin;\n*/\n",
        "CREATE VIEW a$b$c AS SELECT x$y$z;\n",
        "CREATE VIEW v AS SELECT f(name'x');\n",
        "SELECT 1 AS\nCOPY;\n",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql\nBEGIN ATOMIC\n SELECT 1;\n SELECT 2;\nEND;\n",
        "COMMENT ON TABLE a IS '-- PostgreSQL database dump complete\n-- PostgreSQL database dump complete\n';\n",
        "COMMENT ON TABLE a IS '\nSELECT pg_catalog.setval(''public.a'', 1, true);\n';\n",
    ],
)
def test_words_in_quotes_and_comments_are_no_data(words: str) -> None:
    scanned = scan([dump(words, copy("public.real", "1\n"))])
    assert scanned.tables == {"public.real": rows("1\n")}
    assert scanned.sequences == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "lacks its last line"),
        (dump(end=""), "lacks its last line"),
        (dump(copy("public.a", "1\n"), end="").split(b"\\.\n")[0], "ends within the rows of public.a"),
        (dump("COMMENT ON x IS 'open\n"), "ends within a statement"),
        (dump("SELECT 1\n"), "psql command"),
        (dump("/* open\n"), "ends within a statement"),
        (dump(end=END + "SELECT 1;\n"), "goes on after"),
        (dump(end=END + copy("public.a", "1\n")), "goes on after"),
        (dump("\\! rm -rf x\n"), "psql command"),
        (dump("\\connect other\n"), "psql command"),
        (dump("SELECT 1 \\gexec\n"), "psql command"),
        (dump("\\restrict a b\n"), "psql command"),
        (dump("COPY public.a (a) FROM PROGRAM 'ls';\n"), "could not be read"),
        (dump("COPY a (a) FROM stdin;\n1\n\\.\n"), "could not be read"),
        (dump("COPY public.a (a) FROM stdin WITH (FORMAT csv);\n1\n\\.\n"), "could not be read"),
        (dump("COPY (SELECT 1) TO stdout;\n"), "could not be read"),
        (dump("COPY public.a (a) FROM stdin; SELECT 1;\n"), "could not be read"),
        (dump("SELECT pg_catalog.setval('s', 1, true);\n"), "could not be read"),
        (dump("SELECT pg_catalog.setval('public.s', 1);\n"), "could not be read"),
        (dump('COPY public."\u00ff" (a) FROM stdin;\n').replace(b"\xc3\xbf", b"\xff"), "utf-8"),
    ],
)
def test_what_can_not_be_read_is_an_error_and_no_guess(text: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        scan([text])


@given(cut=st.integers(0, len(EXAMPLE.split(b"-- PostgreSQL database dump complete")[0])))
def test_a_dump_cut_anywhere_is_not_complete(cut: int) -> None:
    with pytest.raises(ValueError, match=r"the dump (ends|lacks)"):
        scan([EXAMPLE[:cut]])


def test_a_line_without_end_is_not_kept_in_memory() -> None:
    scanner = Scanner()
    scanner.feed(b"-" * LINE_LIMIT)
    with pytest.raises(ValueError, match="longer than"):
        scanner.feed(b"-")


def test_a_statement_without_end_is_not_kept_in_memory() -> None:
    scanner = Scanner()
    scanner.feed(b"COMMENT ON x IS '\n")
    with pytest.raises(ValueError, match="statement of the dump's schema is longer than"):
        scanner.feed((b"-" * 1023 + b"\n") * (STATEMENT_LIMIT // 1024 + 1))


def test_what_is_no_schema_is_no_statement() -> None:
    settings = "SET statement_timeout = 0;\nSELECT pg_catalog.set_config('search_path', '', false);\n"
    text = dump(
        settings, "-- Name: x; Type: TABLE\n", "CREATE TABLE a ();\n\n", copy("public.a", "CREATE TABLE b ();\n")
    )
    assert scan([text]).ddl == ddl_of("CREATE TABLE a ();")


@pytest.mark.parametrize(
    ("schema", "name", "text"),
    [
        ("public", "a_1", "public.a_1"),
        ("public", "table", "public.table"),
        ("public", "A", 'public."A"'),
        ("public", "1a", 'public."1a"'),
        ("a.b", 'c"d', '"a.b"."c""d"'),
        ("public", "é", 'public."é"'),
    ],
)
def test_names_are_quoted_where_needed_and_never_ambiguous(schema: str, name: str, text: str) -> None:
    assert qualified(schema, name) == text
