"""pg_access_info on a real server: what roles can really do, by whichever path."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import (
    Host,
    default_policy,
    host,
    policed,
)

__all__ = ["host"]

WORDS = ("connect", "read", "insert", "change", "delete", "truncate", "ddl", "temp")


def matrix(host: Host) -> dict[tuple[str, str], tuple[t.Any, ...]]:
    result = host.info()
    assert not result.failed, result.msg
    assert not result.changed
    return {(row["role"], row["via"]): tuple(row[word] for word in WORDS) for row in result.values["matrix"]}


OUTCOMES = ("passed", "failed", "not_run")


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


def test_under_the_policy_everything_passes(host):
    before = host.sql("SELECT pg_snapshot_xmax(pg_current_snapshot())")
    values = host.info(gather=["matrix", "effective", "findings"]).values
    assert host.sql("SELECT pg_snapshot_xmax(pg_current_snapshot())") == before, "it was assigned a transaction id"
    assert values["findings"] == []
    assert values["summary"] == {"low": 0, "medium": 0, "high": 0, "critical": 0}
    assert {one["id"]: one["passed"] for one in values["assertions"]} == dict.fromkeys(
        ("only-writer", "only-reader", "only-dba-deletes", "reader-reads-only"), True
    )
    assert values["passed"] is True
    assert values["unread"] == values["missing_roles"] == []
    assert {one["role"] for one in values["effective"]} == {"dba", "dumper", "grafanareader", "scraper"}


def test_every_path_of_the_roles_that_are_asked_for(host):
    host.sql("CREATE ROLE guest LOGIN")
    try:
        values = host.info(gather=["matrix", "effective"], roles=["dba", "nobody there"]).values
        assert {row["role"] for row in values["matrix"]} == {"dba"}
        assert values["missing_roles"] == ["nobody there"]
        owns = {
            "role": "dba",
            "database": "taaraxtak",
            "path": ["dba", "SET ROLE taaraxtak_owner", "owner"],
            "kind": "sequence",
            "privileges": ["OWNER"],
            "usable": True,
        }
        (found,) = [one for one in values["effective"] if {**one, "objects": None} == {**owns, "objects": None}]
        assert "public.loose" in found["objects"]
        everybody = host.info(gather=["matrix"], all_roles=True).values["matrix"]
        assert {"guest", "postgres"} <= {row["role"] for row in everybody}
    finally:
        host.sql("DROP ROLE guest")


@pytest.mark.parametrize(("fail_on", "failed"), [("never", False), ("critical", False), ("high", True), ("low", True)])
def test_it_fails_from_the_severity_that_is_asked_for(host, fail_on, failed):
    host.sql("GRANT INSERT ON provider_marketshare TO grafanareader")
    try:
        result = host.info(gather=["findings"], fail_on=fail_on)
        assert result.failed == failed
        assert not result.changed
        (finding,) = result.values["findings"]
        assert finding["severity"] == "high"
        assert result.values["passed"] is False
        assert (finding["id"] in result.msg) == failed
        broken = {one["id"]: one for one in result.values["assertions"] if not one["passed"]}
        assert set(broken) == {"only-writer", "reader-reads-only"}
        assert broken["only-writer"]["violations"][0]["findings"] == [finding["id"]]
    finally:
        host.apply()


def test_the_probes_are_run_as_the_roles(host):
    values = host.info(gather=["probes"], roles=["grafanareader"]).values
    assert {one["role"] for one in values["probes"]} == {"grafanareader"}
    assert {one["outcome"] for one in values["probes"]} <= {"passed", "not run"}
    counts = {key: sum(one["outcome"] == key.replace("_", " ") for one in values["probes"]) for key in OUTCOMES}
    assert values["summary"] == {"probes": counts}
    assert counts["passed"] > 0
    assert values["passed"] is True


def test_where_nothing_could_be_tried_nothing_has_passed(host):
    values = host.info(gather=["probes"], roles=["postgres"]).values
    assert values["summary"] == {"probes": {"passed": 0, "failed": 0, "not_run": 1}}
    assert values["passed"] is False
    values = host.info(gather=["probes"], roles=["grafanareader", "nobody"]).values
    assert values["summary"]["probes"]["passed"] > 0
    assert values["passed"] is False
    values = host.info(gather=["probes"], roles=[]).values
    assert values["probes"] == []
    assert values["passed"] is False


def test_the_policy_that_it_writes_changes_nothing(host):
    result = host.info(policy=None, gather=["export"], database="taaraxtak")
    assert not result.failed, result.msg
    exported = result.values["exported"]
    assert exported["policy"]["scope"]["databases"] == ["taaraxtak"]
    again = host.call(check=True, policy=exported["policy"])
    assert not again.failed, again.msg
    assert again.values["queries"] == []


def test_a_policy_is_asked_for_where_one_is_needed(host):
    assert "policy is required" in host.info(policy=None).msg


def test_a_database_that_accepts_no_connections_is_named(host):
    host.sql("ALTER DATABASE taaraxtak ALLOW_CONNECTIONS false", database="postgres")
    try:
        values = host.info().values
        assert values["unread"] == [{"database": "taaraxtak", "why": "it accepts no connections"}]
        assert values["passed"] is False
        assert values["matrix"] == []
        exported = host.info(policy=None, gather=["export"]).values
        assert exported["unread"] == [{"database": "taaraxtak", "why": "it accepts no connections"}]
    finally:
        host.sql("ALTER DATABASE taaraxtak ALLOW_CONNECTIONS true", database="postgres")


def test_it_works_on_a_standby(tmp_path):
    with policed(tmp_path) as host:
        cluster = host.server.cluster
        host.sql("GRANT INSERT ON provider_marketshare TO grafanareader")
        cluster.stop()
        (cluster.data / "standby.signal").touch()
        cluster.start()
        assert host.sql("SELECT pg_is_in_recovery()") == [(True,)]
        result = host.info(gather=["matrix", "effective", "findings", "export"])
        assert not result.failed, result.msg
        assert [one["rule"] for one in result.values["findings"]] == ["excess-privilege"]
        assert {row["role"]: row["insert"] for row in result.values["matrix"]}["grafanareader"] == "some"
