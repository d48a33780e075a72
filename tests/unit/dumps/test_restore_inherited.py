"""What a restore without a policy takes over."""

from __future__ import annotations

from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy import settings
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore import inherited


def test_the_settings_that_are_lists_are_those_that_the_policy_knows() -> None:
    """The hosts have this folder without the policy's, so the names stand in both."""
    assert set(inherited._LISTS) == settings.LISTS
