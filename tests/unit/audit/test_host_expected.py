"""What the audit expects of hosts, for every way in which an inventory sets the roles up."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.hosts import expectations, options
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.model import Document
from ansible_collections.taaraxtak.production.tests.unit.audit.hosts import PRODUCTION, VARIABLES

GRAFANA = {"dashboards_grafana": "deb"}
PUBLISHED = {**GRAFANA, "dashboards_published": True}
GIVEN = {**PUBLISHED, "dashboards_tls_certificate": "/x.pem"}
ACME = {**PUBLISHED, "dashboards_acme_directory": "https://acme.example.org/directory"}
SPLIT = {"groups": {"production_hosts": ["database", "collector", "dashboards"], "database_hosts": ["database"]}}
COLLECTOR, DASHBOARDS, DATABASE = (
    (f"{name}_hosts", "production_hosts") for name in ("collector", "dashboards", "database")
)
TLS = "/etc/taaraxtak/tls"


def expected(groups: t.Sequence[str] = PRODUCTION, /, **told: t.Any) -> dict[str, Document]:
    return expectations({**VARIABLES, **told}.__getitem__, groups)


def files(found: dict[str, Document]) -> dict[str, tuple[str, str, str]]:
    return {one["path"]: (one["owner"], one["group"], one["mode"]) for one in found["secrets"]["files"]}


def sockets(found: dict[str, Document]) -> set[tuple[int, str, bool]]:
    return {(one["port"], one["account"], one.get("local", False)) for one in found["sockets"]["sockets"]}


def test_without_grafana_nothing_of_it_is_expected():
    found = expected()
    assert not {path for path in files(found) if "grafana" in path or "nginx" in path}
    assert (3000, "grafana", True) not in sockets(found)
    assert found["certificates"]["files"] == []


def test_grafana_hears_its_own_host_and_keeps_its_secrets():
    found = expected(**GRAFANA)
    assert files(found)["/etc/grafana/secrets"] == ("root", "grafana", "0750")
    assert files(found)["/etc/grafana/secrets/secret_key"] == ("root", "grafana", "0640")
    assert "/etc/grafana/secrets/password" not in files(found)
    assert (3000, "grafana", True) in sockets(found)
    assert "grafana-server.service" in found["units"]["running"]
    assert found["units"]["drop_ins"] == ["/etc/systemd/system/grafana-server.service.d/taaraxtak.conf"]
    assert not {port for port, _account, _local in sockets(found)} & {80, 443}
    assert "nginx.service" not in found["units"]["running"]


def test_a_grafana_that_hears_other_hosts_is_expected_to():
    assert (3000, "grafana", False) in sockets(expected(**GRAFANA, dashboards_address="192.0.2.1"))


def test_a_published_grafana_is_behind_nginx_and_a_certificate():
    found = expected(**GIVEN)
    assert {(80, "root", False), (443, "root", False)} <= sockets(found)
    assert "/etc/nginx/nginx.conf" in found["packages"]["owned"]
    assert "nginx.service" in found["units"]["running"]
    assert "certbot.timer" not in found["units"]["running"]
    assert files(found)["/etc/nginx/taaraxtak"] == ("root", "root", "0750")
    assert found["certificates"]["files"] == ["/etc/nginx/taaraxtak/*.pem"]


def test_a_certificate_of_an_authority_is_renewed_by_a_timer():
    found = expected(**ACME)
    assert "certbot.timer" in found["units"]["running"]
    assert files(found)["/etc/letsencrypt/archive"] == ("root", "root", "0700")
    assert found["certificates"]["files"] == ["/etc/letsencrypt/live/taaraxtak-dashboards/fullchain.pem"]


def test_a_password_of_grafanas_is_a_secret_where_it_comes_by_one():
    found = expected(**GRAFANA, dashboards_host="192.0.2.1")
    assert files(found)["/etc/grafana/secrets/password"] == ("root", "grafana", "0640")


@pytest.mark.parametrize(
    ("groups", "name", "owner"),
    [
        (DATABASE, "server", "postgres"),
        (COLLECTOR, "scraper", "collector"),
        (DASHBOARDS, "grafanareader", "grafana"),
    ],
)
def test_where_production_is_several_hosts_each_has_its_certificate_and_key(groups, name, owner):
    found = expected(groups, **SPLIT)
    assert files(found)[f"{TLS}/{name}.key"] == (owner, owner, "0400")
    assert found["certificates"]["files"] == [
        f"{TLS}/ca.crt",
        *([f"{TLS}/ca.crl"] if name == "server" else []),
        f"{TLS}/{name}.crt",
    ]
    assert len([path for path in files(found) if path.startswith(TLS)]) == 1


def test_a_host_that_is_production_alone_has_no_certificate_whatever_names_it_has():
    assert expected(certificates_server_names=["x"])["certificates"]["files"] == []


def test_a_key_that_is_given_is_written_as_roots_groups():
    found = expected(DATABASE, **SPLIT, certificates_given={"ca": "/x", "server": {}})
    assert files(found)[f"{TLS}/server.key"] == ("postgres", "root", "0400")
    assert found["certificates"]["files"] == [f"{TLS}/ca.crt", f"{TLS}/server.crt"]


def test_the_clients_are_those_that_the_inventory_names():
    clients = [{"role": "reader", "group": "collector_hosts", "account": "app"}]
    assert files(expected(COLLECTOR, **SPLIT, certificates_clients=clients))[f"{TLS}/reader.key"][0] == "app"


ADDRESSES = {"url": "https://hooks.example.org/x", "ping": "https://ping.example.org/x"}


@pytest.mark.parametrize("told", [{"notify": ADDRESSES}, {"backup_notify": ADDRESSES, "dump_store_notify": ADDRESSES}])
def test_addresses_that_are_told_are_secrets(told):
    for groups, group in ((PRODUCTION, "pgbackup"), (("store_hosts",), "dumps-archive")):
        found = files(expected(groups, **told))
        assert found["/etc/taaraxtak/notify.url"] == found["/etc/taaraxtak/notify.ping"] == ("root", group, "0640")


@pytest.mark.parametrize("told", [{}, {"notify": {"command": ["x"]}}, {"notify": ADDRESSES, "backup_notify": {}}])
def test_where_nobody_is_told_by_an_address_there_is_no_such_file(told):
    assert "/etc/taaraxtak/notify.url" not in files(expected(**told))


@pytest.mark.parametrize(
    ("told", "watched"),
    [({}, {15, 17}), ({"database_version": 18}, {18})],
)
def test_what_lets_somebody_in_is_watched(told, watched):
    found = expected(**told)
    asked = options(found, {**VARIABLES, **told}.__getitem__, PRODUCTION)["units"]
    assert {"ssh.service", "nftables.service", "postgresql.service"} <= set(asked)
    assert {one for one in asked if one.startswith("postgresql@")} == {f"postgresql@{v}-main.service" for v in watched}
    assert "postgresql.service" not in expected(COLLECTOR, **SPLIT)["units"]["watched"]
    # They need not all be there, nor be enabled by themselves.
    assert not {one for one in found["units"]["running"] if "@" in one or one.startswith("nftables")}
    assert {"ssh.service", "postgresql.service"} <= set(found["units"]["running"])


@pytest.mark.parametrize(
    ("service", "running"),
    [("postgres.service", "postgres.service"), ("postgresql@16-old.service", "postgresql.service")],
)
def test_a_server_that_was_there_has_its_own_unit(service, running):
    found = expected(database_service=service)
    assert service in found["units"]["watched"]
    assert [one for one in found["units"]["running"] if "postgres" in one] == [running]


def test_a_host_is_asked_for_the_certificates_that_are_expected_of_it():
    found = expected(COLLECTOR, **SPLIT)
    asked = options(found, {**VARIABLES, **SPLIT}.__getitem__, COLLECTOR)
    assert asked["certificates"] == found["certificates"]["files"] != []
