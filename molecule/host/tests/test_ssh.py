"""The hosts as people reach them, by ssh: who comes in, and what happens where a run would shut everybody out."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

SCENARIO = Path(__file__).resolve().parents[1]
ROOT = SCENARIO.parents[1]
FOLDER = Path(os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY", "."))
HOST = "taaraxtak-host-production"
BANNER = "/etc/ssh/taaraxtak_banner"
PLANTED = "/etc/ssh/sshd_config.d/05-planted.conf"
# Short enough to wait for it.
SECONDS = 15


def ssh(
    account: str, *command: str, key: str = "alice", options: t.Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Log in by a connection of its own and run *command*."""
    return subprocess.run(
        arguments(account, *command, key=key, options=options), capture_output=True, text=True, check=False
    )


def arguments(account: str, *command: str, key: str = "alice", options: t.Sequence[str] = ()) -> list[str]:
    """The command line of ssh, which asks nobody and trusts the pinned host key alone."""
    given = ["-F", str(FOLDER / "ssh_config"), "-S", "none", "-o", f"IdentityFile={FOLDER / key}", "-l", account]
    return ["ssh", *options, *given, HOST, "--", *command]


def role_command(*options: str, **variables: t.Any) -> list[str]:
    """The command that runs the role on production, as alice by ssh."""
    given = [f"--inventory={ROOT}/inventory/local", f"--inventory={SCENARIO}/inventory", *options]
    return ["ansible-playbook", *given, f"--extra-vars={json.dumps(variables)}", str(SCENARIO / "role.yml")]


ENVIRONMENT = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0"}


