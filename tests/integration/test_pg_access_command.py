"""pg-access: the modules' plan and audit as a command, with a status that a pipeline can go by, and no secret in it."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import (
    CLEAN,
    DATABASE,
    DRIFT,
    FAILED,
    SECRET,
    VERIFIER,
    call,
    command,
    default_policy,
    host,
    may_delete,
)

__all__ = ["command", "host"]


def test_a_server_that_is_as_the_policy_says_is_clean(command):
    for name in ("plan", "audit", "apply"):
        done = command.run(name)
        assert done.returncode == CLEAN, (name, done.stdout, done.stderr)
    assert "-- 0 statements to run" in command.run("plan").stdout


def test_drift_is_planned_by_the_modules_own_statements_and_then_mended(command):
    command.host.sql("GRANT DELETE ON measurement TO grafanareader")
    before = command.host.sql("SELECT relacl::text FROM pg_class WHERE relname = 'measurement'")
    module = command.host.call(check=True).values["queries"]
    assert module == ['REVOKE DELETE ON TABLE "public"."measurement" FROM "grafanareader" CASCADE']

    done = command.run("plan")
    assert done.returncode == DRIFT
    assert done.stdout.startswith(f"{module[0]};\n-- 1 statement to run")
    answer = json.loads(command.run("plan", "--json").stdout)
    assert (answer["queries"], answer["status"]) == (module, DRIFT)
    assert command.host.sql("SELECT relacl::text FROM pg_class WHERE relname = 'measurement'") == before

    done = command.run("audit")
    assert done.returncode == DRIFT
    assert "grafanareader" in done.stdout

    done = command.run("apply")
    assert done.returncode == CLEAN, done.stderr
    assert done.stdout.startswith(f"{module[0]};\n-- 1 statement run")
    assert not may_delete(command.host)
    assert command.run("plan").returncode == CLEAN


def test_an_audit_finds_what_no_plan_closes(command):
    command.host.sql(
        "CREATE FUNCTION wipe() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM provider_marketshare';"
        "ALTER FUNCTION wipe() OWNER TO taaraxtak_owner; GRANT EXECUTE ON FUNCTION wipe() TO grafanareader"
    )
    try:
        done = command.run("audit", "--json")
        assert done.returncode == DRIFT
        assert any("wipe" in finding["object"] for finding in json.loads(done.stdout)["findings"])
    finally:
        command.host.sql("DROP FUNCTION wipe()")
    assert command.run("audit", "--probe").returncode == CLEAN


def test_what_mode_adopt_leaves_is_drift(command):
    command.host.sql("GRANT DELETE ON measurement TO grafanareader")
    done = command.run("apply", "--mode", "adopt")
    assert done.returncode == DRIFT
    assert '-- REVOKE DELETE ON TABLE "public"."measurement" FROM "grafanareader" CASCADE;' in done.stdout
    assert may_delete(command.host)


def test_what_mode_additive_leaves_is_drift(command):
    command.host.sql("GRANT DELETE ON measurement TO grafanareader; ALTER TABLE measurement OWNER TO postgres")
    try:
        for name in ("plan", "apply"):
            done = command.run(name, "--mode", "additive")
            assert done.returncode == DRIFT
            assert '-- REVOKE DELETE ON TABLE "public"."measurement" FROM "grafanareader" CASCADE;' in done.stdout
            assert '-- ALTER TABLE "public"."measurement" OWNER TO "taaraxtak_owner";' in done.stdout
        answer = json.loads(command.run("plan", "--mode", "additive", "--json").stdout)
        assert (answer["status"], len(answer["exceeding"]) >= 2) == (DRIFT, True)
        assert may_delete(command.host)
    finally:
        command.host.apply()
    # Where nothing is left, it is as the policy says.
    assert command.run("apply", "--mode", "additive").returncode == CLEAN


def test_what_export_writes_is_a_policy_that_changes_nothing(command, tmp_path):
    done = command.run("export", "--database", DATABASE)
    assert done.returncode in (CLEAN, DRIFT), done.stderr
    assert (done.returncode == DRIFT) == bool(done.stderr)
    written = tmp_path / "exported.yml"
    written.write_text(done.stdout)
    planned = command.run("plan", "--policy", written)
    assert planned.returncode == CLEAN, planned.stdout + planned.stderr
    as_json = tmp_path / "exported.json"
    as_json.write_text(command.run("export", "--database", DATABASE, "--json").stdout)
    assert json.loads(as_json.read_text()) == yaml.safe_load(done.stdout)


def test_a_service_says_where_the_server_is(command, tmp_path):
    (tmp_path / "services").write_text("[mine]\n" + command.dsn.replace(" ", "\n") + "\n")
    done = command.run("plan", dsn="service=mine", PGSERVICEFILE=str(tmp_path / "services"))
    assert done.returncode == CLEAN, done.stderr


def test_a_role_logs_in_by_the_password_file_alone(command, tmp_path):
    """Password and all, where the server asks for one: 127.0.0.1 does."""
    host, user = command.host, "commander"
    host.sql(f"CREATE ROLE {user} LOGIN SUPERUSER PASSWORD '{SECRET}'", database="postgres")
    listed = host.sql("SHOW hba_file", database="postgres")[0][0]
    text = Path(listed).read_text()
    try:
        Path(listed).write_text(f"local all {user} scram-sha-256\n{text}")
        host.sql("SELECT pg_reload_conf()", database="postgres")
        host.policy["roles"][user] = {"login": True, "superuser": True, "password": True}
        dsn = command.dsn.rpartition(" ")[0] + f" user={user}"
        passes = tmp_path / "pass"
        passes.write_text(f"*:*:*:{user}:{SECRET}\n")
        passes.chmod(0o600)
        assert command.run("export", dsn=dsn, PGPASSFILE=str(tmp_path / "none")).returncode == FAILED
        done = command.run("export", dsn=dsn, PGPASSFILE=str(passes))
        assert done.returncode in (CLEAN, DRIFT), done.stderr
        assert SECRET not in done.stdout + done.stderr
    finally:
        Path(listed).write_text(text)
        host.sql("SELECT pg_reload_conf()", database="postgres")
        host.sql(f"DROP ROLE {user}", database="postgres")


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://postgres:{SECRET}@localhost/postgres",
        f"postgresql://postgres@localhost/postgres?password={SECRET}",
        f"host=localhost password={SECRET}",
        f"host=localhost password='{SECRET}'",
        f"host=localhost sslpassword={SECRET}",
        "postgresql://postgres:%73%33cret@localhost/postgres",
        "host=localhost password=''",
        f"host=localhost {SECRET}",
        f"postgresql://u:{SECRET}@[::1",
        f"host=localhost scram_client_key={SECRET}",
        f"host=localhost scram_server_key={SECRET}",
        f"host=localhost oauth_client_secret={SECRET}",
    ],
)
def test_a_secret_in_the_dsn_is_refused_and_never_shown(command, dsn):
    for name in ("plan", "export"):
        done = command.run(name, dsn=dsn)
        assert done.returncode == FAILED
        assert done.stdout == ""
        assert "--dsn" in done.stderr
        assert SECRET not in done.stderr


@pytest.mark.parametrize(
    "words", [(), ("plan",), ("plan", "--nonsense"), ("drop",), ("plan", "--pol", "x"), ("audit", "x")]
)
def test_a_wrong_command_line_is_no_drift(words):
    assert call(*words).returncode == FAILED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("access_policy: {version: 1, roels: {}}", "roels"),
        ("access_policy: [", "is no YAML"),
        ("", "the access policy has problems"),
        ("access_policy: {version: 1}\naccess_policy: {version: 1}", "access_policy is written twice"),
        ("access_policy:\n  version: 1\n  roles:\n    a: {}\n    a: {superuser: true}", "a is written twice"),
        ("access_policy: !!python/object/apply:os.getcwd []", "is no YAML"),
        ("? [a]\n: 1", "is no YAML"),
        ('access_policy: {version: 1, roles: {"{{ who }}": {}}}', "only Ansible understands"),
    ],
)
def test_a_policy_that_is_not_understood_is_not_guessed_at(command, text, said):
    command.policy.write_text(text)
    for name in ("plan", "audit", "apply"):
        done = command.run(name)
        assert done.returncode == FAILED, done.stdout
        assert said in done.stderr


def test_a_server_that_cant_be_looked_at_is_not_clean(command, tmp_path):
    nobody = command.run("plan", dsn=f"host={tmp_path} user=postgres")
    assert nobody.returncode == FAILED
    assert "could not connect" in nobody.stderr
    command.host.sql("GRANT CONNECT ON DATABASE postgres TO grafanareader", database="postgres")
    reader = command.run("audit", dsn=command.dsn.rpartition(" ")[0] + " user=grafanareader")
    assert reader.returncode == FAILED
    assert "no superuser" in reader.stderr
    missing = command.run("plan", "--policy", tmp_path / "nowhere.yml")
    assert missing.returncode == FAILED


def test_a_database_that_cant_be_read_is_not_clean(command):
    command.host.sql(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false", database="postgres")
    try:
        assert command.run("audit").returncode == FAILED
        done = command.run("plan")
        assert done.returncode == DRIFT
        assert "accepts no connections" in done.stderr
    finally:
        command.host.sql(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS true", database="postgres")


def test_a_policy_that_names_what_is_not_there_stops_or_is_not_clean(command):
    policy = default_policy()
    policy["grants"].append({"to": ["scraper"], "on": {"tables": ["public.to_come"]}, "privileges": ["select"]})
    command.policy.write_text(yaml.safe_dump(policy))
    assert command.run("plan").returncode == FAILED
    done = command.run("plan", "--skip-missing")
    assert done.returncode == DRIFT
    assert "to_come" in done.stderr


def test_two_runs_never_write_at_once(command):
    command.host.sql("GRANT DELETE ON measurement TO grafanareader")
    command.lock.touch()
    with command.lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = command.run("apply")
    assert done.returncode == FAILED
    assert "another run holds" in done.stderr
    assert command.run("plan").returncode == DRIFT


def test_verifiers_come_from_a_file_that_nobody_else_reads_and_are_never_shown(command, tmp_path):
    policy = default_policy()
    policy["roles"]["grafanareader"] = {"hosts": [{"address": "192.0.2.0/24", "method": "scram-sha-256"}]}
    command.policy.write_text(yaml.safe_dump(policy))
    verifiers = tmp_path / "verifiers.yml"
    verifiers.write_text(yaml.safe_dump({"grafanareader": VERIFIER}))
    verifiers.chmod(0o644)
    refused = command.run("plan", "--passwords", verifiers)
    assert refused.returncode == FAILED
    assert "others may read" in refused.stderr
    verifiers.chmod(0o600)
    done = command.run("plan", "--passwords", verifiers)
    assert done.returncode == DRIFT, done.stderr
    assert "PASSWORD" in done.stdout
    assert "SCRAM-SHA-256$" not in done.stdout + done.stderr
