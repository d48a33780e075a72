#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_copy
short_description: Keep a state of a database beside it, and bring it back
version_added: 0.2.0
description:
  - Makes a copy of a database on the same server by C(CREATE DATABASE ... TEMPLATE), which nobody may connect to, or
    lets the database be again what such a copy holds.
  - Whoever is connected is sent away for that.
  - Meant for a developer's own environment. A copy is no dump, it is lost with its server.
  - To bring a state back, the copy is copied once more and swapped with the database by renames in one transaction. The
    copy stays, and what the database was until then is C(DATABASE__previous). Its privileges and settings as a database
    are not part of a copy, so apply the policy with M(taaraxtak.production.pg_access) afterwards.
options:
  database:
    description: The database.
    type: str
    required: true
  name:
    description:
      - What the state is called, in small letters, digits and single underscores.
      - The copy is the database C(DATABASE__snapshot_NAME).
    type: str
    required: true
  state:
    description:
      - V(present) makes the copy, unless it is there. One that is there is left as it is.
      - V(restored) brings it back.
    type: str
    choices: [present, restored]
    default: present
  restore_into_production:
    description:
      - Work though the server is on a production host, where this is refused otherwise. O(production_host) is then
        needed.
      - A host where dumps are made (the role C(backup) was applied) is a production host.
    type: bool
    default: false
  production_host:
    description: The name of that production host, typed out. It must be what the host calls itself.
    type: str
    default: ""
  login_unix_socket:
    description: Folder of the server's unix socket.
    type: path
    default: /var/run/postgresql
  login_port:
    description: Port of the server, which names the socket's file.
    type: int
    default: 5432
  login_user:
    description: A superuser.
    type: str
    default: postgres
  login_os_user:
    description: The operating system's user to log in as, when the task runs as root and the server asks for the peer.
    type: str
    default: ""
extends_documentation_fragment:
  - taaraxtak.production.attributes
attributes:
  check_mode:
    details: Says whether a copy would be made or brought back, and does nothing.
  diff_mode:
    support: none
    details: A database is no text.
requirements:
  - psycopg2 on the host that runs the module (Debian's python3-psycopg2)
seealso:
  - module: taaraxtak.production.dump_restore
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Keep the database as it is now
  taaraxtak.production.database_copy:
    database: taaraxtak
    name: before_my_change
    login_os_user: postgres
  become: true

- name: Bring it back
  taaraxtak.production.database_copy:
    database: taaraxtak
    name: before_my_change
    state: restored
    login_os_user: postgres
  become: true
"""

RETURN = r"""
snapshots:
  description: The names of the states of this database that can be brought back.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.dumps.processes import DumpError
from ..module_utils.dumps.restore.command import permission_of
from ..module_utils.dumps.restore.server import Server
from ..module_utils.dumps.restore.snapshots import Snapshots, snapshot
from ..module_utils.dumps.restore.target import Target


def work(params: dict[str, t.Any], *, check: bool) -> dict[str, t.Any]:
    """Do what *params* say, or only look; what the module returns."""
    database, name, back = params["database"], params["name"], params["state"] == "restored"
    snapshot(database, name)
    target = Target(params["login_unix_socket"], params["login_port"], params["login_user"], params["login_os_user"])
    permission = permission_of(into=params["restore_into_production"], typed=params["production_host"])
    with Server(target, permission) as server, Snapshots(server, database) as states:
        there = name in states.names()
        if back:
            states.bring_back(name, check=check)
        elif not there:
            states.take(name, check=check)
        return {"changed": back or not there, "snapshots": states.names()}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "database": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "restored"], "default": "present"},
            "restore_into_production": {"type": "bool", "default": False},
            "production_host": {"type": "str", "default": ""},
            "login_unix_socket": {"type": "path", "default": "/var/run/postgresql"},
            "login_port": {"type": "int", "default": 5432},
            "login_user": {"type": "str", "default": "postgres"},
            "login_os_user": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    try:
        answer = work(module.params, check=module.check_mode)
    except (DumpError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
