"""Who was connected: the log's lines as PostgreSQL writes them, and the policy."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.connections import (
    Connection,
    allowed,
    read,
    untold,
)

PROOF = 'connection authenticated: identity="{}" method={} (pg_hba.conf:3)'
AT = "2026-11-23 17:41:24.123 UTC"
POLICY = parse(
    {
        "version": 1,
        "scope": {"databases": ["taaraxtak"], "schemas": ["public"], "public": True},
        "mode": "authoritative",
        "roles": {
            "scraper": {"os_users": ["collector"]},
            "grafanareader": {"hosts": [{"address": "192.0.2.0/24", "method": "cert"}]},
            "taaraxtak_owner": {"login": False},
        },
    }
)


def lines(role: str, identity: str, *, host: str = "[local]", method: str = "peer", more: str = "") -> list[str]:
    return [
        f"{AT} [7] LOG:  connection received: host={host}",
        f"{AT} [7] {role}@taaraxtak LOG:  {PROOF.format(identity, method)}",
        f"{AT} [7] {role}@taaraxtak LOG:  connection authorized: user={role} database=taaraxtak{more}",
    ]


def test_a_login_is_put_together_from_its_lines():
    assert read(lines("scraper", "collector", more=" application_name=psql")) == {
        Connection("scraper", "taaraxtak", "[local]", "collector", "peer")
    }


def test_a_login_by_tls_has_its_address():
    found = read(lines("grafanareader", "CN=grafanareader", host="192.0.2.7 port=5123", method="cert",
                       more=" SSL enabled (protocol=TLSv1.3, cipher=x, bits=256)"))  # fmt: skip
    assert found == {Connection("grafanareader", "taaraxtak", "192.0.2.7", "CN=grafanareader", "cert")}


@pytest.mark.parametrize("role", ["John Doe", "a  b", "x LOG:", "x@y", " ", "x" * 63])
def test_a_name_with_blanks_hides_nobody(role):
    assert read(lines(role, "mallory")) == {Connection(role, "taaraxtak", "[local]", "mallory", "peer")}


@pytest.mark.parametrize(
    "role",
    [
        "scraper database=taaraxtak application_name=",
        "x LOG:  connection authorized: user=scraper database=taaraxtak",
        "x LOG:  connection received: host=[local]",
        "x@y LOG:  connection",
        "scraper SSL enabled (",
        "scraper application_name=",
    ],
)
def test_a_name_that_reads_as_another_s_login_is_none_that_the_policy_lets_in(role):
    found = read(lines(role, "mallory"))
    assert found
    assert not any(allowed(one, POLICY) for one in found)


def test_a_line_as_long_as_a_statement_takes_no_time():
    lines = [f"{AT} [7] {'@' * 100_000} LOG:  connection authorized: user=", f"{AT} [7] {'A:  @ LOG:  ' * 50_000}"]
    assert [one.role for one in read(lines * 20)] == ["user="]


def test_what_a_program_calls_itself_is_no_name_of_a_role():
    more = " application_name=x database=y LOG:  connection authorized: user=dba SSL enabled ()"
    assert {one.role for one in read(lines("scraper", "collector", more=more))} == {"scraper"}


def test_from_17_on_a_login_without_a_proof_has_a_line_of_its_own():
    first, _proof, last = lines("scraper", "collector")
    trust = f'{AT} [7] scraper@taaraxtak LOG:  connection authenticated: user="scraper" method=trust (pg_hba.conf:1)'
    assert read([first, trust, last]) == {Connection("scraper", "taaraxtak", "[local]", "", "trust")}


def test_a_replication_is_a_login_too():
    first, proof, last = lines("scraper", "collector")
    last = last.replace("connection authorized", "replication connection authorized").replace(" database=taaraxtak", "")
    last = last.replace("scraper@taaraxtak", "scraper@[unknown]")
    assert read([first, proof, last]) == {Connection("scraper", "", "[local]", "collector", "peer")}


def test_the_time_s_zone_may_be_any():
    assert read([one.replace("UTC", "Europe/Berlin") for one in lines("scraper", "collector")])


LOGGING = {
    "log_connections": "on",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_min_messages": "warning",
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"log_connections": "receipt, authentication,Authorization"},
        {"log_connections": "ALL"},
        {"log_connections": "all,setup_durations"},
        {"log_connections": "1"},
        {"log_destination": "csvlog, stderr"},
        {"log_min_messages": "log"},
        {"logging_collector": "on", "given": True},
    ],
)
def test_a_log_that_tells_everything(more):
    given = more.pop("given", False)
    assert untold({**LOGGING, **more}, given=given) == ""


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"log_connections": "off"}, "log_connections is off"),
        ({"log_connections": ""}, "log_connections is empty"),
        ({"log_connections": "receipt,authorization"}, "log_connections is receipt,authorization"),
        ({"log_connections": "authorization"}, "log_connections is authorization"),
        ({"log_connections": "setup_durations"}, "log_connections is setup_durations"),
        ({"log_line_prefix": "%t "}, "log_line_prefix is '%t '"),
        ({"log_line_prefix": ""}, "log_line_prefix is ''"),
        ({"logging_collector": "on"}, "logging_collector is on"),
        ({"log_destination": "syslog"}, "log_destination is syslog"),
        ({"log_destination": "csvlog"}, "log_destination is csvlog"),
        ({"log_destination": ""}, "log_destination is empty"),
        ({"log_min_messages": "fatal"}, "log_min_messages is fatal"),
        ({"log_min_messages": "panic"}, "log_min_messages is panic"),
    ],
)
def test_a_log_that_does_not_tell_everything_is_not_one_without_logins(more, why):
    assert why in untold({**LOGGING, **more}, given=False)


def test_two_that_come_at_once_are_told_apart_by_their_process():
    first, second = lines("scraper", "collector"), [one.replace("[7]", "[8]") for one in lines("dba", "alice")]
    mixed = [one for pair in zip(first, second, strict=True) for one in pair]
    assert {(one.role, one.identity) for one in read(mixed)} == {("scraper", "collector"), ("dba", "alice")}


@pytest.mark.parametrize(
    "line",
    [
        f"\t{AT} [7] LOG:  connection authorized: user=dba database=taaraxtak",
        f"{AT} [7] x@y STATEMENT:  LOG:  connection authorized: user=dba database=taaraxtak",
        f'{AT} [7] x@y FATAL:  no pg_hba.conf entry for host "[local]", user "dba"',
        "connection authorized: user=dba database=taaraxtak",
    ],
)
def test_what_only_looks_like_a_login_is_none(line):
    assert read([line]) == set()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "a a a [7] p@t LOG:  connection authorized: user=p database=t",
        "@postgres FATAL:  no",
        f"{AT} [7] ",
        f"{AT} [7] x",
        f"{AT} [7] x LOG:  connection received: host=[local]",
        f"{AT} [7] @t LOG:  connection received: host=[local]",
        f"{AT} [7] p@t LOG:  connection authorized: user=p database=t application_name= FATAL:  no",
        f'{AT} [7] p@t LOG:  connection authenticated: identity="a" method=peer ( FATAL:  no )',
        "sh: 1: cp: not found",
    ],
)
def test_a_line_that_is_no_message_of_the_server_s_is_told(line):
    strange: list[int] = []
    read([*lines("scraper", "collector"), line], strange=strange)
    assert strange == [4]


@pytest.mark.parametrize(
    "line",
    [
        f"{AT} [7] LOG:  checkpoint starting: time",
        f"{AT} [7] HINT:  look",
        f"{AT} [7] [unknown]@[unknown] LOG:  connection received: host=[local]",
        f"{AT} [7] x@y STATEMENT:  ",
        "\tSELECT LOG:  connection received: host=[local]",
        f"{AT} [7] x@y STATEMENT:  SELECT 'LOG:  connection received: host=[local] FATAL:  '",
    ],
)
def test_a_message_of_the_server_s_is_nothing_strange(line):
    strange: list[int] = []
    assert read([line], strange=strange) == set()
    assert strange == []


def test_one_without_a_proof_is_trust():
    assert read([lines("scraper", "collector")[0], lines("scraper", "collector")[2]]) == {
        Connection("scraper", "taaraxtak", "[local]", "", "trust")
    }


def test_a_proof_is_not_the_next_ones_who_has_the_same_process():
    found = read([*lines("scraper", "collector")[:2], *lines("scraper", "x")[0:1], *lines("scraper", "x")[2:]])
    assert found == {Connection("scraper", "taaraxtak", "[local]", "", "trust")}


@pytest.mark.parametrize(
    ("one", "may"),
    [
        (("scraper", "[local]", "collector", "peer"), True),
        (("scraper", "[local]", None, None), True),
        (("scraper", "[local]", "alice", "peer"), False),
        (("scraper", "[local]", "", "trust"), False),
        (("scraper", "[local]", "collector", "trust"), False),
        (("scraper", "192.0.2.7", "scraper", "scram-sha-256"), False),
        (("postgres", "[local]", "postgres", "peer"), True),
        (("postgres", "[local]", "root", "peer"), False),
        (("postgres", "192.0.2.7", None, None), False),
        (("taaraxtak_owner", "[local]", "postgres", "peer"), False),
        (("stranger", "[local]", None, None), False),
        (("grafanareader", "192.0.2.7", "CN=grafanareader", "cert"), True),
        (("grafanareader", "192.0.2.7", None, None), True),
        (("grafanareader", "192.0.2.7", "grafanareader", "scram-sha-256"), False),
        (("grafanareader", "198.51.100.7", "CN=grafanareader", "cert"), False),
        (("grafanareader", "[local]", "grafana", "peer"), False),
        (("grafanareader", "somewhere", None, None), False),
    ],
)
def test_the_policy_says_who_may(one, may):
    role, address, identity, method = one
    assert allowed(Connection(role, "taaraxtak", address, identity, method), POLICY) is may
