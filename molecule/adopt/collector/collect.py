# A collector that numbers its rows without a gap and says each number once it is written: so a lost row is seen.
# Like the original it writes all the time, logs its errors and goes on. Told to end, it ends between two rows.
from __future__ import annotations

import signal
import time
import typing as t

import psycopg2
from config import config

ROW_S = 0.1
ended: list[int] = []


def write(connection: t.Any) -> int:
    """Write the next row, in one transaction with a measurement; its number."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(n), 0) + 1 FROM counted")
        (number,) = cursor.fetchone()
        cursor.execute("INSERT INTO counted (n) VALUES (%s)", (number,))
        cursor.execute("INSERT INTO measurement (url, anomaly) VALUES (%s, %s)", (f"https://{number}.test/", False))
        cursor.execute("INSERT INTO ip_hostname_mapping VALUES (%s, %s, now())", (f"{number}.test", "192.0.2.1"))
    return int(number)


def main() -> None:
    """Run until somebody ends it."""
    signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    connection = None
    while not ended:
        try:
            connection = connection or psycopg2.connect(**config["postgres"])
            print(f"wrote {write(connection)}", flush=True)
        except psycopg2.Error as error:
            print(f"ERROR {error}", flush=True)
            connection = None
        time.sleep(ROW_S)


if __name__ == "__main__":
    main()
