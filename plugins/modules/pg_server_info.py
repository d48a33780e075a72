#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: how a server runs, and who is and was connected to it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_server_info
short_description: Say how a server's login files, settings, version and sessions differ from what is wanted
version_added: 0.3.0
description:
  - Reads on the server's host, and changes nothing.
  - C(pg_hba.conf) and C(pg_ident.conf) are compared with what M(taaraxtak.production.pg_access) writes for the policy,
    where its mode is C(authoritative), and with what the server has loaded.
  - Who was connected is in the server's log, where C(log_connections) is on (from 18 on at least C(receipt),
    C(authentication) and C(authorization)), C(log_line_prefix) is Debian's, C(log_destination) has C(stderr),
    C(log_min_messages) is below C(fatal), and C(logging_collector) is off or O(log) is given. The log of now and the
    one before are read. Where one is longer than 256 MiB, or has a line that is no message of the server's, such as
    names with line breaks make them, RV(sessions) says that it is C(unreadable).
options:
  policy:
    description: The access policy, as described in the collection's C(docs/policy.md).
    type: dict
    required: true
  settings:
    description: The settings that the server must run with, as M(taaraxtak.production.pg_settings) takes them.
    type: dict
    default: {}
  log:
    description: The server's log. The default is where Debian's packages have it.
    type: path
extends_documentation_fragment:
  - taaraxtak.production.connection
  - taaraxtak.production.attributes
attributes:
  check_mode:
    details: The answer is the same.
  diff_mode:
    support: none
    details: Nothing is ever changed.
notes:
  - It has to run as root with O(login_os_user), or as the server's own user.
seealso:
  - module: taaraxtak.production.pg_access_info
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Look at the server
  taaraxtak.production.pg_server_info:
    login_os_user: postgres
    policy: "{{ access_policy }}"
    settings: "{{ database_settings }}"
  become: true
  register: server

- name: Fail where somebody was connected who should not
  ansible.builtin.assert:
    that: server.sessions.why == '' and server.sessions.unexpected == []
    quiet: true
"""

RETURN = r"""
version:
  description: The version that runs.
  returned: success
  type: str
installed:
  description: The version of its programs on the disk, which the next start would run.
  returned: success
  type: str
login_files:
  description:
    - Of the two files the paths of those that are C(different) from the policy's, and of those that are as it says and
      were C(not_loaded).
    - Where C(compared) is false, the policy's mode leaves them to somebody else, so that none is C(different), and
      C(not_loaded) are those that have changed since.
    - RV(ignore:broken) names the lines that the server can't parse; C(contents) has a digest of each file.
  returned: success
  type: dict
settings:
  description:
    - The settings that are not as they are wanted, with C(name), C(wanted) and C(live).
    - One whose two values can't be compared from here is among them, and C(live) says so.
  returned: success
  type: list
  elements: dict
pending_restart:
  description: The settings that wait for a restart.
  returned: success
  type: list
  elements: str
waiting:
  description: By the name of each of these a digest of the value that the server's files have for it.
  returned: success
  type: dict
sessions:
  description:
    - Who is and was C(connected), with C(role), C(database), C(address), C(identity) and C(method), and which of them
      are C(unexpected) by the policy. Of those that are connected now it is not known who they proved to be.
    - RV(ignore:state) is C(unreadable) where nobody knows who else was; RV(ignore:why) says why.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.access.policy.reader import parse
from ..module_utils.access.serving import serve
from ..module_utils.postgres.connection import login_argument_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **login_argument_spec(),
            "policy": {"type": "dict", "required": True},
            "settings": {"type": "dict", "default": {}},
            "log": {"type": "path"},
        },
        supports_check_mode=True,
    )
    try:
        answer = serve(module.params, parse(module.params["policy"]), module.params["settings"], module.params["log"])
    except ValueError as error:
        module.fail_json(msg=str(error))
    status, said, complaint = module.run_command([f"{answer['programs']}/postgres", "--version"])
    if status != 0:
        module.fail_json(msg=f"the server's program does not say its version: {complaint.strip()}")
    installed = said.strip().removeprefix("postgres (PostgreSQL) ")
    module.exit_json(changed=False, installed=installed, **answer)


if __name__ == "__main__":
    main()
