"""What the tests of whole restores share: a database with an owner, a policy, and its dump in an archive."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.taaraxtak.production.tests.integration.conftest import Result, Server, run_module
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import Hosts

DATABASE = "shop"
TABLES = """
SET ROLE shop_owner;
CREATE TABLE goods (id serial PRIMARY KEY, name varchar(40) CHECK (name IN ('a', 'b', 'c')), note text);
INSERT INTO goods (name, note) SELECT (ARRAY['a', 'b', 'c'])[1 + i % 3], repeat(md5(i::text), 3)
  FROM generate_series(1, 2000) i;
CREATE TABLE empty (a int);
CREATE VIEW cheap AS SELECT name FROM goods WHERE id < 10;
GRANT SELECT ON goods TO shop_reader;
"""
POLICY: dict[str, t.Any] = {
    "version": 1,
    "scope": {"databases": [DATABASE], "schemas": ["public"], "public": True},
    "mode": "authoritative",
    "roles": {
        "shop_owner": {"login": False},
        "shop_reader": {"os_users": ["reader"], "database_settings": {DATABASE: {"statement_timeout": "30s"}}},
    },
    "owners": {"public": "shop_owner"},
    "database_settings": {DATABASE: {"work_mem": "8MB"}},
    "public": {"revoke_connect": "all"},
    "grants": [
        {"to": "shop_reader", "on": {"database": DATABASE}, "privileges": ["connect"]},
        {"to": "shop_reader", "on": {"schema": "public"}, "privileges": ["usage"]},
        {"to": "shop_reader", "on": {"tables": "public.*"}, "privileges": ["select"], "future": True},
    ],
}


class Shop:
    """A server with the database `DATABASE`, and an archive with a dump of it, made as production makes it."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        self.server = server
        server.run("CREATE ROLE shop_owner; CREATE ROLE shop_reader LOGIN")
        server.run(f"CREATE DATABASE {DATABASE} OWNER shop_owner")
        server.run(TABLES, database=DATABASE)
        self.hosts = Hosts(folder, server, DATABASE)
        self.archive = folder / "archive"

    def dump(self) -> str:
        """A dump of the database as it is now, archived; its name."""
        done = self.hosts.send()
        assert done.returncode == 0, done.stderr
        (data, _manifest) = self.hosts.dump()
        archived = self.hosts.store("archive")
        assert archived.returncode == 0, archived.stderr
        return data.name

    def again(self) -> Shop:
        """The same server, with an archive that is empty again: names of dumps have seconds."""
        for path in [*self.archive.iterdir(), *self.hosts.incoming.iterdir()]:
            path.unlink()
        return self

    def text(self, name: str) -> bytes:
        """What is in an archived dump."""
        return subprocess.run(["zstd", "-dcq", self.archive / name], capture_output=True, check=True).stdout

    def restore(self, *, check: bool = False, env: dict[str, str] | None = None, **options: t.Any) -> Result:
        """Run the module; without a source it restores what is in the archive."""
        given = {**self.server.login, "bindir": str(self.server.cluster.bindir), "signers": str(self.hosts.signers)}
        if not {"file", "command"} & options.keys():
            given["archive"] = str(self.archive)
        given |= {"lock_file": str(self.folder / "policy.lock"), **options}
        return run_module(
            "dump_restore", {key: value for key, value in given.items() if value is not None}, check=check, env=env
        )

    def databases(self) -> set[str]:
        found = {name for (name,) in self.server.run("SELECT datname FROM pg_database")}
        return found - {"postgres", "template0", "template1"}

    def rows(self, table: str = "goods", database: str = DATABASE) -> int:
        return len(self.server.run(f"TABLE {table}", database=database))

    def leftovers(self) -> list[t.Any]:
        """What only a restore that is under way may have."""
        return self.server.run(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'taaraxtak_restore%' UNION ALL "
            "SELECT datname FROM pg_database WHERE datname LIKE '%\\_\\_restoring'"
        )

    def manifest(self, name: str) -> dict[str, t.Any]:
        document: dict[str, t.Any] = json.loads((self.archive / f"{name}.manifest.json").read_text())
        return document
