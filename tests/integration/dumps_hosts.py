"""What the tests of dumps share: both hosts' commands in one folder, and a wire between them that can go wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import typing as t
from pathlib import Path

from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.folder import ARRIVED
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server

DUMPS = Path(__file__).resolve().parents[2] / "plugins" / "module_utils" / "dumps"
ROLE = "dumps_reader"
PATIENCE = 20.0

COMMAND = """#!{python} -I
import sys
sys.path.insert(0, {lib!r})
from dumps.{module} import main
sys.exit(main({config!r}))
"""

# What sshd does with a forced command.
SSHD = """#!{python} -I
import os, sys
os.environ["SSH_ORIGINAL_COMMAND"] = " ".join(sys.argv[1:])
os.execv({store!r}, [{store!r}, "ssh"])
"""

# Stands between two commands and does to the bytes what a bad day does.
WIRE = """#!{python} -I
import os, pathlib, subprocess, sys, time
side, fault, at, held, command = sys.argv[1], sys.argv[2], int(sys.argv[3]), pathlib.Path(sys.argv[4]), sys.argv[5:]
if side == "store" and command[-1] != "receive":
    os.execv(command[0], command)
pipes = {{"stdin": subprocess.PIPE}} if side == "store" else {{"stdout": subprocess.PIPE}}
if fault == "swallow-answer":
    pipes["stdout"] = subprocess.DEVNULL
child = subprocess.Popen(command, **pipes)
reading, writing = (0, child.stdin.fileno()) if side == "store" else (child.stdout.fileno(), 1)
def write(data):
    while data:
        data = data[os.write(writing, data):]
seen = 0
try:
    while chunk := os.read(reading, 65536):
        before, seen = seen, seen + len(chunk)
        if before <= at < seen:
            place = at - before
            if fault == "flip":
                chunk = chunk[:place] + bytes([chunk[place] ^ 1]) + chunk[place + 1:]
            elif fault == "cut":
                write(chunk[:place])
                break
            elif fault == "hold":
                write(chunk[:place])
                chunk = chunk[place:]
                held.touch()
                while held.exists():
                    time.sleep(0.05)
        if fault == "swallow-end" and seen > at:
            continue
        write(chunk)
except BrokenPipeError:
    pass
if side == "store":
    child.stdin.close()
else:
    os.close(1)
    child.stdout.close()
