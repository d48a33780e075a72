"""The archive's verdict: what is said, how loudly, and what an incident explains."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.finding import Level
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.freshness import (
    Archive,
    Dump,
    Limits,
    Space,
    Verdict,
    judge,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.incidents import Incident, read_incident
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.metrics import textfile
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName

NOW = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
ROOMY = Space(used=10, quota=10_000, free=10_000, reserve=100)
TABLES = {"public.ooni": 100, "public.gini": 10}
LIMITS = Limits(databases=("taaraxtak",), globals_too=False)


def dump(age: dt.timedelta, tables: dict[str, int] | None = None, **more: t.Any) -> Dump:
    name = DumpName(more.pop("database", "taaraxtak"), NOW - age, more.pop("kind", "dump"))
    values = {"received": NOW - age, "bytes": 50, "raw_bytes": 1000, "tables": tables or TABLES, "verified": True}
    return Dump(name, **{**values, **more})


def judged(*dumps: Dump, limits: Limits = LIMITS, **more: t.Any) -> Verdict:
    return judge(Archive(dumps, **{"space": ROOMY, **more}), limits, NOW)


def sentences(verdict: Verdict) -> list[str]:
    return [finding.sentence for finding in verdict.findings]


def incident(*tables: str, **more: t.Any) -> Incident:
    values = {"since": NOW - 2 * HOUR, "until": NOW, "rows": 1000, "tables_dropped": True}
    return Incident("a.json", tables, "dropped on purpose", **{**values, **more})


def test_a_fresh_verified_dump_is_ok() -> None:
    verdict = judged(dump(9 * HOUR))
    assert (verdict.level, verdict.findings) == (Level.OK, ())


@pytest.mark.parametrize(
    ("hours", "level", "words"),
    [
        (25, Level.OK, ""),
        (26, Level.WARNING, "is 26 hours old"),
        (49, Level.WARNING, "is 2 days old"),
        (50, Level.CRITICAL, "is 2 days old"),
    ],
)
def test_an_old_dump_is_an_alarm(hours: int, level: Level, words: str) -> None:
    verdict = judged(dump(hours * HOUR))
    assert verdict.level == level
    assert words in "".join(sentences(verdict))


def test_no_dump_at_all_is_critical() -> None:
    assert judged().level == Level.CRITICAL
    assert sentences(judged()) == ["taaraxtak: there is no archived dump"]


def test_no_dump_of_nothing_expected_is_critical() -> None:
    assert sentences(judged(limits=Limits())) == ["there is no archived dump at all"]
    assert judged(limits=Limits()).level == Level.CRITICAL


@pytest.mark.parametrize("made", [NOW - 26 * HOUR, NOW + HOUR])
def test_an_old_dump_that_is_sent_again_is_not_taken_for_a_fresh_one(made: dt.datetime) -> None:
    again = dataclasses.replace(dump(HOUR), name=DumpName("taaraxtak", made))
    verdict = judged(again)
    assert verdict.level == Level.CRITICAL
    assert "sent again, or a clock is wrong" in sentences(verdict)[0]


def test_each_database_that_is_expected_is_asked_for() -> None:
    verdict = judged(dump(HOUR), limits=dataclasses.replace(LIMITS, databases=("taaraxtak", "other")))
    assert sentences(verdict) == ["other: there is no archived dump"]
    assert verdict.level == Level.CRITICAL


def test_a_database_that_nobody_named_is_judged_too() -> None:
    verdict = judged(dump(HOUR), dump(60 * HOUR, database="other"))
    assert [sentence.split(":")[0] for sentence in sentences(verdict)] == ["other"]
    assert verdict.level == Level.CRITICAL


def test_globals_are_asked_for() -> None:
    limits = dataclasses.replace(LIMITS, globals_too=True)
    assert sentences(judged(dump(HOUR), limits=limits)) == ["the globals of taaraxtak: there is no archived dump"]
    both = judged(dump(HOUR), dump(HOUR, {}, kind="globals", verified=False), limits=limits)
    assert both.level == Level.OK


def test_saved_rows_need_not_be_fresh_and_are_no_dump() -> None:
    saved = dump(900 * DAY, {}, kind="saved", verified=False)
    assert judged(dump(HOUR), saved).level == Level.OK
    assert judged(saved).level == Level.CRITICAL


def test_fresh_globals_do_not_hide_an_old_dump() -> None:
    verdict = judged(dump(60 * HOUR), dump(HOUR, {}, kind="globals"))
    assert verdict.level == Level.CRITICAL


def test_a_dump_from_the_future_hides_no_old_one() -> None:
    verdict = judged(dump(60 * HOUR), dump(-30 * DAY))
    assert [finding.level for finding in verdict.findings] == [Level.CRITICAL, Level.WARNING]
    assert "the newest archived dump is 2 days old" in sentences(verdict)[0]
    assert "1 dumps were received in the future by this clock" in sentences(verdict)[1]
    assert judged(dump(HOUR), dump(-HOUR)).level == Level.OK


def test_dumps_from_the_future_alone_are_none() -> None:
    verdict = judged(dump(-3 * HOUR))
    assert verdict.level == Level.CRITICAL
    assert sentences(verdict)[0] == "taaraxtak: there is no archived dump"
    assert verdict.groups[0].archived is None


def test_a_dump_from_the_future_verifies_and_loses_nothing() -> None:
    verdict = judged(dump(HOUR, verified=False), dump(-30 * DAY, {"public.ooni": 1}))
    assert verdict.groups[0].verified is None
    assert not any("public.ooni" in sentence for sentence in sentences(verdict))


def test_dumps_of_two_hosts_are_not_taken_for_one_database() -> None:
    here, there = dump(60 * HOUR, signer="one"), dump(HOUR, {"public.ooni": 1}, signer="two")
    verdict = judged(here, there)
    assert sentences(verdict) == [f"taaraxtak from one: the newest archived dump is 2 days old: {here.name}"]
    assert [(group.signer, group.archived) for group in verdict.groups] == [("one", here), ("two", there)]
    series = [line.rsplit(" ", 1)[0] for line in textfile(verdict).splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))


@pytest.mark.parametrize(
    ("days", "level"), [(7, Level.OK), (8, Level.WARNING), (14, Level.WARNING), (15, Level.CRITICAL)]
)
def test_an_old_verified_dump_is_an_alarm_although_the_newest_is_fresh(days: int, level: Level) -> None:
    verdict = judged(dump(days * DAY), dump(HOUR, verified=False))
    assert verdict.level == level
    assert level == Level.OK or f"the newest verified dump is {days} days old" in sentences(verdict)[0]


@pytest.mark.parametrize(("days", "level"), [(7, Level.OK), (8, Level.WARNING), (15, Level.CRITICAL)])
def test_a_store_without_a_drill_has_some_days_for_the_first(days: int, level: Level) -> None:
    verdict = judged(dump(days * DAY, verified=False), dump(HOUR, verified=False))
    assert verdict.level == level
    assert level == Level.OK or "none of them was verified" in sentences(verdict)[0]


def test_where_no_drill_is_asked_for_none_is_missed() -> None:
    limits = dataclasses.replace(LIMITS, verified_warning_days=0)
    assert judged(dump(99 * DAY, verified=False), dump(HOUR, verified=False), limits=limits).level == Level.OK


def test_rows_that_are_gone_are_critical() -> None:
    verdict = judged(dump(25 * HOUR), dump(HOUR, {**TABLES, "public.ooni": 99}))
    assert verdict.level == Level.CRITICAL
    assert len(verdict.findings) == 1
    assert "public.ooni went from 100 to 99 rows" in sentences(verdict)[0]


def test_more_rows_and_more_tables_are_no_alarm() -> None:
    grown = {"public.ooni": 101, "public.gini": 10, "public.new": 0}
    assert judged(dump(25 * HOUR), dump(HOUR, grown)).level == Level.OK


@pytest.mark.parametrize("rows", [0, 10])
def test_a_missing_table_is_critical_even_an_empty_one(rows: int) -> None:
    verdict = judged(dump(25 * HOUR, {**TABLES, "public.gini": rows}), dump(HOUR, {"public.ooni": 100}))
    assert verdict.level == Level.CRITICAL
    assert f"public.gini is missing (it had {rows} rows)" in sentences(verdict)[0]


def test_a_loss_is_said_until_the_look_back_is_over() -> None:
    less = {**TABLES, "public.ooni": 50}
    nights = [dump(3 * DAY), dump(2 * DAY, less), dump(DAY, less), dump(HOUR, less)]
    assert judged(*nights).level == Level.CRITICAL
    weeks = [dump(30 * DAY), dump(8 * DAY, less), dump(7 * DAY, less), dump(HOUR, less)]
    assert judged(*weeks).level == Level.OK


def test_a_loss_in_the_newest_dump_is_said_however_old_it_is() -> None:
    limits = dataclasses.replace(LIMITS, look_back_days=0)
    verdict = judged(dump(2 * HOUR), dump(HOUR, {**TABLES, "public.ooni": 50}), limits=limits)
    assert any("public.ooni" in sentence for sentence in sentences(verdict))


def test_an_incident_explains_what_it_names() -> None:
    less = [dump(25 * HOUR), dump(HOUR, {"public.ooni": 0, "public.gini": 9})]
    assert judged(*less, incidents=(incident("public.ooni", "public.gini"),)).level == Level.OK
    rest = judged(*less, incidents=(incident("public.ooni"),))
    assert len(rest.findings) == 1
    assert "public.gini" in sentences(rest)[0]


def test_an_incident_explains_nothing_after_its_end() -> None:
    less = [dump(25 * HOUR), dump(HOUR, {**TABLES, "public.ooni": 0})]
    assert judged(*less, incidents=(incident("public.ooni", until=NOW - 2 * HOUR),)).level == Level.CRITICAL


def test_an_incident_of_another_database_explains_nothing() -> None:
    less = [dump(25 * HOUR), dump(HOUR, {**TABLES, "public.ooni": 0})]
    assert judged(*less, incidents=(incident("public.ooni", database="other"),)).level == Level.CRITICAL
    assert judged(*less, incidents=(incident("public.ooni", database="taaraxtak"),)).level == Level.OK


def test_an_incident_explains_nothing_before_its_beginning() -> None:
    less = [dump(25 * HOUR), dump(3 * HOUR, {**TABLES, "public.ooni": 0})]
    assert judged(*less, incidents=(incident("public.ooni"),)).level == Level.CRITICAL
    assert judged(*less, incidents=(incident("public.ooni", since=NOW - 3 * HOUR),)).level == Level.OK


def test_an_incident_explains_no_more_rows_than_it_says() -> None:
    less = [dump(25 * HOUR), dump(HOUR, {**TABLES, "public.ooni": 40})]
    assert judged(*less, incidents=(incident("public.ooni", rows=59),)).level == Level.CRITICAL
    assert judged(*less, incidents=(incident("public.ooni", rows=60),)).level == Level.OK


def test_a_table_is_dropped_only_where_an_incident_says_so() -> None:
    less = [dump(25 * HOUR), dump(HOUR, {"public.ooni": 100})]
    assert judged(*less, incidents=(incident("public.gini", tables_dropped=False),)).level == Level.CRITICAL
    assert judged(*less, incidents=(incident("public.gini", rows=9),)).level == Level.CRITICAL
    assert judged(*less, incidents=(incident("public.gini", rows=10),)).level == Level.OK


def test_an_alarm_is_the_same_whatever_the_age_and_another_with_other_figures() -> None:
    def gists(verdict: Verdict) -> list[str]:
        return [finding.gist for finding in verdict.findings]

    one = dump(30 * HOUR)
    later = judge(Archive((one,), ROOMY, waiting=(("x", NOW - HOUR),)), LIMITS, NOW + 2 * HOUR)
    assert gists(later) == gists(judged(one, waiting=(("x", NOW - HOUR),)))
    first = judged(dump(25 * HOUR), dump(HOUR, {**TABLES, "public.ooni": 99}))
    assert gists(first) != gists(judged(dump(25 * HOUR), dump(HOUR, {**TABLES, "public.ooni": 9})))
    more = judged(dump(30 * HOUR), dump(30 * HOUR, database="taaraxtak2"))
    assert len(set(gists(more))) == 2


def test_what_is_found_says_what_it_is_about_in_a_sentence_that_stays() -> None:
    """The audit's report may not change by time alone."""

    def said(now: dt.datetime, free: int) -> list[tuple[str, str, str]]:
        dumps = (
            dump(80 * HOUR, verified=False),
            dump(70 * HOUR, {"public.ooni": 9}, raw_bytes=1),
            dump(-90 * DAY),
            dataclasses.replace(dump(HOUR, database="other"), name=DumpName("other", NOW - 9 * DAY)),
            dump(40 * DAY, database="third", verified=True),
        )
        space = Space(used=free, quota=10, free=free, reserve=100)
        archive = Archive(dumps, space, (incident("x", until=NOW + 90 * DAY),), ("a is odd",), (), (("x", NOW - DAY),))
        verdict = judge(archive, dataclasses.replace(LIMITS, databases=("taaraxtak", "none")), now)
        return [(one["about"], one["where"], one["steady"]) for one in verdict.document()["findings"]]

    first, later = said(NOW, 20), said(NOW + HOUR, 30)
    assert first == later
    assert {about for about, _where, _steady in first} == {
        *("missing", "old", "unverified", "lost", "ahead", "replayed", "room", "waiting", "excuse", "file")
    }
    assert {where for _about, where, _steady in first} >= {"database none", "dump x", "incident a.json", "dump store"}


