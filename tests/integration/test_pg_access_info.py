"""pg_access_info on a real server: what roles can really do, by whichever path."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import Host, default_policy, policed

WORDS = ("connect", "read", "insert", "change", "delete", "truncate", "ddl", "temp")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Host]:
    with policed(tmp_path_factory.mktemp("host")) as one:
        yield one


def matrix(host: Host) -> dict[tuple[str, str], tuple[t.Any, ...]]:
    result = host.info()
    assert not result.failed, result.msg
    assert not result.changed
    return {(row["role"], row["via"]): tuple(row[word] for word in WORDS) for row in result.values["matrix"]}


def test_the_matrix_under_the_policy(host):
    none = "none"
    assert matrix(host) == {
        ("dba", "login"): (True, none, none, none, none, none, False, False),
        ("dba", "SET ROLE taaraxtak_owner"): (True, "all", "all", "all", "all", "all", True, False),
        ("dumper", "login"): (True, "all", none, none, none, none, False, False),
        ("grafanareader", "login"): (True, "some", none, none, none, none, False, False),
        ("scraper", "login"): (True, "some", "all", none, none, none, False, False),
    }
    rows = {(row["role"], row["via"]): row for row in host.info().values["matrix"]}
    assert "public.ip_hostname_mapping" not in rows["grafanareader", "login"]["tables"]["read"]
    assert rows["dba", "login"]["set_role"] == ["taaraxtak_owner"]
    assert rows["scraper", "login"]["database"] == "taaraxtak"


@pytest.mark.parametrize(
    ("plant", "word", "seen"),
    [
        ("GRANT UPDATE (name) ON provider_marketshare TO PUBLIC", "change", "some"),
        ("GRANT pg_write_all_data TO grafanareader", "delete", "all"),
        ("ALTER VIEW shares OWNER TO grafanareader", "ddl", True),
        ("ALTER DATABASE taaraxtak OWNER TO grafanareader", "ddl", True),
        ("GRANT CREATE ON SCHEMA public TO grafanareader", "ddl", True),
        ("GRANT TEMPORARY ON DATABASE taaraxtak TO PUBLIC", "temp", True),
        ("ALTER ROLE grafanareader SUPERUSER", "truncate", "all"),
        ("REVOKE CONNECT ON DATABASE taaraxtak FROM grafanareader", "connect", False),
        ("REVOKE USAGE ON SCHEMA public FROM grafanareader", "read", "none"),
    ],
)
def test_what_is_planted_shows(host, plant, word, seen):
    host.sql(plant)
    try:
        row = matrix(host)["grafanareader", "login"]
        assert dict(zip(WORDS, row, strict=True))[word] == seen
    finally:
        host.apply()


def test_a_privilege_on_a_column_is_named_as_such(host):
    host.sql("GRANT UPDATE (name) ON provider_marketshare TO grafanareader")
    rows = {(row["role"], row["via"]): row for row in host.info().values["matrix"]}
    assert rows["grafanareader", "login"]["tables"]["change"] == ["public.provider_marketshare (columns)"]
    host.apply()


def test_roles_that_are_not_there_are_listed(fresh_server: Server, tmp_path):
    fresh_server.run("CREATE DATABASE taaraxtak")
    result = Host(fresh_server, default_policy(), tmp_path).info(database="taaraxtak")
    assert result.values["matrix"] == []
    assert result.values["missing_roles"] == ["dba", "scraper", "grafanareader", "dumper"]


def test_a_database_out_of_scope_or_not_there_is_said(host, fresh_server: Server, tmp_path):
    assert "not in the policy's scope: write one of taaraxtak" in host.info(database="postgres").msg
    assert "does not exist" in Host(fresh_server, default_policy(), tmp_path).info().msg


def test_check_mode_foretells_where_nothing_is_there_yet(fresh_server: Server, tmp_path):
    host = Host(fresh_server, default_policy(), tmp_path)
    for result in (host.info(check=True), host.info(check=True, login_unix_socket=str(tmp_path))):
        assert not result.failed
        assert not result.changed
        assert result.values["matrix"] == []
        assert "can't be looked at yet" in result.msg
