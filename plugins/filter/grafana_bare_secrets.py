# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.grafana_bare_secrets: a preflight on the controller."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: grafana_bare_secrets
short_description: Find secrets in settings for grafana.ini
version_added: 0.1.0
description:
  - Says which settings are a secret by their key, or hold what looks like one, such as an address with a password.
  - One that only says where Grafana finds it, as C($__file{PATH}), is none. The secrets themselves are not shown.
options:
  _input:
    description: Values by key, by section.
    type: dict
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Stop where a secret would be written into grafana.ini
  ansible.builtin.assert:
    that: (dashboards_settings | taaraxtak.production.grafana_bare_secrets) == []
"""

RETURN = r"""
_value:
  description: Each as C(section.key).
  type: list
  elements: str
"""

from ..module_utils.dashboards.settings import bare_secrets


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"grafana_bare_secrets": bare_secrets}
