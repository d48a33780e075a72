"""Plans of what all databases share, made of snapshots: which statements, in which order, and what they refuse."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import model as catalog
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.acl import AclItem
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.cluster import (
    check_primary,
    missing_databases,
    plan_cluster,
    powers,
    protected_roles,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.report import result
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.statements import Name, Plan
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy import reader as policy
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.model import Policy
from ansible_collections.taaraxtak.production.tests.unit.access.snapshots import POLICY, SUPERUSER, cluster, lines, role

VERSIONS = [140000, 150000, 160000, 170000, 180000]
VERIFIER = "SCRAM-SHA-256$4096:c2FsdA==$U3RvcmVk:U2VydmVy"


def wanted(**parts: t.Any) -> Policy:
    return policy.parse({**POLICY, **parts})


def with_role(name: str = "reader", **attributes: t.Any) -> dict[str, t.Any]:
    roles = dict(cluster().roles)
    roles[name] = dataclasses.replace(roles.get(name, role(name)), **attributes)
    return {"roles": roles}


def with_member(**options: t.Any) -> dict[str, t.Any]:
    """The policy in which dba's membership in owner has *options*."""
    member_of = [{"role": "owner", **options}]
    return {"roles": {**POLICY["roles"], "dba": {"os_users": "alice", "inherit": False, "member_of": member_of}}}


def member(of: str, name: str, grantor: str = "postgres", options: str = "") -> catalog.Membership:
    """A row since 16; *options* are some of the letters a i s."""
    return catalog.Membership(of, name, grantor, *(letter in options for letter in "ais"))


@pytest.mark.parametrize("version", VERSIONS)
def test_where_the_policy_holds_nothing_is_planned(version):
    assert plan_cluster(wanted(), cluster(version)) == Plan()
    assert missing_databases(wanted(), cluster(version)) == ()


