# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read pg_dumpall's text of the cluster's globals as it flows by: to its end, and the names of the roles."""

from __future__ import annotations

import re

from .scan import IDENTIFIER, Scanner, unquote

_CREATE = re.compile(rb"CREATE ROLE (%s);\n" % IDENTIFIER)


class GlobalsScanner(Scanner):
    """Reads to pg_dumpall's own end line, and the names of the roles on the way."""

    complete = b"-- PostgreSQL database cluster dump complete\n"
    captured = (b"CREATE ROLE ", b"COPY ")

    def __init__(self) -> None:
        super().__init__()
        self.roles: set[str] = set()

    def _statement(self, statement: bytes) -> None:
        create = _CREATE.fullmatch(statement)
        if create is None:
            raise ValueError(f"the globals hold a statement that could not be read: {statement[:120]!r}")
        self.roles.add(unquote(create[1]))
