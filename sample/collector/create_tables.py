# A stand-in for taaraxtak's collector, for tests and `make up`: it measures nothing, its figures are made up.
# Creates the four tables. Run it once: like the original it fails where they are there.
from __future__ import annotations

import psycopg2
from config import config

TABLES = (
    """
    CREATE TABLE provider_marketshare (
        name                    VARCHAR NOT NULL,
        url                     VARCHAR,
        jurisdiction_alpha2     CHAR(2),
        measurement_scope       VARCHAR NOT NULL,
        market                  VARCHAR NOT NULL,
        marketshare             NUMERIC NOT NULL,
        time                    TIMESTAMPTZ NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE pop_weighted_gini (
        measurement_scope       VARCHAR NOT NULL,
        market                  VARCHAR NOT NULL,
        gini                    NUMERIC NOT NULL,
        time                    TIMESTAMPTZ NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE ip_hostname_mapping (
        hostname                VARCHAR NOT NULL,
        ip                      VARCHAR NOT NULL,
        time                    TIMESTAMPTZ NOT NULL
    )
    """,
    """
    CREATE TABLE ooni_web_connectivity_test (
        blocking_type           VARCHAR,
        probe_alpha2            CHAR(2) NOT NULL,
        input_url               VARCHAR NOT NULL,
        anomaly                 BOOLEAN NOT NULL,
        confirmed               BOOLEAN NOT NULL,
        report_id               VARCHAR NOT NULL,
        input_ip_alpha2         CHAR(2),
        tld_jurisdiction_alpha2 CHAR(2),
        measurement_start_time  TIMESTAMPTZ NOT NULL
    )
    """,
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
