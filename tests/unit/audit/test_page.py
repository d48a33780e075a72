"""The page: complete in itself, nothing of it runs, and whatever a host says is text."""

from __future__ import annotations

import hashlib
import html.parser
import json
import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.audit import junit
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.model import Document
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.page import chart, findings, matrix
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.page.map import topology
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.page.page import page
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.page.style import style
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.text import plain
from ansible_collections.taaraxtak.production.tests.unit.audit.estates import (
    HOSTILE,
    LONG,
    SCRIPT,
    access,
    broken,
    dump,
    dumps,
    effective,
    finding,
    judged,
    sources,
)
from ansible_collections.taaraxtak.production.tests.unit.audit.test_report import hostile, reported, reports

VOID = {"meta", "line", "rect", "path", "circle", "br", "wbr", "marker"}
ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "a", "header", "main", "nav", "section", "article", "h1", "h2"),
    *(
        "h3",
        "h4",
        "p",
        "ul",
        "ol",
        "li",
        "b",
        "span",
        "br",
        "wbr",
        "code",
        "pre",
        "div",
        "table",
        "thead",
        "tbody",
        "tr",
    ),
    *(
        "th",
        "td",
        "details",
        "summary",
        "time",
        "figure",
        "figcaption",
        "svg",
        "line",
        "rect",
        "path",
        "circle",
        "text",
    ),
    *("defs", "marker"),
}
ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "class", "id", "href", "aria-label", "aria-labelledby"),
    *("aria-hidden", "role", "tabindex", "scope", "title", "datetime", "viewbox", "x", "y", "x1", "y1", "x2", "y2"),
    *("cx", "cy", "r", "rx", "d", "width", "height", "text-anchor", "refx", "refy", "markerwidth", "markerheight"),
    *("orient", "marker-end"),
}


