"""A restore as its parts make it: a source, a target server, and a run that a test may also kill.

As a program: ``python -I restoring.py COLLECTIONS SOCKET PORT SOURCE NAME KEEP KILL`` restores SOURCE into NAME on the
same server, and kills itself with SIGKILL before the KILLth statement of its superuser's sessions.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])

from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import (
    PIPE_SIZE,
    Child,
    DumpError,
    write_all,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.server import Needs, Server
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.session import Session
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.swap import Swapped
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.target import Target

PROGRAM = Path(__file__)


def text_of(child: Child) -> bytes:
    """All that a program writes; DumpError where it failed."""
    try:
        return child.heard("no dump")
    finally:
        child.end()


def feed(child: Child, text: bytes) -> None:
    """Give a program *text*; DumpError where it failed."""
    try:
        try:
            for start in range(0, len(text), PIPE_SIZE):
                write_all(child.input, text[start : start + PIPE_SIZE])
            child.close_input()
        except BrokenPipeError:
            pass
        child.wait(60)
        if problem := child.complaint():
            raise DumpError(problem)
    finally:
        child.end()


def works(folder: Path) -> bool:
    """Whether the programs of a wheel run on this machine."""
    return subprocess.run([folder / "psql", "--version"], capture_output=True, check=False).returncode == 0


def restore(
    server: Server,
    text: bytes,
    database: str,
    *,
    needs: Needs | None = None,
    owner: str = "",
    keep_previous: int = 1,
) -> tuple[Swapped, bytes]:
    """The whole way; also the text of the copy."""
    needs = needs or Needs(database, keep_previous)
    server.check(needs)
    copy = server.create(database, needs.settings)
    with server.restorer(copy):
        feed(server.psql(copy), text)
        server.settle(copy, owner)
        again = text_of(server.pg_dump(copy))
    return server.swap(database, copy, keep_previous), again


def _kill_at(number: int) -> None:
    """Let the main thread's statement *number* be the last thing that this process comes to."""
    sent = 0
    real = Session.rows

    def rows(self: Session, query: t.Any, *values: t.Any) -> list[t.Any]:
        nonlocal sent
        # The thread that ends clients has as many as it comes to.
        sent += threading.current_thread() is threading.main_thread()
        if sent == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, query, *values)

    Session.rows = rows  # type: ignore[method-assign]


def main() -> None:
    socket, port, source, database, keep, kill = sys.argv[2:]
    if int(kill):
        _kill_at(int(kill))
    with Server(Target(host=socket, port=int(port))) as server:
        text = Path(source).read_bytes()
        restore(server, text, database, keep_previous=int(keep))


if __name__ == "__main__":
    main()
