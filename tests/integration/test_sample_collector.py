from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLES = {"provider_marketshare", "pop_weighted_gini", "ip_hostname_mapping", "ooni_web_connectivity_test"}
READABLE = "provider_marketshare, ip_hostname_mapping, ooni_web_connectivity_test"
OWNER, SCRAPER = "taaraxtak_owner", "scraper"


class Collector:
    """A copy of the sample collector that logs in as *role*."""

    def __init__(self, folder, server, role, **more):
        self.folder = folder
        shutil.copytree(ROOT / "sample" / "collector", folder)
        self.log_in(server.cluster.socket, role, **more)

    def log_in(self, socket, role, **more):
        config = {"postgres": {"host": str(socket), "user": role, "database": "postgres"}, **more}
        (self.folder / "config.py").write_text(f"config = {config!r}\n")

    def command(self, *arguments):
        return [sys.executable, "-B", *arguments]

    def run(self, *arguments):
        return subprocess.run(
            self.command(*arguments), cwd=self.folder, capture_output=True, text=True, check=False, timeout=60
        )


@pytest.fixture
def policy(fresh_server):
    """The tables as the owner's, and a scraper with exactly the grants of the access policy."""
    fresh_server.run(f"CREATE ROLE {OWNER} LOGIN; CREATE ROLE {SCRAPER} LOGIN; GRANT ALL ON SCHEMA public TO {OWNER}")
    fresh_server.run("REVOKE ALL ON DATABASE postgres FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC")
    fresh_server.run(
        f"GRANT CONNECT ON DATABASE postgres TO {SCRAPER}, {OWNER}; GRANT USAGE ON SCHEMA public TO {SCRAPER}"
    )
    return fresh_server


@pytest.fixture
def collector(policy, tmp_path):
    """The collector of a host that is set up: the tables are there, it runs as the scraper."""
    found = Collector(tmp_path / "app", policy, OWNER)
    made = found.run("create_tables.py")
    assert made.returncode == 0, made.stderr
    policy.run(f"GRANT INSERT ON ALL TABLES IN SCHEMA public TO {SCRAPER}; GRANT SELECT ON {READABLE} TO {SCRAPER}")
    found.log_in(policy.cluster.socket, SCRAPER)
    return found


def counts(server):
    return {table: server.run(f"SELECT count(*) FROM {table}")[0][0] for table in sorted(TABLES)}  # noqa: S608 - names of this file


