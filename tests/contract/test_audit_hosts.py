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
    for role in ("host", "certificates", "database", "backup", "collector", "dashboards", "dump_store"):
        options |= set(yaml.safe_load(text(f"{role}/meta/argument_specs.yml"))["argument_specs"]["main"]["options"])
    # Ansible's own, and one that inventories have for all roles.
    own = {"database_port", "groups", "notify"}
    assert set(VARIABLES) - options - own == {"__host_effective", "__database_of_debian"}
    assert "__host_effective" in variables("host")
    assert variables("database")["__database_of_debian"] == VARIABLES["__database_of_debian"]


def test_the_store_s_units_are_those_that_its_role_starts():
    role = variables("dump_store")
    started = [
        one for one in role["__dump_store_units"] + role["__dump_store_drill_units"] if not one.endswith(".service")
    ]
    expected = expectations(VARIABLES.__getitem__, ["store_hosts"])
    assert set(expected["units"]["running"]) == {*started, "ssh.service"}


def test_dumps_are_made_by_the_line_and_the_rule_that_the_role_writes():
    expected = expectations(VARIABLES.__getitem__, PRODUCTION)
    (job,) = expected["jobs"]["cron"]
    assert text("backup/templates/cron.j2").rstrip().endswith(f"}} {job['command']}")
    (rule,) = [one for one in expected["sudo_rules"]["rules"] if one["account"] == VARIABLES["backup_user"]]
    assert text("backup/templates/sudoers.j2").rstrip().endswith(f"NOPASSWD: {rule['command']}")


def published(**more: str) -> dict:
    told = {**VARIABLES, "dashboards_grafana": "deb", "dashboards_published": True, "dashboards_host": "192.0.2.1"}
    return expectations({**told, **more}.__getitem__, PRODUCTION)


def test_grafana_and_the_proxy_lie_where_the_role_puts_them():
    role, found = variables("dashboards"), published()
    paths = {one["path"] for one in found["secrets"]["files"]}
    folder = role["__dashboards_secrets"]
    # Made on the host, or given.
    names = set(re.findall(r"'(secret_key|admin_password|password)'", str(role["__dashboards_made"])))
    names |= set(re.findall(r"{'(\w+)':", role["__dashboards_given"]))
    assert names == {"secret_key", "admin_password", "password"}
    assert {folder, role["__dashboards_pair_folder"], *(f"{folder}/{name}" for name in names)} <= paths
    assert role["__dashboards_unit"] in found["units"]["running"]
    assert found["units"]["drop_ins"] == [f"/etc/systemd/system/{role['__dashboards_unit']}.d/taaraxtak.conf"]
    assert role["__dashboards_nginx"] in found["packages"]["owned"]
    assert found["certificates"]["files"] == [f"{role['__dashboards_pair_folder']}/*.pem"]
    (authority,) = published(dashboards_acme_directory="https://acme.example.org/")["certificates"]["files"]
    assert authority == f"/etc/letsencrypt/live/{role['__dashboards_lineage']}/fullchain.pem"


def test_certificates_lie_where_their_role_puts_them():
    place = variables("certificates")["__certificates_place"]
    groups = {"production_hosts": ["a", "b"], "database_hosts": ["b"]}
    for group in ("database_hosts", "collector_hosts", "dashboards_hosts"):
        found = expectations({**VARIABLES, "groups": groups}.__getitem__, [group, "production_hosts"])
        assert found["certificates"]["files"]
        assert {str(Path(path).parent) for path in found["certificates"]["files"]} == {place}
    usual = yaml.safe_load(text("certificates/defaults/main.yml"))["certificates_clients"]
    assert [one["group"] for one in usual] == ["collector_hosts", "dashboards_hosts"]
    assert ["'scraper'" in usual[0]["role"], usual[1]["account"]] == [True, "grafana"]


def test_addresses_to_tell_lie_where_the_roles_put_them():
    told = {**VARIABLES, "notify": {"url": "https://x", "ping": "https://y"}}
    for role, groups in (("backup", PRODUCTION), ("dump_store", ["store_hosts"])):
        found = {one["path"] for one in expectations(told.__getitem__, groups)["secrets"]["files"]}
        assert {path for path in found if "notify" in path} == {
            "/etc/taaraxtak/notify.url",
            "/etc/taaraxtak/notify.ping",
        }
        assert "'/etc/taaraxtak/notify.' ~ kind" in variables(role)[f"__{role}_notify_files"]


def test_every_program_and_unit_of_the_roles_is_looked_at():
    """Whoever may change one of them is whoever runs it."""
    for groups, roles in ((PRODUCTION, ("backup", "collector")), (["store_hosts"], ["dump_store"])):
        found = {one["path"] for one in expectations(VARIABLES.__getitem__, groups)["secrets"]["files"]}
        for role in roles:
            said = text(f"{role}/vars/main.yml")
            paths = set(
                re.findall(r"/usr/local/(?:s?bin/[\w-]+|lib/taaraxtak/\w+\.py)|/etc/systemd/system/[\w-]+\.\w+", said)
            )
            paths |= {
                f"/etc/systemd/system/{name}" for name in re.findall(r"^  - (taaraxtak-[\w@.-]+)$", said, re.MULTILINE)
            }
            assert paths
            assert paths <= found


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
