# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The permission matrix: what each login role can do in a database, in a few words, asked of the server itself.

Each way of acting is a row of its own, since a role that does not inherit may still SET ROLE. The paths are in
effective.py.
"""

from __future__ import annotations

import typing as t

# A privilege on tables, and the word for it in the matrix. Not "update": in a template row.update is dict's method.
ON_TABLES = {"SELECT": "read", "INSERT": "insert", "UPDATE": "change", "DELETE": "delete", "TRUNCATE": "truncate"}
# Since 16 a membership may forbid SET ROLE, and pg_has_role knows the word.
SET_ROLE_OPTION = 160000

# %(roles)s: login roles, %(schemas)s: the schemas in scope. A way of acting is the role itself, or one that it may
# SET ROLE to without inheriting from it. Who owns a thing can alter and drop it. Level 2 is the whole table, 1 some of
# its columns; a privilege in a schema without USAGE on it is none.
MATRIX = """
WITH way AS MATERIALIZED (
  SELECT l.oid AS login, l.rolname, r.oid AS acting, r.rolname AS acting_as
  FROM pg_roles l JOIN pg_roles r
    ON r.oid = l.oid OR (NOT pg_has_role(l.oid, r.oid, 'USAGE') AND pg_has_role(l.oid, r.oid, %(set_role)s))
  WHERE l.rolname = ANY(%(roles)s)
), held AS MATERIALIZED (
  SELECT w.login, w.acting, p.privilege, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
    CASE WHEN NOT has_schema_privilege(w.acting, n.oid, 'USAGE') THEN 0
         WHEN has_table_privilege(w.acting, c.oid, p.privilege) THEN 2
         WHEN p.privilege IN ('DELETE', 'TRUNCATE') THEN 0
         WHEN has_any_column_privilege(w.acting, c.oid, p.privilege) THEN 1
         ELSE 0 END AS level
  FROM way w CROSS JOIN pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN unnest(%(privileges)s::text[]) AS p (privilege)
  WHERE n.nspname = ANY(%(schemas)s) AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
), summed AS (
  SELECT login, acting, privilege, bool_and(level = 2) AS whole,
    array_agg(name || CASE level WHEN 1 THEN ' (columns)' ELSE '' END ORDER BY name) FILTER (WHERE level > 0) AS names
  FROM held GROUP BY login, acting, privilege
), on_tables AS (
  SELECT login, acting, json_object_agg(privilege, CASE WHEN whole THEN '"all"' ELSE to_json(names) END) AS held
  FROM summed GROUP BY login, acting
)
SELECT w.rolname, w.acting_as,
  has_database_privilege(w.login, d.oid, 'CONNECT'),
  has_database_privilege(w.acting, d.oid, 'TEMPORARY'),
  has_database_privilege(w.acting, d.oid, 'CREATE')
    OR pg_has_role(w.acting, d.datdba, 'USAGE')
    OR EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = ANY(%(schemas)s)
               AND (has_schema_privilege(w.acting, n.oid, 'CREATE') OR pg_has_role(w.acting, n.nspowner, 'USAGE')))
    OR EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = ANY(%(schemas)s) AND pg_has_role(w.acting, c.relowner, 'USAGE')),
  t.held
FROM way w CROSS JOIN pg_database d LEFT JOIN on_tables t ON t.login = w.login AND t.acting = w.acting
WHERE d.datname = current_database()
ORDER BY w.rolname, w.acting_as <> w.rolname, w.acting_as
"""


def values(version: int, roles: t.Collection[str], schemas: t.Collection[str]) -> dict[str, t.Any]:
    """The values of MATRIX, for a server of *version* (server_version_num)."""
    return {
        "roles": list(roles),
        "schemas": list(schemas),
        "privileges": list(ON_TABLES),
        "set_role": "SET" if version >= SET_ROLE_OPTION else "MEMBER",
    }


def matrix(database: str, rows: t.Sequence[t.Sequence[t.Any]]) -> list[dict[str, t.Any]]:
    """The rows of MATRIX as one mapping for each role and way of acting.

    ``connect``, ``ddl`` and ``temp`` are booleans; each word of ON_TABLES is none, some or all (of the scope's
    tables), and ``tables`` names them where it is some. ``via`` is login or SET ROLE name; ``set_role`` lists those.
    """
    others: dict[str, list[str]] = {}
    for role, acting in (row[:2] for row in rows):
        if acting != role:
            others.setdefault(role, []).append(acting)
    result = []
    for role, acting, connect, temp, ddl, on_tables in rows:
        held = {word: (on_tables or {}).get(privilege) for privilege, word in ON_TABLES.items()}
        result.append(
            {
                "role": role,
                "database": database,
                "via": "login" if acting == role else f"SET ROLE {acting}",
                "connect": connect,
                **{word: "all" if names == "all" else "some" if names else "none" for word, names in held.items()},
                "ddl": ddl,
                "temp": temp,
                "tables": {word: names for word, names in held.items() if names and names != "all"},
                "set_role": others.get(role, []) if acting == role else [],
            }
        )
    return result
