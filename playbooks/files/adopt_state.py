# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep, and bring back, what an access policy can't say of a server: owners, verifiers of passwords, what PUBLIC may.

usage: python3 -I - keep|back|drop PORT FILE DATABASE... < this file
Root runs it and logs in as postgres. `keep` writes FILE, for root alone: by database the statements that make the
present state. `back` runs those of FILE that the present state lacks, in one transaction for each database, and prints
how many. It never prints one, since they hold verifiers of passwords. `drop` drops the roles that were not there, and
prints the names of those on which something hangs: they stay.
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

CLUSTER = """
SELECT format('ALTER ROLE %I PASSWORD %L', rolname, rolpassword) FROM pg_authid WHERE rolpassword IS NOT NULL
UNION ALL
SELECT format('GRANT CONNECT ON DATABASE %I TO PUBLIC', datname) FROM pg_database
WHERE EXISTS (SELECT FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))
              WHERE grantee = 0 AND privilege_type = 'CONNECT')
ORDER BY 1
"""
# What belongs to an extension, and a sequence that is a table's, goes with it.
DATABASE = """
WITH others AS (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
alone AS (
  SELECT oid FROM pg_class c WHERE relnamespace IN (SELECT oid FROM others)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND (d.deptype = 'e' OR c.relkind = 'S' AND d.deptype IN ('a', 'i')
                       AND d.refclassid = 'pg_class'::regclass)))
SELECT format('ALTER SCHEMA %I OWNER TO %I', nspname, pg_get_userbyid(nspowner)) FROM pg_namespace
WHERE oid IN (SELECT oid FROM others)
UNION ALL
SELECT format('ALTER %s %s OWNER TO %I',
  CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
               WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, oid::regclass, pg_get_userbyid(relowner))
FROM pg_class WHERE oid IN (SELECT oid FROM alone) AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
UNION ALL
SELECT format('ALTER ROUTINE %s OWNER TO %I', oid::regprocedure, pg_get_userbyid(proowner)) FROM pg_proc p
WHERE pronamespace IN (SELECT oid FROM others)
AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT format('GRANT EXECUTE ON ROUTINE %s TO PUBLIC', oid::regprocedure) FROM pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace
AND EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner)))
            WHERE grantee = 0 AND privilege_type = 'EXECUTE')
ORDER BY 1
"""
ROLES = "SELECT rolname FROM pg_roles ORDER BY 1"
NEW = "SELECT rolname FROM pg_roles WHERE rolname <> ALL (%s) ORDER BY 1"
SUPERUSER = "postgres"
# No verifier in the server's log, and no wait that others queue up behind.
CAREFUL = """
SET LOCAL log_statement = 'none'; SET LOCAL log_min_duration_statement = -1;
SET LOCAL log_min_error_statement = 'panic'; SET LOCAL lock_timeout = '5s'
"""


def state(port: int, databases: t.Iterable[str]) -> dict[str, list[str]]:
    """By database, the statements that make the present state; "" has the cluster's."""
    found = {}
    for name, query in [("", CLUSTER), *((name, DATABASE) for name in databases)]:
        with session(port, name) as cursor:
            cursor.execute(query)
            found[name] = [row[0] for row in cursor.fetchall()]
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


def back(port: int, kept: t.Mapping[str, t.Sequence[str]]) -> int:
    """Run what is lacking; how many statements that were."""
    count = 0
    for name, now in state(port, [name for name in kept if name]).items():
        lacking = [statement for statement in kept[name] if statement not in set(now)]
        with session(port, name) as cursor:
            cursor.execute(CAREFUL)
            for statement in lacking:
                cursor.execute(statement)
        count += len(lacking)
    return count


def drop(port: int, roles: t.Sequence[str]) -> list[str]:
    """Drop all roles but *roles*, each by itself; the names of those on which something hangs."""
    with session(port, "") as cursor:
        cursor.execute(NEW, (list(roles),))
        new = [row[0] for row in cursor.fetchall()]
    staying = []
    for name in new:
        try:
            with session(port, "") as cursor:
                cursor.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
        except psycopg2.errors.DependentObjectsStillExist:
            staying.append(name)
    return staying


def main() -> None:
    """Do what the command line says."""
    what, port, path, databases = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    if what == "keep":
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            with session(port, "") as cursor:
                cursor.execute(ROLES)
                roles = [row[0] for row in cursor.fetchall()]
            json.dump({"roles": roles, "statements": state(port, databases)}, file)
        return
    kept = json.loads(Path(path).read_text(encoding="utf-8"))
    if what == "back":
        print(back(port, kept["statements"]))
    else:
        print(", ".join(drop(port, kept["roles"])))


main()
