# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.grafana_literal: values of provisioning files that Grafana doesn't expand."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: grafana_literal
short_description: Keep Grafana from expanding values of a provisioning file
version_added: 0.1.0
description:
  - Doubles each dollar of every text, at whatever depth.
  - Grafana takes C($NAME) for a variable of its environment there.
options:
  _input:
    description: What a provisioning file is to hold.
    type: raw
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Show a password that Grafana reads as it is
  ansible.builtin.debug:
    msg: "{{ {'name': 'a$b'} | taaraxtak.production.grafana_literal }}"
"""

RETURN = r"""
_value:
  description: The same with each dollar doubled.
  type: raw
"""

from ..module_utils.dashboards.settings import literal


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"grafana_literal": literal}
