"""What a new store has to have before the old one goes: all of before, and something beside what came later."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.moved import NEAR, lacking
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.retention import Policy, Stored, decide

Row = dict[str, t.Any]


def dump(name: str, **more: t.Any) -> Row:
    """What a store says of a dump of the day and hour in *name*."""
    day, hour = name.split()
    kind = more.get("kind", "dump")
    return {
        "name": f"a_{day}-{hour}.{kind}", "started": f"{day}T{hour.replace('.', ':')}Z", "database": "a", "kind": kind,
        "archived": True, "signed": True, "signer": "production", "sha256": f"{day} {hour}", **more,
    }  # fmt: skip


def each(rows: t.Iterable[Row], **more: t.Any) -> list[Row]:
    return [{**row, **more} for row in rows]


BEFORE, BOTH = dump("2026-11-01 03.00.00"), dump("2026-11-09 03.00.00")
OLDS = [dump(f"2026-11-{day} 03.00.00") for day in (10, 11, 12)]
OWN = [dump(f"2026-11-{day} 03.00.07") for day in ("09", 10, 11, 12)]
SAVED = dump("2026-11-11 03.00.00", kind="saved")
EARLIER = dump("2026-11-09 01.00.00")
UNSIGNED: Row = {"signed": False, "signer": ""}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([BEFORE, BOTH, *OLDS], [BEFORE, BOTH, *OWN], []),
        # Up to the newest that both have everything was to be copied, though there may be one of the same day.
        ([BEFORE, BOTH, *OLDS], [BOTH, *OWN], [BEFORE]),
        ([EARLIER, BOTH, *OLDS], [BOTH, *OWN], [EARLIER]),
        # After it the old store's is begun before the new one's, or after it.
        ([BEFORE, BOTH, *OLDS], [BEFORE, *OWN], []),
        ([BEFORE, *OWN[1:]], [BEFORE, *OLDS], []),
        # Nothing in common: what is from before the first of its own.
        ([BEFORE, BOTH, *OLDS], OWN, [BEFORE, BOTH]),
        # A night in which the new one got nothing, another database, what does not count, and no dump of its own.
        ([BEFORE, BOTH, *OLDS], [BEFORE, BOTH, *OWN[:2], OWN[3]], [OLDS[1]]),
        ([BOTH, *OLDS], [BOTH, *each(OWN, database="b")], OLDS),
        ([BOTH, *OLDS], [BOTH, *each(OWN, signer="another")], OLDS),
        ([BOTH, *OLDS], [BOTH, *each(OWN, **UNSIGNED)], OLDS),
        ([BOTH, *OLDS], [BOTH, *each(OWN, archived=False)], OLDS),
        ([BOTH, *OLDS], [BOTH], OLDS),
        # Copied ones that the old store keeps no longer are none that it was brought.
        ([EARLIER, BOTH], [BEFORE, BOTH, OWN[0]], [EARLIER]),
        # Of that name, and not it: another host's, one whose signature is wrong there, and one that isn't archived.
        ([BEFORE, BOTH], [{**BEFORE, "signer": "another"}, BOTH], [BEFORE]),
        ([BEFORE, BOTH], [{**BEFORE, **UNSIGNED}, BOTH], [BEFORE]),
        ([BEFORE, BOTH], [{**BEFORE, "archived": False}, BOTH], [BEFORE]),
        # Two that were begun in the same second by the same host; old ones that nobody has signed.
        ([BEFORE, BOTH], [{**BEFORE, "sha256": "other"}, BOTH], []),
        ([{**BEFORE, **UNSIGNED}, BOTH], [{**BEFORE, **UNSIGNED}, BOTH], []),
        ([{**BEFORE, **UNSIGNED}, BOTH], [BEFORE, BOTH], []),
        ([{**BEFORE, **UNSIGNED}, BOTH], [{**BEFORE, **UNSIGNED, "sha256": "other"}, BOTH], [BEFORE]),
        # Saved rows are the same in all stores, and what waits for the archiver is nowhere else.
        ([SAVED], [dump("2026-11-11 02.00.00", kind="saved"), *OWN], [SAVED]),
        ([SAVED], [{**SAVED, "sha256": "encrypted anew"}], []),
        ([{**SAVED, **UNSIGNED, "archived": False}], OWN, [SAVED]),
        ([], OWN, []),
    ],
)  # fmt: skip
def test_what_is_of_before_and_something_beside_what_is_of_later(old, new, expected):
    assert lacking(old, new) == [row["name"] for row in expected]


@pytest.mark.parametrize("hours", [11, 12])
def test_beside_is_nearer_than_half_a_day(hours):
    own = dump(f"2026-11-10 {3 + hours:02}.00.00")
    assert lacking([BOTH, OLDS[0]], [BOTH, own]) == ([] if dt.timedelta(hours=hours) < NEAR else [OLDS[0]["name"]])


@pytest.mark.parametrize("apart", [-20, 20])
def test_as_the_retention_of_both_goes_on_the_new_one_lacks_nothing(apart):
    """A year of nights, of which each store gets one some seconds after the other and keeps by its own retention."""

    def stored(at: dt.datetime) -> Stored:
        return Stored(DumpName("a", at), at)

    def rows(history: t.Iterable[Stored]) -> list[Row]:
        return [dump(one.name.started.strftime("%Y-%m-%d %H.%M.%S")) for one in history]

    night, noon = dt.datetime(2026, 1, 1, 3, tzinfo=dt.UTC), dt.timedelta(hours=9)
    old = [stored(night + dt.timedelta(days=day)) for day in range(30)]
    # Step 2 at noon: both are brought one, and then everything is copied.
    moved = old[-1].received + noon
    old.append(stored(moved))
    new = [*old, stored(moved + dt.timedelta(seconds=apart))]
    for day in range(30, 365):
        at = night + dt.timedelta(days=day)
        old, new = [*old, stored(at)], [*new, stored(at + dt.timedelta(seconds=apart))]
        old, new = (kept(history, at + dt.timedelta(hours=2)) for history in (old, new))
        assert lacking(rows(old), rows(new)) == [], f"day {day}"


def kept(history: list[Stored], now: dt.datetime) -> list[Stored]:
    staying = {one.name for one in decide(history, Policy(), now) if one.keep}
    return [one for one in history if one.name in staying]
