"""The judges: each rule is found by what it is about, and by nothing else."""

from __future__ import annotations

import ast
import datetime as dt
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.audit import answers
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.declared import Absence
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.judges import access as access_judge
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.judges import dumps as dumps_judge
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.judges import freshness as freshness_judge
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.model import (
    Expected,
    Finding,
    Kind,
    Rule,
    Source,
    read_source,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.registry import KINDS, rules
from ansible_collections.taaraxtak.production.tests.unit.audit.estates import (
    EXPECTED,
    NOW,
    access,
    broken,
    dashboards,
    dump,
    dumps,
    effective,
    freshness,
    judged,
    login,
    provider,
    server,
    sessions,
    sources,
    verdict,
)

PROBE = access()["probes"][0]
UNTRIED = {
    **PROBE, "outcome": "not run", "sqlstate": "55P03",
    "evidence": "neither done nor refused: 55P03: canceling statement due to lock timeout",
}  # fmt: skip
SUPERUSER = effective("dba", ["OWNER"], ["public.w3techs"], "superuser")
ROOT = Path(__file__).resolve().parents[3]
FILES = server()["login_files"]


def late(**more: object) -> dict[str, object]:
    return {**dumps(), "dumps": [dump(2, verified=True, **more)]}


def setting(name: str) -> dict[str, str]:
    return {"name": name, "wanted": "", "live": "*"}


def said(about: str, where: str, sentence: str = "it is wrong", level: str = "critical") -> dict[str, str]:
    """A finding of the store's own check."""
    return {"level": level, "about": about, "where": where, "steady": sentence, "sentence": f"{sentence}: 3 days old"}


def without(answer: dict[str, object], key: str) -> dict[str, object]:
    return {name: value for name, value in answer.items() if name != key}


# A drill that ends after the audit: somebody's clock, or somebody's hand.
AHEAD = {"ok": True, "problems": [], "finished": "2099-01-01T00:00:00Z"}
TOLD = freshness()["tables"][0]

CASES = [
    ("access", {**access(), "findings": [broken()["findings"][0]]}, ["excess-privilege"]),
    (
        "access",
        {**access(), "unread": [{"database": "x", "why": "it accepts no connections"}]},
        ["unread-database"],
    ),
    ("access", {**access(), "probes": [{**PROBE, "outcome": "failed"}]}, ["probe-failed"]),
    ("access", {**access(), "probes": [{**PROBE, "outcome": "not run"}]}, ["probe-not-run"]),
    ("access", {**access(), "probes": [UNTRIED, PROBE]}, ["probe-not-run"]),
    ("access", {**access(), "probes": [UNTRIED] * 50 + [PROBE]}, ["probe-not-run"]),
    ("access", {**access(), "probes": [UNTRIED, {**UNTRIED, "sqlstate": "57014"}, PROBE]}, ["probe-not-run"] * 2),
    ("access", {**access(), "probes": [{**UNTRIED, "sqlstate": None}, PROBE]}, ["probe-not-run"]),
    (
        "access",
        {**access(), "probes": [{**UNTRIED, "what": "more tables", "sqlstate": None}, PROBE]},
        ["probe-not-run"],
    ),
    *(
        ("access", {**access(), "probes": [{**UNTRIED, "sqlstate": None, "evidence": why}, PROBE]}, [])
        for why in access_judge.NOTHING_LOST
    ),
    ("access", {**access(), "probes": [{**PROBE, "outcome": "not run"}], "effective": [SUPERUSER]}, []),
    ("access", {**access(), "probes": []}, ["probe-not-run"]),
    ("access", {}, ["source-unreadable"]),
    ("access", without(access(), "findings"), ["source-unreadable"]),
    ("access", without(access(), "probes"), ["source-unreadable"]),
    ("access", without(access(), "unread"), ["source-unreadable"]),
    ("access", without(access(), "effective"), ["source-unreadable"]),
    ("dumps", {**dumps(), "problems": ["x.partial is no dump"]}, ["dump-store-problem"]),
    ("dumps", {**dumps(), "dumps": []}, ["dump-missing"]),
    ("dumps", {**dumps(), "dumps": [dump(0, kind="globals", verified=True)]}, ["dump-missing"]),
    ("dumps", {**dumps(), "dumps": [dump(0, archived=False, signed=False, verified=True)]}, ["dump-missing"]),
    ("dumps", {**dumps(), "dumps": [dump(0, verified=True, signed=False)]}, ["dump-missing", "dump-unsigned"]),
    ("dumps", {**dumps(), "dumps": [dump(0, verified=True), dump(90, signed=False, adopted=True)]}, []),
    ("dumps", late(), ["dump-late"]),
    ("dumps", {**dumps(), "dumps": [dump(0), dump(9, verified=True)]}, ["dump-unverified"]),
    ("dumps", {**dumps(), "dumps": [dump(0), dump(1)]}, ["dump-unverified"]),
    ("dumps", {**dumps(), "dumps": [dump(0), dump(7, verified=True)]}, []),
    (
        "dumps",
        {**dumps(), "dumps": [dump(0, verified=True), dump(1, drill={"ok": False, "problems": ["rows differ"]})]},
        ["drill-failed"],
    ),
    ("dumps", {**dumps(), "dumps": [dump(-40_000, verified=True)]}, ["dump-missing"]),
    ("dumps", {**late(), "dumps": [dump(2, verified=True), dump(-2)]}, ["dump-late"]),
    ("dumps", {**dumps(), "dumps": [dump(0, drill=AHEAD, verified=True)]}, ["dump-unverified"]),
    ("dumps", {**dumps(), "dumps": [dump(0, rows=5, verified=True), dump(7, rows=5)]}, ["dump-standstill"]),
    ("dumps", {**dumps(), "dumps": [dump(0, rows=5, verified=True), dump(6, rows=5)]}, []),
    ("dumps", {**dumps(), "dumps": [dump(0, rows=5, verified=True), dump(7, rows=5, signer="other")]}, []),
    ("dumps", {**dumps(), "dumps": [dump(0, rows=6, verified=True), dump(7, rows=5)]}, []),
    ("dumps", {**dumps(), "verdict": verdict(said("missing", "database other"))}, ["dump-missing"]),
    ("dumps", {**dumps(), "verdict": verdict(said("old", "the globals of taaraxtak"))}, ["dump-late"]),
    ("dumps", {**late(), "verdict": verdict(said("old", "database taaraxtak"))}, ["dump-late"]),
    ("dumps", {**dumps(), "verdict": verdict(said("unverified", "database taaraxtak"))}, ["dump-unverified"]),
    ("dumps", {**dumps(), "verdict": verdict(said("lost", "dump a"))}, ["dump-lost"]),
    (
        "dumps",
        {**dumps(), "verdict": verdict(said("lost", "dump a"), said("lost", "dump a", "b"))},
        ["dump-lost"] * 2,
    ),
    ("dumps", {**dumps(), "verdict": verdict(said("ahead", "dump a"))}, ["dump-time"]),
    ("dumps", {**dumps(), "verdict": verdict(said("replayed", "dump a"))}, ["dump-time"]),
    ("dumps", {**dumps(), "verdict": verdict(said("room", "dump store"))}, ["dump-room"]),
    ("dumps", {**dumps(), "verdict": verdict(said("waiting", "dump a"))}, ["dump-waiting"]),
    ("dumps", {**dumps(), "verdict": verdict(said("excuse", "incident a"))}, ["dump-excuse"]),
    ("dumps", {**dumps(), "verdict": verdict(said("file", "dump store"))}, ["dump-store-problem"]),
    (
        "dumps",
        {**dumps(), "problems": ["it is wrong"], "verdict": verdict(said("file", "dump store"))},
        ["dump-store-problem"],
    ),
    ("dumps", {**dumps(), "verdict": verdict(said("weather", "dump store"))}, ["source-unreadable"]),
    ("dumps", without(dumps(), "verdict"), ["source-unreadable"]),
    ("dumps", without(dumps(), "problems"), ["source-unreadable"]),
    ("server", {**server(), "login_files": {**FILES, "different": ["/x/pg_hba.conf"]}}, ["login-file"]),
    ("server", {**server(), "login_files": {**FILES, "not_loaded": ["/x/pg_hba.conf"]}}, ["login-file"]),
    ("server", {**server(), "login_files": {**FILES, "broken": "line 2: nonsense"}}, ["login-file"]),
    ("server", {**server(), "login_files": {**FILES, "compared": False}}, ["login-uncompared"]),
    ("server", {**server(), "settings": [setting("work_mem")]}, ["server-setting"]),
    ("server", {**server(), "settings": [setting("listen_addresses")]}, ["server-listens"]),
    ("server", {**server(), "pending_restart": ["port"], "waiting": {"port": "0"}}, ["server-restart"]),
    ("server", {**server(), "installed": "17.7 (Debian 17.7-0+deb13u1)"}, ["server-restart"]),
    ("sessions", sessions(login(identity="collector")), ["login-unexpected"]),
    ("sessions", sessions(login(address="192.0.2.7", identity=None)), ["login-unexpected"]),
    ("sessions", sessions(login(identity="a"), login(identity="b")), ["login-unexpected", "login-unexpected"]),
    ("freshness", freshness(state="stale"), ["collector-stale"]),
    ("freshness", freshness(state="unknown"), ["collector-unknown"]),
    ("freshness", freshness({**freshness()["outcomes"][0], "about": "table b"}), []),
    (
        "freshness",
        freshness({**freshness(state="stale")["outcomes"][0], "about": "certificate /x"}),
        ["collector-certificate"],
    ),
    ("freshness", freshness(about="table another"), ["collector-unknown"]),
    ("freshness", {**freshness(), "outcomes": []}, ["collector-unknown"]),
    # Ten years, or by a column that says something else.
    ("freshness", {**freshness(), "tables": [{**TOLD, "max_age": 315360000.0}]}, ["collector-limit"]),
    ("freshness", {**freshness(), "tables": [{**TOLD, "column": "planned_at"}]}, ["collector-limit"]),
    ("freshness", {"outcomes": freshness()["outcomes"]}, ["source-unreadable"]),
    ("freshness", freshness(state="well"), ["source-unreadable"]),
    ("freshness", {}, ["source-unreadable"]),
    (
        "stores",
        {"stores": [{"name": "box", "kind": "sftp"}, {"name": "vault", "kind": "dump_store"}]},
        ["store-promises-less"],
    ),
    ("stores", {"stores": [{"name": "box", "kind": "ftp"}]}, ["source-unreadable"]),
    ("provider", provider(problems=["backups are off"]), ["provider-problem"]),
    ("provider", provider(verified_at="2026-11-20T06:30:00Z"), ["provider-late"]),
    ("provider", provider(verified_at="2099-11-20T06:30:00Z"), ["provider-late"]),
    ("provider", provider(label="another"), ["provider-unasked"]),
    ("dashboards", {**dashboards(), "updated": ["a"]}, ["dashboard-edited"]),
    ("dashboards", {**dashboards(), "added": ["a"], "contents": {"a": "0"}}, ["dashboard-unknown"]),
    ("dashboards", {**dashboards(), "removed": ["a"]}, ["dashboard-missing"]),
    ("dashboards", {**dashboards(), "not_provisioned": ["a"], "contents": {"a": "0"}}, ["dashboard-not-provisioned"]),
    ("dashboards", {**dashboards(), "added": ["a"]}, ["source-unreadable"]),
    (
        "incidents",
        {"incidents": [{"name": "x", "word": "carried out", "why": "", "overdue": True, "unverified": False}]},
        ["incident-overdue"],
    ),
    (
        "incidents",
        {"incidents": [{"name": "x", "word": "void", "why": "edited", "overdue": False, "unverified": False}]},
        ["incident-void"],
    ),
    (
        "incidents",
        {"incidents": [{"name": "x", "word": "rehearsed", "why": "", "overdue": False, "unverified": True}]},
        ["incident-unverified"],
    ),
    (
        "incidents",
        {"incidents": [{"name": "x", "word": "draft", "why": "", "overdue": False, "unverified": False}]},
        [],
    ),
]


@pytest.mark.parametrize(("id_", "data", "found"), CASES)
def test_each_rule_is_found_by_what_it_is_about(id_, data, found):
    assert sorted(one.rule for one in judged(sources(**{id_: data})).findings) == found


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if not kind.of_host and kind.id != "access"], ids=lambda kind: kind.id
)
def test_every_rule_has_its_case(kind):
    """That of a dump of nothing that is asked for has a test of its own."""
    found = {rule for id_, _data, rules_ in CASES if id_ == kind.id for rule in rules_}
    assert {rule.id for rule in kind.rules} - {"dump-unasked"} <= found


