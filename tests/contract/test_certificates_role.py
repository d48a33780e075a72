"""The role certificates: an authority keeps its name, and what is given is looked at whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "certificates"
sys.path.insert(0, str(ROOT / "tests" / "stand_ins"))
import authority  # noqa: E402

HOSTS = {"database_hosts": "renamed", "collector_hosts": "collector"}
CLIENTS = [{"role": role, "group": "collector_hosts", "account": role} for role in ("scraper", "second")]


def rendered(folder: Path, host: str, variable: str, **given: t.Any) -> tuple[int, str, t.Any]:
    """The end of a play that writes *variable* of the role as it is for *host*: status, what is said, the value."""
    children = {group: {"hosts": {name: None}} for group, name in HOSTS.items()}
    (folder / "hosts.yml").write_text(json.dumps({"production_hosts": {"children": children}}))
    task = {
        "ansible.builtin.copy": {"content": f"{{{{ {variable} | to_json }}}}", "dest": str(folder / "out.json")},
        "vars": {"ansible_python_interpreter": sys.executable, "certificates_server_names": ["database"], **given},
    }
    play = {
        "hosts": host,
        "connection": "local",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults/main.yml"), str(ROLE / "vars/main.yml")],
        "tasks": [task],
    }
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", folder / "hosts.yml", folder / "play.yml"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    out = folder / "out.json"
    return done.returncode, done.stdout + done.stderr, json.loads(out.read_text()) if out.exists() else None


@pytest.mark.parametrize(("there", "name"), [(True, "Root"), (False, "taaraxtak.production of renamed")])
def test_an_authority_keeps_its_name_whatever_the_hosts_are_called(tmp_path, there, name):
    if there:
        (tmp_path / "ca.crt").write_text(authority.text(authority.Authority().root))
    status, said, got = rendered(tmp_path, "renamed", "__certificates_authority", certificates_folder=str(tmp_path))
    assert (status, got) == (0, name), said


@pytest.fixture
def given(tmp_path) -> dict[str, t.Any]:
    """What is given for the collector, which comes as two roles."""
    made = authority.Authority()
    (tmp_path / "ca.pem").write_text(authority.text(made.root))
    held: dict[str, t.Any] = {"ca": str(tmp_path / "ca.pem")}
    for role in ("scraper", "second"):
        key, path = authority.new_key(), tmp_path / f"{role}.pem"
        path.write_text(made.issue(key, role))
        held[role] = {"certificate": str(path), "key": authority.pem(key)}
    return held


def test_each_certificate_that_is_given_is_looked_at(tmp_path, given):
    words = {"certificates_clients": CLIENTS, "certificates_given": given}
    status, said, got = rendered(tmp_path, "collector", "__certificates_given_problems", **words)
    assert (status, got) == (0, []), said
    given["second"]["key"] = given["scraper"]["key"]
    _, said, got = rendered(tmp_path, "collector", "__certificates_given_problems", **words)
    assert got == ["second: the key is not that of the certificate of CN=second"], said


def test_a_certificate_that_is_missing_is_not_left_out_silently(tmp_path, given):
    words = {"certificates_clients": CLIENTS, "certificates_given": given}
    status, said, got = rendered(tmp_path, "collector", "__certificates_files", **words)
    assert status == 0, said
    assert {"ca.crt", "scraper.crt", "second.crt"} <= {Path(one["path"]).name for one in got}
    Path(given["second"]["certificate"]).unlink()
    status, said, _ = rendered(tmp_path, "collector", "__certificates_files", **words)
    assert status == 2
    assert "second.pem" in said
