"""Snapshots of a small server on which a small policy holds: what the tests of the planner change and plan for."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import model as catalog
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.acl import AclItem
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.statements import (
    Name,
    Plan,
    Secret,
    Value,
)

POLICY: dict[str, t.Any] = {
    "version": 1,
    "scope": {"databases": ["app"], "schemas": ["public"]},
    "mode": "authoritative",
    "roles": {
        "owner": {},
        "dba": {"os_users": "alice", "inherit": False, "member_of": "owner"},
        "reader": {"os_users": "grafana", "settings": {"statement_timeout": "30s"}},
    },
    "owners": {"public": "owner"},
    "public": {"revoke_connect": "all"},
    "grants": [
        {"to": ["reader", "dba"], "on": {"database": "app"}, "privileges": "connect"},
        {"to": "reader", "on": {"schema": "public"}, "privileges": "usage"},
        {"to": "reader", "on": {"tables": "public.*"}, "privileges": "select", "future": True},
    ],
}
SUPERUSER = catalog.CatalogRole("postgres", True, True, True, True, True, True, True, -1, "scram-sha-256")


def role(name: str, **attributes: t.Any) -> catalog.CatalogRole:
    """A role that initdb's defaults make: no attribute but INHERIT, no password."""
    plain = catalog.CatalogRole(name, False, True, False, False, False, False, False, -1, None)
    return dataclasses.replace(plain, **attributes)


def cluster(version: int = 150000, **parts: t.Any) -> catalog.Cluster:
    """A server on which POLICY holds, but for *parts*."""
    roles = [SUPERUSER, role("owner"), role("dba", login=True, inherit=False), role("reader", login=True)]
    options = (False, True) if version >= 160000 else (None, None)
    held: dict[str, t.Any] = {
        "version": version,
        "login_role": "postgres",
        "bootstrap": "postgres",
        "names": {},
        "roles": {one.name: one for one in roles},
        "settings": (catalog.RoleSetting("reader", None, "statement_timeout", ("30s",)),),
        "memberships": (catalog.Membership("owner", "dba", "postgres", False, *options),),
        "databases": {
            "app": catalog.Database(
                "app", "postgres", tuple(AclItem(r, "postgres", "CONNECT") for r in ("dba", "reader"))
            )
        },
    }
    return catalog.Cluster(**{**held, **parts})


def table(name: str, **parts: t.Any) -> catalog.Relation:
    """A table of public that reader may read."""
    held: dict[str, t.Any] = {
        **{"oid": abs(hash(name)), "schema": "public", "kind": "r", "owner": "owner", "extension": False},
        **{"follows": None, "acl": (AclItem("reader", "owner", "SELECT"),), "columns": {}},
    }
    return catalog.Relation(name=name, **{**held, **parts})


def routine(name: str, **parts: t.Any) -> catalog.Routine:
    """A function of public without arguments, and the owner's alone."""
    held: dict[str, t.Any] = {"schema": "public", "arguments": "", "owner": "owner", "acl": (), "language": "sql"}
    return catalog.Routine(name=name, **{**held, "oid": abs(hash(name)), **parts})


def objects(*relations: catalog.Relation, **parts: t.Any) -> catalog.Objects:
    """The database app on which POLICY holds, with *relations*, but for *parts*."""
    held: dict[str, t.Any] = {
        "schemas": {"public": catalog.Schema("public", "owner", (AclItem("reader", "owner", "USAGE"),))},
        # What PostgreSQL gives PUBLIC on new routines and types is revoked: rows without a schema, and empty.
        "defaults": (
            catalog.DefaultAcl("owner", "public", "r", (AclItem("reader", "owner", "SELECT"),)),
            catalog.DefaultAcl("owner", None, "f", ()),
            catalog.DefaultAcl("owner", None, "T", ()),
        ),
        "routines": (),
    }
    return catalog.Objects(database="app", relations=relations, **{**held, **parts})


def lines(plan: Plan) -> list[str]:
    """The statements for a person to read: names and values in brackets."""
    return [
        "".join(
            f"[{'.'.join(part.parts)}]"
            if isinstance(part, Name)
            else f"<{part.text}>"
            if isinstance(part, Value)
            else "<secret>"
            if isinstance(part, Secret)
            else part
            for part in statement.parts
        )
        for statement in plan.statements
    ]
