"""pg_access on a real server: the policy's promises hold for the roles themselves, and an idle run only reads."""

from __future__ import annotations

import fcntl
import os
import typing as t

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import (
    TABLES,
    Host,
    default_policy,
    host,
    warned,
)

__all__ = ["host"]

DENIED = "42501"
CATALOGUES = (
    "pg_authid pg_auth_members pg_database pg_db_role_setting pg_namespace pg_class pg_attribute pg_proc"
    " pg_default_acl pg_shdepend"
)


@pytest.fixture
def virgin(fresh_server: Server, tmp_path) -> Host:
    return Host(fresh_server, default_policy(), tmp_path)


def rows_as_written(host: Host, databases: t.Iterable[str]) -> list[t.Any]:
    """Every row of the catalogues by place and writer, and the next transaction id: what any write would change."""
    seen: list[t.Any] = []
    for database in databases:
        for catalogue in CATALOGUES.split():
            digest = f"SELECT count(*), md5(string_agg(xmin::text || ctid::text, ',' ORDER BY ctid)) FROM {catalogue}"  # noqa: S608
            seen.append((database, catalogue, host.sql(digest, database=database)))
    return [*seen, host.sql("SELECT pg_snapshot_xmax(pg_current_snapshot())", database="postgres")]


def test_check_mode_on_a_virgin_server_foretells_the_run_and_writes_nothing(virgin):
    virgin.server.run("ALTER SYSTEM SET autovacuum = off")
    virgin.server.run("SELECT pg_reload_conf()")
    before = rows_as_written(virgin, ["postgres", "template1"])
    foretold = virgin.apply(check=True, diff=True, missing_objects="skip")
    assert foretold.changed
    assert rows_as_written(virgin, ["postgres", "template1"]) == before
    assert not virgin.lock_file.exists()

    done = virgin.apply(diff=True, missing_objects="skip")
    assert done.changed
    for key in ("queries", "granted", "revoked", "diff"):
        assert done.values[key] == foretold.values[key]
    second = virgin.apply(missing_objects="skip")
    assert (second.changed, second.values["queries"]) == (False, [])


@pytest.mark.parametrize("check", [True, False])
def test_a_run_that_has_nothing_to_do_writes_nothing(host, check):
    before = rows_as_written(host, ["taaraxtak", "postgres", "template1"])
    result = host.apply(check=check, diff=True)
    assert (result.changed, result.values["queries"]) == (False, [])
    assert result.values["diff"] == {"before": "", "after": ""}
    assert rows_as_written(host, ["taaraxtak", "postgres", "template1"]) == before


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO provider_marketshare (name) VALUES ('x')",
        "UPDATE provider_marketshare SET name = 'x'",
        "DELETE FROM provider_marketshare",
        "TRUNCATE provider_marketshare",
        "SELECT * FROM ip_hostname_mapping",
        "CREATE TABLE mine (a int)",
        "CREATE SCHEMA mine",
        "CREATE TEMPORARY TABLE mine (a int)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT lo_create(0)",
        "SELECT nextval('loose')",
        "SET ROLE taaraxtak_owner",
        "DROP TABLE provider_marketshare",
        "SELECT rolpassword FROM pg_authid",
    ],
)
def test_grafanareader_is_refused(host, sql):
    # Read only is its default, which it may turn off: what refuses has to be the privileges.
    assert (
        host.refused(f"SET default_transaction_read_only = off; COMMIT; BEGIN; {sql}", user="grafanareader") == DENIED
    )


