# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan what all databases share, in the order in which it has to be done, and refuse what would lock somebody out."""

from __future__ import annotations

import typing as t

from ..catalog.model import Cluster
from ..policy.model import PREDEFINED, PUBLIC, Policy
from .acl import Powers
from .memberships import Memberships, plan_memberships
from .roles import check_passwords, role_statements, setting_statements
from .shared import plan_shared
from .statements import Name, Plan, Statement, shown

# Who owns the schema public since 15: the database's owner has its privileges. A membership without a row.
DATABASE_OWNER = "pg_database_owner"


def check_primary(cluster: Cluster) -> None:
    """ValueError where nothing can be changed on this server."""
    if cluster.standby:
        raise ValueError("this server is a standby, where nothing can be changed: run this on its primary")


def check_login(policy: Policy, cluster: Cluster) -> None:
    """ValueError where the role of this very connection, or every superuser, would be locked out."""
    name = cluster.login_role
    role = policy.roles.get(name)
    if policy.authoritative and role is not None and not (role.superuser and role.login):
        raise ValueError(
            f"roles.{name}: this is the role that logs in here, and the policy takes login or superuser from it: "
            "log in as another superuser, or leave it out of the policy"
        )
    if policy.authoritative and not any(_may_log_in(policy, cluster, name) for name in superusers(policy, cluster)):
        raise ValueError(
            "the policy leaves no superuser that can log in: write one under roles, with superuser and login"
        )


def check_roles(policy: Policy, cluster: Cluster) -> None:
    """ValueError where the policy names a role that it doesn't define and that isn't there: mostly a newer server's."""
    named = [role for grant in policy.grants for role in grant.to]
    named += [role for one in policy.default_privileges for role in (one.creator, *one.to)]
    named += [role for one in policy.roles.values() for role in one.member_of]
    named += [*policy.owners.values(), *policy.database_owners.values()]
    gone = sorted(set(named) - policy.roles.keys() - cluster.roles.keys() - {PUBLIC})
    if gone:
        raise ValueError(
            f"the policy names what is no role of this server: {', '.join(map(shown, gone))}: "
            "leave it out, or make the role first"
        )


def disabled_roles(policy: Policy, cluster: Cluster) -> frozenset[str]:
    """The roles that ``unlisted_roles: disable`` is about: never who logs in here, nor whom initdb made."""
    if policy.unlisted_roles != "disable" or not policy.authoritative:
        return frozenset()
    return frozenset(
        name
        for name in cluster.roles
        if name not in policy.roles
        and name not in (cluster.bootstrap, cluster.login_role)
        and not name.startswith(PREDEFINED)
        and not policy.ignores(name)
    )


def superusers(policy: Policy, cluster: Cluster) -> frozenset[str]:
    """Who is a superuser after the cluster's statements."""
    disabled = disabled_roles(policy, cluster)
    live = {role.name for role in cluster.roles.values() if role.superuser and role.name not in disabled}
    if policy.authoritative:
        live -= policy.roles.keys()
        return frozenset(live | {role.name for role in policy.roles.values() if role.superuser})
    made = {role.name for role in policy.roles.values() if role.superuser and role.name not in cluster.roles}
    return frozenset(live | made)


def protected_roles(policy: Policy, cluster: Cluster) -> frozenset[str]:
    """Whose privileges are left alone: the superusers of the wanted state, whom none binds, and ignored roles."""
    return superusers(policy, cluster) | {name for name in cluster.roles if policy.ignores(name)}


def powers(policy: Policy, cluster: Cluster, database: str | None = None) -> Powers:
    """Whose privileges each role has when the late statements are still to come; in *database*, if one is named."""
    memberships = _memberships(policy, cluster)
    return _powers(policy, cluster, memberships, database)


def missing_databases(policy: Policy, cluster: Cluster) -> tuple[Statement, ...]:
    """CREATE DATABASE for those of the scope that aren't there: to be run outside of a transaction."""
    return tuple(
        Statement("create", ("CREATE DATABASE ", Name((name,))), after=(f"database {shown(name)}",))
        for name in policy.databases
        if name not in cluster.databases
    )


def plan_cluster(policy: Policy, cluster: Cluster, passwords: t.Mapping[str, str] | None = None) -> Plan:
    """The statements that make the cluster's roles and databases what *policy* wants.

    They are run in one transaction; those that are late in another, after the databases.

    *passwords* are SCRAM verifiers by role. A database that is not there yet counts as new-made: ``missing_databases``
    are to be created before these run. ValueError as ``check_login``, where a password is none that can be set, and
    where the server can't give what is wanted.
    """
    check_login(policy, cluster)
    check_roles(policy, cluster)
    check_passwords(policy, passwords or {})
    disabled = disabled_roles(policy, cluster)
    roles, skipped = role_statements(policy, cluster, disabled, passwords or {})
    settings = setting_statements(policy, cluster, disabled)
    memberships = _memberships(policy, cluster)
    shared, left = plan_shared(
        policy, cluster, protected_roles(policy, cluster), _powers(policy, cluster, memberships, None)
    )
    early = [one for one in memberships.statements if not one.late]
    late = [one for one in memberships.statements if one.late]
    return Plan((*roles, *settings, *early, *shared, *late), (*skipped, *left))


def _may_log_in(policy: Policy, cluster: Cluster, name: str) -> bool:
    role = policy.roles.get(name) or cluster.roles[name]
    return role.login


def _memberships(policy: Policy, cluster: Cluster) -> Memberships:
    return plan_memberships(policy, cluster, protected_roles(policy, cluster), disabled_roles(policy, cluster))


def _powers(policy: Policy, cluster: Cluster, memberships: Memberships, database: str | None) -> Powers:
    above: dict[str, set[str]] = {}
    for (role, member), options in memberships.meanwhile.items():
        if options.inherit:
            above.setdefault(member, set()).add(role)
    if database is not None and database in cluster.databases:
        owner = policy.database_owners.get(database, cluster.databases[database].owner)
        above.setdefault(owner, set()).add(DATABASE_OWNER)
    inherits: dict[str, frozenset[str]] = {}
    for member in above:
        reached: set[str] = set()
        new = [member]
        while new:
            for role in above.get(new.pop(), ()):
                if role not in reached:
                    reached.add(role)
                    new.append(role)
        inherits[member] = frozenset(reached)
    return Powers(inherits, superusers(policy, cluster))
