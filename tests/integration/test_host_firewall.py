"""host_firewall in a network of its own: what is open, what is dropped, and the way back that nobody has to walk."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.taaraxtak.production.tests.integration.conftest import COLLECTIONS
from ansible_collections.taaraxtak.production.tests.integration.firewall_hosts import (
    DEVOPS,
    GRAFANA,
    HOST,
    PORTS,
    STRANGER,
    FirewallHost,
    address,
    firewall_host,
    why_not,
)

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

DATABASE = [
    {"port": 5432, "from": ["192.0.2.20", "2001:db8::20"], "reason": "Grafana's {datasource}; it's $important #1"}
]
# An echo request (type 8, on IPv6 128), its checksum made by hand on IPv4; the loop passes over other messages.
PING = """
import socket, sys
source, target = sys.argv[1:]
six = ":" in target
raw = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW, 58 if six else 1)
raw.settimeout(2)
raw.bind((source, 0))
raw.sendto(bytes([128, 0, 0, 0, 0, 0, 0, 0] if six else [8, 0, 247, 255, 0, 0, 0, 0]), (target, 0))
while raw.recv(999)[0 if six else 20] != (129 if six else 0):
    pass
"""
BOTH = pytest.mark.parametrize("version", [4, 6])


@pytest.fixture
def host() -> t.Iterator[FirewallHost]:
    with firewall_host() as made:
        yield made


@pytest.fixture(scope="module")
def settled() -> t.Iterator[FirewallHost]:
    """A host whose rules are confirmed, for tests that only look."""
    with firewall_host() as made:
        made.confirmed(open=DATABASE)
        yield made


@BOTH
@pytest.mark.parametrize("who", [DEVOPS, GRAFANA, STRANGER])
@pytest.mark.parametrize("port", PORTS)
def test_what_is_open_is_reached_and_nothing_else(settled: FirewallHost, who: int, port: int, version: int) -> None:
    assert settled.reaches(who, port, version) == ((who, port) in {(DEVOPS, 22), (GRAFANA, 5432)})


def test_without_rules_everything_is_reached(host: FirewallHost) -> None:
    """Else the test above would prove nothing."""
    assert all(host.reaches(STRANGER, port, version) for port in PORTS for version in (4, 6))


@BOTH
def test_ping_is_answered(settled: FirewallHost, version: int) -> None:
    settled.client.run(sys.executable, "-c", PING, address(STRANGER, version), address(HOST, version))


def test_the_host_reaches_itself_and_others(settled: FirewallHost) -> None:
    call = "import socket; socket.create_connection(('127.0.0.1', 3000), timeout=2)"
    settled.host.run("python3", "-c", call)
    listen = "import socket; s = socket.create_server(('', 9)); print('ready', flush=True); s.accept(); print('in')"
    ask = "import socket; socket.create_connection(('192.0.2.30', 9), timeout=2)"
    waiting = settled.client.command("python3", "-c", listen)
    with subprocess.Popen(waiting, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "ready\n"
        settled.host.run("python3", "-c", ask)
        assert other.stdout.readline() == "in\n"


def test_a_second_run_changes_nothing_and_arms_nothing(settled: FirewallHost) -> None:
    again = settled.firewall(open=DATABASE)
    assert (again.changed, again.values["waiting"], again.values["diff"]) == (False, False, [])
    assert not settled.armed()
    assert not settled.firewall(open=DATABASE, state="confirmed").changed


def test_check_mode_foretells_and_changes_nothing(host: FirewallHost) -> None:
    before = (host.listed(), host.files())
    foretold = host.firewall(open=DATABASE, check=True)
    assert (foretold.changed, foretold.values["waiting"]) == (True, False)
    assert (host.listed(), host.files(), host.armed()) == (*before, False)
    applied = host.confirmed(open=DATABASE)
    assert applied.values["diff"] == foretold.values["diff"]
    after = {part["after_header"]: part["after"] for part in foretold.values["diff"]}
    assert after["table inet taaraxtak, loaded"] == host.listed()
    assert {path: after[path] for path in host.files()} == host.files()


def test_rules_that_nobody_confirms_go_away_by_themselves(host: FirewallHost) -> None:
    host.confirmed(open=DATABASE)
    before = (host.listed(), host.files())
    # whoever asked for this is gone: killed, or shut out
    assert host.firewall(open=[]).values["waiting"]
    assert not host.reaches(GRAFANA, 5432)
    assert host.files() == before[1]
    host.until(lambda: host.listed() == before[0], seconds=9)
    assert (host.files(), host.armed()) == (before[1], False)
    assert host.reaches(GRAFANA, 5432)


def test_on_a_host_without_rules_none_are_left(host: FirewallHost) -> None:
    host.firewall()
    host.until(lambda: host.listed() == "", seconds=9)
    assert "taaraxtak" not in "".join(host.files().values())


def test_what_came_too_late_is_not_confirmed(host: FirewallHost) -> None:
    host.firewall()
    host.until(lambda: host.listed() == "", seconds=9)
    late = host.firewall(state="confirmed")
    assert late.failed
    assert "the host has put its former rules back by itself" in late.msg
    assert "taaraxtak" not in "".join(host.files().values())


def test_rules_of_an_interrupted_run_are_nothing_to_come_back_to(host: FirewallHost) -> None:
    host.confirmed(open=DATABASE)
    before = host.listed()
    host.firewall(open=[])
    host.firewall(open=[{"port": 3000, "from": ["192.0.2.30"], "reason": "a second try"}])
    assert host.reaches(STRANGER, 3000)
    host.until(lambda: host.listed() == before, seconds=9)


def test_an_interrupted_run_is_finished_by_the_same_again(host: FirewallHost) -> None:
    host.firewall(open=DATABASE)
    again = host.confirmed(open=DATABASE)
    assert again.changed
    assert not host.armed()
    assert not host.firewall(open=DATABASE).changed


def test_after_a_boot_the_rules_are_the_same(host: FirewallHost) -> None:
    host.confirmed(open=DATABASE)
    before = host.listed()
    host.nft("flush", "ruleset")
    host.nft("-f", "/etc/nftables.conf")
    assert host.listed() == before
    assert not host.firewall(open=DATABASE).changed


def test_what_was_changed_by_hand_is_put_right(host: FirewallHost) -> None:
    host.confirmed(open=DATABASE)
    before = host.listed()
    host.nft("add", "rule", "inet", "taaraxtak", "input", "tcp", "dport", "3000", "accept")
    assert host.reaches(STRANGER, 3000)
    mended = host.confirmed(open=DATABASE)
    assert "3000" in mended.values["diff"][0]["before"]
    assert host.listed() == before
    host.nft("delete", "table", "inet", "taaraxtak")
    assert host.confirmed(open=DATABASE).changed
    assert host.listed() == before


@pytest.mark.parametrize("spoil", ["flush ruleset\n", "#"])
def test_what_a_boot_would_load_is_put_right(host: FirewallHost, spoil: str) -> None:
    """A line after ours that flushes it, or ours taken out."""
    host.confirmed(open=DATABASE)
    before = host.listed()
    place = ">>" if spoil.startswith("flush") else ">"
    host.host.run("sh", "-c", f"printf '{spoil}' {place} /etc/nftables.conf")
    assert host.confirmed(open=DATABASE).changed
    host.nft("flush", "ruleset")
    host.nft("-f", "/etc/nftables.conf")
    assert host.listed() == before


def test_other_tables_are_left_alone_and_named(host: FirewallHost) -> None:
    host.nft("add table ip nat { chain post { type nat hook postrouting priority srcnat; }; }")
    others = host.listed()
    assert host.confirmed(open=DATABASE).values["other_tables"] == ["ip nat"]
    assert others in host.listed()
    host.firewall(open=[])
    host.until(lambda: not host.armed(), seconds=9)
    assert others in host.listed()


@pytest.mark.parametrize(
    ("session", "said"),
    [
        (f"192.0.2.{STRANGER} 50000 192.0.2.1 22", "add 192.0.2.30/32 or its network to host_admin_cidrs"),
        (f"2001:db8::{STRANGER} 50000 2001:db8::1 22", "add 2001:db8::30/128 or its network to host_admin_cidrs"),
        (f"192.0.2.{DEVOPS} 50000 192.0.2.1 2222", "set host_ssh_port to 2222"),
    ],
)
def test_the_connection_that_asks_is_not_shut_out(host: FirewallHost, session: str, said: str) -> None:
    refused = host.firewall(session=session)
    assert refused.failed
    assert said in refused.msg
    assert host.firewall(session=session, check=True).failed
    assert (host.listed(), host.armed()) == ("", False)


def test_a_connection_that_sudo_hides_is_found(host: FirewallHost) -> None:
    """What sudo starts knows nothing of it; the processes above do."""
    script = "import os, subprocess, sys; env = dict(os.environ); env.pop('SSH_CONNECTION', None);"
    script += "from ansible_collections.taaraxtak.production.plugins.module_utils.sshd.server import session;"
    script += (
        "print(session()) if len(sys.argv) > 1 else sys.exit(subprocess.run([*sys.orig_argv, 'x'], env=env).returncode)"
    )
    env = {**os.environ, "PYTHONPATH": str(COLLECTIONS), "SSH_CONNECTION": "192.0.2.99 1 192.0.2.1 2222"}
    said = host.host.run(sys.executable, "-c", script, env=env).stdout
    assert said == "Session(client='192.0.2.99', server='192.0.2.1', port=2222)\n"


NO_BOOT = "nft refuses /etc/nftables.conf, so nothing would be loaded at boot"


def spoil(host: FirewallHost) -> None:
    """Somebody else makes a mistake in what a boot loads."""
    host.host.run("sh", "-c", "sed -i '2i table inet mine { nonsense }' /etc/nftables.conf")


@pytest.mark.parametrize("check", [False, True])
def test_a_main_file_that_nft_refuses_is_said_before_anything_is_loaded(host: FirewallHost, check: bool) -> None:
    spoil(host)
    before = (host.files(), host.listed())
    refused = host.firewall(check=check)
    assert refused.failed
    assert NO_BOOT in refused.msg
    assert (host.files(), host.listed(), host.armed()) == (*before, False)


def test_a_mistake_that_somebody_makes_later_is_found_by_the_next_run(host: FirewallHost) -> None:
    host.confirmed()
    spoil(host)
    assert NO_BOOT in host.firewall().msg


def test_rules_that_can_not_be_kept_go_away_by_themselves(host: FirewallHost) -> None:
    assert host.firewall().values["waiting"]
    spoil(host)
    before = host.files()
    assert NO_BOOT in host.firewall(state="confirmed").msg
    assert (host.files(), host.armed()) == (before, True)
    host.until(lambda: host.listed() == "", seconds=9)


def test_what_the_host_takes_back_while_it_is_confirmed_is_not_kept(host: FirewallHost) -> None:
    """The way back begins between the two looks at what is loaded, when the files are written already."""
    before = host.files()
    assert host.firewall(seconds=300).values["waiting"]
    host.host.run("sh", "-c", "echo activating > /run/stand-in-systemd/taaraxtak-undo-firewall.service.state")
    late = host.firewall(state="confirmed")
    assert "was not confirmed in time" in late.msg
    assert host.files() == before


def test_an_open_connection_stays_open(host: FirewallHost) -> None:
    """Only new ones are judged: that is why the rules are confirmed over a new one."""
    host.confirmed(open=[{"port": 5432, "from": ["192.0.2.30"], "reason": "for a while"}])
    call = (
        "import socket, sys\n"
        "there = socket.create_connection(('192.0.2.1', 5432), timeout=2, source_address=('192.0.2.30', 0))\n"
        "for line in sys.stdin:\n"
        "    there.send(line.encode())\n"
        "    print(there.recv(99).decode().strip(), flush=True)\n"
    )
    command = host.client.command("python3", "-c", call)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdin
        assert caller.stdout
        for word in ("before", "after"):
            caller.stdin.write(f"{word}\n")
            caller.stdin.flush()
            assert caller.stdout.readline() == f"{word}\n"
            host.confirmed()
    assert not host.reaches(STRANGER, 5432)
