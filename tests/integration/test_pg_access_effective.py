"""Effective access, worked out from the catalogue's rows, is what the server itself says of random roles and grants."""

# ruff: noqa: S311, S608
from __future__ import annotations

import random
import typing as t

import psycopg2.errors
import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access import inspecting, postgres
from ansible_collections.taaraxtak.production.plugins.module_utils.access.audit.effective import Effective
from ansible_collections.taaraxtak.production.plugins.module_utils.access.audit.things import BITS, COLUMNS, TABLE_WORDS
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.model import Policy
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.servers import bindir, every_server  # noqa: F401

DATABASE = "effective"
ROLES = [f"r{number}" for number in range(9)]
SCHEMAS = ["one", "Two"]
PREDEFINED = ["pg_read_all_data", "pg_write_all_data"]
STATES = 14
EVERYTHING = Policy("authoritative", (DATABASE,), ("*",), True, {}, {}, False, (), (), ())
# What each (role, thing, privilege) is asked as; the third column: a column's privilege counts.
ASKED = {
    "table": "SELECT r.rolname, quote_ident(n.nspname) || '.' || quote_ident(c.relname), p, {} FROM pg_roles r,"
    " pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, unnest(%(words)s::text[]) p"
    " WHERE r.rolname = ANY(%(roles)s) AND n.nspname = ANY(%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm')",
    "sequence": "SELECT r.rolname, quote_ident(n.nspname) || '.' || quote_ident(c.relname), p,"
    " has_sequence_privilege(r.oid, c.oid, p) FROM pg_roles r, pg_class c JOIN pg_namespace n"
    " ON n.oid = c.relnamespace, unnest('{USAGE,SELECT,UPDATE}'::text[]) p"
    " WHERE r.rolname = ANY(%(roles)s) AND n.nspname = ANY(%(schemas)s) AND c.relkind = 'S'",
    "schema": "SELECT r.rolname, quote_ident(n.nspname), p, has_schema_privilege(r.oid, n.oid, p) FROM pg_roles r,"
    " pg_namespace n, unnest('{USAGE,CREATE}'::text[]) p WHERE r.rolname = ANY(%(roles)s)"
    " AND n.nspname = ANY(%(schemas)s)",
    "database": "SELECT r.rolname, d.datname, p, has_database_privilege(r.oid, d.oid, p) FROM pg_roles r,"
    " pg_database d, unnest('{CONNECT,CREATE,TEMPORARY}'::text[]) p WHERE r.rolname = ANY(%(roles)s)"
    " AND d.datname = current_database()",
    "routine": "SELECT r.rolname, quote_ident(n.nspname) || '.' || quote_ident(f.proname) || '()', 'EXECUTE',"
    " has_function_privilege(r.oid, f.oid, 'EXECUTE') FROM pg_roles r, pg_proc f JOIN pg_namespace n"
    " ON n.oid = f.pronamespace WHERE r.rolname = ANY(%(roles)s) AND n.nspname = ANY(%(schemas)s)",
}