sys.exit(child.wait())
"""


class Hosts:
    """The production host's source and sender and the other host's store, all in *folder*."""

    def __init__(self, folder: Path, server: Server, database: str) -> None:
        self.folder = folder
        self.server = server
        self.database = database
        self.incoming = folder / "incoming"
        self.incoming.mkdir()
        self.held = folder / "held"
        self.lib = folder / "lib"
        shutil.copytree(DUMPS, self.lib / "dumps", ignore=shutil.ignore_patterns("__pycache__"))
        # The key that the source signs with, and what the store knows of it.
        self.signing_key = folder / "signing_key"
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "production", "-f", self.signing_key]
        subprocess.run(keygen, check=True, stdin=subprocess.DEVNULL)
        public = (folder / "signing_key.pub").read_text().split()
        self.signers = folder / "signers"
        self.signers.write_text(f'production namespaces="taaraxtak-dump" {public[0]} {public[1]}\n')
        if not server.run("SELECT 1 FROM pg_roles WHERE rolname = %s", values=[ROLE]):
            server.run(f"CREATE ROLE {ROLE} LOGIN BYPASSRLS; GRANT pg_read_all_data TO {ROLE}")
        for module in ("source", "sender", "store"):
            self._script(module, COMMAND, lib=str(self.lib), module=module, config=str(self.folder / f"{module}.json"))
        self._script("sshd", SSHD, store=str(folder / "store"))
        self._script("wire", WIRE)
        self.configure_source()
        self.configure_sender()
        self.configure_store()

    def _script(self, name: str, text: str, **values: str) -> None:
        path = self.folder / name
        path.write_text(text.format(python=sys.executable, **values))
        path.chmod(0o755)

    def sabotage_store(self, statements: str) -> None:
        """Let the store run *statements* first, with `store` the module: to strike at one point of its work."""
        values = {"lib": str(self.lib), "module": "store", "config": str(self.folder / "store.json")}
        changed = COMMAND.replace("sys.exit(", "from dumps import store\n{statements}\nsys.exit(")
        self._script("store", changed, statements=statements, **values)

    def configure_source(self, **more: t.Any) -> None:
        settings = {
            "databases": [self.database],
            "signing_key": str(self.signing_key),
            "bindir": str(self.server.cluster.bindir),
            "socket": str(self.server.cluster.socket),
            "port": self.server.cluster.port,
            "role": ROLE,
            "zstd": shutil.which("zstd"),
            "age": shutil.which("age") or "/usr/bin/age",
        }
        (self.folder / "source.json").write_text(json.dumps({**settings, **more}))

    def configure_sender(self, *, store_command: list[str] | None = None, **more: t.Any) -> None:
        """One store behind *store_command*, and one attempt, unless *more* says otherwise."""
        settings = {
            "source_command": [str(self.folder / "source")],
            "stores": [{"name": "vault", "command": store_command or [str(self.folder / "sshd")]}],
            "databases": [self.database],
            "lock_file": str(self.folder / "lock"),
            "idle_timeout": 30,
            "retry_delays": [],
            "notify_file": str(self.folder / "notify.json"),
        }
        (self.folder / "sender.json").write_text(json.dumps({**settings, **more}))

    def configure_store(self, **more: t.Any) -> None:
        archive = self.folder / "archive"
        archive.mkdir(exist_ok=True)
        settings = {
            "incoming": str(self.incoming),
            "archive": str(archive),
            "signers": str(self.signers),
            "max_bytes": 1 << 30,
            "quota_bytes": 1 << 34,
            "reserve_bytes": 1 << 20,
        }
        (self.folder / "store.json").write_text(json.dumps({**settings, **more}))

    def wire(self, side: str, fault: str, at: int = 0, **more: t.Any) -> None:
        """Put a faulty wire before the store or behind the source; *at* is the byte where it goes wrong."""
        behind = "sshd" if side == "store" else "source"
        command = [str(self.folder / "wire"), side, fault, str(at), str(self.held), str(self.folder / behind)]
        self.configure_sender(**{f"{side}_command": command, **more})

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The sender, as cron starts it."""
        return subprocess.Popen(
            [self.folder / "sender", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
        )

    def send(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A whole run of the sender."""
        with self.start(*arguments) as sender:
            out, err = sender.communicate(timeout=120)
        return subprocess.CompletedProcess(sender.args, sender.returncode, out, err)

    def start_held(self, at: int = 200_000) -> subprocess.Popen[str]:
        """The sender with a dump that is stuck on its way after *at* bytes, until `held` is removed."""
        self.wire("store", "hold", at)
        sender = self.start()
        until(self.held.exists, "the wire to hold")
        return sender

    def store(self, *arguments: str, command: str | None = None) -> subprocess.CompletedProcess[str]:
        """The store's command, as a person or, with *command*, as sshd starts it."""
        environment = {"PATH": "/usr/bin:/bin"} | ({} if command is None else {"SSH_ORIGINAL_COMMAND": command})
        return subprocess.run(
            [self.folder / "store", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )

    def files(self, folder: Path | None = None) -> list[str]:
        """What lies in the folder of the store, but for the mark and the globals, which may come where a dump fails."""
        names = [path.name for path in (folder or self.incoming).iterdir()]
        return sorted(name for name in names if ".globals." not in name and name != ARRIVED)

    def dump(self) -> tuple[Path, dict[str, t.Any]]:
        """The one dump that is in the store, and its manifest."""
        names = self.files()
        assert len(names) == 2, names
        return self._with_manifest(names[0])

    def globals(self) -> tuple[Path, dict[str, t.Any]]:
        """The one copy of the globals that is in the store, and its manifest."""
        names = sorted(path.name for path in self.incoming.iterdir() if ".globals." in path.name)
        assert len(names) == 2, names
        return self._with_manifest(names[0])

    def _with_manifest(self, name: str) -> tuple[Path, dict[str, t.Any]]:
        return self.incoming / name, json.loads((self.incoming / f"{name}.manifest.json").read_text())

    def restore(self, data: Path, database: str) -> None:
        """Give the dump to psql, which must swallow it without an error."""
        plain = subprocess.run(["zstd", "-dcq", data], capture_output=True, check=True).stdout
        cluster = self.server.cluster
        psql = [cluster.bindir / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", cluster.socket, "-U", "postgres"]
        done = subprocess.run([*psql, "-d", database], input=plain, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()

    def waits_for_a_lock(self) -> bool:
        """Whether the dump's session waits until another one ends."""
        asked = (
            "SELECT 1 FROM pg_stat_activity"
            " WHERE application_name = 'taaraxtak dump' AND datname = %s AND wait_event_type = 'Lock'"
        )
        return bool(self.server.run(asked, values=[self.database]))

    def pg_dumps(self) -> list[int]:
        """The processes of pg_dump: the socket's folder is this server's alone."""
        return processes(f"--host={self.server.cluster.socket}")

    def nothing_left(self) -> None:
        """No process of the dump and no session of it is there any more, and nothing was published."""
        until(lambda: not self.pg_dumps(), "pg_dump to end")
        until(lambda: not processes(str(self.folder)), "every command to end")
        asked = "SELECT pid, query FROM pg_stat_activity WHERE application_name = 'taaraxtak dump' AND datname = %s"
        until(lambda: not self.server.run(asked, values=[self.database]), "the sessions to end")
        assert [name for name in self.files() if not name.endswith(".partial")] == []


def processes(words: str) -> list[int]:
    """The processes with *words* on their command line, ourselves apart."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words in line and int(path.name) != os.getpid():
            found.append(int(path.name))
    return found


def children(parent: int) -> dict[str, int]:
    """The children of a process by the name of their program."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        name = line[line.index("(") + 1 : line.rindex(")")]
        if int(line[line.rindex(")") + 2 :].split()[1]) == parent:
            found[name] = int(path.name)
    return found


def until(condition: t.Callable[[], t.Any], what: str) -> None:
    """Wait for *condition*."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE:g} s for {what}"
        time.sleep(0.05)