def test_an_incident_without_a_near_end_is_a_warning() -> None:
    verdict = judged(dump(HOUR), incidents=(incident("public.ooni", until=NOW + 32 * DAY),))
    assert verdict.level == Level.WARNING
    assert "more than 31 days" in sentences(verdict)[0]


@pytest.mark.parametrize(("size", "level"), [(500, Level.OK), (499, Level.CRITICAL)])
def test_a_text_of_less_than_half_is_critical(size: int, level: Level) -> None:
    assert judged(dump(25 * HOUR), dump(HOUR, raw_bytes=size)).level == level


def test_the_size_is_explained_with_the_rows() -> None:
    less = [dump(25 * HOUR), dump(HOUR, {**TABLES, "public.ooni": 0}, raw_bytes=10)]
    assert len(judged(*less).findings) == 2
    assert judged(*less, incidents=(incident("public.ooni"),)).level == Level.OK
    assert judged(*less, incidents=(incident("public.ooni", tables_dropped=False),)).level == Level.CRITICAL
    same_rows = [dump(25 * HOUR), dump(HOUR, raw_bytes=10)]
    assert judged(*same_rows, incidents=(incident("public.ooni"),)).level == Level.CRITICAL


def test_a_database_that_lost_everything_is_told_in_few_words() -> None:
    many = {f"public.t{number:03}": 1 for number in range(500)}
    found = sentences(judged(dump(25 * HOUR, many), dump(HOUR, {"public.x": 1})))
    assert len(found) == 21
    assert found[-1].endswith("480 more tables lost rows or are missing")


