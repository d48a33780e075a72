"""The edge that speaks HTTP, against a server of the test's own that answers whatever a broken or hostile one might."""

from __future__ import annotations

import dataclasses
import http.server
import json
import ssl
import subprocess
import threading
import typing as t
import urllib.parse
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards import api, document, exchange
from ansible_collections.taaraxtak.production.tests.integration.conftest import run_module

TOKEN = "glsa_" + "0" * 32


@dataclasses.dataclass
class Answer:
    """What a request gets; ``headers`` in the place of those that are right."""

    content: bytes
    status: int = 200
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


def says(value: t.Any, status: int = 200, **headers: str) -> Answer:
    return Answer(json.dumps(value).encode(), status, {name.replace("_", "-"): text for name, text in headers.items()})


class Server(http.server.ThreadingHTTPServer):
    """Answers each path as it is told, and notes what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, t.Callable[[dict[str, str]], Answer]] = {}
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.stop = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, path: str, answer: Answer) -> None:
        self.answers[path] = lambda _query: answer

    def ask(self, **more: t.Any) -> api.Grafana:
        return api.Grafana(api.Settings(url=self.url, token=TOKEN, timeout=2, **more))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urllib.parse.urlsplit(self.path)
        self.server.asked.append((self.command, self.path, dict(self.headers), content))
        answer = self.server.answers[parts.path](dict(urllib.parse.parse_qsl(parts.query)))
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(answer.content)), **answer.headers}
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if answer.headers.get("X-Slow"):
            # Longer than anybody waits, and not for ever.
            for _ in range(40):
                if self.server.stop.wait(0.2):
                    break
                self.wfile.write(b" ")
        self.wfile.write(answer.content)
        if "Content-Length" in answer.headers:
            self.close_connection = True

    do_POST = do_GET  # noqa: N815 (the library's names)

    def log_message(self, *arguments: t.Any) -> None:
        """Nothing."""


@pytest.fixture
def server() -> t.Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield running
        running.stop.set()
        running.shutdown()


def test_all_pages_of_a_long_list_are_read(server: Server) -> None:
    hits = [{"uid": f"u{number}", "title": f"T{number}"} for number in range(2 * api.PAGE + 3)]

    def page(query: dict[str, str]) -> Answer:
        first = (int(query["page"]) - 1) * int(query["limit"])
        return says(hits[first : first + int(query["limit"])])

    server.answers["/api/search"] = page
    assert server.ask().search() == {hit["uid"]: hit["title"] for hit in hits}
    assert len(server.asked) == 3


def test_a_list_that_repeats_itself_has_an_end(server: Server) -> None:
    """A server that doesn't know pages answers the same one for ever."""
    server.answer("/api/search", says([{"uid": f"u{number}", "title": "T"} for number in range(api.PAGE)]))
    with pytest.raises(api.GrafanaError, match="twice"):
        server.ask().search()


@pytest.mark.parametrize("hits", [{}, None, [1], [{"uid": "x"}], [{"title": "x"}], [{"uid": "", "title": "x"}], [[]]])
def test_a_list_that_is_none_is_refused(server: Server, hits: t.Any) -> None:
    server.answer("/api/search", says(hits))
    with pytest.raises(api.GrafanaError, match="is it Grafana"):
        server.ask().search()


@pytest.mark.parametrize(
    "answer",
    [
        says([]),
        says({"dashboard": {"uid": "x", "title": "X"}}),
        says({"meta": {}}),
        says({"meta": {}, "dashboard": {"uid": "another", "title": "X"}}),
        says({"meta": {"provisioned": "no"}, "dashboard": {"uid": "x", "title": "X"}}),
        says({"meta": {"folderUid": 5}, "dashboard": {"uid": "x", "title": "X"}}),
        says({"meta": {}, "dashboard": {"uid": "x"}}, Content_Type="text/html"),
        says({"meta": {}, "dashboard": {"uid": "x"}}, Content_Type=""),
        Answer(b""),
        Answer(b'{"meta": {}, "dashboard": {"uid": "x"}} {}'),
        Answer(b'{"meta": {}, "dashboard": {"uid": "x", "uid": "x"}}'),
        Answer(b"\xff"),
        says({"meta": {}, "dashboard": {"uid": "x"}}, 201),
        says({"message": "Not found"}, 404),
        says({"message": "dashboard not found"}, 404, Content_Type="text/html"),
        says({"message": "dashboard not found"}, 410),
    ],
)
def test_an_answer_that_is_no_dashboard_is_neither_taken_nor_a_proof_of_absence(server: Server, answer: Answer) -> None:
    server.answer("/api/dashboards/uid/x", answer)
    with pytest.raises(api.GrafanaError):
        server.ask().dashboard("x")


