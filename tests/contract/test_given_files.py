"""Files that somebody names to a playbook are looked for where they stand, byte by byte, as any other command does."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
HOST_FILES = "taaraxtak.production.host_files"


def variables(tasks: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """Those of the one task below *tasks* that brings files which are named."""
    (block,) = (task["block"] for task in tasks if any(HOST_FILES in one for one in task.get("block", [])))
    (found,) = (task["vars"] for task in block if HOST_FILES in task)
    return dict(found)


LOCAL = variables(yaml.safe_load((PLAYBOOKS / "tasks" / "local_restore.yml").read_text()))
RESTORE = variables(yaml.safe_load((PLAYBOOKS / "restore.yml").read_text())[3]["tasks"])
GIVEN = {
    "local": (LOCAL, "__local_key_files + __local_signers_file", ["local_key", "local_known_hosts", "local_signers"]),
    "restore": (RESTORE, "__restore_given", ["restore_key", "restore_identity"]),
}


@pytest.mark.parametrize("playbook", GIVEN)
def test_a_file_is_found_from_where_the_command_is_run(tmp_path: Path, playbook: str) -> None:
    found, expression, names = GIVEN[playbook]
    # The playbook is not where it is called from.
    here, away = tmp_path / "here", tmp_path / "away"
    for folder in (here, away):
        folder.mkdir()
    for name in names:
        (here / name).write_bytes(f"{name} \n\n".encode())
    written = tmp_path / "files.json"
    signers = {"content": base64.b64encode(b"signers").decode()}
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {
            **found,
            **{name: f"./{name}" for name in names},
            **{"__local_run": "/run/x", "__restore_run": "/run/x", "__restore_from": {"__restore_signers": signers}},
        },
        "tasks": [{"ansible.builtin.copy": {"dest": str(written), "content": "{{ (" + expression + ") | to_json }}"}}],
    }
    (away / "play.yml").write_text(json.dumps([play]))
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", away / "play.yml"],
        capture_output=True,
        text=True,
        check=False,
        cwd=here,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    contents = {base64.b64decode(file["content_base64"]) for file in json.loads(written.read_text())}
    assert contents - {b"signers"} == {f"{name} \n\n".encode() for name in names}
