"""What the audit expects of hosts is what the roles make there: the names that both have are the same."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.hosts import expectations
from ansible_collections.taaraxtak.production.tests.unit.audit.hosts import PRODUCTION, VARIABLES

ROLES = Path(__file__).resolve().parents[2] / "roles"


def text(path: str) -> str:
    return (ROLES / path).read_text(encoding="utf-8")


def variables(role: str) -> dict:
    return yaml.safe_load(text(f"{role}/vars/main.yml"))


def test_every_variable_that_is_asked_for_is_a_role_s():
    options = set()
    for role in ("host", "database", "backup", "collector", "dump_store"):
        options |= set(yaml.safe_load(text(f"{role}/meta/argument_specs.yml"))["argument_specs"]["main"]["options"])
    assert set(VARIABLES) - options - {"database_port"} == {"__host_effective"}
    assert "__host_effective" in variables("host")


def test_the_store_s_units_are_those_that_its_role_starts():
    role = variables("dump_store")
    started = [
        one for one in role["__dump_store_units"] + role["__dump_store_drill_units"] if not one.endswith(".service")
    ]
    expected = expectations(VARIABLES.__getitem__, ["store_hosts"])
    assert set(expected["units"]["running"]) == set(started)


def test_dumps_are_made_by_the_line_and_the_rule_that_the_role_writes():
    expected = expectations(VARIABLES.__getitem__, PRODUCTION)
    (job,) = expected["jobs"]["cron"]
    assert text("backup/templates/cron.j2").rstrip().endswith(f"}} {job['command']}")
    (rule,) = [one for one in expected["sudo_rules"]["rules"] if one["account"] == VARIABLES["backup_user"]]
    assert text("backup/templates/sudoers.j2").rstrip().endswith(f"NOPASSWD: {rule['command']}")


def test_every_secret_of_the_roles_is_looked_at():
    """What roles write with a group of its own and no access for others, and what they mark as secret."""
    looked_at = {one["path"] for one in expectations(VARIABLES.__getitem__, PRODUCTION)["secrets"]["files"]}
    app = variables("collector")
    places = {"{{ __collector_app }}": "/opt/taaraxtak/app"}
    assert app["__collector_app"] == "{{ __collector_home }}/app"
    assert app["__collector_home"] == "/opt/taaraxtak"
    for one in app["__collector_files"]:
        if one.get("secret"):
            path = re.sub(r"\{\{.*?\}\}", lambda match: places[match.group(0)], one["path"])
            assert path in looked_at
    assert variables("backup")["__backup_signing_key"] in looked_at


def test_a_store_s_accounts_and_folders_have_the_role_s_names():
    expected = expectations(VARIABLES.__getitem__, ["store_hosts"])
    role = text("dump_store/vars/main.yml")
    for suffix in ("archive", "read", "developer", "list"):
        assert f'"{{{{ dump_store_user }}}}-{suffix}"' in role
    assert expected["accounts"]["logins"] == ["alice", "dumps", "dumps-read", "dumps-developer"]
    for account, verb in (("dumps", "ssh"), ("dumps-read", "read"), ("dumps-developer", "read --developer")):
        assert expected["sshd"]["settings"][account]["forcecommand"] == f"/usr/local/bin/dump-store {verb}"
        assert f"forcecommand /usr/local/bin/dump-store {verb}'" in role
