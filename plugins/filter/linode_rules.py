# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.linode_rules: the rules of a cloud firewall."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: linode_rules
short_description: Write the rules of a cloud firewall at Linode
version_added: 0.3.0
description:
  - Writes the rules as Linode's API takes them. Nothing comes in but what is named, and everything goes out.
options:
  _input:
    description: Networks that ssh is open for.
    type: list
    elements: str
    required: true
  ssh_port:
    description: The port of ssh.
    type: int
    default: 22
  openings:
    description: More openings, each with C(port), C(from), a list of networks, and C(protocol) where it is not tcp.
    type: list
    elements: dict
    default: []
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Show the rules
  ansible.builtin.debug:
    msg: "{{ ['192.0.2.0/24'] | taaraxtak.production.linode_rules(openings=[{'port': 443, 'from': ['0.0.0.0/0']}]) }}"
"""

RETURN = r"""
_value:
  description: C(inbound), C(inbound_policy), C(outbound) and C(outbound_policy).
  type: dict
"""

from ansible.errors import AnsibleFilterError

from ..module_utils.linode.rules import wanted


def _rules(admins: list[str], **how: t.Any) -> dict[str, t.Any]:
    try:
        return wanted(admins, **how)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"linode_rules": _rules}