def test_the_store_s_verdict_is_told_with_its_level_and_without_what_changes_by_itself():
    data = {**dumps(), "verdict": verdict(said("room", "dump store", level="warning"), said("room", "x"))}
    first, second = judged(sources(dumps=data)).findings
    assert [(one.severity, one.evidence) for one in (first, second)] == [
        ("critical", "it is wrong"),
        ("medium", "it is wrong"),
    ]


def test_dumps_of_no_database_are_asked_for_is_said():
    source = next(one for one in sources() if one.id == "dumps")
    found = dumps_judge.judge(source, Expected({"databases": []}, NOW))
    assert [one.rule for one in found] == ["dump-unasked"]


@pytest.mark.parametrize(
    ("source", "host", "expected", "rules_found"),
    [
        ("dumps", "store", {"databases": ["other"]}, ["dump-missing"]),
        ("dumps", "store", {"max_archived_hours": 1}, ["dump-late"]),
        ("dumps", "store", {"max_verified_days": 1}, ["dump-unverified"]),
        ("dumps", "another", {"databases": ["other"]}, []),
        ("provider", "controller", {"labels": ["other"]}, ["provider-unasked"]),
        ("provider", "controller", {"max_hours": -1}, ["provider-late"]),
    ],
)
def test_what_is_expected_of_one_host_is_expected_of_it(source, host, expected, rules_found):
    more = {**EXPECTED, source: {**EXPECTED[source], "hosts": {host: expected}}}
    assert [one.rule for one in judged(expected=more).findings] == rules_found


