"""What is decided from what is wanted and what is there."""

from __future__ import annotations

import base64
import dataclasses
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.files.diff import diff_of
from ansible_collections.taaraxtak.production.plugins.module_utils.files.plan import (
    MISSING,
    Observed,
    Plan,
    Situation,
    decide,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.files.wanted import Wanted, parent_of, read_wanted
from hypothesis import given
from hypothesis import strategies as st

FOLDER = Observed(kind="folder", owner="root", group="root", mode=0o755)
LINK = Observed(kind="link", owner="root", group="root", mode=0o777, target="/elsewhere")


def seen(content: bytes, /, **more: t.Any) -> Observed:
    plain = Observed(kind="file", owner="root", group="root", mode=0o644, size=len(content), content=content)
    return dataclasses.replace(plain, **more)


def plan_of(wanted: Wanted, there: dict[str, Observed] | None = None, **more: t.Any) -> Plan:
    """The plan for a host that has *there*, with all parents unless said otherwise."""
    there = there or {}
    given: dict[str, t.Any] = {
        "observed": {entry.path: there.get(entry.path, MISSING) for entry in wanted.entries},
        "folders": frozenset(parent_of(entry.path) for entry in wanted.entries),
        "found": {
            tree.path: {path: what for path, what in there.items() if path.startswith(tree.path + "/")}
            for tree in wanted.trees
        },
        "owners": {entry.owner: 0 for entry in wanted.entries},
        "groups": {entry.group: 0 for entry in wanted.entries},
        **more,
    }
    return decide(wanted, Situation(**given))


def done(plan: Plan) -> list[tuple[str, str]]:
    return [(action.verb, action.path) for action in plan.actions]


def a_file(content: str = "new\n", **more: t.Any) -> Wanted:
    return read_wanted([{"path": "/a/x", "content": content, **more}], [])


def a_tree(*names: str, **more: t.Any) -> Wanted:
    files = {name: base64.b64encode(b"new\n").decode() for name in names}
    return read_wanted([], [{"path": "/a/t", "files": files, **more}])


@pytest.mark.parametrize(
    ("there", "changes"),
    [
        (MISSING, True),
        (seen(b"new\n"), False),
        (seen(b"old\n"), True),
        (seen(b"new\n", mode=0o600), True),
        (seen(b"new\n", uid=7), True),
        (seen(b"new\n", gid=7), True),
        (seen(b"new\n", content=None), True),
        (LINK, True),
    ],
)
def test_a_file_is_written_when_anything_differs(there: Observed, changes: bool) -> None:
    assert done(plan_of(a_file(), {"/a/x": there})) == ([("write_file", "/a/x")] if changes else [])


@pytest.mark.parametrize("there", [FOLDER, Observed(kind="other")])
def test_what_is_no_file_is_not_replaced_by_one(there: Observed) -> None:
    with pytest.raises(ValueError, match="/a/x is to be a file, but"):
        plan_of(a_file(), {"/a/x": there})


@pytest.mark.parametrize("there", [seen(b"x"), LINK])
def test_what_is_no_folder_is_not_replaced_by_one(there: Observed) -> None:
    with pytest.raises(ValueError, match="is to be a folder, but"):
        plan_of(read_wanted([{"path": "/a/x", "state": "directory"}], []), {"/a/x": there})


def test_a_full_folder_is_not_removed() -> None:
    wanted = read_wanted([{"path": "/a/x", "state": "absent"}], [])
    assert done(plan_of(wanted, {"/a/x": dataclasses.replace(FOLDER, empty=True)})) == [("remove", "/a/x")]
    with pytest.raises(ValueError, match="not empty"):
        plan_of(wanted, {"/a/x": FOLDER})


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ({"owners": {"root": None}}, "there is no user root"),
        ({"groups": {"root": None}}, "there is no group root"),
        ({"folders": frozenset()}, "there is no folder /a"),
    ],
)
def test_what_an_earlier_task_may_make_is_a_note_when_planning_only(missing: dict[str, t.Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        plan_of(a_file(), **missing)
    planned = plan_of(a_file(), planning=True, **missing)
    assert done(planned) == [("write_file", "/a/x")]
    assert says in planned.notes[0]


def test_a_tree_loses_what_is_stale_and_keeps_what_is_named() -> None:
    there = {
        "/a/t": FOLDER,
        "/a/t/x": seen(b"new\n"),
        "/a/t/stale": seen(b""),
        "/a/t/config.py": seen(b""),
        "/a/t/old": FOLDER,
        "/a/t/old/deep": FOLDER,
        "/a/t/old/deep/y": seen(b""),
        "/a/t/half": FOLDER,
        "/a/t/half/config.py": seen(b""),
        "/a/t/half/z": seen(b""),
    }
    plan = plan_of(a_tree("x", keep=["config.py"]), there)
    assert done(plan) == [("remove", "/a/t/half/z"), ("remove", "/a/t/old"), ("remove", "/a/t/stale")]


def test_a_tree_does_not_remove_what_files_names() -> None:
    wanted = read_wanted([{"path": "/a/t/conf/local", "content": ""}], [{"path": "/a/t", "files": {}}])
    there = {"/a/t": FOLDER, "/a/t/conf": FOLDER, "/a/t/conf/local": seen(b""), "/a/t/conf/stale": seen(b"")}
    assert done(plan_of(wanted, there)) == [("remove", "/a/t/conf/stale")]


def test_a_mount_point_in_a_tree_is_never_removed() -> None:
    there = {"/a/t": FOLDER, "/a/t/old": FOLDER, "/a/t/old/m": dataclasses.replace(FOLDER, mount=True)}
    with pytest.raises(ValueError, match="/a/t/old/m is a mount point"):
        plan_of(a_tree(), there)
    assert done(plan_of(a_tree(keep=["m"]), there)) == []


def test_in_a_tree_a_folder_gives_way_to_a_file_unless_it_holds_what_is_kept() -> None:
    there = {"/a/t": FOLDER, "/a/t/x": FOLDER, "/a/t/x/config.py": seen(b"")}
    plan = plan_of(a_tree("x"), there)
    assert done(plan) == [("write_file", "/a/t/x")]
    assert plan.actions[0].in_the_way
    with pytest.raises(ValueError, match="which is kept"):
        plan_of(a_tree("x", keep=["config.py"]), there)


@given(st.lists(st.text("ab", min_size=1, max_size=2), unique=True), st.lists(st.text("ab", min_size=1, max_size=2)))
def test_after_a_plan_a_tree_holds_exactly_its_files(wanted_names: list[str], there_names: list[str]) -> None:
    wanted = a_tree(*wanted_names)
    before = {"/a/t": FOLDER, **{f"/a/t/{name}": seen(b"old") for name in there_names}}
    after = dict(before)
    for action in plan_of(wanted, before).actions:
        if action.verb == "remove":
            del after[action.path]
        else:
            after[action.path] = seen(b"new\n")
    assert set(after) == {"/a/t", *(f"/a/t/{name}" for name in wanted_names)}
    assert plan_of(wanted, after).actions == ()


def diff(wanted: Wanted, there: Observed) -> dict[str, str]:
    (action,) = plan_of(wanted, {"/a/x": there}).actions
    return diff_of(action)


def test_the_diff_shows_text() -> None:
    shown = diff(a_file(), seen(b"old\n"))
    assert (shown["before"], shown["after"]) == ("old\n", "new\n")


def test_the_diff_shows_a_change_of_mode_and_owner_as_lines() -> None:
    shown = diff(a_file(), seen(b"new\n", mode=0o666, uid=7, owner="mallory"))
    assert shown["before"] == "owner: mallory\nmode: 0666\n"
    assert shown["after"] == "owner: root\nmode: 0644\n"


def test_the_diff_hides_secrets_old_and_new() -> None:
    shown = diff(a_file("hunter2", secret=True), seen(b"hunter1"))
    assert "hunter" not in str(shown)
    assert shown["before"] != shown["after"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\0b"])
def test_the_diff_says_that_a_content_is_binary(content: bytes) -> None:
    wanted = read_wanted([{"path": "/a/x", "content_base64": base64.b64encode(content).decode()}], [])
    assert diff(wanted, MISSING)["after"].splitlines()[-1].startswith(f"(binary content of {len(content)} bytes")


def test_the_diff_says_where_a_link_led() -> None:
    shown = diff(a_file(), LINK)
    assert "target: /elsewhere" in shown["before"]
    assert "is: file" in shown["after"]