def test_grafanareader_reads_tables_and_views_and_is_read_only_by_default(host):
    for table in ("provider_marketshare", "ooni_web_connectivity_test", "measurement", "measurement_rest", "shares"):
        assert host.refused(f"SELECT * FROM {table}", user="grafanareader") is None  # noqa: S608
    assert host.sql("SHOW default_transaction_read_only", user="grafanareader") == [("on",)]
    assert host.sql("SHOW statement_timeout", user="grafanareader") == [("30s",)]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO provider_marketshare (name) VALUES ('x') RETURNING id",
        "INSERT INTO ip_hostname_mapping (ip) VALUES ('x')",
        "INSERT INTO ooni_web_connectivity_test (input) VALUES ('x')",
        "INSERT INTO measurement VALUES (now(), 1)",
        "SELECT * FROM ip_hostname_mapping",
    ],
)
def test_the_scraper_may(host, sql):
    assert host.refused(sql, user="scraper") is None


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE provider_marketshare SET name = 'x'",
        "DELETE FROM provider_marketshare",
        "TRUNCATE provider_marketshare",
        "DROP TABLE provider_marketshare",
        "ALTER TABLE provider_marketshare ADD COLUMN b int",
        "SELECT * FROM measurement",
        "CREATE TABLE mine (a int)",
        "CREATE TEMPORARY TABLE mine (a int)",
        "SET ROLE dba",
    ],
)
def test_the_scraper_is_refused(host, sql):
    assert host.refused(sql, user="scraper") == DENIED


def test_the_dba_acts_only_as_the_owner(host):
    assert host.refused("DELETE FROM public.provider_marketshare", user="dba") == DENIED
    assert host.refused("SET ROLE taaraxtak_owner; DELETE FROM public.provider_marketshare", user="dba") is None


def test_the_dumper_reads_all_and_writes_nothing(host):
    assert host.refused("SELECT * FROM ip_hostname_mapping", user="dumper") is None
    assert host.refused("INSERT INTO ip_hostname_mapping (ip) VALUES ('x')", user="dumper") == DENIED


@pytest.mark.parametrize("user", ["scraper", "grafanareader", "dba", "dumper"])
@pytest.mark.parametrize("database", ["postgres", "template1"])
def test_no_role_connects_to_a_database_out_of_the_policy(host, user, database):
    with pytest.raises(psycopg2.OperationalError, match="does not have CONNECT privilege"):
        host.sql("SELECT 1", user=user, database=database)


def test_what_the_owner_makes_later_is_readable_and_insertable_at_once(host):
    host.sql("SET ROLE taaraxtak_owner; CREATE TABLE later (id serial, a int)")
    try:
        assert host.refused("SELECT * FROM later", user="grafanareader") is None
        assert host.refused("INSERT INTO later (a) VALUES (1)", user="scraper") is None
        assert host.refused("DELETE FROM later", user="scraper") == DENIED
        assert not host.apply().changed
    finally:
        host.sql("DROP TABLE later")


def test_names_are_taken_as_they_are(fresh_server, tmp_path):
    """Quotes, dots, spaces, upper case, words of SQL: each is only a name. A role "PUBLIC" isn't everybody."""
    database, schema, owner, reader = 'Data "base".x', "Sche'ma.1", "Owner; DROP", "PUBLIC"
    tables = ['Ta"ble.x', "lower", "Größe", "a;b", "select", "%s %(a)s {}", "back\\slash"]
    host = Host(fresh_server, {}, tmp_path)
    host.policy = {
        "version": 1,
        "scope": {"databases": [database], "schemas": [schema]},
        "mode": "authoritative",
        "roles": {owner: {}, reader: {"login": True, "settings": {"search_path": ["$user", schema]}}, "Zoë": {}},
        "owners": {schema: owner},
        "public": {"revoke_connect": "all"},
        "grants": [
            {"to": reader, "on": {"database": database}, "privileges": "connect"},
            {"to": reader, "on": {"schema": schema}, "privileges": "usage"},
            {"to": reader, "on": {"tables": {"schema": schema, "name": "*"}}, "privileges": "select", "future": True},
            {"to": "Zoë", "on": {"tables": {"schema": schema, "name": tables[0]}}, "privileges": ["INSERT"]},
        ],
    }
    host.apply(missing_objects="skip")
    for table in tables:
        quoted = table.replace('"', '""')
        host.sql(f"""CREATE TABLE "Sche'ma.1"."{quoted}" ("co""l" int)""", database=database)
        host.sql(f"""GRANT UPDATE ("co""l") ON "Sche'ma.1"."{quoted}" TO "Zoë" """, database=database)
    assert host.apply().changed
    assert host.apply().values["queries"] == []
    for table in tables:
        quoted = table.replace('"', '""')
        assert host.refused(f'SELECT * FROM "{quoted}"', user=reader, database=database) is None  # noqa: S608
        assert host.refused(f'DELETE FROM "{quoted}"', user=reader, database=database) == DENIED  # noqa: S608
    assert host.refused('SET ROLE "Zoë"', user=reader, database=database) == DENIED
    acl = host.sql("SELECT relacl::text FROM pg_class WHERE relname = 'lower'", database=database)
    assert '"=r/' not in acl[0][0]
    assert not host.info().failed


