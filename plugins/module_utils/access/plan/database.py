# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan one database: owners, then the ACLs of all that is in the scope, then default privileges."""

from __future__ import annotations

from ..catalog.model import Cluster, Named, Objects, Schema
from ..policy.model import Policy
from .acl import after_owner_change
from .acl_statements import acl_statements, left_over
from .defaults import Defaults
from .missing import missing_names
from .owners import plan_owners
from .relations import plan_relations
from .routines import plan_routines, plan_types
from .statements import LARGE_OBJECT, Name, Plan, Statement, Target, shown
from .wanted import NO_WANTS, named
from .work import Work, with_initial

# The server that MAINTAIN came with.
MAINTAIN = 170000


def plan_database(policy: Policy, cluster: Cluster, objects: Objects, *, skip_missing: bool = False) -> Plan:
    """The statements that make *objects* what *policy* wants.

    ValueError where the policy names exactly what isn't there, unless *skip_missing*: then it is in the plan's
    ``skipped``. A schema of the scope that isn't there is
    created for its owner.
    """
    _check_privileges(policy, cluster)
    work = Work(policy, cluster, objects)
    work.skipped += missing_names(work)
    if work.skipped and not skip_missing:
        lines = "; ".join(f"{one.what} {one.why}" for one in work.skipped)
        raise ValueError(f"the policy names what is not in the database {objects.database}: {lines}")
    _schemas(work)
    plan_relations(work)
    plan_routines(work)
    plan_types(work)
    plan_owners(work)
    _without_schema(work)
    return Plan(
        (
            *work.owners,
            *acl_statements(work.changes, database=objects.database, entered=_entered(work)),
            *Defaults(work).statements(),
        ),
        (*work.skipped, *left_over(work.changes, database=objects.database)),
    )


def _entered(work: Work) -> dict[str, frozenset[str]]:
    """By schema, the roles that surely have its USAGE before anything is revoked."""
    found: dict[str, frozenset[str]] = {}
    changes = {target.name[0]: change for target, change in work.changes if target.noun == "SCHEMA"}
    for schema in work.objects.schemas.values():
        owner = schema.owner if schema.extension else work.new_owner(schema.name, schema.owner)
        acl = schema.acl if owner == schema.owner else after_owner_change(schema.acl, schema.owner, owner)
        # What others granted may be gone by then.
        held = {item.grantee for item in acl if item.privilege == "USAGE" and item.grantor == owner}
        reach = changes[schema.name].reach if schema.name in changes else ()
        found[schema.name] = frozenset({owner, *held, *(role for role, privilege in reach if privilege == "USAGE")})
    return found


def _check_privileges(policy: Policy, cluster: Cluster) -> None:
    granted = [grant.privileges for grant in policy.grants] + [one.privileges for one in policy.default_privileges]
    if "MAINTAIN" in frozenset().union(*granted) and cluster.version < MAINTAIN:
        raise ValueError("the policy grants maintain, which PostgreSQL has since 17: leave it out")


def _schemas(work: Work) -> None:
    policy, there = work.policy, work.objects.schemas
    grants = work.grants("schema")
    new = [name for name in policy.schemas if "*" not in name and name not in there and policy.in_scope(name)]
    for name in new:
        owner = policy.owner_of(name)
        if owner is None:
            raise ValueError(
                f"the schema {name} is not in the database {work.objects.database}: "
                "write its owner under owners and it is created"
            )
        parts = ("CREATE SCHEMA ", Name((name,)), " AUTHORIZATION ", Name((owner,)))
        line = f"schema {shown(name)}{work.place} is owned by {shown(owner)}"
        work.owners.append(Statement("create", parts, after=(line,)))
    made = [Schema(name, policy.owner_of(name) or "", ()) for name in new]
    for schema in sorted([*there.values(), *made], key=lambda one: one.name):
        if not policy.in_scope(schema.name) or schema.extension:
            continue
        target = Target("SCHEMA", (schema.name,))
        owner, acl = work.owned("SCHEMA", target, schema.owner, schema.acl)
        work.compare(target, owner, acl, named(grants, schema.name))


def _without_schema(work: Work) -> None:
    _named(work, "languages", "LANGUAGE", work.objects.languages)
    _named(work, "foreign_data_wrappers", "FOREIGN DATA WRAPPER", work.objects.wrappers)
    _named(work, "foreign_servers", "FOREIGN SERVER", work.objects.servers)
    grants = work.grants("large_objects")
    for one in sorted(work.objects.large_objects, key=lambda one: one.oid):
        if one.acl or grants:
            wanted = named(grants, str(one.oid)) if grants else NO_WANTS
            work.compare(Target(LARGE_OBJECT, (str(one.oid),)), one.owner, one.acl, wanted)


def _named(work: Work, kind: str, noun: str, objects: tuple[Named, ...]) -> None:
    grants = work.grants(kind)
    for one in sorted(objects, key=lambda one: one.name):
        target = Target(noun, (one.name,))
        wanted = named(grants, one.name)
        if one.system:
            wanted = with_initial(wanted, one.acl, one.initial)
        elif one.extension:
            work.leave_extension(target, one.owner, one.acl, one.initial)
            continue
        work.compare(target, one.owner, one.acl, wanted)
