# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small policy (one schema, a writer and a reader) as ten tasks of community.postgresql and as one of ours."""

from __future__ import annotations

import os
import re
import sys
import typing as t
from pathlib import Path

import yaml

from ..common import ROOT
from .estate import DATABASE
from .measure import Command, Server
from .peers import login

SCHEMA, OWNER, WRITER, READER = "app", "dba", "scraper", "grafanareader"
# As many as the small application has, and as a large one has.
SIZES = (20, 2_000)
Task = dict[str, t.Any]


def cluster() -> t.Iterator[str]:
    """The roles and the database, as the policy wants them."""
    yield f"CREATE ROLE {OWNER} NOLOGIN"
    for role in (WRITER, READER):
        yield f"CREATE ROLE {role} LOGIN"
    for name in (DATABASE, "postgres", "template1", "template0"):
        yield f"REVOKE ALL ON DATABASE {name} FROM PUBLIC"
    yield f"GRANT CONNECT ON DATABASE {DATABASE} TO {WRITER}, {READER}"


def database(tables: int) -> t.Iterator[str]:
    """The schema with that many tables and the rights in it, as the policy wants them."""
    yield f"CREATE SCHEMA {SCHEMA} AUTHORIZATION {OWNER}"
    yield f"SET ROLE {OWNER}"
    yield "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"
    yield "ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC"
    yield f"GRANT USAGE ON SCHEMA {SCHEMA} TO {WRITER}, {READER}"
    altered = f"ALTER DEFAULT PRIVILEGES IN SCHEMA {SCHEMA}"
    yield f"{altered} GRANT SELECT, INSERT, UPDATE ON TABLES TO {WRITER}"
    yield f"{altered} GRANT USAGE ON SEQUENCES TO {WRITER}"
    yield f"{altered} GRANT SELECT ON TABLES TO {READER}"
    yield from (f"CREATE TABLE {SCHEMA}.table_{number} (id bigserial, at timestamptz)" for number in range(tables))
    yield "RESET ROLE"


def policy() -> Task:
    """The same as the policy of pg_access."""
    changes = ["select", "insert", "update"]
    return {
        "version": 1,
        "scope": {"databases": [DATABASE], "schemas": [SCHEMA], "public": True},
        "mode": "authoritative",
        "roles": {OWNER: {"login": False}, WRITER: {"login": True}, READER: {"login": True}},
        "owners": {SCHEMA: OWNER},
        "public": {"revoke_connect": "all"},
        "grants": [
            {"to": [WRITER, READER], "on": {"database": DATABASE}, "privileges": ["connect"]},
            {"to": [WRITER, READER], "on": {"schema": SCHEMA}, "privileges": ["usage"]},
            {"to": [WRITER], "on": {"tables": f"{SCHEMA}.*"}, "privileges": changes, "future": True},
            {"to": [WRITER], "on": {"sequences": f"{SCHEMA}.*"}, "privileges": ["usage"], "future": True},
            {"to": [READER], "on": {"tables": f"{SCHEMA}.*"}, "privileges": ["select"], "future": True},
        ],
    }


def ten_tasks(server: Server) -> list[Task]:
    """The same, as far as community.postgresql goes: it only grants and revokes what it is told to."""

    def privileges(name: str, privs: str, roles: str, **options: t.Any) -> Task:
        arguments = {**login(server), "database": DATABASE, "privs": privs, "roles": roles, **options}
        return {"name": name, "community.postgresql.postgresql_privs": arguments}

    both = f"{WRITER},{READER}"
    tables = {"type": "table", "objs": "ALL_IN_SCHEMA", "schema": SCHEMA}
    future = {"type": "default_privs", "schema": SCHEMA, "target_roles": OWNER}
    on_database, on_schema = {"type": "database", "objs": DATABASE}, {"type": "schema", "objs": SCHEMA}
    changes = "SELECT,INSERT,UPDATE"
    return [
        privileges("Revoke the database from PUBLIC", "ALL", "PUBLIC", state="absent", **on_database),
        privileges("Revoke the schema from PUBLIC", "ALL", "PUBLIC", state="absent", **on_schema),
        privileges("Grant CONNECT", "CONNECT", both, **on_database),
        privileges("Grant USAGE", "USAGE", both, **on_schema),
        privileges("Grant tables to the reader", "SELECT", READER, **tables),
        privileges("Grant tables to the writer", changes, WRITER, **tables),
        privileges("Grant sequences to the writer", "USAGE", WRITER, **{**tables, "type": "sequence"}),
        privileges("Grant future tables to the reader", "SELECT", READER, objs="TABLES", **future),
        privileges("Grant future tables to the writer", changes, WRITER, objs="TABLES", **future),
        privileges("Grant future sequences to the writer", "USAGE", WRITER, objs="SEQUENCES", **future),
    ]


def one_task(server: Server, folder: Path) -> list[Task]:
    """The policy as one task."""
    arguments = {**login(server), "policy": policy(), "hba": False, "lock_file": str(folder / "lock")}
    return [{"name": "Apply the access policy", "taaraxtak.production.pg_access": arguments}]


def playbook(folder: Path, name: str, tasks: t.Sequence[Task]) -> Command:
    """ansible-playbook, in check mode, on this machine, with *tasks*."""
    path = folder / f"{name}.yml"
    play = {"name": name, "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": list(tasks)}
    path.write_text(yaml.safe_dump([play], sort_keys=False))
    bin_ = Path(sys.executable).parent
    argv = (str(bin_ / "ansible-playbook"), "--check", "-i", "localhost,", str(path))
    env = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "PATH": f"{bin_}:{os.environ['PATH']}",
    }
    return Command(argv, env=env)


def changed(said: str) -> int:
    """How many tasks say that they would change something."""
    found = re.search(r"changed=(\d+)", said)
    if found is None:
        return 0  # without a task there is no host in the recap
    return int(found[1])
