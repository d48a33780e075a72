"""Reading a snapshot as the modules do, and a database with one of everything: what the catalogue's tests share."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access import inspecting, postgres
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import model as catalog
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.acl import Acl, AclItem
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.model import Grant, Pattern, Policy
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server

PLANTED = Path(__file__).parent / "access_catalogue.sql"


def items(*texts: str) -> Acl:
    """ACL items written as grantee=PRIVILEGE/grantor, with * after the privilege for the grant option; sorted."""
    found = []
    for text in texts:
        grantee, rest = text.split("=")
        privilege, grantor = rest.split("/")
        found.append(AclItem(grantee, grantor, privilege.rstrip("*"), privilege.endswith("*")))
    return tuple(sorted(found))


def params(server: Server) -> dict[str, t.Any]:
    """The login options of a module, as it has them."""
    return {"login_host": None, "login_password": None, "login_os_user": None, **server.login}


def scope(*schemas: str, **parts: t.Any) -> Policy:
    """A policy of *schemas* that grants nothing, but for *parts*."""
    held: dict[str, t.Any] = {
        **{"mode": "authoritative", "databases": ("postgres",), "public": True, "roles": {}, "owners": {}},
        **{"revoke_connect": True, "revoke_execute": (), "grants": (), "assertions": ()},
    }
    return Policy(schemas=schemas, **{**held, **parts})


def read(server: Server, policy: Policy, database: str) -> tuple[catalog.Cluster, catalog.Objects]:
    """Both halves of the snapshot."""
    with postgres.session(params(server), database) as connection, postgres.snapshot(connection):
        cluster = postgres.read_cluster(connection)
        return cluster, inspecting.read_audited(connection, policy, cluster, database)


POLICY = scope(
    *("app", "ext"),
    revoke_execute=(Pattern("pg_catalog", "lo_im*"),),
    grants=(
        Grant(("pl_reader",), "routines", frozenset({"EXECUTE"}), patterns=(Pattern("pg_catalog", "pg_sleep"),)),
        Grant(("pl_reader",), "tables", frozenset({"SELECT"}), patterns=(Pattern("pg_catalog", "pg_seclabel"),)),
    ),
)


@dataclasses.dataclass(frozen=True)
class Planted:
    """A server with the planted database, and what was read of it."""

    server: Server
    cluster: catalog.Cluster
    objects: catalog.Objects

    @property
    def version(self) -> int:
        return self.cluster.version // 10000

    def oid(self, name: str) -> int:
        rows = self.server.run("SELECT %(name)s::regclass::oid", database="planted", values={"name": name})
        return int(rows[0][0])

    def relation(self, name: str) -> catalog.Relation:
        (found,) = [one for one in self.objects.relations if f"{one.schema}.{one.name}" == name]
        return found

    def view(self, name: str) -> catalog.View:
        (found,) = [one for one in self.objects.views if one.oid == self.oid(name)]
        return found


@pytest.fixture(scope="module")
def planted(every_server: Server) -> t.Iterator[Planted]:
    every_server.run("CREATE DATABASE planted")
    every_server.run("CREATE DATABASE closed IS_TEMPLATE true ALLOW_CONNECTIONS false")
    connection = every_server.connect()
    with connection.cursor() as cursor:
        cursor.execute("SET allow_in_place_tablespaces = on")
        cursor.execute("CREATE TABLESPACE pl_space LOCATION ''")
    connection.close()
    every_server.run(PLANTED.read_text(encoding="utf-8"), database="planted")
    yield Planted(every_server, *read(every_server, POLICY, "planted"))
    every_server.run("ALTER SUBSCRIPTION inbound DISABLE; DROP SUBSCRIPTION inbound", database="planted")
    every_server.run("DROP DATABASE planted WITH (FORCE)")
    every_server.run("ALTER DATABASE closed IS_TEMPLATE false")
    every_server.run("DROP DATABASE closed")
    every_server.run("DROP TABLESPACE pl_space")
    every_server.run("ALTER ROLE ALL RESET statement_timeout")
    every_server.run("DROP OWNED BY pl_owner, pl_admin, pl_reader, pl_writer")
    every_server.run("DROP ROLE pl_owner, pl_admin, pl_reader, pl_writer")
