"""What adopting a host would change and break, as far as it can be seen."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.adopt.report import (
    STEPS,
    document,
    following,
    refusal,
    screen,
    way_back_refusal,
)

OPS = "SHA256:ops"
FACTS: dict[str, t.Any] = {
    "host": "production",
    "server": {"version": "17.1", "port": "5432", "rows": ["host all all 127.0.0.1/32 md5"]},
    "connected": [
        {"role": "scraper", "database": "app", "address": "127.0.0.1"},
        {"role": "former", "database": "app", "address": "192.0.2.9"},
    ],
    "unexpected": [{"role": "former", "database": "app", "address": "192.0.2.9"}],
    "cron": [
        {"account": "nightly", "schedule": "0 3 * * *", "command": "sudo pg_dump app", "table": "/x", "package": False},
        {"account": "root", "schedule": "17 * * * *", "command": "run-parts", "table": "/etc/crontab", "package": True},
    ],
    "keys": [{"account": "ops", "fingerprint": OPS, "comment": "laptop", "path": "/home/ops/.ssh/authorized_keys"}],
    "sudo": [{"account": "ops", "command": "ALL", "users": ["ALL"], "options": ["!authenticate"]}],
    "sockets": [
        {"protocol": "tcp", "port": 3000, "address": "192.0.2.10", "program": "grafana", "account": "grafana"},
        {"protocol": "tcp", "port": 5432, "address": "127.0.0.1", "program": "postgres", "account": "postgres"},
        {"protocol": "tcp", "port": 22, "address": "::", "program": "sshd", "account": "root"},
    ],
    "ssh_log": [f"Accepted publickey for ops from 192.0.2.3 port 4711 ssh2: ED25519 {OPS}", "Accepted nonsense"],
    "queries": ['CREATE ROLE "dumper"'],
    "exceeding": ['ALTER ROLE "scraper" PASSWORD NULL', 'ALTER ROLE "former" NOLOGIN NOSUPERUSER'],
    "policy": {"roles": {"scraper": {"os_users": ["collector"]}, "owner": None}},
    "devops": {"alice": ["SHA256:alice"]},
    "open": [],
    "admin_cidrs": ["192.0.2.0/24"],
    "ssh_port": 22,
    "old": {"jobs": [], "files": [], "units": ["collect.service"], "dumps": ["/home/x"]},
    "verified": {"app": 1},
    "wanted_verified": 2,
    "settings": [{"name": "listen_addresses", "wanted": "", "live": "localhost"}],
    "unreadable": {},
}


def breaks(step: str, **other: t.Any) -> str:
    return "\n".join(document(step, [], {**FACTS, **other})["steps"][step]["could_break"])


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ("retire", "app has 1 verified dumps and 2 are asked for"),
        ("retire", "sudo pg_dump app looks like a dump and is not named"),
        ("access", "scraper comes by the network, and its password is taken away"),
        ("access", "former is not in the policy and is connected"),
        ("logins", "former comes to app from 192.0.2.9"),
        ("keys", f"ops logs in from 192.0.2.3 by {OPS}: refused then"),
        ("firewall", "tcp 3000 of grafana is reached from elsewhere no more"),
    ],
)
def test_who_is_seen_to_do_what_would_be_refused_is_named(step, sentence):
    assert sentence in breaks(step)


def test_what_goes_on_is_not_named():
    assert "5432" not in breaks("firewall")
    assert "22 " not in breaks("firewall")
    assert "ops" not in breaks("keys", devops={"ops": [OPS]})
    assert "looks like a dump" not in breaks(
        "retire", old={"jobs": [{"user": "nightly", "line": "0 3 * * * sudo pg_dump app"}]}
    )
    assert "verified" not in breaks("retire", verified={"app": 2})


def test_a_collector_that_nobody_has_named_is_said():
    assert "adopt_old_units is empty" in breaks("clients", old={"units": []})


def test_the_whole_report_has_every_step_and_says_which_comes_next():
    report = document("report", ["dumps"], FACTS)
    shown = screen(report)
    assert list(report["steps"]) == list(STEPS)
    assert "Done: dumps. Next: retire." in shown
    assert "nightly: 0 3 * * * sudo pg_dump app" in shown
    assert "run-parts" not in shown
    assert json.loads(json.dumps(report)) == report


def test_what_could_not_be_read_is_said_first():
    shown = screen(document("report", [], {**FACTS, "unreadable": {"keys": "no sshd"}}))
    assert "! keys could not be read: no sshd" in shown.splitlines()[:3]


def test_an_empty_host_has_a_report_too():
    assert "nothing" in screen(document("report", [], {"host": "new"}))


def test_text_of_the_host_moves_no_cursor():
    shown = screen(document("report", [], {**FACTS, "unreadable": {"keys": "a\x1b[2Jb\u202ec"}}))
    assert "\x1b" not in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize(
    ("step", "done", "said"),
    [
        ("report", [], ""),
        ("dumps", [], ""),
        ("retire", ["dumps"], ""),
        ("grants", ["dumps"], "grants comes after retire"),
        ("dumps", ["dumps"], "dumps is done; its way back is playbooks/adopt_back.yml"),
        ("all", [], "'all' is no step: report, dumps, retire, grants, clients, access, logins, keys, firewall"),
    ],
)
def test_steps_are_taken_one_after_the_other(step, done, said):
    assert refusal(step, done) == said


@pytest.mark.parametrize(
    ("step", "done", "said"),
    [
        ("dumps", ["dumps"], ""),
        ("dumps", [], "dumps is not done, so nothing is to be taken back"),
        ("dumps", ["dumps", "retire", "grants"], "first take back grants, retire, in this order"),
        ("report", ["dumps"], "'report' is no step: dumps, retire, grants, clients, access, logins, keys, firewall"),
    ],
)
def test_steps_are_taken_back_in_the_other_order(step, done, said):
    assert way_back_refusal(step, done) == said


def test_what_comes_next_is_the_first_that_is_not_done():
    assert following(["dumps"]) == "retire"
    assert following(STEPS) == ""
