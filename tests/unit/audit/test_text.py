"""Text from hosts: nothing in it is markup, moves a cursor or turns the direction round, wherever it is shown."""

from __future__ import annotations

import unicodedata
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.text import block, cut, label, markup, plain
from hypothesis import given
from hypothesis import strategies as st

TEXTS = st.text(st.characters(codec=None), max_size=40)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain täxt → ok", "plain täxt → ok"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc", "a\\x0ab\\x09c"),
        ("user\u202etxt", "user\\u202etxt"),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        (7, "7"),
    ],
)
def test_what_is_no_plain_text_is_shown_by_its_number(text, shown):
    assert plain(text) == shown


@given(TEXTS)
def test_nothing_in_it_is_a_control_character(text):
    for shown in (plain(text), markup(text), label(text), cut(text, 12)):
        assert all(unicodedata.category(one)[0] != "C" and one not in "\u2028\u2029" for one in shown)


@given(TEXTS)
def test_xml_gives_it_back_as_text(text):
    read = ET.fromstring(f'<a b="{markup(text)}">{markup(text)}</a>')  # noqa: S314 (it is this test's own)
    assert read.attrib["b"] == plain(text)
    assert (read.text or "") == plain(text)
    assert len(read) == 0


@given(TEXTS)
def test_a_label_ends_where_it_should(text):
    shown = label(text)
    rest = shown.replace("\\\\", "").replace('\\"', "")
    assert '"' not in rest
    assert "\\" not in rest


@given(TEXTS, st.integers(2, 30))
def test_what_is_cut_is_as_short_as_asked_and_says_so(text, width):
    shown = cut(text, width)
    assert len(shown) <= width
    assert shown == plain(text) or shown.endswith("…")


def test_a_block_keeps_its_lines():
    assert block("<a>\nb\x1b") == "&lt;a&gt;\nb\\x1b"
