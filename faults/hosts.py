# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two hosts of a scope, reached through podman: their programs, files, processes and settings."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import subprocess
import time
import typing as t

from . import scripts

FOLDER = "/var/lib/taaraxtak-dumps"
INCOMING = f"{FOLDER}/incoming"
ARCHIVE = f"{FOLDER}/archive"
SEND = "/etc/taaraxtak/dump-send.json"
SOURCE = "/etc/taaraxtak/dump-source.json"
STORE = "/etc/taaraxtak/dump-store.json"
TOOLS = "/run/faultbed"
# As cron starts it, without cron's environment.
SENDER = ["runuser", "-u", "pgbackup", "--", "env", "-i", "PATH=/usr/bin:/bin", "/usr/local/bin/dump-send"]
# So long may what was told to end take.
PATIENCE = 30.0
# More than all pipes and windows between pg_dump and the store hold; it can't be compressed.
BALLAST_MB = 48
FREEZE_AT = 1_000_000
RECEIVER = r"/usr/bin/python3 -I /usr/local/bin/dump-store ssh"


class Host:
    """One container."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(
        self, *command: str, stdin: bytes = b"", timeout: float = 120.0, user: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """The end of *command*; bytes that are no UTF-8 are replaced."""
        words = ["runuser", "-u", user, "--", *command] if user else list(command)
        done = subprocess.run(
            ["podman", "exec", "-i", self.name, *words], input=stdin, capture_output=True, timeout=timeout, check=False
        )
        out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    def check(self, *command: str, **options: t.Any) -> str:
        """What *command* says; RuntimeError where it fails: then the suite itself is at fault."""
        done = self.run(*command, **options)
        if done.returncode != 0:
            raise RuntimeError(f"on {self.name}: {' '.join(command)[:300]}: {done.stderr.strip()}")
        return done.stdout

    def start(self, *command: str) -> subprocess.Popen[str]:
        """*command*, under way; both outputs are pipes."""
        return subprocess.Popen(
            ["podman", "exec", "-i", self.name, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )

    def ask(self, script: str, *arguments: object) -> t.Any:
        """The JSON that a program of `scripts` answers."""
        return json.loads(self.check("python3", "-I", "-c", script, *map(str, arguments)))

    def read(self, path: str) -> str:
        """The text of a file."""
        return self.check("cat", path)

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        """Make *path* hold *text*; owner and group stay, or are root."""
        self.check("python3", "-I", "-c", scripts.WRITE, path, mode, stdin=text.encode())

    def signal(self, pattern: str, number: signal.Signals, *, wait: float = 10.0) -> list[str]:
        """Send a signal to every process whose command matches; RuntimeError where there is none in time."""
        found: list[str] = self.ask(scripts.SIGNAL, pattern, number.value, wait)
        if not found:
            raise RuntimeError(f"no process of {self.name} matched {pattern}")
        return found

    def network(self, *command: str) -> None:
        """Run *command* of this machine within the container's network."""
        asked = ["podman", "inspect", "--format", "{{.State.Pid}}", self.name]
        process = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        subprocess.run(["nsenter", "--target", process, "--net", *command], check=True)


@dataclasses.dataclass(frozen=True)
class Files:
    """What lies in the store: [inode, mtime, size, mode, owner, SHA-256] by path, and which dumps are as proved."""

    rows: dict[str, list[t.Any]]
    proofs: dict[str, bool]


@dataclasses.dataclass
class Run:
    """A sender that has ended."""

    status: int
    said: str


