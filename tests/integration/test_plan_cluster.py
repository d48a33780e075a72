"""What all databases share, on a server of each version: planned, run, and read again."""

from __future__ import annotations

import random
import typing as t
from pathlib import Path

import psycopg2
import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog.model import Cluster
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.cluster import (
    missing_databases,
    plan_cluster,
    powers,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.statements import Plan
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy import reader as policies
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.model import Policy
from ansible_collections.taaraxtak.production.plugins.module_utils.access.postgres import read_cluster, snapshot
from ansible_collections.taaraxtak.production.plugins.module_utils.access.running import run, run_alone, text
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.servers import bindir  # noqa: F401
from psycopg2 import sql

# Of the password "app", with the salt "salt" and 4096 iterations.
VERIFIER = (
    "SCRAM-SHA-256$4096:c2FsdA==$Izv7AfuBHyLjSjKCOSZ5Tj4PBOR3d6QJ5HYbTkQgwTM=:"
    "2gtVtKqsJ0sZqzE2I3wGPHcRVCSQWgBJUdU3e8V3V1c="
)
ROLES: dict[str, t.Any] = {
    "C.owner": {},
    "c_dba": {"os_users": "alice", "inherit": False, "member_of": ["C.owner", "pg_monitor"]},
    "c_app": {
        "login": True,
        "connection_limit": 5,
        "settings": {"statement_timeout": "30s", "search_path": ["c", 'D "q"']},
        "database_settings": {'c "app".x': {"work_mem": "1MB"}},
    },
    "c_chief": {"superuser": True, "member_of": {"role": "C.owner", "admin": True}},
}
POLICY: dict[str, t.Any] = {
    "version": 1,
    "scope": {"databases": ['c "app".x', "c_test"], "schemas": ["public"]},
    "mode": "authoritative",
    "unlisted_roles": "disable",
    "ignore": {"roles": ["zabbix*"]},
    "roles": ROLES,
    "database_owners": {"c_test": "C.owner"},
    "database_settings": {"c_test": {"search_path": ["x", "Y"]}, "*": {"log_lock_waits": "on"}},
    "public": {"revoke_connect": "all"},
    "grants": [
        {"to": ["c_app", "c_dba"], "on": {"database": 'c "app"*'}, "privileges": "connect"},
        {"to": "c_dba", "on": {"database": "*"}, "privileges": "create", "grant_option": True},
        {"to": "c_app", "on": {"tablespaces": "pg_def*"}, "privileges": "create"},
    ],
}
PARAMETERS = {
    "to": "c_dba",
    "on": {"parameters": ["log_statement", "plpgsql.check_asserts"]},
    "privileges": ["set", "alter system"],
}
# What others have done to the cluster on which the policy held.
MESS = """
CREATE ROLE mallory LOGIN SUPERUSER PASSWORD 'x';
CREATE ROLE zabbix LOGIN PASSWORD 'x';
ALTER ROLE mallory SET work_mem = '1MB';
ALTER ROLE mallory IN DATABASE c_test SET role = 'c_dba';
GRANT pg_write_all_data TO mallory, zabbix;
GRANT "C.owner" TO c_app WITH ADMIN OPTION;
ALTER ROLE c_app CREATEROLE CONNECTION LIMIT 99;
ALTER ROLE c_app RESET statement_timeout;
ALTER ROLE c_app IN DATABASE postgres SET search_path = 'evil';
ALTER ROLE ALL SET work_mem = '2MB';
ALTER DATABASE c_test RESET search_path;
ALTER DATABASE c_test OWNER TO c_app;
GRANT CREATE ON DATABASE c_test TO c_app WITH GRANT OPTION;
GRANT CONNECT ON DATABASE postgres TO PUBLIC;
GRANT CONNECT ON DATABASE template1 TO zabbix;
GRANT CREATE ON TABLESPACE pg_global TO PUBLIC;
SET ROLE c_app; GRANT "C.owner" TO c_dba; GRANT CREATE ON DATABASE c_test TO mallory; RESET ROLE;
"""


@pytest.fixture(scope="module")
def own_server(bindir: Path) -> t.Iterator[Server]:  # noqa: F811
    """A server for this file alone: a policy is exact for all roles and databases that there are."""
    with ScratchCluster(bindir=bindir, settings={"autovacuum": "off", "log_statement": "all"}) as cluster:
        yield Server(cluster)


def read(connection: t.Any) -> Cluster:
    with snapshot(connection):
        return read_cluster(connection)


def apply(
    server: Server, policy: Policy, passwords: t.Mapping[str, str] | None = None, user: str = "postgres"
) -> list[str]:
    """Plan and run; the statements. What they leave undone is an error of ``run``."""
    connection = server.connect(user=user)
    try:
        cluster = read(connection)
        for create in missing_databases(policy, cluster):
            run_alone(connection, create)
        plan = plan_cluster(policy, cluster, passwords)
        run(connection, plan.statements, "5s", lambda: plan_cluster(policy, read_cluster(connection), passwords))
        return [text(connection, statement) for statement in plan.statements]
    finally:
        connection.close()


def test_a_cluster_becomes_what_the_policy_says_and_does_so_again(own_server):
    version = own_server.run("SHOW server_version_num")[0][0]
    grants = [*POLICY["grants"], *([PARAMETERS] if int(version) >= 150000 else [])]
    policy = policies.parse({**POLICY, "grants": grants})
    passwords = {"c_app": VERIFIER}
    made = apply(own_server, policy, passwords)
    assert any(line.startswith('CREATE ROLE "C.owner"') for line in made)
    assert "SCRAM" not in "".join(made)
    assert own_server.run("SELECT rolpassword FROM pg_authid WHERE rolname = 'c_app'") == [(VERIFIER,)]
    # The server logs every statement, but for those of the transaction that has the password.
    assert "SHOW server_version_num" in own_server.cluster.log()
    assert "c2FsdA==" not in own_server.cluster.log()
    assert apply(own_server, policy, passwords) == []
    for line in MESS.strip().splitlines():
        own_server.run(line)
    if int(version) >= 150000:
        own_server.run("GRANT SET ON PARAMETER work_mem TO PUBLIC; GRANT ALTER SYSTEM ON PARAMETER work_mem TO mallory")
    assert apply(own_server, policy, passwords)
    assert apply(own_server, policy, passwords) == []
    facts = """
    SELECT rolname, rolcanlogin, rolsuper, rolcreaterole, rolconnlimit, rolpassword IS NOT NULL FROM pg_authid
    WHERE rolname IN ('mallory', 'zabbix', 'c_app') ORDER BY 1
    """
    assert own_server.run(facts) == [
        ("c_app", True, False, False, 5, True),
        ("mallory", False, False, False, -1, False),
        ("zabbix", True, False, False, -1, True),
    ]
    held = "SELECT r.rolname FROM pg_roles r WHERE pg_has_role(oid, %(role)s, 'MEMBER') AND NOT rolsuper ORDER BY 1"
    assert own_server.run(held, values={"role": "C.owner"}) == [("C.owner",), ("c_dba",)]
    assert own_server.run(held, values={"role": "pg_write_all_data"}) == [("pg_write_all_data",), ("zabbix",)]
    connect = "SELECT has_database_privilege('zabbix', %(name)s, 'CONNECT')"
    assert own_server.run(connect, values={"name": "template1"}) == [(True,)]
    assert own_server.run(connect, values={"name": "postgres"}) == [(False,)]
    assert own_server.run("SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = 0 AND setrole = 0") == [
        (["log_lock_waits=on"],)
    ]


# The catalogue's own word for what is held: the union of all grantors' rows.
MEMBERSHIPS = """
SELECT roleid::regrole::text, member::regrole::text, bool_or(admin_option){options}
FROM pg_auth_members WHERE roleid::regrole::text LIKE 'q_%%' GROUP BY 1, 2
"""
NAMES = [f"q_{letter}" for letter in "abcdef"]


def attempt(server: Server, user: str, line: str) -> None:
    """Many of them are refused: circles, and options that nobody has given."""
    connection = server.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(user)))
            cursor.execute(line)
    except psycopg2.Error:
        pass
    finally:
        connection.close()


