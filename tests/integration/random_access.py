"""Random servers and random policies: a generator, and an oracle that knows nothing of the planner.

The oracle reads a policy as its manual does, object by object, and asks the catalogue with one plain query.
"""

# ruff: noqa: S608
from __future__ import annotations

import fnmatch
import random
import re
import typing as t

from ansible_collections.taaraxtak.production.tests.integration.conftest import Server

DATABASES = ("rnd_a", 'Rnd "b".x')
ROLES = ("r_owner", "r_writer", "R.upper", 'r"quote', '"public"', "r_ünï", "r_other", "r_group")
LISTED = ROLES[:6]
SCHEMAS = ("public", 'S "x".y')
TABLES = ("t0", "T.1", 't"2', "parted", "part", "view")
SEQUENCES = ("loose", "t0_id_seq")
PRIVILEGES = {
    "table": ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"],
    "sequence": ["USAGE", "SELECT", "UPDATE"],
    "routine": ["EXECUTE"],
    "type": ["USAGE"],
    "schema": ["USAGE", "CREATE"],
    "database": ["CONNECT", "CREATE", "TEMPORARY"],
    "server": ["USAGE"],
    "wrapper": ["USAGE"],
    "language": ["USAGE"],
    "lo": ["SELECT", "UPDATE"],
    "column": ["SELECT", "INSERT", "UPDATE", "REFERENCES"],
}
# The kinds as the policy calls them.
POLICY_KIND = {
    "table": "tables",
    "sequence": "sequences",
    "routine": "routines",
    "type": "types",
    "schema": "schema",
    "database": "database",
    "server": "foreign_servers",
    "wrapper": "foreign_data_wrappers",
    "language": "languages",
    "lo": "large_objects",
    "column": "tables",
}
DEFAULT_KINDS = {"r": "table", "S": "sequence", "f": "routine", "T": "type"}
DEFAULT_WORDS = {"r": "TABLES", "S": "SEQUENCES", "f": "ROUTINES", "T": "TYPES"}

# (kind, schema, name, arguments or column, owner, grantee, privilege, grantable) of all that the database has of ours.
STATE = """
SELECT k, s, n, x, pg_get_userbyid(o), a.grantee, a.privilege_type, a.is_grantable FROM (
  SELECT CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END k, nspname s, relname n, '' x, relowner o,
         coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)) acl
  FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
  WHERE nspname = ANY(%(schemas)s) AND relkind IN ('r', 'p', 'v', 'S')
  UNION ALL SELECT 'column', nspname, relname, attname, relowner, attacl
  FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
  WHERE nspname = ANY(%(schemas)s) AND attacl IS NOT NULL
  UNION ALL SELECT 'routine', nspname, proname, pg_get_function_identity_arguments(p.oid), proowner,
         coalesce(proacl, acldefault('f', proowner))
  FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = ANY(%(schemas)s)
  UNION ALL SELECT 'type', nspname, typname, '', typowner, coalesce(typacl, acldefault('T', typowner))
  FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace WHERE nspname = ANY(%(schemas)s) AND typtype IN ('e', 'd')
  UNION ALL SELECT 'schema', '', nspname, '', nspowner, coalesce(nspacl, acldefault('n', nspowner))
  FROM pg_namespace WHERE nspname = ANY(%(schemas)s)
  UNION ALL SELECT 'database', '', datname, '', datdba, coalesce(datacl, acldefault('d', datdba))
  FROM pg_database WHERE datname = current_database()
  UNION ALL SELECT 'server', '', srvname, '', srvowner, coalesce(srvacl, acldefault('S', srvowner))
  FROM pg_foreign_server
  UNION ALL SELECT 'wrapper', '', fdwname, '', fdwowner, coalesce(fdwacl, acldefault('F', fdwowner))
  FROM pg_foreign_data_wrapper
  UNION ALL SELECT 'language', '', lanname, '', lanowner, coalesce(lanacl, acldefault('l', lanowner)) FROM pg_language
  WHERE lanname = 'plrnd'
  UNION ALL SELECT 'lo', '', oid::text, '', lomowner, coalesce(lomacl, acldefault('L', lomowner))
  FROM pg_largeobject_metadata
) objects LEFT JOIN LATERAL aclexplode(acl) a ON a.grantee <> o
ORDER BY 1, 2, 3, 4, 6, 7
"""
DEFAULTS = """
SELECT pg_get_userbyid(d.defaclrole), coalesce(n.nspname, ''), d.defaclobjtype::text, a.grantee, a.privilege_type,
       a.is_grantable
FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
  LEFT JOIN LATERAL aclexplode(d.defaclacl) a ON a.grantee <> d.defaclrole
"""


