"""A host with a firewall, and a client with several addresses, in network namespaces that are gone with the test."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from ansible_collections.taaraxtak.production.tests.integration.conftest import COLLECTIONS, RUNNER, Result

SYSTEMCTL = Path(__file__).parents[1] / "stand_ins" / "systemd" / "systemctl"
NEEDED = ("/usr/sbin/nft", "/usr/bin/systemctl", "/usr/bin/unshare", "/usr/bin/nsenter")

# The last number of each address, on IPv4 and IPv6.
HOST, DEVOPS, GRAFANA, STRANGER = 1, 10, 20, 30
PORTS = (22, 2222, 3000, 5432)

LISTENER = """
import selectors, socket, sys
wait = selectors.DefaultSelector()
for port in map(int, sys.argv[1:]):
    listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    wait.register(listener, selectors.EVENT_READ)
print("ready", flush=True)
kept = []
while True:
    for key, _ in wait.select():
        if key.fileobj in kept:
            key.fileobj.send(key.fileobj.recv(99))
        else:
            kept.append(key.fileobj.accept()[0])
            wait.register(kept[-1], selectors.EVENT_READ)
"""

# A dropped packet is not answered: what is reached answers in milliseconds here.
CALLER = """
import socket, sys
source, target, port = sys.argv[1:]
try:
    socket.create_connection((target, int(port)), timeout=0.4, source_address=(source, 0))
    print("reached")
except TimeoutError:
    print("dropped")
"""


def why_not() -> str:
    """Why namespaces can't be had here; empty where they can."""
    if os.geteuid() != 0:
        return "namespaces of a test's own need root; molecule proves it on hosts"
    absent = [path for path in NEEDED if not Path(path).exists()]
    if absent:
        return f"{', '.join(absent)} not installed; molecule proves it on hosts"
    tried = subprocess.run(["unshare", "--net", "--mount", "nft", "list", "tables"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "no namespaces here; molecule proves it on hosts"


def address(who: int, version: int) -> str:
    return f"192.0.2.{who}" if version == 4 else f"2001:db8::{who}"


class Namespace:
    """Namespaces that a process holds, and that end with it."""

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds
        command = ["unshare", *kinds, "--", "cat"]
        self.holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.holder.stdin
        assert self.holder.stdout
        self.holder.stdin.write(b"\n")
        self.holder.stdin.flush()
        assert self.holder.stdout.readline()

    def command(self, *arguments: object) -> list[str]:
        return ["nsenter", f"--target={self.holder.pid}", *self.kinds, "--", *map(str, arguments)]

    def run(self, *arguments: object, **more: t.Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*arguments), **{"capture_output": True, "text": True, "check": True, **more})

    def end(self) -> None:
        self.holder.kill()
        self.holder.communicate()


class FirewallHost:
    """The host, what listens on it, and its client."""

    def __init__(self, etc: Path) -> None:
        self.host = Namespace("--net", "--mount")
        self.client = Namespace("--net")
        self.host.run("mount", "--bind", etc, "/etc")
        self.host.run("mount", "-t", "tmpfs", "tmpfs", "/run")
        self.host.run("mount", "--bind", SYSTEMCTL, "/usr/bin/systemctl")
        cable = ("type", "veth", "peer", "name", "fw1", "netns", self.client.holder.pid)
        self.host.run("ip", "link", "add", "fw0", *cable)
        for namespace, link, people in ((self.host, "fw0", (HOST,)), (self.client, "fw1", (DEVOPS, GRAFANA, STRANGER))):
            for who in people:
                namespace.run("ip", "address", "add", f"{address(who, 4)}/24", "dev", link)
                namespace.run("ip", "address", "add", f"{address(who, 6)}/64", "dev", link, "nodad")
            for each in ("lo", link):
                namespace.run("ip", "link", "set", each, "up")
        listen = self.host.command(sys.executable, "-c", LISTENER, *PORTS)
        self.listener = subprocess.Popen(listen, stdout=subprocess.PIPE)
        assert self.listener.stdout
        assert self.listener.stdout.readline() == b"ready\n"

    def end(self) -> None:
        # the way back that nobody has confirmed is not to outlive the namespaces
        self.host.run(
            "sh", "-c", "for timer in /run/stand-in-systemd/*.timer; do [ ! -e $timer ] || kill -9 $(cat $timer); done"
        )
        self.listener.kill()
        self.listener.communicate()
        for namespace in (self.client, self.host):
            namespace.end()

    def reaches(self, who: int, port: int, version: int = 4) -> bool:
        """Whether a new connection of *who* is taken."""
        call = self.client.run(sys.executable, "-c", CALLER, address(who, version), address(HOST, version), port)
        assert call.stdout in ("reached\n", "dropped\n")
        return call.stdout == "reached\n"

    def firewall(
        self, *, check: bool = False, session: str = f"192.0.2.{DEVOPS} 50000 192.0.2.1 22", **options: t.Any
    ) -> Result:
        """Run the module on the host, by a connection of devops."""
        given = {"admin_cidrs": ["192.0.2.10", "2001:db8::10"], "seconds": 5, **options}
        given |= {"_ansible_check_mode": check, "_ansible_diff": True}
        done = self.host.run(
            *(sys.executable, "-c", RUNNER, "host_firewall"),
            input=json.dumps(given),
            env={**os.environ, "PYTHONPATH": str(COLLECTIONS), "SSH_CONNECTION": session},
            check=False,
        )
        lines = done.stdout.strip().splitlines()
        assert lines, done.stderr
        values = json.loads(lines[-1])
        return Result(failed=bool(values.get("failed")), changed=bool(values.get("changed")), values=values)

    def confirmed(self, **options: t.Any) -> Result:
        """Apply and confirm."""
        # slow machines take their time, and nothing is to be put back here
        applied = self.firewall(seconds=300, **options)
        assert not applied.failed, applied.msg
        confirmed = self.firewall(state="confirmed", **options)
        assert not confirmed.failed, confirmed.msg
        return applied

    def listed(self) -> str:
        """All that nft has loaded."""
        return self.host.run("nft", "--stateless", "list", "ruleset").stdout

    def nft(self, *arguments: str) -> None:
        self.host.run("nft", *arguments)

    def files(self) -> dict[str, str]:
        """What a boot loads, and the units of a way back."""
        asked = ("/etc/nftables.conf", "/etc/nftables-taaraxtak.conf")
        return {path: self.host.run("cat", path, check=False).stdout for path in asked}

    def armed(self) -> bool:
        return self.host.run("test", "-e", "/etc/taaraxtak-undo/firewall", check=False).returncode == 0

    def until(self, condition: t.Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not within {seconds} s\n{self.listed()}"
            time.sleep(0.1)


@contextlib.contextmanager
def firewall_host() -> t.Iterator[FirewallHost]:
    """A host with a copy of this machine's /etc."""
    with tempfile.TemporaryDirectory(prefix="taaraxtak-firewall-") as folder:
        etc = Path(folder) / "etc"
        shutil.copytree("/etc", etc, symlinks=True, ignore=shutil.ignore_patterns("nftables*", "taaraxtak*"))
        (etc / "nftables.conf").write_text("#!/usr/sbin/nft -f\n\nflush ruleset\n\n")
        host = FirewallHost(etc)
        try:
            yield host
        finally:
            host.end()
