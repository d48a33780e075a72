# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdicts of the fault suite: it must see what it is there to see."""

from __future__ import annotations

import dataclasses
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from faults.accounts import HOSTILE, PLANTED
from faults.hosts import Files
from faults.running import WHOLE, Fault, Seen, measure
from faults.table import FAULTS, QUICK

OLD = "/store/archive/db_2026-01-01-03.00.00.sql.zst"
NEW = "/store/archive/db_2026-01-02-03.00.00.sql.zst"
ROLES = "/store/archive/db_2026-01-02-03.00.00.globals.sql.zst"
ROW = [1, 2, 3, 4, 5, "sha256"]
BEFORE = Files({OLD: ROW}, {OLD: True})


@dataclasses.dataclass
class Estate:
    """Hosts of which only what is seen matters."""

    after: Files = BEFORE
    remains: list[str] = dataclasses.field(default_factory=list)
    looks: int = 0

    def files(self) -> Files:
        self.looks += 1
        return BEFORE if self.looks == 1 else self.after

    def left(self) -> list[str]:
        return self.remains

    def sweep(self) -> None:
        pass


def held(estate: Estate, *, status: int = 1, said: str = "it broke", **fault: t.Any) -> bool:
    tried = Fault("a fault", lambda _: Seen(status, said), "broke", **fault)
    return measure(t.cast(t.Any, estate), tried).held


def test_a_fault_that_is_told_and_leaves_nothing_is_held():
    assert held(Estate())


def test_an_exit_status_of_0_is_not_held():
    assert not held(Estate(), status=0)


def test_another_reason_is_not_held():
    assert not held(Estate(), said="")


@pytest.mark.parametrize("row", [[9, 2, 3, 4, 5, "sha256"], [1, 9, 3, 4, 5, "sha256"], [1, 2, 3, 4, 5, "other"], None])
def test_an_earlier_dump_that_changed_or_went_is_not_held(row):
    assert not held(Estate(Files({OLD: row} if row else {}, {OLD: True})))


def test_a_dump_where_there_should_be_none_is_not_held():
    assert not held(Estate(Files({OLD: ROW, NEW: ROW}, {OLD: True, NEW: True})))


def test_a_bad_dump_is_not_held_even_where_a_whole_one_is_expected():
    after = Files({OLD: ROW, NEW: ROW}, {OLD: True, NEW: False})
    assert not held(Estate(after), publishes=WHOLE)
    assert not held(Estate(Files({OLD: ROW, ROLES: ROW}, {OLD: True, ROLES: False})))


def test_whole_globals_may_have_gone_before():
    assert held(Estate(Files({OLD: ROW, ROLES: ROW}, {OLD: True, ROLES: True})))


def test_a_whole_dump_that_did_not_come_is_not_held():
    assert not held(Estate(), publishes=WHOLE)
    assert held(Estate(Files({OLD: ROW, NEW: ROW}, {OLD: True, NEW: True})), publishes=WHOLE)


def test_a_partial_is_held_only_where_it_can_not_be_removed():
    after = Files({OLD: ROW, f"{NEW}.partial": ROW}, {OLD: True})
    assert not held(Estate(after))
    assert held(Estate(after), partial=True)


def test_what_is_left_running_is_not_held():
    assert not held(Estate(remains=["pg_dump"]))


def test_a_fault_that_could_not_be_injected_is_not_held():
    def broken(_estate: t.Any) -> Seen:
        raise RuntimeError("no such host")

    assert not measure(t.cast(t.Any, Estate()), Fault("a fault", broken)).held


def test_every_fault_has_a_name_and_a_reason_of_its_own():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert all(fault.words for fault in FAULTS)
    assert 10 <= len(QUICK) <= 15


def test_what_a_hostile_environment_leads_to_is_made():
    """A variable that leads nowhere proves nothing."""
    folder = "/tmp/faultbed/"
    assert {value.removeprefix(folder) for value in HOSTILE.values() if value.startswith(folder)} <= PLANTED.keys()
