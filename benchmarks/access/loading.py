# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An estate as the SQL that makes it. Its names need no quotes."""

from __future__ import annotations

import typing as t

from .estate import COLUMNS, CREATOR, DATABASE, ON_SEQUENCES, ON_TABLES, READ, Estate, Whole, group, owner

# What holes are planted on, in the first schema; its rights are in order until then.
PARTITIONED, PARTITION, ROUTINE, LARGE_OBJECT, WRAPPER = "split", "split_rest", "act", 4242, "elsewhere"


def cluster(estate: Estate) -> t.Iterator[str]:
    """Roles and databases: what is made in the database postgres."""
    for role in (*estate.owners, *estate.groups):
        yield f"CREATE ROLE {role} NOLOGIN"
    for role, groups in estate.member_of.items():
        yield f"CREATE ROLE {role} LOGIN IN ROLE {', '.join(groups)}"
    for role in (*estate.owners, *estate.groups, *estate.logins):
        # ldap2pg wants to have signed what it manages; nobody else looks at comments.
        yield f"COMMENT ON ROLE {role} IS 'Managed by ldap2pg'"
    for database in (DATABASE, "postgres", "template1", "template0"):
        yield f"REVOKE ALL ON DATABASE {database} FROM PUBLIC"
    yield f"GRANT CONNECT ON DATABASE {DATABASE} TO {', '.join(estate.logins)}"


def database(estate: Estate) -> t.Iterator[str]:
    """Objects and rights: what is made in the estate's own database."""
    yield "DROP SCHEMA public"
    yield "SET client_min_messages = warning"
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    for schema, tables in estate.tables.items():
        yield f"CREATE SCHEMA {schema} AUTHORIZATION {owner(schema)}"
        yield f"SET ROLE {owner(schema)}"
        for right, kind in (("EXECUTE", "FUNCTIONS"), ("USAGE", "TYPES")):
            yield f"ALTER DEFAULT PRIVILEGES REVOKE {right} ON {kind} FROM PUBLIC"
        yield from (f"CREATE TABLE {schema}.{name} ({columns})" for name in tables)
        yield from (f"CREATE SEQUENCE {schema}.{name}" for name in estate.sequences[schema])
        yield f"CREATE TYPE {schema}.colour AS ENUM ('red', 'green')"
        yield f"CREATE FUNCTION {schema}.look() RETURNS integer LANGUAGE sql AS 'SELECT 1'"
        if schema == estate.first:
            yield f"CREATE TABLE {schema}.{PARTITIONED} ({columns}) PARTITION BY LIST (id)"
            yield f"CREATE TABLE {schema}.{PARTITION} PARTITION OF {schema}.{PARTITIONED} DEFAULT"
            body = f"INSERT INTO {schema}.{tables[0]} (id) VALUES (1)"  # noqa: S608 - names of our own
            yield f"CREATE FUNCTION {schema}.{ROUTINE}() RETURNS void LANGUAGE sql SECURITY DEFINER AS '{body}'"
        yield f"GRANT USAGE ON SCHEMA {schema} TO {', '.join(estate.users_of(schema))}"
        yield f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {group(schema, READ)}"
        yield f"GRANT USAGE ON TYPE {schema}.colour TO {group(schema, READ)}"
        yield "RESET ROLE"
    yield f"GRANT USAGE ON SCHEMA {estate.first} TO PUBLIC"
    yield f"SELECT lo_create({LARGE_OBJECT})"
    yield f"CREATE FOREIGN DATA WRAPPER {WRAPPER}"
    for whole in estate.wholes:
        yield from _whole(whole)
    for single in estate.singles:
        tables_ = ", ".join(f"{single.schema}.{name}" for name in estate.named(single))
        yield f"GRANT {', '.join(ON_TABLES[single.level])} ON {tables_} TO {single.role}"
    for one in estate.on_columns:
        yield f"GRANT SELECT ({', '.join(one.columns)}) ON {one.schema}.{one.table} TO {one.role}"


def _whole(whole: Whole) -> t.Iterator[str]:
    schema, role = whole.schema, whole.role
    on_tables, on_sequences = ", ".join(ON_TABLES[whole.level]), ", ".join(ON_SEQUENCES[whole.level])
    yield f"GRANT {on_tables} ON ALL TABLES IN SCHEMA {schema} TO {role}"
    for name in whole.excepted:
        yield f"REVOKE ALL ON {schema}.{name} FROM {role}"
    yield f"GRANT {on_sequences} ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"
    for creator in (owner(schema), CREATOR):
        altered = f"ALTER DEFAULT PRIVILEGES FOR ROLE {creator} IN SCHEMA {schema}"
        yield f"{altered} GRANT {on_tables} ON TABLES TO {role}"
        yield f"{altered} GRANT {on_sequences} ON SEQUENCES TO {role}"