def q(*names: str) -> str:
    """An identifier, as PostgreSQL wants it."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def clear(server: Server) -> None:
    """Remove what an earlier case has left."""
    for name in DATABASES:
        server.run(f"DROP DATABASE IF EXISTS {q(name)} WITH (FORCE)")
    for (name,) in server.run("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", values=(list(ROLES),)):
        server.run(f"DROP OWNED BY {q(name)}")
    server.run("ALTER ROLE ALL RESET ALL")
    for name in ROLES:
        server.run(f"DROP ROLE IF EXISTS {q(name)}")


def make(server: Server, rnd: random.Random) -> None:
    """A server as nobody planned it."""
    clear(server)
    for name in ROLES:
        words = rnd.sample(["LOGIN", "NOINHERIT", "CREATEDB", "CREATEROLE", "BYPASSRLS", "CONNECTION LIMIT 3"], 2)
        server.run(f"CREATE ROLE {q(name)} {' '.join(words)}")
    for number in range(rnd.randrange(4)):
        # Always downwards, since PostgreSQL refuses circles.
        above, below = sorted(rnd.sample(range(len(ROLES)), 2))
        option = rnd.choice(["", " WITH ADMIN OPTION"])
        server.run(f"GRANT {q(ROLES[above])} TO {q(ROLES[below])}{option}")
        if number:
            server.run(f"GRANT {rnd.choice(['pg_write_all_data', 'pg_monitor'])} TO {q(rnd.choice(ROLES))}")
    for name in rnd.sample(ROLES, 2):
        server.run(f"ALTER ROLE {q(name)} SET search_path = {q('a, b')}, public")
        server.run(f"ALTER ROLE {q(name)} SET statement_timeout = '5s'")
    for name in DATABASES:
        server.run(f"CREATE DATABASE {q(name)} OWNER {q(rnd.choice(ROLES))}")
        server.run(_objects(rnd), database=name)
        for statement in _rights(rnd, name):
            _attempt(server, statement, name)
    server.run(f"ALTER DATABASE {q(DATABASES[0])} SET search_path = x")


def _objects(rnd: random.Random) -> str:
    lines = [f"CREATE SCHEMA {q(SCHEMAS[1])};"]
    for schema in SCHEMAS:
        s = q(schema)
        lines += [
            f"CREATE TABLE {s}.t0 (id serial, a int, {q('b c')} text);",
            f"CREATE TABLE {s}.{q('T.1')} (a int, {q('b c')} text);",
            f"CREATE TABLE {s}.{q(TABLES[2])} (a int);",
            f"CREATE TABLE {s}.parted (a int) PARTITION BY LIST (a);",
            f"CREATE TABLE {s}.part PARTITION OF {s}.parted DEFAULT;",
            f"CREATE VIEW {s}.view AS SELECT a FROM {s}.t0;",
            f"CREATE SEQUENCE {s}.loose;",
            f"CREATE FUNCTION {s}.f(integer) RETURNS int LANGUAGE sql AS 'SELECT 1';",
            f"CREATE FUNCTION {s}.f(text, VARIADIC x integer[]) RETURNS int LANGUAGE sql SECURITY DEFINER"
            " AS 'SELECT 1';",
            f"CREATE PROCEDURE {s}.{q('P.p')}(INOUT a integer) LANGUAGE sql AS 'SELECT 1';",
            f"CREATE AGGREGATE {s}.agg(integer) (SFUNC = int4pl, STYPE = integer);",
            f"CREATE TYPE {s}.mood AS ENUM ('x');",
            f"CREATE DOMAIN {s}.dom AS text;",
        ]
        for noun, names in (("TABLE", TABLES[:5]), ("SEQUENCE", ("loose",)), ("TYPE", ("mood",)), ("DOMAIN", ("dom",))):
            lines += [
                f"ALTER {noun} {s}.{q(name)} OWNER TO {q(rnd.choice(ROLES))};" for name in names if rnd.random() < 0.3
            ]
        lines += [f"ALTER FUNCTION {s}.f(integer) OWNER TO {q(rnd.choice(ROLES))};"]
        lines += [f"ALTER SCHEMA {s} OWNER TO {q(rnd.choice(ROLES))};"] if rnd.random() < 0.5 else []
    lines += [
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER srv FOREIGN DATA WRAPPER w;",
        "CREATE TRUSTED LANGUAGE plrnd HANDLER plpgsql_call_handler;",
        "SELECT lo_create(7001); SELECT lo_create(7002);",
    ]
    return "\n".join(lines)


def _targets(database: str) -> list[tuple[str, str]]:
    """(kind, as GRANT ... ON has it) of everything that can be granted on."""
    found = [("database", f"DATABASE {q(database)}"), ("wrapper", "FOREIGN DATA WRAPPER w")]
    found += [("server", "FOREIGN SERVER srv"), ("language", "LANGUAGE plrnd")]
    found += [("lo", "LARGE OBJECT 7001"), ("lo", "LARGE OBJECT 7002")]
    for schema in SCHEMAS:
        s = q(schema)
        found += [("schema", f"SCHEMA {s}"), ("type", f"TYPE {s}.mood"), ("type", f"DOMAIN {s}.dom")]
        found += [("table", f"TABLE {s}.{q(name)}") for name in TABLES]
        found += [("column", f"TABLE {s}.t0"), ("column", f"TABLE {s}.{q('T.1')}")]
        found += [("sequence", f"SEQUENCE {s}.{q(name)}") for name in SEQUENCES]
        found += [("routine", f"ROUTINE {s}.f(integer)"), ("routine", f"ROUTINE {s}.f(text, integer[])")]
        found += [("routine", f"ROUTINE {s}.{q('P.p')}"), ("routine", f"ROUTINE {s}.agg(integer)")]
    return found


def _rights(rnd: random.Random, database: str) -> t.Iterator[str]:
    targets = _targets(database)
    for _ in range(40):
        kind, on = rnd.choice(targets)
        privileges = rnd.sample(PRIVILEGES[kind], rnd.randint(1, min(3, len(PRIVILEGES[kind]))))
        what = ", ".join(f'{one} ("a")' if kind == "column" else one for one in privileges)
        to = rnd.choice([*map(q, ROLES), "PUBLIC"])
        option = " WITH GRANT OPTION" if to != "PUBLIC" and rnd.random() < 0.4 else ""
        grant = f"GRANT {what} ON {on} TO {to}{option}"
        # A third party's, where it happens to hold the option; the server refuses the others.
        yield f"SET ROLE {q(rnd.choice(ROLES))}; {grant}" if rnd.random() < 0.4 else grant
        if rnd.random() < 0.15:
            yield f"REVOKE ALL ON {on} FROM PUBLIC"
    for _ in range(5):
        letter = rnd.choice(list(DEFAULT_KINDS))
        where = rnd.choice(["", *(f"IN SCHEMA {q(schema)}" for schema in SCHEMAS)])
        privilege = rnd.choice(PRIVILEGES[DEFAULT_KINDS[letter]])
        to = rnd.choice([*map(q, ROLES), "PUBLIC"])
        option = " WITH GRANT OPTION" if to != "PUBLIC" and rnd.random() < 0.3 else ""
        yield (
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {q(rnd.choice(ROLES))} {where} GRANT {privilege} ON"
            f" {DEFAULT_WORDS[letter]} TO {to}{option}"
        )


def _attempt(server: Server, statement: str, database: str) -> None:
    """Run what a person might try; what the server refuses is no part of the state."""
    connection = server.connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    except Exception as error:
        if getattr(error, "pgcode", None) not in ("42501", "0LP01", "0A000", "55000"):
            raise
    finally:
        connection.close()


def policy(rnd: random.Random) -> dict[str, t.Any]:
    """A policy for such a server."""
    roles: dict[str, t.Any] = {}
    for number, name in enumerate(LISTED):
        role: dict[str, t.Any] = {"login": rnd.random() < 0.5, "inherit": rnd.random() < 0.7}
        role |= {flag: True for flag in ("createdb", "bypassrls") if rnd.random() < 0.2}
        if number and rnd.random() < 0.4:
            role["member_of"] = [rnd.choice(LISTED[:number])]
        if rnd.random() < 0.3:
            role["settings"] = {"statement_timeout": "30s", "search_path": ["a, b", "public"]}
        roles[name] = role
    written: dict[str, t.Any] = {
        "version": 1,
        "mode": "authoritative",
        "scope": {"databases": list(DATABASES), "schemas": list(SCHEMAS) if rnd.random() < 0.7 else ["public", "S *"]},
        "roles": roles,
        "unlisted_roles": rnd.choice(["leave", "disable"]),
        "grants": [_grant(rnd) for _ in range(rnd.randint(0, 14))],
    }
    if rnd.random() < 0.8:
        written["owners"] = {schema: rnd.choice(LISTED) for schema in rnd.sample(SCHEMAS, rnd.randint(1, 2))}
        for schema in written["owners"]:
            if rnd.random() < 0.6:
                privilege = rnd.choice(PRIVILEGES["table"]).lower()
                pattern = {"schema": schema, "name": "*"}
                to = rnd.sample(LISTED, 2)
                grant = {"to": to, "on": {"tables": pattern}, "privileges": [privilege], "future": True}
                written["grants"].append(grant)
    if rnd.random() < 0.5:
        written["public"] = {"revoke_connect": "all", "revoke_execute": ["pg_catalog.lo_*"]}
    return written


def _grant(rnd: random.Random) -> dict[str, t.Any]:
    kind = rnd.choice(list(POLICY_KIND))
    schema = rnd.choice(SCHEMAS)
    names = {
        "table": [*TABLES, "*", "t*", "part*"],
        "column": ["t0", "T.1"],
        "sequence": [*SEQUENCES, "*"],
        "routine": ["f", "P.p", "*", "agg"],
        "type": ["mood", "dom", "*"],
    }
    on: dict[str, t.Any]
    if kind in names:
        pattern = {"schema": schema, "name": rnd.choice(names[kind])}
        if pattern["name"] == "f" and rnd.random() < 0.5:
            pattern["arguments"] = rnd.choice(["integer", "text, VARIADIC x integer[]"])
        on = {POLICY_KIND[kind]: pattern}
        if kind in ("table", "sequence") and "*" in pattern["name"] and rnd.random() < 0.4:
            on["except"] = {"schema": schema, "name": rnd.choice(TABLES if kind == "table" else SEQUENCES)}
            if not fnmatch.fnmatchcase(on["except"]["name"], pattern["name"]):
                del on["except"]
        if kind == "column":
            on["columns"] = ["a"]
    else:
        name = {"schema": [schema], "database": [rnd.choice(DATABASES)], "lo": rnd.choice([["7001"], ["*"]])}
        on = {POLICY_KIND[kind]: name.get(kind, [{"server": "srv", "wrapper": "w", "language": "plrnd"}.get(kind)])}
    to = rnd.sample(LISTED, rnd.randint(1, 2))
    grant: dict[str, t.Any] = {"to": to, "on": on}
    if kind != "column" and rnd.random() < 0.25:
        grant["to"] = ["public"]
    elif rnd.random() < 0.25:
        grant["grant_option"] = True
    grant["privileges"] = [one.lower() for one in rnd.sample(PRIVILEGES[kind], 1)]
    if rnd.random() < 0.2 and kind != "database":
        grant["databases"] = [rnd.choice(DATABASES)]
    return grant


def expected(written: dict[str, t.Any], database: str, one: tuple[str, str, str, str]) -> set[tuple[str, str, bool]]:
    """(grantee, privilege, grantable) that the policy gives on *one*: (kind, schema, name, arguments or column)."""
    kind, schema, name, extra = one
    found: dict[tuple[str, str], bool] = {}
    for grant in written["grants"]:
        on = grant["on"]
        if POLICY_KIND[kind] not in on or ("columns" in on) != (kind == "column"):
            continue
        if database not in grant.get("databases", [database]):
            continue
        target = on[POLICY_KIND[kind]]
        if isinstance(target, dict):
            meant = _means(target, schema, name) and target.get("arguments", extra) in (extra, "a")
            meant = meant and not ("except" in on and _means(on["except"], schema, name))
            meant = meant and (kind != "column" or extra in on["columns"])
        else:
            meant = any(fnmatch.fnmatchcase(name, _plain(each)) for each in target)
        if meant:
            for role in grant["to"]:
                for privilege in grant["privileges"]:
                    key = (role, privilege.upper())
                    found[key] = found.get(key, False) or grant.get("grant_option", False)
    return {(role, privilege, option) for (role, privilege), option in found.items()}


def _plain(pattern: str) -> str:
    """A pattern for fnmatch, in which nothing but the star means something."""
    return re.sub(r"[\[\]?]", lambda found: f"[{found.group()}]", pattern)


def _means(pattern: dict[str, str], schema: str, name: str) -> bool:
    return pattern["schema"] == schema and fnmatch.fnmatchcase(name, _plain(pattern["name"]))


def state(server: Server, database: str) -> dict[tuple[str, str, str, str], tuple[str, set[tuple[str, str, bool]]]]:
    """By object: its owner, and (grantee, privilege, grantable) of everybody but the owner and superusers."""
    names = dict(server.run("SELECT oid, rolname FROM pg_roles WHERE NOT rolsuper UNION ALL SELECT 0, 'public'"))
    found: dict[t.Any, t.Any] = {}
    rows = server.run(STATE, database=database, values={"schemas": list(SCHEMAS)})
    for kind, schema, name, extra, owner, grantee, privilege, grantable in rows:
        held = found.setdefault((kind, schema, name, extra), (owner, set()))[1]
        if grantee in names:
            held.add((names[grantee], privilege, grantable))
    return found


def merged(items: set[tuple[str, str, bool]]) -> set[tuple[str, str, bool]]:
    """Grants by several grantors count once: with the option where one has it."""
    best: dict[tuple[str, str], bool] = {}
    for role, privilege, option in items:
        best[role, privilege] = best.get((role, privilege), False) or option
    return {(role, privilege, option) for (role, privilege), option in best.items()}


def expected_defaults(written: dict[str, t.Any]) -> dict[tuple[str, str, str], set[tuple[str, str, bool]]]:
    """By (creator, schema, letter): what the policy gives on what will be made."""
    found: dict[tuple[str, str, str], set[tuple[str, str, bool]]] = {}
    for grant in written["grants"]:
        if grant.get("future"):
            schema = grant["on"]["tables"]["schema"]
            made = found.setdefault((written["owners"][schema], schema, "r"), set())
            made |= {(role, one.upper(), False) for role in grant["to"] for one in grant["privileges"]}
    return found


def defaults(server: Server, database: str) -> dict[tuple[str, str, str], set[tuple[str, str, bool]]]:
    """By (creator, schema or '', letter): (grantee, privilege, grantable) but for the creator's own."""
    names = dict(server.run("SELECT oid, rolname FROM pg_roles UNION ALL SELECT 0, 'public'"))
    found: dict[tuple[str, str, str], set[tuple[str, str, bool]]] = {}
    for creator, schema, letter, grantee, privilege, grantable in server.run(DEFAULTS, database=database):
        held = found.setdefault((creator, schema, letter), set())
        if grantee is not None:
            held.add((names[grantee], privilege, grantable))
    return found
