"""The host's preflight refuses who can't be a person of devops, and a login that can't be tried, with one sentence.

And what its variables make of a host's own updates.
"""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import jinja2
import pytest

ROOT = Path(__file__).parents[2]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHbAB9yrkTIMSqSyzzjmXBnNzxBcGSG/DuLvHHHPjBqX"
PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.import_role": {"name": "taaraxtak.production.host", "tasks_from": "preflight"}}],
    }
]


def preflight(folder: Path, name: str, **more: t.Any) -> subprocess.CompletedProcess[str]:
    """Look at this machine with *name* as the one person of devops."""
    playbook = folder / "play.yml"
    playbook.write_text(json.dumps(PLAY))
    given = {"host_devops": [{"name": name, "keys": [KEY]}], "host_admin_cidrs": ["192.0.2.0/24"], **more}
    return subprocess.run(
        ["ansible-playbook", "-i", "here,", "-e", json.dumps({"ansible_connection": "local", **given}), playbook],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_person_is_taken(tmp_path):
    said = preflight(tmp_path, "alice-of-nowhere")
    assert said.returncode == 0, said.stdout


@pytest.mark.parametrize("name", ["daemon", "postgres", "pgbackup", "dumps-read", "mine"])
def test_an_account_of_the_system_or_of_a_role_is_nobody(tmp_path, name):
    said = preflight(tmp_path, name, collector_user="mine")
    assert said.returncode == 2
    assert f"{name} in host_devops can't be a person on here" in " ".join(said.stdout.split())


@pytest.mark.parametrize("connection", ["ansible.netcommon.libssh", "community.docker.nsenter"])
def test_a_connection_whose_login_can_not_be_tried_is_refused(tmp_path, connection):
    said = preflight(tmp_path, "alice-of-nowhere", ansible_connection=connection)
    assert said.returncode == 2
    reason = f"Ansible reaches here by {connection}, by which no new login can be tried"
    assert reason in " ".join(said.stdout.split())


@pytest.mark.parametrize(("at", "restarts"), [("", "false"), ("23:15", "true")])
def test_a_host_restarts_at_the_time_given_and_without_one_never(at, restarts):
    template = (ROOT / "roles" / "host" / "templates" / "upgrades.conf.j2").read_text()
    written = jinja2.Template(template, undefined=jinja2.StrictUndefined).render(host_reboot_time=at).splitlines()
    assert f'Unattended-Upgrade::Automatic-Reboot "{restarts}";' in written
    assert f'Unattended-Upgrade::Automatic-Reboot-Time "{at or "now"}";' in written
