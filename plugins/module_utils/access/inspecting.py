# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge that reads for an audit: the cluster and each database, in READ ONLY transactions, on a standby too."""

from __future__ import annotations

import dataclasses
import typing as t

from .audit import matrix
from .catalog import audited, outside, queries
from .catalog.model import Cluster, Objects
from .policy.model import Policy
from .postgres import (
    MAINTENANCE,
    Params,
    query,
    read_cluster,
    read_objects,
    read_scope,
    read_scoped,
    session,
    snapshot,
)

if t.TYPE_CHECKING:
    from .postgres import Connection

# pg_ident_file_mappings came with it.
IDENT_VIEW = 150000
CLOSED = "SELECT datname FROM pg_database WHERE NOT datallowconn OR datconnlimit = -2"
ALL_LOGIN_ROLES = "SELECT rolname FROM pg_roles WHERE rolcanlogin ORDER BY rolname"
ROLES = "SELECT rolname FROM pg_roles"
RULES = """
SELECT type, user_name, auth_method, (SELECT substr(o, 5) FROM unnest(options) o WHERE o LIKE 'map=%')
FROM pg_hba_file_rules WHERE error IS NULL AND type IS NOT NULL
"""
MAPPINGS = "SELECT map_name, sys_name, pg_username FROM pg_ident_file_mappings WHERE error IS NULL"


@dataclasses.dataclass
class Seen:
    """What was read. ``cluster`` is None where only the matrix was asked for; ``unread`` are databases."""

    roles: tuple[str, ...]
    missing_roles: tuple[str, ...]
    cluster: Cluster | None = None
    objects: dict[str, Objects] = dataclasses.field(default_factory=dict)
    matrix: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    unread: list[dict[str, str]] = dataclasses.field(default_factory=list)


def see(
    params: Params,
    policy: Policy,
    *,
    database: str | None = None,
    roles: t.Sequence[str] | None = None,
    all_roles: bool = False,
    with_matrix: bool = True,
    with_objects: bool = True,
) -> Seen:
    """Read *database*, or every database of the policy's scope.

    *roles* (default: the policy's login roles) are those that the matrix is about; *all_roles*: all that can log in.
    Objects need a superuser's login. ValueError where *database* is out of scope, or a database can't be read that
    accepts connections.
    """
    if database is not None and database not in policy.databases:
        raise ValueError(
            f"the database {database} is not in the policy's scope: write one of {', '.join(policy.databases)}"
        )
    wanted = [role.name for role in policy.roles.values() if role.login] if roles is None else list(roles)
    with session(params, MAINTENANCE) as connection, snapshot(connection):
        there = {row[0] for row in query(connection, ROLES)}
        closed = {row[0] for row in query(connection, CLOSED)}
        missing = tuple(name for name in wanted if name not in there)
        if all_roles:
            wanted = [row[0] for row in query(connection, ALL_LOGIN_ROLES)]
        seen = Seen(tuple(name for name in wanted if name in there), missing)
        if with_objects:
            seen.cluster = read_cluster(connection)
    for name in policy.databases if database is None else (database,):
        if name in closed:
            seen.unread.append({"database": name, "why": "it accepts no connections"})
            continue
        with session(params, name) as connection, snapshot(connection):
            if seen.cluster is not None:
                seen.objects[name] = read_audited(connection, policy, seen.cluster, name)
            if with_matrix:
                schemas = [row[1] for row in query(connection, queries.SCHEMAS) if policy.in_scope(row[1])]
                values = matrix.values(connection.server_version, seen.roles, schemas)
                seen.matrix += matrix.matrix(name, query(connection, matrix.MATRIX, values))
    return seen


def read_audited(connection: Connection, policy: Policy, cluster: Cluster, database: str) -> Objects:
    """``postgres.read_objects`` with what an audit needs beside: audited.count() queries more."""
    scope = read_scope(connection, policy)
    objects = read_scoped(connection, cluster, database, scope)
    rows = {key: query(connection, text, scope.values) for key, text in audited.members(cluster.version).items()}
    values = {**scope.values, **outside.reached(objects, rows)}
    rows.update({key: query(connection, text, values) for key, text in outside.LAST.items()})
    return audited.added(objects, scope.names, rows)


def tried(probes: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, int]:
    """How many of the *probes* passed, failed and weren't run, under those words."""
    counts = {"passed": 0, "failed": 0, "not_run": 0}
    for one in probes:
        counts[one["outcome"].replace(" ", "_")] += 1
    return counts


def untried(policy: Policy, probes: t.Sequence[t.Mapping[str, t.Any]]) -> set[str]:
    """As which roles of *probes* nothing was tried; the policy's superusers, who are refused nothing, aren't said."""
    done = {one["role"] for one in probes if one["outcome"] != "not run"}
    meant = {role.name for role in policy.roles.values() if role.superuser}
    return {one["role"] for one in probes} - done - meant


def read_policy(params: Params, database: str | None = None) -> tuple[dict[str, t.Any], list[dict[str, str]]]:
    """``policy`` and ``not_expressed`` of the server as it is, and the databases that could not be read.

    *database*: of this one only; else of every one that is no template. ValueError where it is not there.
    """
    # A module compiles all that it imports in each run, and an audit exports nothing.
    from .export.cluster import logins_by_peer
    from .export.export import export

    with session(params, MAINTENANCE) as connection, snapshot(connection):
        cluster = read_cluster(connection)
        ident: list[tuple[str, str]] = []
        if cluster.version >= IDENT_VIEW:
            ident = logins_by_peer(
                [(row[0], row[1], row[2], row[3]) for row in query(connection, RULES)],
                [(row[0], row[1], row[2]) for row in query(connection, MAPPINGS)],
            )
    names = [one.name for one in cluster.databases.values() if not one.template] if database is None else [database]
    everything = Policy("authoritative", tuple(names), ("*",), True, {}, {}, False, (), (), ())
    found: dict[str, Objects] = {}
    unread = []
    for name in names:
        held = cluster.databases.get(name)
        if held is not None and not held.allows_connections:
            unread.append({"database": name, "why": "it accepts no connections"})
            continue
        with session(params, name) as connection, snapshot(connection):
            found[name] = read_objects(connection, everything, cluster, name)
    exported = export(cluster, found, ident=ident)
    return {"policy": exported.policy, "not_expressed": list(exported.not_expressed)}, unread
