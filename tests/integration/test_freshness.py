from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards import settings

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stand_ins"))
import authority

PROGRAM = Path(__file__).resolve().parents[2] / "roles" / "collector" / "files" / "freshness.py"
# A slow machine asks some seconds after the row was made.
DAY_OLD = re.compile("public.a is stale: 864[0-9]{2} s old; the limit is 3600 s")


@pytest.fixture
def look(server, database, tmp_path):
    """Run the program on (table, column, max_age) triples, or with another config; its status and its sentences."""
    postgres = {"host": str(server.cluster.socket), "port": server.cluster.port, "user": "postgres", "dbname": database}

    def call(*tables, config=None, options=(), **more):
        path = tmp_path / "freshness.json"
        entries = [dict(zip(("table", "column", "max_age"), table, strict=True)) for table in tables]
        read = {"postgres": {**postgres, **more}, "tables": entries} if config is None else config
        path.write_text(read if isinstance(read, str) else json.dumps(read))
        done = subprocess.run(
            [sys.executable, str(PROGRAM), *options, str(path)], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.stderr == ""
        return done.returncode, done.stdout.splitlines()

    return call


@pytest.fixture
def sql(server, database):
    return lambda text: server.run(text, database=database)


def test_new_rows_are_fresh(look, sql):
    sql("CREATE TABLE a (at timestamptz); INSERT INTO a VALUES (now() - interval '1 day'), (now() - interval '9 s')")
    status, said = look(("public.a", "at", 60), ("a", "at", 60))
    assert status == 0
    assert len(said) == 2
    assert said[0].startswith("public.a is fresh: ")
    assert said[0].endswith("the limit is 60 s")


def test_old_rows_are_stale_and_named_with_their_age(look, sql):
    sql("CREATE TABLE a (at timestamptz); INSERT INTO a VALUES (now() - interval '1 day')")
    sql("CREATE TABLE b (at timestamptz); INSERT INTO b VALUES (now())")
    status, said = look(("public.b", "at", 60), ("public.a", "at", 3600))
    assert status == 1
    assert said[0].startswith("public.b is fresh")
    assert DAY_OLD.fullmatch(said[1])


def test_as_json_it_says_the_same_with_a_sentence_that_stays(server, database, sql, tmp_path):
    sql("CREATE TABLE a (at timestamptz); INSERT INTO a VALUES (now() - interval '1 day'); CREATE TABLE b (at int)")
    postgres = {"host": str(server.cluster.socket), "port": server.cluster.port, "user": "postgres", "dbname": database}
    tables = [{"table": f"public.{name}", "column": "at", "max_age": 3600} for name in "abc"]

    def call(**more):
        (tmp_path / "x.json").write_text(json.dumps({"postgres": {**postgres, **more}, "tables": tables}))
        command = [sys.executable, str(PROGRAM), "--json", str(tmp_path / "x.json")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, json.loads(done.stdout)

    status, said = call()
    assert (status, said["why"]) == (2, "")
    assert [(one["about"], one["state"]) for one in said["outcomes"]] == [
        ("table public.a", "stale"),
        ("table public.b", "unknown"),
        ("table public.c", "unknown"),
    ]
    assert DAY_OLD.fullmatch(said["outcomes"][0]["sentence"])
    assert said["outcomes"][0]["steady"] == "public.a is stale: the limit is 3600 s"
    status, said = call(port=1)
    assert (status, said["outcomes"]) == (2, [])
    assert "refused" in said["why"] or "No such file" in said["why"]


def test_since_a_time_only_a_row_of_after_it_is_fresh(look, sql):
    """However young the newest one is: what was written before a change proves nothing of after it."""
    sql("CREATE TABLE a (at timestamptz); INSERT INTO a VALUES (now())")
    ((since,),) = sql("SELECT extract(epoch FROM clock_timestamp())")
    asked = {"options": ["--since", str(since)]}
    assert look(("a", "at", 93600))[0] == 0
    assert look(("a", "at", 93600), **asked)[0] == 1
    sql("INSERT INTO a VALUES (clock_timestamp() + interval '1 s')")
    assert look(("a", "at", 0.001), **asked)[0] == 0


def test_whether_rows_may_be_added_is_known_without_adding_one(look, sql, server):
    role = f"writer_{os.getpid()}"
    sql(f"CREATE ROLE {role} LOGIN; CREATE TABLE a (n bigserial, at timestamptz NOT NULL); CREATE TABLE b (at date)")
    sql(f"GRANT INSERT ON a, b TO {role}; GRANT USAGE ON SEQUENCE a_n_seq TO {role}")
    asked = {"options": ["--may-write"], "user": role}
    try:
        assert look(("public.a", "at", 60), ("b", "at", 60), **asked) == (0, ["public.a takes rows", "b takes rows"])
        assert sql("SELECT (SELECT count(*) FROM a), is_called FROM a_n_seq") == [(0, False)]
        sql(f"REVOKE INSERT ON b FROM {role}; REVOKE USAGE ON SEQUENCE a_n_seq FROM {role}")
        status, said = look(("public.a", "at", 60), ("b", "at", 60), ("c", "at", 60), **asked)
        assert said[0] == "public.a takes no rows: no use of public.a_n_seq"
        assert said[1] == "b takes no rows: permission denied for table b"
        assert "could not be looked at" in said[2]
        assert status == 2
    finally:
        sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_an_empty_table_is_stale(look, sql):
    sql("CREATE TABLE a (at timestamptz)")
    assert look(("public.a", "at", 60)) == (1, ["public.a is stale: it has no row; the limit is 60 s"])


def test_a_timestamp_without_time_zone_is_utc(look, sql, server, database):
    server.run(f"ALTER DATABASE \"{database}\" SET timezone = 'Asia/Tehran'")
    sql("CREATE TABLE a (at timestamp); INSERT INTO a VALUES (now() AT TIME ZONE 'UTC' - interval '100 s')")
    assert look(("public.a", "at", 200))[0] == 0
    assert look(("public.a", "at", 50))[0] == 1


def test_a_row_of_the_future_does_not_count_as_fresh(look, sql):
    sql("CREATE TABLE a (at timestamptz); INSERT INTO a VALUES (now() + interval '1 day')")
    status, said = look(("public.a", "at", 60))
    assert status == 1
    assert "in the future" in said[0]


@pytest.mark.parametrize("when", ["now() + interval '1 hour'", "'infinity'", "'-infinity'"])
@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
def test_one_row_with_a_wrong_date_hides_nothing_and_alarms_nobody(look, sql, when, kind):
    """A date's last row may be of midnight: so a day is allowed."""
    when = when.replace("hour", "week") if kind == "date" else when
    sql(f"CREATE TABLE a (at {kind}); INSERT INTO a VALUES ({when}), (now() - interval '5 days')")  # noqa: S608 (made up)
    status, said = look(("public.a", "at", 2 * 86400))
    assert status == 1
    assert "public.a is stale: 4" in said[0] or "public.a is stale: 5" in said[0]
    sql("INSERT INTO a VALUES (now())")
    assert look(("public.a", "at", 2 * 86400))[0] == 0


def test_a_clock_that_is_a_little_ahead_counts(look, sql):
    sql("CREATE TABLE a (at timestamptz); INSERT INTO a VALUES (now() + interval '2 minutes')")
    assert look(("public.a", "at", 60))[0] == 0


def test_an_index_serves_the_question(server, database, sql):
    """On a large table nothing else answers in time."""
    sql("CREATE TABLE a (at timestamptz); CREATE INDEX ON a (at); INSERT INTO a VALUES (now())")
    asked = settings.lateness([{"table": "public.a", "column": "at", "max_age": 60}])
    # One entry is read: Limit over an index's scan.
    assert "Limit" in str(server.run(f"SET enable_seqscan = off; EXPLAIN {asked}", database=database))


def test_the_alert_and_the_collectors_check_allow_the_same():
    assert f'AHEAD = "{settings.AHEAD}"' in PROGRAM.read_text()


def late(server, database, tables):
    return {row[1]: float(row[2]) for row in server.run(settings.lateness(tables), database=database)}


@pytest.mark.parametrize("when", ["now() + interval '1 week'", "'infinity'", "'-infinity'"])
@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
def test_the_alert_is_not_silenced_by_one_row_with_a_wrong_date(server, database, sql, when, kind):
    tables = [{"table": "public.a", "column": "at", "max_age": 2 * 86400}]
    sql(f"CREATE TABLE a (at {kind}); INSERT INTO a VALUES ({when})")  # noqa: S608 (made up)
    assert late(server, database, tables)["public.a"] > 1e8, "there is no other row"
    sql("INSERT INTO a VALUES (now() - interval '5 days')")
    assert 86400 < late(server, database, tables)["public.a"] < 1e8
    sql("INSERT INTO a VALUES (now())")
    assert late(server, database, tables)["public.a"] < 0


@pytest.mark.parametrize(("days", "status"), [(20, 1), (22, 0), (-1, 1)])
def test_a_certificate_that_ends_soon_is_told_while_all_is_fresh(look, sql, tmp_path, days, status):
    sql("CREATE TABLE a (at timestamptz); INSERT INTO a VALUES (now())")
    held = tmp_path / "scraper.crt"
    held.write_text(authority.Authority().leaf(authority.new_key(), "scraper", days=days))
    told, said = look(("public.a", "at", 60), sslcert=str(held))
    assert told == status
    assert f"{held} {'ends on' if status else 'is valid until'} " in said[0]
    assert said[1].startswith("public.a is fresh")


def test_a_certificate_that_is_none_is_told(look, sql, tmp_path):
    sql("CREATE TABLE a (at timestamptz); INSERT INTO a VALUES (now())")
    (tmp_path / "empty.crt").write_text("")
    for name, why in (("empty.crt", "it is no certificate"), ("missing.crt", "No such file")):
        told, said = look(("public.a", "at", 60), sslcert=str(tmp_path / name))
        assert told == 2
        assert why in said[0]


def test_the_servers_own_certificate_is_asked_for(look, tmp_path):
    """What speaks here is no PostgreSQL, and goes away after TLS: the certificate is told all the same."""
    made, key = authority.Authority(), authority.new_key()
    for name, content in {"server.crt": made.issue(key, "db.test", days=7), "server.key": authority.pem(key)}.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "ca.crt").write_text(authority.text(made.root))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=(listener, context), daemon=True).start()
        port = listener.getsockname()[1]
        told, said = look(("public.a", "at", 60), host="127.0.0.1", port=port, sslrootcert=str(tmp_path / "ca.crt"))
    assert told == 2
    assert said[0].startswith(f"{tmp_path}/ca.crt is valid until ")
    assert said[1].startswith(f"what 127.0.0.1:{port} shows ends on ")
    assert said[2].startswith("could not look: ")


