"""The frame: what was not seen is never clean, and what is accepted is exactly that, until its last day."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.declared import (
    Absence,
    Deviation,
    read_absences,
    read_deviations,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.frame import Judged
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.grid import grids
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.model import Source, read_source
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.report import status
from ansible_collections.taaraxtak.production.tests.unit.audit.estates import (
    HOSTS,
    NOW,
    broken,
    dashboards,
    dumps,
    judged,
    sources,
)

EDITED = {**dashboards(), "updated": ["ooni"], "equal": False}
DAY = NOW.date()
EDITED_ID = judged(sources(dashboards=EDITED)).findings[0].id


def rules(done: Judged) -> list[tuple[str, str]]:
    return [(one.rule, one.host) for one in done.findings]


def deviation(id_: str = EDITED_ID, about: str = "dashboard ooni", days: int = 0, host: str = "") -> Deviation:
    return Deviation(id_, about, "known", DAY + dt.timedelta(days=days), host)


def test_an_estate_under_its_policy_is_clean():
    done = judged()
    assert rules(done) == []
    assert status(done, "low") == 0


@pytest.mark.parametrize("gone", ["access", "dumps", "dashboards", "incidents"])
def test_a_source_that_nobody_hands_over_is_a_finding_and_no_clean(gone):
    done = judged([one for one in sources() if one.id != gone])
    assert [one.rule for one in done.findings] == ["source-unreadable"]
    assert [one.state for one in done.sources if one.id == gone] == ["unreadable"]
    assert status(done, "critical") == 3


def test_one_that_could_not_be_read_says_why():
    given = [dataclasses.replace(one, state="unreadable", why="sudo asks for a password") for one in sources()[:1]]
    done = judged([*given, *sources()[1:]])
    assert "sudo asks for a password" in done.findings[0].evidence
    assert done.findings[0].severity == "high"


@pytest.mark.parametrize(
    ("id_", "data"),
    [
        ("dashboards", {"added": []}),
        ("access", {"findings": [{"rule": "excess-privilege"}]}),
        ("access", {"findings": "none"}),
        ("access", {"findings": [{**broken()["findings"][0], "rule": "of-tomorrow"}]}),
        ("access", {"findings": [], "effective": [{"database": "x"}]}),
        ("access", {"findings": [], "grid": [{"database": "x"}]}),
        ("access", {"findings": [], "grid": [{**grids(broken())[0], "ways": []}]}),
        ("dumps", {"dumps": [{"name": "x"}]}),
        ("dumps", {**dumps(), "dumps": [{**dumps()["dumps"][0], "bytes": "many"}]}),
        ("dumps", {**dumps(), "dumps": [{**dumps()["dumps"][0], "received": "yesterday"}]}),
        ("dumps", {**dumps(), "links": [{"from": "x"}]}),
        ("incidents", {"incidents": [None]}),
    ],
)
def test_an_answer_that_can_not_be_understood_was_not_read(id_, data):
    done = judged(sources(**{id_: data}))
    assert [one.rule for one in done.findings] == ["source-unreadable"]
    assert status(done, "low") == 3


def test_what_was_found_stands_before_what_could_not_be_looked_at():
    given = [one for one in sources(dashboards=EDITED) if one.id != "dumps"]
    assert status(judged(given), "low") == 2
    assert status(judged(given), "high") == 3


def test_a_source_is_absent_for_a_reason_and_no_finding():
    given = [one for one in sources() if one.id != "dashboards"]
    done = judged(given, absences=[Absence("dashboards", "no Grafana here yet", "production")])
    assert rules(done) == []
    assert [(one.state, one.why) for one in done.sources if one.id == "dashboards"] == [
        ("absent", "no Grafana here yet")
    ]
    assert status(done, "low") == 0


def told_absent(id_, host="production"):
    given = [one for one in sources() if (one.id, one.host) != (id_, host)]
    return [*given, Source(id_, host, "absent", "I have none")]


@pytest.mark.parametrize(("id_", "found"), [("dashboards", []), ("clock", []), ("access", [1]), ("firewall", [1])])
def test_what_says_of_itself_that_it_is_absent_is_not_believed_but_where_that_may_be(id_, found):
    done = judged(told_absent(id_))
    assert [one.rule for one in done.findings] == ["source-unreadable" for _ in found]
    assert judged(told_absent(id_), absences=[Absence(id_, "so it is", "production")]).findings == ()


def test_what_no_host_is_asked_for_is_not_clean():
    """An inventory without a group asks nobody for what its hosts would have said."""
    hosts = [dataclasses.replace(one, groups=tuple(set(one.groups) - {"dashboards_hosts"})) for one in HOSTS]
    given = [one for one in sources() if one.id != "dashboards"]
    (found,) = judged(given, hosts=hosts).findings
    assert found.rule == "source-unreadable"
    assert "no host is in dashboards_hosts" in found.evidence
    assert judged(given, hosts=hosts, absences=[Absence("dashboards", "no Grafana here")]).findings == ()


def test_of_another_host_a_declaration_says_nothing():
    given = [one for one in sources() if one.id != "dashboards"]
    done = judged(given, absences=[Absence("dashboards", "no Grafana here yet", "store")])
    assert sorted(rules(done)) == [("source-unreadable", "production"), ("unused-absence", "store")]


def test_what_is_there_is_judged_whatever_is_declared():
    done = judged(sources(dashboards=EDITED), absences=[Absence("dashboards", "we are tired of it")])
    assert sorted(one.rule for one in done.findings) == ["dashboard-edited", "unused-absence"]


@pytest.mark.parametrize("days", [0, 1, 400])
def test_an_accepted_deviation_counts_no_more_until_its_last_day(days):
    done = judged(sources(dashboards=EDITED), deviations=[deviation(days=days)])
    assert rules(done) == []
    assert [one.rule for one, _by in done.accepted] == ["dashboard-edited"]


def test_from_the_next_day_it_counts_again_and_says_so():
    done = judged(sources(dashboards=EDITED), deviations=[deviation(days=-1)])
    assert sorted(one.rule for one in done.findings) == ["dashboard-edited", "expired-deviation"]
    assert done.accepted == ()


@pytest.mark.parametrize(
    "one",
    [
        deviation(about="dashboard other"),
        deviation(host="store"),
        deviation("dashboard-edited"),
        deviation("dashboard-edited-0123456789"),
    ],
)
def test_a_deviation_of_something_else_accepts_nothing_and_is_unused(one):
    done = judged(sources(dashboards=EDITED), deviations=[one])
    assert sorted(each.rule for each in done.findings) == ["dashboard-edited", "unused-deviation"]


def test_a_finding_is_accepted_by_its_own_id():
    (found,) = judged(sources(dashboards=EDITED)).findings
    assert judged(sources(dashboards=EDITED), deviations=[deviation(found.id)]).findings == ()


def test_where_the_source_was_not_read_nobody_knows_whether_a_deviation_is_unused():
    given = [one for one in sources() if one.id != "dashboards"]
    done = judged(given, deviations=[deviation(), deviation("dashboard-edited-0123456789")])
    assert [one.rule for one in done.findings] == ["source-unreadable"]


@pytest.mark.parametrize("id_", ["source-unreadable", "source-unreadable-0123456789", "expired-deviation-0123456789"])
def test_what_was_not_seen_can_not_be_accepted(id_):
    with pytest.raises(ValueError, match="only mended"):
        judged(deviations=[deviation(id_, "source dumps")])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Source("nothing", "production", "read"), "knows no source nothing"),
        (Source("access", "elsewhere", "read"), "none of the hosts"),
        (sources()[0], "handed over twice"),
    ],
)
def test_a_source_that_does_not_belong_here_is_refused(source, said):
    with pytest.raises(ValueError, match=said):
        judged([*sources(), source])


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "must be a mapping"),
        ({"id": "access", "host": "x", "state": "fine"}, "write read, unreadable, absent"),
        ({"id": "access", "state": "read"}, "lacks host"),
        ({"id": "access", "host": "x", "state": "unreadable", "why": " "}, "does not say why"),
        ({"id": "access", "host": "x", "state": "read", "findings": []}, "belongs into data"),
        ({"id": "access", "host": "x", "state": "read", "data": []}, None),
        ({"id": "access", "host": "x", "state": "read", "data": [1]}, "a mapping in data"),
    ],
)
def test_a_source_is_read_or_refused_in_a_sentence(document, said):
    if said is None:
        assert read_source(document).data == {}
    else:
        with pytest.raises(ValueError, match=said):
            read_source(document)


GOOD = {"id": "dashboard-edited-0123456789", "object": "b", "reason": "c", "expires": "2027-01-31"}


def test_a_day_is_read_as_yaml_has_it():
    days = {read_deviations([{**GOOD, "expires": day}])[0].expires for day in ("2027-01-31", dt.date(2027, 1, 31))}
    assert days == {dt.date(2027, 1, 31)}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("x", "must be a mapping"),
        ({**GOOD, "reason": " "}, "lacks reason"),
        ({**GOOD, "reason": None}, "lacks reason"),
        ({key: GOOD[key] for key in GOOD if key != "expires"}, "lacks expires"),
        ({**GOOD, "expires": "soon"}, "must be a day"),
        ({**GOOD, "until": "2027-01-31"}, "until is not known"),
        ({**GOOD, "host": 1}, "host must be"),
    ],
)
def test_a_deviation_that_says_too_little_is_refused(entry, said):
    with pytest.raises(ValueError, match=said):
        read_deviations([entry])


def test_a_declaration_needs_its_reason():
    assert read_absences([{"source": "dumps", "reason": "none"}]) == (Absence("dumps", "none"),)
    with pytest.raises(ValueError, match="entry 1 lacks reason"):
        read_absences([{"source": "dumps"}])
    with pytest.raises(ValueError, match="must be a list"):
        read_absences({"source": "dumps"})
