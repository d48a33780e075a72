# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools, each told the same wanted state: pg_access, and its peers in an environment of their own."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml

from ..common import COLLECTIONS, ROOT
from . import specs
from .estate import CREATOR, DATABASE, Estate
from .measure import Command, Server

VENV = ROOT / "build" / "peers-venv"
REQUIREMENTS = ROOT / "benchmarks" / "requirements-peers.txt"

# A module as Ansible runs it: a process, arguments in, one JSON out.
RUNNER = """
import importlib, json, sys
from ansible.module_utils.testing import patch_module_args
with patch_module_args(json.load(sys.stdin)):
    importlib.import_module("ansible_collections.taaraxtak.production.plugins.modules." + sys.argv[1]).main()
"""

# python-ldap needs OpenLDAP's headers to be built. ldap2pg imports it always and, without a search, never calls it.
LDAP = {
    "__init__.py": "__version__ = 'none'\nSCOPE_BASE, SCOPE_ONELEVEL, SCOPE_SUBTREE = range(3)\n\n\n"
    "class LDAPError(Exception):\n    pass\n\n\nclass DECODING_ERROR(LDAPError):\n    pass\n",
    "dn.py": "def str2dn(*arguments):\n    raise NotImplementedError\n",
    "sasl.py": "",
}
# What pgbedrock wants to have listed too: the server's own roles, schemas and what they hold there.
BUILT_IN = """
SELECT r.rolname, ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                        WHERE m.member = r.oid ORDER BY 1),
  ARRAY(SELECT DISTINCT n.nspname || '.' || c.relname
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
        WHERE a.grantee = r.oid AND c.relowner <> r.oid AND c.relkind IN ('r', 'v') AND n.nspname = 'pg_catalog'
        ORDER BY 1)
FROM pg_roles r WHERE r.rolname LIKE 'pg\\_%' AND r.rolname <> 'pg_signal_backend'
"""


@dataclasses.dataclass(frozen=True)
class Tool:
    """``planned`` counts the changes in its dry run's answer; ``beyond`` is what of the state it has no words for.

    ``why_not``: why it couldn't be had; then there is no command.
    """

    name: str
    command: Command
    planned: t.Callable[[str], int]
    beyond: str = ""
    why_not: str | None = None


def prepare() -> dict[str, str]:
    """Make the peers' environment, once for its requirements; by peer, why it couldn't be had."""
    stamp = VENV / "installed"
    if not stamp.exists() or stamp.read_bytes() != REQUIREMENTS.read_bytes():
        print("installing the peers into build/peers-venv", flush=True)
        install = [VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for argv in (
            [sys.executable, "-m", "venv", "--clear", VENV],
            [*install, "--no-deps", "--requirement", REQUIREMENTS],
        ):
            done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode != 0:
                return dict.fromkeys(("ldap2pg", "pgbedrock", "pgsesame"), _last_line(done.stdout))
        (packages,) = (VENV / "lib").glob("python*/site-packages")
        (packages / "ldap").mkdir(exist_ok=True)
        for name, text in LDAP.items():
            (packages / "ldap" / name).write_text(text)
        stamp.write_bytes(REQUIREMENTS.read_bytes())
    missing = {}
    for name in ("ldap2pg", "pgbedrock", "pgsesame"):
        argv = [VENV / "bin" / name, "--help"]
        tried = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if tried.returncode != 0:
            missing[name] = _last_line(tried.stdout)
    return missing


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def pg_access(arguments: t.Mapping[str, t.Any], *, module: str = "pg_access", check: bool = True) -> Command:
    """The module *module* with *arguments*, by default in check mode."""
    given = {**arguments, "_ansible_check_mode": check, "_ansible_diff": False}
    return Command(
        (sys.executable, "-c", RUNNER, module), stdin=json.dumps(given), env={"PYTHONPATH": str(COLLECTIONS)}
    )


def login(server: Server) -> dict[str, t.Any]:
    """The login options of the collection's modules."""
    return {"login_unix_socket": str(server.socket), "login_port": server.port, "login_user": "postgres"}


def tools(server: Server, estate: Estate, folder: Path, missing: t.Mapping[str, str]) -> list[Tool]:
    """Every tool, ready to look at *server*; their specifications are written into *folder*."""
    policy = specs.ours(estate)
    arguments = {**login(server), "policy": policy, "hba": False, "lock_file": str(folder / "lock")}
    home = {"HOME": str(folder), "PGDSN": server.dsn, "NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}

    def peer(
        name: str, spec: object, arguments: t.Sequence[str], planned: str, good: tuple[int, ...], beyond: str
    ) -> Tool:
        path = folder / f"{name}.yml"
        # JSON is YAML, but pgbedrock reads it through a template, to which {{ would mean something.
        path.write_text(yaml.dump(spec, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False))
        pattern = re.compile(planned, re.MULTILINE)
        argv = (str(VENV / "bin" / name), *(text.format(path=path) for text in arguments))
        return Tool(
            name, Command(argv, env=home, good=good), lambda said: len(pattern.findall(said)), beyond, missing.get(name)
        )

    where = ("-h", str(server.socket), "-p", str(server.port), "-U", "postgres", "-d", DATABASE)
    return [
        Tool("pg_access", pg_access(arguments), lambda said: len(answer(said)["queries"])),
        peer(
            "ldap2pg",
            specs.ldap2pg(estate),
            ("--config", "{path}", "--no-color"),
            r"CHANGE: +Would ",
            (0,),
            f"{len(estate.particular)} logins with rights on single tables or columns, types, default privileges of "
            f"{CREATOR}; python-ldap is replaced by an empty module",
        ),
        peer(
            "pgbedrock",
            specs.pgbedrock(estate, built_in(server)),
            ("configure", "{path}", *where, "--check"),
            r"^\s*(?:GRANT|REVOKE|ALTER|CREATE|DROP)\b",
            (0,),
            "columns, routines, types, databases, PUBLIC, partitioned tables",
        ),
        peer(
            "pgsesame",
            specs.pgsesame(estate),
            ("plan", "{path}", "--dsn", server.dsn),
            r"^\s*[+~-]\s",
            (0, 2),
            "types, PUBLIC's default privileges, PUBLIC in schemas where it holds nothing",
        ),
    ]


def answer(said: str) -> dict[str, t.Any]:
    """A module's answer; ValueError where it failed."""
    values: dict[str, t.Any] = json.loads(said.strip().splitlines()[-1])
    if values.get("failed"):
        raise ValueError(str(values.get("msg")))
    return values


def built_in(server: Server) -> specs.Spec:
    """The part of pgbedrock's spec that describes PostgreSQL itself."""
    own = ["information_schema", "pg_catalog"]
    tables = [f"{name}.*" for name in own]
    spec: specs.Spec = {
        "postgres": {
            "can_login": True,
            "is_superuser": True,
            "attributes": ["BYPASSRLS", "CREATEDB", "CREATEROLE", "REPLICATION"],
            "owns": {"schemas": own, "tables": tables},
        }
    }
    with server.connect() as cursor:
        cursor.execute(BUILT_IN)
        for role, groups, readable in cursor.fetchall():
            spec[role] = {"can_login": False}
            if groups:
                spec[role]["member_of"] = groups
            if readable:
                spec[role]["privileges"] = {"tables": {"read": readable}}
    return spec
