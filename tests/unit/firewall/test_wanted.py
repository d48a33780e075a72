"""What may be asked of a firewall, and the sentence for what may not."""

from __future__ import annotations

import ipaddress
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.firewall.ruleset import render
from ansible_collections.taaraxtak.production.plugins.module_utils.firewall.wanted import (
    problems,
    read_firewall,
    refuse_lockout,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.sshd.effective import Session
from hypothesis import given
from hypothesis import strategies as st

ANYBODY = ["0.0.0.0/0", "::/0"]


def opening(**changes: t.Any) -> dict[str, t.Any]:
    return {"port": 5432, "from": ["192.0.2.7"], "reason": "Grafana", **changes}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (opening(port=0), "the port of an opening has to be one of 1 to 65535, not 0"),
        (opening(port=65536), "not 65536"),
        (opening(port="ssh"), "the port of an opening has to be a number, not 'ssh'"),
        (opening(port="\u0665"), "has to be a number"),
        (opening(port=True), "has to be a number, not True"),
        (opening(port=None), "has to be a number, not None"),
        (opening(protocol="icmp"), "'icmp' is no protocol that has ports: write tcp or udp"),
        (opening(**{"from": []}), "port 5432 is open for nobody"),
        (opening(**{"from": None}), "port 5432 is open for nobody: from has to be a list of networks"),
        (opening(**{"from": "192.0.2.7"}), "from has to be a list"),
        (opening(**{"from": ["192.0.2.7/24"]}), "is an address in the network 192.0.2.0/24: write one or the other"),
        (opening(**{"from": ["2001:db8::1/32"]}), "is an address in the network 2001:db8::/32"),
        (
            opening(**{"from": ["store.example.org"]}),
            "'store.example.org', for which port 5432 is to be open, is no network",
        ),
        (opening(**{"from": ["fe80::1%eth0"]}), "names an interface"),
        (opening(**{"from": [7]}), "'7', for which port 5432 is to be open, is no network"),
        (opening(**{"from": ["192.0.2.7/33"]}), "is no network"),
        (opening(**{"from": ["192.0.2.7 } accept"]}), "is no network"),
        (opening(reason=""), "port 5432 is open without a reason"),
        (opening(reason=None), "port 5432 is open without a reason"),
        (opening(reason='Grafana" accept'), 'printable characters without "'),
        (opening(reason="Grafana\naccept"), "must be one line"),
        (opening(reason="Grafana\u2028accept"), "must be one line"),
        (opening(reason="Grafana\x1b[2J"), "printable"),
        (opening(reason="é" * 64), "has more than 127 bytes"),
    ],
)
def test_a_mistake_has_a_sentence(given: dict[str, t.Any], said: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        read_firewall(ANYBODY, 22, [given])
    assert said in str(refused.value)
    assert problems(ANYBODY, 22, [given, opening()]) == [str(refused.value)]


def test_every_mistake_is_said_at_once() -> None:
    assert len(problems([], 22, [opening(port=0), opening(), opening(reason="")])) == 3


@pytest.mark.parametrize("nobody", [[], "", "192.0.2.0/24"])
def test_ssh_is_open_for_somebody(nobody: t.Any) -> None:
    with pytest.raises(ValueError, match=r'ssh is open for nobody: .* for anybody \["0\.0\.0\.0/0", "::/0"\]'):
        read_firewall(nobody, 22, [])


@pytest.mark.parametrize(
    ("client", "port", "refused"),
    [
        ("192.0.2.7", 22, ""),
        ("::ffff:192.0.2.7", 22, ""),
        ("fe80::7%eth0", 22, ""),
        ("198.51.100.9", 22, ""),  # by an opening of its own
        ("198.51.100.9", 2222, "comes from 198.51.100.9"),
        ("203.0.113.9", 22, "add 203.0.113.9/32 or its network to host_admin_cidrs"),
        ("2001:db8::9", 22, "add 2001:db8::9/128 or its network to host_admin_cidrs"),
        ("192.0.2.7", 2222, "set host_ssh_port to 2222"),
    ],
)
def test_the_connection_that_asks_is_let_in_or_the_change_refused(client: str, port: int, refused: str) -> None:
    firewall = read_firewall(
        ["192.0.2.0/24", "fe80::/10"],
        22,
        [
            {"port": 22, "from": ["198.51.100.9"], "reason": "the dumps"},
            {"port": 2222, "from": ["198.51.100.9"], "protocol": "udp", "reason": "no ssh"},
        ],
    )
    if not refused:
        refuse_lockout(firewall, Session(client, "192.0.2.1", port))
        return
    with pytest.raises(ValueError, match="nothing was changed") as said:
        refuse_lockout(firewall, Session(client, "192.0.2.1", port))
    assert refused in str(said.value)


def test_without_an_ssh_connection_nobody_is_shut_out() -> None:
    refuse_lockout(read_firewall(["192.0.2.0/24"], 22, []), None)


NETWORKS = st.one_of(
    st.ip_addresses().map(str),
    st.builds(
        lambda address, length: str(ipaddress.ip_network((address, min(length, address.max_prefixlen)), strict=False)),
        st.ip_addresses(),
        st.integers(0, 128),
    ),
)
OPENINGS = st.lists(
    st.fixed_dictionaries(
        {
            "port": st.integers(1, 65535),
            "from": st.lists(NETWORKS, min_size=1, max_size=5),
            "protocol": st.sampled_from(["tcp", "udp"]),
            "reason": st.text(
                st.characters(codec="ascii", min_codepoint=33, exclude_characters='"\x7f'), min_size=1, max_size=99
            ),
        }
    ),
    max_size=4,
)


@given(openings=OPENINGS, order=st.randoms())
def test_the_same_openings_give_the_same_text_whatever_their_order(
    openings: list[dict[str, t.Any]], order: t.Any
) -> None:
    before = render(read_firewall(ANYBODY, 22, openings))
    shuffled = [{**each, "from": order.sample(each["from"], len(each["from"]))} for each in openings]
    order.shuffle(shuffled)
    assert render(read_firewall(ANYBODY, 22, shuffled)) == before


@given(networks=st.lists(NETWORKS, min_size=1, max_size=6), address=st.ip_addresses())
def test_what_is_read_holds_the_same_addresses(networks: list[str], address: t.Any) -> None:
    (read,) = read_firewall(ANYBODY, 22, [opening(**{"from": networks})]).openings
    given_ones = [ipaddress.ip_network(each) for each in networks]
    for one in (address, *(network.network_address for network in given_ones)):
        asked = any(one.version == each.version and one in each for each in given_ones)
        assert any(one.version == each.version and one in each for each in read.networks) == asked
