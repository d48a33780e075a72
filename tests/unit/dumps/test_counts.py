"""Counted against streamed: every difference is named."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.counts import Counted, compare


@pytest.mark.parametrize(
    ("counted", "streamed", "differences", "via_root"),
    [
        ([], {}, (), ()),
        ([Counted("a", 2)], {"a": 2}, (), ()),
        ([Counted("a", 0)], {"a": 0}, (), ()),
        ([Counted("a", 2)], {"a": 1}, ("a has 2 rows in the snapshot but 1 were streamed",), ()),
        ([Counted("a", 0)], {}, ("a was counted (0 rows) but not streamed",), ()),
        ([], {"a": 0}, ("a was streamed (0 rows) but not counted",), ()),
        # pg_dump writes such leaves under the root, or, before 2023, under their own names.
        ([Counted("l1", 2, "r"), Counted("l2", 3, "r")], {"r": 5}, (), ("r",)),
        ([Counted("l1", 2, "r"), Counted("l2", 3, "r")], {"l1": 2, "l2": 3}, (), ()),
        (
            [Counted("l1", 2, "r"), Counted("l2", 3, "r")],
            {"r": 4},
            ("r has 5 rows in the snapshot but 4 were streamed",),
            ("r",),
        ),
        (
            [Counted("l", 2)],
            {"r": 2},
            ("l was counted (2 rows) but not streamed", "r was streamed (2 rows) but not counted"),
            (),
        ),
    ],
)
def test_every_difference_is_named(
    counted: list[Counted], streamed: dict[str, int], differences: tuple[str, ...], via_root: tuple[str, ...]
) -> None:
    compared = compare(counted, streamed)
    assert compared.differences == differences
    assert compared.via_root == via_root
