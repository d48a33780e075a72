"""The report and what is made of it: one schema, a stable order, nothing that changes by itself, no text that acts."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import json
import re
import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.declared import Absence, Deviation
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.frame import Judged
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.grid import grids
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.junit import junit
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.metrics import textfile
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.model import Document, Finding, Source
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.promises import PROMISES
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.registry import KINDS
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.report import report
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.screen import WIDTH, screen
from ansible_collections.taaraxtak.production.tests.unit.audit import hosts
from ansible_collections.taaraxtak.production.tests.unit.audit.estates import (
    ESCAPE,
    HOSTILE,
    HOSTS,
    LONG,
    NOW,
    broken,
    dashboards,
    dumps,
    effective,
    finding,
    judged,
    login,
    sources,
)
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "docs" / "audit-report.schema.json").read_text(encoding="utf-8"))


def reported(
    done: Judged | None = None,
    *,
    last: Document | str | None = None,
    fail_on: str = "low",
    now: dt.datetime = NOW,
) -> Document:
    """The report, as a program reads it."""
    found = report(done or judged(now=now), HOSTS, now=now, fail_on=fail_on, last=last)
    return t.cast(Document, json.loads(json.dumps(found)))


def bad(**more: Document) -> list[Source]:
    return sources(access=broken(), **more)


def hostile() -> list[Source]:
    """Every text that a host can say is one that wants to be more."""
    access = broken()
    for text in HOSTILE:
        access["effective"].append(effective(text, ["SELECT"], [f"public.{text}"], f"member of {text}"))
        hole = finding("excess-privilege", text, f"table public.{text}", text, evidence=text, remedy=f"DROP {text}")
        access["findings"].append({**hole, "id": f"x-{HOSTILE.index(text)}", "path": [text, text]})
        access["matrix"].append({**access["matrix"][0], "role": text, "database": text})
    shelf = dumps(3)
    shelf["dumps"] += [
        {**shelf["dumps"][0], "name": text, "database": text, "received": "2026-11-01T00:00:00Z"} for text in HOSTILE
    ]
    shelf["problems"] = list(HOSTILE)
    links = [{"from": text, "to": "store", "label": text} for text in HOSTILE]
    return sources(
        access=access, dumps={**shelf, "links": links}, dashboards={**dashboards(), "updated": list(HOSTILE)}
    )


def complaints(document: Document) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(document)]


def test_who_logs_in_over_the_network_is_drawn_from_where_it_comes():
    """The store's address is one of the inventory's hosts; who is connected now, and who is at home, adds no line."""
    came = [
        login("a", address="198.51.100.20", identity="a", method="cert"),
        login("b", address="203.0.113.9", identity="b", method="scram-sha-256"),
        login("c", address="203.0.113.9", identity=None, method=None),
        login("d"),
    ]
    document = reported(judged(sources(sessions={"connected": came, "unexpected": []})))
    assert [one for one in document["links"] if one["by"] == "sessions"] == [
        {"from": "store", "to": "production", "label": "logs in as a by cert", "by": "sessions"},
        {"from": "203.0.113.9", "to": "production", "label": "logs in as b by scram-sha-256", "by": "sessions"},
    ]


def test_the_schema_is_one_and_every_reference_leads_somewhere():
    Draft202012Validator.check_schema(SCHEMA)
    assert set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(SCHEMA))) == set(SCHEMA["$defs"])
    assert SCHEMA["$defs"]["promise_id"]["enum"] == list(PROMISES)


def reports() -> list[Document]:
    clean = reported()
    given = [one for one in bad() if one.id != "dumps"]
    known = finding_of("unlisted-role")
    deviation = Deviation(known.id, known.object, "goes on Monday", NOW.date())
    absent = judged(given, absences=[Absence("dumps", "no store yet")], deviations=[deviation])
    partly = reported(judged(one_host_unread()))
    return [clean, reported(judged(given), last=clean), reported(absent, last="x"), reported(judged(hostile())), partly]


def finding_of(rule: str) -> Finding:
    return next(one for one in judged(bad()).findings if one.rule == rule)


@pytest.mark.parametrize("number", range(5))
def test_every_report_is_as_the_schema_says(number):
    assert complaints(reports()[number]) == []


def test_the_schema_knows_every_key_and_wants_it():
    document = reports()[1]
    for key in document:
        assert complaints({**document, key: None}), key
        assert complaints({one: document[one] for one in document if one != key}), key
    assert complaints({**document, "more": 1})
    assert complaints({**document, "findings": [{**document["findings"][0], "age": 3}]})


def test_two_runs_over_an_unchanged_estate_differ_in_run_alone():
    """Hours later, in another order, with other ages: the same to the byte."""
    first = reported(judged(bad()))
    later = bad()
    for one in next(each for each in later if each.id == "dumps").data["dumps"]:
        one["age_s"] += 4711
    later.reverse()
    for source in later:
        for value in source.data.values():
            if isinstance(value, list):
                value.reverse()
    then = NOW + dt.timedelta(hours=9)
    second = reported(judged(later, now=then), last=first, now=then)
    assert second["run"]["since"]["new"] == second["run"]["since"]["gone"] == []
    assert second["run"] != first["run"]
    for one in (first, second):
        del one["run"]
    assert json.dumps(first) == json.dumps(second)
    assert junit({**first, "run": 0}) == junit({**second, "run": 0})


def test_the_difference_from_the_last_run_names_what_came_and_what_went():
    before, after = reported(), reported(judged(bad()))
    came = reported(judged(bad()), last=before)["run"]["since"]
    assert came["new"] == [one["id"] for one in after["findings"]]
    went = reported(last=after)["run"]["since"]
    assert sorted(one["id"] for one in went["gone"]) == sorted(came["new"])
    assert went["new"] == []
    unread = reported(judged(sources()[1:]), last=before)["run"]["since"]
    assert unread["sources"] == [{"id": "access", "host": "production", "before": "read", "now": "unreadable"}]


@pytest.mark.parametrize(
    "last", [None, "it was cut", {}, {"schema": 99}, {"schema": 1, "findings": [{}]}, {"schema": 1, "findings": 3}]
)
def test_without_a_last_run_that_can_be_read_it_says_why(last):
    since = reported(last=last)["run"]["since"]
    assert since["why"]
    assert since["new"] == []


def test_what_is_too_much_in_the_matrix_leads_to_its_finding():
    document = reported(judged(bad()))
    known = {one["id"] for one in document["findings"]}
    named = {id_ for way in document["access"][0]["ways"] for ids in way["excess"].values() for id_ in ids}
    assert named
    assert named <= known


def test_a_matrix_that_was_made_on_the_host_is_the_same():
    """Of ten thousand tables and two hundred roles it is a twentieth of what it is made of."""
    said = broken()
    small = {key: value for key, value in said.items() if key != "effective"} | {"grid": grids(said)}
    assert reported(judged(sources(access=small))) == reported(judged(bad()))


def test_each_sentence_of_the_policy_says_whether_it_was_kept():
    document = reported(judged([one for one in bad() if one.id != "dumps"]))
    by = {one["id"]: one for one in document["promises"]}
    assert by["writers"]["findings"] >= 2
    (store,) = [kind for kind in KINDS if kind.id == "dumps"]
    assert by["dumps"]["unread"] == sum(rule.promise == "dumps" for rule in store.rules)
    assert by["dashboards"] == {**by["dashboards"], "findings": 0, "unread": 0, "asked": 4}
    assert by["local"]["asked"] == 0


def test_the_sentences_are_those_of_the_policy_s_page():
    page = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8").split("## The policy in sentences")[1]
    written = re.findall(r"^\d\. (.+)$", page.split("\n## ")[0], re.MULTILINE)
    assert written == list(PROMISES.values())


# JUnit.


def cases(document: Document) -> dict[str, ET.Element]:
    root = ET.fromstring(junit(document))  # noqa: S314 (it was made here)
    return {str(case.get("name")): case for case in root.iter("testcase")}


def test_there_is_a_case_for_each_rule_and_it_says_what_came_of_it():
    document = reports()[1]
    found = cases(document)
    assert set(found) == {one["id"] for one in document["rules"]}
    assert found["unlisted-role"].find("failure") is not None
    assert found["dump-late"].find("error") is not None
    assert list(found["dashboard-edited"]) == []
    assert cases(reports()[2])["dump-late"].find("skipped") is not None


def test_what_is_below_the_limit_is_told_and_fails_nothing():
    document = reported(judged(sources(dashboards={**dashboards(), "updated": ["a"]})), fail_on="high")
    case = cases(document)["dashboard-edited"]
    assert case.find("failure") is None
    assert "the dashboard a differs" in str(case.findtext("system-out"))
    assert document["status"] == 0


def one_host_unread(**data: Document) -> list[Source]:
    """A part that is read on one host, and could not be on the other."""
    given = sources(**data)
    (place,) = [n for n, one in enumerate(given) if (one.id, one.host) == ("disk", "store")]
    given[place] = Source("disk", "store", "unreadable", "no df")
    return given


@pytest.mark.parametrize("free", [61.5, 0.5])
def test_a_rule_that_was_not_asked_on_every_host_is_never_passed(free):
    """Neither where it was kept on the other, nor where what was found there is below the limit."""
    room = {"places": [{"path": "/", "bytes_free": 1, "percent_free": free, "percent_inodes_free": 98.0}]}
    document = reported(judged(one_host_unread(disk=room)), fail_on="critical")
    assert document["status"] == 3
    case = cases(document)["disk-full"]
    error = case.find("error")
    assert error is not None
    assert ("less than 1 %" in str(error.text)) == (free == 0.5)
    by = {one["id"]: one for one in document["promises"]}
    assert by["dumps"]["unread"] == 2


def test_a_case_that_fails_says_what_else_could_not_be_looked_at():
    room = {"places": [{"path": "/", "bytes_free": 1, "percent_free": 0.5, "percent_inodes_free": 98.0}]}
    failure = cases(reported(judged(one_host_unread(disk=room))))["disk-full"].find("failure")
    assert failure is not None
    assert "could not be looked at on store" in str(failure.text)


def test_the_counts_of_a_suite_are_those_of_its_cases():
    for document in reports():
        for suite in ET.fromstring(junit(document)):  # noqa: S314 (it was made here)
            for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
                assert int(str(suite.get(key))) == len(list(suite.iter(tag)))
            assert int(str(suite.get("tests"))) == len(list(suite))


# The metrics.

SAMPLE = re.compile(
    r'([a-z_]+)(?:\{([a-z]+="(?:[^"\\\n]|\\\\|\\"|\\n)*"(?:,[a-z]+="(?:[^"\\\n]|\\\\|\\")*")*)\})? (\d+)'
)


def test_every_line_of_the_metrics_is_a_sample_or_about_one():
    for document in reports():
        lines = textfile(document).splitlines()
        assert all(line.startswith("# ") or SAMPLE.fullmatch(line) for line in lines), lines
        named = {line.partition("{")[0].partition(" ")[0] for line in lines if not line.startswith("#")}
        assert {line.split(" ")[2] for line in lines if line.startswith("# TYPE")} == named


def test_the_metrics_are_the_report_s_figures():
    document = reports()[1]
    lines = textfile(document).splitlines()
    assert "taaraxtak_audit_status 2" in lines
    assert f"taaraxtak_audit_timestamp_seconds {int(NOW.timestamp())}" in lines
    assert 'taaraxtak_audit_sources{state="unreadable"} 1' in lines
    assert f'taaraxtak_audit_findings{{severity="critical"}} {document["summary"]["findings"]["critical"]}' in lines
    assert sum(line.startswith("taaraxtak_audit_finding{") for line in lines) == len(document["findings"])


# The screen.


def test_the_screen_fits_and_names_the_five_worst():
    shown = screen(reports()[3], f"/x/{ESCAPE}/index.html")
    assert len(shown.splitlines()) <= 24
    assert max(map(len, shown.splitlines())) <= WIDTH
    assert sum(line.startswith(("  critical ", "  high ")) for line in shown.splitlines()) == 5


@pytest.mark.parametrize(("number", "said"), [(0, "clean"), (1, "findings that are low or worse")])
def test_the_screen_says_how_it_stands(number, said):
    assert said in screen(reports()[number], "x").splitlines()[1]


def test_what_could_not_be_looked_at_is_not_called_clean():
    shown = screen(reported(judged(sources()[1:])), "x")
    assert "could not look" in shown
    assert "clean:" not in shown


def test_no_control_character_reaches_a_terminal_a_metric_or_xml():
    document = reported(judged(hostile()))
    for made in (screen(document, ESCAPE), textfile(document), junit(document)):
        assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", made) == []
        assert "\\x1b" in made


def test_a_name_of_63_bytes_is_whole_wherever_it_is_told():
    document = reported(judged(bad()))
    assert len(LONG.encode()) == 63
    for made in (json.dumps(document), junit(document), textfile(document)):
        assert LONG in made


def test_the_report_holds_no_key_that_a_source_has_made_up():
    """Secrets of a careless answer stay where they are: what is not asked for is not written."""
    given = copy.deepcopy(bad())
    marked = [dataclasses.replace(one, data={**one.data, "password": "hunter2"}) for one in given]
    of = {one.id: one for one in marked}
    of["dumps"].data["dumps"][0]["key"] = "hunter2"
    assert "hunter2" not in json.dumps(reported(judged(marked)))


@pytest.mark.parametrize(
    ("command", "program"),
    [
        ("/usr/bin/mysqldump --password=hunter2 x", "/usr/bin/mysqldump"),
        ("PGPASSWORD=hunter2 pg_dump x", "pg_dump"),
        ("A='hunter2 hunter2' B=1 pg_dump", "pg_dump"),
        ("(curl -u x:hunter2 y)", "a command of the shell"),
        ("hunter2=x:hunter2", "a command of the shell"),
        ("'hunter2", "a command of the shell"),
    ],
)
def test_of_a_line_of_cron_the_program_is_told_and_no_more(command, program):
    """Its arguments are where people write passwords; a digest tells one line from another."""
    jobs = hosts.parts()["jobs"]
    document, other = (
        reported(judged(sources(jobs={**jobs, "cron": [*jobs["cron"], hosts.job(f"{command}{end}")]})))
        for end in ("", " ")
    )
    (found,) = document["findings"]
    assert "hunter2" not in json.dumps(document)
    assert f"run {program}, sha256 " in found["evidence"]
    assert found["id"] != other["findings"][0]["id"]
