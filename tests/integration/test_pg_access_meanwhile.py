"""Somebody else is at work at the same time, or the server is no plain one: nothing is half done, and it is said."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access import enforce, running
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import (
    Host,
    default_policy,
    policed,
    warned,
)

ROUNDS = 50
EXCESS = "SELECT count(*) FROM pg_class, aclexplode(relacl) a WHERE relname = 'provider_marketshare' AND a.grantee = 0"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Host]:
    with policed(tmp_path_factory.mktemp("host")) as one:
        one.sql("CREATE ROLE mallory")
        yield one


def options(host: Host) -> enforce.Options:
    return enforce.Options(check=False, lock_file=str(host.lock_file), hba=False)


def test_a_second_administrator_who_grants_all_the_time_stops_nothing(host):
    stop = threading.Event()
    errors: list[BaseException] = []

    def grant() -> None:
        connection = host.server.connect("taaraxtak")
        try:
            while not stop.is_set():
                with connection.cursor() as cursor:
                    try:
                        cursor.execute("GRANT SELECT, INSERT ON provider_marketshare, measurement TO mallory")
                        cursor.execute("ALTER ROLE grafanareader SET statement_timeout = 0")
                    except Exception as error:
                        if not any(one in str(error) for one in ("tuple concurrently updated", "deadlock detected")):
                            errors.append(error)
                            return
                time.sleep(0.03)
        finally:
            connection.close()

    other = threading.Thread(target=grant)
    other.start()
    changed = 0
    try:
        for _ in range(ROUNDS):
            outcome = enforce.enforce(host.server.login, parse(host.policy), options(host))
            changed += bool(outcome.queries)
    finally:
        stop.set()
        other.join()
    assert errors == []
    assert changed > ROUNDS / 2, "the other one did not come in between"
    host.apply()
    assert host.apply().values["queries"] == []


def in_between(host: Host, monkeypatch: pytest.MonkeyPatch, sql: str) -> list[int]:
    """Have *sql* run before the first statement of the next run; how many statements each try then has."""
    original = running.run
    calls: list[int] = []

    def late(connection, statements, lock_timeout, left):
        if not calls:
            host.sql(sql)
        calls.append(len(statements))
        return original(connection, statements, lock_timeout, left)

    monkeypatch.setattr(enforce, "run", late)
    return calls


def test_a_table_made_between_plan_and_apply_is_under_the_policy_too(host, monkeypatch):
    host.sql("REVOKE SELECT ON provider_marketshare FROM grafanareader")
    # Made by the superuser: no default privilege of the owner's helps, and its owner is wrong.
    calls = in_between(host, monkeypatch, "CREATE TABLE late (a int); GRANT ALL ON late TO PUBLIC")
    outcome = enforce.enforce(host.server.login, parse(host.policy), options(host))
    assert len(calls) == 2, "the first plan had to be rolled back and made anew"
    assert any('"late"' in query for query in outcome.queries)
    late_table = "SELECT relowner::regrole::text, relacl::text ~ '[{,]=' FROM pg_class WHERE relname = 'late'"
    assert host.sql(late_table) == [("taaraxtak_owner", False)]
    assert host.apply().values["queries"] == []
    host.sql("DROP TABLE late")


def test_a_table_dropped_between_plan_and_apply_stops_nothing(host, monkeypatch):
    host.sql("CREATE TABLE short_lived (a int); GRANT ALL ON short_lived TO PUBLIC")
    calls = in_between(host, monkeypatch, "DROP TABLE short_lived")
    enforce.enforce(host.server.login, parse(host.policy), options(host))
    assert calls
    assert host.apply().values["queries"] == []


def test_who_always_wins_is_an_error_and_nothing_is_half_done(host, monkeypatch):
    host.sql("GRANT UPDATE ON provider_marketshare TO PUBLIC")

    def never(*_arguments):
        raise running.MeanwhileError("tuple concurrently updated")

    monkeypatch.setattr(enforce, "run", never)
    monkeypatch.setattr(enforce, "PAUSE", 0)
    with pytest.raises(enforce.StoppedError, match="nothing was changed"):
        enforce.enforce(host.server.login, parse(host.policy), options(host))
    assert host.sql(EXCESS) == [(1,)]
    host.apply()


def test_partitions_attached_later_are_under_the_policy(host):
    host.sql(
        "SET ROLE taaraxtak_owner; CREATE TABLE later (at timestamptz, value int); RESET ROLE;"
        "ALTER TABLE later OWNER TO mallory; GRANT ALL ON later TO PUBLIC;"
        "ALTER TABLE measurement DETACH PARTITION measurement_rest;"
        "ALTER TABLE measurement ATTACH PARTITION later FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"
    )
    host.apply()
    assert host.sql("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'later'") == [("taaraxtak_owner",)]
    insert = "SET transaction_read_only = off; INSERT INTO later VALUES ('2026-01-01', 1)"
    assert host.refused(insert, user="grafanareader") == "42501"
    assert host.refused(insert, user="scraper") is None
    assert host.apply().values["queries"] == []


def test_objects_in_pg_temp_are_nobodys_business(host):
    connection = host.server.connect("taaraxtak")
    try:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE provider_marketshare (a int)")
            cursor.execute("GRANT ALL ON pg_temp.provider_marketshare TO PUBLIC")
        assert host.apply().values["queries"] == []
        assert host.info().values["findings"] == []
    finally:
        connection.close()


def test_a_database_that_accepts_no_connections_is_named_and_the_rest_is_done(host):
    host.sql("CREATE DATABASE closed", database="postgres")
    host.sql("ALTER DATABASE closed ALLOW_CONNECTIONS false", database="postgres")
    host.policy["scope"]["databases"] = ["taaraxtak", "closed"]
    try:
        host.sql("GRANT UPDATE ON provider_marketshare TO PUBLIC")
        result = host.apply(missing_objects="skip")
        assert host.sql(EXCESS) == [(0,)]
        assert any("closed" in one and "accepts no connections" in one for one in warned(result))
        # Its own privileges lie outside of it, and are done.
        assert host.sql("SELECT has_database_privilege('mallory', 'closed', 'CONNECT')") == [(False,)]
        info = host.info()
        assert not info.failed, info.msg
        assert "closed" in json.dumps(info.values["unread"])
    finally:
        host.policy["scope"]["databases"] = ["taaraxtak"]
        host.sql("DROP DATABASE closed", database="postgres")


def test_a_template_database_may_be_in_the_scope(host):
    host.sql("CREATE DATABASE model IS_TEMPLATE true", database="postgres")
    host.sql("CREATE TABLE t (a int); GRANT ALL ON t TO PUBLIC", database="model")
    host.policy["scope"]["databases"] = ["taaraxtak", "model"]
    try:
        host.apply(missing_objects="skip")
        assert host.sql("SELECT relowner::regrole::text FROM pg_class WHERE relname = 't'", database="model") == [
            ("taaraxtak_owner",)
        ]
        assert host.apply(missing_objects="skip").values["queries"] == []
    finally:
        host.policy["scope"]["databases"] = ["taaraxtak"]
        host.sql("ALTER DATABASE model IS_TEMPLATE false", database="postgres")
        host.sql("DROP DATABASE model", database="postgres")


def test_a_standby_is_audited_and_not_changed(tmp_path):
    with ScratchCluster(settings={"hot_standby": "on"}) as cluster:
        host = Host(Server(cluster), default_policy(), tmp_path)
        host.apply(missing_objects="skip")
        host.sql("GRANT CREATE ON SCHEMA public TO PUBLIC")
        cluster.stop()
        (cluster.data / "standby.signal").touch()
        cluster.start()
        assert host.sql("SELECT pg_is_in_recovery()") == [(True,)]

        info = host.info()
        assert not info.failed, info.msg
        assert info.values["findings"]
        refused = host.call(missing_objects="skip")
        assert refused.failed
        assert "standby" in refused.msg
        assert refused.values["queries"] == []
        assert host.apply(check=True, missing_objects="skip").changed


def test_a_run_that_is_killed_leaves_the_old_state_or_the_new_one(host):
    def excess() -> list[t.Any]:
        return host.sql(
            "SELECT (SELECT count(*) FROM pg_class, aclexplode(relacl) a WHERE a.grantee = 0"
            " AND relnamespace = 'public'::regnamespace)"
        )

    seen = set()
    for wait in (0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6):
        host.sql("GRANT UPDATE ON ALL TABLES IN SCHEMA public TO PUBLIC")
        ((before,),) = excess()
        arguments = {**host.server.login, "policy": host.policy, "lock_file": str(host.lock_file), "hba": False}
        code = (
            "import json, sys\nfrom ansible.module_utils.testing import patch_module_args\n"
            "from ansible_collections.taaraxtak.production.plugins.modules import pg_access\n"
            "with patch_module_args(json.load(sys.stdin)): pg_access.main()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(arguments).encode())
        process.stdin.close()
        time.sleep(wait)
        process.kill()
        process.wait()
        ((after,),) = excess()
        assert after in (0, before)
        seen.add(after)
    assert seen
    host.apply()
    assert host.apply().values["queries"] == []