def role(*options: str, **variables: t.Any) -> subprocess.CompletedProcess[str]:
    """Run the role on production."""
    return subprocess.run(
        role_command(*options, **variables), env=ENVIRONMENT, cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture
def plant(production: t.Any) -> t.Iterator[t.Callable[[str], None]]:
    """A function that plants a file of somebody else's for sshd; it is gone after the test."""

    def put(content: str) -> None:
        production.check_output(
            "python3 -c %s %s %s", "import sys; open(sys.argv[1], 'w').write(sys.argv[2])", PLANTED, content
        )

    yield put
    production.check_output("rm -f %s", PLANTED)


def as_it_was(production: t.Any) -> bool:
    """Whether the change is gone, with what would have undone it."""
    return (
        "A new" not in production.file(BANNER).content_string
        and not production.file("/etc/taaraxtak-undo/logins").exists
    )


def test_a_person_of_devops_becomes_root_and_sees_the_policy_before(production):
    said = ssh("alice", "sudo", "-n", "id", "-u")
    assert (said.returncode, said.stdout) == (0, "0\n"), said.stderr
    assert "Nobody develops here" in said.stderr


@pytest.mark.parametrize(
    ("account", "key", "options"),
    [
        ("root", "alice", ()),  # by the very key that made the accounts
        ("alice", "mallory", ()),
        ("bob", "alice", ()),
        ("alice", "alice", ("-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password")),
        ("alice", "alice", ("-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=keyboard-interactive")),
        ("root", "alice", ("-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password")),
    ],
)
def test_nobody_else_comes_in(account, key, options):
    said = ssh(account, "true", key=key, options=options)
    assert said.returncode == 255
    assert "Permission denied (publickey)." in said.stderr


def test_a_key_in_the_home_opens_nothing(production):
    key = (FOLDER / "mallory.pub").read_text()
    script = (
        "import pathlib, shutil, sys; home = pathlib.Path('/home/alice/.ssh'); home.mkdir(mode=0o700, exist_ok=True); "
        "[(home / name).write_text(sys.argv[1]) for name in ('authorized_keys', 'authorized_keys2')]; "
        "[shutil.chown(path, 'alice', 'alice') for path in (home, *home.iterdir())]"
    )
    production.check_output("python3 -c %s %s", script, key)
    try:
        assert ssh("alice", "true", key="mallory").returncode == 255
    finally:
        production.check_output("rm -r /home/alice/.ssh")


@pytest.mark.parametrize(
    ("planted", "reason"),
    [
        ("AllowUsers nobody\n", "alice could not log in any more: allowusers nobody"),
        ("Port 2222\n", "sshd would listen on"),
        ("Match User alice\n    ForceCommand /bin/false\n", "forcecommand /bin/false"),
        ("PermitRootLogin yes\n", "permitrootlogin yes"),
        (
            # A Match block has the last word, for one account: none that the inventory names.
            "Match User daemon\n    PasswordAuthentication yes\n    AuthenticationMethods any\n",
            "sshd does passwordauthentication yes instead of no for daemon",
        ),
        ("Match User root\n    PermitRootLogin yes\n", "sshd does permitrootlogin yes instead of no for root"),
        ("NoSuchKeyword yes\n", "sshd refuses its files"),
    ],
)
def test_another_file_that_would_shut_people_out_stops_the_run_before_sshd_reads_it(production, plant, planted, reason):
    plant(planted)
    said = role(host_banner="A new banner.\n")
    assert said.returncode != 0
    assert reason in re.sub(r"\s+", " ", said.stdout), said.stdout[-3000:]
    assert as_it_was(production)
    assert ssh("alice", "true").returncode == 0


def test_where_a_new_login_is_refused_what_was_there_is_put_back_on_every_host(production, store):
    # What no file of sshd's shows: PAM lets nobody but root in while this file is there; the open connection goes on.
    try:
        said = role(host_banner="A new banner.\n", close_the_door="production", on_hosts="production:store")
        assert said.returncode != 0
        assert "alice can't log in anew" in re.sub(r"\s+", " ", said.stdout), said.stdout[-3000:]
        for host in (production, store):
            name = host.backend.name.rpartition("-")[2]
            assert f"Who may log in to {name} is put back as it was" in re.sub(r"\s+", " ", said.stdout)
            assert as_it_was(host)
    finally:
        production.check_output("rm -f /etc/nologin")
    assert ssh("alice", "true").returncode == 0


@contextlib.contextmanager
def killed_when_written(production: t.Any, **variables: t.Any) -> t.Iterator[None]:
    """A run whose controller is killed as soon as the new files are there, before anybody could confirm them."""
    run = subprocess.Popen(
        role_command(host_banner="A new banner.\n", **variables),
        env=ENVIRONMENT, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + 180
        while "A new" not in production.file(BANNER).content_string:
            assert time.monotonic() < end
            assert run.poll() is None
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert production.file("/etc/taaraxtak-undo/logins").exists
    yield


def test_a_controller_that_is_killed_before_it_confirms_leaves_what_was_there(production, until):
    with killed_when_written(production, host_confirm_seconds=SECONDS):
        # A host that restarts now would put it back before sshd starts.
        assert "taaraxtak-undo-logins.service" in production.check_output("systemctl show -p Wants sysinit.target")
        unit = "taaraxtak-undo-logins.service"
        until(lambda: as_it_was(production), seconds=SECONDS + 15, what="put back", host=production, unit=unit)
    assert ssh("alice", "sudo", "-n", "true").returncode == 0
    assert production.run("systemctl list-unit-files 'taaraxtak-undo-*' --no-legend").stdout == ""


def test_the_next_run_puts_back_first_what_was_not_confirmed(production):
    with killed_when_written(production, host_confirm_seconds=3600):
        said = role()
    assert said.returncode == 0, said.stdout[-3000:]
    assert "the last change logins was not confirmed" in re.sub(r"\s+", " ", said.stdout)
    assert as_it_was(production)


def test_a_limit_that_somebody_has_changed_is_in_force_again(production):
    write = "import sys; open('/etc/systemd/system.conf.d/taaraxtak-core.conf', 'w').write(sys.argv[1])"
    production.check_output("python3 -c %s %s", write, "[Manager]\nDefaultLimitCORE=4096\n")
    production.check_output("systemctl daemon-reload")
    asked = "systemctl show --value --property=DefaultLimitCORE"
    assert production.check_output(asked) == "4096"
    assert role().returncode == 0
    assert production.check_output(asked) == "0"


def test_check_mode_says_who_is_to_be_shut_out():
    said = role("--check", host_devops=[{"name": "alice", "keys": [(FOLDER / "alice.pub").read_text().strip()]}])
    assert said.returncode == 0, said.stdout[-3000:]
    assert "bob has no key any more, and the account is closed" in re.sub(r"\s+", " ", said.stdout)
    assert ssh("bob", "sudo", "-n", "true", key="bob").returncode == 0


def test_who_has_left_has_no_session_and_comes_in_no_more(production):
    # A key that somebody has put there, for an account that is nobody's, goes too.
    production.check_output("cp /etc/ssh/devops_keys/bob /etc/ssh/devops_keys/daemon2")
    # And for a service's, which goes on.
    production.check_output("cp /etc/ssh/devops_keys/bob /etc/ssh/devops_keys/postgres")
    serving = production.check_output("pgrep -o -u postgres")
    session = subprocess.Popen(arguments("bob", "sudo", "sleep", "600", key="bob"), stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while "sleep 600" not in production.check_output("ps -eo args"):
            assert time.monotonic() < end
        alice = {"name": "alice", "keys": [(FOLDER / "alice.pub").read_text().strip()]}
        said = role(host_devops=[alice])
        assert said.returncode == 0, said.stdout[-3000:]
        assert session.wait(timeout=20) != 0
    finally:
        session.kill()
    assert ssh("bob", "true", key="bob").returncode == 255
    assert production.run("pgrep -u bob").stdout == ""
    assert "sleep 600" not in production.check_output("ps -eo args")
    assert "not allowed" in production.run("sudo -l -U bob").stdout
    assert "expired" in production.run("runuser -u alice -- sudo -n su -c true - bob").stderr
    assert production.check_output("pgrep -o -u postgres") == serving
    assert production.check_output("getent shadow postgres").split(":")[7] == ""
    assert production.file("/home/bob").is_directory
    assert production.file("/etc/ssh/devops_keys").listdir() == ["alice"]


def test_who_comes_back_is_let_in_again():
    assert role().returncode == 0
    assert ssh("bob", "sudo", "-n", "true", key="bob").returncode == 0
    said = role()
    assert re.search(r"production +: .*changed=0 ", said.stdout), said.stdout[-2000:]