@pytest.mark.parametrize("seed", range(25))
def test_random_memberships_become_exactly_the_policy_s(own_server, seed):
    rng = random.Random(seed)  # noqa: S311 (a seed makes each case the same each time)
    new = int(own_server.run("SHOW server_version_num")[0][0]) >= 160000
    for name in NAMES:
        own_server.run(f"DROP ROLE IF EXISTS {name}")
        own_server.run(f"CREATE ROLE {name} {rng.choice(['INHERIT', 'NOINHERIT'])}")
    for _ in range(rng.randint(5, 25)):
        role, member = rng.sample(NAMES, 2)
        words = [f"{word} {rng.choice(['TRUE', 'FALSE'])}" for word in ("INHERIT", "SET")] if new else []
        if rng.random() < 0.6:
            words.append("ADMIN TRUE" if new else "ADMIN OPTION")
        option = f" WITH {', '.join(words)}" if words else ""
        attempt(own_server, rng.choice(["postgres", *NAMES]), f"GRANT {role} TO {member}{option}")
    listed: dict[str, t.Any] = {}
    # Who is a member of whom follows the alphabet: a policy has no circles.
    for number, name in enumerate(NAMES[:4]):
        inherit = rng.choice([True, False])
        member_of = [
            {
                "role": other,
                "admin": rng.choice([True, False]),
                **({"inherit": rng.choice([True, False]), "set": rng.choice([True, False])} if new else {}),
            }
            for other in NAMES[number + 1 : 4]
            if rng.random() < 0.6
        ]
        listed[name] = {"inherit": inherit, "member_of": member_of}
    policy = policies.parse(
        {
            "version": 1,
            "scope": {"databases": ["postgres"], "schemas": ["public"]},
            "mode": "authoritative",
            "roles": listed,
        }
    )
    before = set(
        own_server.run(MEMBERSHIPS.format(options=", bool_or(inherit_option), bool_or(set_option)" if new else ""))
    )
    connection = own_server.connect()
    cluster = read(connection)
    wanted_powers = powers(policy, cluster)
    early = [one for one in plan_cluster(policy, cluster).statements if not one.late]
    run(connection, early, "5s", Plan)
    # The powers that the plan of a database counts on are those that the server knows then.
    has = """
    SELECT a.rolname, b.rolname FROM pg_roles a, pg_roles b
    WHERE a <> b AND a.rolname LIKE 'q_%%' AND b.rolname LIKE 'q_%%' AND pg_has_role(a.oid, b.oid, 'USAGE')
    """
    found = {(role, above) for role, all_above in wanted_powers.inherits.items() for above in all_above}
    assert {(a, b) for a, b in found if a in NAMES and b in NAMES} == set(own_server.run(has))
    apply(own_server, policy)
    assert plan_cluster(policy, read(connection)) == Plan()
    after = set(
        own_server.run(MEMBERSHIPS.format(options=", bool_or(inherit_option), bool_or(set_option)" if new else ""))
    )
    wanted = {
        (one["role"], name, one["admin"], *((one["inherit"], one["set"]) if new else ()))
        for name, role in listed.items()
        for one in role["member_of"]
    }
    others = {row for row in before if not {row[0], row[1]} & listed.keys()}
    assert after == wanted | others
    connection.close()


def test_a_superuser_that_initdb_did_not_make_grants_for_the_one_that_it_made(own_server):
    """And is never disabled itself, though the policy doesn't list it."""
    for line in ("ROLE boss LOGIN SUPERUSER", "ROLE b_group", "ROLE b_member", "ROLE b_admin"):
        own_server.run(f"CREATE {line}")
    own_server.run("GRANT b_group TO b_admin WITH ADMIN OPTION")
    own_server.run("SET ROLE b_admin; GRANT b_group TO b_member; RESET ROLE")
    policy = policies.parse(
        {
            **{"version": 1, "scope": {"databases": ["postgres"], "schemas": ["public"]}, "mode": "authoritative"},
            **{"unlisted_roles": "disable", "roles": {"b_group": {}, "b_member": {"member_of": "b_group"}}},
        }
    )
    apply(own_server, policy, user="boss")
    assert apply(own_server, policy, user="boss") == []
    assert own_server.run("SELECT member::regrole::text FROM pg_auth_members WHERE roleid = 'b_group'::regrole") == [
        ("b_member",)
    ]
    assert own_server.run("SELECT rolname FROM pg_roles WHERE rolsuper ORDER BY 1") == [("boss",), ("postgres",)]
    own_server.run("DROP ROLE boss")
