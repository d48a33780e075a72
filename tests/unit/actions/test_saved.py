"""Saved rows: read as they were written, and refused when anything of them is changed or missing."""

from __future__ import annotations

import hashlib
import json
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.saved import About, Writer, read
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.undo import Column, Table, Touched
from hypothesis import given
from hypothesis import strategies as st

ABOUT = About("2026-11-22-duplicate-rows", "a" * 64, "production", "taaraxtak")
TABLE = Table(
    "public", "T x", (Column("id", "integer", key=True), Column("a b", "text"), Column("g", "text", generated=True))
)
NOTES = Table("public", "notes", (Column("body", "text"),))


def written(*touched: Touched) -> list[bytes]:
    lines: list[bytes] = []
    writer = Writer(ABOUT, lines.append)
    for one in touched:
        writer.table(one.step, one.done, one.table)
        for row in one.rows:
            writer.row(row)
    writer.end()
    return lines


ROWS = Touched("remove", "deleted", TABLE, (("1", 'it\'s\n"x"', None), ("2", "\u202e😀\x00", "")))
GOOD = written(ROWS, Touched("remove", "updated", NOTES, ()), Touched("add", "inserted", NOTES, (("b",),)))


def test_what_is_written_is_read_again() -> None:
    about, touched = read(GOOD)
    assert about == ABOUT
    assert touched == (ROWS, Touched("remove", "updated", NOTES, ()), Touched("add", "inserted", NOTES, (("b",),)))


@given(st.lists(st.tuples(st.none() | st.text(), st.none() | st.text(), st.none() | st.text())))
def test_any_text_comes_back(rows: list[tuple[str | None, ...]]) -> None:
    one = Touched("s", "deleted", TABLE, tuple(rows))
    assert read(written(one)) == (ABOUT, (one,))


def test_each_table_is_told_with_rows_bytes_and_digest() -> None:
    lines: list[bytes] = []
    writer = Writer(ABOUT, lines.append)
    writer.table("a", "deleted", NOTES)
    writer.row(("x",))
    writer.table("b", "deleted", NOTES)
    writer.row(("y",))
    tally = writer.tables["public.notes"]
    rows = b'{"row":["x"]}\n{"row":["y"]}\n'
    assert (tally.rows, tally.bytes, tally.digest.hexdigest()) == (2, len(rows), hashlib.sha256(rows).hexdigest())
    assert writer.size == sum(map(len, lines))


@pytest.mark.parametrize("number", range(len(GOOD)))
def test_a_line_that_is_lost_is_missed(number: int) -> None:
    with pytest.raises(ValueError, match=r"saved|first line|no saved rows"):
        read(GOOD[:number] + GOOD[number + 1 :])


@pytest.mark.parametrize("number", range(len(GOOD) - 1))
def test_a_line_that_comes_twice_is_noticed(number: int) -> None:
    with pytest.raises(ValueError, match=r"saved"):
        read(GOOD[: number + 1] + GOOD[number:])


def line(document: t.Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    ("number", "content", "said"),
    [
        (0, line({"version": 2}), "no saved rows of version 1"),
        (0, line({"version": 1, "incident": "x"}), "does not say what"),
        (1, line({"step": "s", "done": "moved", "table": {}}), "what happened"),
        (1, line({"step": "s", "done": "deleted", "table": {}}), "of which table"),
        (1, line({"step": 1, "done": "deleted", "table": {}}), "no text"),
        (2, line({"row": ["1", "b"]}), "as many values"),
        (2, line({"row": ["1", "b", 3]}), "list of texts"),
        (2, line({"row": ["1", "other", None]}), "SHA-256"),
        (2, b"[]\n", "not written"),
        (2, b"{\n", "not JSON"),
        (2, b'{"row": ["1", "b", null]}\n', "not written"),
        (2, line({"rows": 1}), "not known"),
    ],
)
def test_what_was_changed_is_refused(number: int, content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read([*GOOD[:number], content, *GOOD[number + 1 :]])


def test_nothing_is_no_saved_rows() -> None:
    with pytest.raises(ValueError, match="not whole"):
        read([])
