#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_access_info
short_description: Audit what roles can really do on a PostgreSQL server, and write the policy of what is there
version_added: 0.1.0
description:
  - Reads effective access, by whichever path it comes, and compares it with an access policy. Nothing is ever changed,
    and it works on a standby too.
  - The paths are ownership, the ACLs of tables and columns, C(PUBLIC), memberships that are inherited and those that
    C(SET ROLE) can use, the admin option, C(CREATEROLE), predefined roles and superusers; and code that runs with its
    owner's rights, which are C(SECURITY DEFINER) routines, triggers with such a function, views and rules.
  - What such code does is not read. Whoever can run a C(SECURITY DEFINER) routine is taken to have all its owner's
    privileges.
  - Inheritance, partitions and foreign keys count too, and of other schemas what leads into the policy's scope.
options:
  policy:
    description:
      - The access policy, as described in the collection's C(docs/policy.md).
      - Required, unless O(gather) is V(export) alone.
    type: dict
  database:
    description:
      - Read this database only. The default is every database in the policy's scope.
      - For V(export) the default is every database of the server but templates.
    type: str
  roles:
    description:
      - The roles that RV(matrix), RV(effective), RV(grid) and RV(probes) are about.
      - The default is the policy's login roles.
      - Findings and assertions are always about everybody.
    type: list
    elements: str
  all_roles:
    description: Let RV(matrix), RV(effective) and RV(grid) be about every role that can log in.
    type: bool
    default: false
  gather:
    description:
      - What to read and answer.
      - All but V(matrix) need the login of a superuser.
      - V(probes) tries, as each role itself and in transactions that are rolled back, what the catalogue says is
        refused. Each refusal is an error in the server's log.
    type: list
    elements: str
    choices: [matrix, effective, grid, findings, probes, export]
    default: [matrix, findings]
  fail_on:
    description:
      - Fail where a finding is as severe as this, or where a probe has failed.
      - All that was gathered is returned on that failure too.
    type: str
    choices: [never, low, medium, high, critical]
    default: never
extends_documentation_fragment:
  - taaraxtak.production.connection
  - taaraxtak.production.attributes
attributes:
  diff_mode:
    support: none
    details: Nothing is ever changed.
seealso:
  - module: taaraxtak.production.pg_access
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Read who can do what, and what is not as the policy says
  taaraxtak.production.pg_access_info:
    policy: "{{ access_policy }}"
    login_os_user: postgres
  become: true
  register: access

- name: Fail where somebody can do what the policy forbids
  taaraxtak.production.pg_access_info:
    policy: "{{ access_policy }}"
    gather: [findings, probes]
    fail_on: low
    login_os_user: postgres
  become: true

- name: Read every path of one role
  taaraxtak.production.pg_access_info:
    policy: "{{ access_policy }}"
    gather: [effective]
    roles: [grafanareader]
    login_os_user: postgres
  become: true

- name: Write the policy of a server that has none yet
  taaraxtak.production.pg_access_info:
    gather: [export]
    login_os_user: postgres
  become: true
  register: there
"""

RETURN = r"""
matrix:
  description:
    - One row for each login role, database and way of acting.
    - In check mode it is empty where the server or a database is not there yet, which RV(ignore:msg) says.
  returned: where O(gather) has V(matrix)
  type: list
  elements: dict
  contains:
    role:
      description: The role that logs in.
      type: str
    database:
      description: The database.
      type: str
    via:
      description: V(login), or C(SET ROLE) and the role that it acts as then.
      type: str
    connect:
      description: Whether the role may connect to the database.
      type: bool
    read:
      description: V(none), V(some) or V(all) of the tables and views in scope.
      type: str
    insert:
      description: See RV(matrix[].read).
      type: str
    change:
      description: C(UPDATE). See RV(matrix[].read).
      type: str
    delete:
      description: See RV(matrix[].read).
      type: str
    truncate:
      description: See RV(matrix[].read).
      type: str
    ddl:
      description: Whether it may create something in the scope, or owns something there.
      type: bool
    temp:
      description: Whether it may make temporary tables.
      type: bool
    tables:
      description: By the words above, the tables where it is V(some).
      type: dict
    set_role:
      description: The roles that it may C(SET ROLE) to without inheriting from them.
      type: list
      elements: str
missing_roles:
  description: Roles that were asked for, or are the policy's login roles, and that the server does not have.
  returned: where a policy is given and the server could be looked at
  type: list
  elements: str
effective:
  description: What the roles can do, with the path; objects that are alike in both share an element.
  returned: where O(gather) has V(effective)
  type: list
  elements: dict
  sample:
    - role: dba
      database: taaraxtak
      path: [dba, SET ROLE taaraxtak_owner, owner]
      kind: table
      privileges: [OWNER]
      objects: [public.measurement]
      usable: true
  contains:
    usable:
      description: False where a schema's C(USAGE) is missing, so that the privilege is of no use for direct access.
      type: bool
