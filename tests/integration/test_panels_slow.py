"""A query is slow where it reads many rows of a table without a time filter, by the plan of a real server."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.tests.integration.panels_host import check, policed_tables
from ansible_collections.taaraxtak.production.tests.integration.servers import bindir  # noqa: F401

# The catalogue says so, as it does of a table that has them: the rows are not needed for a plan.
LARGE = """
CREATE TABLE large (at timestamptz, "Ended At" timestamptz, day date, epoch bigint, name text, flag boolean);
CREATE TABLE part (at timestamptz, name text) PARTITION BY RANGE (at);
CREATE TABLE part_old PARTITION OF part FOR VALUES FROM ('2020-01-01') TO ('2026-11-01');
CREATE TABLE part_new PARTITION OF part FOR VALUES FROM ('2026-11-01') TO ('2027-11-01');
CREATE TABLE indexed (at timestamptz, name text);
CREATE VIEW recent AS SELECT * FROM large WHERE at > now() - interval '1 day';
INSERT INTO large SELECT timestamptz '2026-11-22' - n * interval '1 min', now(), now(), n, 'n' || n % 50, n % 100 = 0
  FROM generate_series(1, 5000) n;
INSERT INTO indexed SELECT timestamptz '2026-11-22' - n * interval '1 min', 'n' || n FROM generate_series(1, 5000) n;
INSERT INTO part SELECT at, name FROM large;
CREATE INDEX ON indexed (at);
CREATE INDEX ON indexed (name);
CREATE TABLE small (name text);
INSERT INTO small SELECT 'n' || n FROM generate_series(1, 50) n;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO grafanareader;
ANALYZE;
UPDATE pg_class SET reltuples = 3000000 WHERE relname IN ('large', 'indexed', 'part_old', 'part_new');
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory, bindir):  # noqa: F811 - the fixture
    """On each version at hand: each writes its plans in a way of its own."""
    with policed_tables(tmp_path_factory.mktemp("panels"), bindir) as made:
        made.sql(LARGE)
        yield made


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT at, count(*) FROM large GROUP BY 1",
        "SELECT DISTINCT name FROM large",
        "SELECT count(*) FROM large WHERE name = 'n7'",
        "SELECT count(*) FROM large WHERE flag",
        "SELECT count(*) FROM large WHERE at IS NOT NULL",
        "SELECT max(at) FROM large",
        "SELECT * FROM large ORDER BY at DESC LIMIT 1",
        "SELECT count(*) FROM small JOIN large USING (name)",
        "SELECT count(*) FROM (SELECT * FROM large OFFSET 0) s WHERE $__timeFilter(at)",
        "WITH s AS MATERIALIZED (SELECT * FROM large) SELECT * FROM s WHERE $__timeFilter(at)",
        "SELECT count(*) FROM part",
        "SELECT (SELECT count(*) FROM large)",
        "SELECT * FROM large l JOIN large m USING (name) WHERE $__timeFilter(l.at)",
    ],
)
def test_a_large_table_without_a_time_filter_is_slow(host, sql):
    found = check(host, sql)
    assert found.result == "slow", found
    assert "without a time filter" in found.why


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT $__timeGroupAlias(at, $__interval), count(*) FROM large WHERE $__timeFilter(at) GROUP BY 1",
        'SELECT count(*) FROM large WHERE $__timeFilter("Ended At")',
        "SELECT count(*) FROM large l WHERE l.day >= current_date - 7",
        'SELECT count(*) FROM large AS "An Alias" WHERE $__timeFilter("An Alias".at)',
        "SELECT count(*) FROM large WHERE $__unixEpochFilter(epoch)",
        "SELECT count(*) FROM large WHERE $__unixEpochNanoFilter(epoch)",
        "SELECT count(*) FROM large WHERE epoch BETWEEN $__from AND $__to",
        "SELECT count(*) FROM large WHERE date_trunc('day', at) = '2026-11-22'",
        "SELECT count(*) FROM recent",
        "SELECT count(*) FROM (SELECT * FROM large) s WHERE $__timeFilter(at)",
        "WITH s AS (SELECT * FROM large) SELECT * FROM s WHERE $__timeFilter(at)",
        "SELECT * FROM large LIMIT 100",
        "SELECT max(at) FROM indexed",
        "SELECT * FROM indexed ORDER BY at DESC LIMIT 10",
        "SELECT * FROM indexed WHERE name = 'n7'",
        "SELECT count(*) FROM indexed WHERE $__timeFilter(at)",
        "SELECT count(*) FROM part WHERE $__timeFilter(at)",
        "SELECT count(*) FROM small",
        "SELECT count(*) FROM provider_marketshare",
        "SELECT count(*) FROM generate_series(1, 100000000)",
    ],
)
def test_what_has_a_time_filter_or_reads_little_is_not_slow(host, sql):
    found = check(host, sql)
    assert (found.result, found.why) == ("works", "")


def test_the_rows_of_all_partitions_count_together(host):
    assert check(host, "SELECT count(*) FROM part", slow_rows=5_999_999).result == "slow"
    assert check(host, "SELECT count(*) FROM part", slow_rows=6_000_000).result == "works"
    assert "reads some 6,000,000 rows of public.part_new and public.part_old" in check(host, "TABLE part").why


def test_a_limit_of_nothing_switches_the_question_off(host):
    assert check(host, "SELECT count(*) FROM large", slow_rows=0).result == "works"
