#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: where the incidents of a folder stand."""

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_info
short_description: Say where each incident of a folder stands, and whether its report is overdue
version_added: 0.3.0
description:
  - Reads the incidents in a folder of the controller. Nothing is changed and no database is asked.
  - The collection's C(docs/incidents.md) says what an incident is.
options:
  folder:
    description: The folder with the incidents. One that is not there is an error.
    type: path
    required: true
  approvers:
    description: The file of the approvers' keys. Without it no approval is verified.
    type: path
  approver_keys:
    description:
      - The approvers and their keys, in the place of a file.
      - Where there are none, no approval is verified, and an incident that has one is RV(incidents[].unverified).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The approver's login.
        type: str
        required: true
      key:
        description: The line of the approver's C(.pub) file.
        type: str
        required: true
extends_documentation_fragment:
  - taaraxtak.production.attributes
attributes:
  check_mode:
    details: The answer is the same.
  diff_mode:
    support: none
    details: Nothing is ever changed.
requirements:
  - PyYAML on the host that the task runs on
  - C(ssh-keygen) there where approvals are verified
seealso:
  - module: taaraxtak.production.corrective_action
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Look at the incidents
  taaraxtak.production.incident_info:
    folder: "{{ playbook_dir }}/../incidents"
  delegate_to: localhost
  register: found

- name: Fail where a report is overdue
  ansible.builtin.assert:
    that: found.incidents | selectattr('overdue') | list == []
    quiet: true
"""

RETURN = r"""
incidents:
  description: The incidents by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The incident, which is its folder's name.
      type: str
    word:
      description: Where it stands, such as V(draft), V(approved), V(closed) or V(void).
      type: str
    why:
      description: A sentence where there is something to do or to know.
      type: str
    overdue:
      description: Whether its after-action report should be there by now, and is not.
      type: bool
    unverified:
      description: Whether all that it waits for is an approval that nobody has verified.
      type: bool
"""

import datetime as dt
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.actions import folder, states
from ..module_utils.actions.records import NAMESPACE


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "approvers": {"type": "path"},
            "approver_keys": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "key": {"type": "str", "required": True, "no_log": False},
                },
                "no_log": False,
            },
        },
        mutually_exclusive=[("approvers", "approver_keys")],
        supports_check_mode=True,
    )
    kept_in = Path(module.params["folder"])
    if not kept_in.is_dir():
        module.fail_json(msg=f"there is no folder {kept_in}: say in folder where the incidents are")
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    try:
        places = sorted(one for one in kept_in.iterdir() if one.is_dir() or one.is_symlink())
    except OSError as error:
        module.fail_json(msg=f"the folder {kept_in} can't be read: {error.strerror}")
    approvers = module.params["approvers"]
    if module.params["approver_keys"]:
        # ssh-keygen reads a file.
        approvers = str(Path(module.tmpdir) / "approvers")
        lines = [
            f'{one["name"]} namespaces="{NAMESPACE}" {one["key"].strip()}' for one in module.params["approver_keys"]
        ]
        Path(approvers).write_text("\n".join(lines) + "\n", encoding="utf-8")
    module.exit_json(changed=False, incidents=[told(one, now, approvers) for one in places])


def told(place: Path, now: dt.datetime, approvers: str | None) -> dict[str, t.Any]:
    """Where the incident in *place* stands; what can't be read as one is void."""
    try:
        found = folder.understand(folder.read_folder(str(place)), approvers)
    except ValueError as error:
        return {"name": place.name, "word": states.VOID, "why": str(error), "overdue": False, "unverified": False}
    stands = states.state(found, now)
    waits = stands.word == states.REHEARSED and bool(found.approval_sha256)
    return {
        "name": found.name,
        "word": stands.word,
        "why": stands.why,
        "overdue": states.overdue(found, now),
        "unverified": waits and found.unverified,
    }


if __name__ == "__main__":
    main()
