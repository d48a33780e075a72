# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a certificate ends, or a list of revoked ones, by its DER alone: a host has no library for them.

https://www.rfc-editor.org/rfc/rfc5280#section-4.1, #section-5.1
"""

from __future__ import annotations

import base64
import datetime as dt
import re
import typing as t

_INTEGER, _SEQUENCE, _UTC, _GENERAL, _VERSION = 0x02, 0x30, 0x17, 0x18, 0xA0
_PEM = re.compile(rb"-----BEGIN (CERTIFICATE|X509 CRL)-----\s+([A-Za-z0-9+/=\s]+?)-----END \1-----")


def ends(text: bytes) -> list[dt.datetime]:
    """When each certificate, and each list, of a PEM file ends; ValueError where one can't be read."""
    return [
        _end(base64.b64decode(re.sub(rb"\s", b"", body), validate=True), revoked=word != b"CERTIFICATE")
        for word, body in _PEM.findall(text)
    ]


def _end(der: bytes, *, revoked: bool) -> dt.datetime:
    """The end of one, which begins with what was signed: of either kind a sequence that holds its times."""
    signed = dict(enumerate(_parts(_one(_one(der, _SEQUENCE), _SEQUENCE))))
    # Both may begin with a version, and a certificate goes on with its number.
    numbers = [place for place in (0, 1) if signed.get(place, (0, b""))[0] in (_VERSION, _INTEGER)]
    # After the algorithm and the issuer come the times.
    place = len(numbers) + 2
    if revoked:
        return _time(*signed.get(place + 1, (0, b"")))
    _begins, end = _parts(_expected(*signed.get(place, (0, b"")), _SEQUENCE))
    return _time(*end)


def _one(der: bytes, kind: int) -> bytes:
    """The content of the first part of *der*."""
    for found, content in _parts(der):
        return _expected(found, content, kind)
    raise ValueError("it ends too early")


def _expected(found: int, content: bytes, kind: int) -> bytes:
    if found != kind:
        raise ValueError("it is put together as no certificate is")
    return content


def _parts(der: bytes) -> t.Iterator[tuple[int, bytes]]:
    """Each part's kind and content."""
    place = 0
    while place < len(der):
        kind, length = der[place], int.from_bytes(der[place + 1 : place + 2], "big")
        place += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(der[place : place + size], "big")
            place += size
        content = der[place : place + length]
        if len(content) != length:
            raise ValueError("it ends too early")
        yield kind, content
        place += length


def _time(kind: int, content: bytes) -> dt.datetime:
    if kind not in (_UTC, _GENERAL):
        raise ValueError("it does not say when it ends")
    said = content.decode("ascii")
    if kind == _UTC:
        # Two digits are of 1950 to 2049.
        said = ("19" if said[:2] >= "50" else "20") + said
    return dt.datetime.strptime(said, "%Y%m%d%H%M%SZ").replace(tzinfo=dt.UTC)