class Reader(html.parser.HTMLParser):
    """What a browser would see: elements, attributes, text. AssertionError where the page isn't well formed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def ids(self) -> list[str]:
        return [value for name, value in self.attributes if name == "id"]


@pytest.mark.parametrize(
    "document", [*reports(), reported(judged(hostile()))], ids=lambda one: f"status {one['status']}"
)
def test_it_is_well_formed_and_has_nothing_but_what_it_was_written_with(document):
    read = Reader(page(document))
    assert read.elements <= ELEMENTS
    assert {name for name, _value in read.attributes} <= ATTRIBUTES
    assert len(read.ids()) == len(set(read.ids()))
    assert all(value.startswith("#") for name, value in read.attributes if name == "href")


def crowded() -> Document:
    """More findings than the page has, each on something in the matrix."""
    tables = [f"public.t{number:04}" for number in range(findings.MOST + 30)]
    holes = [finding("wrong-owner", f"o{n}", f"table {name}", "OWNER") for n, name in enumerate(tables)]
    rows = [effective(f"o{n}", ["OWNER"], [name], "owner") for n, name in enumerate(tables)]
    return reported(judged(sources(access={**access(), "effective": rows, "findings": holes})))


@pytest.mark.parametrize("document", [*reports(), crowded()], ids=lambda one: f"status {one['status']}")
def test_every_link_leads_somewhere(document):
    read = Reader(page(document))
    links = {value[1:] for name, value in read.attributes if name == "href"}
    assert links
    assert links <= set(read.ids())


def test_its_own_policy_lets_nothing_be_loaded_or_run():
    text = page(reports()[1])
    assert (
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline';" in text
    )
    assert text.index("Content-Security-Policy") < text.index("<style>")
    assert re.findall(r"url\((?!#)|@import|src=|<link|javascript:", text) == []


def test_what_a_host_says_is_text_and_nothing_else():
    made = page(reported(judged(hostile())))
    read = Reader(made)
    for text in HOSTILE:
        assert plain(text) in read.text
    assert "<script" not in made
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", made) == []


def test_a_role_that_is_called_script_is_a_column_of_the_matrix():
    read = Reader(page(reported(judged(sources(access=broken())))))
    assert SCRIPT in read.text
    assert LONG in read.text


def shown(data: Document) -> str:
    return Reader(page(reported(judged(sources(access=data))))).text


def test_tables_that_are_alike_share_a_row_that_says_how_many_they_are():
    names = [f"public.t{number:05}" for number in range(9_874)]
    data = {
        **access(),
        "effective": [effective("scraper", ["INSERT"], names), effective("dba", ["OWNER"], ["public.x"])],
    }
    text = shown(data)
    assert "9,874 tables alike" in text
    assert "public.t00000, public.t00001, public.t00002 and 9,871 more" in text
    assert text.count("public.t05000") == 1


def test_roles_that_are_alike_share_a_column():
    data = {**access(), "effective": [effective(f"r{number}", ["SELECT"], ["public.x"]) for number in range(40)]}
    text = shown(data)
    assert "r0, r1, r10 and 37 more" in text


def test_where_there_are_many_roles_each_schema_has_a_table_of_its_own():
    rows = [effective(f"r{n:02}", ["SELECT"], [f"s{n % 2}.t{n:02}"]) for n in range(30)]
    text = shown({**access(), "effective": rows})
    assert "schema s0" in text
    assert "schema s1" in text


def test_how_a_role_got_what_is_too_much_is_told_in_text_with_its_finding():
    document = reported(judged(sources(access=broken())))
    text = Reader(page(document)).text
    (id_,) = [one["id"] for one in document["findings"] if one["who"] == "public"]
    assert f"! insert on table public.w3techs by grafanareader → PUBLIC too much: {id_}" in re.sub(r"\s+", " ", text)


def test_an_estate_without_two_tables_alike_still_makes_a_page_that_opens():
    """However large it is: what is left out is said, and rows with too much in them are kept."""
    # No two of 100 roles, and no two of 1,000 tables, are alike.
    reached = {
        role: [f"s.t{n:04}" for n in range(1_000) if hashlib.sha256(f"{role} {n}".encode()).digest()[0] < 180]
        for role in range(100)
    }
    rows = [effective(f"r{role:03}", ["SELECT"], names) for role, names in reached.items()]
    hole = finding("excess-privilege", "r003", "table s.t0999", "DELETE", path=["r003"])
    data = {**access(), "effective": [*rows, effective("r003", ["DELETE"], ["s.t0999"])], "findings": [hole]}
    made = page(reported(judged(sources(access=data))))
    assert len(made.encode()) < 5_000_000
    assert matrix.MOST_CELLS * 0.9 < made.count("<td title=") <= matrix.MOST_CELLS
    assert "more rows in audit.json" in made
    assert '<span class="w x">! delete</span>' in made


def test_who_rightly_has_it_too_has_nothing_red():
    """By PUBLIC everybody got INSERT, and the scraper has it anyway: its path is told, its cell isn't red."""
    made = page(reported(judged(sources(access=broken()))))
    (row,) = [one for one in re.findall(r"<tr>.*?</tr>", made) if "w3techs" in one and "<td" in one and "kind" in one]
    cells = [[*re.findall(r'<span class="w (.)">', one)] for one in re.findall(r"<td.*?</td>", row)]
    assert cells == [[], ["x", "d"], ["x", "r"], ["x", "r"], ["i"]]
    assert "scraper → PUBLIC" in Reader(made).text


def test_findings_that_are_alike_share_an_entry():
    holes = [
        finding(
            "excess-privilege", "public", f"table public.t{n:04}", "INSERT",
            path=["PUBLIC", f"INSERT on table public.t{n:04}"],
        )
        for n in range(700)
    ]  # fmt: skip
    text = shown({**access(), "findings": holes})
    assert "and 699 others like it" in text
    assert "700 findings" in text


