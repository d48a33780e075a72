# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep, and bring back, what an access policy can't say of a server: owners, verifiers of passwords, what PUBLIC may.

usage: python3 -I - keep PORT FILE DATABASE... | back PORT FILE | ends PORT FILE | drop PORT ROLE...   < this file
Root runs it and logs in as postgres. `keep` writes FILE whole or not at all, for root alone: by database, and by what
it is about, the statement that makes the present state. `back` runs those of FILE that a step has undone, in one
transaction for each database, and prints how many; where somebody else holds a lock it ends with 75, to be tried again.
It never prints one, since they hold verifiers of passwords. `ends` is `back` for the ends of passwords alone, which no
policy has. `drop` drops those of the roles that are there, and prints the names of those on which something hangs: they
stay.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import sys
import typing as t
from pathlib import Path

import psycopg2
import psycopg2.errors
from psycopg2 import sql

# What it is about, and the statement, or NULL where nothing is to be brought back: a password without an end, say.
CLUSTER = """
SELECT 'password ' || rolname,
  CASE WHEN rolpassword IS NOT NULL THEN format('ALTER ROLE %I PASSWORD %L', rolname, rolpassword) END FROM pg_authid
UNION ALL
SELECT 'end ' || rolname,
  CASE WHEN isfinite(rolvaliduntil) THEN format('ALTER ROLE %I VALID UNTIL %L', rolname, rolvaliduntil) END
FROM pg_authid
UNION ALL
SELECT 'connect ' || datname,
  CASE WHEN EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))
                    WHERE grantee = 0 AND privilege_type = 'CONNECT')
       THEN format('GRANT CONNECT ON DATABASE %I TO PUBLIC', datname) END FROM pg_database
ORDER BY 1
"""
# What belongs to an extension, and a sequence that is a table's, goes with it; so do types of rows, arrays and ranges.
DATABASE = """
WITH others AS (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
owned AS (
  SELECT 'pg_namespace'::regclass AS class, 'SCHEMA' AS noun, oid, oid AS schema, nspowner AS owner FROM pg_namespace
  UNION ALL
  SELECT 'pg_class',
    CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                 WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, oid, relnamespace, relowner
  FROM pg_class c WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND c.relkind = 'S' AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass)
  UNION ALL
  SELECT 'pg_proc', 'ROUTINE', oid, pronamespace, proowner FROM pg_proc
  UNION ALL
  SELECT 'pg_type', 'TYPE', t.oid, typnamespace, typowner FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
  WHERE typtype IN ('b', 'c', 'd', 'e', 'r') AND (typtype <> 'c' OR relkind = 'c')
  AND NOT (typelem <> 0 AND typsubscript = 'array_subscript_handler'::regproc)
  UNION ALL SELECT 'pg_collation', 'COLLATION', oid, collnamespace, collowner FROM pg_collation
  UNION ALL SELECT 'pg_conversion', 'CONVERSION', oid, connamespace, conowner FROM pg_conversion
  UNION ALL SELECT 'pg_operator', 'OPERATOR', oid, oprnamespace, oprowner FROM pg_operator
  UNION ALL SELECT 'pg_opclass', 'OPERATOR CLASS', oid, opcnamespace, opcowner FROM pg_opclass
  UNION ALL SELECT 'pg_opfamily', 'OPERATOR FAMILY', oid, opfnamespace, opfowner FROM pg_opfamily
  UNION ALL SELECT 'pg_statistic_ext', 'STATISTICS', oid, stxnamespace, stxowner FROM pg_statistic_ext
  UNION ALL SELECT 'pg_ts_config', 'TEXT SEARCH CONFIGURATION', oid, cfgnamespace, cfgowner FROM pg_ts_config
  UNION ALL SELECT 'pg_ts_dict', 'TEXT SEARCH DICTIONARY', oid, dictnamespace, dictowner FROM pg_ts_dict),
named AS (
  SELECT noun || ' ' || (pg_identify_object(class, oid, 0)).identity AS what, owner FROM owned o
  WHERE schema IN (SELECT oid FROM others)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e'))
SELECT what, format('ALTER %s OWNER TO %I', what, pg_get_userbyid(owner)) FROM named
UNION ALL
SELECT 'execute ' || oid::regprocedure,
  CASE WHEN EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner)))
                    WHERE grantee = 0 AND privilege_type = 'EXECUTE')
       THEN format('GRANT EXECUTE ON ROUTINE %s TO PUBLIC', oid::regprocedure) END
FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
ORDER BY 1
"""
SUPERUSER = "postgres"
# EX_TEMPFAIL of sysexits.h.
LOCKED = 75
# No verifier in the server's log, and no wait that others queue up behind.
CAREFUL = """
SET LOCAL log_statement = 'none'; SET LOCAL log_min_duration_statement = -1;
SET LOCAL log_min_error_statement = 'panic'; SET LOCAL lock_timeout = '5s'
"""


