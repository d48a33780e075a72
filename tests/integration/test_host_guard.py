"""Guarded changes as hosts make them: who confirms what, and what a second run, a restart or a failure leave."""

from __future__ import annotations

import json
import os
import shutil
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.integration.conftest import COLLECTIONS, RUNNER, Result
from ansible_collections.taaraxtak.production.tests.integration.firewall_hosts import SYSTEMCTL, Namespace, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())

UNIT = "taaraxtak-undo-logins"
KEPT = "/etc/taaraxtak-undo/logins"
NEEDED = ("passwd", "group", "nsswitch.conf", "ld.so.cache", "localtime")


class GuardedHost:
    """A host with an /etc of its own and systemd's stand-in."""

    def __init__(self, etc: Path) -> None:
        self.etc = etc
        (etc / "systemd" / "system").mkdir(parents=True)
        for name in NEEDED:
            if Path("/etc", name).exists():
                shutil.copy(Path("/etc", name), etc / name)
        (etc / "motd").write_text("old\n")
        self.space = Namespace("--mount")
        for mount in (
            ("--bind", etc, "/etc"),
            ("-t", "tmpfs", "tmpfs", "/run"),
            ("--bind", SYSTEMCTL, "/usr/bin/systemctl"),
        ):
            self.space.run("mount", *mount)

    def end(self) -> None:
        self.lose_power()
        self.space.end()

    def lose_power(self) -> None:
        """All that was only in memory is gone."""
        kill = "for timer in /run/stand-in-systemd/*.timer; do [ ! -e $timer ] || kill -9 $(cat $timer); done"
        self.space.run("sh", "-c", f"{kill}; rm -rf /run/*")

    def boot(self) -> None:
        """systemd starts what is enabled so early."""
        for link in sorted((self.etc / "systemd/system/sysinit.target.wants").glob("*")):
            assert (self.etc / "systemd/system" / link.name).exists()
            self.systemctl("start", link.name)

    def systemctl(self, *arguments: str) -> int:
        return self.space.run("systemctl", *arguments, check=False).returncode

    def module(self, which: str, /, **options: t.Any) -> Result:
        """Run a module on the host."""
        done = self.space.run(
            *(sys.executable, "-c", RUNNER, which),
            input=json.dumps(options),
            env={**os.environ, "PYTHONPATH": str(COLLECTIONS)},
            check=False,
        )
        lines = done.stdout.strip().splitlines()
        assert lines, done.stderr
        values = json.loads(lines[-1])
        return Result(failed=bool(values.get("failed")), changed=bool(values.get("changed")), values=values)

    def write(self, content: str, *, validate: list[str] | None = None, **guard: t.Any) -> Result:
        """A run that writes /etc/motd, on trial."""
        file = {"path": "/etc/motd", "content": content, "validate": validate}
        return self.module("host_files", files=[file], guard={"name": "logins", "seconds": 300, **guard})

    def guard(self, written: Result | None, state: str = "confirmed") -> Result:
        """Whoever made the change, or anybody, says what becomes of it."""
        change = {} if written is None else {"change": written.values["change"]}
        return self.module("host_guard", name="logins", state=state, **change)

    @property
    def motd(self) -> str:
        return (self.etc / "motd").read_text()

    @property
    def left(self) -> list[str]:
        """What there is of a way back."""
        return sorted(
            path.name for path in self.etc.rglob("*") if UNIT in path.name or path.parent.name == "taaraxtak-undo"
        )


@pytest.fixture
def host(tmp_path: Path) -> t.Iterator[GuardedHost]:
    made = GuardedHost(tmp_path / "etc")
    try:
        yield made
    finally:
        made.end()


def test_what_is_confirmed_stays_and_nothing_is_left_of_the_way_back(host):
    written = host.write("new\n")
    assert (written.values["guarded"], host.motd) == (True, "new\n")
    assert host.left
    confirmed = host.guard(written)
    assert (confirmed.failed, confirmed.values["pending"]) == (False, True)
    assert (host.motd, host.left) == ("new\n", [])


