"""When a key ends."""

from __future__ import annotations

import datetime as dt

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.sshd.times import ssh_time


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("2026-12-01T02:03:04Z", "20261201020304Z"),
        ("2026-12-01", "20261201000000Z"),
        (dt.datetime(2026, 12, 1, 2, 3, 4, tzinfo=dt.UTC), "20261201020304Z"),
        (dt.date(2026, 12, 1), "20261201000000Z"),
    ],
)
def test_a_time_is_written_as_openssh_has_it(value: object, written: str) -> None:
    assert ssh_time(value) == written


@pytest.mark.parametrize(
    "value",
    [
        "",
        "tomorrow",
        "2026-13-01",
        "2026-12-01T02:03:04",
        "2026-12-01T02:03:04+01:00",
        "20261201",
        '2026-12-01",command="x',
        "2026-12-01\nssh-ed25519 AAAA",
    ],
)
def test_what_is_no_time_in_utc_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="is no time in UTC"):
        ssh_time(value)
