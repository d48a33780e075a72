"""What the tests of projects of one's own share: begin one, look at it, and what make would do for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
ENVIRONMENT = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}


def begin(folder: Path, *more: str) -> subprocess.CompletedProcess:
    command = [PLAYBOOK, "-i", "localhost,", ROOT / "playbooks/init.yml", "-e", f"project={folder}", *more]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def doctor(project: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "tools/doctor.py", project]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def make(*words: str, **environment: str) -> subprocess.CompletedProcess:
    command = ["make", "--dry-run", *words]
    there = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=there, capture_output=True, text=True, check=False)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
