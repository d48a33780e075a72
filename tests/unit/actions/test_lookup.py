"""The lookup that reads an incident on the controller: what it gives, and what it refuses."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path

import pytest
import yaml
from ansible import constants as C  # noqa: N812 (as Ansible calls it)
from ansible.errors import AnsibleLookupError
from ansible_collections.taaraxtak.production.plugins.lookup.incident import DOCUMENTATION, LookupModule
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import records
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import GOOD, NAME, rehearsal


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.mkdir()
    (path / "before.yml").write_text(GOOD)
    (path / "rehearsal.yml").write_text(rehearsal().text())
    return path


def looked_up(place: Path, **options: bool) -> dict:
    made = LookupModule()
    # As Ansible's loader does it.
    made._load_name = "incident"
    C.config.initialize_plugin_configuration_definitions("lookup", "incident", yaml.safe_load(DOCUMENTATION)["options"])
    (found,) = made.run([str(place)], {}, **options)
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


QUERY = rehearsal().steps[0].saves[0].query


@pytest.mark.parametrize(
    "changes",
    [
        {
            "saves": (
                records.Save("public", "provider_marketshare", QUERY + "; DROP TABLE public.provider_marketshare"),
            )
        },
        {"saves": (records.Save("public", "provider_marketshare", QUERY.replace(">", ">=")),)},
        {"saves": (records.Save("public", "other", QUERY),)},
        {"saves": ()},
        {"sql": "DELETE FROM public.provider_marketshare WHERE name = 'x'"},
        {"id": "another"},
    ],
)
def test_a_rehearsal_that_saves_other_rows_than_the_plan_s_is_refused(place, changes):
    """What it holds is sent to the server as it stands."""
    made = rehearsal()
    steps = (dataclasses.replace(made.steps[0], **changes),)
    (place / "rehearsal.yml").write_text(dataclasses.replace(made, steps=steps).text())
    with pytest.raises(AnsibleLookupError, match="does not save the rows of this plan: rehearse it again"):
        looked_up(place)
    assert looked_up(place, rehearsed=False)["name"] == NAME


def test_a_rehearsal_with_a_step_too_many_is_refused(place):
    made = rehearsal()
    (place / "rehearsal.yml").write_text(dataclasses.replace(made, steps=made.steps * 2).text())
    with pytest.raises(AnsibleLookupError, match="does not save the rows of this plan"):
        looked_up(place)


def test_a_rehearsal_that_can_t_be_read_is_refused_but_may_be_made_anew(place):
    (place / "rehearsal.yml").write_text("version: 2\n")
    with pytest.raises(AnsibleLookupError, match=r"rehearsal\.yml"):
        looked_up(place)
    assert looked_up(place, rehearsed=False)["saves"]
