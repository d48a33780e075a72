"""Panels' SQL is planned by a real server as grafanareader, under the inventory's policy: what comes of it."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards import checking
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.variables import Context, Variable
from ansible_collections.taaraxtak.production.tests.integration.panels_host import (
    END,
    START,
    check,
    check_all,
    login,
    policed_tables,
    query,
)
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import DATABASE

# Everything that a hostile value or panel could change, as one row.
STATE = """
SELECT (SELECT count(*) FROM provider_marketshare), (SELECT count(*) FROM pop_weighted_gini),
  (SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_class),
  (SELECT string_agg(setrole || setconfig::text, ',' ORDER BY setrole) FROM pg_db_role_setting),
  (SELECT string_agg(rolname, ',' ORDER BY rolname) FROM pg_roles)
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    with policed_tables(tmp_path_factory.mktemp("panels")) as made:
        yield made


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT 1;",
        "-- first\nSELECT 1 -- last",
        "/* a comment; with a semicolon */ SELECT ';' || $$;$$;",
        "WITH s AS (SELECT * FROM provider_marketshare) SELECT count(*) FROM s",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "VALUES (1), (2)",
        "TABLE pop_weighted_gini",
        "SELECT $__timeGroupAlias(time,$__interval), avg(gini) FROM pop_weighted_gini WHERE $__timeFilter(time)"
        " GROUP BY 1",
        "SELECT $__time(time), gini FROM pop_weighted_gini WHERE time BETWEEN $__timeFrom() AND $__timeTo()",
        "SELECT $__timeEpoch(time), gini FROM pop_weighted_gini WHERE $__unixEpochFilter(gini)",
        "SELECT $__timeGroup(time,'5m'), market, avg(gini) FROM pop_weighted_gini GROUP BY time, market",
        "SELECT $__unixEpochGroupAlias(gini,'1h',NULL) FROM pop_weighted_gini WHERE $__unixEpochNanoFilter(gini)",
        "SELECT $__unixEpochFrom(), $__unixEpochTo(), $__unixEpochNanoFrom(), $__unixEpochNanoTo(), $__interval_ms",
        "SELECT 'into' AS \"into\" /* into */ -- into",
    ],
)  # fmt: skip
def test_a_query_that_grafana_can_run_works(host, sql):
    found = check(host, sql)
    assert (found.result, found.why) == ("works", "")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM nowhere", 'relation "nowhere" does not exist'),
        ("SELECT nothing FROM pop_weighted_gini", 'column "nothing" does not exist'),
        ("SELECT * FROM elsewhere.t", "elsewhere"),
        ("SELECT nonsense(1)", "function nonsense(integer) does not exist"),
        ("SELEC 1", "SELEC is no query that can be explained"),
        ("SELECT FROM WHERE", "syntax error"),
        ("SHOW server_version", "SHOW is no query that can be explained"),
        ("SET default_transaction_read_only = off", "SET is no query that can be explained"),
        ("COMMIT", "COMMIT is no query that can be explained"),
        ("DO $$BEGIN END$$", "DO is no query that can be explained"),
        ("ANALYZE SELECT 1", "ANALYZE is no query"),
        ("(ANALYZE) SELECT 1", "ANALYZE is no query"),
        ("EXPLAIN ANALYZE SELECT 1", "EXPLAIN is no query"),
        ("", "no statement"),
        ("-- nothing", "no statement"),
        ("SELECT 1; SELECT 2", "it is 2 statements"),
        ("SELECT $market", "the variable market is not defined"),
        ("SELECT $__nonsense(time)", "the macro $__nonsense is not known"),
        ("SELECT 1 WHERE $__timeFilter(to_timestamp(1))", "put no call in them"),
        ("SELECT 'open", "does not end"),
        ("SELECT \0", "NUL"),
        ("SELECT '\ud800'", "half a character"),
        ("SELECT 'abc'::int", "invalid input syntax for type integer"),
        ("SELECT \\! id", "command of psql"),
    ],
)
def test_a_query_that_grafana_could_not_run_is_broken_and_why_is_said(host, sql, said):
    found = check(host, sql)
    assert found.result == "broken"
    assert said in found.why