grid:
  description:
    - RV(effective) as a matrix for each database, with what of it the findings are about. Of thousands of tables it is
      much smaller.
    - It takes RV(findings) to say what is too much.
  returned: where O(gather) has V(grid)
  type: list
  elements: dict
  contains:
    database:
      description: The database.
      type: str
    roles:
      description: The roles that have a way there.
      type: list
      elements: str
    ways:
      description: What one role can do by one path, and in C(excess) by privilege the ids of findings about it.
      type: list
      elements: dict
    rows:
      description: A C(kind), the C(objects) that all roles reach alike, and the numbers of their C(ways).
      type: list
      elements: dict
findings:
  description: What is not as the policy says, the worst first.
  returned: where O(gather) has V(findings)
  type: list
  elements: dict
  sample:
    - id: excess-privilege-098da9deb4
      severity: critical
      rule: excess-privilege
      role: public
      database: taaraxtak
      object: table public.provider_marketshare
      privilege: INSERT
      path: [PUBLIC, INSERT on table public.provider_marketshare]
      evidence: PUBLIC may INSERT on table public.provider_marketshare in taaraxtak
      remedy: REVOKE INSERT ON TABLE "public"."provider_marketshare" FROM PUBLIC CASCADE
      exception: null
  contains:
    id:
      description: The same for the same hole in every run.
      type: str
    severity:
      description: V(low), V(medium), V(high) or V(critical).
      type: str
    rule:
      description: The kind of hole.
      type: str
    role:
      description: Whose it is. V(public) is everybody, and it is empty where no role is meant.
      type: str
    database:
      description: Where it is, null for what all databases share.
      type: str
    object:
      description: The kind and name of what it is about.
      type: str
    privilege:
      description: The privilege, attribute or setting.
      type: str
    path:
      description: The steps from the role.
      type: list
      elements: str
    evidence:
      description: What the catalogue says.
      type: str
    remedy:
      description: The statement that mends it, or what to do.
      type: str
    exception:
      description: The exception that stood against it and has expired.
      type: str
assertions:
  description: The policy's assertions, by effective access.
  returned: where O(gather) has V(findings)
  type: list
  elements: dict
  contains:
    id:
      description: The assertion.
      type: str
    passed:
      description: Whether it holds in every database that was read.
      type: bool
    violations:
      description: Who can do what by which path, and the ids of the findings that this leads through.
      type: list
      elements: dict
    exceptions:
      description: The exceptions that were made use of.
      type: list
      elements: dict
    expired:
      description: The exceptions whose last day is over. They count no more.
      type: list
      elements: dict
probes:
  description: What was tried, what was expected and what came of it. What could not be tried is never V(passed).
  returned: where O(gather) has V(probes)
  type: list
  elements: dict
exported:
  description:
    - RV(ignore:policy) is an access policy that says what is there, so that applying it changes nothing.
    - RV(ignore:not_expressed) are sentences about what a policy can't say.
  returned: where O(gather) has V(export)
  type: dict
unread:
  description: Databases that were not read, and why. Nothing is said of them.
  returned: when the server could be looked at
  type: list
  elements: dict
  sample:
    - database: archive
      why: it accepts no connections
summary:
  description:
    - How many findings there are of each severity, where O(gather) has V(findings).
    - RV(ignore:probes) has how many probes are C(passed), C(failed) and C(not_run), where it has V(probes).
  returned: where O(gather) has V(findings) or V(probes)
  type: dict
passed:
  description:
    - Whether there is no finding, every assertion holds, no probe has failed, and every database was read.
    - Never V(true) where probes are gathered and, as one of the roles, none could be tried.
  returned: where O(gather) has V(findings) or V(probes)
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.access.audit.findings import at_least
from ..module_utils.access.gathering import GATHER, gathered
from ..module_utils.postgres.connection import AbsentError, login_argument_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **login_argument_spec(),
            "policy": {"type": "dict"},
            "database": {"type": "str"},
            "roles": {"type": "list", "elements": "str"},
            "all_roles": {"type": "bool", "default": False},
            "gather": {"type": "list", "elements": "str", "choices": list(GATHER), "default": ["matrix", "findings"]},
            "fail_on": {
                "type": "str",
                "choices": ["never", "low", "medium", "high", "critical"],
                "default": "never",
            },
        },
        supports_check_mode=True,
    )
    gather = set(module.params["gather"])
    if module.params["policy"] is None and gather != {"export"}:
        module.fail_json(msg="policy is required, unless gather is export alone: write it")
    try:
        answer = gathered(module.params, gather)
    except ValueError as error:
        if module.check_mode and isinstance(error, AbsentError):
            module.exit_json(**{**error.foretold("what roles can do"), "changed": False, "matrix": []})
        module.fail_json(msg=str(error))
    fail_on = module.params["fail_on"]
    if fail_on != "never":
        bad = [one["id"] for one in answer.get("findings", []) if one["severity"] in at_least(fail_on)]
        failed = [one["id"] for one in answer.get("probes", []) if one["outcome"] == "failed"]
        if bad or failed:
            module.fail_json(
                msg=f"{len(bad)} findings are {fail_on} or worse, and {len(failed)} probes have failed: "
                + ", ".join([*bad, *failed]),
                **answer,
            )
    module.exit_json(changed=False, **answer)


if __name__ == "__main__":
    main()
