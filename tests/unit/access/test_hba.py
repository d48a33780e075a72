"""The login files' text: which rows there are, and names that mean only themselves."""

from __future__ import annotations

import dataclasses
import ipaddress
import re

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.hba import (
    RESTORER,
    connectable,
    quoted,
    render_hba,
    render_ident,
    shut_out,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.model import (
    Grant,
    HostLogin,
    Member,
    Policy,
    Role,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.restorer import LOGIN
from ansible_collections.taaraxtak.production.tests.unit.access.snapshots import SUPERUSER
from ansible_collections.taaraxtak.production.tests.unit.access.snapshots import role as role_of
from hypothesis import given, settings
from hypothesis import strategies as st

POLICY = parse(
    {
        "version": 1,
        "scope": {"databases": ["app", "Other"], "schemas": ["public"]},
        "mode": "authoritative",
        "roles": {
            "owner": {},
            "dba": {"os_users": ["alice", "bob"], "inherit": False, "member_of": "remote"},
            "reader": {"os_users": "grafana", "member_of": ["readers"]},
            "readers": {},
            "remote": {
                "hosts": [
                    {"address": "192.0.2.0/24", "method": "scram-sha-256"},
                    "192.0.2.7/32",
                    "2001:db8::/32",
                ]
            },
            "wide": {"hosts": "192.0.0.0/16"},
            "idle": {"os_users": "idle", "hosts": "::/0"},
            "no-row": {"login": True},
        },
        "grants": [
            {"to": ["dba", "readers"], "on": {"database": "app"}, "privileges": "connect"},
            {"to": "remote", "on": {"database": ["app", "Oth*"]}, "privileges": ["connect", "temp"]},
            {"to": ["wide", "no-row"], "on": {"database": "a*"}, "privileges": "connect"},
            {"to": "idle", "on": {"database": "app"}, "privileges": ["create"]},
        ],
    }
)


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_rows_are_the_policy_s_and_everything_else_is_rejected():
    assert rows(render_hba(POLICY)) == [
        "local all postgres peer",
        "local all taaraxtak_restore_login scram-sha-256",
        "local app dba peer map=taaraxtak",
        "local app reader peer map=taaraxtak",
        "hostssl app remote 192.0.2.7/32 cert map=taaraxtak_cert",
        'hostssl "Other" remote 192.0.2.7/32 cert map=taaraxtak_cert',
        "hostssl app remote 192.0.2.0/24 scram-sha-256",
        'hostssl "Other" remote 192.0.2.0/24 scram-sha-256',
        "hostssl app wide 192.0.0.0/16 cert map=taaraxtak_cert",
        "hostssl app remote 2001:db8::/32 cert map=taaraxtak_cert",
        'hostssl "Other" remote 2001:db8::/32 cert map=taaraxtak_cert',
        "local all all reject",
        "host all all all reject",
        "local replication all reject",
        "host replication all all reject",
    ]


def test_the_map_names_each_os_user_and_the_other_each_certificate():
    assert rows(render_ident(POLICY)) == [
        "taaraxtak alice dba",
        "taaraxtak bob dba",
        "taaraxtak grafana reader",
        "taaraxtak_cert remote remote",
        "taaraxtak_cert wide wide",
        "taaraxtak idle idle",
        "taaraxtak_cert idle idle",
    ]


def test_the_superuser_may_have_more_users_than_its_own():
    for users, row, maps in [
        ((), "local all postgres peer", []),
        (("postgres",), "local all postgres peer", []),
        (
            ("root",),
            "local all postgres peer map=taaraxtak",
            ["taaraxtak postgres postgres", "taaraxtak root postgres"],
        ),
    ]:
        policy = dataclasses.replace(POLICY, roles={"postgres": Role("postgres", login=True, os_users=users)})
        assert rows(render_hba(policy))[:3:2] == [row, "local all all reject"]
        assert rows(render_ident(policy)) == maps


def test_the_row_of_a_restore_names_the_role_that_a_restore_makes():
    assert RESTORER == LOGIN
    assert f"local all {LOGIN} scram-sha-256" in rows(render_hba(POLICY))


def test_both_say_who_owns_them():
    for text in (render_hba(POLICY), render_ident(POLICY)):
        assert text.startswith("# Owned whole by the Ansible collection taaraxtak.production")
        assert text.endswith("\n")


def test_a_connect_counts_by_membership_only_where_it_is_inherited():
    assert connectable(POLICY, "reader") == ["app"]
    assert connectable(POLICY, "remote") == ["app", "Other"]
    assert connectable(POLICY, "dba") == ["app"]
    assert connectable(POLICY, "idle") == []


@pytest.mark.parametrize(
    ("attribute", "option", "connects"),
    [(True, None, True), (False, None, False), (True, False, False), (False, True, True)],
)
def test_the_membership_s_own_option_stands_before_the_role_s_attribute(attribute, option, connects):
    policy = dataclasses.replace(
        POLICY,
        roles={"r": Role("r", inherit=attribute, memberships=(Member("g", option),)), "g": Role("g")},
        grants=(Grant(("g",), "database", frozenset({"CONNECT"}), names=("*",)),),
    )
    assert connectable(policy, "r") == (["app", "Other"] if connects else [])


def test_what_everybody_may_connect_to_everybody_with_a_login_has_a_row_for():
    grants = (Grant(("public",), "database", frozenset({"CONNECT"}), names=("app",)),)
    assert connectable(dataclasses.replace(POLICY, grants=grants), "idle") == ["app"]


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("app", "app"),
        ("all", '"all"'),
        ("replication", '"replication"'),
        ("sameuser", '"sameuser"'),
        ("ALL", '"ALL"'),
        ("+group", '"+group"'),
        ("@file", '"@file"'),
        ('a"b', '"a""b"'),
        ("a,b", '"a,b"'),
        ("a b", '"a b"'),
        ("#a", '"#a"'),
        ("", '""'),
    ],
)
def test_a_name_is_one_token_that_means_itself(name, token):
    assert quoted(name) == token


