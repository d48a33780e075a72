"""What the tests of reading dumps share: dumps with signed manifests in an archive, and a store behind a command."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import random
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.folder import Folder
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import Manifest, Trailer, encode
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName, utc_text
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.scan import scan
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.signatures import Signers
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import until
from ansible_collections.taaraxtak.production.tests.integration.dumps_offers import Store

NAME = DumpName.parse("taaraxtak_2026-01-02-03.04.05.sql.zst")
OTHER = DumpName.parse("taaraxtak_2026-01-03-03.04.05.sql.zst")
OLD = "taaraxtak_2021-03-04-05.06.07.sql.tar.gz"

# What sshd does with a reading key: its words are what was asked for.
SSH = """#!{python} -I
import os, sys
os.environ["SSH_ORIGINAL_COMMAND"] = " ".join(sys.argv[1:])
{statements}
os.execv({store!r}, [{store!r}, "read"])
"""


@functools.cache
def text(rows: int = 1000) -> bytes:
    """A dump with so many rows of 100 bytes that hardly compress."""
    dice = random.Random(rows)  # noqa: S311
    data = b"".join(b"%s\n" % dice.randbytes(50).hex().encode()[:99] for _ in range(rows))
    return (
        b"--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.8\n\nSET statement_timeout = 0;\n\n"
        b"CREATE TABLE public.ooni (x text);\n\nCOPY public.ooni (x) FROM stdin;\n" + data + b"\\.\n\n\n"
        b"SELECT pg_catalog.setval('public.s', 7, true);\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
    )


def zstd(content: bytes, *options: str) -> bytes:
    return subprocess.run(["zstd", "-qc", *options], input=content, capture_output=True, check=True).stdout


class Shelf(Store):
    """An archive with real dumps, and a command that reads it as a reading key does."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.open = Folder(str(self.archive))
        self.ssh = folder / "ssh"
        self.connect()

    @property
    def signing(self) -> Signers:
        return Signers(str(self.signers))

    def connect(self, statements: str = "") -> None:
        """Let the connection do *statements* first."""
        script = SSH.format(python=sys.executable, store=str(self.command), statements=statements)
        self.ssh.write_text(script)
        self.ssh.chmod(0o755)

    def manifest(self, name: DumpName, data: bytes, plain: bytes, **more: t.Any) -> Manifest:
        """The manifest of what is stored as *data*, signed unless *adopted*."""
        scanned = scan([plain])
        trailer = Trailer(
            name=name,
            started=utc_text(name.started),
            finished=utc_text(name.started),
            statuses={"pg_dump": 0, "zstd": 0},
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            raw_bytes=scanned.raw_bytes,
            tables=scanned.tables,
            sequences=scanned.sequences,
            ddl=scanned.ddl,
            via_root=(),
            versions={},
            settings={},
            extensions={},
        )
        adopted = more.get("adopted", False)
        signature = "" if adopted else self.sign(trailer.signed, key=more.get("key")).decode()
        return Manifest(more.get("received", utc_text(name.started)), trailer, signature, adopted)

    def put(
        self, name: DumpName = NAME, plain: bytes | None = None, data: bytes | None = None, **more: t.Any
    ) -> Manifest:
        """An archived dump, as *data* where that isn't simply compressed."""
        plain = text() if plain is None else plain
        data = zstd(plain) if data is None else data
        manifest = self.manifest(name, data, plain, **more)
        for file, content in ((str(name), data), (name.manifest, encode(manifest.document()) + b"\n")):
            (self.archive / file).write_bytes(content)
        return manifest


def flipped(data: bytes, at: int) -> bytes:
    """The same with one bit wrong."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def nothing_runs(count: int) -> None:
    """No child of this process is left, and as many descriptors are open as before: *count*."""
    until(lambda: not children_of(os.getpid()), "the children to end")
    assert descriptors() == count


def descriptors() -> int:
    """What is open, what a program said apart, which is kept in memory."""
    found = 0
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += "memfd:stderr" not in str(path.readlink())
    return found


def children_of(parent: int) -> list[int]:
    return [
        int(number)
        for task in Path(f"/proc/{parent}/task").iterdir()
        for number in (task / "children").read_text().split()
    ]
