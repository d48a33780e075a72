"""Telling: who hears of what, that no secret is shown, that a notifier that fails hides nothing and holds nobody."""

from __future__ import annotations

import dataclasses
import http.server
import json
import os
import signal
import socket
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.notify import (
    Event,
    Settings,
    read_url,
    send,
    tell,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import ENDING_SIGNALS

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")

SECRET = "s3cret-token"
FAILED = Event("dump-send", "production", False, "a dump failed", ("taaraxtak to store: quota",))
FINE = Event("dump-send", "production", True, "the dumps are stored")


class Server(http.server.ThreadingHTTPServer):
    """Notes what it is asked, on loopback alone."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, bytes]] = []
        self.status = 200
        self.slow = threading.Event()
        self.stop = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{SECRET}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path, content))
        if self.server.slow.is_set():
            # A byte now and then, so that no single read times out.
            self.wfile.write(b"HTTP/1.0 200 OK\r\n")
            while not self.server.stop.wait(0.2):
                self.wfile.write(b"X: y\r\n")
            return
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("Location", f"{self.server.url}/elsewhere")
        self.end_headers()

    def log_message(self, *arguments: t.Any) -> None:
        """Nothing."""


@pytest.fixture
def server() -> t.Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.stop.set()
        running.shutdown()


def secret(folder: Path, content: str, mode: int = 0o600) -> str:
    path = folder / f"url{len(list(folder.iterdir()))}"
    path.write_text(f"{content}\n")
    path.chmod(mode)
    return str(path)


def test_a_failure_is_posted_and_nobody_is_pinged(server: Server, tmp_path: Path) -> None:
    settings = Settings(url_file=secret(tmp_path, server.url), ping_file=secret(tmp_path, f"{server.url}/ping"))
    assert send(settings, FAILED) == ()
    ((method, path, content),) = server.asked
    assert (method, path) == ("POST", f"/{SECRET}")
    told = json.loads(content)
    assert told["host"] == "production"
    assert told["text"] == "dump-send on production: a dump failed\ntaaraxtak to store: quota"
    assert told["ok"] is False


def test_a_success_is_pinged_and_nobody_is_bothered(server: Server, tmp_path: Path) -> None:
    command = tmp_path / "command"
    settings = Settings(
        command=("/usr/bin/touch", str(command)),
        url_file=secret(tmp_path, server.url),
        ping_file=secret(tmp_path, f"{server.url}/ping"),
    )
    assert send(settings, FINE) == ()
    assert [(method, path) for method, path, _ in server.asked] == [("GET", f"/{SECRET}/ping")]
    assert not command.exists()


def test_a_command_is_given_the_event_and_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)
    heard, script = tmp_path / "heard", tmp_path / "script"
    script.write_text(
        "#!/usr/bin/python3 -I\nimport json, os, sys\n"
        f"json.dump([sys.argv[1:], json.load(sys.stdin), dict(os.environ)], open({str(heard)!r}, 'w'))\n"
    )
    script.chmod(0o755)
    assert send(Settings(command=(str(script), "a; b")), FAILED) == ()
    arguments, event, environment = json.loads(heard.read_text())
    assert arguments == ["a; b"]
    assert event["subject"] == "a dump failed"
    assert SECRET not in environment.values()


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_answer_that_is_no_success_is_said_without_the_address(server: Server, tmp_path: Path, status: int) -> None:
    server.status = status
    (failure,) = send(Settings(url_file=secret(tmp_path, server.url)), FAILED)
    assert str(status) in failure
    assert SECRET not in failure
    # The secret was not carried on.
    assert len(server.asked) == 1


def test_a_host_that_is_not_there_is_said_without_the_address(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/{SECRET}"
        (failure,) = send(Settings(url_file=secret(tmp_path, url)), FAILED)
    assert "refused" in failure
    assert SECRET not in failure


@pytest.mark.parametrize(
    "url", [f"http://user:{SECRET}@[::1/x", f"http://127.0.0.1:{SECRET}/", f"http://{SECRET}\x01/"]
)
def test_an_address_that_is_wrong_is_said_without_it(tmp_path: Path, url: str) -> None:
    (failure,) = send(Settings(url_file=secret(tmp_path, url)), FAILED)
    assert SECRET not in failure


def test_a_server_that_drips_holds_nobody(server: Server, tmp_path: Path) -> None:
    server.slow.set()
    start = time.monotonic()
    (failure,) = send(Settings(url_file=secret(tmp_path, server.url), timeout=1.0), FAILED)
    assert "no answer within 1 s" in failure
    assert time.monotonic() - start < 10


def test_one_notifier_that_fails_does_not_stop_the_next(server: Server, tmp_path: Path) -> None:
    settings = Settings(command=("/nonexistent",), url_file=secret(tmp_path, server.url))
    failures = send(settings, FAILED)
    assert len(failures) == 1
    assert "the command" in failures[0]
    assert len(server.asked) == 1


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    pid, script = tmp_path / "pid", tmp_path / "script"
    script.write_text(
        "#!/usr/bin/python3 -I\nimport subprocess, time\n"
        f"open({str(pid)!r}, 'w').write(str(subprocess.Popen(['sleep', '300']).pid))\ntime.sleep(300)\n"
    )
    script.chmod(0o755)
    (failure,) = send(Settings(command=(str(script),), timeout=2.0), FAILED)
    assert "did not end within 2 s" in failure
    state = Path(f"/proc/{pid.read_text()}/stat")
    end = time.monotonic() + 10
    # Nobody may be there to collect it: a zombie is dead too.
    while state.exists() and state.read_text().rsplit(")")[-1].split()[0] != "Z":
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("number", ENDING_SIGNALS, ids=lambda number: number.name)
def test_a_command_can_be_asked_to_end_whatever_is_held_back_here(tmp_path: Path, number: signal.Signals) -> None:
    """A program that ends what it has started by a signal, as timeout(1) does, must not wait for ever."""
    script = tmp_path / "script"
    script.write_text(
        "#!/usr/bin/python3 -I\nimport os, subprocess, sys\n"
        "child = subprocess.Popen(['/usr/bin/sleep', '60'])\n"
        f"child.send_signal({int(number)})\n"
        f"sys.exit(0 if child.wait(10) == -{int(number)} else 7)\n"
    )
    script.chmod(0o755)
    before, ignored = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS), signal.signal(number, signal.SIG_IGN)
    try:
        assert send(Settings(command=(str(script),)), FAILED) == ()
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, ignored)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o602, 0o604, 0o650])
def test_an_address_that_others_can_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = secret(tmp_path, f"https://example.org/{SECRET}", mode)
    with pytest.raises(ValueError, match="chmod"):
        read_url(path)


@ROOT_ONLY
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = secret(tmp_path, f"https://example.org/{SECRET}")
    os.chown(path, 12345, -1)
    with pytest.raises(ValueError, match="of root or of this user"):
        read_url(path)


@ROOT_ONLY
def test_roots_file_may_be_its_groups(tmp_path: Path) -> None:
    url = f"https://example.org/{SECRET}"
    assert read_url(secret(tmp_path, url, 0o640)) == url


@pytest.mark.parametrize("content", ["", "file:///etc/passwd", "ftp://example.org/", "https://", "https://a b/", "x"])
def test_what_is_no_address_of_the_web_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ValueError, match="does not hold an address"):
        read_url(secret(tmp_path, content))


def test_without_settings_nobody_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell("dump-send", "a dump failed", ok=False, path=str(tmp_path / "none"))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("content", ["{", '{"url": "https://example.org"}', "[]"])
def test_settings_that_are_wrong_are_said_and_stop_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    path = tmp_path / "notify.json"
    path.write_text(content)
    assert not tell("dump-send", "a dump failed", ok=False, path=str(path))
    assert "nobody could be told" in capsys.readouterr().err


def test_settings_are_read_and_a_failure_is_said(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "notify.json"
    settings = Settings(command=("/usr/bin/false",), url_file=secret(tmp_path, server.url))
    path.write_text(json.dumps({**dataclasses.asdict(settings), "command": ["/usr/bin/false"]}))
    assert not tell("dump-send", "a dump failed", ok=False, lines=["why"], path=str(path))
    assert json.loads(server.asked[0][2])["lines"] == ["why"]
    assert "exit status 1" in capsys.readouterr().err


def test_a_flood_of_lines_is_cut(server: Server, tmp_path: Path) -> None:
    event = dataclasses.replace(FAILED, lines=tuple(str(number) for number in range(10_000)))
    send(Settings(url_file=secret(tmp_path, server.url)), event)
    assert len(server.asked[0][2]) < 5000
