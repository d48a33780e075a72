from __future__ import annotations

import os
import shutil

import pytest
from ansible_collections.taaraxtak.production.tests.integration.conftest import run_module

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root may log in as somebody else")


# Good for the server's grammar, and no server starts with it: its log can't be opened.
NO_START = {"logging_collector": True, "log_directory": "/proc/none"}


@pytest.fixture
def conf(fresh_server):
    """The file of a server whose postgresql.conf includes the folder conf.d, as Debian's does."""
    cluster = fresh_server.cluster
    with (cluster.data / "postgresql.conf").open("a") as file:
        file.write("include_dir = 'conf.d'\n")
    folder = cluster.data / "conf.d"
    folder.mkdir()
    if cluster.user is not None:
        shutil.chown(folder, cluster.user)
    return folder / "taaraxtak.conf"


@pytest.fixture
def run(fresh_server, conf, tmp_path):
    """Run the module; pg_ctl restarts the server as systemd would."""
    cluster = fresh_server.cluster
    restart = tmp_path / "restart.py"
    restart.write_text(
        "import subprocess, sys\n"
        f"sys.exit(subprocess.run(['{cluster.bindir}/pg_ctl', 'restart', '--wait', '--timeout', '10',\n"
        f"    '--pgdata', '{cluster.data}', '--log', '{cluster.folder}/log'], user={cluster.user!r}, cwd='/',\n"
        "    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode)\n"
    )
    command = ["/usr/bin/env", "python3", str(restart)]

    def call(settings, *, check=False, **more):
        arguments = {**fresh_server.login, "path": str(conf), "settings": settings, "restart_command": command, **more}
        return run_module("pg_settings", arguments, check=check, diff=True)

    return call


def show(server, name):
    return server.run(f"SHOW {name}")[0][0]


def test_a_new_session_sees_the_values_and_a_second_run_changes_nothing(fresh_server, run, conf):
    settings = {"work_mem": "16384kB", "log_connections": True, "a.b": r"it's \ here"}
    first = run(settings)
    assert not first.failed, first.msg
    assert (first.changed, first.values["reloaded"], first.values["restarted"]) == (True, True, False)
    assert (show(fresh_server, "work_mem"), show(fresh_server, "log_connections")) == ("16MB", "on")
    assert show(fresh_server, "a.b") == r"it's \ here"
    assert first.values["diff"]["before"] == ""
    assert first.values["diff"]["after"] == conf.read_text()
    before = conf.stat()
    again = run(settings)
    assert (again.failed, again.changed, again.values["reloaded"]) == (False, False, False)
    assert conf.stat() == before


def test_a_new_file_is_its_folders_owners_and_a_known_one_stays_its_owners(fresh_server, run, conf):
    assert run({"work_mem": "5MB"}).changed
    status = conf.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (
        conf.parent.stat().st_uid,
        conf.parent.stat().st_gid,
        0o644,
    )
    if os.geteuid() == 0:
        os.chown(conf, 0, 0)
        assert run({"work_mem": "6MB"}).changed
        assert (conf.stat().st_uid, conf.stat().st_gid) == (0, 0)
    assert sorted(os.listdir(conf.parent)) == [f".{conf.name}.started", conf.name]  # noqa: PTH208 - hidden files count too


def test_a_setting_that_is_left_out_goes_back_to_its_default(fresh_server, run):
    assert run({"work_mem": "16MB"}).changed
    assert run({}).changed
    assert show(fresh_server, "work_mem") == "4MB"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"work_mem": "much"}, 'invalid value for parameter "work_mem": "much"'),
        ({"max_connections": "many"}, 'invalid value for parameter "max_connections": "many"'),
        ({"max_connections": 99999999}, "99999999 is outside the valid range"),
        ({"no_such_setting": 1}, "no_such_setting = '1'"),
        ({"block_size": 4096}, 'parameter "block_size" cannot be changed'),
        ({"fsync": "perhaps"}, 'parameter "fsync" requires a Boolean value'),
    ],
)
def test_what_the_server_would_refuse_leaves_the_old_file(fresh_server, run, conf, settings, says):
    assert run({"work_mem": "16MB"}).changed
    text, before, loaded = conf.read_text(), conf.stat().st_mtime_ns, fresh_server.run("SELECT pg_conf_load_time()")
    result = run({"work_mem": "8MB", **settings})
    assert result.failed
    assert says in result.msg
    assert "Nothing was changed" in result.msg
    assert (conf.read_text(), conf.stat().st_mtime_ns) == (text, before)
    assert fresh_server.run("SELECT pg_conf_load_time()") == loaded
    assert not run({"work_mem": "16MB"}).changed


