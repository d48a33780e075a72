# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge a chain of certificates before a server is given it: what would be refused later is said now."""

from __future__ import annotations

import ipaddress
import itertools
import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta

# Time for somebody to get a new one. ACME clients renew 30 days ahead: what has fewer left, nothing has renewed.
SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What counts of one certificate. Times are UTC, with their zone; *key* is its public key, in DER."""

    subject: str
    common_name: str
    names: tuple[str, ...]
    begins: datetime
    ends: datetime
    key: bytes
    # Whether the next one in the file has signed it; None for the last one.
    signed_by_next: bool | None


def problems(chain: t.Sequence[Certificate], key: bytes, names: t.Sequence[str], now: datetime) -> list[str]:
    """What makes *chain*, the server's certificate first, unfit for a server of *names* with the public key *key*."""
    if not chain:
        return ["there is no certificate in the file"]
    unnamed = [said for name in names for said in _of_the_name(chain[0], name)]
    return [*_of_the_key(chain, key), *unnamed, *_of_the_order(chain), *_of_the_times(chain, now)]


def of_a_client(chain: t.Sequence[Certificate], common_name: str) -> list[str]:
    """What makes *chain* unfit for who logs in by *common_name*."""
    if not chain or chain[0].common_name == common_name:
        return []
    return [f"the common name of the certificate is {chain[0].common_name or 'missing'}, and not {common_name}"]


def warnings(chain: t.Sequence[Certificate], now: datetime) -> list[str]:
    """What is right today and won't be soon."""
    return [
        f"the certificate of {one.subject} ends on {one.ends:%Y-%m-%d}, in {(one.ends - now).days} days"
        for one in chain
        if now <= one.ends < now + SOON
    ]


def covers(pattern: str, name: str) -> bool:
    """Whether *pattern*, a name of a certificate, stands for *name*; a star stands for one whole label, the first.

    An address is covered by itself alone.

    https://www.rfc-editor.org/rfc/rfc9525#section-6.3
    """
    if _is_address(name):
        return _is_address(pattern) and ipaddress.ip_address(pattern) == ipaddress.ip_address(name)
    pattern, name = pattern.lower().rstrip("."), name.lower().rstrip(".")
    if pattern.startswith("*."):
        return "." in name and name.split(".", 1)[1] == pattern[2:]
    return pattern == name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _of_the_key(chain: t.Sequence[Certificate], key: bytes) -> list[str]:
    if chain[0].key == key:
        return []
    if any(one.key == key for one in chain):
        return ["the certificate of the key does not stand first in the file"]
    return [f"the key is not that of the certificate of {chain[0].subject}"]


def _of_the_name(first: Certificate, name: str) -> list[str]:
    if any(covers(pattern, name) for pattern in first.names):
        return []
    return [f"the certificate is for {', '.join(first.names) or 'no name'}, and not for {name}"]


def _of_the_order(chain: t.Sequence[Certificate]) -> list[str]:
    return [
        f"the certificate of {one.subject} was not issued by the next one in the file, {following.subject}:"
        " each must be followed by the one that issued it"
        for one, following in itertools.pairwise(chain)
        if not one.signed_by_next
    ]


def _of_the_times(chain: t.Sequence[Certificate], now: datetime) -> list[str]:
    ended = [f"the certificate of {one.subject} ended on {one.ends:%Y-%m-%d}" for one in chain if one.ends < now]
    early = [f"the certificate of {one.subject} begins on {one.begins:%Y-%m-%d}" for one in chain if one.begins > now]
    return [*ended, *early]
