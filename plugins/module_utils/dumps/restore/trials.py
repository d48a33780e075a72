# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge that really tries, on a throw-away copy, what the policy's assertions speak of: reading, writing, deleting.

Each statement is run as the role, on the table itself, in a transaction that is rolled back. On production what might
be allowed is never tried; here it is: DELETE, TRUNCATE and DROP show what they would do.
"""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ...access.catalog.model import Objects, Relation
from ...access.plan.statements import Name, Statement, Value, shown
from ...access.policy.model import Assertion, Policy
from ...access.postgres import query, session
from ...access.running import text

with contextlib.suppress(ImportError):  # said by connect(), which is called first
    import psycopg2

if t.TYPE_CHECKING:
    import psycopg2.extensions

    Connection: t.TypeAlias = psycopg2.extensions.connection

REFUSED = "42501"
# What is allowed may take its time on a large table: by then it is known to be allowed.
TIMEOUT = "2s"
# As in pg_class; a view is what its tables are.
TABLES = ("r", "p")
READS, WRITES, DELETES = ("SELECT",), ("INSERT", "UPDATE", "DELETE", "TRUNCATE"), ("DELETE", "TRUNCATE", "DROP")

# Tables that are alike (schema, kind, owner, ACL) are tried up to so many: a statement takes half a millisecond.
ALIKE_AT_MOST = 50
# A generated column takes nothing but DEFAULT either, but then nothing would be looked up of it.
COLUMN = """
SELECT attname FROM pg_attribute WHERE attrelid = %(oid)s AND attnum > 0 AND NOT attisdropped
ORDER BY attgenerated <> '', attnum LIMIT 1
"""


@dataclasses.dataclass(frozen=True)
class Trial:
    """One statement of one role on one table: whether the policy lets it, whether the server did."""

    assertion: str
    role: str
    table: str
    what: str
    may: bool
    done: bool
    evidence: str

    @property
    def passed(self) -> bool:
        """What may not be done was refused. That what may be done can be is for the probes to say."""
        return self.may or not self.done

    @property
    def sentence(self) -> str:
        how = "was done" if self.done else "was refused"
        return f"{self.what} of {self.table} as {self.role} {how} ({self.evidence}), against {self.assertion}"


def run(login: t.Mapping[str, t.Any], policy: Policy, objects: Objects, roles: t.Sequence[str]) -> list[Trial]:
    """Try, as each of *roles*, what the assertions about tables speak of; nothing of it stays."""
    found = []
    with session(login, objects.database) as connection:
        columns: dict[int, list[tuple[str]]] = {}
        for what, table, role, rules in planned(policy, objects, roles):
            if what == "UPDATE" and table.oid not in columns:
                columns[table.oid] = query(connection, COLUMN, {"oid": table.oid})
            column = columns[table.oid][0][0] if columns.get(table.oid) else ""
            if what == "UPDATE" and not column:
                continue
            sqlstate, said = _try(connection, role, _statement(what, table, column), f"{what} of {_shown(table)}")
            found += [Trial(rule, role, _shown(table), what, may, sqlstate != REFUSED, said) for rule, may in rules]
    return found


def planned(
    policy: Policy, objects: Objects, roles: t.Sequence[str]
) -> t.Iterator[tuple[str, Relation, str, list[tuple[str, bool]]]]:
    """What to try: the statement, the table, the role, and by assertion whether it may."""
    superusers = {role.name for role in policy.roles.values() if role.superuser}
    alike: dict[tuple[t.Any, ...], int] = {}
    for table in objects.relations:
        like = (table.schema, table.kind, table.owner, table.acl)
        alike[like] = alike.get(like, 0) + 1
        if table.kind not in TABLES or not policy.in_scope(table.schema) or alike[like] > ALIKE_AT_MOST:
            continue
        for role in roles:
            if role in superusers:
                continue
            rules: dict[str, list[tuple[str, bool]]] = {}
            for one in policy.assertions:
                if any(pattern.matches(table.schema, table.name) for pattern in one.tables):
                    for what, may in _asserted(one, role):
                        rules.setdefault(what, []).append((one.id, may))
            for what, judged in rules.items():
                yield what, table, role, judged


def _asserted(assertion: Assertion, role: str) -> t.Iterator[tuple[str, bool]]:
    allowed = {one.role for one in assertion.allow}
    for may, statements in (
        (assertion.readers, READS),
        (assertion.writers, WRITES),
        (assertion.deleters, DELETES),
    ):
        if may is not None:
            for what in statements:
                yield what, role in may or role in allowed


def _try(connection: Connection, role: str, tried: Statement, shown_as: str) -> tuple[str | None, str]:
    """The SQLSTATE, None where it was done, and the server's words."""
    before = (
        Statement("trial", ("SET LOCAL statement_timeout = ", Value(TIMEOUT))),
        Statement("trial", ("SET LOCAL SESSION AUTHORIZATION ", Name((role,)))),
    )
    connection.autocommit = False
    try:
        with connection.cursor() as cursor:
            for line in before:
                cursor.execute(text(connection, line))
            cursor.execute(text(connection, tried))
        return None, "rolled back"
    except psycopg2.Error as error:
        if error.pgcode is None:
            raise ValueError(f"the copy's server went away at {shown_as} as {role}") from error
        # A routine's refusal comes after the table's own permission.
        inside = error.pgcode == REFUSED and error.diag.context
        said = (error.diag.message_primary or str(error)).strip()
        return (None if inside else error.pgcode), f"{error.pgcode}: {said}"
    finally:
        if not connection.closed:
            connection.rollback()
            connection.autocommit = True


def _statement(what: str, table: Relation, column: str) -> Statement:
    name = Name((table.schema, table.name))
    if what == "SELECT":
        return Statement("trial", ("SELECT * FROM ", name, " LIMIT 1"))
    if what == "INSERT":
        return Statement("trial", ("INSERT INTO ", name, " DEFAULT VALUES"))
    if what == "UPDATE":
        return Statement("trial", ("UPDATE ", name, " SET ", Name((column,)), " = DEFAULT"))
    if what == "DELETE":
        return Statement("trial", ("DELETE FROM ", name))
    return Statement("trial", (f"{what} TABLE ", name))


def _shown(table: Relation) -> str:
    return f"{shown(table.schema)}.{shown(table.name)}"
