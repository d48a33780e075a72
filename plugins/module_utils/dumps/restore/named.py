# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles that a dump's statements name: they are the cluster's, and no dump of a database makes them."""

from __future__ import annotations

import re

from ..ddl import Statements
from ..scan import IDENTIFIER, unquote

_LIST = rb"%s(?:, %s)*" % (IDENTIFIER, IDENTIFIER)
# By how pg_dump begins a statement, where the roles stand in it.
_PLACES = (
    (b"ALTER DEFAULT PRIVILEGES FOR ROLE ", re.compile(rb"\AALTER DEFAULT PRIVILEGES FOR ROLE (%s) " % IDENTIFIER)),
    (b"ALTER ", re.compile(rb" OWNER TO (%s);\s*\Z" % IDENTIFIER)),
    (
        (b"GRANT ", b"REVOKE ", b"ALTER DEFAULT "),
        re.compile(rb" (?:TO|FROM) (%s)(?: WITH GRANT OPTION)?;\s*\Z" % _LIST),
    ),
    (b"CREATE POLICY ", re.compile(rb"\ACREATE POLICY .*? TO (%s)(?: USING \(| WITH CHECK \(|;)" % _LIST, re.DOTALL)),
    (b"CREATE USER MAPPING ", re.compile(rb"\ACREATE USER MAPPING FOR (%s) SERVER " % IDENTIFIER)),
    (b"SET SESSION AUTHORIZATION ", re.compile(rb"\ASET SESSION AUTHORIZATION (%s);" % IDENTIFIER)),
)
_NAME = re.compile(IDENTIFIER)
# Everybody, and words that stand for who is logged in; in quotes they would be names.
_WORDS = frozenset((b"public", b"current_user", b"session_user", b"current_role"))


class NamedRoles(Statements):
    """The statements of a dump, and the roles that they name."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[str] = set()
        self._new: set[str] = set()

    def add(self, statement: bytes) -> None:
        """As `Statements.add`."""
        super().add(statement)
        for beginning, place in _PLACES:
            found = place.search(statement) if statement.startswith(beginning) else None
            if found is not None:
                for name in _NAME.findall(found[1]):
                    if name not in _WORDS:
                        self._new.add(unquote(name))

    def new(self) -> set[str]:
        """Those that were not asked for before."""
        new = self._new - self._known
        self._known |= new
        self._new.clear()
        return new
