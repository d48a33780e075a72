"""The audit's page in a real browser: phone and desktop, light and dark, on paper, without scripts.

With TAARAXTAK_PICTURES=docs/images it writes the pictures of the docs there.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.declared import Absence, Deviation
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.page.page import page
from ansible_collections.taaraxtak.production.tests.unit.audit.estates import (
    HOSTILE,
    LONG,
    NOW,
    SCRIPT,
    broken,
    dashboards,
    dumps,
    judged,
    sources,
)
from ansible_collections.taaraxtak.production.tests.unit.audit.test_report import hostile, reported
from ansible_collections.taaraxtak.production.tools.browser import Browser

PHONE, DESKTOP = 390, 1280
PICTURES = os.environ.get("TAARAXTAK_PICTURES", "")
# The event that something is asked of a server or of the disk.
ASKED = "Network.requestWillBeSent"
# Every text that is seen, with its colour and that of what lies below it; WCAG's contrast of the two.
CONTRAST = """
(() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const lum = c => { const [r, g, b] = c.slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const under = e => { for (let n = e; n; n = n.parentElement) {
    const c = parse(getComputedStyle(n).backgroundColor); if (c.length < 4 || c[3] > 0.99) return c; }
    return [255, 255, 255]; };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  let seen = 0;
  for (let node; node = walker.nextNode();) {
    const e = node.parentElement;
    if (!node.data.trim() || e.closest('svg') || !e.checkVisibility()) continue;
    seen++;
    const a = lum(parse(getComputedStyle(e).color)), b = lum(under(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push([node.data.trim().slice(0, 40), ratio]);
  }
  return {seen, found};
})()
"""
# What is wider than the page, but for what scrolls in a frame of its own.
WIDE = """
[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll') && !e.closest('svg') && !e.matches('.skip')
  && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(e => e.outerHTML.slice(0, 120))
"""


@pytest.fixture(scope="module")
def browser() -> t.Iterator[Browser]:
    with Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with something of everything."""
    return example(tmp_path_factory.mktemp("page"), broken())


def example(folder: Path, access: dict[str, t.Any]) -> Path:
    shelf = dumps()
    shelf["dumps"][9].update(verified=False, drill={"ok": False, "problems": ["rows of public.w3techs differ"]})
    shelf["dumps"][15]["signed"] = False
    edited = {**dashboards(), "updated": ["ooni-overview"]}
    given = [one for one in sources(access=access, dumps=shelf, dashboards=edited) if one.id != "incidents"]
    known = next(one for one in judged(given).findings if one.rule == "dashboard-edited")
    accepted = Deviation(known.id, known.object, "the pull request is open", dt.date(2026, 12, 1))
    absent = Absence("incidents", "kept in another repository")
    last = reported(now=NOW - dt.timedelta(days=1))
    document = reported(judged(given, deviations=[accepted], absences=[absent]), last=last)
    return written(folder, document)


def written(folder: Path, document: dict[str, t.Any]) -> Path:
    path = folder / "index.html"
    path.write_text(page(document), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [320, PHONE, 768, DESKTOP])
def test_nothing_is_wider_than_the_page(browser, path, width):
    browser.open(path, width=width)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(WIDE) == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_every_text_has_the_contrast_of_wcag_aa(browser, path, width, dark):
    browser.open(path, width=width, dark=dark)
    seen = browser.evaluate(CONTRAST)
    assert seen["seen"] > 150
    assert seen["found"] == []
    wanted = "rgb(17, 20, 24)" if dark else "rgb(255, 255, 255)"
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == wanted


def test_the_contrast_test_can_fail(browser, path):
    browser.open(path)
    browser.evaluate("document.querySelector('h1').style.color = '#999'")
    assert len(browser.evaluate(CONTRAST)["found"]) == 1


def test_it_is_read_without_scripts_and_nothing_is_asked_of_anybody(browser, path):
    browser.open(path, scripts=False)
    requests = [event["params"]["request"]["url"] for event in browser.events if event["method"] == ASKED]
    assert requests == [path.resolve().as_uri()]
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    text = "\n".join(str(node["name"]["value"]) for node in tree if node.get("name"))
    for said in ("PUBLIC may INSERT on table public.w3techs", LONG, SCRIPT, "Only grafanareader reads", "48 MB"):
        assert said in text


def test_the_page_s_own_policy_stops_a_script_that_got_in(browser, path, tmp_path):
    """Were one text not escaped, nothing would run all the same; without the policy it does, so this test can tell."""
    attack = "<script>document.title = 'owned'</script><img src='x' onerror=\"document.title = 'owned'\"></body>"
    opened = path.read_text(encoding="utf-8").replace("</body>", attack)
    for name, text, owned in (
        ("with", opened, False),
        ("without", re.sub(r"<meta http-equiv=[^>]+>", "", opened), True),
    ):
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
        browser.open(tmp_path / f"{name}.html")
        assert (browser.evaluate("document.title") == "owned") is owned


def test_names_that_want_to_be_more_are_seen_as_they_are(browser, tmp_path):
    browser.open(written(tmp_path, reported(judged(hostile()))))
    assert browser.evaluate("document.querySelectorAll('script, img, iframe, object, embed, form').length") == 0
    assert browser.evaluate("document.title").startswith("Audit of production")
    text = browser.evaluate("document.body.textContent")
    assert HOSTILE[0] in text
    assert "\\x1b[2J" in text
    assert "user\\u202etxt.exe" in text


def test_the_parts_are_told_to_who_does_not_see_them(browser, path):
    browser.open(path)
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node["ignored"]]
    names = {node["name"]["value"] for node in nodes if not node["ignored"] and node.get("name")}
    for role in ("main", "navigation", "columnheader", "rowheader", "heading", "table"):
        assert role in roles
    assert {"Who can do what", "Access matrix of taaraxtak on production"} <= names
    assert any(name.startswith("Size of the file: 30 dumps from") for name in names)
    assert browser.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")[0] == 1


def test_every_frame_that_scrolls_can_be_reached_by_the_keyboard(browser, path):
    browser.open(path, width=PHONE)
    assert browser.evaluate("[...document.querySelectorAll('.scroll')].every(e => e.tabIndex === 0)") is True
    browser.evaluate("document.querySelector('.scroll').scrollIntoView()")
    first = "document.querySelector('.matrix th[scope=row]').getBoundingClientRect().left"
    before = browser.evaluate(first)
    browser.evaluate("document.querySelector('.scroll').scrollLeft = 200")
    assert browser.evaluate("document.querySelector('.scroll').scrollLeft") > 0
    assert browser.evaluate(first) == before


def test_on_paper_it_is_light_and_what_folds_out_is_there(browser, path, tmp_path):
    browser.open(path, dark=True, media="print")
    try:
        assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert browser.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
        assert browser.evaluate("document.querySelector('#rules table').checkVisibility({contentVisibilityAuto: true})")
        seen = browser.evaluate(CONTRAST)
        assert seen["found"] == []
        browser.pdf(tmp_path / "page.pdf")
    finally:
        browser.look()
    content = (tmp_path / "page.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 14


def test_it_opens_without_a_word_in_the_console(browser, path):
    browser.open(path)
    assert [event for event in browser.events if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")] == []


@pytest.mark.parametrize(
    ("name", "width", "height", "dark", "part"),
    [
        ("audit-desktop", DESKTOP, 860, False, ""),
        ("audit-matrix", DESKTOP, 860, True, "#access"),
        ("audit-dumps", DESKTOP, 760, False, "#dumps"),
        ("audit-phone", PHONE, 844, False, ""),
    ],
)
def test_pictures_are_taken(browser, tmp_path, name, width, height, dark, part):
    browser.open(example(tmp_path, broken("reports")), width=width, height=height, dark=dark)
    browser.evaluate(f"document.querySelector('{part or 'body'}').scrollIntoView()")
    picture = (Path(PICTURES) if PICTURES else tmp_path) / f"{name}.png"
    browser.picture(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    # A page of one colour would be far smaller.
    assert picture.stat().st_size > 15_000
