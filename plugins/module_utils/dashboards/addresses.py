# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grafana's addresses: which are usable, and which are production's."""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t
import urllib.parse

_PORTS = {"http": 80, "https": 443}


@dataclasses.dataclass(frozen=True)
class Address:
    """``base`` is the URL without a slash at its end, ``host`` in small letters and "localhost" for any loopback."""

    base: str
    scheme: str
    host: str
    port: int

    @property
    def is_local(self) -> bool:
        """Whether it never leaves this machine."""
        return self.host == "localhost"


def read(url: str) -> Address:
    """The address; ValueError where it isn't one of a Grafana that a token may be sent to."""
    try:
        parts = urllib.parse.urlsplit(url.strip())
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        raise ValueError(
            "the url is no address: write it as https://grafana.example.org or http://127.0.0.1:3000"
        ) from None
    if port is None or not parts.hostname or not (url.isascii() and url.isprintable()) or " " in url.strip():
        raise ValueError("the url is no address: write it as https://grafana.example.org or http://127.0.0.1:3000")
    if parts.username or parts.password:
        raise ValueError("the url holds a login or a password: give a token instead, by a file or by the environment")
    if parts.query or parts.fragment:
        raise ValueError("the url has a ? or a #: give the address of Grafana alone")
    base = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
    return Address(base=base, scheme=parts.scheme, host=_host(parts.hostname), port=port)


def _host(name: str) -> str:
    name = name.lower().rstrip(".")
    try:
        number = ipaddress.ip_address(name)
    except ValueError:
        return "localhost" if name == "localhost" or name.endswith(".localhost") else name
    mapped = getattr(number, "ipv4_mapped", None)
    number = mapped or number
    return "localhost" if number.is_loopback or number.is_unspecified else str(number)


def production(url: str, production_urls: t.Iterable[str]) -> str:
    """Which of *production_urls* the *url* is an address of, "" where it is none's.

    A host of production is production at any port; at loopback, where a local Grafana has a port of its own, the port
    decides.
    """
    wanted = read(url)
    for one in production_urls:
        known = read(one)
        if wanted.host == known.host and (not wanted.is_local or wanted.port == known.port):
            return one
    return ""