@pytest.mark.parametrize("name", ["/regexp", "a\nb", "a\rb"])
def test_a_name_that_no_token_can_mean_is_refused(name):
    with pytest.raises(ValueError, match="choose another name, or set hba to false"):
        quoted(name)


def tokens(line: str) -> list[str]:
    """Split as next_token() in PostgreSQL's hba.c does."""
    found, token, seen, in_quote, was_quote = [], "", False, False, False
    for character in line + " ":
        if character in " \t," and not in_quote:
            if seen:
                found.append(token)
            token, seen, was_quote = "", False, False
            continue
        if character == "#" and not in_quote:
            break
        seen = True
        if character != '"' or was_quote:
            token += character
        was_quote = not was_quote if in_quote and character == '"' else False
        if character == '"':
            in_quote = not in_quote
    return found


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda n: n[0] != "/")))
def test_the_server_s_own_way_of_reading_gives_the_names_back(names):
    line = " ".join(quoted(name) for name in names)
    assert tokens(line) == names
    assert not re.search(r"[\r\n]", line)


@dataclasses.dataclass(frozen=True)
class Try:
    """Somebody at the door: a client says a database and a role, and has what it has."""

    kind: str  # local, hostssl or hostnossl
    database: str
    role: str
    address: str = ""
    os_user: str = ""
    common_name: str = ""
    knows_password: bool = False


def admits(hba: str, ident: str, one: Try) -> bool:
    """pg_hba.conf as PostgreSQL goes by it: the first row that matches decides, and no row is a no."""
    for line in rows(hba):
        # Whether a word stands in quotes decides whether it is a keyword.
        words = re.findall(r'(?:"(?:[^"]|"")*"|[^\s"])+', line)
        kind, database, role, *rest = words
        address = rest.pop(0) if kind != "local" else ""
        if kind not in (one.kind, "host" if one.kind.startswith("host") else one.kind):
            continue
        if one.database == REPLICATION:
            if database != "replication":
                continue
        elif database == "replication" or (database != "all" and tokens(database) != [one.database]):
            continue
        if role != "all" and tokens(role) != [one.role]:
            continue
        if address not in ("", "all") and ipaddress.ip_address(one.address) not in ipaddress.ip_network(address):
            continue
        method, *options = rest
        if method == "reject":
            return False
        if method == "scram-sha-256":
            return one.knows_password
        named = one.os_user if method == "peer" else one.common_name
        if not options:
            return method == "peer" and named == one.role
        return [options[0].removeprefix("map="), named, one.role] in [tokens(row) for row in rows(ident)]
    return False


# Not a name: what a client asks for that streams the whole cluster.
REPLICATION = "\0replication"
ODD = ["app", "all", "replication", "Other", "a b", '"public"', "+g", "x,y", "sameuser", "#"]
ADDRESSES = ["10.0.0.1", "10.0.0.200", "10.1.0.1", "11.0.0.1", "::1", "2001:db8::1", "2001:db8:1::1"]
NETWORKS = ["10.0.0.1/32", "10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0", "::1/128", "2001:db8::/48", "2001:db8::/32"]
USERS = ["alice", "bob", "postgres", *ODD[:3]]


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    databases = draw(st.lists(st.sampled_from(ODD), unique=True, min_size=1, max_size=3))
    names = draw(st.lists(st.sampled_from([*ODD, "postgres"]), unique=True, min_size=1, max_size=4))
    users = draw(st.permutations(USERS))
    roles = {}
    for number, name in enumerate(names):
        addresses = draw(st.lists(st.sampled_from(NETWORKS), unique=True, max_size=4))
        roles[name] = Role(
            name,
            login=draw(st.booleans()),
            os_users=tuple(users[number : number + draw(st.integers(0, 1))]),
            hosts=tuple(HostLogin(one, draw(st.sampled_from(["cert", "scram-sha-256"]))) for one in addresses),
            replication=draw(st.booleans()),
        )
    grants = draw(
        st.lists(
            st.builds(
                Grant,
                to=st.tuples(st.sampled_from([*names, "public"])),
                kind=st.just("database"),
                privileges=st.frozensets(st.sampled_from(["CONNECT", "CREATE"]), min_size=1),
                names=st.tuples(st.sampled_from([*databases, "*"])),
            ),
            max_size=3,
        )
    )
    return dataclasses.replace(POLICY, databases=tuple(databases), roles=roles, grants=tuple(grants))