def test_create_tables_makes_the_four_tables_once(policy, tmp_path):
    collector = Collector(tmp_path / "app", policy, OWNER)
    first = collector.run("create_tables.py")
    assert first.returncode == 0, first.stderr
    owned = policy.run("SELECT tablename, tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert set(owned) == {(table, OWNER) for table in TABLES}
    again = collector.run("create_tables.py")
    assert again.returncode != 0
    assert "DuplicateTable" in again.stderr


def test_once_writes_every_table_with_the_scrapers_grants(collector, policy):
    for round_number in (1, 2):
        done = collector.run("collect.py", "--once")
        assert done.returncode == 0
        assert done.stderr == ""
        found = counts(policy)
        assert found["provider_marketshare"] == 3 * round_number
        assert found["ooni_web_connectivity_test"] == 3 * round_number
        assert found["pop_weighted_gini"] == round_number
        assert found["ip_hostname_mapping"] >= 1


def test_rows_writes_as_many_rows_as_asked_with_the_scrapers_grants(collector, policy):
    done = collector.run("collect.py", "--rows", "10007")
    assert done.returncode == 0, done.stderr
    assert counts(policy) == {
        "ip_hostname_mapping": 800,
        "ooni_web_connectivity_test": 10007 - 800 - 100 - 1601,
        "pop_weighted_gini": 100,
        "provider_marketshare": 1601,
    }
    names = policy.run("SELECT count(*) FROM provider_marketshare GROUP BY name ORDER BY 1 DESC")
    assert 20 < len(names) < 150
    assert names[0][0] > 5 * names[len(names) // 2][0]
    newest = policy.run("SELECT now() - max(measurement_start_time) < '1 minute' FROM ooni_web_connectivity_test")
    assert newest == [(True,)]


def test_rows_are_the_same_for_the_same_seed(collector, policy):
    query = "SELECT md5(string_agg(input_url || probe_alpha2, ',')) FROM ooni_web_connectivity_test"
    found = []
    for seed in ("5", "5", "6"):
        assert collector.run("collect.py", "--rows", "200", "--seed", seed).returncode == 0
        found.append(policy.run(query))
        policy.run("TRUNCATE ooni_web_connectivity_test")
    assert found[0] == found[1] != found[2]


def test_rows_continue_into_a_second_batch_with_rising_times(collector, policy):
    assert collector.run("collect.py", "--rows", "100100").returncode == 0
    assert sum(counts(policy).values()) == 100100
    order = (
        "SELECT count(*) FROM (SELECT measurement_start_time < lag(measurement_start_time) OVER (ORDER BY ctid) AS back"
    )
    assert policy.run(f"{order} FROM ooni_web_connectivity_test) AS rows WHERE back") == [(0,)]


def test_a_hostile_host_name_deletes_nothing_as_the_scraper(collector, policy):
    assert collector.run("collect.py", "--once").returncode == 0
    before = counts(policy)
    assert before["ip_hostname_mapping"] > 0
    collector.log_in(policy.cluster.socket, SCRAPER, sample_injection=True)
    done = collector.run("collect.py", "--once")
    assert done.returncode == 0
    assert "InsufficientPrivilege: permission denied for table ip_hostname_mapping" in done.stderr
    after = counts(policy)
    assert all(after[table] >= before[table] for table in TABLES)


def test_the_same_host_name_empties_the_table_as_its_owner(collector, policy):
    assert collector.run("collect.py", "--rows", "1000").returncode == 0
    assert counts(policy)["ip_hostname_mapping"] == 80
    collector.log_in(policy.cluster.socket, OWNER, sample_injection=True)
    done = collector.run("collect.py", "--once")
    assert (done.returncode, done.stderr) == (0, "")
    # What is left is what the same round wrote after the DELETE: the hostile name itself.
    assert policy.run("SELECT hostname LIKE '%DELETE%' FROM ip_hostname_mapping") == [(True,)]


def test_without_the_switch_a_round_as_the_owner_deletes_nothing(collector, policy):
    assert collector.run("collect.py", "--rows", "1000").returncode == 0
    collector.log_in(policy.cluster.socket, OWNER)
    assert collector.run("collect.py", "--once").returncode == 0
    assert counts(policy)["ip_hostname_mapping"] >= 80


def test_the_loop_swallows_its_errors_and_goes_on(collector, policy, tmp_path):
    policy.run("ALTER TABLE pop_weighted_gini RENAME TO away")
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(collector.command("collect.py"), cwd=collector.folder, stdout=file, stderr=file)
    try:
        wait(lambda: log.read_text().count("collect_shares failed") >= 2)
        assert process.poll() is None
        wait(lambda: policy.run("SELECT count(*) >= 6 FROM ooni_web_connectivity_test") == [(True,)])
        policy.run("ALTER TABLE away RENAME TO pop_weighted_gini")
        wait(lambda: counts(policy)["pop_weighted_gini"] > 0)
    finally:
        process.terminate()
        process.wait(10)


def wait(true):
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_errors_with_rows_are_not_swallowed_and_leave_nothing(collector, policy):
    policy.run(f"REVOKE INSERT ON ooni_web_connectivity_test FROM {SCRAPER}")
    done = collector.run("collect.py", "--rows", "1000")
    assert done.returncode != 0
    assert "InsufficientPrivilege" in done.stderr
    assert sum(counts(policy).values()) == 0


def test_no_server_is_swallowed_in_a_round_and_not_with_rows(collector, tmp_path):
    collector.log_in(tmp_path, SCRAPER)
    assert collector.run("collect.py", "--once").returncode == 0
    assert collector.run("collect.py", "--rows", "1").returncode != 0
