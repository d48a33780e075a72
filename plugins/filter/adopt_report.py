# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.adopt_report: what a step of an adoption would change, and what that could break."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: adopt_report
short_description: Write the report of a step of an adoption
version_added: 0.4.0
positional: step, done
description:
  - Of what the look at a host has found; whatever could not be read is said in it.
options:
  _input:
    description: The facts, as playbooks/vars/adopt.yml puts them together.
    type: dict
    required: true
  step:
    description: The step, or V(report) for all of them.
    type: str
    required: true
  done:
    description: The steps that are done.
    type: list
    elements: str
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Show the report
  ansible.builtin.debug:
    msg: "{{ (facts | taaraxtak.production.adopt_report('report', [])).screen }}"
"""

RETURN = r"""
_value:
  description: V(document) is for programs, V(screen) for people.
  type: dict
"""

from ..module_utils.adopt.report import document, screen
from ..module_utils.hosts.parsing.keys import key
from ..module_utils.hosts.parsing.systemd import shown


def _report(facts: t.Mapping[str, t.Any], step: str, done: t.Sequence[str]) -> dict[str, t.Any]:
    people = facts.get("devops", [])
    devops = {one["name"]: [key(line.strip())["fingerprint"] for line in one["keys"]] for one in people}
    units = [{"unit": one["Id"], "user": one.get("User", "")} for one in shown(facts.get("units", "")) if "Id" in one]
    rows = [line.split(maxsplit=1) for line in facts.get("running", [])]
    running = [{"user": row[0], "program": row[1]} for row in rows if len(row) > 1]
    report = document(step, done, {**facts, "devops": devops, "units": units, "running": running})
    return {"document": report, "screen": screen(report)}


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"adopt_report": _report}