def state(port: int, databases: t.Iterable[str]) -> dict[str, dict[str, str | None]]:
    """By database, and by what it is about, the statement that makes the present state; "" has the cluster's."""
    found = {}
    for name, query in [("", CLUSTER), *((name, DATABASE) for name in databases)]:
        with session(port, name) as cursor:
            cursor.execute(query)
            found[name] = dict(cursor.fetchall())
    return found


@contextlib.contextmanager
def session(port: int, database: str) -> t.Iterator[t.Any]:
    """A transaction of the superuser in *database*; names are written out with their schemas."""
    os.seteuid(pwd.getpwnam(SUPERUSER).pw_uid)
    try:
        connection = psycopg2.connect(
            dbname=database or SUPERUSER, port=port, user=SUPERUSER, options="-c search_path= -c statement_timeout=0"
        )
    finally:
        os.seteuid(0)
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def back(port: int, kept: t.Mapping[str, t.Mapping[str, str]]) -> int:
    """Run what was undone; how many statements that were."""
    count = 0
    for name in sorted(kept.keys() & {"", *databases(port)}):
        now = state(port, [name] if name else [])[name]
        undone = [statement for what, statement in kept[name].items() if lost(what, statement, now)]
        with session(port, name) as cursor:
            cursor.execute(CAREFUL)
            for statement in undone:
                cursor.execute(statement)
        count += len(undone)
    return count


def lost(what: str, statement: str, now: t.Mapping[str, str | None]) -> bool:
    """Whether a step has undone it: an owner is another, anything else is gone.

    What somebody has dropped since stays dropped, and a password that somebody has given since is theirs.
    """
    if what not in now:
        return False
    return now[what] is None or (statement.startswith(f"ALTER {what} OWNER TO ") and now[what] != statement)


def databases(port: int) -> list[str]:
    """The names of the databases that can be asked."""
    with session(port, "") as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE datallowconn")
        return [row[0] for row in cursor.fetchall()]


def drop(port: int, roles: t.Sequence[str]) -> list[str]:
    """Drop *roles*, each by itself; the names of those on which something hangs."""
    staying = []
    for name in roles:
        try:
            with session(port, "") as cursor:
                cursor.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
        except psycopg2.errors.DependentObjectsStillExist:
            staying.append(name)
    return staying


def write(path: Path, content: t.Mapping[str, t.Any]) -> None:
    """Write *path* whole or not at all: a run that is cut leaves none, and the next one begins anew."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def main() -> None:
    """Do what the command line says."""
    what, port, rest = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    if what == "keep":
        there = state(port, rest[1:]).items()
        write(Path(rest[0]), {name: {key: one for key, one in found.items() if one} for name, found in there})
    elif what in ("back", "ends"):
        kept = json.loads(Path(rest[0]).read_text(encoding="utf-8"))
        if what == "ends":
            kept = {"": {about: one for about, one in kept[""].items() if about.startswith("end ")}}
        try:
            print(back(port, kept))
        except psycopg2.errors.LockNotAvailable as error:
            # Its context would be the statement; the message is not.
            print(str(error.diag.message_primary), file=sys.stderr)
            sys.exit(LOCKED)
    else:
        print(", ".join(drop(port, rest)))


main()