def test_what_many_roles_have_too_much_on_many_tables_keeps_page_and_cases_small():
    """Each role's is an entry, and each of its tables would be a line in it."""
    holes = [
        finding("excess-privilege", f"r{role}", f"table public.t{n:05}", "INSERT", path=[f"r{role}"])
        for role in range(20)
        for n in range(2_000)
    ]
    document = reported(judged(sources(access={**access(), "findings": holes})))
    made = findings.findings(document["findings"], [])
    assert "2,000 objects alike" in made
    assert f"{2_000 - findings.OBJECTS:,} more in audit.json" in made
    # A whole page has 400 entries and less than 5 MB.
    assert len(made.encode()) / 20 * findings.MOST < 3_000_000
    cases = junit.junit(document)
    assert len(cases.encode()) < 200_000
    assert f"{40_000 - junit.MOST} more in audit.json" in cases


def test_a_list_of_connections_that_is_long_says_how_many_there_are_more():
    links = [{"from": f"192.0.2.{n}", "to": "production", "label": "x", "by": "sessions"} for n in range(250)]
    made = topology([{"name": "production", "groups": [], "address": ""}], links)
    assert made.count("<li>") == 201
    assert "50 more in audit.json" in made


def test_more_entries_than_a_page_can_hold_are_counted():
    holes = [finding("role-setting", f"r{n}", f"role r{n}", f"s{n}") for n in range(findings.MOST + 5)]
    assert "5 more entries in audit.json" in shown({**access(), "findings": holes})


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999_600, "1 MB"),
        (48_000_000, "48 MB"),
        (1_234_567_890, "1.23 GB"),
        (10**19, "1e+04 PB"),
    ],
)
def test_sizes_have_three_figures(number, said):
    assert chart.size(number) == said


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({"verified": True}, "verified"),
        ({}, "archived"),
        ({"signed": False}, "unsigned"),
        ({"archived": False, "signed": False}, "arrived"),
        ({"drill": {"ok": False}}, "drill failed"),
    ],
)
def test_a_dump_is_as_far_as_it_came(more, state):
    (one,) = reported(judged(sources(dumps={**dumps(), "dumps": [dump(1, **more)]})))["dumps"]
    assert [each["state"] for each in one["dumps"]] == [state]


def test_a_history_says_of_each_dump_how_far_it_came():
    text = Reader(page(reported())).text
    assert text.count("verified") >= 4
    assert "2026-11-23" in text


def test_the_limits_are_those_of_the_docs():
    said = json.dumps([f"{findings.MOST} entries", f"{matrix.MOST_ROWS} rows", f"{matrix.MOST_CELLS:,} of its cells"])
    text = (Path(__file__).resolve().parents[3] / "docs" / "audit-report.md").read_text(encoding="utf-8")
    assert [one for one in json.loads(said) if one not in text] == []


# The colours: each pair that stands on each other, light and dark.

PAIRS = [
    *(("text", under) for under in ("bg", "soft", "bad-soft", "ok-soft")),
    *(("muted", under) for under in ("bg", "soft")),
    *((over, "bg") for over in ("link", "ok", "critical")),
    *((over, over2) for over, over2 in (("link", "soft"), ("critical", "bad-soft"), ("ok", "ok-soft"))),
    *(("on", under) for under in ("critical", "high", "medium", "low")),
    *((f"{one}-t", one) for one in ("read", "write", "power")),
]


def palettes() -> list[dict[str, str]]:
    light, dark = re.findall(r":root\{([^}]*)\}", style())[:2]
    return [dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{3,6})", one)) for one in (light, dark)]


def luminance(colour: str) -> float:
    """As WCAG 2.2 defines it."""
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("over", "under"), PAIRS)
def test_text_has_the_contrast_of_wcag_aa(over, under):
    for colours in palettes():
        lighter, darker = sorted((luminance(colours[over]), luminance(colours[under])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (over, under)


def test_light_and_dark_have_the_same_colours():
    light, dark = palettes()
    assert set(light) == set(dark)
    assert t.cast(int, len(light)) > 15
