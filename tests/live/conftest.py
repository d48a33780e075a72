"""Tests of running hosts: make verify INVENTORY=FOLDER. Each is run on every host of the groups that it is about."""

from __future__ import annotations

import functools
import os
import typing as t

import pytest

INVENTORY = os.environ.get("TAARAXTAK_VERIFY", "")
# Without an inventory there is nothing to look at: whoever runs all tests doesn't mean running hosts.
if not INVENTORY:
    collect_ignore_glob = ["test_*.py"]
else:
    from ansible_collections.taaraxtak.production.tests.live.reading import Host, places, provided

# A fixture for each function of a host: the groups that it has.
FIXTURES = {
    "host": ("production_hosts", "store_hosts"),
    "database": ("database_hosts",),
    "collector": ("collector_hosts",),
    "dashboards": ("dashboards_hosts",),
    "production": ("production_hosts",),
    "store": ("store_hosts",),
}


@functools.cache
def reached(name: str) -> t.Any:
    """The host *name*, one connection for all tests."""
    return Host(next(place for place in places(INVENTORY) if place.name == name))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test with a host's fixture once for each such host."""
    for fixture in sorted(set(FIXTURES) & set(metafunc.fixturenames)):
        names = [place.name for place in places(INVENTORY) if set(FIXTURES[fixture]) & set(place.groups)]
        metafunc.parametrize(fixture, names, indirect=True)


def a_host(name: str) -> t.Any:
    """The fixture of that name: each of its hosts in turn."""

    @pytest.fixture(name=name)
    def given(request: t.Any) -> t.Any:
        return reached(request.param)

    return given


host, database, collector, dashboards, production, store = map(a_host, FIXTURES)


@pytest.fixture(scope="session")
def provider() -> t.Any:
    return provided(INVENTORY)
