# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dump's statements need that no dump of a database brings, and who restores it may not do.

The roles that they name are the cluster's. And privileges of PostgreSQL's own functions and tables are changed by a
superuser alone.
"""

from __future__ import annotations

import dataclasses
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
_PROPER = rb"[a-z_][a-z0-9_]*"
# Nothing that could end a name, and so be another statement.
_CATALOGUE = re.compile(
    rb"(GRANT|REVOKE) ALL ON (FUNCTION|TABLE) (pg_catalog\.%s(?:\([A-Za-z0-9_ ,.\[\]\"]*\))?) (?:TO|FROM) (%s);\s*"
    % (_PROPER, rb"PUBLIC|" + IDENTIFIER)
)


@dataclasses.dataclass(frozen=True)
class OwnChange:
    """A privilege on what is PostgreSQL's own, given to ``role`` ("" for everybody) or taken from it.

    ``kind`` is FUNCTION or TABLE.
    """

    grant: bool
    kind: str
    name: str
    role: str


class NamedRoles(Statements):
    """The statements of a dump; the roles that they name, and in ``own`` what they change of PostgreSQL's own."""

    def __init__(self) -> None:
        super().__init__()
        self.own: list[OwnChange] = []
        self._known: set[str] = set()
        self._new: set[str] = set()

    def add(self, statement: bytes) -> None:
        """As `Statements.add`."""
        super().add(statement)
        own = _CATALOGUE.fullmatch(statement)
        if own is not None:
            verb, kind, name, role = own.groups()
            self.own.append(
                OwnChange(verb == b"GRANT", kind.decode(), name.decode(), "" if role == b"PUBLIC" else unquote(role))
            )
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
