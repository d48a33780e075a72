"""The judges: each rule is found by what it is about, and by nothing else."""

from __future__ import annotations

import ast
import datetime as dt
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.judges import access as access_judge
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.model import Finding, Kind, Rule, Source
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.registry import KINDS, rules
from ansible_collections.taaraxtak.production.tests.unit.audit.estates import (
    NOW,
    access,
    broken,
    dashboards,
    dump,
    dumps,
    effective,
    judged,
    login,
    provider,
    server,
    sessions,
    sources,
)

PROBE = access()["probes"][0]
SUPERUSER = effective("dba", ["OWNER"], ["public.w3techs"], "superuser")
ROOT = Path(__file__).resolve().parents[3]
FILES = server()["login_files"]


def late(**more: object) -> dict[str, object]:
    return {**dumps(), "dumps": [dump(2, verified=True, **more)]}


def setting(name: str) -> dict[str, str]:
    return {"name": name, "wanted": "", "live": "*"}


@pytest.mark.parametrize(
    ("id_", "data", "found"),
    [
        ("access", {**access(), "findings": [broken()["findings"][0]]}, ["excess-privilege"]),
        (
            "access",
            {**access(), "unread": [{"database": "x", "why": "it accepts no connections"}]},
            ["unread-database"],
        ),
        ("access", {**access(), "probes": [{**PROBE, "outcome": "failed"}]}, ["probe-failed"]),
        ("access", {**access(), "probes": [{**PROBE, "outcome": "not run"}]}, ["probe-not-run"]),
        ("access", {**access(), "probes": [{**PROBE, "outcome": "not run"}, PROBE]}, []),
        ("access", {**access(), "probes": [{**PROBE, "outcome": "not run"}], "effective": [SUPERUSER]}, []),
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
        ("server", {**server(), "login_files": {**FILES, "different": ["/x/pg_hba.conf"]}}, ["login-file"]),
        ("server", {**server(), "login_files": {**FILES, "not_loaded": ["/x/pg_hba.conf"]}}, ["login-file"]),
        ("server", {**server(), "login_files": {**FILES, "broken": "line 2: nonsense"}}, ["login-file"]),
        ("server", {**server(), "settings": [setting("work_mem")]}, ["server-setting"]),
        ("server", {**server(), "settings": [setting("listen_addresses")]}, ["server-listens"]),
        ("server", {**server(), "pending_restart": ["shared_buffers"]}, ["server-restart"]),
        ("server", {**server(), "installed": "17.7 (Debian 17.7-0+deb13u1)"}, ["server-restart"]),
        ("sessions", sessions(login(identity="collector")), ["login-unexpected"]),
        ("sessions", sessions(login(address="192.0.2.7", identity=None)), ["login-unexpected"]),
        ("sessions", sessions(login(identity="a"), login(identity="b")), ["login-unexpected", "login-unexpected"]),
        ("provider", provider(problems=["backups are off"]), ["provider-problem"]),
        ("provider", provider(verified_at="2026-11-20T06:30:00Z"), ["provider-late"]),
        ("provider", provider(label="another"), ["provider-unasked"]),
        ("dashboards", {**dashboards(), "updated": ["a"]}, ["dashboard-edited"]),
        ("dashboards", {**dashboards(), "added": ["a"]}, ["dashboard-unknown"]),
        ("dashboards", {**dashboards(), "removed": ["a"]}, ["dashboard-missing"]),
        ("dashboards", {**dashboards(), "not_provisioned": ["a"]}, ["dashboard-not-provisioned"]),
        (
            "incidents",
            {"incidents": [{"name": "x", "word": "carried out", "why": "", "overdue": True}]},
            ["incident-overdue"],
        ),
        (
            "incidents",
            {"incidents": [{"name": "x", "word": "void", "why": "edited", "overdue": False}]},
            ["incident-void"],
        ),
        ("incidents", {"incidents": [{"name": "x", "word": "draft", "why": "", "overdue": False}]}, []),
    ],
)
def test_each_rule_is_found_by_what_it_is_about(id_, data, found):
    assert sorted(one.rule for one in judged(sources(**{id_: data})).findings) == found


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


def test_no_evidence_has_an_age():
    """Time goes on between two runs, and the report must not change by that."""
    data = {"dumps": late(), "access": broken()}
    one, other = (judged(sources(**data), now=NOW + dt.timedelta(hours=hours)).findings for hours in (0, 5))
    assert one == other
    assert "dump-late" in {each.rule for each in one}


def test_two_hosts_with_the_same_hole_have_two_findings():
    found = {Finding("sudo-all", host, "account x", "e").id for host in ("a", "b")}
    assert len(found) == 2
    assert Finding("r", "a", "o", "one evidence").id == Finding("r", "a", "o", "another").id
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
