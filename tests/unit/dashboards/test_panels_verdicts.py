"""A panel is as bad as its worst query, and the list of known broken ones is held against what came out."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.panels import Query
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.verdicts import (
    Checked,
    judge,
    named,
    read_known,
    summary,
)


def checked(result, panel="P", number=1, ref_id="A", kind="panel", why="why", missing=()):
    return Checked(Query("one", "One", panel, number, ref_id, "SELECT 1", "table", kind), result, why, missing)


def known(panel, dashboard="one"):
    return read_known([{"dashboard": dashboard, "panel": panel, "reason": "waits for a migration"}])


@pytest.mark.parametrize(
    ("results", "worst"),
    [
        (["works"], "works"),
        (["works", "slow"], "slow"),
        (["refused", "slow", "works"], "refused"),
        (["refused", "broken", "refused"], "broken"),
    ],
)
def test_a_panel_is_as_bad_as_its_worst_query(results, worst):
    (verdict,), _stale = judge(
        [checked(result, ref_id=letter) for result, letter in zip(results, "ABC", strict=False)], ()
    )
    assert verdict.result == worst


def test_which_of_several_queries_it_is_is_said_and_every_missing_grant():
    (verdict,), _stale = judge(
        [
            checked("refused", missing=("SELECT on table a",)),
            checked("broken", ref_id="B", missing=("SELECT on table b",)),
        ],
        (),
    )
    assert verdict.why == "query B: why"
    assert verdict.missing == ("SELECT on table a", "SELECT on table b")


def test_panels_of_one_title_are_told_apart():
    verdicts, _stale = judge(
        [checked("works"), checked("broken", number=2), checked("slow", kind="variable", number=None)], ()
    )
    assert [one.result for one in verdicts] == ["works", "broken", "slow"]
    assert [named(one) for one in verdicts] == ["P", "P", "variable P"]
    assert summary(verdicts) == {"works": 1, "slow": 1, "refused": 0, "broken": 1, "known_broken": 0}


@pytest.mark.parametrize("result", ["refused", "broken"])
@pytest.mark.parametrize("panel", ["P", "1"])
def test_a_panel_that_is_known_is_marked_with_its_reason(result, panel):
    (verdict,), stale = judge([checked(result)], known(panel))
    assert (verdict.result, verdict.reason, stale) == ("known_broken", "waits for a migration", [])


@pytest.mark.parametrize("result", ["works", "slow"])
def test_an_entry_that_works_again_is_an_error(result):
    (verdict,), stale = judge([checked(result)], known("P"))
    assert verdict.result == result
    assert stale == ["known_broken: P of the dashboard one works again: take the entry out"]


def test_an_entry_of_no_panel_is_an_error():
    for entry in (known("Q"), known("P", dashboard="other")):
        (verdict,), stale = judge([checked("broken")], entry)
        assert verdict.result == "broken"
        assert len(stale) == 1
        assert "is not there" in stale[0]


def test_an_entry_that_could_mean_several_panels_is_an_error():
    verdicts, stale = judge([checked("broken"), checked("broken", number=2)], known("P"))
    assert [one.result for one in verdicts] == ["broken", "broken"]
    assert "write the panel's id" in stale[0]


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([{"dashboard": "one", "panel": "P"}], "entry 1 of known_broken has to have"),
        ([{"dashboard": "one", "panel": "P", "reason": "x", "until": "y"}], "nothing else"),
        ([{"dashboard": "one", "panel": "P", "reason": "  "}], "empty"),
        ([{"dashboard": "one", "panel": None, "reason": "x"}], "empty"),
        ([{"dashboard": "one", "panel": 1, "reason": "x"}, {"dashboard": "one", "panel": "1", "reason": "y"}], "twice"),
    ],
)
def test_an_entry_without_a_reason_or_said_twice_is_refused(entries, said):
    with pytest.raises(ValueError, match=said):
        read_known(entries)
