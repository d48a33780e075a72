"""The Makefile is the only entry point: it says what there is, and finds the right Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROMISED = ("up", "down", "status", "test", "lint", "unit", "contract", "sanity", "integration", "molecule", "clean")


def test_make_alone_says_what_there_is():
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in PROMISED:
        assert f"make {target} " in said
    for scenario in (ROOT / "molecule").glob("*/molecule.yml"):
        assert scenario.parent.name in said.splitlines()[-1]


def fake_python(folder: Path, name: str, version: str, status: int = 0) -> None:
    """An interpreter in *folder* that says that it is *version*, or fails with *status* as a shim without one does."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n[ {status} = 0 ] && echo {version}\nexit {status}\n")
    program.chmod(0o755)


def found(folder: Path) -> subprocess.CompletedProcess:
    """What tools/find_python.sh answers where only *folder* is searched."""
    environment = {"PATH": str(folder / "bin"), "HOME": str(folder), "PYENV_ROOT": str(folder / "pyenv")}
    command = ["/bin/sh", str(ROOT / "tools" / "find_python.sh")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({"bin/python3": "3.11", "bin/python3.12": "3.12", "bin/python3.13": "3.13"}, "bin/python3.13"),
        ({"bin/python3": "3.13"}, "bin/python3"),
        ({"bin/python3": "3.11"}, "bin/python3"),
        ({"bin/python3": "3.11", "pyenv/versions/3.12.1/bin/python": "3.12"}, "pyenv/versions/3.12.1/bin/python"),
        ({"bin/python3": "3.15", "bin/python3.11": "3.11"}, "bin/python3.11"),
    ],
)
def test_the_newest_python_that_ansible_knows_is_taken(tmp_path, there, expected):
    for path, version in there.items():
        fake_python((tmp_path / path).parent, Path(path).name, version)
    assert found(tmp_path).stdout.strip() == str(tmp_path / expected)


def test_a_shim_without_its_version_is_passed_over(tmp_path):
    fake_python(tmp_path / "bin", "python3.13", "3.13", status=127)
    fake_python(tmp_path / "bin", "python3.12", "3.12")
    assert found(tmp_path).stdout.strip() == str(tmp_path / "bin" / "python3.12")


def test_no_python_is_said_with_what_to_install(tmp_path):
    fake_python(tmp_path / "bin", "python3", "3.9")
    done = found(tmp_path)
    assert done.returncode == 1
    assert "install the packages python3 and python3-venv" in done.stderr


@pytest.mark.parametrize("scenario", sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")))
def test_every_scenario_has_hosts_of_its_own(scenario):
    """Two runs never share a container or a network."""
    said = subprocess.run(
        [
            Path(sys.executable).parent / "ansible",
            "production",
            "-i",
            "inventory/local",
            "-m",
            "ansible.builtin.debug",
            "-a",
            "var=ansible_host",
        ],
        cwd=ROOT,
        env={**os.environ, "MOLECULE_SCENARIO_NAME": scenario, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"taaraxtak-{scenario}-production" in said.stdout
