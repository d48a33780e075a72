"""The permission matrix is that of one host, walked again from the hosts where the roles are."""

from __future__ import annotations

from estate import PLACE, Pair, Remote, load

_SHARED = load("test_permissions")
# What is about the accounts and the address of one host; the tests below have their likes.
_OF_ONE_HOST = {
    "test_an_account_can_not_log_in_as_another_role",
    "test_nobody_reaches_another_database",
    "test_nothing_listens_on_the_network",
}
globals().update(
    {name: test for name, test in vars(_SHARED).items() if name.startswith("test_") and name not in _OF_ONE_HOST}
)


def test_nobody_reaches_another_database_from_elsewhere(scraper, grafanareader):
    for login in (scraper, grafanareader):
        for database in ("postgres", "template1"):
            assert login.turned_away("pg_hba.conf rejects connection", dbname=database)


def test_a_password_that_a_role_sets_itself_gains_nothing(grafanareader, scraper, postgres):
    """Any role may set its own password: whoever then comes with it and without the certificate must be refused."""
    for login in (grafanareader, scraper):
        words = {"sslcert": "/nonexistent", "sslkey": "/nonexistent", "password": "planted"}
        try:
            done = login.connect(f"SET transaction_read_only = off; ALTER ROLE {login.role} PASSWORD 'planted'")
            assert done.rc == 0, done.stderr
            assert login.turned_away("valid client certificate", **words)
            assert login.turned_away("pg_hba.conf rejects connection", **words, sslmode="disable")
        finally:
            postgres.commit(f"ALTER ROLE {login.role} PASSWORD NULL")


def test_one_host_does_not_come_as_the_other(scraper, grafanareader, collector, dashboards, planted):
    """Not by its own certificate nor by a stolen one: the address is looked at, then the name in the certificate."""
    own = {"sslcert": f"{PLACE}/scraper.crt", "sslkey": f"{PLACE}/scraper.key"}
    assert Remote(collector, "collector", "grafanareader").turned_away("pg_hba.conf rejects connection", **own)
    stolen = Pair(*(collector.file(f"{PLACE}/scraper.{end}").content for end in ("crt", "key")))
    words = planted(dashboards, "grafana", stolen)
    assert grafanareader.turned_away("certificate authentication failed", **words)
    assert Remote(dashboards, "grafana", "scraper").turned_away("pg_hba.conf rejects connection", **words)
