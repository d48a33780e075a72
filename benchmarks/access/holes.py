# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rights that nobody wanted, planted one at a time: does a tool's dry run say anything else than before?"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .estate import Estate, owner
from .loading import LARGE_OBJECT, PARTITIONED, ROUTINE, WRAPPER
from .measure import Server, run
from .peers import Tool

# Reads the first schema by a group and has nothing of its own.
READER = "login_000"
# All that the holes touch, without the order of ACL entries: planting and taking back must leave it as it was.
STATE = """
WITH acl (what, acl) AS (
  SELECT 'relation ' || c.oid || ' ' || c.relowner, coalesce(c.relacl, acldefault('r', c.relowner)) FROM pg_class c
  UNION ALL SELECT 'column ' || a.attrelid || ' ' || a.attnum, a.attacl FROM pg_attribute a WHERE a.attacl IS NOT NULL
  UNION ALL SELECT 'schema ' || n.oid, coalesce(n.nspacl, acldefault('n', n.nspowner)) FROM pg_namespace n
  UNION ALL SELECT 'routine ' || p.oid, coalesce(p.proacl, acldefault('f', p.proowner)) FROM pg_proc p
  UNION ALL SELECT 'wrapper ' || w.oid, coalesce(w.fdwacl, acldefault('F', w.fdwowner)) FROM pg_foreign_data_wrapper w
  UNION ALL SELECT 'large object ' || l.oid, coalesce(l.lomacl, acldefault('L', l.lomowner))
            FROM pg_largeobject_metadata l
  UNION ALL SELECT 'parameter ' || p.parname, p.paracl FROM pg_parameter_acl p
  UNION ALL SELECT format('default %s %s %s', d.defaclrole, d.defaclnamespace, d.defaclobjtype), d.defaclacl
            FROM pg_default_acl d
), line (line) AS (
  SELECT format('%s %s', what, x) FROM acl, aclexplode(acl) x
  UNION ALL SELECT format('member %s %s %s', roleid, member, admin_option) FROM pg_auth_members
  UNION ALL SELECT format('role %s %s', r.rolname, to_jsonb(r)) FROM pg_roles r
)
SELECT md5(string_agg(line, E'\n' ORDER BY line)) FROM line
"""
# What differs from run to run in an answer that says the same: the time of day.
CLOCK = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,]?\d*")


@dataclasses.dataclass(frozen=True)
class Hole:
    """A right too many: the SQL that gives it and the SQL that takes it back."""

    name: str
    plant: str
    mend: str


def holes(estate: Estate) -> list[Hole]:
    """The holes, in the estate's first schema."""
    schema = estate.first
    table = f"{schema}.{estate.tables[schema][0]}"
    altered = f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner(schema)} IN SCHEMA {schema}"
    setting, reads_files = "session_preload_libraries", "pg_catalog.pg_read_file(text)"

    def right(name: str, what: str, role: str = READER) -> Hole:
        return Hole(name, f"GRANT {what} TO {role}", f"REVOKE {what} FROM {role}")

    return [
        right("INSERT on a table", f"INSERT ON {table}"),
        right("INSERT on a table to PUBLIC", f"INSERT ON {table}", "PUBLIC"),
        right("UPDATE of a column", f"UPDATE (name) ON {table}"),
        right("membership in pg_write_all_data", "pg_write_all_data"),
        Hole(
            "a grant option",
            f"GRANT SELECT ON {table} TO readers_{schema} WITH GRANT OPTION",
            f"REVOKE GRANT OPTION FOR SELECT ON {table} FROM readers_{schema}",  # noqa: S608 - names of our own
        ),
        right("INSERT on a partitioned table", f"INSERT ON {schema}.{PARTITIONED}"),
        right("SECURITY DEFINER routine to PUBLIC", f"EXECUTE ON FUNCTION {schema}.{ROUTINE}()", "PUBLIC"),
        right("CREATE on a schema", f"CREATE ON SCHEMA {schema}"),
        Hole("BYPASSRLS", f"ALTER ROLE {READER} BYPASSRLS", f"ALTER ROLE {READER} NOBYPASSRLS"),
        Hole(
            "default INSERT to PUBLIC",
            f"{altered} GRANT INSERT ON TABLES TO PUBLIC",
            f"{altered} REVOKE INSERT ON TABLES FROM PUBLIC",
        ),
        right("SET on a parameter", f"SET ON PARAMETER {setting}"),
        right("UPDATE of a large object", f"UPDATE ON LARGE OBJECT {LARGE_OBJECT}"),
        right("USAGE on a foreign data wrapper", f"USAGE ON FOREIGN DATA WRAPPER {WRAPPER}"),
        Hole(
            "a role's own search_path",
            f"ALTER ROLE {READER} SET search_path = pg_temp",
            f"ALTER ROLE {READER} RESET search_path",
        ),
        right("EXECUTE on pg_read_file", f"EXECUTE ON FUNCTION {reads_files}"),
        Hole(
            "another owner of a table",
            f"ALTER TABLE {table} OWNER TO {READER}",
            f"ALTER TABLE {table} OWNER TO {owner(schema)}",
        ),
    ]


def seen(server: Server, estate: Estate, tools: t.Sequence[Tool]) -> dict[str, dict[str, bool]]:
    """By tool and hole, whether its dry run changed. The server is left as it was, which is checked."""
    clean = {tool.name: said(tool) for tool in tools}
    found: dict[str, dict[str, bool]] = {tool.name: {} for tool in tools}
    with server.connect() as cursor:

        def state() -> str:
            cursor.execute(STATE)
            return str(cursor.fetchone()[0])

        before = state()
        for hole in holes(estate):
            cursor.execute(hole.plant)
            for tool in tools:
                found[tool.name][hole.name] = said(tool) != clean[tool.name]
            cursor.execute(hole.mend)
            if state() != before:
                raise ValueError(f"taking back {hole.name!r} did not restore the catalogues: its SQL has to")
            print(f"  planted: {hole.name}", flush=True)
    return found


def said(tool: Tool) -> str:
    """What *tool* answers, without the time of day. Refusing to go on is an answer, a crash is none: ValueError."""
    try:
        output = run(tool.command).output
    except ValueError as error:
        output = str(error)
        if "Traceback" in output:
            raise
    return "\n".join(sorted(CLOCK.sub("", output).splitlines()))