@pytest.mark.parametrize(
    ("parts", "planned"),
    [
        (with_role(superuser=True, connection_limit=5), ["ALTER ROLE [reader] NOSUPERUSER CONNECTION LIMIT -1"]),
        (with_role(password="md5"), ["ALTER ROLE [reader] PASSWORD NULL"]),
        (with_role(valid_until="2020-01-01T00:00:00+00:00"), ["ALTER ROLE [reader] VALID UNTIL 'infinity'"]),
        ({"settings": ()}, ["ALTER ROLE [reader] SET [statement_timeout] TO <30s>"]),
        (
            {
                "settings": (
                    catalog.RoleSetting("reader", None, "statement_timeout", ("0",)),
                    catalog.RoleSetting("reader", "app", "statement_timeout", ("30s",)),
                    catalog.RoleSetting("dba", None, "plugin.option", ("x",)),
                    catalog.RoleSetting("mallory", None, "work_mem", ("1MB",)),
                    catalog.RoleSetting(None, "other", "work_mem", ("1MB",)),
                    catalog.RoleSetting(None, "app", "work_mem", ("1MB",)),
                    catalog.RoleSetting(None, None, "session_preload_libraries", ("x",)),
                )
            },
            [
                "ALTER ROLE [reader] IN DATABASE [app] RESET [statement_timeout]",
                "ALTER ROLE [dba] RESET [plugin.option]",
                "ALTER DATABASE [app] RESET [work_mem]",
                "ALTER ROLE ALL RESET [session_preload_libraries]",
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
        (
            {"parameters": {"log_statement": (AclItem("reader", "postgres", "SET"),)}},
            ["REVOKE SET ON PARAMETER [log_statement] FROM [reader] CASCADE"],
        ),
        (
            {"tablespaces": (catalog.Named("fast", "dba", (AclItem("public", "dba", "CREATE"),)),)},
            ["REVOKE CREATE ON TABLESPACE [fast] FROM PUBLIC CASCADE"],
        ),
    ],
)
def test_what_differs_in_the_cluster_is_planned(parts, planned):
    assert lines(plan_cluster(wanted(), cluster(**parts))) == planned


@pytest.mark.parametrize(
    ("live", "options", "planned"),
    [
        # No option of dba's is wanted but SET: who else granted it counts for nothing.
        (
            [member("owner", "dba", options="i"), member("owner", "dba", "mallory", "s")],
            {},
            [
                "REVOKE INHERIT OPTION FOR [owner] FROM [dba] GRANTED BY [postgres] CASCADE",
                "REVOKE [owner] FROM [dba] GRANTED BY [mallory] CASCADE",
                "GRANT [owner] TO [dba] WITH ADMIN FALSE, INHERIT FALSE, SET TRUE",
            ],
        ),
        (
            [member("owner", "dba", options="s")],
            {"admin": True, "inherit": True},
            ["GRANT [owner] TO [dba] WITH ADMIN TRUE, INHERIT TRUE, SET TRUE"],
        ),
        # REVOKE takes along what mallory granted, which has no REVOKE of its own then.
        (
            [
                member("owner", "dba", options="s"),
                member("owner", "mallory", options="a"),
                member("owner", "reader", "mallory", "ai"),
                member("owner", "mallory2", "reader", "i"),
            ],
            {},
            ["REVOKE [owner] FROM [mallory] GRANTED BY [postgres] CASCADE"],
        ),
        # What fell with it and is wanted, or is none of the policy's business, is granted again.
        (
            [
                member("pg_monitor", "reader", options="a"),
                member("pg_monitor", "mallory", "reader", "is"),
                member("owner", "mallory", options="a"),
                member("owner", "dba", "mallory", "s"),
            ],
            {},
            [
                "REVOKE [pg_monitor] FROM [reader] GRANTED BY [postgres] CASCADE",
                "REVOKE [owner] FROM [mallory] GRANTED BY [postgres] CASCADE",
                "GRANT [owner] TO [dba] WITH ADMIN FALSE, INHERIT FALSE, SET TRUE",
                "GRANT [pg_monitor] TO [mallory] WITH ADMIN FALSE, INHERIT TRUE, SET TRUE",
            ],
        ),
        # Who has the admin option elsewhere still has it: nothing falls.
        (
            [
                member("owner", "dba", options="as"),
                member("owner", "dba", "mallory", "a"),
                member("owner", "postgres", "dba", "i"),
            ],
            {"admin": True},
            ["REVOKE [owner] FROM [dba] GRANTED BY [mallory] CASCADE"],
        ),
    ],
)
def test_since_16_memberships_have_options_and_grantors(live, options, planned):
    assert lines(plan_cluster(wanted(**with_member(**options)), cluster(160000, memberships=live))) == planned


def test_a_grant_by_a_member_that_shall_have_the_admin_option_counts():
    roles = {**with_member(admin=True)["roles"], "second": {"member_of": "owner"}}
    rows = (member("owner", "dba", options="as"), member("owner", "second", "dba", "is"))
    live = cluster(160000, memberships=rows, **with_role("second"))
    assert plan_cluster(wanted(roles=roles), live) == Plan()


@pytest.mark.parametrize("options", [{"set": False}, {"inherit": True}])
def test_options_of_memberships_need_16(options):
    with pytest.raises(ValueError, match=r"roles\.dba\.member_of: .* since 16"):
        plan_cluster(wanted(**with_member(**options)), cluster(150000))
    assert plan_cluster(wanted(**with_member(inherit=False)), cluster(150000)) == Plan()


@pytest.mark.parametrize(
    ("version", "planned"),
    [(150000, ["GRANT [owner] TO [dba] WITH ADMIN OPTION"]), (160000, ["GRANT [owner] TO [dba] WITH ADMIN TRUE, "])],
)
def test_the_admin_option_is_given_where_it_is_wanted(version, planned):
    found = lines(plan_cluster(wanted(**with_member(admin=True)), cluster(version)))
    assert [line[: len(planned[0])] for line in found] == planned


def test_the_modes_that_take_nothing_away_give_what_is_missing():
    rows = (member("owner", "dba", "mallory", "i"), member("pg_monitor", "reader", options="ais"))
    live = cluster(160000, memberships=rows, settings=(), **with_role(superuser=True, password="md5"))
    assert lines(plan_cluster(wanted(mode="additive"), live)) == [
        "GRANT [owner] TO [dba] WITH ADMIN FALSE, INHERIT TRUE, SET TRUE"
    ]
    more = {"roles": {**POLICY["roles"], "new": {"settings": {"work_mem": "1MB"}}}}
    assert lines(plan_cluster(wanted(mode="additive", **more), cluster()))[1:] == [
        "ALTER ROLE [new] SET [work_mem] TO <1MB>"
    ]


def test_a_virgin_cluster_gets_its_database_and_roles():
    new = cluster(roles={"postgres": SUPERUSER}, settings=(), memberships=(), databases={})
    (create,) = missing_databases(wanted(), new)
    assert create.parts == ("CREATE DATABASE ", Name(("app",)))
    kinds = [statement.kind for statement in plan_cluster(wanted(), new).statements]
    assert kinds == ["create", "create", "create", "setting", "grant", "revoke", "grant", "grant"]


def test_settings_of_databases_of_roles_in_them_and_of_all_are_exact():
    data = {
        "database_settings": {"app": {"work_mem": "1MB"}, "*": {"search_path": ["a", "B"]}},
        "roles": {
            **POLICY["roles"],
            "reader": {
                "os_users": "grafana",
                "settings": {"statement_timeout": "30s"},
                "database_settings": {"app": {"statement_timeout": "5s"}},
            },
        },
    }
    assert lines(plan_cluster(wanted(**data), cluster())) == [
        "ALTER ROLE [reader] IN DATABASE [app] SET [statement_timeout] TO <5s>",
        "ALTER DATABASE [app] SET [work_mem] TO <1MB>",
        "ALTER ROLE ALL SET [search_path] TO <a>, <B>",
    ]
    rows = (
        *cluster().settings,
        catalog.RoleSetting("reader", "app", "statement_timeout", ("5s",)),
        catalog.RoleSetting(None, "app", "work_mem", ("1MB",)),
        catalog.RoleSetting(None, None, "search_path", ("a", "B")),
    )
    assert plan_cluster(wanted(**data), cluster(settings=rows)) == Plan()


def keeping(**attributes: t.Any) -> dict[str, t.Any]:
    return {"roles": {**POLICY["roles"], "app_user": {"login": True, **attributes}}}


def test_a_password_stays_where_the_policy_keeps_it():
    live = cluster(**with_role("app_user", login=True, password="scram-sha-256"))
    assert plan_cluster(wanted(**keeping()), live) == Plan()
    assert lines(plan_cluster(wanted(**keeping(password="none")), live)) == ["ALTER ROLE [app_user] PASSWORD NULL"]


@pytest.mark.parametrize(("digest", "before"), [(None, []), ("0" * 64, ["role app_user has another password"])])
def test_a_password_that_differs_is_set_and_never_shown(digest, before):
    password = "scram-sha-256" if digest else None
    live = cluster(**with_role("app_user", login=True, password=password, password_digest=digest))
    plan = plan_cluster(wanted(**keeping()), live, {"app_user": VERIFIER})
    assert lines(plan) == ["ALTER ROLE [app_user] PASSWORD <secret>"]
    assert "SCRAM" not in repr(plan)
    answer = result(plan.statements, lines(plan), plan.skipped, [])
    assert "SCRAM" not in repr(answer)
    assert answer["diff"]["before"].splitlines() == before
    assert answer["diff"]["after"].splitlines() == ["role app_user has the password that is given"]


def test_a_password_that_is_set_already_is_told_by_its_digest():
    digest = hashlib.sha256(VERIFIER.encode()).hexdigest()
    live = cluster(**with_role("app_user", login=True, password="scram-sha-256", password_digest=digest))
    assert plan_cluster(wanted(**keeping()), live, {"app_user": VERIFIER}) == Plan()


@pytest.mark.parametrize(
    ("passwords", "message"),
    [
        ({"app_user": "hunter2"}, "that of app_user is no SCRAM-SHA-256 verifier: make one with the filter"),
        ({"app_user": None}, "is no SCRAM-SHA-256 verifier"),
        ({"nobody": VERIFIER}, "the role nobody is not defined"),
        ({"reader": VERIFIER}, "reader is to have none: write password: keep under roles.reader"),
    ],
)
def test_a_password_that_can_t_be_is_refused_and_never_repeated(passwords, message):
    with pytest.raises(ValueError, match=message) as refused:
        plan_cluster(wanted(**keeping()), cluster(), passwords)
    assert str(next(iter(passwords.values())) or "hunter") not in str(refused.value)


def test_a_new_role_gets_its_password_after_it_is_made():
    made, password = plan_cluster(wanted(**keeping()), cluster(), {"app_user": VERIFIER}).statements
    assert (made.kind, password.kind) == ("create", "alter")


def test_unlisted_roles_are_disabled_and_never_dropped():
    roles = {
        **cluster().roles,
        "mallory": role("mallory", login=True, superuser=True, bypassrls=True, password="md5"),
        "harmless": role("harmless"),
        "zabbix_agent": role("zabbix_agent", login=True, password="md5"),
        "root": dataclasses.replace(SUPERUSER, name="root"),
    }
    rows = [
        *cluster().memberships,
        catalog.Membership("pg_monitor", "mallory", "postgres", False, None, None),
        catalog.Membership("harmless", "mallory", "postgres", False, None, None),
        catalog.Membership("pg_monitor", "zabbix_agent", "postgres", False, None, None),
    ]
    databases = {
        "app": dataclasses.replace(
            cluster().databases["app"],
            acl=(
                *cluster().databases["app"].acl,
                AclItem("mallory", "postgres", "CREATE"),
                AclItem("zabbix_agent", "postgres", "CONNECT"),
            ),
        )
    }
    held = (*cluster().settings, catalog.RoleSetting("mallory", "app", "role", ("owner",)))
    live = cluster(roles=roles, memberships=rows, login_role="root", settings=held, databases=databases)
    ignoring = {"ignore": {"roles": ["zabbix_*"]}}
    assert lines(plan_cluster(wanted(unlisted_roles="disable", **ignoring), live)) == [
        "ALTER ROLE [mallory] NOLOGIN NOSUPERUSER NOBYPASSRLS",
        "ALTER ROLE [mallory] PASSWORD NULL",
        "ALTER ROLE [mallory] IN DATABASE [app] RESET [role]",
        "REVOKE CREATE ON DATABASE [app] FROM [mallory] CASCADE",
        "REVOKE [pg_monitor] FROM [mallory] CASCADE",
    ]
    # A superuser that stays one keeps what it holds.
    assert plan_cluster(wanted(**ignoring), live) == Plan()
    assert plan_cluster(wanted(unlisted_roles="disable", mode="additive", **ignoring), live) == Plan()
    assert protected_roles(wanted(**ignoring), live) == {"postgres", "root", "mallory", "zabbix_agent"}


def test_the_password_of_the_role_that_logs_in_is_left_and_said():
    data = {**POLICY["roles"], "postgres": {"os_users": "root", "superuser": True}}
    live = dataclasses.replace(SUPERUSER, createrole=False, createdb=False, replication=False, bypassrls=False)
    plan = plan_cluster(wanted(roles=data), cluster(roles={**cluster().roles, "postgres": live}))
    assert plan.statements == ()
    assert [one.what for one in plan.skipped] == ["password of postgres"]


@pytest.mark.parametrize("attributes", [{}, {"login": True}, {"superuser": True}])
def test_the_role_that_logs_in_is_never_locked_out(attributes):
    with pytest.raises(ValueError, match=r"roles\.postgres: this is the role that logs in here"):
        plan_cluster(wanted(roles={**POLICY["roles"], "postgres": attributes}), cluster())


def test_a_superuser_that_can_log_in_always_stays():
    live = cluster(roles={**cluster().roles, "postgres": dataclasses.replace(SUPERUSER, login=False)})
    with pytest.raises(ValueError, match="leaves no superuser that can log in"):
        plan_cluster(wanted(), live)


def test_a_standby_is_refused():
    check_primary(cluster())
    with pytest.raises(ValueError, match="standby"):
        check_primary(cluster(standby=True))


def test_public_out_of_the_scope_is_left_alone():
    data = {"scope": {**POLICY["scope"], "public": False}, "public": {}}
    held = (*cluster().databases["app"].acl, AclItem("public", "postgres", "TEMPORARY"))
    live = cluster(databases={"app": catalog.Database("app", "postgres", held)})
    assert plan_cluster(wanted(**data), live) == Plan()


def test_a_superuser_keeps_its_memberships_whoever_granted_them():
    root = dataclasses.replace(SUPERUSER, name="root")
    rows = (
        *cluster(160000).memberships,
        member("owner", "root", "mallory", "ais"),
        member("owner", "root", "postgres", "ais"),
    )
    live = cluster(160000, roles={**cluster().roles, "root": root}, memberships=rows)
    assert plan_cluster(wanted(), live) == Plan()
    named = {**POLICY["roles"], "root": {"login": True, "superuser": True, "member_of": "owner"}}
    kept = dataclasses.replace(root, createrole=False, createdb=False, replication=False, bypassrls=False)
    live = cluster(160000, roles={**cluster().roles, "root": kept}, memberships=rows)
    assert plan_cluster(wanted(roles=named), live).statements == ()


def databases(*named: catalog.Database) -> dict[str, t.Any]:
    return {"databases": {one.name: one for one in named}}


def test_several_databases_patterns_of_their_names_and_grant_options():
    data = {
        "scope": {"databases": ["app", "app_test"], "schemas": ["public"]},
        "grants": [
            {"to": "reader", "on": {"database": "app*"}, "privileges": "connect"},
            {"to": "dba", "on": {"database": "*_test"}, "privileges": ["connect", "create"], "grant_option": True},
            {"to": "dba", "on": {"database": "a*p"}, "privileges": "connect"},
        ],
    }
    mine = AclItem("reader", "postgres", "CONNECT")
    live = databases(
        catalog.Database("app", "postgres", (mine, AclItem("dba", "postgres", "CONNECT", True))),
        catalog.Database("app_test", "postgres", (mine, AclItem("dba", "postgres", "CREATE"))),
    )
    assert lines(plan_cluster(wanted(**data), cluster(**live))) == [
        "REVOKE GRANT OPTION FOR CONNECT ON DATABASE [app] FROM [dba] CASCADE",
        "GRANT CONNECT, CREATE ON DATABASE [app_test] TO [dba] WITH GRANT OPTION",
    ]


def test_a_database_gets_the_owner_that_the_policy_says():
    held = (AclItem("reader", "postgres", "CONNECT"), AclItem("dba", "postgres", "CONNECT"))
    live = databases(catalog.Database("app", "postgres", held))
    owned = {"database_owners": {"app": "dba"}}
    assert lines(plan_cluster(wanted(**owned), cluster(**live))) == ["ALTER DATABASE [app] OWNER TO [dba]"]
    assert plan_cluster(wanted(mode="additive", **owned), cluster(**live)) == Plan()
    new = lines(plan_cluster(wanted(mode="additive", **owned), cluster(databases={})))
    assert new[0] == "ALTER DATABASE [app] OWNER TO [dba]"


def test_public_is_taken_from_other_databases_whoever_granted_it_and_nobody_else_loses():
    acl = (
        AclItem("zabbix", "postgres", "CONNECT", True),
        AclItem("public", "zabbix", "CONNECT"),
        AclItem("mallory", "zabbix", "CONNECT"),
    )
    live = databases(*cluster().databases.values(), catalog.Database("other", "postgres", acl))
    assert lines(plan_cluster(wanted(), cluster(**live))) == [
        "REVOKE GRANT OPTION FOR CONNECT ON DATABASE [other] FROM [zabbix] CASCADE",
        "GRANT CONNECT ON DATABASE [other] TO [mallory]",
        "GRANT CONNECT ON DATABASE [other] TO [zabbix] WITH GRANT OPTION",
    ]
    plan = plan_cluster(wanted(), cluster(**live))
    assert result(plan.statements, lines(plan), plan.skipped, [])["diff"]["before"].splitlines() == [
        "zabbix may CONNECT, and grant it on database other",
        "mallory may CONNECT on database other (granted by zabbix)",
        "PUBLIC may CONNECT on database other (granted by zabbix)",
    ]


def granting(kind: str, names: str, privilege: str) -> dict[str, t.Any]:
    return {"grants": [*POLICY["grants"], {"to": "reader", "on": {kind: names}, "privileges": privilege}]}


def test_parameters_are_granted_since_15():
    data = granting("parameters", "plpgsql.check_asserts", "set")
    planned = ["GRANT SET ON PARAMETER [plpgsql.check_asserts] TO [reader]"]
    assert lines(plan_cluster(wanted(**data), cluster())) == planned
    with pytest.raises(ValueError, match="since 15"):
        plan_cluster(wanted(**data), cluster(140000))
    with pytest.raises(ValueError, match="name each"):
        plan_cluster(wanted(**granting("parameters", "log_*", "set")), cluster())


def test_tablespaces_are_granted_by_name_or_pattern():
    live = cluster(tablespaces=(catalog.Named("fast", "postgres", ()),))
    for name in ("fast", "f*"):
        planned = ["GRANT CREATE ON TABLESPACE [fast] TO [reader]"]
        assert lines(plan_cluster(wanted(**granting("tablespaces", name, "create")), live)) == planned
    with pytest.raises(ValueError, match="tablespace fats, which is not there"):
        plan_cluster(wanted(**granting("tablespaces", "fats", "create")), live)


def test_a_role_has_the_powers_of_what_it_inherits_before_anything_is_revoked():
    data = {
        **POLICY["roles"],
        "dba": {"os_users": "alice", "member_of": "owner"},
        "chief": {"superuser": True, "member_of": "dba"},
    }
    live = cluster(160000, memberships=(member("pg_monitor", "owner", options="is"), member("x", "mallory", "m", "i")))
    found = powers(wanted(roles=data), live)
    assert found.inherits == {
        "owner": {"pg_monitor"},
        "dba": {"owner", "pg_monitor"},
        "chief": {"dba", "owner", "pg_monitor"},
        "mallory": {"x"},
    }
    assert found.superusers == {"postgres", "chief"}
    assert powers(wanted(), live, "app").inherits["postgres"] == {"pg_database_owner"}
    # Before 16 the member's own INHERIT rules: as the policy wants it.
    before = dataclasses.replace(cluster().memberships[0], role="pg_monitor", member="owner")
    inherits = powers(wanted(roles={**data, "owner": {"member_of": "pg_monitor"}}), cluster(memberships=(before,)))
    assert inherits.inherits["dba"] == {"owner", "pg_monitor"}


def test_the_diff_says_which_memberships_there_were_and_are():
    rows = (member("owner", "dba", options="ai"), member("owner", "mallory", "dba", "i"))
    plan = plan_cluster(wanted(), cluster(160000, memberships=rows))
    answer = result(plan.statements, lines(plan), plan.skipped, [])
    assert answer["diff"] == {
        "before": "role dba is a member of owner, not by SET ROLE, with admin option\n"
        "role mallory is a member of owner, not by SET ROLE (granted by dba)\n",
        "after": "role dba is a member of owner (by SET ROLE only)\n",
    }
    fewer = plan_cluster(wanted(), cluster(160000, memberships=(member("owner", "dba", options="ais"),)))
    answer = result(fewer.statements, lines(fewer), fewer.skipped, [])
    assert answer["diff"]["after"] == "role dba is a member of owner (by SET ROLE only)\n"
    assert [(one["privileges"], one["grant_option"]) for one in answer["revoked"]] == [([], True), (["INHERIT"], False)]


def test_what_no_cascade_reaches_is_revoked_by_its_grantor_and_what_nothing_reaches_is_said():
    acl = (
        *(AclItem(name, "owner", "CONNECT") for name in ("dba", "reader")),
        AclItem("dba", "owner", "CREATE", True),
        AclItem("mallory", "dba", "CREATE"),
        AclItem("postgres", "owner", "TEMPORARY", True),
        AclItem("public", "postgres", "TEMPORARY"),
    )
    live = cluster(
        160000,
        memberships=(member("owner", "dba", options="is"),),
        databases={"app": catalog.Database("app", "owner", acl)},
        **with_role("dba", inherit=True),
    )
    plan = plan_cluster(wanted(roles={**POLICY["roles"], "dba": {"os_users": "alice", "member_of": "owner"}}), live)
    assert lines(plan) == [
        "SET LOCAL ROLE [dba]",
        "REVOKE CREATE ON DATABASE [app] FROM [mallory] CASCADE",
        "RESET ROLE",
        "REVOKE CREATE ON DATABASE [app] FROM [dba] CASCADE",
    ]
    assert [(one.what, one.warn) for one in plan.skipped] == [("PUBLIC may TEMPORARY on database app", True)]
