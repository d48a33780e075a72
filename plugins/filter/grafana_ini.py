# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.grafana_ini: a file that Grafana reads as it was meant."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: grafana_ini
short_description: Write grafana.ini
version_added: 0.1.0
description:
  - Writes sections and keys in their order.
  - A value that Grafana would cut is quoted. One that can't be written is refused.
options:
  _input:
    description: Sections, each with keys and values.
    type: dict
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Write the settings
  ansible.builtin.copy:
    content: "{{ {'server': {'http_addr': '127.0.0.1'}} | taaraxtak.production.grafana_ini }}"
    dest: /etc/grafana/grafana.ini
    mode: "0640"
"""

RETURN = r"""
_value:
  description: The file's content.
  type: str
"""

from ansible.errors import AnsibleFilterError

from ..module_utils.dashboards.settings import ini


def _ini(settings: dict[str, dict[str, object]]) -> str:
    try:
        return ini(settings)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"grafana_ini": _ini}
