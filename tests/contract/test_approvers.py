"""database_approvers: what can't tell people apart is refused, and what is written is read as it was meant."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import approval, records

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "database"
TASK = "preflight | Look whether the approvers can be told apart"
KEYS = [f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{letter * 43}" for letter in "abc"]


def person(name: str, key: str) -> dict[str, str]:
    return {"name": name, "key": key}


def run(tmp_path: Path, *approvers: dict[str, str]) -> tuple[str, Path]:
    """What the preflight says ("" where it has nothing against them), and the file that the role would write."""
    tasks = yaml.safe_load((ROLE / "tasks" / "preflight.yml").read_text())
    written = tmp_path / "allowed_approvers"
    play: dict[str, t.Any] = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable, "database_approvers": list(approvers)},
        "vars_files": [str(ROLE / "vars" / "main.yml")],
        "tasks": [
            {
                "ansible.builtin.copy": {
                    "dest": str(written),
                    "content": "{{ (__database_action_files | selectattr('content', 'defined') | first).content }}",
                    "mode": "0644",
                }
            },
            next(task for task in tasks if task["name"] == TASK),
        ],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "play.yml"],
        cwd=tmp_path,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_FORCE_COLOR": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert written.exists(), done.stdout + done.stderr
    return ("" if done.returncode == 0 else done.stdout), written


def test_people_with_a_key_each_are_written_and_read_again(tmp_path):
    said, written = run(tmp_path, person("alice", f"{KEYS[0]} alice@laptop\n"), person("bob", KEYS[1]))
    assert said == ""
    assert approval.approvers(str(written)) == ("alice", "bob")
    assert written.read_text().count(f'namespaces="{records.NAMESPACE}"') == 2


def test_nobody_is_no_fault_and_nobody_approves(tmp_path):
    said, written = run(tmp_path)
    assert said == ""
    with pytest.raises(ValueError, match="names nobody"):
        approval.approvers(str(written))


@pytest.mark.parametrize(
    "approvers",
    [
        pytest.param([person("alice", KEYS[0]), person("bob", f"{KEYS[0]} bob")], id="one key for two"),
        pytest.param([person("*", KEYS[0])], id="a pattern"),
        pytest.param([person("alice,bob", KEYS[0])], id="two names"),
        pytest.param([person("alice cert-authority", KEYS[0])], id="an option in the name"),
        pytest.param([person("alice", f"cert-authority {KEYS[0]}")], id="an authority"),
        pytest.param([person("alice", f"{KEYS[0]}\nmallory {KEYS[1]}")], id="two lines"),
        pytest.param([person("alice", KEYS[0]), person("bob", f"{KEYS[1]} x\nmallory {KEYS[2]}")], id="a line more"),
        pytest.param([person("alice", "")], id="no key"),
        pytest.param([person("alice", "ssh-ed25519 the-content-of-a-pub-file")], id="a placeholder"),
    ],
)
def test_what_can_not_tell_people_apart_is_refused(tmp_path, approvers):
    said, _written = run(tmp_path, *approvers)
    assert "no two have the same key" in " ".join(said.split())
