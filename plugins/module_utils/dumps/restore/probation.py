# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge that holds a drill's copy against the access policy: applied, audited, probed, and really tried.

Only the sandbox imports this: it needs the package ``access`` beside ``dumps``, and psycopg2.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ...access import inspecting, probing
from ...access.audit.audit import audit
from ...access.enforce import Options, enforce
from ...access.policy.model import Policy, Role
from ...access.policy.reader import parse
from ...access.probes import probes
from ..manifest import Document
from . import trials

# So many of each kind are named in a result.
NAMED = 20


def hold(login: t.Mapping[str, t.Any], document: Document, database: str, lock_file: str) -> Document:
    """What came of it: ``checked``, ``statements`` that the copy needed, ``findings``, ``probes``, ``problems``.

    Findings are only counted: they are of production's roles, and for its own audit to say. ValueError where the policy
    can't be read or applied at all.
    """
    policy = of_database(parse(document), database)
    outcome = enforce(login, policy, Options(check=False, lock_file=lock_file, hba=False, skip_missing=True))
    seen = inspecting.see(login, policy, database=database, with_matrix=False)
    if seen.cluster is None:
        raise ValueError("the copy's roles could not be read")
    today = dt.datetime.now(dt.UTC).date()
    audited = audit(policy, seen.cluster, seen.objects, today=today)
    planned = probes.plan(policy, seen.cluster, seen.objects[database], every_table=False)
    results = [one.as_dict() for one in probing.run(login, database, planned)]
    tried = trials.run(login, policy, seen.objects[database], seen.roles)
    problems = [f"the assertion {one.id} does not hold" for one in audited.assertions if not one.passed]
    problems += [f"the probe {one['id']} failed: {one['evidence']}" for one in results if one["outcome"] == "failed"]
    problems += [one.sentence for one in tried if not one.passed]
    return {
        "checked": True,
        "statements": len(outcome.statements),
        "findings": len(audited.findings),
        "probes": inspecting.tried(results),
        "trials": {"passed": sum(one.passed for one in tried), "failed": sum(not one.passed for one in tried)},
        "problems": problems[:NAMED],
    }


def of_database(policy: Policy, database: str) -> Policy:
    """*policy* as far as it is of *database*; ValueError where that is not in its scope.

    Nobody logs in from elsewhere, and a dump has no passwords: so logins from other hosts are left out.
    """
    if database not in policy.databases:
        raise ValueError(f"the policy's scope does not have the database {database}")

    def role(one: Role) -> Role:
        return dataclasses.replace(one, hosts=(), database_settings=_of(one.database_settings, database))

    return dataclasses.replace(
        policy,
        databases=(database,),
        roles={name: role(one) for name, one in policy.roles.items()},
        grants=tuple(one for one in policy.grants if one.in_database(database)),
        default_privileges=tuple(
            one for one in policy.default_privileges if not one.databases or database in one.databases
        ),
        database_owners=_of(policy.database_owners, database),
        database_settings=_of(policy.database_settings, database, "*"),
    )


def _of(values: t.Mapping[str, t.Any], *databases: str) -> dict[str, t.Any]:
    return {name: value for name, value in values.items() if name in databases}
