"""What the tests of the drill share: a sandbox for each connection, as systemd starts it, but without its isolation."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import typing as t
from pathlib import Path

from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.freshness import Limits
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import Manifest, encode
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore import drilling
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.scan import scan
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.signatures import Signers
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ordinary_user
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import Hosts

MODULE_UTILS = Path(__file__).resolve().parents[2] / "plugins" / "module_utils"

# Everything is imported before the user is changed: an ordinary user may not reach this interpreter's own files.
PROGRAM = """
import os, pwd, sys
sys.dont_write_bytecode = True
sys.path.append({lib!r})
from taaraxtak.dumps.restore import cluster, probation, sandbox, trials
import psycopg2, encodings.idna, encodings.latin_1
{statements}
if {user!r}:
    entry = pwd.getpwnam({user!r})
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
sys.exit(sandbox.main(parent={parent!r}, **{options!r}))
"""


class Sandboxes:
    """Listens on `socket`, and starts a sandbox for each connection; `started` are their processes."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="drill-"))
        self.folder.chmod(0o755)
        self.lib = self.folder / "lib"
        for package in ("access", "dumps", "files", "postgres"):
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(MODULE_UTILS / package, self.lib / "taaraxtak" / package, ignore=ignore)
        # Where the clusters lie: a folder of the user who runs them.
        self.work = self.folder / "work"
        self.work.mkdir()
        self.user = ordinary_user() or ""
        if self.user:
            shutil.chown(self.work, self.user)
        self.socket = str(self.folder / "socket")
        self.statements = ""
        self.options: dict[str, t.Any] = {}
        self.started: list[subprocess.Popen[str]] = []
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(self.socket)
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Sandboxes:
        return self

    def __exit__(self, *_error: object) -> None:
        self._listening.close()
        for process in self.started:
            process.kill()
            process.communicate()
        shutil.rmtree(self.folder)

    def sabotage(self, statements: str) -> None:
        """Let sandboxes run *statements* first, with the modules under their own names."""
        self.statements = statements

    def left(self) -> list[str]:
        """What lies where clusters are made."""
        return sorted(path.name for path in self.work.iterdir())

    def ended(self) -> str:
        """What the last sandbox wrote, when it has ended by itself."""
        _out, said = self.started[-1].communicate(timeout=60)
        return said

    def uid(self) -> int:
        return pwd.getpwnam(self.user).pw_uid if self.user else os.getuid()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = self._listening.accept()
                program = PROGRAM.format(
                    lib=str(self.lib),
                    user=self.user,
                    parent=str(self.work),
                    options=self.options,
                    statements=self.statements,
                )
                with connection:
                    self.started.append(
                        subprocess.Popen(
                            [sys.executable, "-I", "-c", program],
                            stdin=connection.fileno(),
                            stdout=connection.fileno(),
                            stderr=subprocess.PIPE,
                            env={"PATH": "/usr/bin:/bin"},
                            cwd="/",
                            text=True,
                        )
                    )


class Estate:
    """Production, its store, and the sandbox on the store's host."""

    def __init__(self, folder: Path, server: Server, database: str, sandboxes: Sandboxes) -> None:
        self.hosts = Hosts(folder, server, database)
        self.server = server
        self.database = database
        self.sandboxes = sandboxes
        self.archive = folder / "archive"
        self.folder = folder
        self.policy: dict[str, t.Any] | None = None
        self.more: dict[str, t.Any] = {}

    def dump(self) -> str:
        """The name of a new dump that is archived."""
        before = set(self.names())
        done = self.hosts.send()
        assert done.returncode == 0, done.stderr
        done = self.hosts.store("archive")
        assert done.returncode == 0, done.stderr
        (name,) = set(self.names()) - before
        return name

    def names(self) -> list[str]:
        """The dumps of the archive, oldest first."""
        found = sorted(path.name for path in self.archive.iterdir() if ".globals." not in path.name)
        return [name.removesuffix(".manifest.json") for name in found if name.endswith(".manifest.json")]

    def drill(self, *names: str, now: dt.datetime | None = None) -> int:
        """A run of the verb; its exit status."""
        policy = ""
        if self.policy is not None:
            policy = str(self.folder / "policy.json")
            Path(policy).write_text(json.dumps(self.policy))
        return drilling.run(self.place, self.drilling(policy), names, now or dt.datetime.now(dt.UTC))

    def started(self, name: str) -> subprocess.Popen[bytes]:
        """A drill of one dump in a process of its own."""
        keeping = self.folder / "keep.json"
        settings = {
            "archive": str(self.archive),
            "incoming": str(self.hosts.incoming),
            "signers": str(self.hosts.signers),
            "drill": {"socket": self.sandboxes.socket},
        }
        keeping.write_text(json.dumps(settings))
        program = (
            f"import sys\nsys.path.insert(0, {str(self.hosts.lib)!r})\nfrom dumps.store import main\n"
            f"sys.exit(main(keeping={str(keeping)!r}))"
        )
        command = [sys.executable, "-I", "-c", program, "drill", name]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")

    def drilling(self, policy: str = "") -> drilling.Drilling:
        return drilling.Drilling(**{"socket": self.sandboxes.socket, "policy": policy, "timeout": 120.0, **self.more})

    @property
    def place(self) -> drilling.Place:
        expect = Limits(databases=(self.database,))
        return drilling.Place(str(self.archive), Signers(str(self.hosts.signers)), "/usr/bin/zstd", 1 << 20, expect)

    def result(self, name: str) -> dict[str, t.Any]:
        """What the drill has written beside the manifest."""
        content: dict[str, t.Any] = json.loads((self.archive / f"{name}.drill.json").read_text())
        return content

    def sign(self, message: bytes) -> str:
        """Production's signature."""
        command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "taaraxtak-dump", "-f", self.hosts.signing_key]
        return subprocess.run(command, input=message, capture_output=True, check=True).stdout.decode()

    def forge(self, name: str, text: bytes, **changes: t.Any) -> str:
        """Put *text*, compressed and signed by production's own key, in the place of the dump *name*."""
        data = subprocess.run(["zstd", "-q", "-c"], input=text, capture_output=True, check=True).stdout
        path = self.archive / f"{name}.manifest.json"
        manifest = Manifest.read(path.read_bytes())
        scanned = scan([text])
        trailer = dataclasses.replace(
            manifest.trailer,
            **{
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "raw_bytes": scanned.raw_bytes,
                "tables": scanned.tables,
                "sequences": scanned.sequences,
                "ddl": scanned.ddl,
                **changes,
            },
        )
        forged = Manifest(manifest.received, trailer, self.sign(trailer.signed))
        self.write(name, data)
        self.write(f"{name}.manifest.json", encode(forged.document()))
        return name

    def text(self, name: str) -> bytes:
        """The dump's text."""
        return subprocess.run(["zstd", "-dcq", self.archive / name], capture_output=True, check=True).stdout

    def write(self, name: str, content: bytes) -> None:
        """Replace a file of the archive."""
        path = self.archive / name
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        path.chmod(0o440)
