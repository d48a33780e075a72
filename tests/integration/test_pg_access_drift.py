"""Whatever a server was and whatever a policy says: the audit names each excess and each lack, and nothing else."""

# ruff: noqa: S311
from __future__ import annotations

import datetime
import random
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access import postgres
from ansible_collections.taaraxtak.production.plugins.module_utils.access.audit.audit import Audit, audit
from ansible_collections.taaraxtak.production.plugins.module_utils.access.enforce import Options, enforce
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.statements import shown
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster
from ansible_collections.taaraxtak.production.tests.integration import random_access
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server

ROUNDS = 6
CASES = 5
NOUNS = {"server": "foreign server", "wrapper": "foreign data wrapper", "lo": "large object"}
# (database, object, role, privilege)
Pair = tuple[str, str, str, str]
# What an apply leaves nothing of.
CLOSED = ("excess-", "missing-", "wrong-owner", "role-attribute", "password", "membership-option")


def look(server: Server, written: dict[str, t.Any]) -> Audit:
    policy = parse(written)
    with postgres.session(server.login, "postgres") as connection, postgres.snapshot(connection):
        cluster = postgres.read_cluster(connection)
    found = {}
    for name in random_access.DATABASES:
        with postgres.session(server.login, name) as connection, postgres.snapshot(connection):
            found[name] = postgres.read_objects(connection, policy, cluster, name)
    return audit(policy, cluster, found, today=datetime.date(2026, 1, 1))


def named(kind: str, schema: str, name: str, extra: str) -> str:
    if kind == "column":
        return f"column {shown(schema, name, extra)}"
    if kind == "routine":
        return f"routine {shown(schema, name)}({extra})"
    text = name if kind == "lo" else shown(schema, name) if schema else shown(name)
    return f"{NOUNS.get(kind, kind)} {text}"


def oracle(server: Server, written: dict[str, t.Any]) -> tuple[set[Pair], set[Pair]]:
    """What exceeds and what is missing, from the catalogue and the policy as written; databases' own ACLs left out."""
    excess, missing = set(), set()
    for database in random_access.DATABASES:
        for one, (owner, held) in random_access.state(server, database).items():
            kind, schema, name, _extra = one
            if kind == "database":
                continue
            owners = (owner, written.get("owners", {}).get(name if kind == "schema" else schema, owner))
            wanted = {item[:2] for item in random_access.expected(written, database, one)}
            has = {item[:2] for item in held}
            excess |= {(database, named(*one), *pair) for pair in has - wanted if pair[0] not in owners}
            missing |= {(database, named(*one), *pair) for pair in wanted - has if pair[0] not in owners}
    return excess, missing


def covered(written: dict[str, t.Any], database: str, one: Pair) -> bool:
    """Whether a table's grant gives on a column what its own may give too, or may not: then either is right."""
    for schema in random_access.SCHEMAS:
        for name in random_access.TABLES:
            if one[1].startswith(f"column {shown(schema, name)}."):
                table = random_access.expected(written, database, ("table", schema, name, ""))
                return (one[2], one[3]) in {item[:2] for item in table}
    return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Server]:
    with ScratchCluster(settings={"autovacuum": "off"}) as cluster:
        yield Server(cluster)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_the_audit_says_what_exceeds_and_what_is_missing(server: Server, number: int, tmp_path: Path) -> None:
    for case in range(CASES):
        rnd = random.Random(5000 + number * CASES + case)
        random_access.clear(server)
        random_access.make(server, rnd)
        written = random_access.policy(rnd)
        said: dict[str, set[Pair]] = {"excess-privilege": set(), "missing-privilege": set()}
        for one in look(server, written).findings:
            if one.rule in said and one.database is not None and " pg_catalog." not in one.object:
                said[one.rule].add((one.database, one.object, one.role, one.privilege))
        excess, missing = oracle(server, written)
        # The oracle looks at no column without an ACL: it can't say what such a one lacks.
        said["missing-privilege"], missing = (
            {one for one in ones if not one[1].startswith("column ")} for ones in (said["missing-privilege"], missing)
        )
        for told, right in ((said["excess-privilege"], excess), (said["missing-privilege"], missing)):
            assert [one for one in sorted(told ^ right) if not covered(written, one[0], one)] == []

        options = Options(check=False, lock_file=str(tmp_path / "lock"), hba=False, skip_missing=True)
        enforce(server.login, parse(written), options)
        assert [one for one in look(server, written).findings if one.rule.startswith(CLOSED)] == []