class Estate:
    """Production and its store."""

    def __init__(self, scope: str) -> None:
        self.production = Host(f"{scope}-production")
        self.store = Host(f"{scope}-store")

    # --- What is there ---------------------------------------------------------------------------------------------
    def files(self) -> Files:
        """The store's files, as soon as the archive has taken what it takes."""
        rows, proofs = self.store.ask(scripts.FILES, FOLDER, PATIENCE)
        return Files(rows, proofs)

    def store_proofs(self) -> dict[str, bool]:
        """Whether each dump of the store is what its manifest says, wherever it lies at this moment."""
        return Files(*self.store.ask(scripts.FILES, FOLDER, 0)).proofs

    def left(self) -> list[str]:
        """Processes, sessions and locks of a dump that did not go away."""
        found = self.production.ask(scripts.LEFT_ON_PRODUCTION, PATIENCE)
        return [*found, *self.store.ask(scripts.LEFT_ON_STORE, PATIENCE)]

    def journal(self, since: float) -> str:
        """What the store's log says of dumps since that moment; all have this machine's clock."""
        return self.store.check("journalctl", "-q", "-t", "dump-store", "-o", "cat", "--since", f"@{since:.3f}")

    # --- What is done ----------------------------------------------------------------------------------------------
    def send(self) -> Run:
        """A whole run of the sender."""
        return self.ended(self.production.start(*SENDER))

    def ended(self, sender: subprocess.Popen[str]) -> Run:
        """What a run that was started came to."""
        try:
            out, err = sender.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            sender.kill()
            raise RuntimeError("the sender did not end within 120 s") from None
        return Run(sender.returncode, f"{err}\n{out}".strip())

    @contextlib.contextmanager
    def held(self) -> t.Iterator[subprocess.Popen[str]]:
        """A dump that is stuck in the middle, since the receiver is stopped; afterwards it goes on, if it is alive."""
        program = ["python3", "-I", "-c", scripts.FREEZE, INCOMING, str(FREEZE_AT), RECEIVER]
        freezer = self.store.start(*program)
        if freezer.stdout is None or freezer.stdout.readline() != "ready\n":
            raise RuntimeError("the store could not be watched")
        sender = self.production.start(*SENDER)
        answer = freezer.stdout.readline()
        receivers = json.loads(answer) if answer else []
        freezer.communicate(timeout=PATIENCE)
        if not receivers:
            raise RuntimeError(f"no dump could be held: {self.ended(sender).said}")
        try:
            yield sender
        finally:
            self.store.run("kill", "-CONT", *map(str, receivers))

    def sql(self, text: str, *, user: str = "postgres", role: str = "postgres") -> str:
        """What psql says of *text*."""
        psql = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", role, "-d", "taaraxtak", "-c", text]
        return self.production.check(*psql, user=user)

    @contextlib.contextmanager
    def locked(self, table: str = "faultbed.ballast") -> t.Iterator[None]:
        """*table* locked against every reader."""
        text = f"SET client_connection_check_interval = '100ms'; BEGIN; LOCK TABLE {table}; SELECT pg_sleep(300)"
        psql = ["psql", "-Xq", "-o", "/dev/null", "-d", "taaraxtak", "-c", text]
        holder = self.production.start("runuser", "-u", "postgres", "--", *psql)
        asked = "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND locktype = 'relation'"
        try:
            until(lambda: self.sql(asked) != "", f"{table} to be locked")
            yield
        finally:
            ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(300)'"
            self.sql(f"{ending} AND pid <> pg_backend_pid()")
            holder.communicate(timeout=PATIENCE)

    # --- What is changed for a while -------------------------------------------------------------------------------
    @contextlib.contextmanager
    def text(self, host: Host, path: str, change: t.Callable[[str], str]) -> t.Iterator[None]:
        """A file's text changed, and after that what it was before."""
        before, mode = host.read(path), host.check("stat", "-c", "%a", path).strip()
        host.write(path, change(before), mode)
        try:
            yield
        finally:
            host.write(path, before, mode)

    def settings(self, host: Host, path: str, **changes: t.Any) -> contextlib.AbstractContextManager[None]:
        """Some keys of a file of settings."""
        return self.text(host, path, lambda text: json.dumps({**json.loads(text), **changes}))

    def send_settings(self, **changes: t.Any) -> contextlib.AbstractContextManager[None]:
        """Some of the sender's settings; `wire` is a list of words that is put before the commands to the stores."""
        return self.text(self.production, SEND, lambda text: json.dumps(_sender(json.loads(text), changes)))

    def store_command(self) -> list[str]:
        """ssh to the store with the sender's own key and options, without a verb."""
        return list(json.loads(self.production.read(SEND))["stores"][0]["command"])

    @contextlib.contextmanager
    def prepared(self) -> t.Iterator[None]:
        """What the faults need: a dump long enough to be struck in the middle, tools, no second attempt, room."""
        self._tidy()
        for tool, text in (("wire", scripts.WIRE), ("forge", scripts.FORGE)):
            self.production.write(f"{TOOLS}/{tool}", text, "0755")
        self.sql(
            "CREATE SCHEMA faultbed; CREATE TABLE faultbed.ballast (a bytea);"
            "INSERT INTO faultbed.ballast SELECT decode(string_agg(md5(random()::text), ''), 'hex')"
            f" FROM generate_series(1, {BALLAST_MB * 16}) i, generate_series(1, 4096) j GROUP BY i"
        )
        with contextlib.ExitStack() as changed:
            changed.enter_context(self.send_settings(retry_delays=[]))
            changed.enter_context(self.settings(self.store, STORE, quota_dumps=10_000))
            there = self.store_proofs()
            try:
                yield
            finally:
                self._tidy()
                # The dumps that hold the ballast: to those who look at the store later, a table would be missing.
                new = [path for path in self.store_proofs() if path not in there]
                self.store.run("rm", "-f", *new, *(f"{path}.manifest.json" for path in new))

    def sweep(self) -> None:
        """Remove partials, as the store does when they are a day old."""
        self.store.check("find", FOLDER, "-name", "*.partial", "-delete")

    def _tidy(self) -> None:
        self.sql("DROP SCHEMA IF EXISTS faultbed CASCADE")
        self.production.run("rm", "-rf", TOOLS)


def _sender(document: dict[str, t.Any], changes: dict[str, t.Any]) -> dict[str, t.Any]:
    wire = changes.pop("wire", [])
    command = changes.pop("command", lambda words: words)
    for store in document["stores"]:
        store["command"] = [*wire, *command(store["command"])]
    return {**document, **changes}


def protocol() -> int:
    """The version of the protocol that the checkout speaks."""
    from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import PROTOCOL

    return int(PROTOCOL)


def until(condition: t.Callable[[], t.Any], what: str, seconds: float = PATIENCE) -> None:
    """Wait for *condition*; RuntimeError where it doesn't come."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds:g} s for {what}")
        time.sleep(0.1)
