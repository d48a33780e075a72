#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_access_info
short_description: Read what the login roles of an access policy can really do
version_added: 0.1.0
description:
  - Asks the server for effective access, by whichever path it comes, in a read only transaction.
  - It answers for each login role of the policy and each database of its scope, and once more for each role that the
    login role may C(SET ROLE) to without inheriting its privileges.
options:
  policy:
    description: The access policy, as described in the collection's C(docs/policy.md).
    type: dict
    required: true
  database:
    description: Read this database only. The default is every database in the policy's scope.
    type: str
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
- name: Read who can do what
  taaraxtak.production.pg_access_info:
    policy: "{{ access_policy }}"
    login_os_user: postgres
  become: true
  register: access
"""

RETURN = r"""
matrix:
  description:
    - One row for each login role, database and way of acting.
    - In check mode it is empty where the server or a database is not there yet, which RV(ignore:msg) says.
  returned: success
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
  description: Login roles of the policy that the server does not have.
  returned: when the server could be looked at
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.access.policy import parse
from ..module_utils.access.postgres import read_matrix
from ..module_utils.postgres.connection import AbsentError, login_argument_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **login_argument_spec(),
            "policy": {"type": "dict", "required": True},
            "database": {"type": "str"},
        },
        supports_check_mode=True,
    )
    try:
        policy = parse(module.params["policy"])
        matrix = read_matrix(module.params, policy, module.params["database"])
    except ValueError as error:
        if module.check_mode and isinstance(error, AbsentError):
            module.exit_json(**{**error.foretold("what roles can do"), "changed": False, "matrix": []})
        module.fail_json(msg=str(error))
    there = {row["role"] for row in matrix}
    missing = [role.name for role in policy.roles.values() if role.login and role.name not in there]
    module.exit_json(changed=False, matrix=matrix, missing_roles=missing)


if __name__ == "__main__":
    main()
