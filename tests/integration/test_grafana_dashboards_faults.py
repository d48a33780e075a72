"""Whatever goes wrong, no file changes, nothing is left beside the tree, and a sentence says what to do."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.integration.conftest import COLLECTIONS, RUNNER, Result, run_module
from ansible_collections.taaraxtak.production.tests.integration.grafana_servers import StandIn, dashboard, stand_in

PATH = "/api/dashboards/uid/"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[StandIn]:
    """A server with three dashboards, of which each test's tree knows older forms."""
    with stand_in(tmp_path_factory.mktemp("server")) as running:
        running.make_folder("Internet", "int")
        running.put(dashboard("a", "First"), "int")
        running.put(dashboard("b", "Second"), "int")
        running.put(dashboard("c", "Third"))
        yield running


@pytest.fixture
def tree(server: StandIn, tmp_path: Path) -> t.Iterator[Path]:
    """A tree that an export would change: a dashboard is new, another renamed, and one is gone."""
    server.fail()
    folder = tmp_path / "dashboards"
    (folder / "Internet").mkdir(parents=True)
    (folder / "Internet" / "old-name.json").write_text(json.dumps(dashboard("a", "Old name")), encoding="utf-8")
    (folder / "gone.json").write_text(json.dumps(dashboard("gone", "Gone")), encoding="utf-8")
    (folder / "third.json").write_text(json.dumps(dashboard("c", "Third", tags=["old"])), encoding="utf-8")
    (folder / "README.md").write_text("mine\n", encoding="utf-8")
    yield folder
    server.fail()


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Everything around the tree: contents and times."""
    return {
        str(path.relative_to(folder.parent)): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in sorted(folder.parent.rglob("*"))
    }


def export(server: StandIn, tree: Path, *, role: str = "Viewer", **more: t.Any) -> Result:
    given = {"state": "exported", "url": server.url, "token_file": server.token_file(role), "folder": str(tree)}
    return run_module("grafana_dashboards", {**given, **more})


def refused(server: StandIn, tree: Path, *words: str, **more: t.Any) -> None:
    """An export fails with these words and changes nothing; without the fault it changes all of it."""
    before = snapshot(tree)
    result = export(server, tree, **more)
    assert result.failed
    for word in words:
        assert word in result.msg
    assert "Traceback" not in json.dumps(result.values)
    assert snapshot(tree) == before


def test_without_a_fault_all_of_it_would_change(server: StandIn, tree: Path) -> None:
    done = export(server, tree)
    assert not done.failed, done.msg
    assert done.values["added"] == ["Internet/first.json", "Internet/second.json"]
    assert done.values["removed"] == ["Internet/old-name.json", "gone.json"]
    assert done.values["updated"] == ["third.json"]


HTML = "<html><body>Bad gateway</body></html>"
HALF_WAY: dict[str, tuple[dict[str, t.Any], str]] = {
    "401": ({"status": 401}, "doesn't know the token (401"),
    "403": ({"status": 403}, "the token may not show the dashboard"),
    "404": ({"status": 404}, "(404"),
    "404 of a proxy": ({"status": 404, "body": HTML}, "(404)"),
    "412": ({"status": 412}, "(412"),
    "500": ({"status": 500}, "failed to show the dashboard"),
    "502 of a proxy": ({"status": 502, "body": HTML}, "(502)"),
    "a redirect": ({"status": 302, "body": HTML}, "sends elsewhere (302)"),
    "204": ({"status": 204, "body": ""}, "(204)"),
    "a body cut short": ({"cut": 40}, "cut short: 40 of"),
    "a body cut short without a length": ({"cut": 40, "length": False}, "is broken: it is not JSON"),
    "an empty body": ({"cut": 0, "length": False}, "is broken: it is not JSON"),
    "no answer": ({"close": True}, "can't be reached or broke off"),
    "not JSON": ({"body": HTML}, "answered text/html, not JSON"),
}


@pytest.mark.parametrize("place", ["/api/health", "/api/search", PATH, "/api/folders/"])
@pytest.mark.parametrize("fault", ["401", "403", "500", "a body cut short", "not JSON", "no answer"])
def test_a_server_that_fails_at_any_request_changes_no_file(
    server: StandIn, tree: Path, fault: str, place: str
) -> None:
    server.fail({"path": place, **HALF_WAY[fault][0]})
    refused(server, tree)


@pytest.mark.parametrize("fault", HALF_WAY)
def test_a_server_that_fails_half_way_changes_no_file(server: StandIn, tree: Path, fault: str) -> None:
    how, sentence = HALF_WAY[fault]
    server.fail({"path": PATH, "request": 2, **how})
    refused(server, tree, sentence)


@pytest.mark.parametrize("fault", ["500", "404 of a proxy", "not JSON", "a body cut short"])
def test_a_file_goes_only_when_its_dashboard_is_proved_absent(server: StandIn, tree: Path, fault: str) -> None:
    """All else is answered rightly: only the question after what is gone fails."""
    server.fail({"path": f"{PATH}gone", **HALF_WAY[fault][0], **({"cut": 10} if "cut" in fault else {})})
    refused(server, tree)


def test_a_server_that_is_down_changes_no_file(server: StandIn, tree: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        refused(server, tree, "can't be reached", url=f"http://127.0.0.1:{taken.getsockname()[1]}")


def test_a_server_that_never_answers_changes_no_file(server: StandIn, tree: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        refused(server, tree, "timed out", url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=1)


def test_a_token_that_is_unknown_or_may_see_nothing_changes_no_file(
    server: StandIn, tree: Path, tmp_path: Path
) -> None:
    unknown = tmp_path / "unknown"
    unknown.write_text("glsa_000000000000000000000000000000000000", encoding="ascii")
    unknown.chmod(0o600)
    refused(server, tree, "doesn't know the token (401", token_file=str(unknown))
    refused(server, tree, "the token may not show the dashboard", role="None")


@pytest.mark.parametrize("title", ["a/b", "..", "Über 🎉", "x" * 200, "General", ".hidden", "tab\tin it"])
def test_a_folder_whose_title_no_folder_of_files_can_have_changes_no_file(
    server: StandIn, tree: Path, title: str
) -> None:
    server.make_folder(title, "odd")
    server.put(dashboard("odd", "Odd"), "odd")
    try:
        refused(server, tree, "can't be one of files", "rename it in Grafana")
    finally:
        server.ask("DELETE", "/api/folders/odd")


def test_a_folder_in_a_folder_changes_no_file(server: StandIn, tree: Path) -> None:
    server.make_folder("Inner", "inner", parent="int")
    server.put(dashboard("inner", "Inner one"), "inner")
    try:
        refused(server, tree, "lies in another one", "uid inner")
    finally:
        server.ask("DELETE", "/api/folders/inner")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (dashboard("odd", "Third"), "two dashboards of General have the title 'Third' (uids c and odd)"),
        (dashboard("odd", "third "), "rename one of them"),
        (dashboard("odd", "Odd", refresh="password=hunter22"), "which must not be committed"),
        (dashboard("odd", "Odd", annotations={"list": [{"name": "x", "type": "y", "datasource": "MySQL"}]}), "'MySQL'"),
        (dashboard("odd", "Odd", panels=[{"type": "table", "libraryPanel": {"uid": "x"}}]), "is a library panel"),
        (dashboard("odd", "Odd", elements={}, layout={}), "schema v2"),
    ],
)
def test_a_dashboard_that_may_not_be_in_the_repository_changes_no_file(
    server: StandIn, tree: Path, data: dict[str, t.Any], sentence: str
) -> None:
    server.put(data)
    try:
        refused(server, tree, sentence)
    finally:
        server.ask("DELETE", "/api/dashboards/uid/odd")


def test_a_secret_is_named_by_its_place_and_not_shown(server: StandIn, tree: Path) -> None:
    server.put(dashboard("odd", "Odd", refresh="password=hunter22"))
    try:
        result = export(server, tree)
        assert "refresh looks like a password" in result.msg
        assert "hunter22" not in json.dumps(result.values)
    finally:
        server.ask("DELETE", "/api/dashboards/uid/odd")


@pytest.mark.parametrize("content", ["{", '{"title": "x"}', json.dumps(dashboard("c", "Another of that uid"))])
def test_a_file_that_cannot_be_told_is_not_thrown_away(server: StandIn, tree: Path, content: str) -> None:
    """Whose dashboard it was can't be asked, so a person has to look. A second file of a dashboard may go."""
    (tree / "unknown.json").write_text(content, encoding="utf-8")
    if "Another" in content:
        assert "unknown.json" in export(server, tree).values["removed"]
    else:
        refused(server, tree, "unknown.json", "mend or remove it first")


