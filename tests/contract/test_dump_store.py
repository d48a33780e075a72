"""The store's role: what is expected where nobody says so, and what becomes of a check that ends without a verdict."""

from __future__ import annotations

import fnmatch
import json
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps import keeper
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.finding import Level
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.store import ARCHIVER

ROLE = Path(__file__).parents[2] / "roles" / "dump_store"


def expected(folder: Path, said: dict[str, t.Any]) -> dict[str, t.Any]:
    """What the role writes into the check's settings for three writers, of which one says nothing."""
    hosts = {"one": {"backup_databases": ["app", "other"]}, "two": {"backup_databases": ["app", "third"]}, "three": {}}
    store = {
        "dump_store_writers": [{"inventory_name": name, "from": "192.0.2.1"} for name in hosts],
        "dump_store_expect": said,
        "dump_store_drill": True,
    }
    return dict(evaluated(folder, "__dump_store_expect", store, hosts))


def evaluated(folder: Path, name: str, store: dict[str, t.Any], hosts: dict[str, t.Any] | None = None) -> t.Any:
    """What the role's variable *name* is on a store with the variables *store*."""
    every = {**(hosts or {}), "store": {"ansible_connection": "local", **store}}
    (folder / "inventory.yml").write_text(json.dumps({"all": {"hosts": every}}))
    written = folder / "value.json"
    play = {
        "hosts": "store",
        "gather_facts": False,
        "tasks": [
            {"ansible.builtin.include_vars": str(ROLE / "vars" / "main.yml")},
            {
                "ansible.builtin.copy": {
                    "dest": str(written),
                    "content": "{{ " + name + " | to_json }}",
                    "mode": "0600",
                }
            },
        ],
    }
    (folder / "play.yml").write_text(json.dumps([play]))
    subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", folder / "inventory.yml", folder / "play.yml"],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    return json.loads(written.read_text())


@pytest.mark.parametrize(
    ("said", "databases"),
    [
        ({}, ["app", "other", "third"]),
        ({"look_back_days": 3}, ["app", "other", "third"]),
        ({"databases": ["x"]}, ["x"]),
    ],
)
def test_what_the_writers_bring_is_expected_unless_the_inventory_says_else(
    tmp_path: Path, said: dict[str, t.Any], databases: list[str]
) -> None:
    assert expected(tmp_path, said) == {**said, "databases": databases}


SHOWN = """Id=taaraxtak-dumps-check.timer
NeedDaemonReload=no
ActiveEnterTimestamp=Mon 2026-11-23 12:00:00.500000 UTC

Id=taaraxtak-dumps-check.service
NeedDaemonReload=no
ActiveEnterTimestamp=

ActiveEnterTimestamp=Mon 2026-11-23 12:00:00.500000 UTC
NeedDaemonReload=no
Id=taaraxtak-dumps-prune.timer

Id=taaraxtak-drill.socket
NeedDaemonReload=no
ActiveEnterTimestamp=

Id=taaraxtak-drill@.service
NeedDaemonReload=no
ActiveEnterTimestamp=n/a

Id=taaraxtak-dumps-archive.timer
NeedDaemonReload=no
ActiveEnterTimestamp=Esmaspäev 2026-11-23 12:00:00.500000 UTC"""
NOON = 1795435200


def test_a_unit_that_was_started_before_its_file_was_written_is_started_anew(tmp_path: Path) -> None:
    """Though the run that wrote it was cut short, and this one finds nothing to write."""
    written = {
        "taaraxtak-dumps-check.timer": NOON + 0.6,
        "taaraxtak-dumps-prune.timer": NOON + 0.4,
        # Never started; not there at all, nor known to systemd.
        "taaraxtak-drill.socket": NOON + 1,
        "taaraxtak-drill@.service": NOON + 1,
        "taaraxtak-dumps-drill.timer": None,
        "taaraxtak-dumps-archive.path": NOON + 1,
        # In no language that this machine reads.
        "taaraxtak-dumps-archive.timer": NOON + 1,
    }
    dated = [
        {"item": unit, "stat": {"exists": at is not None} | ({} if at is None else {"mtime": at})}
        for unit, at in written.items()
    ]
    facts = {"__dump_store_dated": {"results": dated}, "__dump_store_loaded": {"stdout": SHOWN}}
    assert evaluated(tmp_path, "__dump_store_outdated", facts) == [
        "taaraxtak-dumps-check.timer",
        "taaraxtak-dumps-archive.timer",
    ]


def test_what_an_earlier_run_has_left_out_is_asked_of_systemd() -> None:
    tasks = {task["name"]: task for task in yaml.safe_load((ROLE / "tasks" / "main.yml").read_text())}
    asked = tasks["Ask systemd whether it has read its units, and since when they run"]["ansible.builtin.command"]
    # What is not active has been read too.
    assert "--all" in asked["argv"]
    units = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
    for unit in units["__dump_store_units"] + units["__dump_store_drill_units"]:
        assert fnmatch.fnmatchcase(unit, asked["argv"][-1])
    reading = tasks["Have systemd read its units"]
    assert "'NeedDaemonReload=yes' in __dump_store_loaded.stdout_lines" in reading["when"]


def test_a_check_without_a_verdict_is_told_by_systemd() -> None:
    lines = (ROLE / "templates" / "taaraxtak-dumps-check.service.j2").read_text().splitlines()
    assert "OnFailure=taaraxtak-dumps-failed@%n.service" in lines
    (well,) = [line.partition("=")[2].split() for line in lines if line.startswith("SuccessExitStatus=")]
    assert well == [str(int(level)) for level in (Level.WARNING, Level.CRITICAL)]
    assert str(keeper.CRASHED) not in well


def test_sshd_is_asked_whether_it_drops_a_connection_that_is_dead() -> None:
    """What a transfer was promised is held until it ends, and a network that broke ends nothing by itself."""
    lines = [line.strip() for line in (ROLE / "templates" / "sshd.conf.j2").read_text().splitlines()]
    asked = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["__dump_store_effective_both"]
    for setting in ("ClientAliveInterval 15", "ClientAliveCountMax 4"):
        # Within the block that each of the accounts has.
        assert lines.index("{% endfor %}") > lines.index(setting) > lines.index("Match User {{ user }}")
        assert setting.lower() in asked


def test_whoever_tells_of_the_archivers_failure_may_note_it_as_untold() -> None:
    folders = []
    for unit in ("archive", "failed@"):
        lines = (ROLE / "templates" / f"taaraxtak-dumps-{unit}.service.j2").read_text().splitlines()
        folders += [line for line in lines if line.startswith("StateDirectory")]
    assert folders == ["StateDirectory=taaraxtak-dumps-archive", "StateDirectoryMode=0700"] * 2
    noted = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["__dump_store_settings"]["refusals"]
    assert noted.startswith("/var/lib/taaraxtak-dumps-archive/")
    assert (ROLE / "templates" / ARCHIVER.replace(".service", ".service.j2")).is_file()