class State:
    """Random roles, memberships, owners and grants on a server."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server = server
        self.random = random.Random(seed)
        self.version = int(server.run("SELECT current_setting('server_version_num')")[0][0])

    def make(self) -> None:
        pick, maybe = self.random.choice, lambda share: self.random.random() < share
        statements = []
        for role in ROLES:
            flags = " SUPERUSER" if maybe(0.06) else ""
            statements.append(f"CREATE ROLE {role} LOGIN{flags}{'' if maybe(0.7) else ' NOINHERIT'}")
        for member in ROLES[1:]:
            # Only to roles before it: no circle.
            above = [*ROLES[: ROLES.index(member)], *PREDEFINED, *(["pg_maintain"] if self.version >= 170000 else [])]
            for role in {pick(above) for _ in range(self.random.randint(0, 2))}:
                options = ""
                if self.version >= 160000:
                    options = f" WITH INHERIT {pick(['TRUE', 'FALSE'])}, SET {pick(['TRUE', 'FALSE'])}"
                statements.append(f"GRANT {role} TO {member}{options}")
        statements.append(f"ALTER DATABASE {DATABASE} OWNER TO {pick(ROLES)}")
        self.server.run(";".join(statements))
        grantee = lambda: pick([*ROLES, "PUBLIC"])  # noqa: E731
        inside = []
        for schema in SCHEMAS:
            owner = pick([*ROLES, "pg_database_owner"])
            inside += [f'CREATE SCHEMA "{schema}" AUTHORIZATION {owner}']
            inside += [f'GRANT {pick(["USAGE", "CREATE"])} ON SCHEMA "{schema}" TO {grantee()}' for _ in range(2)]
            for number in range(4):
                name = f'"{schema}"."T {number}"'
                inside.append(f"CREATE TABLE {name} (a int, b int); ALTER TABLE {name} OWNER TO {pick(ROLES)}")
                for _ in range(self.random.randint(0, 4)):
                    inside.append(f"GRANT {pick(TABLE_WORDS)} ON {name} TO {grantee()}")
                if maybe(0.5):
                    inside.append(f"GRANT {pick(['SELECT', 'UPDATE'])} ({pick('ab')}) ON {name} TO {grantee()}")
            inside.append(
                f'CREATE VIEW "{schema}".v AS SELECT a FROM {name}; GRANT INSERT ON "{schema}".v TO {grantee()}'
            )
            inside.append(
                f'CREATE SEQUENCE "{schema}".s; GRANT {pick(["USAGE", "UPDATE"])} ON "{schema}".s TO {grantee()}'
            )
            inside.append(f"CREATE FUNCTION \"{schema}\".f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
            if maybe(0.5):
                inside.append(f'REVOKE EXECUTE ON FUNCTION "{schema}".f() FROM PUBLIC')
                inside.append(f'GRANT EXECUTE ON FUNCTION "{schema}".f() TO {grantee()}')
        self.server.run(";".join(inside), database=DATABASE)

    def read(self) -> Effective:
        with postgres.session(self.server.login, DATABASE) as connection, postgres.snapshot(connection):
            cluster = postgres.read_cluster(connection)
            objects = inspecting.read_audited(connection, EVERYTHING, cluster, DATABASE)
        return Effective(cluster, objects, ROLES)

    def asked(self, query: str, words: t.Sequence[str]) -> set[tuple[str, str, str]]:
        values = {"roles": ROLES, "schemas": SCHEMAS, "words": list(words)}
        rows = self.server.run(query, database=DATABASE, values=values)
        assert rows
        return {row[:3] for row in rows if row[3]}


def held(effective: Effective, noun: str, *, columns: bool = False) -> set[tuple[str, str, str]]:
    """(role, name, privilege) without SET ROLE, of the schemas of the test."""
    things = effective.things.all
    return {
        (role, things[number].name, word)
        for number in effective.things.find(noun)
        for role in ROLES
        for word, bit in BITS.items()
        if effective.mask(role, number) & (bit | bit << COLUMNS if columns else bit)
        and (noun in ("database", "schema") or things[number].place in SCHEMAS)
        and (noun != "schema" or things[number].name.strip('"') in SCHEMAS)
    }


@pytest.fixture
def clean(every_server: Server) -> t.Iterator[Server]:  # noqa: F811
    every_server.run(f"CREATE DATABASE {DATABASE}")
    yield every_server
    every_server.run(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    for role in ROLES:
        every_server.run(f"DROP ROLE IF EXISTS {role}")


@pytest.mark.parametrize("seed", range(STATES))
def test_it_is_what_the_server_says(clean: Server, seed: int) -> None:
    state = State(clean, seed)
    state.make()
    effective = state.read()

    words = TABLE_WORDS + (("MAINTAIN",) if state.version >= 170000 else ())
    assert held(effective, "table") == state.asked(ASKED["table"].format("has_table_privilege(r.oid, c.oid, p)"), words)
    on_columns = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
    any_column = state.asked(ASKED["table"].format("has_any_column_privilege(r.oid, c.oid, p)"), on_columns)
    assert {one for one in held(effective, "table", columns=True) if one[2] in on_columns} == any_column
    for noun in ("sequence", "schema", "database", "routine"):
        assert held(effective, noun) == state.asked(ASKED[noun], ())

    roles = {"roles": ROLES}
    pairs = "SELECT m.rolname, r.rolname FROM pg_roles m, pg_roles r WHERE m.rolname = ANY(%(roles)s)"
    may_set = "SET" if state.version >= 160000 else "MEMBER"
    # In the database, since its owner is in pg_database_owner there.
    inherits = clean.run(f"{pairs} AND pg_has_role(m.oid, r.oid, 'USAGE')", database=DATABASE, values=roles)
    sets = clean.run(f"{pairs} AND pg_has_role(m.oid, r.oid, '{may_set}')", database=DATABASE, values=roles)
    reach = effective.reach
    bound = [role for role in ROLES if not reach.superuser(role)]
    assert {(role, one) for role in bound for one in reach.inherited(role)} == {
        row for row in inherits if row[0] in bound
    }
    assert {(role, one) for role in bound for one in (role, *reach.settable(role))} == {
        row for row in sets if row[0] in bound
    }


@pytest.mark.parametrize("seed", range(3))
def test_whoever_is_said_to_read_a_table_reads_it_by_that_path_and_nobody_else_does(clean: Server, seed: int) -> None:
    """SET ROLE, USAGE on the schema and views with their owner's rights are tried, not asked for."""
    state = State(clean, 100 + seed)
    state.make()
    effective = state.read()
    for (schema, name), number in effective.things.relations.items():
        if effective.things.all[number].noun != "table" or schema not in SCHEMAS:
            continue
        said = effective.who(schema, name, "DELETE")
        for role in ROLES:
            ways = [way for way in effective.reach.ways(role) if way.kind in ("login", "set_role")]
            tried = (
                any(deletes(clean, role, way.acting, schema, name) for way in ways) if connects(clean, role) else False
            )
            if name != "v":
                # By the view, too.
                below = effective.things.all[effective.things.relations[schema, "v"]]
                tried = tried or (
                    name == "T 3"
                    and connects(clean, role)
                    and effective.mask(below.owner, number) & BITS["DELETE"] != 0
                    and any(deletes(clean, role, way.acting, schema, "v") for way in ways)
                )
            assert (role in said) == tried, (role, schema, name, said.get(role))


def connects(server: Server, role: str) -> bool:
    return bool(server.run(f"SELECT has_database_privilege('{role}', '{DATABASE}', 'CONNECT')")[0][0])


def deletes(server: Server, role: str, acting: str, schema: str, name: str) -> bool:
    connection = server.connect(DATABASE)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION AUTHORIZATION {role}; SET ROLE {acting}")
            # Without a condition on a column, so that SELECT isn't asked for; rules and rows don't matter.
            cursor.execute(f'EXPLAIN DELETE FROM "{schema}"."{name}"')
    except psycopg2.errors.InsufficientPrivilege:
        return False
    finally:
        connection.close()
    return True
