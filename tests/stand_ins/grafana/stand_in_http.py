"""Part of the stand-in for Grafana's server (it is NOT Grafana): HTTP, who asks, and the faults that a test wants.

A test writes `faults.json` into the state's folder, a list of
  {"method": "GET", "path": "/api/dashboards/uid/", "request": 2, "times": 1, "status": 500, "body": "…", "cut": 100}
which says: the second request (counted since the file was written) whose path begins so is answered with this status
and body (else with the right ones), of which `cut` bytes are sent, with the length of the whole, or with
`"length": false` with none. `"times": 0` is for ever. `"close": true` closes without an answer.
Every request is noted in `requests.jsonl`, without what authorises it.
"""

from __future__ import annotations

import base64
import binascii
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from stand_in_api import ROUTES, Asked
from stand_in_provisioning import Provisioning
from stand_in_settings import Settings
from stand_in_state import Record, RefusedError, State, digest

RANKS = {"None": 0, "Viewer": 1, "Editor": 2, "Admin": 3, "Server admin": 4}


class Faults:
    def __init__(self, state: State) -> None:
        self.file = state.folder / "faults.json"
        self.text = ""
        self.faults: list[Record] = []
        self.seen: list[int] = []

    def meets(self, method: str, path: str) -> Record | None:
        text = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
        if text != self.text:
            self.text, self.faults = text, json.loads(text or "[]")
            self.seen = [0] * len(self.faults)
        hit = None
        for number, fault in enumerate(self.faults):
            if fault.get("method", method) != method or not path.startswith(fault.get("path", "")):
                continue
            self.seen[number] += 1
            first, times = fault.get("request", 1), fault.get("times", 1)
            if hit is None and self.seen[number] >= first and (times == 0 or self.seen[number] < first + times):
                hit = fault
        return hit


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "grafana-stand-in"
    server: Server

    def log_message(self, *_: object) -> None:
        """Requests are noted in requests.jsonl."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        parts = urlsplit(self.path)
        server = self.server
        with server.state.lock:
            note = {"method": self.command, "path": self.path}
            with (server.state.folder / "requests.jsonl").open("a", encoding="utf-8") as out:
                out.write(json.dumps(note) + "\n")
            fault = server.faults.meets(self.command, self.path)
            if fault and fault.get("close"):
                self.close_connection = True
                return
            status, answer = (
                (fault["status"], {"message": "a fault that a test wanted"})
                if fault and "status" in fault
                else self._right(parts, body)
            )
        self._send(status, answer, fault or {})

    def _right(self, parts: Any, body: bytes) -> tuple[int, object]:
        try:
            asked = Asked(
                method=self.command,
                path=unquote(parts.path).rstrip("/"),
                query=parse_qsl(parts.query),
                body=json.loads(body) if body else {},
                role=self._role(),
                state=self.server.state,
                settings=self.server.settings,
                provisioning=self.server.provisioning,
            )
            for method, pattern, rank, function in ROUTES:
                found = pattern.fullmatch(asked.path)
                if method == self.command and found:
                    return 200, self._allowed(asked, rank, function, [unquote(g) for g in found.groups()])
        except RefusedError as refused:
            return refused.status, refused.body
        except json.JSONDecodeError:
            return 400, {"message": "bad request data"}
        return 404, {"message": "Not found"}

    @staticmethod
    def _allowed(asked: Asked, rank: str, function: Any, groups: list[str]) -> object:
        if rank != "anybody" and asked.role is None:
            # [src] pkg/services/contexthandler, pkg/middleware/auth.go
            raise RefusedError(401, "Unauthorized", messageId="auth.unauthorized", statusCode=401, traceID="")
        if rank != "anybody" and RANKS[str(asked.role)] < RANKS[rank]:
            # [src] pkg/services/accesscontrol/middleware.go, deny
            raise RefusedError(
                403,
                f"You'll need additional permissions to perform this action. Permissions needed: those of {rank}",
                title="Access denied",
                accessErrorId="ACE0000000000",
            )
        return function(asked, *groups)

    def _role(self) -> str | None:
        kind, _, value = (self.headers.get("Authorization") or "").partition(" ")
        data = self.server.state.data
        if kind == "Bearer":
            token = data["tokens"].get(digest(value))
            if not token:
                # [src] pkg/services/authn/clients/api_key.go
                raise RefusedError(401, "Invalid API key", messageId="api-key.invalid", statusCode=401, traceID="")
            return str(token["role"])
        if kind == "Basic":
            try:
                login, _, password = base64.b64decode(value).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                login = password = ""
            if (login, digest(password)) == (data["admin"]["login"], data["admin"]["password"]):
                return "Server admin"
            raise RefusedError(
                401, "Invalid username or password", messageId="password-auth.failed", statusCode=401, traceID=""
            )
        return "Viewer" if self.server.settings.value("auth.anonymous", "enabled") == "true" else None

    def _send(self, status: int, answer: object, fault: Record) -> None:
        if "body" in fault:
            answer = fault["body"]
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        whole = text.encode()
        self.send_response(status)
        # An answer that is no JSON says that it is HTML, as that of a proxy in front of Grafana.
        self.send_header("Content-Type", "text/html" if "body" in fault else "application/json; charset=UTF-8")
        if fault.get("length", True):
            self.send_header("Content-Length", str(len(whole)))
        else:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(whole[: fault["cut"]] if "cut" in fault else whole)
        if "cut" in fault:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 (the library's names)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    state: State
    settings: Settings
    provisioning: Provisioning
    faults: Faults


def serve(address: str, port: int, state: State, settings: Settings, provisioning: Provisioning) -> Server:
    server = Server((address, port), Handler)
    server.state, server.settings, server.provisioning = state, settings, provisioning
    server.faults = Faults(state)
    return server
