"""What psql is given: the dump byte for byte, without its own \\restrict lines, with ours round the whole."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.text import Text
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.scan import Scanned, Scanner, scan
from hypothesis import given
from hypothesis import strategies as st

KEY = "k" * 32
HEAD, TAIL = f"\\restrict {KEY}\n".encode(), f"\\unrestrict {KEY}\n".encode()
BEGIN = "--\n-- PostgreSQL database dump\n--\n\n"
FUNCTION = "CREATE FUNCTION f() RETURNS text AS $_$\n\\restrict x\n\\unrestrict x\n\\! ls\n$_$;\n\n"
DATA = "COPY public.a (b) FROM stdin;\n\\restrict x\n\\N\n\\\\.\n\\unrestrict x\n\\.\n\n\n"
END = "SELECT pg_catalog.setval('public.s', 1, true);\n--\n-- PostgreSQL database dump complete\n--\n\n"
WHOLE = f"{BEGIN}\\restrict abc\n\nSET x = 0;\n{FUNCTION}{DATA}\\restrict again\n{END}\\unrestrict abc\n\n".encode()
KEPT = f"{BEGIN}\nSET x = 0;\n{FUNCTION}{DATA}{END}\n".encode()


def given_to_psql(pieces: list[bytes]) -> tuple[bytes, Scanned]:
    text = Text(Scanner(), KEY)
    given = b"".join(part for piece in pieces for part in text.feed(piece))
    scanned, last = text.finish()
    return given + last, scanned


def cut(content: bytes, places: list[int]) -> list[bytes]:
    return [content[start:end] for start, end in itertools.pairwise([0, *sorted(places), len(content)])]


@given(places=st.lists(st.integers(0, len(WHOLE)), max_size=40))
def test_whatever_the_pieces_only_its_own_lines_are_missing(places: list[int]) -> None:
    assert given_to_psql(cut(WHOLE, places)) == (HEAD + KEPT + TAIL, scan([WHOLE]))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_pieces_of_any_one_size_give_the_same(size: int) -> None:
    assert given_to_psql(cut(WHOLE, list(range(0, len(WHOLE), size))))[0] == HEAD + KEPT + TAIL


PARTS = st.lists(st.sampled_from([FUNCTION, DATA, "\\restrict abc\n", "\\unrestrict a\n", "SET x = 'é\n';\n", "\n"]))


@given(parts=PARTS, places=st.lists(st.integers(0, 3000), max_size=20))
def test_wherever_the_lines_stand_they_are_cut(parts: list[str], places: list[int]) -> None:
    whole = "".join([BEGIN, *parts, END]).encode()
    kept = "".join([BEGIN, *(part for part in parts if not part.startswith("\\")), END]).encode()
    given = given_to_psql(cut(whole, [min(place, len(whole)) for place in places]))[0]
    assert given == HEAD + kept + TAIL


def test_what_the_scanner_holds_back_is_held_back() -> None:
    text = Text(Scanner(), KEY)
    assert b"".join(text.feed(b"SET a = 1;\n\\! touch /tmp/x")) == HEAD + b"SET a = 1;\n"
    with pytest.raises(ValueError, match="psql command"):
        text.feed(b"\n")


# What psql with CVE-2026-18408 may run, if it sees another end of the rows or of a quote than the scanner.
BACKQUOTED = ["\\unrestrict `touch x`\n", "a\\unrestrict\tb`touch x`\n", "\\unrestrict abc `"]


@given(line=st.sampled_from(BACKQUOTED), rows=st.booleans(), places=st.lists(st.integers(0, 100), max_size=8))
def test_a_backquote_behind_unrestrict_is_refused_even_in_rows_and_quotes(
    line: str, rows: bool, places: list[int]
) -> None:
    begin = "COPY public.a (b) FROM stdin;\n1\r\n\\.\r\n" if rows else "COMMENT ON TABLE a IS '\n"
    whole = f"{begin}{line}".encode()
    text = Text(Scanner(), KEY)

    def feed() -> None:
        for piece in cut(whole, [min(place, len(whole)) for place in places]):
            text.feed(piece)

    with pytest.raises(ValueError, match="unrestrict with a backquote"):
        feed()


@pytest.mark.parametrize(
    "line", ["\\\\unrestrict `a`\n", "\\unrestrict a\n`a`\n", "unrestrict `a`\n", "`a` \\unrestrict a\n"]
)
def test_other_backquotes_are_not_refused(line: str) -> None:
    whole = f"{BEGIN}COPY public.a (b) FROM stdin;\n{line}\\.\n{END}".encode()
    for size in (1, 7, len(whole)):
        assert given_to_psql(cut(whole, list(range(0, len(whole), size))))[0] == HEAD + whole + TAIL


def test_a_zero_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="zero byte"):
        Text(Scanner(), KEY).feed(b"COPY public.a (b) FROM stdin;\n\0\n")


def test_rows_pass_uncopied() -> None:
    text = Text(Scanner(), KEY)
    text.feed(b"COPY public.a (b) FROM stdin;\n")
    rows = b"1\n" * 1000
    (passed,) = text.feed(rows)
    assert passed is rows
    (passed,) = text.feed(rows + b"\\")
    assert isinstance(passed, memoryview)
    assert passed.obj == rows + b"\\"


def test_lines_that_were_cut_are_not_kept_in_memory() -> None:
    scanner = Scanner()
    Text(scanner, KEY).feed(b"\\restrict a\n" * 1000)
    assert scanner.restricts == []


def test_a_text_that_is_not_whole_has_no_end() -> None:
    text = Text(Scanner(), KEY)
    text.feed(WHOLE[:200])
    with pytest.raises(ValueError, match="the dump"):
        text.finish()


@pytest.mark.parametrize("key", ["", "k" * 31, "k" * 31 + "\n", "k" * 32 + " x", "é" * 40])
def test_a_key_that_could_be_guessed_or_misread_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="at least 32 letters and digits"):
        Text(Scanner(), key)
