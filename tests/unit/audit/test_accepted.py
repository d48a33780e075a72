"""What is accepted is one finding with the value that was seen: anything worse in its place counts again."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.declared import (
    Absence,
    Deviation,
    read_deviations,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.frame import Judged
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.model import Document
from ansible_collections.taaraxtak.production.tests.unit.audit import hosts
from ansible_collections.taaraxtak.production.tests.unit.audit.estates import (
    NOW,
    broken,
    dashboards,
    judged,
    server,
    sessions,
    sources,
)

PARTS = hosts.parts(hosts.PRODUCTION)
EDITED = {**dashboards(), "updated": ["ooni"], "equal": False}
FIREWALL = {"what": "the table inet taaraxtak_host", "more": ["x"] * 6, "lacks": [], "digest": "1f"}


def in_part(part: str, field: str, *added: Document) -> Document:
    data = copy.deepcopy(PARTS[part])
    data[field] = [*data[field], *added]
    return {part: data}


def settings(value: str) -> Document:
    account = {"*": {**PARTS["sshd"]["settings"]["*"], "permitrootlogin": [value]}}
    return {"sshd": {**PARTS["sshd"], "settings": {**PARTS["sshd"]["settings"], **account}}}


def listens(value: str) -> Document:
    return {"server": {**server(), "settings": [{"name": "listen_addresses", "wanted": "", "live": value}]}}


def login(database: str) -> Document:
    one = {"role": "dba", "database": database, "address": "203.0.113.9", "identity": "dba", "method": "md5"}
    return {"sessions": {**sessions(), "unexpected": [one]}}


def shadow(mode: str) -> Document:
    files = [{**one, "mode": mode} if one["path"] == "/etc/shadow" else one for one in PARTS["secrets"]["files"]]
    return {"secrets": {**PARTS["secrets"], "files": files}}


def room(percent: int) -> Document:
    return {"disk": {"places": [{**PARTS["disk"]["places"][0], "percent_free": percent}]}}


def firewall(*lines: str) -> Document:
    return {"firewall": {**PARTS["firewall"], "differs": [{**FIREWALL, "more": [*FIREWALL["more"], *lines]}]}}


def ordered(digest: str) -> Document:
    """The same lines in another order."""
    return {"firewall": {**PARTS["firewall"], "differs": [{**FIREWALL, "more": [], "digest": digest}]}}


def table(digest: str) -> Document:
    return in_part("firewall", "other_tables", {"table": "ip nat", "lines": [], "digest": digest})


def at_boot(digest: str) -> Document:
    return in_part("firewall", "other_tables", {"table": "at boot", "lines": ["a"] * 9, "digest": digest})


def matched(*lines: str) -> Document:
    one = {"path": "/etc/ssh/sshd_config", "text": "Address 203.0.113.9", "lines": list(lines)}
    return in_part("sshd", "matches", one)


def cron(**more: t.Any) -> Document:
    return in_part("jobs", "cron", hosts.job("/opt/x", **more))


def timer(digest: str) -> Document:
    files = {"/etc/systemd/system/x.timer": "x", "/etc/systemd/system/x.service": digest}
    one = {"unit": "x.timer", "starts": "x.service", "next": 1, "schedule": [], "files": files}
    return in_part("jobs", "timers", one)


def waits(digest: str) -> Document:
    return in_part("jobs", "at", {"name": "a1", "digest": digest})


def privileged(**more: t.Any) -> Document:
    one = {"path": "/usr/local/bin/x", "mode": "0755", "package": False, **more}
    return in_part("privileged_files", "files", hosts.privileged(**one))


def in_home(digest: str) -> Document:
    path = "/home/alice/.ssh/authorized_keys"
    keys = [*PARTS["keys"]["keys"], hosts.key("alice", ignored=True, path=path)]
    files = [*PARTS["keys"]["files"], hosts.key_file("alice", ignored=True, path=path, digest=digest)]
    return {"keys": {**PARTS["keys"], "keys": keys, "files": files}}


def granted(severity: str) -> Document:
    return {"access": {**broken(), "findings": [{**broken()["findings"][1], "severity": severity}]}}


def tampered(digest: str) -> Document:
    one = {"path": "/usr/bin/su", "configuration": False, "missing": False, "digest": digest}
    return in_part("packages", "changed", one)


def laid_over(digest: str) -> Document:
    path = "/etc/systemd/system/x.service.d/y.conf"
    return in_part("units", "units", hosts.unit("x.service", files=[path], contents={path: digest}))


def listed(acl: str) -> Document:
    files = [{**one, "acl": acl} if one["path"] == "/etc/shadow" else one for one in PARTS["secrets"]["files"]]
    return {"secrets": {**PARTS["secrets"], "files": files}}


def logins(digest: str, compared: bool) -> Document:
    path = "/etc/postgresql/17/main/pg_hba.conf"
    files = {**server()["login_files"], "compared": compared, "contents": {path: digest}}
    return {"server": {**server(), "login_files": {**files, "different": [path] if compared else []}}}


def edited(difference: str) -> Document:
    return {"dashboards": {**EDITED, "differences": {"ooni": difference}}}


def accepting(done: Judged, **more: str) -> list[Deviation]:
    entries = [
        {"id": one.id, "object": one.object, "reason": "known", "expires": "2026-12-31", **more}
        for one in done.findings
    ]
    return list(read_deviations(entries))


@pytest.mark.parametrize(
    ("accepted", "worse"),
    [
        (settings("prohibit-password"), settings("yes")),
        (listens("127.0.0.1"), listens("*")),
        (shadow("0644"), shadow("0666")),
        (room(9), room(0)),
        (login("postgres"), login("taaraxtak")),
        (firewall("tcp dport 80 accept", "tcp dport 443 accept"), firewall("tcp dport 80 accept", "accept")),
        (granted("medium"), granted("critical")),
        (tampered("1f"), tampered("2f")),
        (laid_over("1f"), laid_over("2f")),
        (listed("access 02"), listed("access 03")),
        (edited("-a\n+b"), edited("-a\n+c")),
        (logins("1f", True), logins("2f", True)),
        (logins("1f", False), logins("2f", False)),
        (privileged(mode="2755"), privileged(mode="4755")),
        (privileged(mode="4755", digest="1f"), privileged(mode="4755", digest="2f")),
        (
            privileged(capabilities=["cap_net_raw"], digest="1f"),
            privileged(capabilities=["cap_net_raw"], digest="2f"),
        ),
        (ordered("1f"), ordered("2f")),
        (table("1f"), table("2f")),
        (at_boot("1f"), at_boot("2f")),
        (matched("maxsessions 1"), matched("maxsessions 1", "authorizedkeyscommand /tmp/x")),
        (cron(schedule="0 3 * * *"), cron(schedule="* * * * *")),
        (cron(environment={"PATH": "/usr/bin"}), cron(environment={"PATH": "/tmp"})),
        (cron(digest="1f"), cron(digest="2f")),
        (timer("1f"), timer("2f")),
        (waits("1f"), waits("2f")),
        (in_home("1f"), in_home("2f")),
    ],
    ids=[
        "sshd",
        "listens",
        "secret",
        "disk",
        "login",
        "firewall",
        "severity",
        "package",
        "unit",
        "acl",
        "dashboard",
        "hba",
        "uncompared",
        "setuid",
        "setuid-content",
        "capability-content",
        "firewall-order",
        "foreign-table",
        "boot",
        "match",
        "schedule",
        "environment",
        "script",
        "timer",
        "at",
        "key",
    ],
)
def test_a_worse_value_in_the_place_of_an_accepted_one_counts(accepted, worse):
    known = accepting(judged(sources(**accepted)))
    assert known
    assert judged(sources(**accepted), deviations=known).findings == ()
    done = judged(sources(**worse), deviations=known)
    rules = [one.rule for one in judged(sources(**worse)).findings]
    assert sorted(one.rule for one in done.findings) == sorted([*rules, *["unused-deviation"] * len(known)])


def test_the_next_of_a_kind_is_not_accepted_with_the_first():
    one, two = hosts.rule("collector", "/usr/bin/id"), hosts.rule("collector", "ALL")
    known = accepting(judged(sources(**in_part("sudo_rules", "rules", one))))
    done = judged(sources(**in_part("sudo_rules", "rules", one, two)), deviations=known)
    assert [(found.rule, found.what) for found in done.findings] == [("sudo-unknown", "ALL")]


@pytest.mark.parametrize(
    "id_", ["dashboard-edited", "dashboard-edited-", "dashboard-edited-xyz", "Dashboard-0123456789"]
)
def test_a_rule_is_no_finding_s_id(id_):
    entry = {"id": id_, "object": "dashboard ooni", "reason": "known", "expires": "2026-12-31"}
    with pytest.raises(ValueError, match=r"audit_accepted, entry 1: id must be a finding's own"):
        read_deviations([entry])


def test_an_acceptance_that_holds_no_more_says_what_stands_there_now():
    known = accepting(judged(sources(**settings("prohibit-password"))))
    done = judged(sources(**settings("yes")), deviations=known)
    (unused,) = [one for one in done.findings if one.rule == "unused-deviation"]
    (found,) = [one for one in done.findings if one.rule == "sshd-setting"]
    assert found.id in unused.evidence


def test_of_a_source_that_is_absent_a_deviation_is_unused():
    known = accepting(judged(sources(dashboards=EDITED)))
    given = [one for one in sources() if one.id != "dashboards"]
    done = judged(given, deviations=known, absences=[Absence("dashboards", "no Grafana here yet")])
    assert [one.rule for one in done.findings] == ["unused-deviation"]


def test_a_source_that_could_not_be_read_has_one_id_whatever_the_reason():
    """The reason may hold a time or a number of the run."""
    reasons = ("timed out after 10.2 s", "timed out after 10.3 s")
    ids = {
        one.id
        for why in reasons
        for one in judged([*sources()[1:], _unread(why)], now=NOW).findings
    }  # fmt: skip
    assert len(ids) == 1


def _unread(why: str) -> t.Any:
    source = sources()[0]
    return type(source)(source.id, source.host, "unreadable", why)
