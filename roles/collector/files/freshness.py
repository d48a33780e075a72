# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the collector still writing? It swallows its errors, so only the age of its newest rows tells.

Reads a JSON file: {"postgres": {keyword arguments of psycopg2.connect},
"tables": [{"table": "public.x", "column": "measured_at", "max_age": 3600}]}, ages in seconds.
Where the connection is by certificates it looks when they end: the collector's, the authority's, the one that the
server shows. What ends unseen ends all writing.
Says one sentence for each. Exit status: 0 all fresh, 1 a table is stale or a certificate ends soon, 2 one could not be
looked at. With --json it is one line, {"why": why nothing was looked at, "outcomes": [each with its words]}.
With --since a table is fresh that has a row of after that time, whatever its max_age is. With --may-write it is asked
instead whether rows may be added, which adds none: what comes too seldom to be waited for is known by that.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import typing as t

import psycopg2
from psycopg2 import errors, sql

FRESH, STALE, UNKNOWN = 0, 1, 2
WORDS = ("fresh", "stale", "unknown")
CONFIG = "/etc/taaraxtak/freshness.json"
# How far the clocks of two hosts may differ. A row beyond that doesn't count: it would hide that no others come.
AHEAD = "5 minutes"
# A certificate is made anew at 30 days by any run of site.yml or certificates.yml: these are left to make one.
DAYS = 21
OPENSSL = "/usr/bin/openssl"
# A timestamp without time zone is taken for UTC; the newest of a large table without an index takes a scan.
SESSION = "-c timezone=UTC -c default_transaction_read_only=on -c statement_timeout=300s -c lock_timeout=30s"
# An INSERT of no row is a write.
WRITING = SESSION.replace("read_only=on", "read_only=off")
# A column that takes its values of a sequence, of which this role may have none. An identity's sequence asks nobody.
BARRED = """
SELECT pg_get_serial_sequence(%(table)s, attname) FROM pg_attribute
WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped AND attidentity = ''
AND NOT has_sequence_privilege(pg_get_serial_sequence(%(table)s, attname), 'USAGE, UPDATE')
"""


class Table(t.NamedTuple):
    """What to look at, and how many seconds old its newest row may be."""

    table: str
    column: str
    max_age: float


class Outcome(t.NamedTuple):
    """What was found of a table or a certificate; *steady* is the sentence without what time alone changes."""

    status: int
    about: str
    sentence: str
    steady: str

    def document(self) -> dict[str, str]:
        """It as JSON has it."""
        return {"about": self.about, "state": WORDS[self.status], "sentence": self.sentence, "steady": self.steady}


def read_config(path: str) -> tuple[dict[str, t.Any], list[Table]]:
    """How to connect, and the tables. ValueError with a sentence where the file can't be used."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - what argparse gave is a text
            read = json.load(file)
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(read, dict) or not isinstance(read.get("postgres"), dict):
        raise ValueError(f'{path} lacks "postgres", how to connect')
    tables = read.get("tables")
    if not isinstance(tables, list) or not tables:
        raise ValueError(f'{path} lacks "tables", what to look at')
    return read["postgres"], [read_table(path, entry) for entry in tables]


def read_table(path: str, entry: object) -> Table:
    """One entry of "tables"; ValueError where it is none."""
    if not isinstance(entry, dict):
        raise ValueError(f"{path}: {entry!r} is no table")
    table, column, limit = (entry.get(key) for key in ("table", "column", "max_age"))
    if not isinstance(table, str) or not all(table.split(".")) or table.count(".") > 1:
        raise ValueError(f"{path}: {table!r} is no name of a table")
    if not isinstance(column, str) or not column:
        raise ValueError(f"{path}: the column of {table} is missing")
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit > 0:
        raise ValueError(f"{path}: max_age of {table} must be seconds, more than 0")
    return Table(table, column, float(limit))


def age(connection: t.Any, table: Table) -> tuple[float | None, bool]:
    """Seconds since the newest row up to now, None where there is none, and whether rows lie in the future."""
    # An index serves max() with a WHERE, and none serves max() FILTER.
    query = sql.SQL(
        "SELECT extract(epoch FROM now() - (SELECT max({column})::timestamptz FROM {table}"
        " WHERE {column} <= now() + {ahead}::interval AND {column} > '-infinity')),"
        " EXISTS (SELECT FROM {table} WHERE {column} > now() + {ahead}::interval)"
    ).format(
        column=sql.Identifier(table.column),
        table=sql.Identifier(*table.table.split(".")),
        ahead=sql.Literal(AHEAD),
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        seconds, future = cursor.fetchone()
    return None if seconds is None else float(seconds), future


def judge(table: Table, seconds: float | None, future: bool) -> Outcome:
    """The outcome for a table whose newest row up to now is *seconds* old."""
    limit = f"the limit is {table.max_age:.0f} s"
    if future:
        limit += "; rows that lie in the future don't count"
    about = f"table {table.table}"
    if seconds is None:
        none = f"{table.table} is stale: it has no row{' up to now' if future else ''}; {limit}"
        return Outcome(STALE, about, none, none)
    status = FRESH if seconds <= table.max_age else STALE
    said = f"{table.table} is {WORDS[status]}"
    return Outcome(status, about, f"{said}: {seconds:.0f} s old; {limit}", f"{said}: {limit}")


def look(connection: t.Any, table: Table) -> Outcome:
    """`judge`, or why the table could not be looked at."""
    try:
        return judge(table, *age(connection, table))
    except psycopg2.Error as error:
        return unknown(table.table, str(error).strip().splitlines()[0], f"table {table.table}")


def may_write(connection: t.Any, table: Table) -> Outcome:
    """Whether rows may be added to the table: the server checks the right to a statement that adds none."""
    name = sql.Identifier(*table.table.split("."))
    about = f"table {table.table}"
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("INSERT INTO {} SELECT WHERE false").format(name))
            cursor.execute(BARRED, {"table": name.as_string(connection)})
            barred = [str(sequence) for (sequence,) in cursor]
    except errors.InsufficientPrivilege as error:
        refused = f"{table.table} takes no rows: {str(error).strip().splitlines()[0]}"
        return Outcome(STALE, about, refused, refused)
    except psycopg2.Error as error:
        return unknown(table.table, str(error).strip().splitlines()[0], about)
    said = f"{table.table} takes no rows: no use of {', '.join(barred)}" if barred else f"{table.table} takes rows"
    return Outcome(STALE if barred else FRESH, about, said, said)


def after(connection: t.Any, tables: list[Table], since: float) -> list[Table]:
    """*tables* with the seconds since *since*, by the server's clock, as the age that a row may have."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM now())")
        (now,) = cursor.fetchone()
    return [table._replace(max_age=float(now) - since) for table in tables]


