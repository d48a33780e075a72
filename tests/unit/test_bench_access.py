# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make bench-access` measures on is the same each time, and what it says of the targets is true."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.benchmarks.access import estate, holes, loading, results, specs
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse

SMALL, MEDIUM, LARGE = estate.SIZES


@pytest.mark.parametrize("size", [SMALL, MEDIUM])
def test_the_same_size_is_the_same_estate(size: estate.Size) -> None:
    first, second = estate.make(size), estate.make(size)
    assert first == second
    assert [*loading.cluster(first), *loading.database(first)] == [*loading.cluster(second), *loading.database(second)]


@pytest.mark.parametrize("size", estate.SIZES)
def test_there_are_as_many_tables_and_logins_as_the_size_says(size: estate.Size) -> None:
    made = estate.make(size)
    assert sum(len(tables) for tables in made.tables.values()) == size.tables
    assert len(made.logins) == size.logins
    assert made.particular, "somebody has rights on single tables"


@pytest.mark.parametrize("size", estate.SIZES)
def test_a_role_has_its_rights_in_a_schema_in_one_way_only(size: estate.Size) -> None:
    """pgbedrock refuses a table that is both read and written, so none may come twice."""
    made = estate.make(size)
    places = [(grant.role, grant.schema) for grant in (*made.wholes, *made.singles)]
    assert len(places) == len(set(places))


@pytest.mark.parametrize("size", estate.SIZES)
def test_the_policy_is_one_that_pg_access_takes(size: estate.Size) -> None:
    policy = parse(specs.ours(estate.make(size)))
    assert policy.authoritative
    assert set(policy.schemas) == set(estate.make(size).schemas)


def test_the_reader_that_holes_are_planted_for_has_nothing_of_its_own() -> None:
    made = estate.make(SMALL)
    assert made.member_of[holes.READER] == (estate.group(made.first, estate.READ),)
    grants: list[t.Any] = [*made.wholes, *made.singles, *made.on_columns]
    assert holes.READER not in {grant.role for grant in grants}


def test_the_peers_are_told_of_the_same_roles() -> None:
    made = estate.make(MEDIUM)
    every = {*made.owners, *made.groups, *made.logins}
    assert set(specs.ours(made)["roles"]) == every
    assert set(specs.pgbedrock(made, {})) == every
    assert set(specs.pgsesame(made)["principals"]) == every | {"public"}
    assert set(specs.ldap2pg(made)["postgres"]["managed_roles_query"]) == every - made.particular | {"public"}


def _rows(**walls: list[float]) -> list[results.Row]:
    rows: list[results.Row] = [
        {"name": name, "size": LARGE.name, "wall_s": wall, "rows_rewritten": 0} for name, wall in walls.items()
    ]
    seen = {"one": True, "another": False}
    return [*rows, {"name": "pg_access", "size": SMALL.name, "wall_s": [1.0], "rows_rewritten": 0, "holes": seen}]


def test_a_target_is_met_by_the_median() -> None:
    rows = _rows(pg_access=[9.0, 1.0, 1.0], pgbedrock=[5.0, 5.0, 1.0], pgsesame=[3.0], ldap2pg=[1.0])
    met = {target.name: target.met for target in results.judge(rows)}
    assert met["plan, large"] is True
    assert met["plan, large: faster than pgbedrock"] is True
    assert met["plan, large: faster than pgsesame"] is False
    assert met["plan, large: faster than ldap2pg"] is True
    assert met["planted holes seen"] is False


def test_what_could_not_be_measured_is_neither_met_nor_missed() -> None:
    rows = _rows(pg_access=[1.0])
    rows.append({"name": "pgbedrock", "size": LARGE.name, "why_not": "not to be had"})
    targets = {target.name: target for target in results.judge(rows)}
    assert targets["plan, large: faster than pgbedrock"].met is None
    assert targets["plan, large: faster than pgbedrock"].value is None
