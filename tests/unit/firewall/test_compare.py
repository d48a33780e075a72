"""What counts as a difference, and how it is shown."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.firewall.compare import (
    Seen,
    State,
    diff_of,
    differs,
    to_keep,
)

WANTED = State(loaded="table", ours="rules", main="include", enabled=True)


def test_where_all_is_as_wanted_there_is_nothing_to_do() -> None:
    assert not differs(Seen(WANTED), WANTED)
    assert diff_of(WANTED, WANTED) == []


@pytest.mark.parametrize(
    ("change", "kept"),
    [({"loaded": ""}, True), ({"ours": ""}, False), ({"main": ""}, False), ({"enabled": False}, False)],
)
def test_every_part_counts(change: dict[str, object], kept: bool) -> None:
    seen = Seen(dataclasses.replace(WANTED, **change))
    assert differs(seen, WANTED)
    assert to_keep(seen, WANTED) is not kept
    assert len(diff_of(seen.state, WANTED)) == 1


def test_what_nobody_has_confirmed_is_to_be_done_again() -> None:
    assert differs(Seen(WANTED, pending=True), WANTED)
