"""The lookup that reads an incident on the controller: what it gives, and what it refuses."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from ansible.errors import AnsibleLookupError
from ansible_collections.taaraxtak.production.plugins.lookup.incident import LookupModule
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import records
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import GOOD, NAME, rehearsal


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.mkdir()
    (path / "before.yml").write_text(GOOD)
    (path / "rehearsal.yml").write_text(rehearsal().text())
    return path


def looked_up(place: Path) -> dict:
    (found,) = LookupModule().run([str(place)])
    return found


def test_what_a_host_needs_is_read(place):
    found = looked_up(place)
    assert {name: base64.b64decode(content) for name, content in found["files"].items()} == {
        "before.yml": GOOD.encode(),
        "rehearsal.yml": (place / "rehearsal.yml").read_bytes(),
    }
    assert found["confirmation"] == records.confirmation(NAME, records.sha256(GOOD.encode()))
    assert (found["name"], found["path"], found["host"], found["database"]) == (
        NAME, str(place), "production", "taaraxtak",
    )  # fmt: skip
    (save,) = found["saves"]["remove-duplicates"]
    assert (save["schema"], save["table"]) == ("public", "provider_marketshare")
    assert save["query"].endswith("FOR UPDATE OF taaraxtak_saved")


@pytest.mark.parametrize("file", ["before.yml", "rehearsal.yml", "approval.sig", "after.yml"])
def test_a_link_in_the_place_of_a_file_is_refused(place, tmp_path, file):
    (tmp_path / "elsewhere").write_text(GOOD)
    (place / file).unlink(missing_ok=True)
    (place / file).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AnsibleLookupError, match="no link"):
        looked_up(place)


def test_a_link_in_the_place_of_the_folder_is_refused(place, tmp_path):
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AnsibleLookupError, match="no link"):
        looked_up(place)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("version: 1", "version: 2", "the only version there is"),
        (NAME, "2026-11-22-other", "is of the incident 2026-11-22-other"),
        ("WHERE a.name = b.name AND a.ctid > b.ctid", "", "without-where"),
        ("DELETE FROM", "TRUNCATE; DELETE FROM", "syntax"),
        ("reporter: alice", "reporter: &a alice", "anchor"),
    ],
)
def test_a_plan_that_may_not_be_carried_out_is_refused(place, old, new, why):
    (place / "before.yml").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(AnsibleLookupError, match=why):
        looked_up(place)
