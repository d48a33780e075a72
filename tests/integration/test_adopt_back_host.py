"""The way back of an adoption's steps on the host's files: what was there is there again. Each host is a namespace."""

from __future__ import annotations

import json
import os
import shutil
import stat
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.integration.firewall_hosts import Namespace, why_not

ROOT = Path(__file__).parents[2]
TASKS = ROOT / "playbooks" / "tasks"
JOB = "0 3 * * * /home/nightly/dump.sh"
# It says and does what is asked of nftables.service, the only unit here.
SYSTEMCTL = """#!/bin/sh
case "$1" in
show) printf 'LoadState=loaded\\nActiveState=inactive\\nUnitFileState=%s\\n' "$(cat /run/boot)";;
is-enabled) cat /run/boot; grep -q '^enabled' /run/boot;;
enable) echo enabled > /run/boot;;
disable) echo disabled > /run/boot;;
*) exit 1;;
esac
"""

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "it is run")


class Host:
    """A host whose /etc, /var/lib, /var/spool and network are its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.namespace = Namespace("--net", "--mount")
        self.etc, self.spool = folder / "etc", folder / "spool"
        self.tables = self.spool / "cron" / "crontabs"
        shutil.copytree("/etc", self.etc, symlinks=True)
        self.tables.mkdir(parents=True)
        (folder / "lib").mkdir()
        (folder / "systemctl").write_text(SYSTEMCTL)
        (folder / "systemctl").chmod(0o755)
        for ours, its in [("etc", "/etc"), ("spool", "/var/spool"), ("lib", "/var/lib")]:
            self.run("mount", "--bind", folder / ours, its)
        self.run("mount", "-t", "tmpfs", "tmpfs", "/run")
        self.run("mount", "--bind", folder / "systemctl", "/usr/bin/systemctl")
        self.run("sh", "-c", "echo disabled > /run/boot; getent group crontab || groupadd crontab")

    def run(self, *command: object) -> str:
        return self.namespace.run(*command).stdout

    def play(self, step: str, *tasks: t.Any, status: int = 0, **given: t.Any) -> str:
        """Run *tasks*: names of files of tasks, or tasks."""
        playbook = self.folder / "play.yml"
        listed = [{"ansible.builtin.include_tasks": str(TASKS / one)} if isinstance(one, str) else one for one in tasks]
        files = [str(ROOT / "playbooks" / "vars" / "adopt.yml")]
        playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "vars_files": files, "tasks": listed}]))
        server = {"hba": "/etc/hba", "ident": "/etc/ident", "settings": "/etc/postgresql/postgresql.conf"}
        known: dict[str, t.Any] = {
            "ansible_connection": "local",
            "ansible_remote_tmp": str(self.folder / "remote"),
            "adopt_step": step,
            "adopt_old_jobs": [{"user": "nightly", "line": JOB}],
            "adopt_old_files": ["/etc/sudoers.d/nightly"],
            "adopt_old_accounts": ["ops", "closed", "nobody-here"],
            "host_devops": [{"name": "alice"}],
            "access_policy": {"roles": {}},
            "__adopt_server": {"stdout": json.dumps(server)},
            "__adopt_parts": {},
            **given,
        }
        done = self.namespace.run(
            "ansible-playbook", "-i", "here,", "-e", json.dumps(known), playbook,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1",
                 "ANSIBLE_LOCAL_TEMP": str(self.folder / "local")},
            check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return str(done.stdout)

    @property
    def kept(self) -> list[str]:
        """The steps of which something is kept."""
        folder = self.folder / "lib" / "taaraxtak-adopt"
        return [one.name for one in folder.iterdir()] if folder.exists() else []


@pytest.fixture
def host(tmp_path: Path) -> t.Iterator[Host]:
    made = Host(tmp_path)
    yield made
    made.namespace.end()


def test_the_old_job_runs_again_and_jobs_that_came_since_stay(host):
    host.run("useradd", "nightly")
    table, rule = host.tables / "nightly", host.etc / "sudoers.d" / "nightly"
    table.write_text(f"# m h  dom mon dow   command\n{JOB}\n")
    rule.parent.mkdir(exist_ok=True)
    rule.write_text("nightly ALL=(postgres) NOPASSWD: /usr/bin/pg_dump\n")
    rule.chmod(0o440)
    host.play("retire", "adopt_keep.yml", "adopt_retire.yml")
    assert not rule.exists()
    retired = table.read_text()
    assert f"\n{JOB}" not in retired
    table.write_text(f"{retired}5 5 * * * /home/nightly/since.sh\n")
    before = (table.stat().st_ino, host.tables.stat().st_mtime_ns)
    host.play("retire", "adopt_back.yml")
    assert table.read_text() == f"# m h  dom mon dow   command\n{JOB}\n5 5 * * * /home/nightly/since.sh\n"
    # cron reads a table again where its folder has changed.
    assert (table.stat().st_ino, host.tables.stat().st_mtime_ns) != before
    assert host.tables.stat().st_mtime_ns > before[1]
    assert stat.S_IMODE(table.stat().st_mode) == 0o600
    assert (rule.read_text(), stat.S_IMODE(rule.stat().st_mode)) == (
        "nightly ALL=(postgres) NOPASSWD: /usr/bin/pg_dump\n",
        0o440,
    )
    assert sorted(one.name for one in rule.parent.iterdir() if "partial" in one.name) == []
    assert host.kept == []


@pytest.mark.parametrize("boot", ["enabled", "disabled"])
def test_the_firewall_of_before_is_there_again_and_other_tables_stay(host, boot):
    rules = host.etc / "nftables.conf"
    rules.write_text("#!/usr/sbin/nft -f\nflush ruleset\n# written by a person\n")
    host.run("sh", "-c", f"echo {boot} > /run/boot; nft add table inet mine")
    host.play("firewall", "adopt_keep.yml")
    host.run("sh", "-c", "echo enabled > /run/boot; nft add table inet taaraxtak")
    rules.write_text('include "/etc/nftables-taaraxtak.conf"\n')
    (host.etc / "nftables-taaraxtak.conf").write_text("# ours\n")
    host.play("firewall", "adopt_back.yml")
    assert host.run("nft", "list", "tables") == "table inet mine\n"
    assert "written by a person" in rules.read_text()
    assert not (host.etc / "nftables-taaraxtak.conf").exists()
    assert host.run("cat", "/run/boot") == f"{boot}\n"


def test_the_way_back_of_a_firewall_that_was_cut_before_it_loaded_is_taken(host):
    (host.etc / "nftables.conf").unlink(missing_ok=True)
    host.play("firewall", "adopt_keep.yml")
    host.play("firewall", "adopt_back.yml")
    assert host.run("nft", "list", "tables") == ""
    assert host.kept == []


def test_accounts_are_as_open_as_they_were_and_none_is_opened_that_was_closed(host):
    # Stands for the hash: nobody's password.
    for name, *options in [
        ("ops", "-p", "$6$a$ops"),
        ("closed", "-p", "!$6$a$closed", "-e", "2020-01-01"),
        ("alice", "-p", "$6$a$alice", "-e", "2031-01-01"),
    ]:
        host.run("useradd", *options, name)
    shadow = (host.etc / "shadow").read_text()
    host.play("keys", "adopt_keep.yml")
    assert "$6$" not in (host.folder / "lib" / "taaraxtak-adopt" / "keys" / "kept.json").read_text()
    host.run("usermod", "--lock", "--expiredate", "1", "ops")
    host.run("usermod", "--lock", "--expiredate", "1", "closed")
    host.run("usermod", "--lock", "--expiredate", "", "alice")
    read = {"ansible.builtin.slurp": {"src": "/var/lib/taaraxtak-adopt/keys/kept.json"}, "register": "read"}
    noted = {"ansible.builtin.set_fact": {"__adopt_was": "{{ read.content | b64decode | from_json }}"}}
    host.play("keys", read, noted, "adopt_back_accounts.yml")
    assert (host.etc / "shadow").read_text() == shadow


def test_the_file_of_settings_that_the_role_writes_is_the_one_that_is_kept(host):
    (host.etc / "elsewhere.conf").write_text("work_mem = 4MB\n")
    host.play("logins", "adopt_keep.yml", database_settings_file="/etc/elsewhere.conf")
    kept = host.folder / "lib" / "taaraxtak-adopt" / "logins" / "files" / "etc" / "elsewhere.conf"
    assert kept.read_text() == "work_mem = 4MB\n"


def test_what_a_cut_keep_has_copied_is_not_taken_for_kept(host):
    stale = host.folder / "lib" / "taaraxtak-adopt" / "firewall" / "files" / "etc" / "nftables-taaraxtak.conf"
    stale.parent.mkdir(parents=True)
    stale.write_text("# of a run that was cut\n")
    host.play("firewall", "adopt_keep.yml")
    assert not stale.exists()
    assert host.kept == ["firewall"]


def test_a_step_that_was_begun_long_ago_is_taken_back_first(host):
    host.play("firewall", "adopt_keep.yml")
    host.play("firewall", "adopt_keep.yml")
    kept = host.folder / "lib" / "taaraxtak-adopt" / "firewall" / "kept.json"
    os.utime(kept, (kept.stat().st_mtime - 2 * 86400,) * 2)
    said = " ".join(host.play("firewall", "adopt_keep.yml", status=2).split())
    assert "has not come to its end" in said
    assert "playbooks/adopt_back.yml -e adopt_step=firewall" in said
