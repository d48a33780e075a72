"""What comes in is what is open; new rules that nobody confirms go away by themselves."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

import pytest

# PostgreSQL's, Grafana's, those of what nobody has published, and one of nobody's.
CLOSED = (5432, 3000, 80, 443, 8080)

LISTEN = """
import selectors, socket
wait = selectors.DefaultSelector()
for port in {ports}:
    try:
        wait.register(socket.create_server(("", port)), selectors.EVENT_READ)
    except OSError:
        pass  # somebody listens there already
while True:
    for key, _ in wait.select():
        key.fileobj.accept()
"""

CALL = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1)
    print("reached")
except TimeoutError:
    print("dropped")
"""

TABLE = "nft --stateless list table inet taaraxtak"


def call(source: t.Any, target: str, port: int) -> str:
    return str(source.check_output("python3 -c %s %s %s", CALL, target, str(port)))


@pytest.fixture(scope="module")
def listening(production: t.Any) -> t.Iterator[None]:
    """Something listens on every address of production at these ports: what holds it back is the firewall."""
    production.check_output("systemd-run --unit=test-listen -- python3 -c %s", LISTEN.format(ports=CLOSED))
    end = time.monotonic() + 10
    while production.run("ss -Hltn sport = :8080").stdout == "":
        assert time.monotonic() < end, production.run("journalctl -u test-listen").stdout
        time.sleep(0.1)
    yield
    production.check_output("systemctl stop test-listen")


def test_ssh_is_open(production: t.Any, store: t.Any) -> None:
    assert call(store, "production", 22) == "reached"
    assert call(production, "store", 22) == "reached"


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("port", CLOSED)
def test_another_host_is_dropped(production: t.Any, store: t.Any, port: int) -> None:
    assert call(store, "production", port) == "dropped"
    assert call(production, "127.0.0.1", port) == "reached"


@pytest.mark.usefixtures("listening", "alone_with_the_firewall")
def test_without_the_table_it_would_come_in(production: t.Any, store: t.Any) -> None:
    """Else the test above would prove nothing."""
    production.check_output("nft delete table inet taaraxtak")
    try:
        assert call(store, "production", 8080) == "reached"
    finally:
        production.check_output("nft -f /etc/nftables-taaraxtak.conf")
    assert call(store, "production", 8080) == "dropped"


@pytest.mark.usefixtures("alone_with_the_firewall")
def test_what_a_boot_loads_is_the_same(production: t.Any) -> None:
    before = production.check_output(TABLE)
    assert production.check_output("systemctl is-enabled nftables") == "enabled"
    production.check_output("systemctl restart nftables")
    assert production.check_output(TABLE) == before


def write_play(folder: Path, options: dict[str, t.Any], **task: t.Any) -> str:
    """A playbook that runs the module on production."""
    playbook = folder / "rules.yml"
    tasks = [{"taaraxtak.production.host_firewall": options, **task}]
    playbook.write_text(json.dumps([{"hosts": "production", "gather_facts": False, "tasks": tasks}]))
    return str(playbook)


@pytest.mark.usefixtures("alone_with_the_firewall")
def test_rules_that_nobody_confirms_go_away_by_themselves(
    production: t.Any, play: t.Callable[..., str], until: t.Callable[..., None], tmp_path: Path
) -> None:
    before, kept = production.check_output(TABLE), production.check_output("cat /etc/nftables-taaraxtak.conf")
    opened = [{"port": 8081, "from": ["192.0.2.1"], "reason": "a run that was killed"}]
    # a way back of twelve seconds: the two looks below come first on a slow machine too
    play(write_play(tmp_path, {"admin_cidrs": ["0.0.0.0/0"], "open": opened, "seconds": 12}))
    assert "a run that was killed" in production.check_output(TABLE)
    assert production.check_output("cat /etc/nftables-taaraxtak.conf") == kept
    until(
        lambda: production.check_output(TABLE) == before,
        seconds=30,
        what="the way back",
        host=production,
        unit="taaraxtak-undo-firewall",
    )
    assert production.check_output("cat /etc/nftables-taaraxtak.conf") == kept
    assert not production.file("/etc/systemd/system/taaraxtak-undo-firewall.timer").exists
    assert not production.service("taaraxtak-undo-firewall.timer").is_running


