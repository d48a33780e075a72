"""Plans made of snapshots: which statements, in which order, and what they say of themselves."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access import catalog, policy
from ansible_collections.taaraxtak.production.plugins.module_utils.access.acl import AclItem
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan_cluster import (
    missing_databases,
    plan_cluster,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan_database import plan_database
from ansible_collections.taaraxtak.production.plugins.module_utils.access.report import result
from ansible_collections.taaraxtak.production.plugins.module_utils.access.statements import (
    OBJECTS_A_STATEMENT,
    Name,
    Plan,
)
from ansible_collections.taaraxtak.production.tests.unit.access.snapshots import (
    POLICY,
    SUPERUSER,
    cluster,
    lines,
    objects,
    table,
)


def with_role(**attributes: t.Any) -> dict[str, t.Any]:
    roles = dict(cluster().roles)
    roles["reader"] = dataclasses.replace(roles["reader"], **attributes)
    return {"roles": roles}


@pytest.mark.parametrize("version", [140000, 150000, 160000, 170000, 180000])
def test_where_the_policy_holds_nothing_is_planned(version):
    wanted = policy.parse(POLICY)
    assert plan_cluster(wanted, cluster(version)) == Plan()
    assert plan_database(wanted, cluster(version), objects(table("a"), table("b"))) == Plan()
    assert missing_databases(wanted, cluster(version)) == ()


@pytest.mark.parametrize(
    ("parts", "planned"),
    [
        (with_role(superuser=True, connection_limit=5), ["ALTER ROLE [reader] NOSUPERUSER CONNECTION LIMIT -1"]),
        (with_role(has_password=True), ["ALTER ROLE [reader] PASSWORD NULL"]),
        ({"settings": ()}, ["ALTER ROLE [reader] SET [statement_timeout] TO <30s>"]),
        (
            {
                "settings": (
                    catalog.RoleSetting("reader", None, "statement_timeout", ("0",)),
                    catalog.RoleSetting("reader", "app", "statement_timeout", ("30s",)),
                    catalog.RoleSetting("dba", None, "plugin.option", ("x",)),
                    catalog.RoleSetting("mallory", None, "work_mem", ("1MB",)),
                )
            },
            [
                "ALTER ROLE [dba] RESET [plugin.option]",
                "ALTER ROLE [reader] IN DATABASE [app] RESET [statement_timeout]",
                "ALTER ROLE [reader] SET [statement_timeout] TO <30s>",
            ],
        ),
        ({"memberships": ()}, ["GRANT [owner] TO [dba]"]),
        (
            {
                "memberships": (
                    catalog.Membership("owner", "dba", "postgres", True, None, None),
                    catalog.Membership("owner", "mallory", "dba", False, None, None),
                    catalog.Membership("pg_write_all_data", "reader", "99", False, None, None),
                    catalog.Membership("pg_monitor", "mallory", "postgres", False, None, None),
                    catalog.Membership("owner", "postgres", "postgres", False, None, None),
                )
            },
            [
                "REVOKE ADMIN OPTION FOR [owner] FROM [dba] CASCADE",
                "REVOKE [owner] FROM [mallory] CASCADE",
                "REVOKE [pg_write_all_data] FROM [reader] CASCADE",
            ],
        ),
        (
            {"databases": {"app": catalog.Database("app", "reader", (AclItem("dba", "reader", "CONNECT"),))}},
            ["ALTER DATABASE [app] OWNER TO [postgres]", "GRANT CONNECT ON DATABASE [app] TO [reader]"],
        ),
        (
            {
                "databases": {
                    **cluster().databases,
                    "template1": catalog.Database(
                        "template1",
                        "postgres",
                        (AclItem("public", "postgres", "CONNECT"), AclItem("mallory", "postgres", "CONNECT", True)),
                    ),
                }
            },
            ["REVOKE CONNECT ON DATABASE [template1] FROM PUBLIC CASCADE"],
        ),
    ],
)
def test_what_differs_in_the_cluster_is_planned(parts, planned):
    assert lines(plan_cluster(policy.parse(POLICY), cluster(**parts))) == planned


def test_since_16_a_membership_is_told_by_its_grantor_and_options():
    rows = (
        catalog.Membership("owner", "dba", "postgres", False, True, False),
        catalog.Membership("owner", "dba", "mallory", False, False, True),
    )
    assert lines(plan_cluster(policy.parse(POLICY), cluster(160000, memberships=rows))) == [
        "REVOKE [owner] FROM [dba] GRANTED BY [mallory] CASCADE",
        "GRANT [owner] TO [dba] WITH ADMIN FALSE, INHERIT FALSE, SET TRUE",
    ]


def test_a_virgin_cluster_gets_its_database_and_roles():
    new = cluster(roles={"postgres": SUPERUSER}, settings=(), memberships=(), databases={})
    wanted = policy.parse(POLICY)
    (create,) = missing_databases(wanted, new)
    assert create.parts == ("CREATE DATABASE ", Name(("app",)))
    kinds = [statement.kind for statement in plan_cluster(wanted, new).statements]
    assert kinds == ["create", "create", "create", "setting", "grant", "revoke", "grant", "grant"]


def test_the_password_of_the_role_that_logs_in_is_left_and_said():
    data = {**POLICY, "roles": {**POLICY["roles"], "postgres": {"os_users": "root", "superuser": True}}}
    live = dataclasses.replace(SUPERUSER, createrole=False, createdb=False, replication=False, bypassrls=False)
    plan = plan_cluster(policy.parse(data), cluster(roles={**cluster().roles, "postgres": live}))
    assert plan.statements == ()
    assert [one.what for one in plan.skipped] == ["password of postgres"]


@pytest.mark.parametrize("attributes", [{}, {"login": True}, {"superuser": True}])
def test_the_role_that_logs_in_is_never_locked_out(attributes):
    data = {**POLICY, "roles": {**POLICY["roles"], "postgres": attributes}}
    with pytest.raises(ValueError, match=r"roles\.postgres: this is the role that logs in here"):
        plan_cluster(policy.parse(data), cluster())


@pytest.mark.parametrize(
    ("relation", "planned"),
    [
        (table("a", acl=()), ["GRANT SELECT ON TABLE [public.a] TO [reader]"]),
        (
            table("a", owner="mallory", acl=(AclItem("owner", "mallory", "INSERT"), AclItem("x", "mallory", "SELECT"))),
            [
                "ALTER TABLE [public.a] OWNER TO [owner]",
                "REVOKE SELECT ON TABLE [public.a] FROM [x] CASCADE",
                "GRANT SELECT ON TABLE [public.a] TO [reader]",
            ],
        ),
        (
            table("a", columns={"c": (AclItem("public", "owner", "SELECT"), AclItem("public", "owner", "UPDATE"))}),
            ["REVOKE SELECT ([c]), UPDATE ([c]) ON TABLE [public.a] FROM PUBLIC CASCADE"],
        ),
        (table("a", kind="m", owner="mallory"), ["ALTER MATERIALIZED VIEW [public.a] OWNER TO [owner]"]),
        (table("a", extension=True, owner="mallory", acl=()), []),
        (
            table("a", kind="S", acl=(AclItem("x", "owner", "USAGE"),)),
            ["REVOKE USAGE ON SEQUENCE [public.a] FROM [x] CASCADE"],
        ),
        (
            table("a", acl=(AclItem("x", "owner", "SELECT", True), AclItem("reader", "x", "SELECT"))),
            ["REVOKE SELECT ON TABLE [public.a] FROM [x] CASCADE", "GRANT SELECT ON TABLE [public.a] TO [reader]"],
        ),
    ],
)
def test_what_differs_in_a_table_is_planned(relation, planned):
    assert lines(plan_database(policy.parse(POLICY), cluster(), objects(relation))) == planned


def test_a_sequence_follows_its_table_s_owner():
    owned = table("t", owner="mallory", acl=())
    sequence = table("s", kind="S", owner="mallory", follows=owned.oid, acl=(AclItem("owner", "mallory", "USAGE"),))
    assert lines(plan_database(policy.parse(POLICY), cluster(), objects(owned, sequence))) == [
        "ALTER TABLE [public.t] OWNER TO [owner]",
        "GRANT SELECT ON TABLE [public.t] TO [reader]",
    ]


def test_objects_that_change_alike_share_a_statement():
    many = [table(f"t{number:04}", acl=()) for number in range(OBJECTS_A_STATEMENT + 1)]
    plan = plan_database(policy.parse(POLICY), cluster(), objects(*many))
    assert [len(statement.access.names) for statement in plan.statements if statement.access] == [
        OBJECTS_A_STATEMENT,
        1,
    ]


def test_a_schema_that_is_not_there_is_made_for_its_owner():
    wanted = policy.parse(POLICY)
    plan = plan_database(wanted, cluster(), objects(schemas={}))
    assert lines(plan) == ["CREATE SCHEMA [public] AUTHORIZATION [owner]", "GRANT USAGE ON SCHEMA [public] TO [reader]"]
    with pytest.raises(ValueError, match="write its owner under owners"):
        plan_database(policy.parse({**POLICY, "owners": {}, "grants": []}), cluster(), objects(schemas={}))


def test_default_privileges_count_where_they_can_reach_the_scope():
    public = (AclItem("public", "x", "INSERT"),)
    reach = [catalog.DefaultAcl(creator, None, "r", public) for creator in ("owner", "postgres", "mallory")]
    here = catalog.DefaultAcl("mallory", "public", "f", (AclItem("reader", "mallory", "EXECUTE", True),))
    plan = plan_database(policy.parse(POLICY), cluster(), objects(defaults=(*objects().defaults, *reach[2:], here)))
    head = "ALTER DEFAULT PRIVILEGES FOR ROLE [mallory] IN SCHEMA [public]"
    assert lines(plan) == [f"{head} REVOKE EXECUTE ON FUNCTIONS FROM [reader] CASCADE"]
    own = [dataclasses.replace(one, acl=(AclItem("public", one.creator, "INSERT"),)) for one in reach[:2]]
    plan = plan_database(policy.parse(POLICY), cluster(), objects(defaults=(*objects().defaults, *own)))
    assert lines(plan) == [
        f"ALTER DEFAULT PRIVILEGES FOR ROLE [{creator}] REVOKE INSERT ON TABLES FROM PUBLIC CASCADE"
        for creator in ("owner", "postgres")
    ]


def test_public_out_of_the_scope_is_left_alone():
    data = {**POLICY, "scope": {**POLICY["scope"], "public": False}, "public": {}}
    held = (*table("a").acl, AclItem("public", "owner", "INSERT"), AclItem("x", "owner", "INSERT"))
    plan = plan_database(policy.parse(data), cluster(), objects(table("a", acl=held)))
    assert lines(plan) == ["REVOKE INSERT ON TABLE [public.a] FROM [x] CASCADE"]
    app = catalog.Database(
        "app", "postgres", (*cluster().databases["app"].acl, AclItem("public", "postgres", "TEMPORARY"))
    )
    assert plan_cluster(policy.parse(data), cluster(databases={"app": app})) == Plan()


def test_a_superuser_keeps_its_memberships_whoever_granted_them():
    root = dataclasses.replace(SUPERUSER, name="root")
    rows = (
        *cluster(160000).memberships,
        catalog.Membership("owner", "root", "mallory", True, True, True),
        catalog.Membership("owner", "root", "postgres", True, True, True),
    )
    live = cluster(160000, roles={**cluster().roles, "root": root}, memberships=rows)
    assert plan_cluster(policy.parse(POLICY), live) == Plan()
    named = {**POLICY, "roles": {**POLICY["roles"], "root": {"login": True, "superuser": True, "member_of": "owner"}}}
    kept = dataclasses.replace(root, createrole=False, createdb=False, replication=False, bypassrls=False)
    kept = dataclasses.replace(kept, has_password=False)
    live = cluster(160000, roles={**cluster().roles, "root": kept}, memberships=rows)
    assert plan_cluster(policy.parse(named), live).statements == ()


def test_maintain_needs_17():
    wanted = policy.parse(
        {**POLICY, "grants": [{"to": "reader", "on": {"tables": "public.*"}, "privileges": "maintain"}]}
    )
    with pytest.raises(ValueError, match="since 17"):
        plan_database(wanted, cluster(160000), objects())
    assert lines(plan_database(wanted, cluster(170000), objects(table("a", acl=()))))[1] == (
        "GRANT MAINTAIN ON TABLE [public.a] TO [reader]"
    )


def test_the_report_is_what_ansible_shows():
    plan = plan_database(policy.parse(POLICY), cluster(), objects(table("a", acl=(AclItem("x", "owner", "DELETE"),))))
    answer = result(plan.statements, ["one", "two"], plan.skipped, [("/etc/pg_hba.conf", "old\n", "new\n")])
    assert answer["changed"]
    # Ansible takes a key "skipped" for a task that did not run.
    assert "skipped" not in answer
    assert answer["revoked"] == [
        {
            **{"role": "x", "privileges": ["DELETE"], "on": "table", "names": ["public.a"]},
            **{"database": "app", "grant_option": False},
        }
    ]
    assert [one["role"] for one in answer["granted"]] == ["reader"]
    assert answer["diff"] == {
        "before": "x may DELETE on table public.a in app\n==> /etc/pg_hba.conf <==\nold\n",
        "after": "reader may SELECT on table public.a in app\n==> /etc/pg_hba.conf <==\nnew\n",
    }