@pytest.mark.parametrize("message", ["Dashboard not found", 'dashboards.dashboard.grafana.app "x" not found'])
def test_only_grafanas_own_word_proves_absence(server: Server, message: str) -> None:
    server.answer("/api/dashboards/uid/x", says({"message": message}, 404))
    assert server.ask().dashboard("x") is None


@pytest.mark.parametrize("status", [200, 404, 500])
def test_an_answer_that_is_shorter_than_it_says_is_refused(server: Server, status: int) -> None:
    server.answer("/api/dashboards/uid/x", says({"message": "Dashboard not found"}, status, Content_Length="1000"))
    with pytest.raises(api.GrafanaError, match="cut short"):
        server.ask().dashboard("x")


def test_an_answer_without_an_end_is_not_waited_for(server: Server) -> None:
    server.answer("/api/health", says({}, X_Slow="yes", Content_Length="100000"))
    with pytest.raises(api.GrafanaError, match="did not end its answer within 2 s"):
        server.ask().check()


def test_an_answer_that_is_too_long_is_not_kept(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "ANSWER_LIMIT", 1000)
    server.answer("/api/health", says({"database": "ok", "x": "x" * 1000}))
    with pytest.raises(api.GrafanaError, match="more than 1000 bytes"):
        server.ask().check()


def test_a_server_whose_database_is_not_well_is_refused(server: Server) -> None:
    server.answer("/api/health", says({"database": "failing", "version": "12.0.0"}))
    with pytest.raises(api.GrafanaError, match="its database is failing"):
        server.ask().check()


def test_the_token_follows_nowhere(server: Server) -> None:
    """Whoever could answer a redirect would else be given it."""
    with Server() as other:
        threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        other.answer("/api/health", says({"database": "ok"}))
        server.answer("/api/health", says({}, 302, Location=f"{other.url}/api/health"))
        with pytest.raises(api.GrafanaError, match=r"sends elsewhere \(302\)"):
            server.ask().check()
        assert other.asked == []
        other.shutdown()


