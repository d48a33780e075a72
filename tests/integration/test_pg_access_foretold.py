"""What the server would refuse is said before anything is changed, in check mode too."""

from __future__ import annotations

import typing as t
from pathlib import Path

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.enforce import Options, Outcome, enforce
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.servers import bindir, every_server  # noqa: F401

DATABASE = "foretold"
ACCEPTED: list[dict[str, t.Any]] = [
    {"work_mem": "64MB"},
    {"work_mem": 64},
    {"search_path": 'nope, "$user"'},
    {"search_path": []},
    {"search_path": ["a,b", 'c"d']},
    {"datestyle": "ISO, DMY"},
    {"seq_page_cost": 1.5},
    {"statement_timeout": "1ms", "idle_in_transaction_session_timeout": "1ms", "lock_timeout": "1ms"},
    {"default_transaction_read_only": True},
    {"log_statement": "ALL"},
    {"client_encoding": "latin1"},
    # Of an extension that isn't loaded.
    {"a.b": "x", "pg_stat_statements.track": "all"},
    # The server takes note of these, there or not.
    {"role": "nope"},
    {"default_text_search_config": "nope"},
    {"temp_tablespaces": ["nope"]},
    {"default_tablespace": "nope"},
]
REFUSED = [
    ({"no_such_setting": "1"}, "no_such_setting"),
    ({"work_mem": "nonsense"}, "work_mem"),
    ({"work_mem": "-5"}, "work_mem"),
    ({"max_connections": "10"}, "max_connections"),
    ({"log_connections": "on"}, "log_connections"),
    ({"timezone": "Nowhere/X"}, "timezone"),
    ({"is_superuser": "on"}, "is_superuser"),
    ({"datestyle": "ISO", "jit": "perhaps"}, "jit"),
]


def policy(**parts: t.Any) -> dict[str, t.Any]:
    return {
        **{"version": 1, "scope": {"databases": [DATABASE], "schemas": ["public"]}, "mode": "authoritative"},
        **{"roles": {"ft_role": {}}},
        **parts,
    }


def run(server: Server, folder: Path, written: dict[str, t.Any], *, check: bool = False) -> Outcome:
    options = Options(check=check, lock_file=str(folder / "lock"), hba=False)
    return enforce(server.login, parse(written), options)


@pytest.fixture
def server_of(every_server: Server) -> t.Iterator[Server]:  # noqa: F811
    yield every_server
    every_server.run(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    every_server.run("DROP ROLE IF EXISTS ft_role")
    every_server.run("ALTER ROLE ALL RESET ALL")


def untouched(server: Server) -> bool:
    databases = server.run("SELECT FROM pg_database WHERE datname = 'foretold'")
    return databases + server.run("SELECT FROM pg_roles WHERE rolname = 'ft_role'") == []


def test_a_setting_that_the_server_refuses_is_said_before_anything_is_changed(server_of, tmp_path):
    for settings, name in REFUSED:
        for written, where in (
            (policy(roles={"ft_role": {"settings": settings}}), "roles.ft_role.settings."),
            (policy(database_settings={"*": settings}), "database_settings.*."),
            (
                policy(roles={"ft_role": {"database_settings": {DATABASE: settings}}}),
                f"roles.ft_role.database_settings.{DATABASE}.",
            ),
        ):
            for check in (True, False):
                with pytest.raises(ValueError, match=name) as caught:
                    run(server_of, tmp_path, written, check=check)
                assert str(caught.value).startswith(where + name), settings
            assert untouched(server_of), settings


@pytest.mark.parametrize(("settings", "name"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_said_to_be_refused_is_refused(every_server, settings, name):  # noqa: F811
    with pytest.raises(psycopg2.Error, match=f"(?i){name}"):
        every_server.run(f"ALTER ROLE ALL SET {name} TO '{settings[name]}'")


def test_a_setting_that_the_server_takes_is_set(server_of, tmp_path):
    for settings in ACCEPTED:
        written = policy(roles={"ft_role": {"settings": settings}})
        foretold = run(server_of, tmp_path, written, check=True)
        assert run(server_of, tmp_path, written).queries == foretold.queries, settings
        assert run(server_of, tmp_path, written).queries == (), settings


def test_trying_a_setting_is_assigned_no_transaction_id(server_of, tmp_path):
    written = policy(roles={"ft_role": {"settings": {"work_mem": "64MB", "transaction_read_only": "on", "a.b": "x"}}})
    before = server_of.run("SELECT pg_snapshot_xmax(pg_current_snapshot())")
    run(server_of, tmp_path, written, check=True)
    assert server_of.run("SELECT pg_snapshot_xmax(pg_current_snapshot())") == before


def test_a_role_of_another_version_is_said_before_anything_is_changed(server_of, tmp_path):
    for written in (
        policy(grants=[{"to": "pg_of_tomorrow", "on": {"database": DATABASE}, "privileges": "connect"}]),
        policy(roles={"ft_role": {"member_of": "pg_of_tomorrow"}}),
    ):
        for check in (True, False):
            with pytest.raises(ValueError, match="no role of this server: pg_of_tomorrow"):
                run(server_of, tmp_path, written, check=check)
        assert untouched(server_of)


def test_a_secret_in_a_setting_is_shown_nowhere(server_of, tmp_path):
    def all_of(outcome: Outcome) -> str:
        return repr([(one.before, one.after) for one in outcome.statements]) + repr(outcome.queries) + repr(outcome)

    for value in ("hush-1", "hush-2"):
        written = policy(roles={"ft_role": {"settings": {"app.jwt_secret": value}}})
        for check in (True, False):
            assert "hush" not in all_of(run(server_of, tmp_path, written, check=check))
        assert server_of.run("SELECT setconfig FROM pg_db_role_setting JOIN pg_roles r ON r.oid = setrole") == [
            ([f"app.jwt_secret={value}"],)
        ]
        assert run(server_of, tmp_path, written).queries == ()
    done = run(server_of, tmp_path, policy())
    assert done.queries
    assert "hush" not in all_of(done)


def test_a_password_that_has_run_out_works_again(server_of, tmp_path):
    server_of.run("CREATE ROLE ft_role LOGIN PASSWORD 'x' VALID UNTIL '2020-01-01'")
    written = policy(roles={"ft_role": {"login": True}})
    foretold = run(server_of, tmp_path, written, check=True)
    done = run(server_of, tmp_path, written)
    assert done.queries == foretold.queries
    assert "ALTER ROLE \"ft_role\" VALID UNTIL 'infinity'" in done.queries
    assert server_of.run("SELECT rolvaliduntil::text FROM pg_authid WHERE rolname = 'ft_role'") == [("infinity",)]
    assert run(server_of, tmp_path, written).queries == ()
    server_of.run("ALTER ROLE ft_role VALID UNTIL '2020-01-01'")
    assert run(server_of, tmp_path, {**written, "mode": "additive"}).queries == ()
