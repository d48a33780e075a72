"""Between a client and a server: a network that loses an answer, and another host with the same paths."""

from __future__ import annotations

import contextlib
import socket
import threading
import typing as t

from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster

BLOCK = 65536


class Proxy:
    """Listens on the loopback and hands on to *cluster*, as long as the ``with`` block lasts.

    *lose* is what a message of the client's holds after which the connection is lost: ``after`` the server has
    answered it, which the client never hears, or else before it reaches the server. It is lost once.
    *swap* are two texts of one length: the client hears the one where the server says the other, and the other way
    round, so that the server seems to have its files where another one has them.
    """

    def __init__(
        self, cluster: ScratchCluster, *, lose: bytes = b"", after: bool = True, swap: tuple[str, str] | None = None
    ) -> None:
        self.path = f"{cluster.socket}/.s.PGSQL.{cluster.port}"
        self.lose, self.after, self.swap = lose, after, swap
        self.lost = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]

    @property
    def login(self) -> dict[str, t.Any]:
        """The login options of a module."""
        return {"login_host": "127.0.0.1", "login_port": self.port, "login_user": "postgres"}

    @property
    def dsn(self) -> str:
        """The same for the command."""
        # Without TLS and GSSAPI, whose requests are no messages.
        return f"host=127.0.0.1 port={self.port} user=postgres sslmode=disable gssencmode=disable"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        # An accept() that waits is woken by this, and not by close().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the end of the block
            while True:
                client, _address = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.path)
        deaf = threading.Event()
        back = threading.Thread(target=self._answers, args=(client, server, deaf), daemon=True)
        back.start()
        with contextlib.suppress(OSError), client, server:
            while data := client.recv(BLOCK):
                if self.lose and self.lose in data and not self.lost.is_set():
                    self.lost.set()
                    deaf.set()
                    if self.after:
                        server.sendall(data)
                        # The server is done with it before it sees the end.
                        server.shutdown(socket.SHUT_WR)
                        back.join()
                    break
                server.sendall(self._swapped(data))
            # A recv() that waits is woken by this, and not by close().
            server.shutdown(socket.SHUT_RDWR)

    def _answers(self, client: socket.socket, server: socket.socket, deaf: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(BLOCK):
                if not deaf.is_set():
                    client.sendall(self._swapped(data))
            client.shutdown(socket.SHUT_RDWR)

    def _swapped(self, data: bytes) -> bytes:
        if self.swap is None:
            return data
        one, other = (text.encode() for text in self.swap)
        return other.join(part.replace(other, one) for part in data.split(one))