TRIES = st.builds(
    Try,
    kind=st.sampled_from(["local", "hostssl", "hostnossl"]),
    database=st.sampled_from([*ODD, REPLICATION]),
    role=st.sampled_from([*ODD, "postgres"]),
    address=st.sampled_from(ADDRESSES),
    os_user=st.sampled_from([*USERS, "eve"]),
    common_name=st.sampled_from([*USERS, *ODD, "eve"]),
    knows_password=st.booleans(),
)


def ought(policy: Policy, one: Try) -> bool:
    """Whether the policy lets *one* in: written down without files and rows."""
    if one.database == REPLICATION:
        return False
    role = policy.roles.get(one.role)
    if one.kind == "local" and one.role == "postgres":
        # A superuser, whom no missing CONNECT keeps out.
        return one.os_user == "postgres" or (role is not None and role.login and one.os_user in role.os_users)
    granted = any(
        "CONNECT" in grant.privileges
        and {one.role, "public"} & set(grant.to)
        and {one.database, "*"} & set(grant.names)
        for grant in policy.grants
    )
    if role is None or not role.login or one.database not in policy.databases or not granted:
        return False
    if one.kind == "local":
        return one.os_user in role.os_users
    at = ipaddress.ip_address(one.address)
    networks = [(ipaddress.ip_network(host.address), host.method) for host in role.hosts]
    holding = [(network.prefixlen, method) for network, method in networks if at in network]
    if one.kind != "hostssl" or not holding:
        return False
    return one.common_name == one.role if max(holding)[1] == "cert" else one.knows_password


@settings(max_examples=400)
@given(st.data(), policies())
def test_whom_the_policy_lets_in_gets_in_and_nobody_else(data, policy):
    hba, ident = render_hba(policy), render_ident(policy)
    for one in data.draw(st.lists(TRIES, min_size=20, max_size=40)):
        assert admits(hba, ident, one) == ought(policy, one), (one, rows(hba), rows(ident))


@given(policies())
def test_whoever_has_all_that_a_login_takes_gets_in(policy):
    """The other half of the property above, which draws few that get in, and who has nearly all of it."""
    hba, ident = render_hba(policy), render_ident(policy)
    for role in policy.roles.values():
        for database in connectable(policy, role.name) if role.login else ():
            for user in role.os_users:
                assert admits(hba, ident, Try("local", database, role.name, os_user=user))
            for host in role.hosts:
                at = str(ipaddress.ip_network(host.address).network_address)
                one = Try("hostssl", database, role.name, at, common_name=role.name, knows_password=True)
                assert admits(hba, ident, one)
                assert not admits(hba, ident, dataclasses.replace(one, kind="hostnossl"))
                for user in role.os_users:
                    # A certificate of that name is no user of this host.
                    other = dataclasses.replace(one, common_name=user, knows_password=False)
                    assert admits(hba, ident, other) == ought(policy, other)


@given(policies())
def test_the_rejects_come_last_and_every_row_before_names_its_database_and_role(policy):
    found = rows(render_hba(policy))
    assert found[0] in ("local all postgres peer", "local all postgres peer map=taaraxtak")
    assert found[-4:] == [
        "local all all reject",
        "host all all all reject",
        "local replication all reject",
        "host replication all all reject",
    ]
    assert found[1] == f"local all {RESTORER} scram-sha-256"
    for row in found[2:-4]:
        kind, rest = row.split(" ", 1)
        assert kind in ("local", "hostssl")
        assert not re.match(r"(all|replication|sameuser|[+/@])", rest)
        assert not re.match(r'("[^ ]*"|[^ ]+) (all|[+/@])', rest)


def test_ignored_roles_that_log_in_are_told_that_the_files_have_no_row_for_them():
    there = [SUPERUSER, role_of("rds_admin", login=True), role_of("rds_group"), role_of("other", login=True)]
    policy = dataclasses.replace(POLICY, ignore_roles=("rds*", "postgres"))
    (told,) = shut_out(policy, {one.name: one for one in there})
    assert told.what == "logins of rds_admin"
    assert told.warn
