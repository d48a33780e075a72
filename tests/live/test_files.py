"""Whose files are those that let somebody in, and which programs run as somebody else."""

from __future__ import annotations

import pytest


def held(host, path: str, owner: str, group: str, mode: int) -> None:
    """A file or folder is whose it should be."""
    assert host.mode(path) == (owner, group, mode), path


@pytest.mark.parametrize(
    ("path", "group", "mode"),
    [("/etc/shadow", "shadow", 0o640), ("/etc/sudoers", "root", 0o440), ("/etc/sudoers.d", "root", 0o755)],
)
def test_who_has_a_password_and_may_become_root_only_root_says(host, path, group, mode):
    owner, its_group, its_mode = host.mode(path)
    assert (owner, its_group) == ("root", group)
    assert its_mode & ~mode == 0


def test_the_collectors_configuration_is_its_own(collector):
    account = collector.variables.get("collector_user", "collector")
    held(collector, "/opt/taaraxtak/app/config.py", "root", account, 0o440)
    owner, _group, mode = collector.mode("/opt/taaraxtak/app")
    assert (owner, mode & 0o022) == ("root", 0)


def test_what_signs_and_sends_dumps_is_held_by_two_accounts(database):
    dumper, sender = (
        database.variables.get(name, usual)
        for name, usual in (("backup_dumper", "pgdumper"), ("backup_user", "pgbackup"))
    )
    assert dumper != sender
    held(database, "/etc/taaraxtak/dump_signing_key", "root", dumper, 0o440)
    for store in database.variables["backup_stores"]:
        held(database, f"/etc/taaraxtak/store_keys/{store['name']}", "root", sender, 0o440)


def test_the_data_is_postgresqls_alone(database):
    (folder,) = database.rows("SHOW data_directory")
    owner, _group, mode = database.mode(folder)
    assert (owner, mode & 0o077) == ("postgres", 0)


def test_who_logs_in_to_the_database_only_its_server_says(database):
    for name in ("hba_file", "ident_file"):
        (path,) = database.rows(f"SHOW {name}")
        owner, _group, mode = database.mode(path)
        assert owner in ("postgres", "root"), path
        assert mode & 0o027 == 0, path


def test_grafanas_secrets_are_its_own(dashboards):
    if dashboards.variables.get("dashboards_grafana", "none") == "none":
        pytest.skip("the inventory has no Grafana")
    for name in ("secret_key", "admin_password"):
        held(dashboards, f"/etc/grafana/secrets/{name}", "root", "grafana", 0o640)
    held(dashboards, "/etc/grafana/secrets", "root", "grafana", 0o750)
    if dashboards.variables.get("dashboards_published"):
        held(dashboards, "/etc/nginx/taaraxtak", "root", "root", 0o750)


def test_a_program_that_runs_as_somebody_else_is_debians(host):
    found = host.said("find", "/", "-xdev", "-type", "f", "-perm", "/6000", "-printf", r"%p\n").splitlines()
    assert "/usr/bin/su" in found
    for path in found:
        # Before /usr was merged some packages wrote their files down without it: one of the names is known.
        known = host.run("dpkg-query", "--search", path, path.removeprefix("/usr")).stdout
        assert f": {path}" in known or f": {path.removeprefix('/usr')}" in known, path
