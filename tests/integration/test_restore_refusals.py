"""What speaks against a restore is one sentence, said before anything is created; and how a database is made."""

from __future__ import annotations

import dataclasses
import socket
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore import server as server_module
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.server import Needs
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.server import Server as Restoring
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.target import Permission, Target
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.restoring import restore, works
from ansible_collections.taaraxtak.production.tests.integration.servers import (  # noqa: F401
    bindir,
    every_server,
)

CREATED = "SELECT datname::text FROM pg_database UNION ALL SELECT rolname FROM pg_roles ORDER BY 1"


@pytest.fixture(scope="module")
def refusing() -> t.Iterator[Server]:
    with ScratchCluster(settings={"max_prepared_transactions": "2"}) as cluster:
        yield Server(cluster)


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        (Needs(""), "has no name"),
        (Needs("template1"), "PostgreSQL's own database"),
        (Needs("live__previous"), "a name that a restore itself uses"),
        (Needs("x" * 60), "too long"),
        (Needs("live", version="99.1"), "comes from PostgreSQL 99"),
        (Needs("live", extensions={"nowhere": "1"}), "the extension nowhere, which the server does not have"),
        (Needs("live", extensions={"plpgsql": "99"}), r"plpgsql 99 \(here 1.0\)"),
        (Needs("live", extensions={"pageinspect": "1.0"}), "pageinspect, which only a superuser may create"),
        (Needs("live", settings={"provider": "?"}), "locale provider"),
        (Needs("live", raw_bytes=10**18), r"the restore needs 1.5e\+06 TB beside the database that is there"),
        (Needs("prepared"), "holds the prepared transaction 'one': commit it or roll it back"),
    ],
    ids=lambda value: "" if isinstance(value, Needs) else value,
)
def test_a_refusal_comes_before_anything_is_created(refusing: Server, needs: Needs, said: str) -> None:
    if needs.database == "prepared" and not refusing.run("SELECT 1 FROM pg_database WHERE datname = 'prepared'"):
        refusing.run("CREATE DATABASE prepared")
        connection = refusing.connect("prepared")
        connection.cursor().execute("BEGIN; CREATE TABLE x (); PREPARE TRANSACTION 'one'")
        connection.close()
    before = refusing.run(CREATED)
    with Restoring(Target(host=str(refusing.cluster.socket))) as restoring:
        with pytest.raises(DumpError, match=said) as caught:
            restoring.check(needs)
        assert "\n" not in str(caught.value)
        assert refusing.run(CREATED) == before


def test_what_can_go_well_is_not_refused_and_creates_nothing(refusing: Server) -> None:
    before = refusing.run(CREATED)
    with Restoring(Target(host=str(refusing.cluster.socket))) as restoring:
        restoring.check(Needs("live", 3, 10**6, "14.2", {"provider": "c"}, {"plpgsql": "1.0", "pg_trgm": "1.3"}))
    assert refusing.run(CREATED) == before


@pytest.mark.parametrize("name", ["postgres", "template1", "live__restoring"])
def test_postgresqls_own_databases_are_neither_made_nor_swapped(refusing: Server, name: str) -> None:
    before = refusing.run(CREATED)
    with Restoring(Target(host=str(refusing.cluster.socket))) as restoring:
        for step in (lambda: restoring.create(name, {}), lambda: restoring.swap(name, "postgres")):
            with pytest.raises(DumpError, match=r"restore into another one|a name that a restore itself uses"):
                step()
    assert refusing.run(CREATED) == before


def test_a_server_that_is_reached_by_loopback_is_known_by_its_hosts_name(refusing: Server) -> None:
    name = socket.gethostname()
    target = Target(host=str(refusing.cluster.socket))
    production = Permission(production=("db.example.org", f"{name}.example.org"))
    with (
        pytest.raises(DumpError, match=f"runs on the production host {name}.example.org"),
        Restoring(target, production),
    ):
        pass
    given = dataclasses.replace(production, into_production=True, typed=f"{name}.example.org")
    with Restoring(target, given):
        pass


