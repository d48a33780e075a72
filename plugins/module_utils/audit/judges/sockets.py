# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens."""

from __future__ import annotations

import ipaddress
import typing as t

from ..model import Document, Expected, Finding, Kind, Rule, Source

RULES = (
    Rule(
        "socket-unknown", "high", "devops", "something listens that no role has started",
        "see which program it is (ss -ltnup) and stop it, or write it into audit_expected",
    ),
    Rule("socket-missing", "medium", "looked", "what a role has started does not listen", "run playbooks/site.yml"),
)  # fmt: skip
# Debian's own: a lease of DHCP, chrony's commands from this host.
KNOWN = (
    {"protocol": "udp", "port": 68, "account": "root"},
    {"protocol": "udp", "port": 68, "account": "systemd-network"},
    {"protocol": "udp", "port": 546, "account": "systemd-network"},
    # It looks for routers itself (58 is ICMPv6), for leases and for neighbours (0x0800 is IPv4, 0x88cc LLDP).
    {"protocol": "raw", "port": 58, "account": "systemd-network"},
    {"protocol": "packet", "port": 0x0800, "account": "systemd-network"},
    {"protocol": "packet", "port": 0x88CC, "account": "systemd-network"},
    {"protocol": "udp", "port": 323, "account": "root", "local": True},
    {"protocol": "udp", "port": 323, "account": "_chrony", "local": True},
)


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``sockets`` with ``port``, ``account``, perhaps ``protocol`` (tcp), ``local`` and ``required``."""
    wanted = expected.of(source.host).get("sockets", [])
    for one in source.data["sockets"]:
        if any(_is(one, known) for known in (*KNOWN, *wanted)):
            continue
        local = _local(one)
        where = "this host" if local else "other hosts"
        program = f" ({one['program']})" if one["program"] else ""
        evidence = f"{one['account']}{program} hears {where} at {one['protocol']} {one['address']} port {one['port']}"
        yield Finding(
            "socket-unknown", source.host, f"{one['protocol']} port {one['port']}", evidence, who=one["account"],
            what=one["address"], severity="medium" if local else "",
        )  # fmt: skip
    for known in wanted:
        if known.get("required") and not any(_is(one, known) for one in source.data["sockets"]):
            about = f"{known.get('protocol', 'tcp')} port {known['port']}"
            yield Finding("socket-missing", source.host, about, f"{known['account']} does not listen at {about}")


def _is(one: Document, known: t.Mapping[str, t.Any]) -> bool:
    same = (one["protocol"], one["port"], one["account"]) == (
        known.get("protocol", "tcp"),
        known["port"],
        known["account"],
    )
    return same and (not known.get("local") or _local(one))


def _local(one: Document) -> bool:
    # A socket of packets hears what passes an interface, whoever it is for.
    return (
        one["protocol"] != "packet"
        and not one["address"].startswith("every ")
        and ipaddress.ip_address(one["address"]).is_loopback
    )


KIND = Kind("sockets", "Who listens", ("production_hosts", "store_hosts"), judge, RULES, of_host=True)
