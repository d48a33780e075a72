# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways of bringing a dump to the store, each as argument lists: no shell, but for the one that sshd starts."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.locks import LOCK_SUFFIX

from ..common import ROOT
from .server import READER, Server
from .wire import Sshd, make_key

DUMPS = ROOT / "plugins" / "module_utils" / "dumps"
LIMIT, SEED, PLAIN, OURS, AGE = (
    "pg_dump > /dev/null",
    "pg_dump | gzip -9c | ssh cat",
    "pg_dump | zstd -3 | ssh cat",
    "dump-send, all checks",
    "dump-send, all checks, age",
)
# The store's user can't always run a virtual environment's Python, and needs nothing but the standard library.
STORE_PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
COMMAND = """#!{python} -I
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, {lib!r})
from dumps.{module} import main
sys.exit(main({config!r}))
"""


@dataclasses.dataclass(frozen=True)
class Way:
    """A pipeline, and what it leaves in the store's folder."""

    name: str
    commands: list[list[str]]
    output: Path | None = None
    why_not: str = ""
    prepare: t.Callable[[], None] = lambda: None
    finish: t.Callable[[], dict[str, float]] = dict

    def taken(self) -> int | None:
        """The bytes that lie in the store, which is emptied; None where the way ends in /dev/null."""
        if self.output is None:
            return None
        files = [path for path in self.output.rglob("*") if path.is_file() and not path.name.endswith(".json")]
        size = sum(path.stat().st_size for path in files)
        for path in self.output.rglob("*"):
            if path.is_file():
                path.unlink()
        return size


def ways(server: Server, sshd: Sshd, folder: Path, database: str) -> list[Way]:
    """All of them for *database*; *folder* is for what is written beside."""
    store = folder / "store"
    store.mkdir()
    sshd.own(store)
    pg_dump = server.pg_dump(database)
    cat = [*sshd.allow("key-cat", "restrict"), f"cat > {store}/dump"]
    found = [
        Way(LIMIT, [pg_dump]),
        Way(SEED, [pg_dump, ["gzip", "-9c"], cat], store),
        Way(PLAIN, [pg_dump, ["zstd", "-q", "-3", "-c"], cat], store),
        Ours(server, sshd, folder / "ours", database).way(OURS),
        Way(AGE, [], why_not="age is missing: install the package age"),
    ]
    if shutil.which("age") and shutil.which("age-keygen"):
        found[-1] = Ours(server, sshd, folder / "ours-age", database, recipients=_recipients()).way(AGE)
    # A file's first reading is written into its inode on the disk: that is no part of a daily run.
    for path in folder.rglob("*"):
        if path.is_file():
            path.read_bytes()
    return found


def _recipients() -> list[str]:
    """Two public keys of age; nobody has their private halves."""
    made = [subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout for _ in range(2)]
    return [line.rpartition(" ")[2] for text in made for line in text.splitlines() if line.startswith("# public key")]


class Ours:
    """Both hosts' commands in *folder*, as the roles set them up; the archiver has the receiving user's account."""

    def __init__(
        self, server: Server, sshd: Sshd, folder: Path, database: str, *, recipients: t.Sequence[str] = ()
    ) -> None:
        self._folder = folder
        self._user = sshd.user
        self._incoming, self._archive = folder / "incoming", folder / "archive"
        for made in (self._incoming, self._archive):
            made.mkdir(parents=True)
            # Its lock lies beside it, as the role makes it.
            lock = made.with_name(f"{made.name}{LOCK_SUFFIX}")
            lock.touch(0o600)
            for path in (made, lock):
                sshd.own(path)
        shutil.copytree(DUMPS, folder / "lib" / "dumps", ignore=shutil.ignore_patterns("__pycache__"))
        for module in ("source", "sender", "store"):
            path = folder / module
            python = STORE_PYTHON if module == "store" else sys.executable
            config = str(folder / f"{module}.json")
            path.write_text(COMMAND.format(python=python, lib=str(folder / "lib"), module=module, config=config))
            path.chmod(0o755)
        self._configure(server, sshd, database, recipients)

    def _configure(self, server: Server, sshd: Sshd, database: str, recipients: t.Sequence[str]) -> None:
        folder = self._folder
        key = make_key(folder / "signing_key")
        signers = folder / "signers"
        signers.write_text(f'production namespaces="taaraxtak-dump" {key}\n')
        self._write(
            "source",
            databases=[database],
            signing_key=str(folder / "signing_key"),
            recipients=list(recipients),
            bindir=str(server.bindir),
            socket=str(server.socket),
            port=server.port,
            role=READER,
            zstd=shutil.which("zstd"),
            age=shutil.which("age") or "/usr/bin/age",
        )
        store = sshd.allow(f"key-{folder.name}", f'restrict,command="{folder / "store"} ssh"')
        self._write(
            "sender",
            source_command=[str(folder / "source")],
            stores=[{"name": "store", "command": store}],
            databases=[database],
            lock_file=str(server.volatile / f"{folder.name}-{database}.lock"),
            retry_delays=[],
        )
        self._write(
            "store",
            incoming=str(self._incoming),
            archive=str(self._archive),
            signers=str(signers),
            max_bytes=1 << 40,
            quota_bytes=1 << 42,
            reserve_bytes=1 << 20,
        )

    def _write(self, module: str, **settings: t.Any) -> None:
        (self._folder / f"{module}.json").write_text(json.dumps(settings))

    def way(self, name: str) -> Way:
        """The whole run of the sender, as cron starts it."""
        return Way(
            name, [[str(self._folder / "sender")]], self._archive, prepare=self._next_second, finish=self._finish
        )

    def _next_second(self) -> None:
        # It is part of the name.
        time.sleep(1.01 - time.time() % 1)

    def _finish(self) -> dict[str, float]:
        """Archive what came in, and what its manifest says of it."""
        begun = time.monotonic()
        archive = [str(self._folder / "store"), "archive"]
        done = subprocess.run(archive, user=self._user, cwd="/", capture_output=True, text=True, check=False)
        took = time.monotonic() - begun
        if done.returncode != 0:
            raise RuntimeError(f"the dump was not archived: {done.stderr}")
        trailers = [json.loads(path.read_text())["trailer"] for path in self._archive.glob("*.manifest.json")]
        text = sum(trailer["raw_bytes"] for trailer in trailers if trailer["kind"] == "dump")
        return {"archive_s": round(took, 3), "text_bytes": text}
