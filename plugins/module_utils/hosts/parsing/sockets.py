# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's tables of sockets, /proc/net/tcp and its like; of raw ones the port is the protocol that they hear."""

from __future__ import annotations

import ipaddress
import typing as t

# include/net/tcp_states.h: a listening TCP socket; a UDP socket that hears anybody is "closed" there.
_HEARS = {"tcp": "0A", "udp": "07", "udplite": "07"}
EVERYWHERE = "every interface"


def listening(text: str, protocol: str) -> list[dict[str, t.Any]]:
    """Every socket of one table that hears: its address, port, account's number and inode."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        # a raw one hears whatever its state is
        if len(words) > 9 and words[3] == _HEARS.get(protocol, words[3]):
            address, port = words[1].split(":")
            found.append(
                {
                    "protocol": protocol, "address": _address(address), "port": int(port, 16),
                    "uid": int(words[7]), "inode": words[9],
                }
            )  # fmt: skip
    return found


def packets(text: str) -> list[dict[str, t.Any]]:
    """The sockets of /proc/net/packet, which hear all that an interface does, past the firewall."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) > 8:
            address = EVERYWHERE if words[4] == "0" else f"interface {words[4]}"
            found.append(
                {
                    "protocol": "packet", "address": address, "port": int(words[3], 16), "uid": int(words[7]),
                    "inode": words[8],
                }
            )  # fmt: skip
    return found


def associations(text: str) -> list[dict[str, t.Any]]:
    """The endpoints of /proc/net/sctp/eps, each at its first address."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) > 7:
            found.append(
                {
                    "protocol": "sctp", "address": words[8] if len(words) > 8 else EVERYWHERE, "port": int(words[5]),
                    "uid": int(words[6]), "inode": words[7],
                }
            )  # fmt: skip
    return found


def _address(text: str) -> str:
    """An address as the kernel prints it: words of four bytes, each in the order of Debian's little-endian machines."""
    raw = bytes.fromhex(text)
    ordered = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
    return str(ipaddress.ip_address(ordered))