def answer(listener: socket.socket, context: ssl.SSLContext) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            with suppress(OSError), client:
                client.recv(8)  # SSLRequest
                client.sendall(b"S")
                context.wrap_socket(client, server_side=True).close()


def test_names_are_quoted(look, sql):
    sql('CREATE TABLE "A b""; DROP" ("At" timestamptz); INSERT INTO "A b""; DROP" VALUES (now())')
    assert look(('public.A b"; DROP', "At", 60))[0] == 0


def test_what_cannot_be_looked_at_wins_and_the_rest_is_still_said(look, sql):
    sql("CREATE TABLE a (at timestamptz, n int); INSERT INTO a VALUES (now())")
    sql("CREATE TABLE b (at timestamptz)")
    tables = [("public.c", "at", 60), ("public.a", "nothing", 60), ("public.a", "n", 60)]
    status, said = look(*tables, ("public.b", "at", 60), ("public.a", "at", 60))
    assert status == 2
    assert [line.split(":")[0] for line in said] == [
        "public.c could not be looked at",
        "public.a could not be looked at",
        "public.a could not be looked at",
        "public.b is stale",
        "public.a is fresh",
    ]


def test_a_missing_privilege_is_no_staleness(look, sql, server):
    sql("CREATE TABLE a (at timestamptz)")
    server.run("DROP ROLE IF EXISTS freshness_test; CREATE ROLE freshness_test LOGIN")
    status, said = look(("public.a", "at", 60), user="freshness_test")
    server.run("DROP ROLE freshness_test")
    assert (status, said) == (2, ["public.a could not be looked at: permission denied for table a"])


