"""The repository's folder: names of files and folders, and everything that keeps a tree from being swapped in."""

from __future__ import annotations

import json
import re
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards import document, tree
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.document import Dashboard
from hypothesis import given, settings
from hypothesis import strategies as st

TITLES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=250).filter(str.strip)
UIDS = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)


def made(uid: str, title: str, folder: str = "", **more: t.Any) -> Dashboard:
    return document.dashboard({"uid": uid, "title": title, "panels": [], **more}, folder)


def content(uid: str, title: str, **more: t.Any) -> bytes:
    return document.text({"uid": uid, "title": title, "panels": [], **more}).encode()


def said(files: dict[str, bytes]) -> str:
    return "\n".join(map(str, tree.validate(files)))


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("OONI: blocked sites", "ooni-blocked-sites"),
        ("Über Größe", "uber-groe"),
        ("../../etc/passwd", "etc-passwd"),
        ("a/b\\c", "a-b-c"),
        ("  --x--  ", "x"),
        ("🎉", "u-id"),
        ("日本", "u-id"),
        ("..", "u-id"),
        ("con", "con-"),
        ("LPT1", "lpt1-"),
        ("x" * 200, "x" * 80),
    ],
)
def test_a_files_name_comes_from_the_title(title: str, name: str) -> None:
    assert tree.slug(title, "U_id".replace("_", "-")) == name


@settings(max_examples=300)
@given(TITLES, UIDS)
def test_whatever_the_title_the_name_is_safe_everywhere_and_always_the_same(title: str, uid: str) -> None:
    name = tree.slug(title, uid)
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,80}", name)
    assert name == tree.slug(title, uid)
    assert not re.fullmatch(r"con|prn|aux|nul|(com|lpt)[0-9]", name)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(UIDS, TITLES),
        max_size=8,
        unique_by=(lambda one: one[0].lower(), lambda one: one[1].strip().casefold()),
    )
)
def test_every_dashboard_has_a_file_of_its_own_in_whatever_order_they_come(given_: list[tuple[str, str]]) -> None:
    dashboards = [made(uid, title) for uid, title in given_]
    try:
        files, refused = tree.layout(dashboards), ""
    except ValueError as error:
        refused = str(error)
    if refused:
        # Uids that differ by what a file's name leaves out, such as - at the ends.
        assert "two dashboards would lie there" in refused
        return
    assert len(files) == len(dashboards)
    assert tree.layout(dashboards[::-1]) == files
    assert tree.validate(files) == []
    found, problems = tree.read(files)
    assert problems == []
    assert sorted((one.uid, one.title) for one in found) == sorted((uid, title.strip()) for uid, title in given_)
    assert tree.untidy(files, lambda one: document.dashboard(one.data, one.folder)) == []


def test_titles_that_give_one_name_bear_their_uids() -> None:
    files = tree.layout([made("aa", "Gini?"), made("BB", "Gini!"), made("cc", "Gini index")])
    assert sorted(files) == ["gini-aa.json", "gini-bb.json", "gini-index.json"]


@pytest.mark.parametrize(
    "title", ["", "Internet freedom", "Zürich", "日本", "हिन्दी", "A & B (2), c.d_e-f+g'h", "x" * 100]
)
def test_a_title_that_a_folder_of_files_can_have_is_taken_as_it_is(title: str) -> None:
    assert tree.folder_problem(title) == ""
    name = f"{title}/x.json" if title else "x.json"
    assert sorted(tree.layout([made("x", "X", title)])) == [name]


@pytest.mark.parametrize(
    "title",
    [
        *("a/b", "/", "a\\b", ".", "..", "...", ".hidden", " x", "x ", "x.", "-x", "🎉", "a🎉b", "x" * 101, "x" * 200),
        *("General", "GENERAL", "a\nb", "a\0b", "a:b", "a*b", 'a"b', "a<b", "a|b", "a?b", "CON", "nul.x", "a\u200bb"),
        *("a\u0308", "1\ufe0f\u20e3", "\ud800", "€", "a\u202eb", "~", "$x", "%x", "`x`"),
    ],
)
def test_a_title_that_it_cannot_have_is_refused(title: str) -> None:
    assert tree.folder_problem(title)
    with pytest.raises(ValueError, match="rename it in Grafana"):
        tree.layout([made("x", "X", title)])


