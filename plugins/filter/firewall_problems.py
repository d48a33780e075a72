# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.firewall_problems: a preflight on the controller, before any host is touched."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: firewall_problems
short_description: List what is wrong with the openings of a firewall
version_added: 0.1.0
description:
  - Reads what is to be open as M(taaraxtak.production.host_firewall) does and returns a sentence for each mistake.
options:
  _input:
    description: Networks that ssh is open for.
    type: list
    elements: str
    required: true
  ssh_port:
    description: The port of sshd.
    type: int
    required: true
  open:
    description: What else is open.
    type: list
    elements: dict
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Look at the openings before touching any host
  ansible.builtin.assert:
    that: (host_admin_cidrs | taaraxtak.production.firewall_problems(host_ssh_port, host_open)) == []
    fail_msg: "{{ host_admin_cidrs | taaraxtak.production.firewall_problems(host_ssh_port, host_open) }}"
"""

RETURN = r"""
_value:
  description: The problems. An empty list means that it is good.
  type: list
  elements: str
"""

from ..module_utils.firewall.wanted import problems


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"firewall_problems": problems}