def test_a_collector_of_whose_tables_nobody_is_told_is_not_clean():
    found = freshness_judge.judge(Source("freshness", "a", "read", data={"outcomes": []}), Expected({}, NOW))
    assert [one.rule for one in found] == ["collector-unknown"]


def test_findings_of_the_database_keep_what_the_module_said():
    (said,) = [one for one in broken()["findings"] if one["role"] == "public"]
    (found,) = judged(sources(access={**access(), "findings": [said]})).findings
    assert (found.severity, found.who, found.what, found.evidence) == ("critical", "public", "INSERT", said["evidence"])
    assert found.mend == said["remedy"]
    assert found.object == "table public.w3techs of taaraxtak"


@pytest.mark.parametrize(
    ("privilege", "promise"),
    [
        ("SELECT", "readers"),
        ("SELECT (columns)", "readers"),
        ("INSERT", "writers"),
        ("UPDATE", "writers"),
        ("DELETE", "deleters"),
        ("TRUNCATE", "deleters"),
        ("EXECUTE", "writers"),
    ],
)
def test_what_somebody_could_do_says_which_sentence_is_broken(privilege, promise):
    hole = {**broken()["findings"][0], "privilege": privilege}
    (found,) = judged(sources(access={**access(), "findings": [hole]})).findings
    assert found.promise == promise


