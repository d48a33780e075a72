"""Roles as they are written: what is meant where nothing is said, and names of every sort."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.model import HostLogin, Member, Role
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse, problems
from ansible_collections.taaraxtak.production.tests.unit.access.policies import GOOD, WHOLE, changed


def role(**keys: object) -> Role:
    return parse(changed("roles.some", keys)).roles["some"]


def test_a_role_about_which_nothing_is_said_can_do_nothing():
    for written in (None, {}):
        assert parse(changed("roles.some", written)).roles["some"] == Role("some")


@pytest.mark.parametrize(
    ("keys", "login", "keep"),
    [
        ({}, False, False),
        ({"os_users": "alice"}, True, False),
        ({"os_users": []}, False, False),
        ({"hosts": "192.0.2.0/24"}, True, True),
        ({"hosts": "192.0.2.0/24", "password": "none"}, True, False),
        ({"hosts": "192.0.2.0/24", "os_users": "alice"}, True, False),
        ({"hosts": "192.0.2.0/24", "os_users": "alice", "password": "keep"}, True, True),
        ({"login": True}, True, True),
        ({"login": True, "password": "none"}, True, False),
        ({"login": False}, False, False),
        ({"login": False, "password": "keep"}, False, True),
    ],
)
def test_who_may_log_in_and_keeps_a_password(keys, login, keep):
    assert (role(**keys).login, role(**keys).keep_password) == (login, keep)


def test_a_password_that_is_written_by_mistake_is_not_repeated():
    assert "s3cret" not in "".join(problems(changed("roles.owner.password", "s3cret")))


def test_a_membership_is_a_name_or_has_options():
    member_of = ["reader", {"role": "pg_monitor", "inherit": False, "set": False, "admin": True}, {"role": "owner"}]
    read = role(member_of=member_of, inherit=False)
    assert read.memberships == (Member("reader"), Member("pg_monitor", False, False, True), Member("owner"))
    assert not read.inherits(read.memberships[0])
    assert role(member_of={"role": "reader", "inherit": True}).memberships == (Member("reader", inherit=True),)
    assert role(member_of=[]).memberships == ()


def test_a_role_of_another_tool_may_have_members_here_and_gets_no_grants():
    data = changed("ignore", {"roles": "rds*"})
    assert parse(changed("roles.owner.member_of", "rdsadmin", data)).roles["owner"].member_of == ("rdsadmin",)
    assert problems(changed("grants.0.to", "rdsadmin", data)) == [
        "grants[0].to: the role rdsadmin is not defined: write it under roles"
    ]


def test_a_role_that_the_policy_names_is_its_own_even_where_a_pattern_says_ignore():
    policy = parse(changed("ignore", {"roles": ["rea*", "other"]}))
    assert not policy.ignores("reader")
    assert policy.ignores("readers")
    assert policy.ignores("other")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("192.0.2.0/24", (HostLogin("192.0.2.0/24"),)),
        (["192.0.2.7/32"], (HostLogin("192.0.2.7/32"),)),
        ({"address": "2001:DB8:0::/32", "method": "cert"}, (HostLogin("2001:db8::/32"),)),
        (
            [{"address": "::/0", "method": "scram-sha-256"}, "0.0.0.0/0"],
            (HostLogin("::/0", "scram-sha-256"), HostLogin("0.0.0.0/0")),
        ),
        ([], ()),
    ],
)
def test_hosts_are_networks_and_log_in_by_certificate_unless_said(written, read):
    assert role(hosts=written).hosts == read


@pytest.mark.parametrize(
    ("name", "value", "elements"),
    [
        ("statement_timeout", "30s", ("30s",)),
        ("statement_timeout", 30000, ("30000",)),
        ("default_transaction_read_only", True, ("on",)),
        ("jit", False, ("off",)),
        ("search_path", 'a, "B ""c", $user', ("a", 'B "c', "$user")),
        ("search_path", "", ("",)),
    ],
)
def test_a_setting_has_the_elements_that_the_server_will_store(name, value, elements):
    assert role(settings={name.upper(): value}).settings == {name: elements}
    assert role(database_settings={"app": {name: value}}).database_settings == {"app": {name: elements}}
    assert parse(changed("database_settings", {"*": {name: value}})).database_settings == {"*": {name: elements}}


@pytest.mark.parametrize(("value", "elements"), [(["a, b"], ("a, b",)), (["a", '"b"'], ("a", '"b"')), ([], ("",))])
def test_a_list_has_its_items_as_elements(value, elements):
    assert role(settings={"search_path": value}).settings == {"search_path": elements}


@pytest.mark.parametrize(
    "name",
    ['"public"', '"', "a.b", "UPPER", "sämer", "日本語", "x" * 63, "é" * 31 + "x", " ", "all", "*", "+x", "-- x", "%s"],
)
def test_a_role_of_any_name_can_stand_wherever_a_role_can(name):
    data: dict[str, t.Any] = {
        **GOOD,
        "roles": {name: {"hosts": "::/0"}, "member": {"member_of": name}},
        "owners": {"public": name},
        "database_owners": {"app": name},
        "grants": [{"to": name, "on": {"tables": "public.*"}, "privileges": "select", "future": True}],
        "default_privileges": [{"creator": name, "on": "tables", "to": [name], "privileges": "select"}],
        "assertions": [
            {"id": "a", "tables": "*.*", "writers": name, "allow": [{"role": name, "reason": "r"}]},
            {"id": "b", "role": name, "may_not": "write"},
        ],
    }
    policy = parse(data)
    assert policy.roles[name].name == name
    assert policy.roles["member"].member_of == (name,)
    assert (policy.owner_of("public"), policy.database_owners["app"]) == (name, name)
    assert policy.grants[0].to == policy.default_privileges[0].to == policy.assertions[0].writers == (name,)
    assert policy.default_privileges[0].creator == policy.assertions[1].role == name


def test_a_role_with_quotes_in_its_name_is_not_everybody():
    data = changed("roles", {"owner": {}, '"public"': {}})
    policy = parse(changed("grants.0.to", ['"public"', "public"], changed("assertions", [], data)))
    assert policy.grants[0].to == ('"public"', "public")
    assert list(policy.roles) == ["owner", '"public"']


def test_every_key_of_a_role_is_read():
    scraper = parse(WHOLE).roles["scraper"]
    assert scraper == Role(
        "scraper",
        login=True,
        inherit=False,
        connection_limit=5,
        createdb=True,
        createrole=True,
        replication=True,
        bypassrls=True,
        settings={
            "work_mem": ("4096",),
            "search_path": ("a", "b c"),
            "jit": ("off",),
            "random_page_cost": ("1.1",),
        },
        database_settings={"app": {"statement_timeout": ("30s",)}, "elsewhere": {}},
        memberships=(Member("owner"), Member("pg_monitor", True, False, True)),
        hosts=(HostLogin("192.0.2.0/24"), HostLogin("2001:db8::/32", "scram-sha-256")),
        keep_password=True,
    )
    assert parse(changed("roles.owner.superuser", True)).roles["owner"].superuser
