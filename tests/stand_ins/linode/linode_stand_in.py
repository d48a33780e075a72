"""A stand-in for Linode's API, made for this project's tests: it is NOT Linode, and nothing it makes exists.

It keeps instances, firewalls and volumes in memory and speaks the part of version 4 that playbooks/linode.yml uses.
Each behaviour cites, by operation, the API's published description (OpenAPI, version 4.189.0):

  [instances]  get-linode-instances, post-linode-instance, get-linode-instance, put-linode-instance
  [backups]    post-enable-backups
  [firewalls]  get-firewalls, post-firewalls, put-firewall, put-firewall-rules, get-linode-firewalls
  [devices]    post-firewall-device, get-firewall-devices
  [volumes]    get-linode-volumes
  [guide]      https://techdocs.akamai.com/linode-api/reference/ (errors, filtering, pagination, rate limits)

Beside /v4 it has /_control, which no API has: a test plants faults and state there, and reads what was asked. It needs
Python's standard library alone.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stand_in_state import RefusedError, State

# Writing these is what the log leaves out.
SECRET = "root_pass"


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], state: State, token: str) -> None:
        super().__init__(address, Handler)
        self.state, self.token, self.lock = state, token, threading.Lock()
        self.faults: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []

    def fault(self, method: str, path: str) -> dict[str, Any]:
        """The first fault that is planted for this call, used up by one."""
        for fault in self.faults:
            if fault["times"] > 0 and fault["method"] == method and re.fullmatch(fault["path"], path):
                fault["times"] -= 1
                return fault
        return {"kind": "none"}


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Nothing: a test reads /_control."""

    def do_GET(self) -> None:
        self.call()

    def do_POST(self) -> None:
        self.call()

    def do_PUT(self) -> None:
        self.call()

    def do_DELETE(self) -> None:
        self.call()

    def call(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"null")
        path = urlsplit(self.path).path
        if path == "/_control":
            self.control(body)
            return
        path = path.removeprefix("/v4")
        with self.server.lock:
            seen = {key: value for key, value in body.items() if key != SECRET} if isinstance(body, dict) else body
            self.server.asked.append({"method": self.command, "path": path, "body": seen, "at": time.time()})
            fault = self.server.fault(self.command, path)
        self.behave(fault, path, body)

    def behave(self, fault: dict[str, Any], path: str, body: Any) -> None:
        kind = fault["kind"]
        if kind == "busy":
            # [guide] rate-limits: "429 Too Many Requests", with Retry-After in seconds.
            self.errors(429, "Too many requests", headers={"Retry-After": str(fault["retry_after"])})
        elif kind == "fails_before":
            self.errors(503, "Service unavailable")
        elif kind == "fails_after":
            self.commit(path, body)
            self.errors(500, "Internal server error")
        elif kind == "empties":
            # No description has it: an answer that says nothing of what it is about, and nothing is done.
            self.answer(200, {})
        elif kind == "cuts":
            status, document = self.commit(path, body)
            self.answer(status, document, cut=True)
        elif kind == "hangs":
            # So long that whoever asks gives up; what was asked for is done before.
            self.commit(path, body)
            time.sleep(fault["seconds"])
            self.close_connection = True
        else:
            self.answer(*self.commit(path, body))

    def commit(self, path: str, body: Any) -> tuple[int, Any]:
        # [guide] errors: 401 "Invalid Token", and every error as {"errors": [{"reason": …, "field": …}]}.
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            return 401, {"errors": [{"reason": "Invalid Token"}]}
        asked = parse_qs(urlsplit(self.path).query)
        page, size = int(asked.get("page", ["1"])[0]), int(asked.get("page_size", ["100"])[0])
        # [guide] filtering: the header X-Filter holds JSON, {"label": "x"} for equality.
        where = json.loads(self.headers.get("X-Filter") or "{}")
        with self.server.lock:
            try:
                return 200, self.server.state.call(self.command, path, body, where, page, size)
            except RefusedError as refused:
                error = {"reason": refused.reason, **({"field": refused.field} if refused.field else {})}
                return refused.status, {"errors": [error]}

    def errors(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        self.answer(status, {"errors": [{"reason": reason}]}, headers)

    def answer(self, status: int, document: Any, headers: dict[str, str] | None = None, cut: bool = False) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def control(self, body: Any) -> None:
        """GET: what was asked and what is there. POST: plant ``faults``, or change ``state`` by its own words."""
        with self.server.lock:
            if self.command == "POST":
                self.server.faults = body.get("faults", self.server.faults)
                self.server.state.plant(body.get("state", {}))
            document = {"asked": list(self.server.asked), **self.server.state.everything()}
            if self.command == "DELETE":
                self.server.asked.clear()
        self.answer(200, document)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--port-file", type=Path, required=True, help="written once it listens")
    parser.add_argument("--token", required=True, help="the only one that is taken: a word of a test, no secret")
    parser.add_argument("--address", default="127.0.0.1", help="the address of every instance")
    parser.add_argument("--provisioning", type=int, default=2, help="how many readings an instance takes until it runs")
    options = parser.parse_args()
    server = Server(("127.0.0.1", options.port), State(options.address, options.provisioning), options.token)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    new = options.port_file.with_suffix(".new")
    new.write_text(str(server.server_address[1]))
    new.replace(options.port_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