@settings(max_examples=300)
@given(st.text(max_size=120))
def test_a_folder_that_is_taken_leads_nowhere_else(title: str) -> None:
    if title and not tree.folder_problem(title):
        assert not set(title) & set('/\\:*?"<>|\0\n')
        assert title.strip(" .") == title.strip()
        assert len(title.encode()) <= 255


@pytest.mark.parametrize("length", [100, 5000])
def test_a_message_never_shows_a_long_title_whole(length: int) -> None:
    assert len(tree.shortened("\n" * length)) < 300


PROBLEMS: dict[str, tuple[dict[str, bytes], str]] = {
    "a uid twice": ({"a.json": content("x", "A"), "b.json": content("x", "B")}, "b.json: a.json has the uid x too"),
    "a uid twice in folders": (
        {"F/a.json": content("x", "A"), "G/a.json": content("x", "A")},
        "G/a.json: F/a.json has the uid x too",
    ),
    "a title twice": ({"a.json": content("x", "A"), "b.json": content("y", "A")}, "a.json has the title 'A' too"),
    "a title in capitals": ({"a.json": content("x", "ooni"), "b.json": content("y", "OONI ")}, "has the title"),
    "an id": ({"a.json": content("x", "A", id=5)}, 'it has an "id"'),
    "a secret": ({"a.json": content("x", "A", token="abcdef")}, "token looks like a secret by its name"),
    "no JSON": ({"a.json": b"{"}, "it is not JSON"),
    "no dashboard": ({"a.json": b"[]"}, "it is not a dashboard"),
    "no uid": ({"a.json": b'{"title": "A"}'}, "it has no uid"),
    "a resource": (
        {"a.json": b'{"apiVersion": "dashboard.grafana.app/v2", "kind": "Dashboard"}'},
        "written as a resource",
    ),
    "too large": ({"a.json": b" " * (tree.FILE_LIMIT + 1)}, "are the limit"),
    "too deep": ({"F/G/a.json": content("x", "A")}, "no deeper"),
    "above": ({"../a.json": content("x", "A")}, "another folder on every system"),
    "absolute": ({"/a.json": content("x", "A")}, "no deeper"),
    "another end": ({"a.yml": content("x", "A")}, "ends with .json"),
    "hidden": ({".a.json": content("x", "A")}, "begins with a dot"),
    "a folder of the root's name": ({"General/a.json": content("x", "A")}, "General is what Grafana calls its root"),
    "folders in capitals": ({"F/a.json": content("x", "A"), "f/b.json": content("y", "B")}, "by capitals alone"),
    "files in capitals": ({"A.json": content("x", "A"), "a.json": content("y", "B")}, "by capitals alone"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_what_is_wrong_with_a_tree_is_named(problem: str) -> None:
    files, sentence = PROBLEMS[problem]
    assert sentence in said(files)
    assert "abcdef" not in said(files)


def test_the_same_title_in_two_folders_is_right() -> None:
    assert said({"F/a.json": content("x", "A"), "G/a.json": content("y", "A"), "a.json": content("z", "A")}) == ""


def test_a_tree_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "COUNT_LIMIT", 2)
    assert said({f"{n}.json": content(f"u{n}", f"T{n}") for n in range(2)}) == ""
    assert "at most 2 files" in said({f"{n}.json": content(f"u{n}", f"T{n}") for n in range(3)})


def test_a_file_that_no_export_wrote_is_untidy() -> None:
    normal: t.Callable[[Dashboard], Dashboard] = lambda one: document.dashboard(one.data, one.folder)  # noqa: E731
    tidy = tree.layout([made("x", "A")])
    assert tree.untidy(tidy, normal) == []
    compact = {"a.json": json.dumps(json.loads(tidy["a.json"])).encode()}
    assert [str(one) for one in tree.untidy(compact, normal)] == ["a.json: it is not written as an export writes it"]
    assert [str(one) for one in tree.untidy({"b.json": tidy["a.json"]}, normal)] == [
        "b.json: an export would name it otherwise"
    ]
    assert "is a library panel" in str(
        tree.untidy({"a.json": content("x", "A", panels=[{"libraryPanel": {}}])}, normal)[0]
    )
