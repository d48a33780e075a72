"""What the provider was heard to say of its backups of the whole disk."""

from __future__ import annotations

import datetime as dt

import pytest


def test_the_provider_keeps_backups_of_every_host_of_production(provider):
    if provider is None:
        pytest.skip("the inventory declares the provider absent")
    for one in provider["hosts"]:
        assert one["problems"] == [], one["label"]
        assert one["backups"]["enabled"] is True, one["label"]
        asked = dt.datetime.fromisoformat(one["verified_at"].replace("Z", "+00:00"))
        assert asked > dt.datetime.now(dt.UTC) - dt.timedelta(hours=26), (
            "run playbooks/linode.yml with linode_verify=true"
        )
    assert len(provider["hosts"]) >= provider["wanted"]