def test_a_first_file_that_is_refused_is_taken_away(run, conf):
    assert run({"no_such_setting": 1}).failed
    assert list(conf.parent.iterdir()) == []


def test_a_restart_that_is_not_allowed_is_told(fresh_server, run):
    result = run({"max_connections": 33, "work_mem": "8MB"})
    assert (result.failed, result.changed, result.values["restarted"]) == (False, True, False)
    assert result.values["pending_restart"] == ["max_connections"]
    assert "max_connections: a restart of the server must come first" in str(result.values["warnings"])
    assert (show(fresh_server, "max_connections"), show(fresh_server, "work_mem")) == ("100", "8MB")
    again = run({"max_connections": 33, "work_mem": "8MB"})
    assert (again.changed, again.values["pending_restart"]) == (False, ["max_connections"])


def test_a_bad_value_is_found_while_another_waits_for_a_restart(fresh_server, run):
    assert run({"max_connections": 33}).values["pending_restart"] == ["max_connections"]
    result = run({"max_connections": "many"})
    assert result.failed
    assert "max_connections" in result.msg


def test_a_restart_that_is_allowed_is_made_only_when_needed(fresh_server, run):
    started = fresh_server.run("SELECT pg_postmaster_start_time()")
    assert run({"work_mem": "8MB"}, restart_allowed=True).values["restarted"] is False
    assert fresh_server.run("SELECT pg_postmaster_start_time()") == started
    result = run({"work_mem": "8MB", "max_connections": 33}, restart_allowed=True)
    assert not result.failed, result.msg
    assert (result.values["restarted"], result.values["pending_restart"]) == (True, [])
    assert show(fresh_server, "max_connections") == "33"
    assert not run({"work_mem": "8MB", "max_connections": 33}, restart_allowed=True).changed


def test_a_restart_that_was_not_allowed_is_made_up_for(fresh_server, run):
    assert run({"max_connections": 33}).changed
    result = run({"max_connections": 33}, restart_allowed=True)
    assert (result.changed, result.values["restarted"], result.values["reloaded"]) == (True, True, False)
    assert show(fresh_server, "max_connections") == "33"


def test_a_server_that_does_not_start_gets_its_old_file_back(fresh_server, run, conf):
    assert run({"max_connections": 33}, restart_allowed=True).changed
    text = conf.read_text()
    result = run({"max_connections": 33, **NO_START}, restart_allowed=True)
    assert result.failed
    assert "The old file was put back and the server restarted with it" in result.msg
    assert conf.read_text() == text
    assert show(fresh_server, "max_connections") == "33"
    assert show(fresh_server, "logging_collector") == "off"


@pytest.mark.parametrize("first", [{}, {"max_connections": 33}, None])
def test_a_server_that_does_not_start_with_an_earlier_runs_file_gets_the_last_good_one(fresh_server, run, conf, first):
    if first is not None:
        assert not run(first, restart_allowed=True).failed
    text = conf.read_text() if first else None
    waits = run({"work_mem": "8MB", **NO_START})
    assert (waits.failed, waits.values["pending_restart"][0]) == (False, "logging_collector")
    result = run({"work_mem": "8MB", **NO_START}, restart_allowed=True)
    assert result.failed
    assert "The old file was put back and the server restarted with it" in result.msg
    assert show(fresh_server, "logging_collector") == "off"
    if text is not None:
        assert conf.read_text() == text
    kept = conf.with_name(f".{conf.name}.started")
    assert (kept.stat().st_uid, kept.stat().st_mode & 0o777) == (conf.parent.stat().st_uid, 0o644)
    again = run(first or {}, restart_allowed=True)
    assert (again.failed, again.values["restarted"]) == (False, False)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("name", ["shared", "session", "local"])