@pytest.mark.parametrize(
    ("space", "level", "words"),
    [
        (Space(799, 1000, 1000, 100), Level.OK, ""),
        (Space(800, 1000, 1000, 100), Level.WARNING, "take 800 of the 1000"),
        (Space(1000, 1000, 1000, 100), Level.CRITICAL, "no more are taken in"),
        (Space(1000, 0, 1000, 100), Level.OK, ""),
        (Space(1, 0, 99, 100), Level.CRITICAL, "99 bytes are free"),
        # The next dump may have 60 bytes, and is there twice for a while.
        (Space(140, 200, 1000, 100), Level.OK, ""),
        (Space(141, 200, 1000, 100), Level.WARNING, "the next ones may have 60"),
        (Space(1, 0, 220, 100), Level.OK, ""),
        (Space(1, 0, 219, 100), Level.WARNING, "may need 120"),
    ],
)
def test_a_store_that_fills_is_said_before_it_is_full(space: Space, level: Level, words: str) -> None:
    verdict = judged(dump(HOUR), space=space)
    assert len(verdict.findings) == (level != Level.OK)
    assert verdict.level == level
    assert words in "".join(sentences(verdict))


@pytest.mark.parametrize(("age", "level"), [(59 / 60, Level.OK), (1, Level.WARNING), (12, Level.CRITICAL)])
def test_what_is_not_archived_is_said(age: float, level: Level) -> None:
    assert judged(dump(HOUR), waiting=(("x.sql.zst", NOW - age * HOUR),)).level == level


