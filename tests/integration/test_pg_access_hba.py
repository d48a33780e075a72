"""pg_hba.conf and pg_ident.conf on a real server: owned whole, proved by a new login, put back where that fails."""

from __future__ import annotations

import getpass
import os
import pwd
import time
import typing as t
from pathlib import Path

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access import logins, postgres
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan import hba
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy import reader as policy
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import Host, default_policy
from ansible_collections.taaraxtak.production.tests.integration.pg_access_proxy import Proxy

# Who may log in with the rows of these tests: the one who runs them, or root acting as the server's user.
ROWS = "local all all trust\n"


@pytest.fixture
def host(fresh_server: Server, tmp_path) -> Host:
    return Host(fresh_server, default_policy(), tmp_path)


def texts(host: Host) -> tuple[str, str]:
    return tuple((host.server.cluster.data / name).read_text() for name in ("pg_hba.conf", "pg_ident.conf"))  # type: ignore[return-value]


def compared(host: Host, hba_text: str, ident_text: str) -> logins.Files:
    with postgres.session(host.server.login, "postgres") as connection:
        return logins.compare(connection, hba_text, ident_text)


def install(host: Host, hba_text: str, ident_text: str) -> None:
    with postgres.session(host.server.login, "postgres") as connection:
        plan = logins.compare(connection, hba_text, ident_text)
        logins.install(host.server.login, connection, plan)


def rules(host: Host) -> list[t.Any]:
    return host.server.run("SELECT type, database, user_name, auth_method FROM pg_hba_file_rules ORDER BY line_number")


def test_the_files_are_replaced_reloaded_and_then_as_wanted(host):
    owner = (host.server.cluster.data / "pg_hba.conf").stat()
    install(host, ROWS, "# nobody\n")
    assert texts(host) == (ROWS, "# nobody\n")
    assert rules(host) == [("local", ["all"], ["all"], "trust")]
    assert compared(host, ROWS, "# nobody\n") == logins.Files()
    now = (host.server.cluster.data / "pg_hba.conf").stat()
    assert (now.st_uid, now.st_gid, now.st_mode) == (owner.st_uid, owner.st_gid, owner.st_mode)
    assert [path.name for path in host.server.cluster.data.glob(".pg_*")] == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("local all all trust\nlocal all\n", "pg_hba.conf line 2"),
        ("local all all nonsense\n", "invalid authentication method"),
        ("local all all reject\n", "could not connect to the database postgres"),
        ("local other all trust\n", "no pg_hba.conf entry"),
    ],
)
def test_files_that_shut_out_or_do_not_parse_are_put_back(host, broken, said):
    before = texts(host)
    with pytest.raises(ValueError, match="the old files are back and logins work as before") as error:
        install(host, broken, "# new\n")
    assert said in str(error.value)
    assert texts(host) == before
    assert host.server.run("SELECT 1") == [(1,)]


def test_after_a_run_that_was_cut_off_no_older_file_is_claimed_to_be_back(host):
    """Killed between writing and checking: what is on disk is all that the next run knows."""
    broken = "local all all nonsense\n"
    (host.server.cluster.data / "pg_hba.conf").write_text(broken)
    before = texts(host)
    with pytest.raises(ValueError, match="invalid authentication method") as error:
        install(host, broken, before[1])
    assert "are back" not in str(error.value)
    path = host.server.cluster.data / "pg_hba.conf"
    assert f"no older {path} is known that could be put back" in str(error.value)
    assert "mend it by hand" in str(error.value)
    # The server works by what it has loaded.
    assert host.server.run("SELECT 1") == [(1,)]
    with pytest.raises(ValueError, match="no older") as error:
        install(host, broken, "# new\n")
    assert texts(host) == before


def test_an_ident_file_that_does_not_parse_is_put_back(host):
    before = texts(host)
    with pytest.raises(ValueError, match=r"pg_ident\.conf line 1"):
        install(host, ROWS, "taaraxtak onlytwo\n")
    assert texts(host) == before


def test_files_that_the_server_has_not_loaded_are_loaded(host):
    (host.server.cluster.data / "pg_hba.conf").write_text(ROWS)
    (host.server.cluster.data / "pg_ident.conf").write_text("# nobody\n")
    unknown = tuple(str(host.server.cluster.data / name) for name in ("pg_hba.conf", "pg_ident.conf"))
    assert compared(host, ROWS, "# nobody\n") == logins.Files(reload=True, unknown=unknown)
    time.sleep(0.01)
    install(host, ROWS, "# nobody\n")
    assert compared(host, ROWS, "# nobody\n") == logins.Files()


