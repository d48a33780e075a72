"""Logins from other hosts on a real server: over TLS, by certificate or by password, and nobody else."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import subprocess
import typing as t
from pathlib import Path

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.plugins.filter.scram_verifier import scram_verifier
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.hba import render_hba, render_ident
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from psycopg2 import sql

ODD = 'Sämer "x", all'
POLICY = parse(
    {
        "version": 1,
        "scope": {"databases": ["app", "all"], "schemas": ["public"]},
        "mode": "authoritative",
        "roles": {
            "byhand": {"hosts": {"address": "127.0.0.0/8", "method": "scram-sha-256"}},
            "cert": {"hosts": "127.0.0.1/32", "os_users": "alice"},
            ODD: {"hosts": "127.0.0.1/32"},
            "both": {"hosts": ["127.0.0.1/32", {"address": "127.0.0.0/8", "method": "scram-sha-256"}]},
            "afar": {"hosts": "192.0.2.0/24"},
        },
        "grants": [
            {"to": ["byhand", "cert", ODD, "both", "afar"], "on": {"database": "app"}, "privileges": "connect"},
            {"to": "byhand", "on": {"database": "all"}, "privileges": "connect"},
        ],
    }
)
NOBODY = "no pg_hba.conf entry|pg_hba.conf rejects"


@dataclasses.dataclass
class Tls:
    """A server that listens on 127.0.0.1 by the policy's files, and the keys of who comes there."""

    cluster: ScratchCluster
    folder: Path

    def login(self, user: str, *, database: str = "app", name: str = "", password: str = "", **more: str) -> None:
        """Log in over TCP with the certificate of common name *name* and the *password*."""
        key = {"sslcert": str(self.folder / f"{name}.crt"), "sslkey": str(self.folder / f"{name}.key")} if name else {}
        given = {"sslmode": "require", "sslcert": "/none", "passfile": "/none", **key, **more}
        if password:
            given["password"] = password
        psycopg2.connect(host="127.0.0.1", port=self.cluster.port, user=user, dbname=database, **given).close()

    def refused(self, said: str, user: str, **more: str) -> None:
        with pytest.raises(psycopg2.OperationalError, match=said):
            self.login(user, **more)


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def certify(folder: Path, name: str, common_name: str) -> None:
    """A key and the certificate that the CA of *folder* gives it."""
    key, request = str(folder / f"{name}.key"), str(folder / f"{name}.csr")
    escaped = common_name.replace("\\", "\\\\").replace(",", "\\,").replace("/", "\\/")
    new = ("req", "-new", "-utf8", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(*new, "-subj", f"/CN={escaped}", "-keyout", key, "-out", request)
    ca = ("-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key"), "-CAcreateserial")
    openssl("x509", "-req", "-in", request, *ca, "-days", "2", "-out", str(folder / f"{name}.crt"))
    Path(key).chmod(0o600)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Tls]:
    folder = tmp_path_factory.mktemp("keys")
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl(*new, "-subj", "/CN=test CA", "-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.crt"))
    for name, common_name in {
        "server": "localhost",
        "cert": "cert",
        "odd": ODD,
        "alice": "alice",
        "both": "both",
    }.items():
        certify(folder, name, common_name)
    cluster = ScratchCluster()
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        cluster.port = free.getsockname()[1]
    with cluster:
        run = Server(cluster).run
        for role in POLICY.roles.values():
            connection = Server(cluster).connect()
            with contextlib.closing(connection), connection.cursor() as cursor:
                verifier = sql.Literal(scram_verifier("pässword", "db1", role.name))
                cursor.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role.name), verifier))
        for database in POLICY.databases:
            run(f'CREATE DATABASE "{database}"')
        cluster.stop()
        for name, source in {"server.crt": "server.crt", "server.key": "server.key", "root.crt": "ca.crt"}.items():
            path = cluster.data / name
            path.write_bytes((folder / source).read_bytes())
            stat = (cluster.data / "PG_VERSION").stat()
            path.chmod(0o600)
            os.chown(path, stat.st_uid, stat.st_gid)
        (cluster.data / "pg_hba.conf").write_text(render_hba(POLICY))
        (cluster.data / "pg_ident.conf").write_text(render_ident(POLICY))
        cluster.settings |= {"listen_addresses": "127.0.0.1", "ssl": "on", "ssl_ca_file": "root.crt"}
        cluster.start()
        yield Tls(cluster, folder)


def test_a_password_logs_in_over_tls_alone(tls):
    tls.login("byhand", password="pässword")
    tls.login("byhand", database="all", password="pässword")
    tls.refused("password authentication failed", "byhand", password="password")
    tls.refused(NOBODY, "byhand", password="pässword", sslmode="disable")
    tls.refused(NOBODY, "byhand", password="pässword", database="postgres")


def test_a_certificate_logs_in_as_the_role_of_its_name_alone(tls):
    tls.login("cert", name="cert")
    tls.login(ODD, name="odd")
    tls.refused("certificate authentication failed", "cert", name="odd")
    tls.refused("certificate authentication failed", ODD, name="cert")
    tls.refused("requires a valid client certificate", "cert")
    tls.refused("requires a valid client certificate", "cert", password="pässword")
    tls.refused(NOBODY, "cert", name="cert", sslmode="disable")
    tls.refused(NOBODY, "cert", name="cert", database="all")


def test_a_certificate_of_an_os_user_s_name_is_no_os_user(tls):
    """alice logs in as cert on the host itself, by peer."""
    tls.refused("certificate authentication failed", "cert", name="alice")


def test_the_narrower_address_decides(tls):
    tls.login("both", name="both")
    tls.refused("requires a valid client certificate", "both", password="pässword")


def test_nobody_else_gets_in_from_there(tls):
    tls.refused(NOBODY, "afar", password="pässword")
    tls.refused(NOBODY, "postgres")
    tls.refused(NOBODY, "postgres", name="cert", database="postgres")


def test_the_server_finds_no_fault_with_the_files(tls):
    rows = (tls.cluster.data / "pg_hba.conf").read_text()
    assert rows.count("hostssl") == 7
    assert "could not" not in tls.cluster.log()
    assert "cannot match" not in tls.cluster.log()
