"""Each test has a stand-in for Linode's API and an inventory of its own, and runs playbooks/linode.yml as people do."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import typing as t
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCENARIO = ROOT / "build" / "molecule-linode"
STAND_IN = ROOT / "tests" / "stand_ins" / "linode" / "linode_stand_in.py"
PRISM = ROOT / "build" / "prism" / "node_modules" / ".bin" / "prism"
DESCRIPTION = os.environ.get("LINODE_OPENAPI", "")
PATIENCE = 60.0
TOKEN = "sesame-of-the-scenario"  # noqa: S105
WRITES = ("POST", "PUT", "DELETE")
# Where the description contradicts itself: everything else that prism says is a defect, ours or the stand-in's.
CONTRADICTIONS = (
    # Its own example (`--rules.inbound_policy DROP`) has what the schema of the same call leaves out.
    r"request\.body\.rules .*additional properties; found '(in|out)bound_policy'",
    # "Displayed as `null` if there was no previous backup", and its schema is not nullable.
    r"response\.body\.(data\.\d+\.)?backups\.last_successful .*must be string",
    # Its own examples of times, 2018-01-01T00:01:01, have no offset, and its format date-time wants one.
    r"response\.body\.(data\.\d+\.)?(backups\.last_successful|created|updated) .*must match format \"date-time\"",
    # Its own example of an entity's url is /v4/linode/instances/123, and its format url wants a host.
    r"response\.body\.(data\.\d+\.)?entity\.url .*must match format \"url\"",
)


@dataclass(frozen=True)
class Run:
    status: int
    said: str  # without line breaks, which Ansible puts anywhere
    raw: str

    @property
    def changed(self) -> int:
        return int(re.findall(r"changed=(\d+)", self.raw)[-1])


class Linode:
    """A stand-in, and the folder of the inventory that is meant for it."""

    def __init__(self, folder: Path, api: str, control: str) -> None:
        self.inventory, self.report, self._control = folder / "inventory", folder / "verify.json", control
        shutil.copytree(ROOT / "molecule" / "linode" / "inventory", self.inventory)
        self.log = folder / "ansible.log"
        own = {
            "__scenario": str(SCENARIO),
            "linode_inventory": "{{ inventory_dir }}",
            "linode_report": str(self.report),
            "linode_api": api,
            # As which user, and by which key, the instance lets its people in.
            "ansible_user": (SCENARIO / "user").read_text(),
            "ansible_ssh_private_key_file": str(SCENARIO / "key"),
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        (self.inventory / "group_vars" / "production_hosts" / "own.yml").write_text(json.dumps(own))

    @property
    def note(self) -> Path:
        return self.inventory / "host_vars" / "production" / "linode.yml"

    @property
    def known_hosts(self) -> Path:
        return self.inventory / "known_hosts.txt"

    def plant(self, *faults: dict[str, t.Any], **state: t.Any) -> None:
        asked(self._control, "POST", {"faults": [{"times": 1, **fault} for fault in faults], "state": state})

    def there(self) -> dict[str, t.Any]:
        return asked(self._control)

    def writes(self) -> list[tuple[str, str]]:
        return [(one["method"], one["path"]) for one in self.there()["asked"] if one["method"] in WRITES]

    def forget(self) -> None:
        asked(self._control, "DELETE")

    def run(self, *arguments: str, token: str = TOKEN, **words: t.Any) -> Run:
        command = [Path(sys.executable).parent / "ansible-playbook", "-i", self.inventory, "-e", json.dumps(words)]
        return finished([*command, *arguments, ROOT / "playbooks" / "linode.yml"], token, self.log)

    def ansible(self, *arguments: str) -> Run:
        command = [Path(sys.executable).parent / "ansible", "-i", self.inventory, "production", *arguments]
        return finished(command, "", self.log)


def asked(control: str, method: str = "GET", body: t.Any = None) -> dict[str, t.Any]:
    """What a stand-in says of itself."""
    request = urllib.request.Request(control, json.dumps(body).encode(), method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return dict(json.load(answer))


def finished(command: list[t.Any], token: str, log: Path) -> Run:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "LINODE_"))}
    environment |= {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"}
    # Arguments of tasks are in the output where nothing hides them.
    environment |= {"ANSIBLE_INJECT_INVOCATION": "true"}
    # No connection of one test serves another.
    environment |= {"ANSIBLE_SSH_ARGS": "-o ControlMaster=no"}
    environment |= {"ANSIBLE_LOG_PATH": str(log), "LINODE_TOKEN": token}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    raw = done.stdout + done.stderr
    # YAML's quotes double what they hold.
    return Run(done.returncode, " ".join(raw.split()).replace("''", "'"), raw)


def until(there: t.Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < end, f"{what} did not come up"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def linode(tmp_path: Path) -> t.Iterator[Linode]:
    """A stand-in; behind prism, where a description is named, which judges every request and every answer."""
    port_file, prism_log = tmp_path / "port", tmp_path / "prism.log"
    command = [sys.executable, STAND_IN, "--port-file", port_file, "--token", TOKEN]
    started = [subprocess.Popen(command)]
    try:
        until(port_file.exists, "the stand-in")
        address = f"http://127.0.0.1:{port_file.read_text()}"
        front = address
        if DESCRIPTION and PRISM.exists():
            port = free_port()
            front = f"http://127.0.0.1:{port}"
            words = ["proxy", "-h", "127.0.0.1", "-p", str(port), DESCRIPTION, address]
            with prism_log.open("wb") as log:
                started.append(subprocess.Popen([PRISM, *words], stdout=log, stderr=subprocess.STDOUT))
            until(lambda: "Prism is listening" in prism_log.read_text(), "prism")
        made = Linode(tmp_path, f"{front}/v4", f"{address}/_control")
        yield made
        assert [one for one in made.there()["asked"] if one["method"] == "DELETE"] == []
        assert judged(prism_log) == []
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def judged(log: Path) -> list[str]:
    """What prism found wrong with a request or an answer."""
    if not log.exists():
        return []
    said = re.findall(r"Violation: (.+)", log.read_text())
    return sorted({one for one in said if not any(re.match(known, one) for known in CONTRADICTIONS)})


@pytest.fixture
def made(linode: Linode) -> Linode:
    """One that has an instance already, as the scenario's own run has made it and written it into the inventory."""
    linode.plant(restore=asked(f"http://127.0.0.1:{(SCENARIO / 'port').read_text()}/_control"))
    shutil.copytree(SCENARIO / "inventory", linode.inventory, dirs_exist_ok=True)
    return linode