def test_the_token_goes_in_its_header_alone_whatever_netrc_says(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n", encoding="ascii")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.answer("/api/health", says({"database": "ok", "version": "12.0.0"}))
    assert server.ask().check() == "12.0.0"
    ((method, path, headers, content),) = server.asked
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert (method, path, content) == ("GET", "/api/health", b"")


def test_a_certificate_that_nobody_vouches_for_gets_no_token(server: Server, tmp_path: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"),
            *("-days", "1", "-subj", "/CN=grafana", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.answer("/api/health", says({"database": "ok", "version": "12.0.0"}))
    url = server.url.replace("http:", "https:")
    with pytest.raises(api.GrafanaError, match="certificate"):
        api.Grafana(api.Settings(url=url, token=TOKEN, timeout=2)).check()
    assert server.asked == []
    known = api.Settings(url=url, token=TOKEN, timeout=2, ca_path=str(tmp_path / "cert.pem"))
    assert api.Grafana(known).check() == "12.0.0"
    assert api.Grafana(api.Settings(url=url, token=TOKEN, timeout=2, validate_certs=False)).check() == "12.0.0"


@pytest.mark.parametrize("uid", ["../../admin", "a/b", "a?b", "a#b", "ü", "%2e"])
def test_a_uid_leads_to_no_other_address(server: Server, uid: str) -> None:
    server.answers = {f"/api/dashboards/uid/{urllib.parse.quote(uid, safe='')}": lambda _query: says({}, 500)}
    with pytest.raises(api.GrafanaError, match="500"):
        server.ask().dashboard(uid)


@pytest.mark.parametrize("token", ["", "short", "with blank in it", "line\nfeed-token", "tökentöken", "x" * 5000])
def test_what_is_no_token_is_not_sent_nor_shown(server: Server, token: str) -> None:
    with pytest.raises(ValueError, match="the token is missing or no token") as refused:
        api.Grafana(api.Settings(url=server.url, token=token))
    assert not token or token not in str(refused.value)


def test_a_message_of_the_server_is_shown_short_and_without_control_characters(server: Server) -> None:
    server.answer("/api/health", says({"message": "bad\x1b[31m\n" + "x" * 5000}, 500))
    with pytest.raises(api.GrafanaError) as refused:
        server.ask().check()
    assert "bad?[31m?xxx" in str(refused.value)
    assert len(str(refused.value)) < 400
    assert TOKEN not in repr(api.Settings(url=server.url, token=TOKEN))


def test_a_token_that_the_server_repeats_is_masked(server: Server, tmp_path: Path) -> None:
    server.answer("/api/health", says({"message": f"bad {TOKEN}"}, 500))
    (tmp_path / "token").write_text(f"{TOKEN}\n", encoding="ascii")
    (tmp_path / "token").chmod(0o600)
    given = {"state": "exported", "url": server.url, "folder": str(tmp_path / "tree")}
    by_file = run_module("grafana_dashboards", {**given, "token_file": str(tmp_path / "token")})
    by_environment = run_module("grafana_dashboards", given, env={"GRAFANA_TOKEN": TOKEN})
    for failed in (by_file, by_environment):
        assert "bad " in failed.msg
        assert TOKEN not in json.dumps(failed.values)


def test_dashboards_that_come_or_go_while_they_are_read_end_it(server: Server) -> None:
    """Half an old list and half a new one is no state that there ever was."""
    pages = iter([[{"uid": "a", "title": "A"}], [{"uid": "a", "title": "A"}, {"uid": "b", "title": "B"}]])
    server.answers["/api/search"] = lambda _query: says(next(pages))
    server.answer("/api/dashboards/uid/a", says({"meta": {}, "dashboard": {"uid": "a", "title": "A"}}))
    with pytest.raises(ValueError, match="while they were read"):
        exchange.read_server(server.ask())
    server.answer("/api/search", says([{"uid": "a", "title": "A"}]))
    server.answer("/api/dashboards/uid/a", says({"message": "Dashboard not found"}, 404))
    with pytest.raises(ValueError, match="went while it was read"):
        exchange.read_server(server.ask())


def test_a_dashboard_that_the_list_leaves_out_is_there_all_the_same(server: Server) -> None:
    """An index of a search lags behind; each dashboard of the tree is asked for by its uid."""
    data = {"uid": "b", "title": "B", "panels": []}
    server.answer("/api/search", says([{"uid": "a", "title": "A"}]))
    server.answer("/api/dashboards/uid/a", says({"meta": {}, "dashboard": {**data, "uid": "a", "title": "A"}}))
    server.answer("/api/dashboards/uid/b", says({"meta": {}, "dashboard": data}))
    before = {"b.json": document.text(data).encode()}
    files = exchange.exported(server.ask(), before, document.dashboard, may_empty=False)
    assert sorted(files) == ["a.json", "b.json"]


def test_a_save_that_was_not_one_is_noticed(server: Server) -> None:
    data = {"uid": "a", "title": "A", "version": 0}
    for answer in ({}, {"status": "success"}, {"status": "success", "uid": "b"}, {"status": "failed", "uid": "a"}):
        server.answer("/api/dashboards/db", says(answer))
        with pytest.raises(api.GrafanaError, match="no success"):
            server.ask().save(data, "f", "why")
    server.answer("/api/dashboards/db", says({"status": "success", "uid": "a"}))
    server.ask().save(data, "f", "why")
    assert json.loads(server.asked[-1][3]) == {
        "dashboard": {**data, "id": None}, "folderUid": "f", "message": "why", "overwrite": False,
    }  # fmt: skip
