# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host lets in: read and checked."""

from __future__ import annotations

import functools
import ipaddress
import itertools
import typing as t
from dataclasses import dataclass

from ..sshd.effective import Session

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]  # noqa: UP007 (evaluated at run time)

# nft takes a comment of 128 bytes (NFTNL_UDATA_COMMENT_MAXLEN).
LONGEST_REASON = 128

PROTOCOLS = ("tcp", "udp")
SSH = "ssh for devops"


@dataclass(frozen=True, order=True)
class Opening:
    """A port and the networks that it is open for; none of them overlap."""

    protocol: str
    port: int
    networks: tuple[Network, ...]
    reason: str


@dataclass(frozen=True)
class Firewall:
    """All that a new connection may come in by."""

    ssh: Opening
    openings: tuple[Opening, ...]


def read_firewall(
    admin_cidrs: t.Sequence[object], ssh_port: object, openings: t.Sequence[t.Mapping[str, object]]
) -> Firewall:
    """The firewall that the options describe; ValueError with one sentence about the first mistake."""
    ssh = _read_ssh(admin_cidrs, ssh_port)
    # in an order of their own: the inventory's may change without a change of the rules
    return Firewall(ssh, tuple(sorted({_read_opening(given) for given in openings}, key=_order)))


def problems(
    admin_cidrs: t.Sequence[object], ssh_port: object, openings: t.Sequence[t.Mapping[str, object]]
) -> list[str]:
    """What is wrong with the options, a sentence for each that is."""
    readers = [functools.partial(_read_ssh, admin_cidrs, ssh_port)]
    readers += [functools.partial(_read_opening, given) for given in openings]
    found = []
    for read in readers:
        try:
            read()
        except ValueError as error:
            found.append(str(error))
    return found


def refuse_lockout(firewall: Firewall, session: Session | None) -> None:
    """ValueError where the rules would not let in the very connection that asks for them."""
    if session is None:
        return
    # a link-local address comes with the name of its interface
    address = ipaddress.ip_address(session.client.partition("%")[0])
    # sshd may say an IPv4 address as IPv6 writes it
    address = getattr(address, "ipv4_mapped", None) or address
    lets_in = [opening for opening in (firewall.ssh, *firewall.openings) if _holds(opening, address)]
    if any((opening.protocol, opening.port) == ("tcp", session.port) for opening in lets_in):
        return
    if firewall.ssh in lets_in:
        raise ValueError(
            f"this connection has come in by port {session.port}, and ssh would be open by {firewall.ssh.port}: "
            f"nothing was changed; set host_ssh_port to {session.port}, or log in by the other port"
        )
    raise ValueError(
        f"this connection comes from {address}, for which ssh would not be open: nothing was changed; "
        f"add {ipaddress.ip_network(address)} or its network to host_admin_cidrs, or come from elsewhere"
    )


def _holds(opening: Opening, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return any(address.version == network.version and address in network for network in opening.networks)


def _order(opening: Opening) -> tuple[str, int, list[str], str]:
    return opening.protocol, opening.port, [str(network) for network in opening.networks], opening.reason


def _read_ssh(admin_cidrs: t.Sequence[object], port: object) -> Opening:
    return Opening("tcp", _read_port(port, "ssh"), _read_networks(admin_cidrs, "ssh"), SSH)


def _read_opening(given: t.Mapping[str, object]) -> Opening:
    protocol = given.get("protocol") or "tcp"
    if protocol not in PROTOCOLS:
        raise ValueError(f"{protocol!r} is no protocol that has ports: write {' or '.join(PROTOCOLS)}")
    port = _read_port(given.get("port"), "an opening")
    what = f"port {port}"
    networks = given.get("from")
    if not isinstance(networks, (list, tuple)):
        raise ValueError(f"{what} is open for nobody: from has to be a list of networks")
    return Opening(str(protocol), port, _read_networks(networks, what), _read_reason(given.get("reason"), what))


def _read_port(given: object, what: str) -> int:
    if (
        isinstance(given, bool)
        or not isinstance(given, (int, str))
        or not str(given).isascii()
        or not str(given).isdecimal()
    ):
        raise ValueError(f"the port of {what} has to be a number, not {given!r}")
    if not 1 <= int(given) <= 65535:
        raise ValueError(f"the port of {what} has to be one of 1 to 65535, not {given}")
    return int(given)


def _read_networks(given: t.Sequence[object], what: str) -> tuple[Network, ...]:
    if not given or isinstance(given, str):
        raise ValueError(
            f'{what} is open for nobody: name at least one network as a list, for anybody ["0.0.0.0/0", "::/0"]'
        )
    networks = [_read_network(one, what) for one in given]
    found: list[Network] = []
    for _version, same in itertools.groupby(sorted(networks, key=_of_version), key=_of_version):
        # nft refuses a set whose networks overlap
        found += ipaddress.collapse_addresses(same)  # type: ignore[type-var]
    return tuple(found)


def _of_version(network: Network) -> int:
    return network.version


def _read_network(given: object, what: str) -> Network:
    text = given if isinstance(given, str) else repr(given)
    if "%" in text:
        raise ValueError(f"{text!r}, for which {what} is to be open, names an interface: a network has none")
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        near = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"{text!r}, for which {what} is to be open, is no network: "
            "write one like 192.0.2.0/24, 192.0.2.7 or 2001:db8::/32"
        ) from None
    raise ValueError(
        f"{text!r}, for which {what} is to be open, is an address in the network {near}: write one or the other"
    )


def _read_reason(given: object, what: str) -> str:
    if not isinstance(given, str) or not given.strip():
        raise ValueError(f"{what} is open without a reason: say in a few words what for")
    reason = given.strip()
    # nft has no way to write a quotation mark within a comment
    if '"' in reason or not reason.isprintable():
        raise ValueError(
            f'the reason why {what} is open must be one line of printable characters without ": {reason!r}'
        )
    if len(reason.encode()) > LONGEST_REASON - 1:
        raise ValueError(f"the reason why {what} is open has more than {LONGEST_REASON - 1} bytes: {reason!r}")
    return reason
