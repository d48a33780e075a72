"""Only devops has direct access, by key; the system is up and keeps its time zone."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(params=["production", "store"])
def host(request):
    return request.getfixturevalue(request.param)


def test_every_service_is_up(host):
    state = host.run("systemctl is-system-running").stdout.strip()
    failed = host.run("systemctl --failed --no-legend --plain").stdout
    assert state == "running", failed


def test_ssh_takes_no_password_and_no_root(host):
    effective = dict(line.split(" ", 1) for line in host.check_output("sshd -T").splitlines() if " " in line)
    assert effective["passwordauthentication"] == "no"
    assert effective["kbdinteractiveauthentication"] == "no"
    assert effective["permitrootlogin"] == "no"


def test_the_running_sshd_refuses_a_password(host):
    said = host.run(
        "ssh -o BatchMode=yes -o PubkeyAuthentication=no -o PreferredAuthentications=password "
        "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null alice@127.0.0.1 true"
    )
    assert said.rc == 255
    assert "Permission denied (publickey)" in said.stderr


@pytest.mark.parametrize(("account", "enters"), [("alice", True), ("root", False)])
def test_a_person_of_devops_logs_in_and_root_does_not(host, account, enters):
    # A key planted for each: so that the rule alone tells them apart.
    script = f"""
import os, subprocess, tempfile
folder = tempfile.mkdtemp()
key = folder + "/key"
subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
listed = "/etc/ssh/devops_keys/{account}"
before = open(listed).read() if os.path.exists(listed) else None
with open(listed, "a") as file:
    file.write(open(key + ".pub").read())
try:
    done = subprocess.run(["ssh", "-i", key, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
                           "-o", "UserKnownHostsFile=/dev/null", "{account}@127.0.0.1", "sudo", "-n", "id", "-u"],
                          capture_output=True, text=True)
finally:
    if before is None:
        os.unlink(listed)
    else:
        open(listed, "w").write(before)
print(done.returncode, done.stdout.strip(), done.stderr.strip().splitlines()[-1:])
"""
    said = host.check_output("python3 -c %s", script)
    assert said.startswith("0 0 " if enters else "255 "), said


def test_a_key_in_the_home_opens_nothing(host):
    assert host.check_output("sshd -T | grep -i ^authorizedkeysfile") == "authorizedkeysfile /etc/ssh/devops_keys/%u"
    assert host.file("/etc/ssh/devops_keys").user == "root"
    assert host.file("/etc/ssh/devops_keys").mode == 0o755
    assert sorted(host.file("/etc/ssh/devops_keys").listdir()) == ["alice"]


def test_time_is_utc_and_not_what_the_host_came_with(host):
    assert host.check_output("date +%Z") == "UTC"


def test_sudoers_are_valid(host):
    assert host.run("visudo -c").rc == 0


# Asks sudo of every account what it may do, and prints those that may do anything.
SUDO = """
import json, pwd, subprocess
may = {}
for account in pwd.getpwall():
    said = subprocess.run(["sudo", "-l", "-U", account.pw_name], capture_output=True, text=True).stdout
    rules = [line.strip() for line in said.splitlines() if line.startswith("    (")]
    if rules:
        may[account.pw_name] = rules
print(json.dumps(may))
"""


def test_nobody_but_root_and_devops_becomes_a_service_account(production):
    """Who may become the writer, the reader or the dumper would have their rights."""
    may = json.loads(production.check_output("python3 -c %s", SUDO))
    assert may.pop("root")
    assert may.pop("alice") == ["(ALL : ALL) NOPASSWD: ALL"]
    assert may == {"pgbackup": ['(pgdumper) NOPASSWD: /usr/local/sbin/dump-source ""']}
    for account in ("collector", "grafana", "pgdumper", "pgbackup"):
        assert production.check_output("getent passwd %s", account).split(":")[6] == "/usr/sbin/nologin"
        assert production.check_output("getent shadow %s", account).split(":")[1][:1] in "!*"
        assert production.check_output("id -Gn %s", account) == account


def test_the_store_lets_devops_become_root_and_nobody_else(store):
    assert set(json.loads(store.check_output("python3 -c %s", SUDO))) == {"root", "alice"}
