"""A dump on its whole way: source, sender and store run as on the hosts, by `python3 -I` from a copy of the folder."""

from __future__ import annotations

import hashlib
import subprocess
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import Hosts

AWKWARD = Path(__file__).with_name("dumps_awkward.sql").read_text(encoding="utf-8")

ROWS = {
    "public.plain": 1000,
    "public.empty": 0,
    "public.no_columns": 7,
    '"Odd.schema"."a.b"': 2,
    'public."with ""quotes"" and \'more\'"': 1,
    'public."two\nlines"': 3,
    'public."evil (a) FROM stdin;"': 1,
    'public."évènement"': 2,
    "public.table": 4,
    "public.ends": 6,
    "public.kinds": 50,
    "public.unlogged": 2,
    "public.parted_25": 1,
    "public.parted_26": 9,
    "public.moods": 90,
    "public.ancestor": 2,
    "public.heir": 3,
    "public.guarded": 2,
}


@pytest.fixture
def hosts(tmp_path: Path, server: Server, database: str) -> Hosts:
    return Hosts(tmp_path, server, database)


@pytest.fixture
def copy_database(server: Server, database: str) -> t.Iterator[str]:
    name = f"{database}_copy"
    server.run(f'CREATE DATABASE "{name}"')
    yield name
    server.run(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_a_dump_arrives_whole_and_its_manifest_counts_every_table(
    hosts: Hosts, server: Server, database: str, copy_database: str
) -> None:
    server.run(AWKWARD, database=database)

    done = hosts.send()

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    data, manifest = hosts.dump()
    trailer = manifest["trailer"]
    assert (manifest["format"], trailer["kind"], trailer["encrypted"]) == (3, "dump", False)
    assert {name: table["rows"] for name, table in trailer["tables"].items()} == ROWS
    assert trailer["via_root"] == ["public.moods"]
    assert trailer["sequences"] == {
        "public.plain_id_seq": {"value": 1000, "called": True},
        "public.\"odd 'one'\"": {"value": 6, "called": True},
    }
    content = data.read_bytes()
    assert (trailer["bytes"], trailer["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert data.name in done.stdout
    assert trailer["sha256"] in done.stdout
    assert DumpName.parse(data.name).database == database
    assert trailer["settings"]["encoding"] == "UTF8"
    assert trailer["statuses"] == {"pg_dump": 0, "zstd": 0}
    hosts.restore(data, copy_database)
    for name, rows in ROWS.items():
        kind = "" if name == "public.moods" else "ONLY"
        # The names in the manifest are SQL, but for words that a version reserves.
        table = '"table"' if name == "public.table" else name
        counted = f"SELECT count(*) FROM {kind} {table}"  # noqa: S608 (the names are the test's own)
        assert server.run(counted, database=copy_database) == [(rows,)]


def test_a_copy_of_the_copy_has_the_same_hashes(
    hosts: Hosts, server: Server, database: str, copy_database: str, tmp_path: Path
) -> None:
    server.run(AWKWARD, database=database)
    assert hosts.send().returncode == 0
    data, manifest = hosts.dump()
    hosts.restore(data, copy_database)
    (tmp_path / "second").mkdir()
    second = Hosts(tmp_path / "second", server, copy_database)

    done = second.send()

    assert done.returncode == 0, done.stderr
    tables, again = manifest["trailer"]["tables"], second.dump()[1]["trailer"]["tables"]
    # Through the partition root rows come in another order.
    assert {name for name in tables if tables[name] != again[name]} <= {"public.moods"}
    assert again["public.moods"]["rows"] == 90


def test_rows_inserted_meanwhile_do_not_disturb_the_count(hosts: Hosts, server: Server, database: str) -> None:
    server.run(
        "CREATE TABLE grows (a text); INSERT INTO grows SELECT md5(i::text) FROM generate_series(1, 200000) i",
        database=database,
    )
    stop = threading.Event()

    def insert() -> None:
        while not stop.is_set():
            server.run("INSERT INTO grows SELECT md5(i::text) FROM generate_series(1, 500) i", database=database)

    writer = threading.Thread(target=insert)
    writer.start()
    try:
        done = hosts.send()
    finally:
        stop.set()
        writer.join()

    assert done.returncode == 0, done.stderr
    rows = hosts.dump()[1]["trailer"]["tables"]["public.grows"]["rows"]
    assert 200000 <= rows <= server.run("SELECT count(*) FROM grows", database=database)[0][0]


def test_timeouts_and_settings_of_role_and_database_do_not_cut_a_dump(
    hosts: Hosts, server: Server, database: str
) -> None:
    server.run(
        "CREATE TABLE kept (a int); INSERT INTO kept SELECT generate_series(1, 200000); "
        # Every statement of pg_dumpall is cut, however fast the machine.
        f"ALTER DATABASE \"{database}\" SET statement_timeout = '1ms'; "
        f"ALTER DATABASE \"{database}\" SET idle_in_transaction_session_timeout = '5ms'; "
        f'ALTER DATABASE "{database}" SET search_path = nowhere; '
        f"ALTER DATABASE \"{database}\" SET datestyle = 'German'",
        database=database,
    )

    done = hosts.send()

    assert done.returncode == 0, done.stderr
    assert hosts.dump()[1]["trailer"]["tables"]["public.kept"]["rows"] == 200000
    assert hosts.globals()[1]["trailer"]["roles"] > 0


def test_a_role_expires_on_the_day_that_the_server_says_whatever_a_database_calls_it(
    hosts: Hosts, server: Server, database: str
) -> None:
    """02.01.2030 would be read as another day by a server that writes months first."""
    server.run(
        "CREATE ROLE expires VALID UNTIL '2030-01-02 00:00:00+00'; CREATE TABLE kept (a int);"
        f"ALTER DATABASE \"{database}\" SET datestyle = 'German'",
        database=database,
    )
    try:
        done = hosts.send()
    finally:
        server.run("DROP ROLE expires")
    assert done.returncode == 0, done.stderr
    text = subprocess.run(["zstd", "-dcq", hosts.globals()[0]], capture_output=True, check=True).stdout.decode()
    assert "VALID UNTIL '2030-01-02 00:00:00+00'" in text


def test_extension_config_tables_are_counted_by_their_condition(hosts: Hosts, server: Server, database: str) -> None:
    # What an extension's script does, done by hand: the extensions that come with a server have no such tables.
    server.run("CREATE EXTENSION pg_trgm", database=database)
    server.run(
        "CREATE TABLE config (a int, own bool); INSERT INTO config SELECT i, i > 10 FROM generate_series(1, 15) i;"
        "CREATE TABLE member (a int); INSERT INTO member VALUES (1);"
        "ALTER EXTENSION pg_trgm ADD TABLE config; ALTER EXTENSION pg_trgm ADD TABLE member;"
        "UPDATE pg_extension SET extconfig = ARRAY['config'::regclass::oid], extcondition = ARRAY['WHERE own']"
        " WHERE extname = 'pg_trgm'",
        database=database,
    )

    done = hosts.send()

    assert done.returncode == 0, done.stderr
    trailer = hosts.dump()[1]["trailer"]
    assert {name: table["rows"] for name, table in trailer["tables"].items()} == {"public.config": 5}
    assert "pg_trgm" in trailer["extensions"]