def test_the_files_of_another_host_are_not_touched(host, tmp_path, monkeypatch):
    """The server says a path; on this host something else is there."""
    real = logins.files.read
    monkeypatch.setattr(logins.files, "read", lambda path: (b"# another host's\n", real(path)[1]))
    with pytest.raises(ValueError, match="is not the file that the server reads"):
        compared(host, ROWS, "")


def test_the_rows_mean_exactly_the_names_of_the_policy(host):
    """Keywords, quotes, commas, blanks, @ and + in names: the server reads back, and lets in, the very names."""
    names = ["all", "replication", "a b", 'say "hi"', "x,y", "@file", "+group", "Upper", "sämer", "#no", "sameuser"]
    users = [f"user{number}" for number in range(len(names))]
    wanted = policy.parse(
        {
            "version": 1,
            "scope": {"databases": names, "schemas": ["public"]},
            "mode": "authoritative",
            "roles": {name: {"os_users": [user]} for name, user in zip(names, users, strict=True)},
            "grants": [{"to": name, "on": {"database": name}, "privileges": "connect"} for name in names],
        }
    )
    data = host.server.cluster.data
    (data / "pg_hba.conf").write_text(hba.render_hba(wanted), encoding="utf-8")
    (data / "pg_ident.conf").write_text(hba.render_ident(wanted), encoding="utf-8")
    read = host.server.run(
        "SELECT database[1], user_name[1], options, error FROM pg_hba_file_rules WHERE auth_method = 'peer'"
    )
    assert [row[3] for row in read] == [None] * len(read)
    assert read[0][:3] == ("all", "postgres", None)
    assert {row[0] for row in read[1:]} == set(names)
    assert {tuple(row[2]) for row in read[1:]} == {("map=taaraxtak",)}
    with postgres.session(host.server.login, "postgres") as connection:
        logins.check(connection)
    # What is quoted is no keyword: a role named all in a database named all is let in, and nobody else by that row.
    for name in names:
        quoted = name.replace('"', '""')
        host.server.run(f'CREATE ROLE "{quoted}" LOGIN')
    (data / "pg_hba.conf").write_text(hba.render_hba(wanted).replace(" peer map=taaraxtak", " trust"), encoding="utf-8")
    keep = host.server.connect()
    try:
        with keep.cursor() as cursor:
            for name in names:
                quoted = name.replace('"', '""')
                cursor.execute(f'CREATE DATABASE "{quoted}"')
            cursor.execute("SELECT pg_reload_conf()")
        time.sleep(0.3)
        for role in names:
            for database in names:
                if role == database:
                    assert host.server.run("SELECT current_user::text", database=database, user=role) == [(role,)]
                else:
                    with pytest.raises(psycopg2.OperationalError, match="rejects connection"):
                        host.server.run("SELECT 1", database=database, user=role)
    finally:
        keep.close()


def test_the_module_puts_the_files_back_where_its_own_login_would_be_shut_out(host):
    """Nobody but the OS user postgres is let in as postgres by peer; whoever runs this is somebody else."""
    if getpass.getuser() == "postgres":
        pytest.skip("run as the user postgres, whom the policy lets in: nothing to put back")
    before = texts(host)
    result = host.call(hba=True, missing_objects="skip")
    assert result.failed
    assert "Peer authentication failed" in result.msg
    assert "the old files are back and logins work as before" in result.msg
    assert texts(host) == before
    assert host.server.run("SELECT 1") == [(1,)]
    # What came before it stays done and is said.
    assert result.values["queries"][0] == 'CREATE DATABASE "taaraxtak"'


def test_check_mode_shows_the_files_and_writes_none(host):
    before = texts(host)
    result = host.apply(check=True, diff=True, hba=True, missing_objects="skip")
    assert result.values["queries"][-1] == "SELECT pg_reload_conf()"
    assert "local taaraxtak grafanareader peer map=taaraxtak" in result.values["diff"]["after"]
    assert before[0] in result.values["diff"]["before"]
    assert texts(host) == before