def test_no_server_is_said(look, tmp_path):
    status, said = look(("public.a", "at", 60), host=str(tmp_path))
    assert status == 2
    assert said[0].startswith("could not look: ")


GOOD = {"table": "a", "column": "at", "max_age": 1}


@pytest.mark.parametrize(
    "config",
    [
        "{",
        "[]",
        {"tables": [GOOD]},
        {"postgres": {}},
        {"postgres": {}, "tables": []},
        {"postgres": {}, "tables": ["a"]},
        {"postgres": {}, "tables": [{**GOOD, "table": "a.b.c"}]},
        {"postgres": {}, "tables": [{**GOOD, "table": None}]},
        {"postgres": {}, "tables": [{**GOOD, "column": ""}]},
        {"postgres": {}, "tables": [{**GOOD, "max_age": 0}]},
        {"postgres": {}, "tables": [{**GOOD, "max_age": True}]},
        {"postgres": {"no_such_option": 1}, "tables": [GOOD]},
        {"postgres": {"port": []}, "tables": [GOOD]},
    ],
)
def test_a_bad_config_is_said_and_is_no_staleness(look, config):
    status, said = look(config=config)
    assert status == 2
    assert len(said) == 1
    assert said[0].startswith("could not look: ")


def test_no_config_is_said(tmp_path):
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path / "x")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "can't be read: No such file or directory" in done.stdout
