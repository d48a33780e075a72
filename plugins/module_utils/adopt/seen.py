# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's log and sockets say, as every step's report reads them."""

from __future__ import annotations

import ipaddress
import re
import typing as t

# sshd says of a certificate who signed it, behind the key; of a password or a ticket there is no key.
ACCEPTED = re.compile(
    r"Accepted (?P<how>\S+) for (?P<who>\S+) from (?P<address>\S+) port \d+ ssh2"
    r"(?:: (?P<shown>\S+ (?P<key>\S+:\S+).*))?.*"
)


def logins(lines: t.Iterable[str]) -> t.Iterator[re.Match[str]]:
    """Who came in, of the lines of sshd's log: ``how``, ``who``, ``address``, and of a key ``key``, its fingerprint."""
    return filter(None, map(ACCEPTED.fullmatch, lines))


def loopback(address: str) -> bool:
    """Whether nobody else reaches what listens there."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
