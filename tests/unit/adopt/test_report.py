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
        {"account": "ops", "schedule": "@daily", "command": "/home/ops/alert.sh", "table": "/y", "package": False},
        {"account": "root", "schedule": "17 * * * *", "command": "run-parts", "table": "/etc/crontab", "package": True},
    ],
    "keys": [{"account": "ops", "fingerprint": OPS, "comment": "laptop", "path": "/home/ops/.ssh/authorized_keys"}],
    "sudo": [{"account": "ops", "command": "ALL", "users": ["ALL"], "options": ["!authenticate"]}],
    "sockets": [
        {"protocol": "tcp", "port": 3000, "address": "192.0.2.10", "program": "grafana", "account": "grafana"},
        {"protocol": "tcp", "port": 5432, "address": "127.0.0.1", "program": "postgres", "account": "postgres"},
        {"protocol": "udp", "port": 443, "address": "::", "program": "nginx", "account": "root"},
        {"protocol": "tcp", "port": 443, "address": "::", "program": "nginx", "account": "root"},
        {"protocol": "tcp", "port": 22, "address": "::", "program": "sshd", "account": "root"},
    ],
    "ssh_log": [f"Accepted publickey for ops from 192.0.2.3 port 4711 ssh2: ED25519 {OPS}", "Accepted nonsense"],
    "queries": ['CREATE ROLE "dumper"'],
    "exceeding": ['ALTER ROLE "scraper" PASSWORD NULL', 'ALTER ROLE "former" NOLOGIN NOSUPERUSER'],
    "policy": {"roles": {"scraper": {"os_users": ["collector"]}, "owner": None}},
    "devops": {"alice": ["SHA256:alice"]},
    "open": [{"port": 443, "reason": "Grafana"}],
    "admin_cidrs": ["192.0.2.0/24"],
    "ssh_port": 22,
    "old": {"jobs": [], "files": [], "units": ["collect.service"], "dumps": ["/home/x"], "accounts": ["ops"]},
    "verified": {"app": 1},
    "newest": {"app": {"age_s": 3600, "verified": True}},
    "wanted_verified": 2,
    "settings": [
        {"name": "listen_addresses", "wanted": "", "live": "localhost"},
        {"name": "timezone", "wanted": "UTC", "live": "Asia/Tehran"},
    ],
    "units": [{"unit": "collect.service", "user": "ops"}, {"unit": "cron.service", "user": ""}],
    "running": [{"user": "ops", "program": "python3"}, {"user": "root", "program": "cron"}],
    "timezone": "Asia/Tehran",
    "wanted_timezone": "Etc/UTC",
    "grafana": "existing",
    "unreadable": {},
}


def breaks(step: str, **other: t.Any) -> str:
    return "\n".join(document(step, [], {**FACTS, **other})["steps"][step]["could_break"])


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ("retire", "sudo pg_dump app looks like a dump and is not named"),
        ("access", "scraper comes by the network, and its password is taken away"),
        ("access", "former is not in the policy and is connected"),
        ("logins", "former comes to app from 192.0.2.9"),
        ("keys", f"ops logs in from 192.0.2.3 by {OPS}: refused then"),
        ("keys", "ops: the job @daily /home/ops/alert.sh ends"),
        ("keys", "ops: collect.service ends and does not start again"),
        ("keys", "ops: python3 runs now and is killed"),
        ("keys", "the host's time zone goes from Asia/Tehran to Etc/UTC"),
        ("logins", "the server's timezone goes from Asia/Tehran to UTC"),
        ("clients", "a Grafana whose grafana.ini has [database] begins with an empty database"),
        ("firewall", "tcp 3000 of grafana is reached from elsewhere no more"),
        ("firewall", "udp 443 of nginx is reached from elsewhere no more"),
    ],
)
def test_who_is_seen_to_do_what_would_be_refused_is_named(step, sentence):
    assert sentence in breaks(step)


def test_what_goes_on_is_not_named():
    assert "5432" not in breaks("firewall")
    assert "22 " not in breaks("firewall")
    assert "tcp 443" not in breaks("firewall")
    kept = breaks("keys", devops={"ops": [OPS]}, old={"accounts": []}, timezone="UTC")
    assert "ops" not in kept
    assert "time zone" not in kept
    assert "root" not in breaks("keys")
    assert "timezone" not in breaks("logins", settings=[])
    assert "looks like a dump" not in breaks(
        "retire", old={"jobs": [{"user": "nightly", "line": "0 3 * * * sudo pg_dump app"}]}
    )


