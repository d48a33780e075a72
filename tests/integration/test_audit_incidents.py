"""What the audit asks of the incidents: an approval counts by the keys that the inventory has, and by no other."""

# ruff: noqa: F811 (the fixture is imported)

from __future__ import annotations

import typing as t

from ansible_collections.taaraxtak.production.tests.integration.actions_host import NAME, Action, action  # noqa: F401
from ansible_collections.taaraxtak.production.tests.integration.conftest import run_module


def stands(host: Action, *approvers: str) -> dict[str, t.Any]:
    """Where the incident stands, by the keys of *approvers*."""
    place = host.folder / "incidents" / NAME
    place.mkdir(parents=True, exist_ok=True)
    for name, content in host.files.items():
        (place / name).write_bytes(content)
    keys = [{"name": name, "key": host.keys[name].with_suffix(".pub").read_text()} for name in approvers]
    done = run_module("incident_info", {"folder": str(place.parent), "approver_keys": keys})
    assert not done.failed, done.msg
    (found,) = done.values["incidents"]
    return found


def test_an_approval_is_verified_by_the_keys_of_the_inventory(action):
    action.approve()
    assert stands(action, "alice")["word"] == "approved"
    assert stands(action, "alice")["unverified"] is False


def test_an_approval_by_a_key_that_the_inventory_has_not_is_void(action):
    action.approve()
    (other,) = set(action.keys) - {"alice"}
    found = stands(action, other)
    assert (found["word"], found["unverified"]) == ("void", False)


def test_without_approvers_an_approval_is_told_as_unverified_and_a_plan_is_not(action):
    action.approve()
    found = stands(action)
    assert (found["word"], found["unverified"]) == ("rehearsed", True)
    del action.files["approval.sig"]
    (action.folder / "incidents" / NAME / "approval.sig").unlink()
    assert stands(action)["unverified"] is False
