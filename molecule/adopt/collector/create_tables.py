# The tables of the collector that counts.
from __future__ import annotations

import psycopg2
from config import config

TABLES = (
    "CREATE TABLE counted (n BIGINT PRIMARY KEY, written_at TIMESTAMPTZ NOT NULL DEFAULT now())",
    "CREATE TABLE measurement (url VARCHAR NOT NULL, anomaly BOOL NOT NULL, time TIMESTAMPTZ NOT NULL DEFAULT now())",
    "CREATE TABLE ip_hostname_mapping (hostname VARCHAR NOT NULL, ip VARCHAR NOT NULL, time TIMESTAMPTZ NOT NULL)",
)


def main() -> None:
    """Create the tables, or none of them."""
    connection = psycopg2.connect(**config["postgres"])
    with connection, connection.cursor() as cursor:
        for statement in TABLES:
            cursor.execute(statement)
    connection.close()


if __name__ == "__main__":
    main()
