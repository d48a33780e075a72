"""Who was connected: the log's lines as PostgreSQL writes them, and the policy."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.connections import Connection, allowed, read

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
