# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the globals of a production cluster fit one that was made for a drill."""

from __future__ import annotations

import re
import secrets
import typing as t

from ..globals_scan import GlobalsScanner

# The superuser that nearly every cluster was made with.
SUPERUSER = "postgres"
_IDENTIFIER = rb'(?:"(?:[^"\n]|"")+"|[a-z_][a-z0-9_$]*)'
_TABLESPACE = re.compile(
    rb"^(CREATE TABLESPACE %s OWNER %s LOCATION )'(?:[^'\n]|'')*';$" % (_IDENTIFIER, _IDENTIFIER), re.MULTILINE
)
_CREATE_SUPERUSER = re.compile(rb"^CREATE ROLE postgres;\n", re.MULTILINE)


def adapted(text: bytes, roles: t.Collection[str]) -> tuple[str, list[bytes]]:
    """The superuser to make a cluster with, and the globals' text for that cluster.

    Grants name the superuser of the beginning as their grantor, so it has the same name, and isn't created again. The
    folders of tablespaces are not here: PostgreSQL keeps such a tablespace in its own.
    """
    bootstrap = SUPERUSER
    if SUPERUSER in roles:
        text = _without_superuser(text)
    else:
        bootstrap = f"drill_{secrets.token_hex(8)}"
    text, moved = _TABLESPACE.subn(rb"\1'';", text)
    if moved:
        head, rest = text.split(b"\n", 1)
        text = head + b"\nSET allow_in_place_tablespaces = on;\n" + rest
    return bootstrap, [text]


def _without_superuser(text: bytes) -> bytes:
    """The *text* without the statement that makes the superuser: the same line may stand in a comment on a role."""
    for match in _CREATE_SUPERUSER.finditer(text):
        scanner = GlobalsScanner()
        scanner.feed(text[: match.end()])
        if SUPERUSER in scanner.roles:
            return text[: match.start()] + text[match.end() :]
    return text
