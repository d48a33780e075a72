"""A dump that waits for another session's locks: it holds what the tables hold once it has them, not before."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.postgres import Snapshot
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import Hosts, until


@pytest.fixture
def hosts(tmp_path: Path, server: Server, database: str) -> Hosts:
    return Hosts(tmp_path, server, database)


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        ("ALTER TABLE kept ALTER a TYPE bigint", {"public.kept": 1000}),
        ("TRUNCATE kept; INSERT INTO kept SELECT generate_series(1, 900)", {"public.kept": 900}),
        ("LOCK kept; CREATE TABLE other AS SELECT generate_series(1, 5)", {"public.kept": 1000, "public.other": 5}),
        ("ALTER TABLE kept RENAME TO renamed", {"public.renamed": 1000}),
        ("ALTER TABLE kept SET SCHEMA moved", {"moved.kept": 1000}),
        ("DROP TABLE kept", {}),
        ("DROP TABLE kept; CREATE TABLE kept AS SELECT generate_series(1, 7) AS a", {"public.kept": 7}),
    ],
)
def test_what_commits_while_the_dump_waits_is_in_it(
    hosts: Hosts, server: Server, database: str, change: str, rows: dict[str, int]
) -> None:
    server.run(
        "CREATE SCHEMA moved; CREATE TABLE kept (a int); INSERT INTO kept SELECT generate_series(1, 1000)",
        database=database,
    )
    holder = server.connect(database)
    try:
        with holder.cursor() as cursor:
            cursor.execute(f"BEGIN; {change}")
            sender = hosts.start()
            until(hosts.waits_for_a_lock, "the dump to wait for the lock")
            cursor.execute("COMMIT")
    finally:
        holder.close()
    out, err = sender.communicate(timeout=60)

    assert sender.returncode == 0, (out, err)
    counted = hosts.dump()[1]["trailer"]["tables"]
    assert {name: table["rows"] for name, table in counted.items()} == rows


def test_tables_that_never_stand_still_are_no_dump(
    server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, made = Snapshot._lock, []

    def migrate(self: Snapshot, *given: object) -> None:
        made.append(f"made_{len(made)}")
        server.run(f"CREATE TABLE {made[-1]} ()", database=database)
        real(self, *given)

    monkeypatch.setattr(Snapshot, "_lock", migrate)
    with pytest.raises(DumpError, match="dump again when no migration runs"):
        Snapshot(
            database=database,
            socket=str(server.cluster.socket),
            port=server.cluster.port,
            role="postgres",
            lock_wait_timeout=5,
        )
    assert len(made) == 5
    asked = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'taaraxtak dump' AND datname = %s"
    until(lambda: not server.run(asked, values=[database]), "the session to end")
