"""What is broken by hand is named by the audit, and nothing else; site.yml mends its own, the audit names the rest."""

from __future__ import annotations

import collections
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import testinfra
from acting import play

sys.path.insert(0, str(Path(__file__).parent))
from planted import PLANTED
from planting import FOLDER, NEWEST, PAIR, File
from tunnel import grafana  # noqa: F401 - a fixture of all tests here

ROOT = Path(__file__).resolve().parents[3]
CLEAN, FOUND = 0, 2
INVENTORIES = ("inventory/local", "molecule/drift/inventory")
# With where dumps go by now, which is said by the inventory alone.
LATER = (*INVENTORIES, "molecule/drift/later")
CONTROLLER = "controller"
# A dump is called after its time.
DUMP = re.compile(r"taaraxtak_[0-9.-]+[.]sql[.]zst")


def audited(folder: Path, inventories: tuple[str, ...] = LATER) -> tuple[int, dict]:
    """The audit's exit status and report."""
    given = [word for one in inventories for word in ("--inventory", one)]
    command = [sys.executable, "tools/audit.py", *given, "--folder", str(folder)]
    status = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert status.returncode in (CLEAN, FOUND), status.stdout + status.stderr
    return status.returncode, json.loads((folder / "audit.json").read_text(encoding="utf-8"))


def named(report: dict) -> collections.Counter:
    return collections.Counter(
        (one["rule"], one["host"], DUMP.sub(NEWEST, one["object"])) for one in report["findings"]
    )


def same(found: collections.Counter, meant: collections.Counter) -> None:
    """The two are equal; what is more or less is said."""
    assert [sorted((found - meant).elements()), sorted((meant - found).elements())] == [[], []]


def wanted(*, mended: bool) -> collections.Counter:
    kept = [one for one in PLANTED if not (mended and one.mended)]
    return collections.Counter(
        (rule, one.shown or one.host, paired(about)) for one in kept for rule, about in one.found
    )


def paired(text: str) -> str:
    """The same with the name of the certificate that the role has written."""
    chain = (FOLDER / "tls" / "good.pem").read_text(encoding="utf-8").rstrip() + "\n"
    return text.replace(PAIR, hashlib.sha256(chain.encode()).hexdigest()[:16])


@pytest.fixture(scope="module")
def hosts() -> dict:
    scope = f"taaraxtak-{os.environ['MOLECULE_SCENARIO_NAME']}"
    named = {name: testinfra.get_host(f"podman://{scope}-{name}") for name in ("production", "store")}
    return {**named, CONTROLLER: testinfra.get_host("local://")}


def plant(host, done) -> None:
    if isinstance(done, File):
        word, path = ">>" if done.add else ">", paired(done.path)
        content = done.content if isinstance(done.content, str) else done.content.read_text(encoding="utf-8")
        host.check_output(f"printf %%s %s {word} %s", content, path)
        if not done.add:
            host.check_output("chmod %s %s", done.mode, path)
    else:
        ran = host.run(" ".join(["%s"] * len(done)), *done)
        assert ran.rc == 0 or "oops-fail" in " ".join(done), f"{' '.join(done)}: {ran.stderr}"


def test_the_audit_finds_nothing_where_nothing_is_broken(tmp_path):
    status, report = audited(tmp_path, INVENTORIES)
    assert report["findings"] == []
    assert status == CLEAN


def test_of_each_source_something_is_broken(tmp_path):
    _status, report = audited(tmp_path)
    rules = {one["id"]: one["source"] for one in report["rules"]}
    planted = {rules[rule] for one in PLANTED for rule, _about in one.found}
    assert planted == {one["id"] for one in report["sources"]}
    assert len(PLANTED) >= 30


def test_the_audit_names_what_is_broken_and_nothing_else(hosts, tmp_path):
    for one in PLANTED:
        for done in one.done:
            plant(hosts[one.host], done)
    status, report = audited(tmp_path)
    same(named(report), wanted(mended=False))
    assert status == FOUND


def test_site_mends_its_own_and_the_audit_names_the_rest(tmp_path):
    play("playbooks/site.yml", inventories=[ROOT / one for one in INVENTORIES])
    status, report = audited(tmp_path)
    same(named(report), wanted(mended=True))
    assert status == FOUND
