"""Servers that go on for ever, proxies, and people who write into the tree while the server is asked."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import typing as t
import urllib.parse
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards import api, swap
from ansible_collections.taaraxtak.production.tests.integration.conftest import Result, run_module
from ansible_collections.taaraxtak.production.tests.integration.grafana_servers import dashboard

TOKEN = "glsa_000000000000000000000000000000000000"
Answers = t.Callable[[str, dict[str, str]], t.Any]


@contextlib.contextmanager
def server(answers: Answers) -> t.Iterator[str]:
    """Something that answers each path and query so; its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            content = json.dumps(answers(parts.path, dict(urllib.parse.parse_qsl(parts.query)))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: t.Any) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}"
        finally:
            running.shutdown()
            thread.join()


def one_dashboard(path: str, _query: dict[str, str]) -> t.Any:
    """A Grafana that is well and has one dashboard."""
    data = dashboard("a", "First")
    return {
        "/api/health": {"database": "ok", "version": "12.3.0"},
        "/api/search": [{"uid": "a", "title": "First"}],
        "/api/dashboards/uid/a": {"dashboard": data, "meta": {"provisioned": False, "folderUid": ""}},
    }[path]


def export(url: str, tree: Path, *, check: bool = False, env: dict[str, str] | None = None) -> Result:
    given = {"state": "exported", "url": url, "token": TOKEN, "folder": str(tree)}
    return run_module("grafana_dashboards", given, check=check, env=env)


def asked(url: str) -> api.Grafana:
    return api.Grafana(api.Settings(url=url, token=TOKEN))


@pytest.mark.parametrize("what", ["search", "folders"])
def test_a_list_without_an_end_is_ended(what: str) -> None:
    pages = []

    def endless(_path: str, query: dict[str, str]) -> t.Any:
        pages.append(query["page"])
        assert len(pages) < 20
        return [{"uid": f"{query['page']}-{number}", "title": "x"} for number in range(int(query["limit"]))]

    with server(endless) as url, pytest.raises(ValueError, match="lists more than 2000 "):
        getattr(asked(url), what)()
    assert pages == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("what", ["search", "folders"])
def test_a_page_that_comes_again_is_refused(what: str) -> None:
    """Else a folder would count twice, and the same page for ever."""

    def same(_path: str, query: dict[str, str]) -> t.Any:
        return [{"uid": str(number), "title": "x"} for number in range(int(query["limit"]))]

    with server(same) as url, pytest.raises(ValueError, match=r"lists the (dashboard|folder) 0 twice"):
        getattr(asked(url), what)()


@pytest.mark.parametrize("what", ["search", "folders"])
def test_all_pages_are_read(what: str) -> None:
    def pages(_path: str, query: dict[str, str]) -> t.Any:
        end = {"1": api.PAGE, "2": api.PAGE, "3": 7}[query["page"]]
        return [{"uid": f"{query['page']}-{number}", "title": "x"} for number in range(end)]

    with server(pages) as url:
        assert len(getattr(asked(url), what)()) == 2 * api.PAGE + 7


def test_the_token_for_this_machine_goes_to_no_proxy(tmp_path: Path) -> None:
    through: list[str] = []

    def proxy(path: str, query: dict[str, str]) -> t.Any:
        through.append(path)
        return one_dashboard(path, query)

    with server(proxy) as other, server(one_dashboard) as url:
        env = {"http_proxy": other, "HTTP_PROXY": other, "no_proxy": "", "NO_PROXY": ""}
        done = export(url, tmp_path / "tree", env=env)
        assert not done.failed, done.msg
        assert through == []
        # What lies elsewhere is still asked through it.
        export("http://grafana.example.org", tmp_path / "elsewhere", env=env)
        assert through


def test_a_file_that_appears_while_the_server_is_asked_is_kept(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    mine = tree / "mine.json"

    def meanwhile(path: str, query: dict[str, str]) -> t.Any:
        if path == "/api/dashboards/uid/a":
            mine.write_text(json.dumps(dashboard("mine", "Mine")), encoding="utf-8")
        return one_dashboard(path, query)

    with server(meanwhile) as url:
        done = export(url, tree)
    assert done.failed
    assert "was changed meanwhile: run this again" in done.msg
    assert list(tree.iterdir()) == [mine]
    assert list(tmp_path.iterdir()) == [tree]


@pytest.mark.parametrize("fault", ["no parent", "a file", "a link in it", ".git", "a lock"])
def test_check_mode_refuses_what_the_run_refuses(tmp_path: Path, fault: str) -> None:
    tree = tmp_path / ("not/tree" if fault == "no parent" else "tree")
    lock = swap._alone(tree) if fault == "a lock" else contextlib.nullcontext()
    if fault == "a file":
        tree.touch()
    elif fault == "a link in it":
        tree.mkdir()
        (tree / "link").symlink_to("/etc")
    elif fault == ".git":
        (tree / ".git").mkdir(parents=True)
    with server(one_dashboard) as url, lock:
        foretold, done = export(url, tree, check=True), export(url, tree)
    assert foretold.failed
    assert done.failed
    assert foretold.msg == done.msg


def test_check_mode_counts_with_what_a_killed_run_left(tmp_path: Path) -> None:
    tree, left = tmp_path / "tree", tmp_path / ".tree.old"
    with server(one_dashboard) as url:
        assert export(url, tree).changed
        tree.rename(left)
        (tmp_path / ".tree.new").mkdir()
        foretold = export(url, tree, check=True)
        assert not tree.exists()
        done = export(url, tree)
    assert not foretold.failed, foretold.msg
    assert (foretold.changed, foretold.values["added"]) == (done.changed, done.values["added"]) == (False, [])
    assert list(tmp_path.iterdir()) == [tree]