def test_a_server_whose_host_makes_dumps_is_production_by_whatever_port_it_is_reached(
    refusing: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forwarded port is a loopback address here, and nothing on this host says that production is behind it."""
    name = socket.gethostname()
    mark = Path(refusing.run("SHOW data_directory")[0][0]) / "PG_VERSION"
    monkeypatch.setattr(server_module, "PRODUCTION_MARK", str(mark))
    target = Target(host=str(refusing.cluster.socket))
    for given in (None, Permission(into_production=True, typed="elsewhere"), Permission(typed=name)):
        with pytest.raises(DumpError, match=f"runs on the production host {name}"), Restoring(target, given):
            pass
    with Restoring(target, Permission(into_production=True, typed=name)):
        pass
    monkeypatch.setattr(server_module, "PRODUCTION_MARK", f"{mark}.no")
    with Restoring(target):
        pass


def test_another_machine_is_not_even_connected_to() -> None:
    with pytest.raises(DumpError, match=r"'192.0.2.1' is neither a socket's folder nor a loopback address"):
        Restoring(Target(host="192.0.2.1")).__enter__()


def test_an_ordinary_role_is_refused(refusing: Server) -> None:
    refusing.run("CREATE ROLE ordinary LOGIN CREATEDB CREATEROLE")
    with (
        pytest.raises(DumpError, match="the role ordinary is no superuser"),
        Restoring(Target(host=str(refusing.cluster.socket), user="ordinary")),
    ):
        pass


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(DumpError, match="could not connect to the database postgres"),
        Restoring(Target(host=str(tmp_path))),
    ):
        pass


def test_an_account_that_is_not_there_is_said(refusing: Server) -> None:
    target = Target(host=str(refusing.cluster.socket), os_user="nobody-of-this-name")
    with pytest.raises(DumpError, match="there is no user nobody-of-this-name on this host"), Restoring(target):
        pass


def database_settings(server: Server, database: str) -> dict[str, str]:
    """As a manifest has them."""
    query = """SELECT pg_encoding_to_char(encoding), datcollate, datctype,
                      coalesce(to_jsonb(d)->>'datlocprovider', 'c'),
                      coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale')
                 FROM pg_database d WHERE datname = %s"""
    names = ("encoding", "collate", "ctype", "provider", "locale")
    return {name: value for name, value in zip(names, server.run(query, values=[database])[0], strict=True) if value}


@pytest.mark.parametrize(
    ("oldest", "settings"),
    [
        (14, {"encoding": "UTF8", "collate": "C", "ctype": "C.UTF-8", "provider": "c"}),
        (14, {"encoding": "LATIN1", "collate": "C", "ctype": "C", "provider": "c"}),
        (14, {"encoding": "SQL_ASCII", "collate": "C", "ctype": "C", "provider": "c"}),
        (15, {"encoding": "UTF8", "collate": "C.UTF-8", "ctype": "C", "provider": "i", "locale": "de-AT"}),
        (17, {"encoding": "UTF8", "collate": "C", "ctype": "C", "provider": "b", "locale": "C.UTF-8"}),
    ],
    ids=["libc", "latin1", "ascii", "icu", "builtin"],
)
def test_a_database_is_made_as_the_manifest_says(
    every_server: Server,  # noqa: F811
    bindir: Path,  # noqa: F811
    oldest: int,
    settings: dict[str, str],
) -> None:
    if not works(bindir):
        pytest.skip("this server's psql does not run here")
    with Restoring(Target(host=str(every_server.cluster.socket), bindir=str(bindir))) as restoring:
        if restoring.major < oldest:
            with pytest.raises(DumpError, match="needs PostgreSQL"):
                restoring.check(Needs("localised", settings=settings))
            return
        try:
            copy = restoring.create("localised", settings)
        except DumpError as error:
            if "ICU is not supported in this build" in str(error):
                pytest.skip("this server was built without ICU")
            raise
        try:
            assert database_settings(every_server, copy) == settings
        finally:
            restoring.drop(copy)


def test_a_database_without_a_manifest_is_made_like_template0_in_utf8(refusing: Server) -> None:
    with Restoring(Target(host=str(refusing.cluster.socket))) as restoring:
        copy = restoring.create("adopted", {})
        expected = {**database_settings(refusing, "template0"), "encoding": "UTF8"}
        assert database_settings(refusing, copy) == expected
        restoring.drop(copy)


@pytest.mark.parametrize(
    "settings",
    [
        {"encoding": "UTF8", "collate": "xx_YY.UTF-8", "ctype": "xx_YY.UTF-8", "provider": "c"},
        {"encoding": "LATIN1", "collate": "C.UTF-8", "ctype": "C.UTF-8", "provider": "c"},
        {"encoding": "'; DROP DATABASE postgres; --", "collate": "C", "ctype": "C"},
    ],
    ids=["libc", "mismatch", "hostile"],
)
def test_a_locale_that_the_host_lacks_is_one_sentence(refusing: Server, settings: dict[str, str]) -> None:
    before = refusing.run(CREATED)
    with Restoring(Target(host=str(refusing.cluster.socket))) as restoring:
        with pytest.raises(DumpError, match=r"the server can't make a database with .*encoding") as caught:
            restoring.create("live", settings)
        assert "\n" not in str(caught.value)
    assert refusing.run(CREATED) == before


def test_a_password_reaches_a_server_on_loopback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    hba = ("local all postgres trust", "host all all 127.0.0.1/32 scram-sha-256")
    made = ScratchCluster(hba=hba, settings={"listen_addresses": "127.0.0.1"})
    made.port = port
    with made as cluster:
        server = Server(cluster)
        server.run("CREATE ROLE app; CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'pa:s\\s wo''rd'")
        target = Target(host="localhost", port=port, user="boss", password="pa:s\\s wo'rd")
        assert "wo'rd" not in repr(target)
        for sandbox in (False, True):
            with Restoring(dataclasses.replace(target, sandbox=sandbox)) as restoring:
                text = b"CREATE TABLE public.t ();\nALTER TABLE public.t OWNER TO app;\n"
                restore(restoring, text, "live", owner="app")
        assert server.run("SELECT count(*) FROM t", database="live") == [(0,)]
        with (
            pytest.raises(DumpError, match="password authentication failed"),
            Restoring(dataclasses.replace(target, password="wrong")),
        ):
            pass