def test_a_table_that_is_not_there_is_said_before_anything_is_changed(virgin):
    result = virgin.call()
    assert result.failed
    assert "tables public.ip_hostname_mapping does not exist" in result.msg
    assert virgin.server.run("SELECT count(*) FROM pg_roles WHERE rolname !~ '^pg_'") == [(1,)]
    assert virgin.server.run("SELECT count(*) FROM pg_database") == [(3,)]


def test_a_table_that_is_not_there_can_be_skipped_and_is_listed_and_warned_about(host):
    host.sql("ALTER TABLE ip_hostname_mapping RENAME TO elsewhere")
    try:
        result = host.apply(missing_objects="skip", check=True)
        assert result.values["skipped_objects"] == [
            {"what": "tables public.ip_hostname_mapping", "why": "does not exist"},
            {"what": "except public.ip_hostname_mapping", "why": "does not exist"},
        ]
        assert warned(result) == [
            "the access policy: tables public.ip_hostname_mapping does not exist",
            "the access policy: except public.ip_hostname_mapping does not exist",
        ]
    finally:
        host.sql("ALTER TABLE elsewhere RENAME TO ip_hostname_mapping")
    assert not host.apply().changed


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("value", ["abc", "", "-5s"])
def test_a_lock_timeout_that_is_none_is_said_before_anything_is_changed(virgin, check, value):
    result = virgin.call(missing_objects="skip", lock_timeout=value, check=check)
    assert result.failed
    assert result.msg.startswith(f"lock_timeout: {value!r} is no time that PostgreSQL knows")
    assert virgin.server.run("SELECT count(*) FROM pg_database") == [(3,)]


def test_additive_takes_nothing_away(virgin):
    virgin.server.run("CREATE ROLE scraper LOGIN SUPERUSER PASSWORD 'x'; ALTER ROLE scraper SET work_mem = '1MB'")
    virgin.server.run("CREATE DATABASE taaraxtak OWNER scraper")
    virgin.sql("CREATE TABLE provider_marketshare (a int); GRANT ALL ON provider_marketshare TO PUBLIC")
    result = virgin.apply(mode="additive", hba=True, missing_objects="skip")
    assert result.values["revoked"] == []
    assert not any(word in query for query in result.values["queries"] for word in ("REVOKE", 'ALTER ROLE "scraper"'))
    assert {"what": "pg_hba.conf and pg_ident.conf", "why": "mode additive takes no login away"} in result.values[
        "skipped_objects"
    ]
    assert virgin.refused("SELECT * FROM provider_marketshare", user="grafanareader") is None
    assert not virgin.apply(mode="additive", hba=True, missing_objects="skip").changed


def test_a_second_run_at_the_same_time_is_refused(host):
    with host.lock_file.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = host.call()
        assert result.failed
        assert "another run holds" in result.msg
        assert not host.apply(check=True).changed