SIGNED = f"ED25519-CERT {OPS} ID carol (serial 7) CA ED25519 SHA256:ca"
CERTIFICATE = f"Accepted publickey for carol from 192.0.2.4 port 4711 ssh2: {SIGNED}"


@pytest.mark.parametrize(
    ("line", "shown", "refused"),
    [
        (CERTIFICATE, SIGNED, OPS),
        ("Accepted password for carol from 192.0.2.4 port 4711 ssh2", "password", "password"),
        (
            "Accepted gssapi-with-mic for carol from 192.0.2.4 port 1 ssh2: c@EXAMPLE",
            "gssapi-with-mic",
            "gssapi-with-mic",
        ),
    ],
)
def test_whoever_logs_in_by_whatever_is_seen_and_named(line, shown, refused):
    report = document("keys", [], {**FACTS, "ssh_log": [line]})
    assert report["there"]["Who has logged in, by sshd's log"] == [f"carol from 192.0.2.4 by {shown}"]
    assert f"carol logs in from 192.0.2.4 by {refused}: refused then" in report["steps"]["keys"]["could_break"]


def test_a_key_in_the_file_of_another_account_counts_there_no_more():
    path = "/etc/keys"
    found = [{"account": who, "fingerprint": "SHA256:alice", "path": path} for who in ("root", "alice")]
    changes = "\n".join(document("keys", [], {**FACTS, "keys": found})["steps"]["keys"]["changes"])
    assert f"root comes in no more by SHA256:alice ({path})" in changes
    assert "alice comes in no more" not in changes


def refused(step: str, **other: t.Any) -> str:
    return "\n".join(document(step, [], {**FACTS, **other})["steps"][step]["refused"])


@pytest.mark.parametrize(
    ("newest", "said"),
    [
        ({"app": {"age_s": 27 * 3600, "verified": True}}, "is 27 hours old, and at most 26 are asked for"),
        ({"app": {"age_s": 3600, "verified": False}}, "is not verified: run playbooks/restore_drill.yml"),
        ({"app": None}, "is none: run playbooks/backup_now.yml"),
        ({}, "is none: run playbooks/backup_now.yml"),
    ],
)
def test_the_old_job_waits_for_a_new_and_verified_dump_however_many_there_once_were(newest, said):
    assert said in refused("retire", verified={"app": 99}, newest=newest)


def test_the_old_job_goes_once_enough_dumps_are_proved_and_the_newest_is_one():
    assert "app has 1 verified dumps and 2 are asked for" in refused("retire")
    assert refused("retire", verified={"app": 2}) == ""
    assert refused("retire", verified={}) == "no database is dumped (backup_databases)"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"there": ["/opt/taaraxtak"]}, "/opt/taaraxtak is there and is not this collection's"),
        ({"there": ["/etc/systemd/system/taaraxtak-collector.service"]}, "would be overwritten: give it another name"),
        ({"accounts": ["root", "collector"]}, "the account collector is there"),
        ({"grafana_key_lost": True}, "into dashboards_secret_key"),
    ],
)
def test_clients_takes_the_place_of_nothing_that_is_somebody_elses(facts, said):
    assert said in refused("clients", **facts)
    assert "can't be taken yet" in screen(document("clients", [], {**FACTS, **facts}))
    if "grafana_key_lost" not in facts:
        assert refused("clients", **facts, collector_ours=True) == ""


def test_what_clients_replaces_of_grafana_is_named():
    changes = "\n".join(document("clients", [], FACTS)["steps"]["clients"]["changes"])
    for words in ("/opt/taaraxtak/app becomes", "the account collector is made", "grafana.db, is copied", "secret_key"):
        assert words in changes
    assert "becomes the version" not in changes
    assert "becomes the version 12.3.0" in "\n".join(
        document("clients", [], {**FACTS, "grafana": "apt", "grafana_version": "12.3.0"})["steps"]["clients"]["changes"]
    )


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
        ("dumps", [], "dumps is not begun, so nothing is to be taken back"),
        ("dumps", ["dumps", "retire", "grants"], "first take back grants, retire, in this order"),
        ("report", ["dumps"], "'report' is no step: dumps, retire, grants, clients, access, logins, keys, firewall"),
    ],
)
def test_steps_are_taken_back_in_the_other_order(step, done, said):
    assert way_back_refusal(step, done) == said


def test_what_comes_next_is_the_first_that_is_not_done():
    assert following(["dumps"]) == "retire"
    assert following(STEPS) == ""
