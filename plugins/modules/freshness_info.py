#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: how old the collector's newest rows are, as its own account sees them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: freshness_info
short_description: Say whether the collector writes, by its newest rows
version_added: 0.3.0
description:
  - Runs the check that the role C(collector) has put on the host, as the collector's account and with the settings that
    its timer has. It reads the newest time of each table, and when the certificates end that the connection needs.
  - Nothing is changed, and nothing is read with more rights than the collector has.
options:
  user:
    description: The collector's account.
    type: str
    default: collector
  program:
    description: The check.
    type: path
    default: /usr/local/lib/taaraxtak/freshness.py
  settings:
    description: Its settings.
    type: path
    default: /etc/taaraxtak/freshness.json
extends_documentation_fragment:
  - taaraxtak.production.attributes
attributes:
  check_mode:
    details: The answer is the same.
  diff_mode:
    support: none
    details: Nothing is ever changed.
notes:
  - It has to run as root, or as O(user).
seealso:
  - module: taaraxtak.production.pg_server_info
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Look whether the collector writes
  taaraxtak.production.freshness_info:
  become: true
  register: freshness

- name: Fail where it doesn't
  ansible.builtin.assert:
    that: freshness.outcomes | rejectattr('state', 'eq', 'fresh') | list == []
    quiet: true
"""

RETURN = r"""
outcomes:
  description: What was found of each certificate and each table.
  returned: success
  type: list
  elements: dict
  contains:
    about:
      description: V(table) or V(certificate), and its name.
      type: str
    state:
      description: V(fresh), V(stale), or V(unknown) where it could not be looked at.
      type: str
    sentence:
      description: What was found.
      type: str
    steady:
      description: The same without its age.
      type: str
tables:
  description: What the check was told to look at, as O(settings) has it.
  returned: success
  type: list
  elements: dict
  contains:
    table:
      description: The table's name.
      type: str
    column:
      description: The column with its rows' times.
      type: str
    max_age:
      description: How many seconds old its newest row may be.
      type: float
"""

import json
import os
import pwd
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

# Without a session of its own, which would be written down as a login.
BECOME = "/usr/bin/setpriv"
WORDS = {"about", "state", "sentence", "steady"}


def command_of(params: dict[str, t.Any]) -> list[str]:
    """The check's command line, as the collector's account."""
    try:
        account = pwd.getpwnam(params["user"])
    except KeyError:
        raise ValueError(f"there is no user {params['user']} on this host: apply the role collector first") from None
    command = ["/usr/bin/python3", "-I", params["program"], "--json", params["settings"]]
    if os.geteuid() == account.pw_uid:
        return command
    if os.geteuid() != 0:
        raise ValueError(f"only {params['user']} or root may look: set become")
    return [BECOME, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups", "--reset-env", *command]


def outcomes(text: str) -> list[dict[str, str]]:
    """What the check has answered; ValueError where it has not, or where it could not look at anything."""
    try:
        said = json.loads(text)
    except ValueError:
        raise ValueError("the check does not answer in JSON: apply the role collector of this version") from None
    listed = said.get("outcomes") if isinstance(said, dict) else None
    if not isinstance(listed, list) or not all(isinstance(one, dict) and one.keys() == WORDS for one in listed):
        raise ValueError("the check's answer is none of this version: apply the role collector")
    if said.get("why"):
        raise ValueError(f"the check could not look: {said['why']}")
    return listed


def tables(path: str) -> list[dict[str, t.Any]]:
    """What the check, which has just read it, was told; ValueError where it is not as the check has it."""
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        return [
            {"table": one["table"], "column": one["column"], "max_age": float(one["max_age"])} for one in told["tables"]
        ]
    except (ValueError, LookupError, TypeError):
        raise ValueError(f"{path} is not as the role collector writes it: apply the role") from None


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "user": {"type": "str", "default": "collector"},
            "program": {"type": "path", "default": "/usr/local/lib/taaraxtak/freshness.py"},
            "settings": {"type": "path", "default": "/etc/taaraxtak/freshness.json"},
        },
        supports_check_mode=True,
    )
    said = ""
    try:
        status, out, said = module.run_command(command_of(module.params), cwd="/")
        found = outcomes(out)
        if status not in (0, 1, 2):
            raise ValueError(f"the check ended with exit status {status}")
        told = tables(module.params["settings"])
    except (ValueError, OSError) as error:
        module.fail_json(msg="; ".join([str(error), *said.strip().splitlines()[-1:]]))
    module.exit_json(changed=False, outcomes=found, tables=told)


if __name__ == "__main__":
    main()
