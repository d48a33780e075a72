"""The permission matrix, walked both ways: what the policy allows works, what it does not is refused with 42501."""

from __future__ import annotations

import pytest

TABLES = ("provider_marketshare", "pop_weighted_gini", "ip_hostname_mapping", "ooni_web_connectivity_test")
READ_BY_GRAFANA = tuple(name for name in TABLES if name != "ip_hostname_mapping")
READ_BY_COLLECTOR = tuple(name for name in TABLES if name != "pop_weighted_gini")

# Whatever a table's columns are: a row of defaults, which the refusal comes before.
INSERT = "INSERT INTO public.{} DEFAULT VALUES"
CHANGES = {
    "update": "UPDATE public.{} SET {} = NULL",
    "delete": "DELETE FROM public.{}",
    "truncate": "TRUNCATE public.{}",
    "drop": "DROP TABLE public.{}",
    "alter": "ALTER TABLE public.{} ADD COLUMN planted int",
}
COLUMNS = {
    "provider_marketshare": "name",
    "pop_weighted_gini": "gini",
    "ip_hostname_mapping": "hostname",
    "ooni_web_connectivity_test": "blocking_type",
}
# What neither the writer nor the reader may do anywhere.
ELSEWHERE = {
    "create table": "CREATE TABLE public.planted (x int)",
    "create schema": "CREATE SCHEMA planted",
    "temporary table": "CREATE TEMP TABLE planted (x int)",
    "large object": "SELECT lo_from_bytea(0, 'x')",
    "large object by lo_create": "SELECT lo_create(0)",
    "copy to a program": "COPY (SELECT 1) TO PROGRAM 'true'",
    "read a file": "SELECT pg_read_file('/etc/hostname')",
    "become the owner": "SET ROLE taaraxtak_owner",
    "become the superuser": "SET ROLE postgres",
    "make a role": "CREATE ROLE planted",
}


@pytest.mark.parametrize("change", [*CHANGES, "insert"])
@pytest.mark.parametrize("table", TABLES)
def test_grafanareader_cannot_change(grafanareader, table, change):
    # The setting is a belt that the role can take off; the privilege is what holds.
    statement = INSERT if change == "insert" else CHANGES[change]
    assert grafanareader.refused("SET default_transaction_read_only = off; SET transaction_read_only = off; "
                                 + statement.format(table, COLUMNS[table]))  # fmt: skip


@pytest.mark.parametrize("what", ELSEWHERE)
def test_grafanareader_cannot(grafanareader, what):
    assert grafanareader.refused("SET transaction_read_only = off; " + ELSEWHERE[what])


@pytest.mark.parametrize("table", READ_BY_GRAFANA)
def test_grafanareader_reads(grafanareader, table):
    assert grafanareader.allowed(f"SELECT count(*) FROM public.{table}")


def test_grafanareader_cannot_read_what_is_excepted(grafanareader):
    assert grafanareader.refused("SELECT count(*) FROM public.ip_hostname_mapping")


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("table", TABLES)
def test_scraper_cannot(scraper, table, change):
    assert scraper.refused(CHANGES[change].format(table, COLUMNS[table]))


@pytest.mark.parametrize("what", ELSEWHERE)
def test_scraper_cannot_elsewhere(scraper, what):
    assert scraper.refused(ELSEWHERE[what])


@pytest.mark.parametrize("table", READ_BY_COLLECTOR)
def test_scraper_reads_its_caches(scraper, table):
    assert scraper.allowed(f"SELECT count(*) FROM public.{table}")


def test_scraper_cannot_read_the_rest(scraper):
    assert scraper.refused("SELECT count(*) FROM public.pop_weighted_gini")


@pytest.mark.parametrize("table", TABLES)
def test_scraper_may_insert(scraper, table):
    # Planned and not run: what a row needs is the collector's business; that rows arrive is another test.
    row = f"(jsonb_populate_record(NULL::public.{table}, '{{}}')).*"
    assert scraper.allowed(f"EXPLAIN INSERT INTO public.{table} SELECT {row}")


@pytest.mark.parametrize("table", TABLES)
def test_dumper_reads_everything_and_writes_nothing(dumper, table):
    assert dumper.allowed(f"SELECT count(*) FROM public.{table}")
    assert dumper.refused(INSERT.format(table))
    assert dumper.refused(CHANGES["delete"].format(table))


def test_dba_needs_to_say_so_before_deleting(dba):
    assert dba.refused("DELETE FROM public.pop_weighted_gini")
    assert dba.allowed("SET ROLE taaraxtak_owner; DELETE FROM public.pop_weighted_gini")


@pytest.mark.parametrize(
    ("account", "role"),
    [("grafana", "scraper"), ("collector", "grafanareader"), ("collector", "taaraxtak_owner"), ("pgdumper", "dba"),
     ("root", "scraper"), ("root", "grafanareader"), ("root", "postgres"), ("alice", "postgres"), ("nobody", "scraper"),
     ("collector", "postgres")],
)  # fmt: skip
def test_an_account_can_not_log_in_as_another_role(production, account, role):
    done = production.run("runuser -u %s -- psql -X -U %s -d taaraxtak -c 'SELECT 1'", account, role)
    assert done.rc == 2, done.stdout
    assert "authentication failed" in done.stderr or "pg_hba.conf rejects" in done.stderr


@pytest.mark.parametrize("database", ["postgres", "template1"])
@pytest.mark.parametrize(
    ("account", "role"),
    [("grafana", "grafanareader"), ("collector", "scraper"), ("alice", "dba"), ("pgdumper", "dumper")],
)
def test_nobody_reaches_another_database(production, account, role, database):
    done = production.run("runuser -u %s -- psql -X -U %s -d %s -c 'SELECT 1'", account, role, database)
    assert done.rc == 2, done.stdout
    assert "pg_hba.conf rejects" in done.stderr


@pytest.mark.parametrize("database", ["postgres", "template1", "taaraxtak"])
def test_the_catalogue_refuses_another_database_too(postgres, database):
    # Were pg_hba.conf wrong one day, the privilege would still be missing.
    granted = postgres.commit(
        "SELECT count(*) FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) AS a "
        f"WHERE datname = '{database}' AND a.grantee = 0"
    )
    assert granted.stdout.strip() == "0"


def test_nothing_listens_on_the_network(production, postgres):
    port = int(postgres.commit("SHOW port").stdout)
    sockets = production.socket.get_listening_sockets()
    assert f"unix:///var/run/postgresql/.s.PGSQL.{port}" in sockets
    assert not [socket for socket in sockets if socket.endswith(f":{port}")]


def test_the_owner_logs_in_from_nowhere(postgres):
    assert postgres.commit("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'taaraxtak_owner'").stdout.strip() == "f"


def test_no_role_has_a_password(postgres):
    assert postgres.commit("SELECT count(*) FROM pg_authid WHERE rolpassword IS NOT NULL").stdout.strip() == "0"


def test_damaged_pages_are_noticed_and_text_is_utf8(postgres):
    assert postgres.commit("SHOW data_checksums").stdout.strip() == "on"
    assert postgres.commit("SHOW server_encoding").stdout.strip() == "UTF8"