def test_unsigned_files_are_critical_and_stray_ones_a_warning_worst_first() -> None:
    verdict = judged(dump(HOUR), wrong=("a is not signed",), odd=("b is no dump",))
    assert [(finding.level, finding.sentence) for finding in verdict.findings] == [
        (Level.CRITICAL, "a is not signed"),
        (Level.WARNING, "b is no dump"),
    ]


GOOD = {
    "tables": ["public.ooni"],
    "reason": "test rows",
    "from": "2026-11-29T00:00:00Z",
    "until": "2026-11-30T00:00:00Z",
    "rows": 7,
}


def test_an_incident_is_read() -> None:
    read = read_incident("a.json", {**GOOD, "database": "taaraxtak", "tables_dropped": True})
    since, until = (dt.datetime(2026, 11, day, tzinfo=dt.UTC) for day in (29, 30))
    assert read == Incident("a.json", ("public.ooni",), "test rows", since, until, 7, "taaraxtak", tables_dropped=True)
    assert not read_incident("a.json", GOOD).tables_dropped


@pytest.mark.parametrize("key", list(GOOD))
def test_an_incident_that_lacks_a_key_is_told_which(key: str) -> None:
    with pytest.raises(ValueError, match=f"it lacks {key}$"):
        read_incident("a.json", {name: value for name, value in GOOD.items() if name != key})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tables": []}, "must have tables"),
        ({"tables": "public.ooni"}, "must have tables"),
        ({"tables": [1]}, "must have tables"),
        ({"reason": " "}, "must have a reason"),
        ({"until": "tomorrow"}, "must be a time"),
        ({"until": 7}, "must be a time"),
        ({"database": None}, "must be a name"),
        ({"table": []}, "not known: table"),
        ({"from": "today"}, "from in the incident a.json must be a time"),
        ({"from": GOOD["until"]}, "must be before until"),
        ({"rows": -1}, "must be a number"),
        ({"rows": True}, "must be a number"),
        ({"rows": "7"}, "must be a number"),
        ({"tables_dropped": 1}, "must be true or false"),
    ],
)
def test_an_incident_that_says_too_little_is_refused(change: dict[str, t.Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_incident("a.json", {**GOOD, **change})
    with pytest.raises(ValueError, match="not a JSON object"):
        read_incident("a.json", [])


def test_the_figures_are_what_node_exporter_reads() -> None:
    text = textfile(judged(dump(3 * DAY), dump(HOUR, verified=False), odd=("x",)))
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    labels = '{database="taaraxtak",kind="dump",signer=""}'
    assert values["taaraxtak_dumps_check_status"] == "1"
    assert values[f"taaraxtak_dumps_newest_archived_timestamp_seconds{labels}"] == str(int((NOW - HOUR).timestamp()))
    assert values[f"taaraxtak_dumps_newest_verified_timestamp_seconds{labels}"] == str(int((NOW - 3 * DAY).timestamp()))
    assert values[f"taaraxtak_dumps_newest_archived_rows{labels}"] == "110"
    assert values[f"taaraxtak_dumps_archived_dumps{labels}"] == "2"
    assert values['taaraxtak_dumps_check_findings{level="warning"}'] == "1"
    assert text.endswith("\n")


@pytest.mark.parametrize("ok", [True, False])
def test_the_figures_tell_of_the_last_drill(ok: bool) -> None:
    """It may have been of an older dump than another one."""
    old = dump(3 * DAY, drilled=NOW - HOUR, verified=ok)
    text = textfile(judged(old, dump(2 * DAY, drilled=NOW - DAY), dump(HOUR, verified=False)))
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    labels = '{database="taaraxtak",kind="dump",signer=""}'
    assert values[f"taaraxtak_dumps_drill_timestamp_seconds{labels}"] == str(int((NOW - HOUR).timestamp()))
    assert values[f"taaraxtak_dumps_drill_ok{labels}"] == str(int(ok))


def test_a_store_without_dumps_has_figures_too() -> None:
    text = textfile(judged())
    assert "taaraxtak_dumps_check_status 2" in text
    assert "newest_archived" not in text
