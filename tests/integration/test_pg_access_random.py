"""Whatever a server was and whatever a policy says: after one run the state is the policy, and a second is empty."""

# ruff: noqa: S311
from __future__ import annotations

import random
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.enforce import Options, Outcome, enforce
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.tests.integration import random_access
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.servers import bindir, every_server  # noqa: F401

# 320 cases: the tests of one file are dealt to the workers one by one.
ROUNDS = 16
CASES = 20
# Beside them, on each version.
ROUNDS_OF_EACH = 1


def run(server: Server, written: dict[str, t.Any], folder: Path, *, check: bool = False) -> Outcome:
    options = Options(check=check, lock_file=str(folder / "lock"), hba=False, skip_missing=True)
    return enforce(server.login, parse(written), options)


def problems(server: Server, written: dict[str, t.Any]) -> list[str]:
    """What of the server is not as the policy *written* says, by an oracle that is not the planner."""
    found = []
    for database in random_access.DATABASES:
        for one, (owner, held) in random_access.state(server, database).items():
            kind, schema, name, _extra = one
            wanted = random_access.expected(written, database, one)
            wanted = {item for item in wanted if item[0] != owner}
            if kind == "column":
                # What the whole table's grant gives on a column need not be granted on it, and may be.
                table = random_access.expected(written, database, ("table", schema, name, ""))
                covered = {item[:2] for item in table}
                wanted = {item for item in wanted if item[:2] not in covered}
                held = {item for item in held if item[:2] not in covered}
            if random_access.merged(held) != wanted:
                found.append(f"{database}: {one}: has {sorted(held)}, the policy says {sorted(wanted)}")
            inside = name if kind == "schema" else schema
            if owner != written.get("owners", {}).get(inside, owner):
                found.append(f"{database}: {one} belongs to {owner}")
        found += default_problems(server, written, database)
    return found


def default_problems(server: Server, written: dict[str, t.Any], database: str) -> list[str]:
    found = []
    live = random_access.defaults(server, database)
    wanted = random_access.expected_defaults(written)
    for key in live.keys() | wanted.keys():
        creator, schema, letter = key
        held = live.get(key, set())
        if schema and held != {item for item in wanted.get(key, set()) if item[0] != creator}:
            found.append(f"{database}: new {letter} of {creator} in {schema}: {sorted(held)}")
        built_in = {"f": ("public", "EXECUTE", False), "T": ("public", "USAGE", False)}.get(letter)
        if not schema and creator in written["roles"] and held - {built_in}:
            found.append(f"{database}: new {letter} of {creator}: {sorted(held)}")
    for owner in set(written.get("owners", {}).values()):
        for letter in "fT":
            if live.get((owner, "", letter)) != set():
                found.append(f"{database}: PUBLIC may still use a new {letter} of {owner}")
    return found


def check(server: Server, tmp_path: Path, cases: t.Iterable[int]) -> None:
    for case in cases:
        rnd = random.Random(case)
        random_access.make(server, rnd)
        written = random_access.policy(rnd)
        foretold = run(server, written, tmp_path, check=True)
        done = run(server, written, tmp_path)
        assert done.queries == foretold.queries, f"case {case}"
        assert problems(server, written) == [], f"case {case}"
        again = run(server, written, tmp_path)
        assert again.queries == (), f"case {case}"
    random_access.clear(server)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_after_a_run_the_state_is_the_policy_and_a_second_is_empty(server, tmp_path, number):
    check(server, tmp_path, range(number * CASES, (number + 1) * CASES))


@pytest.mark.parametrize("number", range(ROUNDS_OF_EACH))
def test_so_it_is_on_every_version(every_server, tmp_path, number):  # noqa: F811
    check(every_server, tmp_path, range(1000 + number * CASES, 1000 + (number + 1) * CASES))


def test_the_oracle_sees_a_difference(server, tmp_path):
    rnd = random.Random(3)
    random_access.make(server, rnd)
    written = {**random_access.policy(rnd), "grants": []}
    assert problems(server, written) != []
    run(server, written, tmp_path)
    assert problems(server, written) == []
    server.run("GRANT SELECT (a) ON t0 TO r_other; GRANT UPDATE ON t0 TO r_other", database=random_access.DATABASES[0])
    assert len(problems(server, written)) == 2
    random_access.clear(server)
