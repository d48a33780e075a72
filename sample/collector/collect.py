# A stand-in for taaraxtak's collector, for tests and `make up`: it measures nothing, its figures are made up.
# Runs for ever, writes a few rows a second and, like the original, logs its errors and goes on.
from __future__ import annotations

import argparse
import csv
import datetime as dt
import io
import logging
import time
import typing as t
import urllib.parse

import psycopg2
import world
from config import config
from psycopg2 import sql

logger = logging.getLogger("sample:collect")

COLUMNS = {
    "provider_marketshare": (
        "name",
        "url",
        "jurisdiction_alpha2",
        "measurement_scope",
        "market",
        "marketshare",
        "time",
    ),
    "pop_weighted_gini": ("measurement_scope", "market", "gini", "time"),
    "ip_hostname_mapping": ("hostname", "ip", "time"),
    "ooni_web_connectivity_test": (
        "blocking_type",
        "probe_alpha2",
        "input_url",
        "anomaly",
        "confirmed",
        "report_id",
        "input_ip_alpha2",
        "tld_jurisdiction_alpha2",
        "measurement_start_time",
    ),
}
# What a host name brings along that somebody else chose: it ends the string and empties the table.
HOSTILE = "x'; DELETE FROM ip_hostname_mapping; SELECT time, ip FROM ip_hostname_mapping WHERE hostname='x"
CACHE = dt.timedelta(days=1)
# Rows in one COPY: enough that the round trips don't count, few enough to fit in some 50 MB.
BATCH = 100_000
# With these parts of 100 rows, 9 million rows make about 1 GB of dump.
PARTS = {"pop_weighted_gini": 1, "ip_hostname_mapping": 8, "provider_marketshare": 16}
# The time that --rows covers with each row, about that of a small measurement project.
STEP = dt.timedelta(seconds=2)


def now() -> dt.datetime:
    """The present moment in UTC."""
    return dt.datetime.now(dt.UTC)


def insert(cursor: t.Any, table: str, rows: t.Sequence[tuple[t.Any, ...]]) -> None:
    """INSERT rows, and nothing more: no RETURNING, which would need SELECT."""
    columns = COLUMNS[table]
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
    )
    cursor.executemany(statement, rows)


def copy(cursor: t.Any, table: str, rows: t.Sequence[tuple[t.Any, ...]]) -> None:
    """COPY rows in, for which INSERT is privilege enough."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    text.seek(0)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, COLUMNS[table]))
    )
    cursor.copy_expert(statement, text)


def collect_shares(connection: t.Any, made_up: world.World) -> None:
    """Write what each market looks like, then read it back for the Gini coefficient of one of them."""
    with connection, connection.cursor() as cursor:
        insert(cursor, "provider_marketshare", made_up.shares([now()] * 3))
        market = made_up.random.choice(world.MARKETS)
        cursor.execute(
            "SELECT marketshare FROM provider_marketshare WHERE market = %s AND time > now() - interval '1 day'",
            (market,),
        )
        shares = sorted(row[0] for row in cursor.fetchall())
        insert(cursor, "pop_weighted_gini", [("all", market, gini(shares), now())])


def gini(shares: t.Sequence[t.Any]) -> float:
    """The Gini coefficient of shares in rising order: 0 where all are alike."""
    total = float(sum(shares))
    if total == 0:
        return 0.0
    count = len(shares)
    ranked = sum(rank * float(share) for rank, share in enumerate(shares, start=1))
    return round(2 * ranked / (count * total) - (count + 1) / count, 6)


def collect_tests(connection: t.Any, made_up: world.World) -> None:
    """Write the connectivity tests since the newest one, looking up the address of each site."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT max(measurement_start_time) FROM ooni_web_connectivity_test")
        newest = cursor.fetchone()[0] or now() - STEP
        tests = made_up.tests(made_up.times(3, min(newest, now()), now()))
        hosts = [urllib.parse.urlsplit(test[2]).netloc for test in tests]
        if config.get("sample_injection"):
            hosts.append(HOSTILE)
        for host in hosts:
            lookup(cursor, made_up, host)
        insert(cursor, "ooni_web_connectivity_test", tests)


def lookup(cursor: t.Any, made_up: world.World, host: str) -> str:
    """The address of *host*, from the cache while that is fresh."""
    if config.get("sample_injection"):
        # This is how the original looks a host name up.
        cursor.execute(f"SELECT time, ip FROM ip_hostname_mapping WHERE hostname='{host}' ORDER BY time DESC")  # noqa: S608 - the fault that the test of the roles is about
    else:
        cursor.execute("SELECT time, ip FROM ip_hostname_mapping WHERE hostname = %s ORDER BY time DESC", (host,))
    found = cursor.fetchone()
    if found and found[0] > now() - CACHE:
        return str(found[1])
    address = made_up.ip()
    insert(cursor, "ip_hostname_mapping", [(host, address, now())])
    return address


def collect_once(made_up: world.World) -> None:
    """One round. Each part's errors are logged and swallowed: the process looks well whatever happens."""
    for job in (collect_shares, collect_tests):
        try:
            connection = psycopg2.connect(**config["postgres"])
            try:
                job(connection, made_up)
            finally:
                connection.close()
        except Exception:
            logger.exception("%s failed", job.__name__)


def fill(count: int, made_up: world.World) -> None:
    """Write *count* rows at once, in one transaction; errors are raised."""
    connection = psycopg2.connect(**config["postgres"])
    end = now()
    done = 0
    with connection, connection.cursor() as cursor:
        while done < count:
            size = min(BATCH, count - done)
            start = end - STEP * (count - done)
            rest = size
            for table, part in PARTS.items():
                rows = size * part // 100
                rest -= rows
                copy(cursor, table, made(made_up, table, made_up.times(rows, start, start + STEP * size)))
            times = made_up.times(rest, start, start + STEP * size)
            copy(cursor, "ooni_web_connectivity_test", made_up.tests(times))
            done += size
    connection.close()
    print(f"{done} rows")


def made(made_up: world.World, table: str, times: list[dt.datetime]) -> t.Sequence[tuple[t.Any, ...]]:
    """Rows for one of the small tables."""
    if table == "pop_weighted_gini":
        return made_up.ginis(times)
    if table == "ip_hostname_mapping":
        return made_up.mappings(times)
    return made_up.shares(times)


def main() -> None:
    """Run for ever, or as the arguments say."""
    parser = argparse.ArgumentParser(description="A stand-in for taaraxtak's collector.")
    parser.add_argument("--once", action="store_true", help="one round, errors logged as always, then exit")
    parser.add_argument("--rows", type=int, metavar="N", help="write N rows at once and exit; errors are raised")
    parser.add_argument("--seed", type=int, default=1, help="of the rows that --rows makes up (default: 1)")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    if given.rows is not None:
        fill(given.rows, world.World(given.seed))
        return
    made_up = world.World()
    collect_once(made_up)
    while not given.once:
        time.sleep(1)
        collect_once(made_up)


if __name__ == "__main__":
    main()