@pytest.mark.usefixtures("alone_with_the_firewall")
def test_a_run_that_comes_from_elsewhere_is_refused(
    production: t.Any, play: t.Callable[..., str], tmp_path: Path
) -> None:
    before = production.check_output(TABLE)
    elsewhere = {"SSH_CONNECTION": "198.51.100.7 50000 198.51.100.1 22"}
    said = play(write_play(tmp_path, {"admin_cidrs": ["192.0.2.0/24"]}, environment=elsewhere), status=2)
    assert "add 198.51.100.7/32 or its network to host_admin_cidrs" in " ".join(said.split())
    assert production.check_output(TABLE) == before


# Another sshd than the hosts' own, so that tests of who logs in go on beside this one.
PORT = 2222
SSHD = (
    "systemd-run --unit=test-sshd -- /usr/sbin/sshd -D -f /dev/null -o Port=2222 -o PidFile=none "
    "-o PermitRootLogin=prohibit-password -o HostKey=/etc/ssh/ssh_host_ed25519_key "
    "-o AuthorizedKeysFile=/run/test-sshd.pub"
)


@pytest.fixture
def by_ssh(production: t.Any, tmp_path: Path) -> t.Iterator[dict[str, t.Any]]:
    """Variables with which Ansible comes to production by ssh, with a connection that it keeps, as to real hosts."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    write = "import sys; open('/run/test-sshd.pub', 'w').write(sys.argv[1])"
    production.check_output("python3 -c %s %s", write, (tmp_path / "key.pub").read_text())
    production.check_output(SSHD)
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ControlMaster=auto -o ControlPersist=60s"
    # a socket's path has 108 bytes at most, and that of a test is longer
    with tempfile.TemporaryDirectory(prefix="fw-") as short:
        yield {
            "ansible_connection": "ssh",
            "ansible_host": production.check_output("hostname -I").split()[0],
            "ansible_port": PORT,
            "ansible_user": "root",
            "ansible_become": True,
            "ansible_ssh_private_key_file": str(key),
            "ansible_ssh_common_args": f"{options} -o ControlPath={short}/%C",
            "ansible_timeout": 3,
        }
    production.check_output("systemctl stop test-sshd")


def opening(port: int) -> dict[str, t.Any]:
    return {"port": port, "from": ["0.0.0.0/0"], "reason": "a test"}


@pytest.mark.usefixtures("alone_with_the_firewall")
def test_new_rules_stay_once_a_new_connection_has_come_in(
    production: t.Any,
    play: t.Callable[..., str],
    until: t.Callable[..., None],
    by_ssh: dict[str, t.Any],
    tmp_path: Path,
) -> None:
    playbook = tmp_path / "role.yml"
    planted = "add table inet planted; add chain inet planted input { type filter hook input priority -10; }; "
    planted += f"add rule inet planted input tcp dport {PORT} ct state new drop"
    role = {"name": "taaraxtak.production.host", "tasks_from": "firewall"}
    tasks = [
        {"ansible.builtin.command": {"argv": ["nft", planted]}, "when": "closing | default(false)"},
        {"ansible.builtin.include_role": role},
    ]
    playbook.write_text(json.dumps([{"hosts": "production", "gather_facts": False, "tasks": tasks}]))
    seconds = {"host_confirm_seconds": 20}
    before = production.check_output(TABLE)
    try:
        play(str(playbook), host_open=[opening(PORT)])
        play(str(playbook), host_open=[opening(PORT), opening(8082)], **by_ssh, **seconds)
        stays = production.check_output(TABLE)
        assert "8082" in stays
        assert stays == production.check_output(f"nft -f /etc/nftables-taaraxtak.conf && {TABLE}")
        # The connection that is there goes on; no new one comes in.
        said = play(str(playbook), host_open=[opening(PORT)], closing=True, status=2, **by_ssh, **seconds)
        assert "Nobody comes in to production by its new rules" in " ".join(said.split())
        until(
            lambda: production.check_output(TABLE) == stays,
            seconds=40,
            what="the way back",
            host=production,
            unit="taaraxtak-undo-firewall",
        )
        assert "8082" in production.file("/etc/nftables-taaraxtak.conf").content_string
    finally:
        production.run("nft delete table inet planted")
        play(str(playbook), host_open=[])
    assert production.check_output(TABLE) == before
