# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Effective access of every role that logs in, in two ways, each a process of its own that prints one JSON.

``paths``: our core, each role's every privilege with the way that it comes by. ``cross_product``: the server's
has_table_privilege, asked for every role, table and privilege; it knows no paths and only tables. ``agree``: whether
both name the same number of privileges on tables.
"""

from __future__ import annotations

import json
import sys
import typing as t

from ansible_collections.taaraxtak.production.plugins.module_utils.access.audit.effective import Effective
from ansible_collections.taaraxtak.production.plugins.module_utils.access.audit.things import BITS
from ansible_collections.taaraxtak.production.plugins.module_utils.access.inspecting import read_audited
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.plugins.module_utils.access.postgres import (
    query,
    read_cluster,
    session,
    snapshot,
)

PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
CROSS_PRODUCT = """
SELECT count(*) FILTER (WHERE has_table_privilege(r.oid, c.oid, p.privilege))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN pg_roles r
  CROSS JOIN unnest(%(privileges)s::text[]) AS p (privilege)
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = ANY(%(schemas)s) AND r.rolcanlogin
"""


def _effective(login: t.Mapping[str, t.Any], written: t.Mapping[str, t.Any]) -> Effective:
    policy = parse(written)
    with session(login, policy.databases[0]) as connection, snapshot(connection):
        cluster = read_cluster(connection)
        return Effective(cluster, read_audited(connection, policy, cluster, policy.databases[0]))


def paths(login: t.Mapping[str, t.Any], written: t.Mapping[str, t.Any]) -> dict[str, int]:
    """How many rows (a role, a thing, a path) there are, each of which is made."""
    return {"rows": sum(1 for _row in _effective(login, written).rows())}


def cross_product(login: t.Mapping[str, t.Any], written: t.Mapping[str, t.Any]) -> dict[str, int]:
    """How many privileges on tables the server says that roles have."""
    policy = parse(written)
    with session(login, policy.databases[0]) as connection:
        query(connection, "SELECT set_config('jit', 'off', false)")  # it more than doubles this query's time
        values = {"privileges": list(PRIVILEGES), "schemas": list(policy.schemas)}
        return {"held": query(connection, CROSS_PRODUCT, values)[0][0]}


def agree(login: t.Mapping[str, t.Any], written: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Whether our core and the server count alike."""
    effective = _effective(login, written)
    every = sum(BITS[privilege] for privilege in PRIVILEGES)
    tables = [relation for relation in effective.objects.relations if relation.kind != "S"]
    numbers = [effective.things.relations[relation.schema, relation.name] for relation in tables]
    ours = sum((effective.mask(role, number) & every).bit_count() for role in effective.roles for number in numbers)
    theirs = cross_product(login, written)["held"]
    return {"agree": ours == theirs, "ours": ours, "theirs": theirs}


if __name__ == "__main__":
    given = json.load(sys.stdin)
    print(json.dumps({"paths": paths, "cross_product": cross_product, "agree": agree}[sys.argv[1]](**given)))
