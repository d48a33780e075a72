"""The module audit_report as Ansible runs it: its files, its status, check mode, and what it refuses."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.integration.conftest import run_module
from ansible_collections.taaraxtak.production.tests.unit.audit.estates import (
    EXPECTED,
    HOSTS,
    access,
    broken,
    dashboards,
    sources,
)

FILES = {"audit.json", "index.html", "junit.xml", "screen.txt", "taaraxtak_audit.prom"}
AT = "2026-11-23T06:30:00Z"
LATER = "2026-11-23T09:00:00Z"


def options(folder: Path, **more: t.Any) -> dict[str, t.Any]:
    given = [{"id": one.id, "host": one.host, "state": one.state, "data": one.data} for one in sources()]
    hosts = [{"name": one.name, "groups": list(one.groups), "address": one.address} for one in HOSTS]
    return {"folder": str(folder), "sources": given, "hosts": hosts, "expected": EXPECTED, "at": AT, **more}


def with_access(folder: Path, data: dict[str, t.Any], **more: t.Any) -> dict[str, t.Any]:
    given = options(folder, **more)
    given["sources"][0]["data"] = data
    return given


def test_a_clean_estate_has_status_0_and_every_report(tmp_path):
    done = run_module("audit_report", options(tmp_path / "build" / "audit"))
    assert not done.failed, done.msg
    assert done.values["status"] == 0
    assert done.values["findings"] == []
    assert {path.name for path in (tmp_path / "build" / "audit").iterdir()} == FILES
    assert set(done.values["files"]) == {str(tmp_path / "build" / "audit" / name) for name in FILES}
    assert done.changed


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o7777 for path in (folder, *folder.iterdir())}


def test_nobody_else_reads_what_is_open_and_where(tmp_path):
    """The metrics are for node_exporter, which is somebody else; they name findings and say nothing of how."""
    folder = tmp_path / "build" / "audit"
    private = {"audit": 0o700, **dict.fromkeys(FILES, 0o600), "taaraxtak_audit.prom": 0o644}
    run_module("audit_report", options(folder))
    assert modes(folder) == private
    # Reports of a time when everybody could read them, in a folder that somebody has opened.
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    run_module("audit_report", options(folder))
    assert modes(folder) == {**private, "audit": 0o755}


def test_a_second_run_changes_nothing_outside_of_run(tmp_path):
    first = run_module("audit_report", with_access(tmp_path, broken()))
    before = json.loads((tmp_path / "audit.json").read_text())
    second = run_module("audit_report", with_access(tmp_path, broken(), at=LATER))
    after = json.loads((tmp_path / "audit.json").read_text())
    assert first.changed
    assert not second.changed
    assert second.values["new"] == second.values["gone"] == []
    assert before.pop("run") != after.pop("run")
    assert before == after


def test_one_stray_grant_is_status_2_and_new_and_then_gone(tmp_path):
    run_module("audit_report", options(tmp_path))
    done = run_module(
        "audit_report", with_access(tmp_path, {**access(), "findings": broken()["findings"][:1]}), diff=True
    )
    assert done.values["status"] == 2
    assert done.values["new"] == [one["id"] for one in done.values["findings"]]
    assert done.values["diff"]["before"] == ""
    assert "PUBLIC may INSERT" in done.values["diff"]["after"]
    assert "PUBLIC may INSERT" in done.values["screen"]
    again = run_module("audit_report", options(tmp_path))
    assert again.values["status"] == 0
    assert again.values["gone"] == done.values["new"]


def test_what_could_not_be_looked_at_is_status_3(tmp_path):
    given = options(tmp_path)
    read = [one for one in given["sources"] if one["id"] != "dumps"]
    given["sources"] = [*read, {"id": "dumps", "host": "store", "state": "unreadable", "why": "no answer"}]
    done = run_module("audit_report", given)
    assert done.values["status"] == 3
    assert done.values["summary"]["sources"] == {"read": len(read), "unreadable": 1, "absent": 0}


def test_below_the_limit_it_is_status_0(tmp_path):
    given = options(tmp_path, fail_on="high")
    next(one for one in given["sources"] if one["id"] == "dashboards")["data"] = {**dashboards(), "updated": ["a"]}
    done = run_module("audit_report", given)
    assert (done.values["status"], len(done.values["findings"])) == (0, 1)


def test_check_mode_writes_nothing_and_says_the_same(tmp_path):
    done = run_module("audit_report", with_access(tmp_path / "new", broken()), check=True)
    assert done.values["status"] == 2
    assert done.changed
    assert list(tmp_path.iterdir()) == []


def test_an_older_report_that_was_cut_is_no_obstacle(tmp_path):
    (tmp_path / "audit.json").write_text('{"schema": 1, "fin')
    done = run_module("audit_report", options(tmp_path))
    assert done.values["status"] == 0
    assert "can't be read" in json.loads((tmp_path / "audit.json").read_text())["run"]["since"]["why"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"at": "today"}, "write a time in UTC"),
        ({"accepted": [{"id": "x"}]}, "audit_accepted, entry 1 lacks object and reason and expires"),
        ({"absent": [{"source": "dumps"}]}, "audit_absent, entry 1 lacks reason"),
        ({"hosts": [{"name": "store", "groups": []}]}, "none of the hosts"),
    ],
)
def test_what_can_not_be_understood_is_refused_and_nothing_is_written(tmp_path, more, said):
    done = run_module("audit_report", options(tmp_path / "new", **more))
    assert done.failed
    assert said in done.msg
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_not_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    done = run_module("audit_report", options(tmp_path / "file" / "audit"))
    assert done.failed
    assert "could not make the folder" in done.msg or "can't be read" in done.msg
