# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a cloud firewall: those that are wanted, and what two writings of the same rules have in common."""

from __future__ import annotations

import ipaddress
import typing as t

# What the API takes: "A Firewall may have up to 25 rules", "A Rule can have up to 255 total addresses or networks".
MOST_RULES = 25
MOST_ADDRESSES = 255
NAMES = {80: "http", 443: "https"}

Rule = dict[str, t.Any]
Rules = dict[str, t.Any]


def wanted(admins: t.Sequence[str], *, ssh_port: int = 22, openings: t.Sequence[Rule] = ()) -> Rules:
    """The rules as the API takes them: ssh from *admins*, and *openings*.

    Each opening has ``port``, ``from``, a list of networks, and perhaps ``protocol``, tcp or udp. Nothing else comes
    in; everything goes out. ValueError where a network can't be read, or where the API would refuse the rules.
    """
    inbound = [_rule("ssh", ssh_port, admins), *(_opening(opening) for opening in openings)]
    if len(inbound) > MOST_RULES:
        raise ValueError(f"The firewall would have {len(inbound)} rules, and Linode takes {MOST_RULES}: write fewer.")
    return {"inbound": inbound, "inbound_policy": "DROP", "outbound": [], "outbound_policy": "ACCEPT"}


def normal(rules: t.Mapping[str, t.Any]) -> Rules:
    """*rules* without what doesn't matter: labels, spaces, order, the version, how an address is written."""
    return {
        **{key: rules.get(key) for key in ("inbound_policy", "outbound_policy")},
        **{key: _sorted(rules.get(key) or []) for key in ("inbound", "outbound")},
    }


def _opening(opening: Rule) -> Rule:
    protocol = str(opening.get("protocol", "tcp"))
    if protocol not in ("tcp", "udp"):
        raise ValueError(f"{protocol} is no protocol of an opening: write tcp or udp.")
    port = int(opening["port"])
    label = NAMES.get(port, f"port-{port}") if protocol == "tcp" else f"port-{port}-{protocol}"
    return {**_rule(label, port, opening["from"]), "protocol": protocol.upper()}


def _rule(label: str, port: int, networks: t.Sequence[str]) -> Rule:
    if not networks:
        raise ValueError(f"Nobody is named whom {label} is open for: write at least one network.")
    if len(networks) > MOST_ADDRESSES:
        raise ValueError(
            f"{label} is open for {len(networks)} networks, and Linode takes {MOST_ADDRESSES}: write fewer."
        )
    if not 0 < port < 65536:
        raise ValueError(f"{port} is no port: write a number from 1 to 65535.")
    addresses: dict[str, list[str]] = {}
    for network in networks:
        read = _network(network)
        addresses.setdefault(f"ipv{read.version}", []).append(str(read))
    return {"label": label, "action": "ACCEPT", "protocol": "TCP", "ports": str(port), "addresses": addresses}


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(str(text))
    except ValueError as error:
        raise ValueError(f"{text} is no network: write it as 192.0.2.0/24 or 2001:db8::/32 ({error}).") from error


def _sorted(rules: t.Iterable[t.Mapping[str, t.Any]]) -> list[Rule]:
    # A rule that drops depends on the order, and none of ours does: with one, the rules differ from ours in any case.
    return sorted((_normal(rule) for rule in rules), key=str)


def _normal(rule: t.Mapping[str, t.Any]) -> Rule:
    ports = sorted(part.strip() for part in str(rule.get("ports") or "").split(",") if part.strip())
    addresses = rule.get("addresses") or {}
    networks = [*(addresses.get("ipv4") or []), *(addresses.get("ipv6") or [])]
    return {
        "action": rule.get("action"),
        "protocol": rule.get("protocol"),
        "ports": ports,
        "networks": sorted({_written(network) for network in networks}),
    }


def _written(network: str) -> str:
    try:
        return str(ipaddress.ip_network(str(network), strict=False))
    except ValueError:
        return str(network)  # somebody else's: it is compared as it stands