@pytest.mark.parametrize("key", ["added", "not_provisioned"])
def test_a_dashboard_with_another_content_is_another_finding(key):
    ids = {
        one.id
        for content in ("0", "1")
        for one in judged(sources(dashboards={**dashboards(), key: ["a"], "contents": {"a": content}})).findings
    }
    assert len(ids) == 2


def test_tables_that_are_more_than_are_tried_are_a_small_matter():
    left = {**UNTRIED, "what": access_judge.LEFT_OUT, "sqlstate": None}
    (found,) = judged(sources(access={**access(), "probes": [left, PROBE]})).findings
    assert found.severity == "low"


def test_a_setting_that_waits_with_another_value_is_another_finding():
    ids = {
        one.id
        for value in ("0", "1")
        for one in judged(
            sources(server={**server(), "pending_restart": ["port"], "waiting": {"port": value}})
        ).findings
    }
    assert len(ids) == 2


def unseen(*unexpected: dict[str, object]) -> Source:
    """Sessions of a server whose log can't be read, as the answers become a source."""
    answer = {"state": "unreadable", "why": "log_connections is off", **sessions(*unexpected)}
    (one,) = answers.sources({"production": {"__audit_sessions": answer}}, {"production": ["database_hosts"]})
    return read_source(one)


def test_who_is_connected_now_is_told_where_nobody_knows_who_was():
    others = [one for one in sources() if one.id != "sessions"]
    found = judged([*others, unseen(login("stranger", identity=None, method=None))])
    assert [one.rule for one in found.findings] == ["login-unexpected", "source-unreadable"]
    assert found.unread
    assert [one.rule for one in judged([*others, unseen()]).findings] == ["source-unreadable"]
    absent = [Absence("sessions", "this server has no log")]
    found = judged([*others, unseen(login("stranger", identity=None, method=None))], absences=absent)
    assert [one.rule for one in found.findings] == ["login-unexpected"]


