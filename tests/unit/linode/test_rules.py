"""The cloud firewall lets in what is named, and two writings of the same rules are equal."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.linode.rules import normal, wanted
from hypothesis import given
from hypothesis import strategies as st

ADMINS = ["192.0.2.0/24", "2001:DB8::/32", "198.51.100.7"]


def test_ssh_alone_comes_in_where_nothing_else_is_asked_for():
    assert wanted(ADMINS, ssh_port=2222) == {
        "inbound": [
            {
                "label": "ssh",
                "action": "ACCEPT",
                "protocol": "TCP",
                "ports": "2222",
                "addresses": {"ipv4": ["192.0.2.0/24", "198.51.100.7/32"], "ipv6": ["2001:db8::/32"]},
            }
        ],
        "inbound_policy": "DROP",
        "outbound": [],
        "outbound_policy": "ACCEPT",
    }


def test_an_opening_may_be_udp():
    *_, rule = wanted(ADMINS, openings=[{"port": 123, "from": ["192.0.2.0/24"], "protocol": "udp"}])["inbound"]
    assert (rule["label"], rule["protocol"], rule["ports"]) == ("port-123-udp", "UDP", "123")


def test_what_is_opened_comes_in_from_where_it_says_alone():
    openings = [{"port": port, "from": ["203.0.113.7"]} for port in (80, "443", 5432)]
    rules = {rule["label"]: rule["addresses"] for rule in wanted(ADMINS, openings=openings)["inbound"]}
    assert list(rules) == ["ssh", "http", "https", "port-5432"]
    assert rules["http"] == rules["https"] == rules["port-5432"] == {"ipv4": ["203.0.113.7/32"]}


@pytest.mark.parametrize(
    ("admins", "more", "said"),
    [
        ([], {}, "Nobody is named whom ssh is open for"),
        (["192.0.2.1/24"], {}, "192.0.2.1/24 is no network"),
        (["anybody"], {}, "anybody is no network"),
        ([f"192.0.2.{number}" for number in range(256)], {}, "Linode takes 255"),
        (ADMINS, {"ssh_port": 0}, "0 is no port"),
        (ADMINS, {"openings": [{"port": 1, "from": ADMINS, "protocol": "icmp"}]}, "icmp is no protocol"),
        (
            ADMINS,
            {"openings": [{"port": port, "from": ADMINS} for port in range(1, 26)]},
            "26 rules, and Linode takes 25",
        ),
    ],
)
def test_what_the_api_would_refuse_is_refused_before(admins, more, said):
    with pytest.raises(ValueError, match=said):
        wanted(admins, **more)


def test_the_same_rules_written_differently_are_equal():
    ours = wanted(ADMINS)
    theirs = {
        "version": 7,
        "fingerprint": "997dd135",
        **ours,
        "inbound": [
            {
                **ours["inbound"][0],
                "label": "other",
                "description": "x",
                "ports": " 22 ",
                "addresses": {"ipv6": ["2001:DB8:0::/32"], "ipv4": ["198.51.100.7", "192.0.2.0/24"]},
            }
        ],
    }
    assert normal(theirs) == normal(ours)


@pytest.mark.parametrize(
    "change",
    [
        {"inbound_policy": "ACCEPT"},
        {"outbound_policy": "DROP"},
        {"inbound": []},
        {"outbound": [{"action": "DROP", "protocol": "TCP", "ports": "25", "addresses": {"ipv4": ["0.0.0.0/0"]}}]},
        {"inbound": [*wanted(ADMINS)["inbound"], *wanted(["0.0.0.0/0"])["inbound"]]},
    ],
)
def test_rules_that_let_something_else_in_or_out_are_not_equal(change):
    assert normal({**wanted(ADMINS), **change}) != normal(wanted(ADMINS))


@given(st.permutations(ADMINS), st.permutations([5432, 8080, 9100]))
def test_the_order_does_not_matter(admins, ports):
    openings = [{"port": port, "from": ADMINS} for port in (5432, 8080, 9100)]
    mixed = [{"port": port, "from": admins} for port in ports]
    assert normal(wanted(admins, openings=mixed)) == normal(wanted(ADMINS, openings=openings))
