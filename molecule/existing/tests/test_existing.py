"""Whoever forgets to say that the server is there already is told, before its unit is started."""

from __future__ import annotations

import re

import pytest

FORGOTTEN = {
    "database_packages": "debian",
    "database_cluster": "main",
    "database_port": 5432,
    "collector_config": {"postgres": {"host": "/var/run/postgresql", "user": "scraper", "database": "taaraxtak"}},
}
SAID = r"has no /etc/postgresql/\d+/main/postgresql\.conf, of the cluster main .* See `pg_lsclusters` there"


@pytest.mark.usefixtures("alone_with_the_firewall")
def test_the_cluster_of_debian_is_asked_for_where_there_is_another(attempt, production):
    for check in (True, False):
        done = attempt("playbooks/site.yml", check=check, **FORGOTTEN)
        assert done.returncode != 0
        assert re.search(SAID, " ".join((done.stdout + done.stderr).split())), done.stdout
        assert not re.search(r"changed=[1-9]", done.stdout.split("PLAY RECAP")[1]), done.stdout
    enabled = production.check_output("find /etc/systemd/system -name 'postgresql@*.service'")
    assert "measurements" in enabled
    assert "main" not in enabled
