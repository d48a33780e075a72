#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_access
short_description: Make a PostgreSQL server's roles, privileges and logins what one policy says
version_added: 0.1.0
description:
  - Reads the catalogues, compares them with an access policy, and runs only the statements that differ.
  - Within the policy's scope the policy is the whole truth about databases, schemas, tables, views, their columns,
    sequences, routines, types, large objects, languages, foreign data wrappers and servers, parameters, tablespaces and
    default privileges. What it does not grant on these is revoked, from every role and from C(PUBLIC), grant options
    included.
  - Roles, attributes, passwords, settings of roles and databases, memberships, owners, privileges, C(pg_hba.conf) and
    C(pg_ident.conf) are managed. No role and no object is ever dropped, and nothing is revoked from a superuser.
  - What belongs to an extension is left alone. Of PostgreSQL's own objects only what exceeds their initial privileges
    is revoked.
  - The cluster and then each database is changed in one transaction, which is only committed after a second read has
    found the wanted state in it.
  - Check mode, and a run that has nothing to do, only read. No transaction id is assigned, no catalogue row is written.
  - In check mode on a host where the server, its user or the driver is not there yet, only RV(ignore:msg) is returned,
    and that something would change.
  - The policy's format is described in the collection's C(docs/policy.md).
options:
  policy:
    description: The access policy, as described in the collection's C(docs/policy.md).
    type: dict
    required: true
  mode:
    description:
      - V(authoritative) revokes what the policy does not grant.
      - V(additive) only creates and grants what is missing. It takes nothing away, changes no role and no owner that is
        there, and leaves C(pg_hba.conf) and C(pg_ident.conf) alone.
      - V(adopt) does what V(additive) does and returns in RV(exceeding) what V(authoritative) would do beside it.
      - The default is the policy's own C(mode).
    type: str
    choices: [additive, adopt, authoritative]
  passwords:
    description:
      - Password verifiers by role, for roles that log in from another host.
      - Make them on the controller with the filter P(taaraxtak.production.scram_verifier#filter), so that no password
        reaches the host. A plain password is refused.
    type: dict
    default: {}
    version_added: 0.2.0
  lock_timeout:
    description: How long a statement waits for a lock before the transaction is rolled back, in PostgreSQL's words.
    type: str
    default: 5s
  lock_file:
    description:
      - File that is locked while the module works, so that two runs can't write at the same time.
      - It must lie where nobody else can make or hold it. The default is for root; another user names one of its own.
    type: path
    default: /run/taaraxtak-pg_access.lock
  hba:
    description:
      - Own C(pg_hba.conf) and C(pg_ident.conf) whole. They are replaced, read back, reloaded, and a new session is
        opened while the old one stays. If any of this fails, the old files are put back.
      - The module has to run on the server's host, as root with O(login_os_user) or as the server's user.
        Where the server does not see the same files and the same C(postmaster.pid), nothing is written.
      - Only where the mode is V(authoritative).
    type: bool
    default: true
  missing_objects:
    description:
      - What to do where a grant or its C(except) names an object, without C(*), that does not exist, where
        C(except) names one that the grant is not on, or where a pattern of C(public.revoke_execute) matches no routine.
      - V(fail) changes nothing. V(skip) goes on, warns, and returns it in RV(skipped_objects).
    type: str
    choices: [fail, skip]
    default: fail
extends_documentation_fragment:
  - taaraxtak.production.connection
  - taaraxtak.production.attributes
seealso:
  - module: taaraxtak.production.pg_access_info
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Apply the access policy
  taaraxtak.production.pg_access:
    policy: "{{ access_policy }}"
    login_os_user: postgres
  become: true

- name: Make the roles before the tables are there
  taaraxtak.production.pg_access:
    policy: "{{ access_policy }}"
    missing_objects: skip
    login_os_user: postgres
  become: true

- name: See what a server that is not under the policy yet has beyond it
  taaraxtak.production.pg_access:
    policy: "{{ access_policy }}"
    mode: adopt
    login_os_user: postgres
  become: true
  check_mode: true
  register: adoption

- name: Give a role that logs in from another host its password
  taaraxtak.production.pg_access:
    policy: "{{ access_policy }}"
    passwords:
      reporter: "{{ vault_reporter_password | taaraxtak.production.scram_verifier(inventory_hostname, 'reporter') }}"
    login_os_user: postgres
  become: true
"""

RETURN = r"""
queries:
  description: The SQL that was run or, in check mode, would be, in order. It never holds a password.
  returned: when the server could be looked at, and on failure
  type: list
  elements: str
  sample: ['GRANT SELECT ON TABLE "public"."measurement" TO "grafanareader"']
uncertain:
  description:
    - The SQL of the part of which it is not known whether it was done, since the connection was lost before the server
      had answered its COMMIT. The next run, or check mode, sees what it was.
  returned: when it fails half way
  type: list
  elements: str
granted:
  description: Privileges and memberships that were granted.
  returned: when the server could be looked at
  type: list
  elements: dict
  sample:
    - role: grafanareader
      privileges: [SELECT]
      "on": table
      names: [public.measurement]
      database: taaraxtak
      grant_option: false
revoked:
  description: Privileges and memberships that were revoked, with the same keys. The role C(public) is everybody.
  returned: when the server could be looked at
  type: list
  elements: dict
skipped_objects:
  description:
    - What was left alone, and why.
    - Names that do not exist, and databases that accept no connections, are warned about.
  returned: when the server could be looked at
  type: list
  elements: dict
  sample:
    - what: tables public.not_there_yet
      why: does not exist
exceeding:
  description:
    - What mode V(authoritative) would run beside RV(queries), in order. This is what the server has beyond the policy.
  returned: when the mode is V(adopt)
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.access import enforce
from ..module_utils.access.plan.report import result, warnings
from ..module_utils.access.policy.reader import parse
from ..module_utils.postgres.connection import AbsentError, login_argument_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **login_argument_spec(),
            "policy": {"type": "dict", "required": True},
            "mode": {"type": "str", "choices": ["additive", "adopt", "authoritative"]},
            "passwords": {"type": "dict", "default": {}, "no_log": True},
            "lock_timeout": {"type": "str", "default": "5s"},
            "lock_file": {"type": "path", "default": "/run/taaraxtak-pg_access.lock"},
            "hba": {"type": "bool", "default": True},
            "missing_objects": {"type": "str", "choices": ["fail", "skip"], "default": "fail"},
        },
        supports_check_mode=True,
    )
    options = enforce.Options(
        check=module.check_mode,
        lock_file=module.params["lock_file"],
        lock_timeout=module.params["lock_timeout"],
        hba=module.params["hba"],
        skip_missing=module.params["missing_objects"] == "skip",
        passwords=module.params["passwords"],
    )
    try:
        policy = parse(module.params["policy"], module.params["mode"])
        outcome = enforce.enforce(module.params, policy, options)
    except enforce.StoppedError as error:
        may = bool(error.committed or error.uncertain)
        module.fail_json(msg=str(error), changed=may, queries=list(error.committed), uncertain=list(error.uncertain))
    except ValueError as error:
        if module.check_mode and isinstance(error, AbsentError):
            module.exit_json(**error.foretold("roles and privileges"))
        module.fail_json(msg=str(error), queries=[])
    files = [(file.path, file.old.decode(errors="replace"), file.new.decode()) for file in outcome.login_files]
    answer = result(outcome.statements, outcome.queries, outcome.skipped, files)
    if policy.mode == "adopt":
        answer["exceeding"] = list(outcome.exceeding)
    for sentence in warnings(outcome.skipped):
        module.warn(sentence)
    if not module._diff:
        del answer["diff"]
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
