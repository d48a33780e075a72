"""Only devops has direct access, by key; the system is up, takes its security updates, and lets no secret lie about."""

from __future__ import annotations

import json
import re
import time

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


def test_the_policy_is_stated_before_the_login_and_after(host):
    said = host.run(
        "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null nobody@127.0.0.1 true"
    )
    assert "This host is production. Nobody develops here." in said.stderr
    assert "Nobody develops here" in host.file("/etc/motd").content_string


def test_security_updates_alone_install_themselves(host):
    read = "import apt_pkg; apt_pkg.init(); print(apt_pkg.config.value_list('Unattended-Upgrade::Origins-Pattern'))"
    only = "origin=Debian,codename=${distro_codename}-security,label=Debian-Security"
    assert host.check_output("python3 -c %s", read) == str([only])
    assert host.check_output("systemctl is-enabled apt-daily.timer apt-daily-upgrade.timer") == "enabled\nenabled"
    dumped = host.check_output("apt-config dump").splitlines()
    for line in (
        'APT::Periodic::Update-Package-Lists "1";',
        'APT::Periodic::Unattended-Upgrade "1";',
        'Unattended-Upgrade::Automatic-Reboot "true";',
        'Unattended-Upgrade::Automatic-Reboot-Time "04:30";',
    ):
        assert line in dumped
    assert not [line for line in dumped if line.startswith("Unattended-Upgrade::Allowed-Origins:: ")]


def test_the_journal_outlives_a_restart_and_has_a_limit(host):
    mark = f"mark-{time.monotonic_ns()}"
    host.check_output("logger %s", mark)
    host.check_output("journalctl --sync")
    assert mark in host.check_output("journalctl -D /var/log/journal -n 200 --no-pager")
    told = host.check_output("journalctl -u systemd-journald --no-pager -g 'System Journal'")
    assert re.search(r"max 1(\.0)?G\b", told), told  # systemd 252 writes 1.0G


@pytest.mark.parametrize("how", ["systemd-run --quiet --wait --pipe", "runuser -l alice --session-command"])
def test_no_process_leaves_a_core(host, how):
    wanted = "sh -c 'ulimit -Hc'" if how.startswith("systemd-run") else "'ulimit -Hc'"
    assert host.check_output(f"{how} {wanted}").splitlines()[-1] == "0"


def test_what_keeps_cores_of_other_kinds_is_told_to_keep_none(host):
    """In a container neither the kernel's pattern nor sysctl is in force: the files alone."""
    told = host.file("/etc/systemd/coredump.conf.d/taaraxtak.conf").content_string.splitlines()
    assert {"[Coredump]", "Storage=none", "ProcessSizeMax=0"} <= set(told)
    # the last of all files of sysctl's has the last word
    settings = host.check_output("systemd-analyze cat-config sysctl.d").replace(" ", "").splitlines()
    assert [line for line in settings if line.startswith("fs.suid_dumpable=")][-1] == "fs.suid_dumpable=0"


# Prints every file with a secret in it that any account could read, folders on the way included.
WALK = r"""
import os, re, stat, sys
SECRET = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\n|AGE-SECRET-KEY-1[A-Z0-9]|SCRAM-SHA-256\$[0-9]+:"
    rb"|^[a-z_][a-z0-9_-]*:\$[0-9a-z]+\$|^[^#;\n]*passw(or)?d *[:=] *[^\s'%#*<$({]{6,}", re.M)
found = []
for top in sys.argv[1:]:
    for folder, folders, files in os.walk(top):
        # what others may not enter, they can't read in
        folders[:] = [name for name in folders if os.lstat(os.path.join(folder, name)).st_mode & stat.S_IXOTH]
        if folder == "/usr/local/lib/taaraxtak" or folder.endswith("/site-packages"):
            folders.clear()  # code, this collection's own or of PyPI's packages, speaks of passwords
        for name in files:
            path = os.path.join(folder, name)
            seen = os.lstat(path)
            if stat.S_ISREG(seen.st_mode) and seen.st_mode & stat.S_IROTH and seen.st_size < 4_000_000:
                with open(path, "rb") as file:
                    if SECRET.search(file.read()):
                        found.append(path)
print(*found, sep="\n")
"""
PLACES = ("/etc", "/home", "/opt", "/root", "/run", "/srv", "/usr/local", "/var")


def test_nothing_that_anybody_can_read_holds_a_secret(host):
    planted = "/var/tmp/planted-secret"
    host.check_output("python3 -c %s %s", "import sys; open(sys.argv[1], 'w').write('AGE-SECRET-KEY-1QQQ')", planted)
    try:
        # the one that was planted is found, so that the walk is known to see
        assert host.check_output(f"python3 -c %s {' '.join(PLACES)}", WALK).splitlines() == [planted]
    finally:
        host.check_output("rm %s", planted)
