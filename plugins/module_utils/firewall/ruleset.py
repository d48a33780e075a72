# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules as nft reads them: one table of ours, replaced whole, and no word about any other."""

from __future__ import annotations

import re

from .wanted import Firewall, Network, Opening

FAMILY, TABLE = "inet", "taaraxtak"
# What Debian's nftables.service loads at boot, and our file, which it includes.
MAIN = "/etc/nftables.conf"
OURS = "/etc/nftables-taaraxtak.conf"

_INCLUDE = f'include "{OURS}"'

# Debian's own file: a table of chains without a rule, which need not be there.
_HOOKS = "input|forward|output"
_ACCEPT = r"(?:policy\s+accept\s*;?\s*)?"
_TYPE = rf"type\s+filter\s+hook\s+(?:{_HOOKS})\s+priority\s+(?:filter|0)\s*;?\s*"
_CHAIN = rf"chain\s+(?:{_HOOKS})\s*{{\s*{_TYPE}{_ACCEPT}}}"
_SHIPPED = re.compile(rf"flush\s+ruleset|table\s+inet\s+filter\s*{{\s*(?:{_CHAIN}\s*)*}}")

# "add" first: a table that is not there can't be deleted. nft does all of a file or nothing.
REPLACE = f"add table {FAMILY} {TABLE}\ndelete table {FAMILY} {TABLE}\n"

_BASE = (
    'iif "lo" accept',
    "ct state established,related accept",
    # what tells of a path's MTU, of the way and of its end, and ping
    "icmp type { echo-request, destination-unreachable, time-exceeded, parameter-problem } accept",
    "icmpv6 type { echo-request, destination-unreachable, packet-too-big, time-exceeded, parameter-problem } accept",
    # how neighbours and routers find each other; a router lets none of it through (hop limit)
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } ip6 hoplimit 255 accept",
    # switches that listen for multicast pass on solicitations for those who have answered this
    "ip6 saddr fe80::/10 icmpv6 type mld-listener-query accept",
    # the answer of a DHCPv6 server comes from another address than was asked
    "ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept",
    "ct state invalid drop",
)


def render(firewall: Firewall) -> str:
    """The whole file: the same firewall gives the same text."""
    rules = [*_BASE, *(rule for opening in (firewall.ssh, *firewall.openings) for rule in _rules(opening))]
    lines = "".join(f"\t\t{rule}\n" for rule in rules)
    return (
        "#!/usr/sbin/nft -f\n"
        "# Managed by taaraxtak.production (host_firewall): who may come in. Other tables are left alone.\n"
        f"{REPLACE}"
        f"table {FAMILY} {TABLE} {{\n"
        "\tchain input {\n"
        "\t\ttype filter hook input priority filter; policy drop;\n"
        f"{lines}"
        "\t}\n"
        "}\n"
    )


def restore(listing: str) -> str:
    """What puts back the table as nft has listed it; an empty listing is no table."""
    return REPLACE + listing


def included(main: str) -> str:
    """*main* with our file as the last that it includes: what is flushed there is flushed before."""
    return "".join(f"{each}\n" for each in (*_others(main), _INCLUDE))


def at_boot(main: str, ours: str) -> str:
    """What a boot loads of *main* as ``included`` gives it, with *ours* in the place of our file."""
    return "".join(f"{each}\n" for each in _others(main)) + ours


def of_others(main: str) -> list[str]:
    """The lines of *main* that are neither ours nor as Debian ships it: empty chains, which let everything in."""
    plain = re.sub(r"#.*", "", "\n".join(_others(main)))
    return [line.strip() for line in _SHIPPED.sub("", plain).splitlines() if line.strip()]


def _others(main: str) -> list[str]:
    others = [each for each in main.splitlines() if each.strip().rstrip(";").rstrip() != _INCLUDE]
    while others and not others[-1].strip():
        others.pop()
    return others or ["#!/usr/sbin/nft -f"]


def _rules(opening: Opening) -> list[str]:
    end = f'{opening.protocol} dport {opening.port} accept comment "{opening.reason}"'
    found = []
    for version, field in ((4, "ip"), (6, "ip6")):
        networks = [network for network in opening.networks if network.version == version]
        if any(network.prefixlen == 0 for network in networks):
            found.append(f"meta nfproto ipv{version} {end}")
        elif networks:
            found.append(f"{field} saddr {{ {', '.join(_shown(network) for network in networks)} }} {end}")
    return found


def _shown(network: Network) -> str:
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
