"""Three functions on three hosts: each does its work, by TLS alone, and nobody else gets in."""

from __future__ import annotations

import json

import pytest
import yaml
from estate import PLACE, Remote, address, issue

FRESHNESS = "taaraxtak-freshness.service"
TABLES = ("provider_marketshare", "pop_weighted_gini", "ip_hostname_mapping", "ooni_web_connectivity_test")


def test_the_collector_writes_from_its_own_host(collector, postgres, until):
    count = "SELECT " + ", ".join(f"(SELECT count(*) FROM public.{table})" for table in TABLES)
    rows = lambda: [int(number) for number in postgres.commit(count).stdout.split("|")]  # noqa: E731
    before = rows()
    until(lambda: all(now > then for now, then in zip(rows(), before, strict=True)), seconds=90,
          what="no new row in every table", host=collector, unit="taaraxtak-collector.service")  # fmt: skip


def test_freshness_is_looked_at_from_there(collector, until):
    until(lambda: collector.run("systemctl start %s", FRESHNESS).rc == 0, seconds=60,
          what="the check of freshness fails", host=collector, unit=FRESHNESS)  # fmt: skip


def test_dumps_come_from_the_databases_host(play, store):
    """By the line that cron runs there."""
    play("first_dump.yml")
    assert ".sql.zst" in store.check_output("dump-store list")


@pytest.mark.parametrize("role", ["scraper", "grafanareader"])
def test_a_session_is_by_tls_and_by_the_roles_certificate(request, role):
    login = request.getfixturevalue(role)
    about = "SELECT ssl, version >= 'TLSv1.2', client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert login.run(about).stdout.splitlines()[1] == f"t|t|/CN={role}"


def test_grafana_has_no_password_of_the_database(dashboards, server):
    held = yaml.safe_load(dashboards.file("/etc/grafana/provisioning/datasources/taaraxtak.yml").content_string)
    (datasource,) = held["datasources"]
    assert "secureJsonData" not in datasource
    assert datasource["url"] == "database:5432"
    wanted = {
        "sslmode": "verify-full",
        "tlsConfigurationMethod": "file-path",
        "sslRootCertFile": f"{PLACE}/ca.crt",
        "sslCertFile": f"{PLACE}/grafanareader.crt",
        "sslKeyFile": f"{PLACE}/grafanareader.key",
    }
    assert wanted.items() <= datasource["jsonData"].items()
    assert sorted(dashboards.file("/etc/grafana/secrets").listdir()) == ["admin_password", "secret_key"]
    assert not server.file("/etc/grafana").exists


def test_each_host_has_what_its_groups_say_and_nothing_else(server, collector, dashboards):
    assert not collector.file("/etc/postgresql").exists
    assert not dashboards.file("/etc/postgresql").exists
    assert not server.file("/opt/taaraxtak").exists
    assert server.file("/etc/cron.d/taaraxtak-backup").exists
    assert not collector.file("/etc/cron.d/taaraxtak-backup").exists


@pytest.mark.parametrize(
    ("where", "name", "account"),
    [("server", "server", "postgres"), ("collector", "scraper", "collector"),
     ("dashboards", "grafanareader", "grafana")],
)  # fmt: skip
def test_a_key_is_on_its_host_alone_and_one_account_reads_it(request, where, name, account):
    host = request.getfixturevalue(where)
    key = host.file(f"{PLACE}/{name}.key")
    assert (key.user, key.mode) == (account, 0o400)
    assert [name for name in host.file(PLACE).listdir() if name.endswith(".key")] == [f"{name}.key"]


def test_plain_text_is_refused(scraper, grafanareader):
    for login in (scraper, grafanareader):
        assert login.turned_away("no encryption", sslmode="disable")


def test_no_certificate_is_refused(scraper, grafanareader):
    for login in (scraper, grafanareader):
        assert login.turned_away("valid client certificate", sslcert="/nonexistent", sslkey="/nonexistent")


def test_a_certificate_of_another_authority_is_refused(scraper, planted, collector):
    # That of this one, made the same way, is not: the test would prove nothing.
    assert scraper.connect(**planted(collector, "collector", issue("scraper"))).rc == 0
    # Its name is the same, and its signature is not.
    assert scraper.turned_away("decrypt error", **planted(collector, "collector", issue("scraper", own=False)))


def test_an_expired_certificate_is_refused(scraper, planted, collector):
    assert scraper.turned_away("certificate expired", **planted(collector, "collector", issue("scraper", ends=-1)))


def test_a_servers_certificate_is_no_clients(scraper, planted, collector):
    words = planted(collector, "collector", issue("scraper", server=True))
    assert scraper.turned_away("unsupported certificate", **words)


def test_old_tls_is_refused(scraper):
    words = {"ssl_min_protocol_version": "TLSv1", "ssl_max_protocol_version": "TLSv1.1"}
    assert scraper.turned_away("protocol version", **words)


def test_a_client_looks_at_the_server(scraper, server, collector, planted):
    """By its authority and by its name: whoever stands in the way shows another certificate."""
    other = planted(collector, "collector", issue("scraper", own=False))["sslcert"]
    assert scraper.turned_away("certificate verify failed", sslrootcert=other)
    assert scraper.connect(host=address(server)).rc == 0
    collector.check_output("python3 -c %s", f"open('/etc/hosts', 'a').write('{address(server)} planted\\n')")
    assert scraper.turned_away('does not match host name "planted"', host="planted")


REACHES = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 5432), timeout=3).close()
except OSError:
    print("no")
else:
    print("yes")
"""


@pytest.fixture
def opened(server, store):
    """The database's firewall, open for the store too meanwhile."""
    chains = [
        chain["chain"]
        for chain in json.loads(server.check_output("nft -j list chains"))["nftables"]
        if "chain" in chain and chain["chain"].get("hook") == "input"
    ]
    assert chains
    rules = []
    for chain in chains:
        where = ["inet" if chain["family"] == "inet" else "ip", chain["table"], chain["name"]]
        said = server.check_output("nft -j -e -a insert rule %s %s %s tcp dport 5432 accept", *where)
        handle = next(one["insert"]["rule"]["handle"] for one in json.loads(said)["nftables"] if "insert" in one)
        rules.append([*where, str(handle)])
    yield
    for rule in rules:
        server.check_output("nft delete rule %s %s %s handle %s", *rule)


def test_another_host_does_not_reach_the_port(store, collector, dashboards, server):
    where = address(server)
    assert [host.check_output("python3 -c %s %s", REACHES, where) for host in (collector, dashboards, store)] == [
        "yes",
        "yes",
        "no",
    ]


def test_another_host_is_refused_by_the_server_too(store, server, opened, planted):
    """Were the firewall wrong one day: with a certificate that is right in every way."""
    assert store.check_output("python3 -c %s %s", REACHES, address(server)) == "yes"
    for role in ("scraper", "grafanareader"):
        words = planted(store, "nobody", issue(role))
        stranger = Remote(store, "nobody", role)
        assert stranger.turned_away("pg_hba.conf rejects connection", sslmode="require", sslrootcert="none", **words)
