# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.linode_normal_rules: rules of cloud firewalls can be compared."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: linode_normal_rules
short_description: Write rules of a cloud firewall at Linode so that they can be compared
version_added: 0.3.0
description:
  - Leaves out what does not matter, such as labels, spaces, the version and how an address is written.
options:
  _input:
    description: Rules as Linode's API gives or takes them.
    type: dict
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Stop where the rules are others
  ansible.builtin.assert:
    that: >-
      (__firewall.rules | taaraxtak.production.linode_normal_rules)
      == (['192.0.2.0/24'] | taaraxtak.production.linode_rules | taaraxtak.production.linode_normal_rules)
"""

RETURN = r"""
_value:
  description: Two that are equal here let the same in and out.
  type: dict
"""

from ..module_utils.linode.rules import normal


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"linode_normal_rules": normal}
