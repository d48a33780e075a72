"""Logins by peer on top of a server's own files, and the part of a policy that an adoption begins with."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.hba import HEADER
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.plugins.module_utils.adopt.alone import alone
from ansible_collections.taaraxtak.production.plugins.module_utils.adopt.crontab import MARK, retired
from ansible_collections.taaraxtak.production.plugins.module_utils.adopt.logins import BEGIN, END, sessions, with_logins

POLICY: dict[str, t.Any] = {
    "version": 1,
    "scope": {"databases": ["app"], "schemas": ["public"], "public": True},
    "mode": "authoritative",
    "roles": {
        "owner": {"login": False},
        "scraper": {"os_users": ["collector"]},
        "Odd role": {"os_users": ["grafana"]},
        "dumper": {"os_users": ["pgdumper"], "bypassrls": True, "member_of": ["pg_read_all_data"]},
        "dba": {"os_users": ["alice"], "member_of": [{"role": "owner"}]},
    },
    "grants": [
        {"to": ["scraper", "Odd role", "dumper", "dba"], "on": {"database": "app"}, "privileges": ["connect"]},
        {"to": "scraper", "on": {"tables": "public.*"}, "privileges": ["insert"]},
    ],
}
HBA = "# by hand\nlocal all postgres peer\nhost all all 127.0.0.1/32 md5\n"
IDENT = "mine bob bob\n"


def test_rows_stand_on_top_and_the_rest_stays_as_it_is():
    made = with_logins(HBA, IDENT, POLICY, ["pgdumper"])
    assert made["hba"] == f"{BEGIN}\nlocal app dumper peer map=taaraxtak\n{END}\n{HBA}"
    assert made["ident"] == f"{BEGIN}\ntaaraxtak pgdumper dumper\n{END}\n{IDENT}"


def test_a_second_call_replaces_the_rows_of_the_first():
    once = with_logins(HBA, IDENT, POLICY, ["pgdumper"])
    again = with_logins(once["hba"], once["ident"], POLICY, ["collector", "grafana"])
    assert again == with_logins(HBA, IDENT, POLICY, ["collector", "grafana"])
    assert 'local app "Odd role" peer map=taaraxtak\n' in again["hba"]
    assert with_logins(again["hba"], again["ident"], POLICY, []) == {"hba": HBA, "ident": IDENT}


def test_nobody_gets_a_row_but_the_accounts_that_are_named():
    made = with_logins(HBA, IDENT, POLICY, ["collector"])
    assert "dumper" not in made["hba"] + made["ident"]


def test_each_account_proves_its_own_rows():
    """As itself and as nobody else: a row that lets nobody in is found."""
    assert sessions(POLICY, ["pgdumper"]) == [{"account": "pgdumper", "role": "dumper", "database": "app"}]
    assert [one["role"] for one in sessions(POLICY, ["grafana", "alice"])] == ["Odd role", "dba"]
    assert sessions(POLICY, []) == []


def test_an_account_of_no_role_is_refused():
    with pytest.raises(ValueError, match="no role of the policy has mallory"):
        with_logins(HBA, IDENT, POLICY, ["mallory", "collector"])


def test_files_that_the_policy_owns_get_nothing_on_top():
    with pytest.raises(ValueError, match="the policy's own already"):
        with_logins(HEADER + "local all postgres peer\n", IDENT, POLICY, ["collector"])


def test_the_dumps_role_alone_is_a_policy_that_takes_nothing_away():
    part = alone(POLICY, "pgdumper")
    assert parse(part).mode == "additive"
    assert list(part["roles"]) == ["dumper"]
    assert part["grants"] == [{"to": ["dumper"], "on": {"database": "app"}, "privileges": ["connect"]}]


def test_what_a_role_is_a_member_of_comes_with_it():
    assert set(alone(POLICY, "alice")["roles"]) == {"dba", "owner"}


def test_an_account_that_is_nobodys_has_no_part():
    with pytest.raises(ValueError, match="exactly one role"):
        alone(POLICY, "mallory")


CRONTAB = "MAILTO=ops\n# m h\n0 3 * * * /home/ops/dump.sh\n5 4 * * * /home/ops/other.sh\n"


def test_a_job_becomes_a_remark_and_no_other_line_changes():
    made = retired(CRONTAB, ["0 3 * * * /home/ops/dump.sh"])
    assert made == CRONTAB.replace("0 3 *", f"{MARK}0 3 *")
    assert retired(made, ["0 3 * * * /home/ops/dump.sh"]) == made


@pytest.mark.parametrize("line", ["0 3 * * * /home/ops/DUMP.sh", "", "# m h", "dump.sh"])
def test_a_line_that_is_no_job_is_refused(line):
    with pytest.raises(ValueError, match="has no job"):
        retired(CRONTAB, [line])
