"""chrony keeps the time, and another keeper of time that a host came with stays the only one."""

from __future__ import annotations

import typing as t


def installed(host: t.Any, package: str) -> bool:
    return bool(host.run("dpkg-query --show --showformat '${db:Status-Status}' %s", package).stdout == "installed")


def test_chrony_keeps_the_time_where_nothing_else_did(production: t.Any) -> None:
    assert installed(production, "chrony")
    assert production.check_output("systemctl is-enabled chrony.service") == "enabled"
    assert not installed(production, "systemd-timesyncd")


def test_another_keeper_of_time_stays_the_only_one(store: t.Any) -> None:
    """prepare.yml has planted it."""
    assert not installed(store, "chrony")
    assert store.check_output("systemctl is-enabled ntpsec.service") == "enabled"