@pytest.mark.parametrize(
    ("sql", "missing"),
    [
        ("SELECT * FROM ip_hostname_mapping", ("SELECT on table public.ip_hostname_mapping",)),
        ('SELECT "IP_hostname_mapping".ip FROM public.ip_hostname_mapping AS "IP_hostname_mapping"',
         ("SELECT on table public.ip_hostname_mapping",)),
        ("SELECT p.name FROM provider_marketshare p JOIN ip_hostname_mapping USING (time)",
         ("SELECT on table public.ip_hostname_mapping",)),
        ("SELECT * FROM secret.plan", ("USAGE on schema secret",)),
        ("SELECT name, hidden FROM half", ("SELECT on column hidden of table public.half",)),
        ("SELECT * FROM half", ("SELECT on column hidden, other of table public.half",)),
        ("SELECT lo_get(1)", ("EXECUTE on function lo_get(oid)", "EXECUTE on function lo_get(oid,bigint,integer)")),
        ("SELECT * FROM pg_authid", ("SELECT on table pg_catalog.pg_authid",)),
        ("SELECT * FROM shut", ("SELECT on view public.shut",)),
    ],
)  # fmt: skip
def test_what_the_role_may_not_read_is_refused_and_the_missing_grant_is_named(host, sql, missing):
    host.sql(
        "CREATE SCHEMA IF NOT EXISTS secret; CREATE TABLE IF NOT EXISTS secret.plan (x int);"
        "CREATE TABLE IF NOT EXISTS half (name text, hidden text, other text);"
        "GRANT SELECT (name) ON half TO grafanareader;"
        "CREATE OR REPLACE VIEW shut AS SELECT 1"
    )
    found = check(host, sql)
    assert found.result == "refused"
    assert found.missing == missing
    assert found.why == f"grafanareader lacks {' and '.join(missing)}"


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM provider_marketshare",
        "INSERT INTO provider_marketshare DEFAULT VALUES",
        "UPDATE provider_marketshare SET name = ''",
        "TRUNCATE provider_marketshare",
        "CREATE TABLE mine AS SELECT 1",
        "SELECT 1 INTO mine",
        "WITH s AS (SELECT 1 AS x) SELECT x INTO TEMP mine FROM s",
        "WITH gone AS (DELETE FROM provider_marketshare RETURNING *) SELECT * FROM gone",
        "WITH new AS (INSERT INTO pop_weighted_gini VALUES ('a', 'b', 1, now()) RETURNING *) SELECT * FROM new",
        "SELECT * FROM provider_marketshare FOR UPDATE",
    ],
)
def test_a_query_that_would_change_something_is_refused_and_changes_nothing(host, sql):
    before = host.sql(STATE)
    found = check(host, sql)
    assert found.result == "refused", found
    assert host.sql(STATE) == before


def test_a_query_that_changes_something_is_refused_to_a_role_that_could(host):
    """The plan shows it, before any privilege is asked."""
    host.sql("GRANT INSERT, DELETE ON pop_weighted_gini TO grafanareader")
    try:
        found = check(host, "WITH gone AS (DELETE FROM pop_weighted_gini RETURNING *) SELECT * FROM gone")
    finally:
        host.sql("REVOKE INSERT, DELETE ON pop_weighted_gini FROM grafanareader")
    assert found.result == "refused"
    assert "DELETE" in found.why


# As grafanareader alone, in a transaction that may write: its own settings.
GETS_OUT = "COMMIT; BEGIN READ WRITE; ALTER ROLE grafanareader SET statement_timeout = 0; COMMIT; BEGIN"
HOSTILE = (
    f"1; {GETS_OUT}; SELECT 1",
    f"'; {GETS_OUT}; SELECT '",
    f"1); {GETS_OUT}; SELECT (1",
    f'"; {GETS_OUT}; SELECT "',
    # What a lexer takes for one text that reads blanks, symbols and line ends otherwise than the server.
    f"$😀$ ' $😀$; {GETS_OUT}; SELECT 1 --'",
    f"1 -- \r; {GETS_OUT}; SELECT 1 \n + 1",
    "'; COMMIT; BEGIN READ WRITE; SELECT lo_creat(-1); --",
    "x'); ALTER ROLE grafanareader SET statement_timeout = 0; --",
    "1; DELETE FROM provider_marketshare",
    "1); SET SESSION AUTHORIZATION DEFAULT; (SELECT 1",
    "$$; COMMIT; $$",
    "\\'; ROLLBACK; --",
    "/*",
    "--",
    '"; COMMIT; "',
    "E'\\'; COMMIT; --",
    "$a$; COMMIT; BEGIN; $a$",
)


@pytest.mark.parametrize(
    "form", ["$v", "'$v'", "${v:raw}", "'${v:raw}'", "${v:singlequote}", '"${v:raw}"', "($v)", "E'${v:raw}'"]
)
@pytest.mark.parametrize("several", [False, True])
def test_a_hostile_value_does_not_leave_the_transaction(host, form, several):
    before = host.sql(STATE)
    context = [
        (query(f"SELECT {form}"), Context(START, END, {"v": Variable((value,), listed=several, quoted=several)}))
        for value in HOSTILE
    ]
    found = checking.check(login(host), DATABASE, context)
    assert {one.result for one in found} <= {"works", "broken", "refused"}
    assert host.sql(STATE) == before
    again = checking.check(login(host), DATABASE, [*context, (query("SELECT 1"), Context(START, END))])
    assert again[-1].result == "works"