def test_a_library_that_is_not_there_is_never_written_down(fresh_server, run, conf, name, check):
    result = run({f"{name}_preload_libraries": "plpgsql, nope" if name != "local" else "nope"}, check=check)
    assert result.failed
    assert "nope can't be preloaded: " in result.msg
    assert "Nothing was changed" in result.msg
    assert list(conf.parent.iterdir()) == []


def test_a_library_that_is_there_is_preloaded(fresh_server, run):
    result = run({"shared_preload_libraries": "plpgsql"}, restart_allowed=True)
    assert not result.failed, result.msg
    assert show(fresh_server, "shared_preload_libraries") == "plpgsql"


@pytest.mark.parametrize("check", [True, False])
def test_a_file_that_is_not_there_is_never_written_down(fresh_server, run, conf, check):
    result = run({"ssl": True, "ssl_cert_file": "/none/cert.pem", "ssl_key_file": "PG_VERSION"}, check=check)
    assert result.failed
    assert "ssl_cert_file = '/none/cert.pem': there is no such file. Nothing was changed" in result.msg
    assert "ssl_key_file" not in result.msg
    assert not conf.exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"max_connections": 100},
        {"shared_buffers": "128MB"},
        {"shared_buffers": 16384},
        {"wal_level": "REPLICA"},
        {"hot_standby": True},
        {"wal_buffers": -1},
        {"shared_preload_libraries": ""},
        {"max_connections": 101},
        {"shared_buffers": "129MB"},
        {"wal_level": "logical"},
    ],
)
def test_what_check_mode_foretells_comes_true(run, settings):
    foretold = run(settings, check=True).values["pending_restart"]
    assert foretold == run(settings).values["pending_restart"]
    taken_out = run({}, check=True).values["pending_restart"]
    assert taken_out == run({}).values["pending_restart"]


def test_a_server_that_is_not_there_yet_is_foretold_with_all_keys(run, conf):
    result = run({"work_mem": "8MB"}, check=True, login_unix_socket="/none")
    assert (result.failed, result.changed, result.values["path"]) == (False, True, str(conf))
    assert (result.values["reloaded"], result.values["restarted"], result.values["pending_restart"]) == (
        False,
        False,
        [],
    )


def test_a_run_that_ended_before_the_reload_is_finished_by_the_next(fresh_server, run, conf):
    settings = {"work_mem": "16MB"}
    assert run(settings).changed
    written = conf.read_text()
    assert run({"work_mem": "8MB"}).changed
    # As after a run that wrote the file and was killed.
    conf.write_text(written)
    foretold = run(settings, check=True)
    assert (foretold.changed, foretold.values["reloaded"]) == (True, True)
    assert show(fresh_server, "work_mem") == "8MB"
    result = run(settings)
    assert (result.changed, result.values["reloaded"]) == (True, True)
    assert show(fresh_server, "work_mem") == "16MB"
    assert not run(settings).changed


def test_alter_system_is_named_and_nothing_changed(fresh_server, run, conf):
    assert run({"work_mem": "8MB"}).changed
    fresh_server.run("ALTER SYSTEM SET work_mem = '1MB'")
    assert "ALTER SYSTEM RESET work_mem" in run({"work_mem": "8MB"}).msg
    assert "ALTER SYSTEM RESET work_mem" in run({"work_mem": "8MB"}, check=True).msg
    text = conf.read_text()
    result = run({"work_mem": "9MB"})
    assert result.failed
    assert "work_mem is set to '1MB' in" in result.msg
    assert conf.read_text() == text
    fresh_server.run("ALTER SYSTEM RESET work_mem")
    assert not run({"work_mem": "9MB"}).failed
    assert show(fresh_server, "work_mem") == "9MB"


