"""What is broken by hand is named by the audit, and nothing else; site.yml mends its own, the audit names the rest."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import testinfra

sys.path.insert(0, str(Path(__file__).parent))
from planted import PLANTED, File

ROOT = Path(__file__).resolve().parents[3]
CLEAN, FOUND = 0, 2
# Where nothing can be planted: a container has no clock of its own, its disk is the machine's, and there is no Grafana,
# no provider, no incident.
NOT_HERE = {"clock", "disk", "dashboards", "provider", "incidents"}
# A session is over before it can be asked for; the tests of pg_server_info plant one.
NOT_PLANTED = {"sessions"}


def audited(folder: Path) -> tuple[int, dict]:
    """The audit's exit status and report."""
    command = [sys.executable, "tools/audit.py", "--folder", str(folder)]
    status = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert status.returncode in (CLEAN, FOUND), status.stdout + status.stderr
    return status.returncode, json.loads((folder / "audit.json").read_text(encoding="utf-8"))


def named(report: dict) -> collections.Counter:
    return collections.Counter((one["rule"], one["host"], one["object"]) for one in report["findings"])


def wanted(*, mended: bool) -> collections.Counter:
    kept = [one for one in PLANTED if not (mended and one.mended)]
    return collections.Counter((rule, one.host, about) for one in kept for rule, about in one.found)


@pytest.fixture(scope="module")
def hosts() -> dict:
    scope = f"taaraxtak-{os.environ['MOLECULE_SCENARIO_NAME']}"
    return {name: testinfra.get_host(f"podman://{scope}-{name}") for name in ("production", "store")}


def plant(host, done) -> None:
    if isinstance(done, File):
        word = ">>" if done.add else ">"
        host.check_output(f"printf %%s %s {word} %s", done.content, done.path)
        if not done.add:
            host.check_output("chmod %s %s", done.mode, done.path)
    else:
        ran = host.run(" ".join(["%s"] * len(done)), *done)
        assert ran.rc == 0 or "oops-fail" in " ".join(done), f"{' '.join(done)}: {ran.stderr}"


def test_the_audit_finds_nothing_where_nothing_is_broken(tmp_path):
    status, report = audited(tmp_path)
    assert report["findings"] == []
    assert status == CLEAN


def test_each_source_that_can_be_is_broken(tmp_path):
    _status, report = audited(tmp_path)
    sources = {one["id"] for one in report["sources"]}
    rules = {one["id"]: one["source"] for one in report["rules"]}
    planted = {rules[rule] for one in PLANTED for rule, _about in one.found}
    assert planted == sources - NOT_HERE - NOT_PLANTED
    assert len(PLANTED) >= 30


def test_the_audit_names_what_is_broken_and_nothing_else(hosts, tmp_path):
    for one in PLANTED:
        for done in one.done:
            plant(hosts[one.host], done)
    status, report = audited(tmp_path)
    assert named(report) == wanted(mended=False)
    assert status == FOUND


def test_site_mends_its_own_and_the_audit_names_the_rest(tmp_path):
    command = ["ansible-playbook", "-i", "inventory/local", "playbooks/site.yml"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:]
    status, report = audited(tmp_path)
    assert named(report) == wanted(mended=True)
    assert status == FOUND