def unknown(name: str, why: object, about: str) -> Outcome:
    """That *name* could not be looked at."""
    said = f"{name} could not be looked at: {why}"
    return Outcome(UNKNOWN, about, said, said)


def openssl(*words: str, given: str = "") -> str:
    """What it prints, however it ends."""
    command = [OPENSSL, *words]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=30).stdout


def judge_certificate(name: str, text: str) -> Outcome:
    """The outcome for the first certificate of *text*."""
    about = f"certificate {name}"
    said = openssl("x509", "-noout", "-enddate", "-checkend", str(DAYS * 86400), given=text)
    end = said.partition("notAfter=")[2].partition("\n")[0]
    if not end or "Certificate will" not in said:
        return unknown(name, "it is no certificate", about)
    if "will not expire" in said:
        valid = f"{name} is valid until {end}"
        return Outcome(FRESH, about, valid, valid)
    ends = f"{name} ends on {end}, in fewer than {DAYS} days: run playbooks/certificates.yml, or give a new one"
    return Outcome(STALE, about, ends, ends)


def look_at_certificates(postgres: dict[str, t.Any]) -> t.Iterator[Outcome]:
    """`judge_certificate` for the files that the connection names, and for what the server shows where it has one."""
    for path in (postgres.get("sslcert"), postgres.get("sslrootcert")):
        if not path or path == "system":
            continue
        try:
            with open(path, encoding="ascii") as file:  # noqa: PTH123 - what JSON has is a text
                yield judge_certificate(path, file.read())
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            yield unknown(path, error, f"certificate {path}")
    host, port = str(postgres.get("host") or "/"), postgres.get("port", 5432)
    if postgres.get("sslrootcert") and not host.startswith("/"):
        at = f"{f'[{host}]' if ':' in host else host}:{port}"
        try:
            shown = openssl("s_client", "-starttls", "postgres", "-connect", at)
            yield judge_certificate(f"what {at} shows", shown)
        except (OSError, subprocess.SubprocessError) as error:
            yield unknown(f"what {at} shows", error, f"certificate {at}")


def outcomes(
    postgres: dict[str, t.Any], tables: list[Table], *, since: float | None = None, writing: bool = False
) -> t.Iterator[Outcome]:
    """Each certificate and each table; psycopg2.Error and TypeError where there is no connection."""
    yield from look_at_certificates(postgres)
    options = WRITING if writing else SESSION
    connection = psycopg2.connect(**{"connect_timeout": 30, **postgres, "options": options})
    connection.autocommit = True
    try:
        for table in tables if since is None else after(connection, tables, since):
            yield may_write(connection, table) if writing else look(connection, table)
    finally:
        connection.close()


def main(arguments: list[str] | None = None) -> int:
    """Say a sentence for each certificate and each table; the worst of them is the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default=CONFIG, help=f"the JSON file (default: {CONFIG})")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--since", type=float, metavar="SECONDS", help="look for rows of after this time (since 1970)")
    other.add_argument("--may-write", action="store_true", help="look whether rows may be added, and add none")
    given = parser.parse_args(arguments)
    found: list[Outcome] = []
    why = ""
    try:
        postgres, tables = read_config(given.config)
        for one in outcomes(postgres, tables, since=given.since, writing=given.may_write):
            found.append(one)
            if not given.json:
                print(one.sentence)
    except (ValueError, psycopg2.Error) as error:
        why = str(error).strip()
    except TypeError as error:
        why = f'"postgres" has what psycopg2.connect does not take: {error}'
    if given.json:
        print(json.dumps({"why": why, "outcomes": [one.document() for one in found]}))
    elif why:
        print(f"could not look: {why}")
    return UNKNOWN if why else max(one.status for one in found)


if __name__ == "__main__":
    sys.exit(main())