def test_a_later_file_is_named(run, conf):
    later = conf.with_name("z.conf")
    later.write_text("work_mem = '2MB'\n")
    later.chmod(0o644)
    result = run({"work_mem": "9MB"})
    assert result.failed
    assert f"take it out of {later}" in result.msg


def test_the_command_line_is_named(run):
    # The scratch cluster is started with -c fsync=off.
    result = run({"fsync": True})
    assert result.failed
    assert "fsync is set by the server's command line" in result.msg


def test_a_setting_of_the_login_role_overrides_nothing(fresh_server, run):
    fresh_server.run("ALTER ROLE postgres SET work_mem = '1MB'")
    assert not run({"work_mem": "9MB"}).failed
    fresh_server.run("CREATE ROLE other LOGIN")
    assert fresh_server.run("SHOW work_mem", user="other") == [("9MB",)]


def test_an_error_in_another_file_is_named(fresh_server, run, conf):
    with (fresh_server.cluster.data / "postgresql.conf").open("a") as file:
        file.write("this is no setting\n")
    result = run({"work_mem": "9MB"})
    assert result.failed
    assert "postgresql.conf line" in result.msg
    assert "syntax error" in result.msg
    assert not conf.exists()


def test_a_file_that_the_server_does_not_read_is_said(run, conf):
    elsewhere = conf.with_name("taaraxtak.txt")
    result = run({"work_mem": "9MB"}, path=str(elsewhere))
    assert result.failed
    assert "the server does not read" in result.msg
    assert not elsewhere.exists()


def test_check_mode_foretells_and_changes_nothing(fresh_server, run, conf):
    settings = {"work_mem": "8MB", "max_connections": 33}
    foretold = run(settings, check=True)
    assert (foretold.changed, foretold.values["pending_restart"]) == (True, ["max_connections"])
    assert list(conf.parent.iterdir()) == []
    done = run(settings)
    for name in ("changed", "reloaded", "restarted", "pending_restart", "diff"):
        assert foretold.values[name] == done.values[name]
    foretold = run(settings, check=True, restart_allowed=True)
    assert (foretold.changed, foretold.values["restarted"], foretold.values["reloaded"]) == (True, True, False)
    assert run(settings, restart_allowed=True).values["restarted"] is True
    assert not run(settings, check=True, restart_allowed=True).changed
    assert "knows no setting no_such_setting" in run({"no_such_setting": 1}, check=True).msg


def test_restart_allowed_needs_a_way_to_restart(run):
    result = run({}, restart_allowed=True, restart_command=None)
    assert result.failed
    assert "service" in result.msg


@pytest.fixture
def by_peer(fresh_server):
    """The server asks the operating system who is there, as on a real host."""
    (fresh_server.cluster.data / "pg_hba.conf").write_text("local all all peer\n")
    fresh_server.run("SELECT pg_reload_conf()")
    return fresh_server


@ROOT_ONLY
def test_root_logs_in_by_peer_as_another_user(by_peer, run, conf):
    user = by_peer.cluster.user
    assert user == "postgres"
    assert "Peer authentication failed" in run({"work_mem": "9MB"}).msg
    result = run({"work_mem": "9MB", "max_connections": 33}, restart_allowed=True, login_os_user=user)
    assert not result.failed, result.msg
    assert (result.values["restarted"], result.values["pending_restart"]) == (True, [])
    # Without a login_user the role is that of the same name.
    again = run({"work_mem": "9MB", "max_connections": 33}, login_os_user=user, login_user=None)
    assert (again.failed, again.changed) == (False, False)


@ROOT_ONLY
def test_a_user_who_is_not_there_is_said(run):
    assert run({}, login_os_user="nobody_at_all").msg == "there is no user nobody_at_all on this host"