def test_nothing_of_a_query_is_run(host):
    """Volatile functions, which could write or wait, are in the plan and are not called."""
    assert check(host, "SELECT pg_sleep(3600) FROM provider_marketshare").result == "works"
    assert check(host, "SELECT setval('s', 100)", {}).result == "broken"
    host.sql("CREATE SEQUENCE IF NOT EXISTS counted; GRANT USAGE, SELECT, UPDATE ON SEQUENCE counted TO grafanareader")
    assert check(host, "SELECT nextval('counted'), setval('counted', 77)").result == "works"
    assert host.sql("SELECT last_value, is_called FROM counted") == [(1, False)]


def test_what_planning_calls_is_the_role_in_a_read_only_transaction(host):
    """An immutable function is called by the planner: it can neither write nor become somebody else."""
    host.sql(
        "CREATE TABLE IF NOT EXISTS told (x text);"
        "CREATE OR REPLACE FUNCTION tell() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $f$"
        " BEGIN INSERT INTO told VALUES (session_user); RETURN 1; END $f$;"
        "GRANT INSERT ON told TO grafanareader"
    )
    found = check(host, "SELECT tell()")
    assert found.result == "broken"
    assert "read-only transaction" in found.why or "not allowed" in found.why
    assert host.sql("SELECT count(*) FROM told") == [(0,)]
    host.sql(
        "CREATE OR REPLACE FUNCTION who() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $f$"
        " BEGIN RAISE EXCEPTION '% % %', session_user, current_user, current_setting('transaction_read_only'); END $f$"
    )
    assert check(host, "SELECT who()").why == "grafanareader grafanareader on"


def test_a_query_whose_planning_takes_too_long_is_slow(host):
    host.sql(
        "CREATE OR REPLACE FUNCTION wait() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $f$"
        " BEGIN PERFORM pg_sleep(30); RETURN 1; END $f$"
    )
    after, found = check_all(host, "SELECT 1", "SELECT wait()", timeout_ms=300)
    assert after.result == "works"
    assert (found.result, found.why) == ("slow", "planning it alone takes more than 0.3 s")


def test_a_superuser_is_not_asked(host):
    with pytest.raises(ValueError, match="postgres is a superuser"):
        checking.check(login(host, "postgres"), DATABASE, [])


def test_a_lock_in_the_way_says_nothing_of_the_panel(host):
    blocker = host.server.connect(DATABASE)
    try:
        blocker.autocommit = False
        with blocker.cursor() as cursor:
            cursor.execute("LOCK TABLE pop_weighted_gini")
        with pytest.raises(ValueError, match=r"A panel of A dashboard could not be checked.*lock timeout"):
            check(host, "SELECT * FROM pop_weighted_gini")
    finally:
        blocker.close()


def test_a_lost_server_says_nothing_of_the_panels(host):
    host.sql(
        "CREATE OR REPLACE FUNCTION die() RETURNS int IMMUTABLE SECURITY DEFINER LANGUAGE sql AS"
        " 'SELECT pg_terminate_backend(pg_backend_pid())::int'"
    )
    with pytest.raises(ValueError, match="could not be checked"):
        check_all(host, "SELECT die()", "SELECT 1")


@pytest.mark.parametrize("form", ["int", "numeric", "timestamptz", "date", "uuid", "inet", "boolean", "text"])
def test_a_value_that_nobody_has_said_is_tried_in_the_type_of_the_column(host, form):
    host.sql(f"DROP TABLE IF EXISTS typed; CREATE TABLE typed (n {form}); GRANT SELECT ON typed TO grafanareader")
    unsaid = {"v": Variable(("1",), listed=True, quoted=True, placeholder=True)}
    assert check(host, "SELECT * FROM typed WHERE n IN ($v)", unsaid).result == "works"


def test_a_type_that_no_value_fits_asks_for_one(host):
    host.sql("CREATE TYPE mood AS ENUM ('calm'); CREATE TABLE moods (m mood); GRANT SELECT ON moods TO grafanareader")
    unsaid = {"v": Variable(("1",), quoted=True, placeholder=True)}
    found = check(host, "SELECT * FROM moods WHERE m IN ($v)", unsaid)
    assert found.result == "broken"
    assert "give the variable a value" in found.why
    assert check(host, "SELECT * FROM moods WHERE m IN ($v)", {"v": Variable(("calm",), quoted=True)}).result == "works"


def test_a_value_that_somebody_has_said_is_not_replaced(host):
    said = {"v": Variable(("x",), quoted=True)}
    assert check(host, "SELECT 1 WHERE 1 IN ($v)", said).result == "broken"