def test_a_lock_file_by_way_of_a_link_is_refused(host, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    result = host.call(lock_file=str(tmp_path / "link"))
    assert result.failed
    assert "name another in lock_file" in result.msg
    assert not os.path.lexists(tmp_path / "victim")


def test_who_holds_a_lock_is_named_and_the_database_rolled_back(host):
    host.sql("CREATE ROLE mallory; ALTER TABLE measurement OWNER TO mallory; GRANT ALL ON shares TO mallory")
    blocker = host.server.connect("taaraxtak", "scraper")
    try:
        blocker.autocommit = False
        with blocker.cursor() as cursor:
            cursor.execute("INSERT INTO measurement VALUES (now(), 1)")
        result = host.call(lock_timeout="200ms")
        assert result.failed
        assert f"it is held by pid {blocker.info.backend_pid} (scraper" in result.msg
        assert "nothing was changed" in result.msg
        assert host.sql("SELECT has_table_privilege('mallory', 'shares', 'INSERT')") == [(True,)]
    finally:
        blocker.close()
    host.apply()
    assert host.sql("SELECT has_table_privilege('mallory', 'shares', 'INSERT')") == [(False,)]
    assert not host.apply().changed
    host.sql("DROP ROLE mallory")


def test_what_comes_back_meanwhile_rolls_the_database_back_and_is_named(host):
    host.sql(
        "CREATE ROLE mallory;"
        "CREATE FUNCTION grant_again() RETURNS event_trigger LANGUAGE plpgsql AS"
        " $$ BEGIN GRANT INSERT ON public.shares TO mallory; END $$;"
        "CREATE EVENT TRIGGER again ON ddl_command_end WHEN TAG IN ('REVOKE') EXECUTE FUNCTION grant_again();"
        "GRANT DELETE ON shares TO mallory"
    )
    try:
        result = host.call()
        assert result.failed
        assert 'left undone: REVOKE INSERT ON TABLE "public"."shares" FROM "mallory" CASCADE' in result.msg
        assert host.sql("SELECT has_table_privilege('mallory', 'shares', 'DELETE')") == [(True,)]
    finally:
        host.sql("DROP EVENT TRIGGER again; DROP FUNCTION grant_again()")
    host.apply()
    host.sql("DROP ROLE mallory")


def test_what_was_done_before_a_failure_is_said(host):
    host.sql(
        "CREATE ROLE mallory; ALTER TABLE measurement OWNER TO mallory; ALTER ROLE scraper CREATEDB;"
        "GRANT mallory TO scraper"
    )
    blocker = host.server.connect("taaraxtak", "scraper")
    try:
        blocker.autocommit = False
        with blocker.cursor() as cursor:
            cursor.execute("INSERT INTO measurement VALUES (now(), 1)")
        result = host.call(lock_timeout="100ms")
    finally:
        blocker.close()
    assert result.failed
    assert "1 statement before stays done" in result.msg
    assert len(result.values["queries"]) == 1
    assert result.values["queries"][0].startswith('ALTER ROLE "scraper" NOCREATEDB')
    assert any(line.startswith('REVOKE "mallory" FROM "scraper"') for line in host.apply().values["queries"])
    host.sql("DROP ROLE mallory")


def test_only_a_superuser_can_apply_the_policy(host):
    result = host.call(login_user="dba")
    assert result.failed
    # It can't even connect to the database postgres any more.
    assert "CONNECT privilege" in result.msg
    host.sql("GRANT CONNECT ON DATABASE postgres TO dba")
    assert "the role dba is no superuser: log in as one" in host.call(login_user="dba").msg
    host.sql("REVOKE CONNECT ON DATABASE postgres FROM dba")


def test_a_policy_that_would_lock_its_own_login_out_is_refused(host):
    policy = default_policy()
    policy["roles"]["postgres"] = {"login": True}
    result = host.call(policy=policy)
    assert result.failed
    assert "roles.postgres: this is the role that logs in here" in result.msg
    assert host.sql("SELECT rolsuper FROM pg_roles WHERE rolname = 'postgres'") == [(True,)]


def test_all_problems_of_a_policy_are_said_at_once(host):
    policy = default_policy()
    policy["roles"]["scraper"]["os_user"] = "collector"
    policy["grants"][0]["to"] = "nobody_defined"
    result = host.call(policy=policy)
    assert result.failed
    assert "did you mean os_users?" in result.msg
    assert "the role nobody_defined is not defined" in result.msg


def test_a_server_can_have_more_than_one_database_and_schema(fresh_server, tmp_path):
    host = Host(fresh_server, default_policy(), tmp_path)
    host.policy["scope"] = {"databases": ["taaraxtak", "second"], "schemas": ["public", "extra"]}
    host.policy["owners"]["extra"] = "taaraxtak_owner"
    host.apply(missing_objects="skip")
    for database in ("taaraxtak", "second"):
        host.sql(TABLES, database=database)
        assert host.sql(
            "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'extra'", database=database
        ) == [("taaraxtak_owner",)]
    host.apply()
    assert not host.apply().changed
    with pytest.raises(psycopg2.OperationalError):
        host.sql("SELECT 1", user="scraper", database="second")
