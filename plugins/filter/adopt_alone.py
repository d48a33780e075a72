# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.adopt_alone: the part of a policy that an adoption begins with."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: adopt_alone
short_description: Take one account's role out of an access policy
version_added: 0.4.0
positional: account
description:
  - What it is a member of comes with it. The mode is C(additive).
options:
  _input:
    description: The access policy.
    type: dict
    required: true
  account:
    description: The account of the host that the role has among its C(os_users).
    type: str
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Let the dumps' role read
  taaraxtak.production.pg_access:
    policy: "{{ access_policy | taaraxtak.production.adopt_alone('pgdumper') }}"
    login_os_user: postgres
"""

RETURN = r"""
_value:
  description: The policy.
  type: dict
"""

from ..module_utils.adopt.alone import alone


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"adopt_alone": alone}