def test_who_confirms_after_the_host_has_put_it_back_is_told_so(host):
    written = host.write("new\n")
    assert host.systemctl("start", f"{UNIT}.service") == 0
    assert (host.motd, host.left) == ("old\n", [])
    late = host.guard(written)
    assert late.failed
    assert "was not confirmed in time" in late.msg


@pytest.mark.parametrize("gone", [(), ("timer",), ("timer", "service")])
def test_who_confirms_while_the_host_puts_it_back_is_told_so(host, gone):
    """The last command of the undo removes one after the other."""
    written = host.write("new\n")
    host.space.run("sh", "-c", f"echo activating > /run/stand-in-systemd/{UNIT}.service.state")
    for kind in gone:
        (host.etc / f"systemd/system/{UNIT}.{kind}").unlink()
    late = host.guard(written)
    assert late.failed
    assert "was not confirmed in time" in late.msg
    assert host.space.run("test", "-d", KEPT, check=False).returncode == 0


def test_another_run_takes_the_place_of_a_change_and_nobody_confirms_for_the_other(host):
    first = host.write("first\n")
    second = host.write("second\n")
    assert first.values["change"] != second.values["change"]
    assert "another run has taken its place" in host.guard(first).msg
    assert host.guard(first, "put_back").values["pending"] is False
    assert host.motd == "second\n"
    assert host.left
    # whoever is shut out by the second change is let in by its own way back
    assert host.guard(second, "put_back").changed
    assert (host.motd, host.left) == ("old\n", [])


def test_two_runs_wait_for_each_other(host):
    """A validator runs in the middle of a run: whoever else came then would wait."""
    lock = "/run/taaraxtak-undo-logins.lock"
    taken = f"test -e {lock} && ! flock --nonblock {lock} true"
    written = host.write("new\n", validate=["/usr/bin/sh", "-c", taken, "%s"])
    assert not written.failed, written.msg
    assert host.space.run("flock", "--nonblock", lock, "true", check=False).returncode == 0


def test_a_restart_in_the_trial_puts_back_before_anybody_reads_it(host):
    written = host.write("new\n")
    host.lose_power()
    host.boot()
    assert (host.motd, host.left) == ("old\n", [])
    assert host.guard(written).failed


def test_an_undo_that_fails_says_what_to_do_and_can_be_done_again(host):
    host.write("new\n")
    kept = host.etc / "taaraxtak-undo" / "logins"
    kept.rename(host.etc / "away")
    kept.mkdir()
    for said in (host.guard(None, "put_back"), host.write("newer\n")):
        assert said.failed
        assert f"what was there is kept in {KEPT}" in said.msg
        assert f"systemctl start {UNIT}.service tries again" in said.msg
    kept.rmdir()
    (host.etc / "away").rename(kept)
    assert host.guard(None, "put_back").changed
    assert (host.motd, host.left) == ("old\n", [])


def test_who_confirms_what_could_not_be_undone_leaves_the_timer_running(host):
    written = host.write("new\n")
    host.space.run("sh", "-c", f"echo failed > /run/stand-in-systemd/{UNIT}.service.state")
    assert host.guard(written).failed
    assert host.space.run("test", "-e", f"/run/stand-in-systemd/{UNIT}.timer", check=False).returncode == 0


def test_a_failure_of_the_past_does_not_stand_against_a_new_change(host):
    host.space.run("sh", "-c", f"mkdir /run/stand-in-systemd; echo failed > /run/stand-in-systemd/{UNIT}.service.state")
    assert not host.guard(host.write("new\n")).failed


def test_what_comes_after_the_files_may_fail(host):
    host.write("new\n", commands=[["/usr/bin/false"], ["/usr/bin/touch", "/etc/came-after"]])
    assert not host.guard(None, "put_back").failed
    assert (host.motd, host.left) == ("old\n", [])
    assert (host.etc / "came-after").exists()


def test_where_nothing_was_changed_nobody_is_confirmed_or_put_back(host):
    other = host.write("new\n")
    same = host.module(
        "host_files",
        files=[{"path": "/etc/passwd", "content": (host.etc / "passwd").read_text()}],
        guard={"name": "else"},
    )
    assert (same.values["guarded"], same.values["change"]) == (False, "")
    assert host.guard(same, "put_back").values["pending"] is False
    assert not host.guard(other).failed