def test_a_link_in_the_tree_is_neither_followed_nor_replaced(server: StandIn, tree: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text("{}", encoding="utf-8")
    (tree / "link.json").symlink_to(elsewhere)
    refused(server, tree, "is a link")


def limited(server: StandIn, tree: Path, size: int) -> subprocess.CompletedProcess[str]:
    """An export by a process that can write no file larger than *size* bytes: its disk is full there."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    given = {"state": "exported", "url": server.url, "token_file": server.token_file("Viewer"), "folder": str(tree)}
    return subprocess.run(
        [sys.executable, "-B", "-c", RUNNER, "grafana_dashboards"],
        input=json.dumps(given),
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS)},
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("size", [0, 100, 500])
def test_a_full_disk_changes_no_file(server: StandIn, tree: Path, size: int) -> None:
    before = snapshot(tree)
    done = limited(server, tree, size)
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert answer["failed"], answer
    assert "could not write the dashboards beside" in answer["msg"]
    after = snapshot(tree)
    # The folder around it was written to, and is clean again.
    assert after == before
    assert done.returncode == 1


def test_a_folder_that_may_not_be_written_changes_no_file(server: StandIn, tree: Path) -> None:
    nowhere = tree.parent / "not" / "there"
    result = export(server, nowhere)
    assert result.failed
    assert "can't be opened" in result.msg
    assert not nowhere.parent.exists()


@pytest.mark.parametrize(
    ("fault", "number"),
    [
        ("401", 1),
        ("403", 1),
        ("404", 2),
        ("412", 2),
        ("500", 3),
        ("not JSON", 2),
        ("a body cut short", 2),
        ("no answer", 3),
    ],
)
def test_an_import_that_fails_says_what_it_had_saved(
    server: StandIn, tree: Path, tmp_path: Path, fault: str, number: int
) -> None:
    before = snapshot(tree)
    with stand_in(tmp_path / "other") as other:
        other.fail({"method": "POST", "path": "/api/dashboards/db", "request": number, **HALF_WAY[fault][0]})
        given = {"state": "imported", "url": other.url, "token_file": other.token_file("Editor"), "folder": str(tree)}
        failed = run_module("grafana_dashboards", given)
        assert failed.failed
        assert failed.values["imported"] == ["a", "gone", "c"][: number - 1]
        assert f"{number - 1} of 3 dashboards had been saved" in failed.msg
        # What it had saved is there, and the next run saves the rest.
        other.fail()
        assert not run_module("grafana_dashboards", given).failed
        assert not run_module("grafana_dashboards", given).changed
    # Only the server's own folder is new beside the tree.
    assert {name: seen for name, seen in snapshot(tree).items() if not name.startswith("other")} == before
