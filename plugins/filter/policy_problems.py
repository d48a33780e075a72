# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.policy_problems: a preflight on the controller, before any host is touched."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: policy_problems
short_description: List what is wrong with an access policy
version_added: 0.1.0
description:
  - Reads an access policy as M(taaraxtak.production.pg_access) does and returns all of its problems at once.
  - Each sentence begins with the key it is about and says what to write.
options:
  _input:
    description: The access policy.
    type: dict
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Look at the policy before touching any host
  ansible.builtin.assert:
    that: (access_policy | taaraxtak.production.policy_problems) == []
    fail_msg: "{{ access_policy | taaraxtak.production.policy_problems }}"
"""

RETURN = r"""
_value:
  description: The problems. An empty list means that the policy is good.
  type: list
  elements: str
"""

from ..module_utils.access.policy.reader import problems


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"policy_problems": problems}
