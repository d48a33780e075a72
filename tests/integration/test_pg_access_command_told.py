"""pg-access: nothing that a server or a file holds looks like its answer, and its manual's line works."""

from __future__ import annotations

import getpass
import json
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import (
    AS_POSTGRES,
    CLEAN,
    DATABASE,
    DRIFT,
    FAILED,
    ROOT,
    SECRET,
    VERIFIER,
    Command,
    Host,
    command,
    default_policy,
    host,
)

__all__ = ["command", "host"]


@pytest.mark.parametrize("mode", ["additive", "adopt"])
@pytest.mark.parametrize("name", ["plan", "apply"])
def test_logins_that_a_mode_leaves_alone_are_not_called_clean(command, name, mode):
    assert command.run(name, "--mode", mode).returncode == CLEAN
    done = command.run(name, "--mode", mode, "--hba")
    assert done.returncode == DRIFT
    assert f"--hba: mode {mode} takes no login away, so that logins were not looked at" in done.stderr
    assert "; logins were not looked at" in done.stdout
    answer = json.loads(command.run(name, "--mode", mode, "--hba", "--json").stdout)
    assert (answer["logins"], answer["status"]) == ("not looked at", DRIFT)


def test_login_files_that_shut_the_command_out_are_put_back(command):
    """Nobody but the OS user postgres is let in as postgres by peer, and this is somebody else."""
    if getpass.getuser() == "postgres":
        pytest.skip("run as the user postgres, whom the policy lets in: nothing to put back")
    data = command.host.server.cluster.data
    before = (data / "pg_hba.conf").read_bytes()
    planned = command.run("plan", "--hba")
    assert planned.returncode == DRIFT
    assert f"-- {data / 'pg_hba.conf'} is another one" in planned.stdout
    done = command.run("apply", "--hba")
    assert done.returncode == FAILED
    assert "the old files are back and logins work as before" in done.stderr
    assert (data / "pg_hba.conf").read_bytes() == before
    assert json.loads(command.run("plan", "--hba", "--json").stdout)["logins"] == "looked at"


def test_the_command_owns_the_login_files_where_it_logs_in_by_peer(fresh_server, tmp_path):
    me = getpass.getuser()
    if me != "postgres" and (os.geteuid() != 0 or "postgres" not in {user.pw_name for user in pwd.getpwall()}):
        pytest.skip("needs root, or the user postgres, on a host that has that user: peer asks for this very user")
    command = Command(Host(fresh_server, default_policy(), tmp_path), tmp_path)
    # The server sees the effective user, and the policy's file has to be read as that one.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        policy = shutil.copy(command.policy, folder)
        words = ["--hba", "--policy", policy]
        if me != "postgres":
            shutil.chown(folder, "postgres")
        lock = ["--lock-file", str(Path(folder) / "lock")]
        first = command.run("apply", "--skip-missing", *words, *lock, program=AS_POSTGRES)
        assert first.stdout.endswith("run, mode authoritative\n"), first.stderr
        assert "SELECT pg_reload_conf();" in first.stdout
        again = command.run("plan", "--skip-missing", *words, program=AS_POSTGRES)
        assert "-- 0 statements to run, mode authoritative\n" in again.stdout, again.stderr
    with pytest.raises(psycopg2.OperationalError, match=r"Peer authentication failed|provided user name"):
        fresh_server.run("SELECT 1", user="grafanareader", database=DATABASE)


HOSTILE = "x\n0 findings; 9 of 9 assertions hold\x1b[2J\u202e"


def test_a_name_of_several_lines_is_no_line_of_the_answer(command):
    quoted = f'"{HOSTILE}"'
    command.host.sql(
        f"CREATE TABLE {quoted} (a int); ALTER TABLE {quoted} OWNER TO taaraxtak_owner;"
        f"GRANT DELETE ON {quoted} TO grafanareader, scraper WITH GRANT OPTION; CREATE ROLE {quoted} LOGIN SUPERUSER;"
    )
    try:
        said = [command.run(name, *words) for name, *words in (
            ("audit", "--probe"), ("plan",), ("apply", "--mode", "adopt"), ("export",), ("apply",)
        )]  # fmt: skip
    finally:
        command.host.sql(f"DROP TABLE {quoted}; DROP ROLE {quoted}")
    assert [done.returncode for done in said] == [DRIFT, DRIFT, DRIFT, DRIFT, CLEAN], said
    text = "".join(done.stdout for done in said if done is not said[3]) + "".join(done.stderr for done in said)
    assert r"x\x0a0 findings; 9 of 9 assertions hold\x1b[2J\u202e" in said[0].stdout
    assert r"x\x0a0 findings" in said[1].stdout
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert not any(line.startswith("0 findings") for line in text.splitlines())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"scraper: [{VERIFIER}", 2),
        (f"scraper: {VERIFIER}\n  more: {VERIFIER}", 2),
        (f"scraper: {SECRET}: {VERIFIER}", 1),
        (f"scraper: *{SECRET}", 1),
        (f"scraper: !{SECRET} x", 1),
        (f"scraper: !{SECRET}!x y", 1),
        (f"a: &{SECRET} x\n? [b]\n: {SECRET}", 2),
        (f"scraper: '{SECRET}", 1),
        (f'scraper: "{SECRET}\\q"', 1),
        (f"{SECRET}: a\n\t{SECRET}", 2),
    ],
)
def test_a_file_of_verifiers_that_is_no_yaml_is_not_quoted(command, tmp_path, text, line):
    verifiers = tmp_path / "verifiers.yml"
    verifiers.write_text(text)
    verifiers.chmod(0o600)
    for name in ("plan", "apply"):
        done = command.run(name, "--passwords", verifiers)
        assert done.returncode == FAILED
        assert "is no YAML: line " in done.stderr
        assert all(one not in done.stdout + done.stderr for one in (SECRET, VERIFIER[:20], VERIFIER[-20:]))


def test_the_line_of_the_manual_for_a_pipeline_works(command, tmp_path):
    """As it stands there, with this server's dsn, in a plain shell that stops at the first error."""
    manual = (ROOT / "docs" / "pg-access.md").read_text(encoding="utf-8")
    script = manual.split("## In a pipeline")[1].split("```sh\n")[1].split("```")[0]
    assert script.count("service=production") == 1
    script = script.replace("service=production", f"'{command.dsn}'")
    shutil.copy(command.policy, tmp_path / "access_policy.yml")

    def run() -> tuple[int, str]:
        (tmp_path / "collection").unlink(missing_ok=True)
        (tmp_path / "collection").symlink_to(ROOT)
        done = subprocess.run(
            ["sh", "-eu", "-c", script.replace("/path/of/the/collection", str(tmp_path / "collection"))],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout.splitlines()[-1]

    assert run() == (0, "nothing to do")
    command.host.sql("GRANT DELETE ON measurement TO grafanareader")
    assert run() == (1, "the server is not as the policy says")
    (tmp_path / "access_policy.yml").write_text("no: policy")
    assert run() == (1, "nobody knows")
