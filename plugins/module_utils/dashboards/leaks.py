# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what must not be committed: passwords, tokens and keys in a dashboard's JSON."""

from __future__ import annotations

import re
import typing as t

# Keys that hold a secret wherever they stand; compared without case, - and _.
_NAMES = frozenset(
    (
        *("password", "passwd", "passphrase", "secret", "clientsecret", "token", "accesstoken", "authtoken", "apikey"),
        *("accesskey", "secretkey", "privatekey", "authorization", "basicauthpassword", "securejsondata", "xapikey"),
    )
)
# What a secret looks like, whatever its key.
_FORMS = {
    "a token of Grafana": re.compile(r"\bgl(?:sa|c)_[A-Za-z0-9_=+/-]{20,}"),
    "an old API key of Grafana": re.compile(r"\beyJrIjoi[A-Za-z0-9+/=]{20,}"),
    "a JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "an address with a password": re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^/\s:@?#]{1,200}:[^/\s@?#$]{1,200}@"),
    "a password for PostgreSQL": re.compile(r"\bpassword\s*=\s*['\"]?[^\s'\"$]{4,}", re.IGNORECASE),
    "a password for PostgreSQL (SQL)": re.compile(r"\bpassword\s+'[^'$]{4,}'", re.IGNORECASE),
    "an access key of AWS": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "a token of GitHub": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{30,}"),
    "a token of Slack": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/\w+/\w+/\w+"),
    "a bearer token": re.compile(r"\b[Bb]earer [A-Za-z0-9._~+/-]{20,}"),
}


def check_secrets(data: t.Any) -> list[str]:
    """Phrases that say where something looks like a secret, and never what it is; none where nothing does."""
    return [f"{where} looks like {what}" for where, what in _found(data, "")]


def _found(value: t.Any, where: str) -> t.Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, below in value.items():
            path = f"{where}.{key}" if where else str(key)
            if _is_named(str(key)) and _is_filled(below):
                yield path, "a secret by its name"
            else:
                yield from _found(below, path)
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _found(below, f"{where}[{number}]")
    elif isinstance(value, str):
        for what, form in _FORMS.items():
            if form.search(value):
                yield where, what
                break


def _is_named(key: str) -> bool:
    return key.lower().replace("-", "").replace("_", "") in _NAMES


def _is_filled(value: t.Any) -> bool:
    """Whether there is a value at all, and not only the name of a variable or an empty mask."""
    if isinstance(value, str):
        return bool(value.strip("*")) and not value.startswith("$")
    return isinstance(value, dict) and any(_is_filled(below) for below in value.values())