def test_what_an_unreadable_source_says_that_nobody_understands_makes_it_no_less_unreadable():
    others = [one for one in sources() if one.id != "sessions"]
    found = judged([*others, Source("sessions", "production", "unreadable", "why", {"unexpected": 7})])
    assert [one.rule for one in found.findings] == ["source-unreadable"]


def test_no_evidence_has_an_age():
    """Time goes on between two runs, and the report must not change by that."""
    data = {"dumps": late(), "access": broken()}
    one, other = (judged(sources(**data), now=NOW + dt.timedelta(hours=hours)).findings for hours in (0, 5))
    assert one == other
    assert "dump-late" in {each.rule for each in one}


def test_two_hosts_with_the_same_hole_have_two_findings():
    found = {Finding("sudo-all", host, "account x", "e").id for host in ("a", "b")}
    assert len(found) == 2
    assert Finding("r", "a", "o", "one evidence").id != Finding("r", "a", "o", "another").id
    assert Finding("r", "a", "o", "one evidence", value="").id == Finding("r", "a", "o", "another", value="").id
    assert Finding("r", "a", "o", "e", who="\ud800").id


def test_the_report_knows_every_rule_of_the_database_s_audit():
    page = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8").split("## The rules")[1].split("\n## ")[0]
    named = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    own = {"probe-failed", "probe-not-run", "unread-database"}
    assert {rule.id for rule in access_judge.RULES} - own == named


def test_every_rule_that_a_judge_gives_is_one_of_its_own():
    folder = ROOT / "plugins/module_utils/audit/judges"
    for kind in KINDS:
        tree = ast.parse((folder / f"{kind.id}.py").read_text(encoding="utf-8"))
        called = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Finding"]
        given = {node.args[0].value for node in called if node.args and isinstance(node.args[0], ast.Constant)}
        assert given <= {rule.id for rule in kind.rules}, kind.id


def test_a_rule_is_there_once():
    assert len(rules()) == sum(len(kind.rules) for kind in KINDS) + 4
    with pytest.raises(ValueError, match="two rules have the id"):
        rules((*KINDS, KINDS[0]))


def test_a_rule_needs_a_severity_and_a_sentence():
    for severity, promise in (("awful", "dumps"), ("high", "nothing")):
        with pytest.raises(ValueError, match="needs a severity"):
            Rule("x", severity, promise, "", "")


def test_a_judge_that_gives_a_rule_of_nobody_s_is_an_error():
    def odd(source: Source, _expected: object) -> list[Finding]:
        return [Finding("of-nobody", source.host, "x", "y")]

    kind = Kind("odd", "Odd", (), odd, ())
    from ansible_collections.taaraxtak.production.plugins.module_utils.audit.frame import Host, judge

    with pytest.raises(ValueError, match="no rule of its source"):
        judge([Source("odd", "a", "read")], [Host("a", ())], now=NOW, expected={}, kinds=(kind,))
