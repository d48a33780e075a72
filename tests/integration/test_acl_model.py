"""The difference of ACLs on a real server: what roles granted one another becomes exactly what is wanted."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import typing as t

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.acl import (
    NOTHING,
    Acl,
    AclItem,
    Change,
    Pair,
    Powers,
    after,
    difference,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.acl_statements import (
    acl_statements,
    left_over,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.statements import Target
from ansible_collections.taaraxtak.production.plugins.module_utils.access.running import text
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.servers import bindir, every_server  # noqa: F401
from psycopg2 import sql

OWNER, SUPER, OTHER = "m_owner", "m_super", "M.other"
NAMES = ("m_a", 'm"b', "m_c", SUPER, OTHER)
PROTECTED = {SUPER, OTHER}
PRIVILEGES = ("SELECT", "INSERT")
ROUNDS = 100
ACL = """
SELECT CASE grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(grantee) END, pg_get_userbyid(grantor), privilege_type,
       is_grantable
FROM pg_class CROSS JOIN aclexplode(relacl)
WHERE oid = 'public.m_table'::regclass AND NOT (grantee = relowner AND grantor = relowner)
"""
POWERS = """
SELECT a.rolname, b.rolname, a.rolsuper FROM pg_roles a, pg_roles b
WHERE a.rolname = ANY(%(names)s) AND b.rolname = ANY(%(names)s) AND a <> b AND pg_has_role(a.oid, b.oid, 'USAGE')
"""


class Table:
    """A table of OWNER's, on which roles grant what they may."""

    def __init__(self, server: Server) -> None:
        self.connection = server.connect()

    def run(self, line: str | sql.Composable) -> bool:
        """Whether it was not refused."""
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(line)
            except (psycopg2.errors.InsufficientPrivilege, psycopg2.errors.InvalidGrantOperation):
                return False
        return True

    def rows(self, line: str, values: t.Any = None) -> list[t.Any]:
        with self.connection.cursor() as cursor:
            cursor.execute(line, values)
            return list(cursor.fetchall())

    def make(self) -> None:
        self.run("DROP TABLE IF EXISTS public.m_table")
        for name in (OWNER, *NAMES):
            if self.rows("SELECT FROM pg_roles WHERE rolname = %s", (name,)):
                self.run(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
                self.run(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
        for name in (OWNER, *NAMES):
            self.run(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
        self.run("CREATE TABLE public.m_table (x integer)")
        self.run(sql.SQL("ALTER TABLE public.m_table OWNER TO {}").format(sql.Identifier(OWNER)))

    @contextlib.contextmanager
    def acting(self, role: str) -> t.Iterator[None]:
        assert self.run(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        try:
            yield
        finally:
            self.run("RESET ROLE")

    @property
    def acl(self) -> Acl:
        return tuple(AclItem(*row) for row in self.rows(ACL))

    @property
    def powers(self) -> Powers:
        inherits: dict[str, set[str]] = {}
        superusers = set()
        for role, above, superuser in self.rows(POWERS, {"names": [OWNER, *NAMES]}):
            inherits.setdefault(role, set()).add(above)
            superusers |= {role} if superuser else set()
        return Powers({role: frozenset(above) for role, above in inherits.items()}, frozenset(superusers))

    def carry_out(self, change: Change) -> None:
        self.run("BEGIN")
        for statement in acl_statements([(Target("TABLE", ("public", "m_table")), change)], database="postgres"):
            line = text(self.connection, statement)
            assert self.run(line), line
        self.run("COMMIT")


@pytest.fixture
def table(every_server: Server) -> t.Iterator[Table]:  # noqa: F811
    made = Table(every_server)
    yield made
    made.make()
    made.run("DROP TABLE public.m_table")
    for name in (OWNER, *NAMES):
        made.run(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
    made.connection.close()


def build(table: Table, rng: random.Random) -> None:
    """Grants, revokes and memberships of roles that act by themselves; a good part of them is refused."""
    for _ in range(rng.randint(8, 30)):
        by, role = rng.choice([OWNER, OWNER, *NAMES]), rng.choice([*NAMES, OWNER, "public"])
        grantee = sql.SQL("PUBLIC") if role == "public" else sql.Identifier(role)
        what = rng.randint(0, 9)
        privilege = sql.SQL(rng.choice(PRIVILEGES))
        if what < 6:
            with table.acting(by):
                option = sql.SQL(" WITH GRANT OPTION" if role != "public" and rng.random() < 0.7 else "")
                table.run(sql.SQL("GRANT {} ON public.m_table TO {}{}").format(privilege, grantee, option))
        elif what < 8:
            line = "REVOKE {} ON public.m_table FROM {} CASCADE"
            table.run(sql.SQL(line).format(privilege, grantee))
        elif role not in (by, "public"):
            verb = rng.choice(["GRANT {} TO {}", "REVOKE {} FROM {}"])
            table.run(sql.SQL(verb).format(sql.Identifier(by), grantee))
    if rng.random() < 0.2:
        table.run(sql.SQL("ALTER ROLE {} SUPERUSER").format(sql.Identifier(SUPER)))


def rightly(acl: Acl, wanted: set[Pair], grantable: set[Pair]) -> bool:
    """Whether a chain of wanted options leads from the owner to all of *acl*."""
    able, rest = {(OWNER, privilege) for privilege in PRIVILEGES}, set(acl)
    while found := {one for one in rest if (one.grantor, one.privilege) in able}:
        able |= {(one.grantee, one.privilege) for one in found if one.grantable}
        rest -= found
    return (
        not rest
        and {(one.grantee, one.privilege) for one in acl} <= wanted
        and {(one.grantee, one.privilege) for one in acl if one.grantable} <= grantable
    )


def test_random_acls_become_exactly_what_is_wanted_and_a_second_run_has_nothing_to_do(table):
    rng = random.Random(20)  # noqa: S311 (a seed makes the rounds the same each time)
    seen = dict.fromkeys([field.name for field in dataclasses.fields(Change)], 0)
    for number in range(ROUNDS):
        table.make()
        build(table, rng)
        pairs = [(role, privilege) for role in (*NAMES, "public") for privilege in PRIVILEGES]
        wanted = {pair for pair in pairs if rng.random() < 0.5}
        grantable = frozenset(pair for pair in wanted if pair[0] != "public" and rng.random() < 0.5)
        acl, powers = table.acl, table.powers
        change = difference(OWNER, acl, wanted, PROTECTED, grantable, powers)
        for name in seen:
            seen[name] += bool(getattr(change, name))
        table.carry_out(change)
        end = table.acl
        said = f"round {number}: {acl} with {powers}, wanted {wanted}, {grantable}: {change} left {end}"
        assert set(after(OWNER, acl, change, powers)) == set(end), said
        again = difference(OWNER, end, wanted, PROTECTED, grantable, powers)
        assert dataclasses.replace(again, left=frozenset()) == NOTHING, said
        kept = {(one.grantee, one.privilege) for one in acl if one.grantee in PROTECTED}
        kept_able = {(one.grantee, one.privilege) for one in acl if one.grantee in PROTECTED and one.grantable}
        assert {(one.grantee, one.privilege) for one in end} >= wanted | kept, said
        assert {(one.grantee, one.privilege) for one in end if one.grantable} >= grantable | kept_able, said
        target = Target("TABLE", ("public", "m_table"))
        if change.left:
            assert powers.superusers
            assert len(left_over([(target, change)], database=None)) == len(change.left)
        else:
            assert rightly(end, wanted | kept, set(grantable | kept_able)), said
    # What the rounds came upon: each verb has been tried on the server.
    assert all(count for name, count in seen.items() if name != "left"), seen


def test_what_a_superuser_granted_before_it_was_one_is_left_and_said(table):
    table.make()
    table.run("GRANT SELECT ON m_table TO m_super WITH GRANT OPTION")
    with table.acting(SUPER):
        assert table.run("GRANT SELECT ON m_table TO m_a")
    table.run("ALTER ROLE m_super SUPERUSER")
    change = difference(OWNER, table.acl, (), PROTECTED, powers=table.powers)
    assert change == Change(left=frozenset({(SUPER, "m_a", "SELECT")}))
    # It is true that nothing takes it away.
    table.run("REVOKE GRANT OPTION FOR SELECT ON m_table FROM m_super CASCADE")
    assert AclItem("m_a", SUPER, "SELECT") in table.acl


def test_a_table_s_revoke_takes_its_columns_along(table):
    """Which is why ``after`` is there: a column's ACL is compared with what the table's statements leave of it."""
    table.make()
    table.run("GRANT SELECT, INSERT ON m_table TO m_a")
    table.run("GRANT SELECT (x), INSERT (x), UPDATE (x) ON m_table TO m_a")
    change = Change(revokes=frozenset({("m_a", "SELECT")}))
    table.carry_out(change)
    query = "SELECT privilege_type FROM pg_attribute, aclexplode(attacl) WHERE attrelid = 'm_table'::regclass"
    acl = tuple(AclItem("m_a", OWNER, privilege) for privilege in ("SELECT", "INSERT", "UPDATE"))
    assert {row[0] for row in table.rows(query)} == {one.privilege for one in after(OWNER, acl, change)}
