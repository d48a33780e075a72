# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.grafana_lateness: the question of an alert."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: grafana_lateness
short_description: Write the SQL that asks how stale tables are
version_added: 0.1.0
description:
  - Writes one SELECT that gives for each table how many seconds its newest row is older than it may be.
  - Names are quoted. A table without a row is late too.
options:
  _input:
    description: For each table C(table) as C(schema.name), C(column) with the time of a row, and C(max_age) in seconds.
    type: list
    elements: dict
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Show the question
  ansible.builtin.debug:
    msg: "{{ [{'table': 'public.t', 'column': 'time', 'max_age': 3600}] | taaraxtak.production.grafana_lateness }}"
"""

RETURN = r"""
_value:
  description: The SELECT, with the columns C(time), C(table) and C(late).
  type: str
"""

from ansible.errors import AnsibleFilterError

from ..module_utils.dashboards.settings import lateness


def _lateness(tables: list[dict[str, t.Any]]) -> str:
    try:
        return lateness(tables)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"grafana_lateness": _lateness}
