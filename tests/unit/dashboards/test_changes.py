"""The comparison of the repository with a server, and the difference that people read."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards import changes
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.document import Dashboard


def one(uid: str, folder: str = "", **more: t.Any) -> Dashboard:
    return Dashboard(uid=uid, title=uid.upper(), folder=folder, data={"uid": uid, "title": uid.upper(), **more})


def served(*dashboards: Dashboard, provisioned: bool = True) -> list[changes.Served]:
    return [changes.Served(dashboard=each, provisioned=provisioned) for each in dashboards]


def test_a_server_that_has_what_the_repository_says_is_equal() -> None:
    assert changes.compare([one("a"), one("b")], served(one("b"), one("a"))).equal
    assert changes.compare([], []).equal


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (served(one("a"), one("b"), one("c")), changes.Comparison(("c",), (), (), ())),
        (served(one("a")), changes.Comparison((), (), ("b",), ())),
        (served(one("a", x=1), one("b")), changes.Comparison((), ("a",), (), ())),
        (served(one("a", "F"), one("b")), changes.Comparison((), ("a",), (), ())),
        (served(one("a"), one("b"), provisioned=False), changes.Comparison((), (), (), ("a", "b"))),
    ],
)
def test_each_kind_of_drift_is_told_from_the_others(server: list[changes.Served], expected: changes.Comparison) -> None:
    found = changes.compare([one("a"), one("b")], server)
    assert found == expected
    assert not found.equal


def test_what_python_calls_equal_is_told_apart() -> None:
    assert changes.differ(one("a", x=1), one("a", x=True))
    assert not changes.differ(one("a", x={"b": 1, "c": 2}), one("a", x={"c": 2, "b": 1}))
    assert changes.differ(one("a", x=[1, 2]), one("a", x=[2, 1]))


def test_the_difference_names_the_folder_and_both_sides() -> None:
    text = changes.unified(one("a", "F", x=1), one("a", x=2), names=("repository", "server"))
    assert text.splitlines() == [
        *("--- A (repository)", "+++ A (server)", "@@ -1,6 +1,6 @@", "-folder: F", "+folder: General", " {"),
        *('   "title": "A",', '   "uid": "a",', '-  "x": 1', '+  "x": 2', " }"),
    ]
    assert changes.unified(one("a"), one("a")) == ""
    assert changes.unified(None, one("a")).startswith("--- A (missing)\n+++ A (after)\n")


def test_a_difference_never_shows_a_secret() -> None:
    for before, after in ((one("a", password="hunter22"), one("a")), (one("a"), one("a", password="hunter22"))):
        text = changes.unified(before, after)
        assert "hunter22" not in text
        assert "not shown" in text


def test_the_changed_files_are_shown_by_path() -> None:
    before, after = {"a": b"1", "b": b"2", "same": b"3"}, {"b": b"4", "c": b"5", "same": b"3"}
    assert changes.of_files(before, after) == changes.FileChanges(("c",), ("b",), ("a",))
    assert not changes.of_files(before, before)
    assert changes.shown(before, after) == [
        {"before_header": "a", "after_header": "a (removed)", "before": "1", "after": ""},
        {"before_header": "b", "after_header": "b", "before": "2", "after": "4"},
        {"before_header": "c (missing)", "after_header": "c", "before": "", "after": "5"},
    ]


@pytest.mark.parametrize(
    "old", [b'{"password": "hunter22"}', b'{"x": "password=hunter22"', b"hunter22 in what is no JSON"]
)
def test_the_changed_files_never_show_a_secret(old: bytes) -> None:
    """An export takes it away; so the difference is the last place to read it, and logs keep that."""
    for before, after in (({"a": old}, {"a": b"{}"}), ({"a": old}, {}), ({"a": b"{}"}, {"a": old})):
        (shown,) = changes.shown(before, after)
        assert "hunter22" not in str(shown)
        assert "not shown" in str(shown)
        assert shown["before"] != shown["after"]