def test_the_module_owns_the_files_where_it_logs_in_by_peer(host):
    """As root it acts as the OS user postgres, and a second run finds nothing to do; others are rejected."""
    me = getpass.getuser()
    if me != "postgres" and (os.geteuid() != 0 or "postgres" not in {user.pw_name for user in pwd.getpwall()}):
        pytest.skip("needs root, or the user postgres, on a host that has that user: peer asks for this very user")
    login = {} if me == "postgres" else {"login_os_user": "postgres"}
    done = host.apply(hba=True, missing_objects="skip", diff=True, **login)
    assert done.values["queries"][-1] == "SELECT pg_reload_conf()"
    second = host.apply(hba=True, missing_objects="skip", diff=True, **login)
    assert (second.changed, second.values["queries"]) == (False, [])
    hba_text = Path(host.server.cluster.data / "pg_hba.conf").read_text()
    assert "taaraxtak.production" in hba_text.splitlines()[0]
    with pytest.raises(psycopg2.OperationalError, match="rejects connection"):
        host.server.run("SELECT 1", user="grafanareader", database="postgres")
    with pytest.raises(psycopg2.OperationalError, match=r"Peer authentication failed|provided user name"):
        host.server.run("SELECT 1", user="grafanareader", database="taaraxtak")
    # Somebody adds a row: it is taken out again, and only that is done.
    with (host.server.cluster.data / "pg_hba.conf").open("a") as file:
        file.write("host all all all trust\n")
    assert host.apply(hba=True, missing_objects="skip", **login).values["queries"] == ["SELECT pg_reload_conf()"]
    assert (host.server.cluster.data / "pg_hba.conf").read_text() == hba_text


@pytest.fixture
def elsewhere(host: Host) -> t.Iterator[Proxy]:
    """Another host's server, as new as this one, with its files at the paths of this one's."""
    with ScratchCluster() as other:
        with Proxy(other, swap=(host.server.cluster.folder.name, other.folder.name)) as proxy:
            yield proxy
        assert "taaraxtak" not in (other.data / "pg_hba.conf").read_text()


def test_the_files_of_a_server_like_another_hosts_are_not_touched(host, elsewhere):
    """Equal bytes at an equal path: what tells the two apart is which process reads them."""
    before = texts(host)
    with postgres.session(elsewhere.login, "postgres") as connection:
        assert postgres.query(connection, "SHOW hba_file") == [(str(host.server.cluster.data / "pg_hba.conf"),)]
        with pytest.raises(ValueError, match=r"postmaster\.pid here is not the file that the server reads"):
            logins.compare(connection, ROWS, "# nobody\n")
    for check in (True, False):
        result = host.call(hba=True, missing_objects="skip", check=check, **elsewhere.login, login_unix_socket=None)
        assert "here is not the file that the server reads" in result.msg
    assert texts(host) == before


def test_not_even_a_clone_in_the_same_second_is_written_for(host, elsewhere):
    before = texts(host)
    folder = host.server.cluster.data
    started = (folder / "postmaster.pid").read_bytes()
    try:
        with postgres.session(elsewhere.login, "postgres") as connection:
            ((running,),) = postgres.query(connection, "SELECT pg_read_binary_file('postmaster.pid')")
            (folder / "postmaster.pid").write_bytes(bytes(running))
            plan = logins.compare(connection, ROWS, "# nobody\n")
            there = set(folder.iterdir())
            inode = (folder / "pg_hba.conf").stat().st_ino
            with pytest.raises(ValueError, match="here is not the file that the server reads"):
                logins.install(elsewhere.login, connection, plan)
    finally:
        (folder / "postmaster.pid").write_bytes(started)
    assert texts(host) == before
    assert (folder / "pg_hba.conf").stat().st_ino == inode, "it was written, and then put back"
    assert set(folder.iterdir()) == there


def test_what_the_server_does_not_read_back_is_not_installed(host, monkeypatch):
    monkeypatch.setattr(logins, "replace", lambda path, content: None)
    with pytest.raises(ValueError, match="here is not the file that the server reads"):
        install(host, ROWS, "# nobody\n")


def test_files_that_could_not_be_written_need_no_mending(host, monkeypatch):
    def never(path: Path, content: bytes) -> None:
        raise ValueError(f"could not write {path}: Operation not permitted")

    monkeypatch.setattr(logins, "replace", never)
    before = texts(host)
    with pytest.raises(ValueError, match="Operation not permitted; the old files are back and logins work as before"):
        install(host, ROWS, "# nobody\n")
    assert texts(host) == before
