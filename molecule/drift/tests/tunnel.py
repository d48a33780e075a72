"""How the controller reaches Grafana: a port of this machine leads to the container's own loopback, as by `ssh -L`."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import typing as t

import pytest
from planting import FOLDER

# Run in the container: what comes in goes there, and what comes from there goes out.
RELAY = """
import os, socket, sys, threading
there = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def bring():
    while said := os.read(0, 65536):
        there.sendall(said)
    there.shutdown(socket.SHUT_WR)
threading.Thread(target=bring, daemon=True).start()
while said := there.recv(65536):
    os.write(1, said)
"""


@contextlib.contextmanager
def tunnel(container: str, port: int) -> t.Iterator[int]:
    """While it is open, a free port that leads to *port* of *container*."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept, args=(server, container, port), daemon=True).start()
        yield int(server.getsockname()[1])


def _accept(server: socket.socket, container: str, port: int) -> None:
    command = ["podman", "exec", "-i", container, "python3", "-c", RELAY, str(port)]
    while True:
        try:
            connection, _from = server.accept()
        except OSError:
            return
        threading.Thread(target=_relay, args=(connection, command), daemon=True).start()


def _relay(connection: socket.socket, command: list[str]) -> None:
    with connection:
        subprocess.run(command, stdin=connection, stdout=connection, stderr=subprocess.DEVNULL, check=False)


@pytest.fixture(scope="module", autouse=True)
def grafana(new_token: t.Callable[[str], str]) -> t.Iterator[None]:
    """A way to Grafana, and a token that lets look, for the audits of a file of tests."""
    path = FOLDER / "grafana-token"
    path.touch(mode=0o600)
    path.write_text(new_token("Viewer") + "\n", encoding="utf-8")
    with tunnel(f"taaraxtak-{os.environ['MOLECULE_SCENARIO_NAME']}-production", 3000) as port:
        os.environ["TAARAXTAK_DRIFT_GRAFANA"] = str(port)
        yield
