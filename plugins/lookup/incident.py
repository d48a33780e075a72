# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read incidents on the controller, where PostgreSQL's own parser judges their statements."""

# ruff: noqa: E402  (Ansible wants the documentation before the imports)

from __future__ import annotations

DOCUMENTATION = r"""
name: incident
short_description: Read an incident's folder on the controller, and judge its plan
version_added: 0.3.0
description:
  - Gives the files of an incident's folder as they are, for M(taaraxtak.production.corrective_action), and what the
    plan C(before.yml) says of where it is carried out.
  - Fails where the folder or a file of it is a link, where the plan can't be read, and where one of its statements is
    not one that a corrective action may run.
  - Fails where the rehearsal saves other rows than those of the plan, since its queries are sent to the server.
  - Whose approval it is isn't looked at. The host does that, by the keys that lie there.
options:
  _terms:
    description: The folders of incidents. A relative path is one from where Ansible was started.
    type: list
    elements: str
    required: true
  rehearsed:
    description:
      - Whether C(rehearsal.yml) must save the rows of the plan, and no others, where it is there.
      - Write V(false) only to rehearse anew, or to undo.
    type: bool
    default: true
author:
  - The taaraxtak.production authors (@taaraxtak)
requirements:
  - pglast and PyYAML on the controller
"""

EXAMPLES = r"""
- name: Show what is typed out to carry it out
  ansible.builtin.debug:
    msg: "{{ lookup('taaraxtak.production.incident', 'incidents/2026-11-22-duplicate-rows').confirmation }}"
"""

RETURN = r"""
_raw:
  description:
    - For each incident its C(name) and C(path), the C(host) and C(database) of its plan, C(plan_sha256), the plan's
      digest, C(confirmation), what is typed out to carry it out, C(files), the base64 content of each file by its name,
      and C(saves), by the id of a step the queries for the rows that it will touch.
  type: list
  elements: dict
"""

import base64
import dataclasses
import os
import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils.actions.folder import read_folder
from ..module_utils.actions.judged import judge
from ..module_utils.actions.parsing import saves
from ..module_utils.actions.records import confirmation


def read(path: str, *, rehearsed: bool = True) -> dict[str, t.Any]:
    """What is known of the incident at *path*; ValueError where it is no incident, or may not be carried out."""
    judged = judge(read_folder(path), rehearsed=rehearsed)
    found, plan = judged.incident, judged.plan
    return {
        "name": found.name,
        # Not resolved: whoever reads there again has to meet the same folder, or refuse the link.
        "path": os.path.abspath(path),  # noqa: PTH100
        "host": plan.host,
        "database": plan.database,
        "plan_sha256": found.plan_sha256,
        "confirmation": confirmation(found.name, found.plan_sha256),
        "files": {name: base64.b64encode(content).decode() for name, content in judged.folder.files.items()},
        "saves": {step.id: [dataclasses.asdict(save) for save in saves(step.sql)] for step in plan.steps},
    }


class LookupModule(LookupBase):
    """The lookup ``taaraxtak.production.incident``."""

    def run(
        self, terms: list[str], variables: dict[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[dict[str, t.Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        try:
            return [read(term, rehearsed=self.get_option("rehearsed")) for term in terms]
        except (ValueError, OSError) as error:
            raise AnsibleLookupError(str(error)) from error
