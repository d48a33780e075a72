# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.adopt_unsaid: what no way back of an adoption would bring."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: adopt_unsaid
short_description: Take out of an export's sentences what an adoption's way back can't bring
version_added: 0.4.0
positional: accepted
description:
  - The end of a password is kept beside the policy, so it counts as said.
options:
  _input:
    description: C(not_expressed) of M(taaraxtak.production.pg_access_info).
    type: list
    elements: str
    required: true
  accepted:
    description: The sentences that somebody has read and accepted.
    type: list
    elements: str
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Stop where something would not come back
  ansible.builtin.assert:
    that: there.exported.not_expressed | taaraxtak.production.adopt_unsaid([]) == []
"""

RETURN = r"""
_value:
  description: The other sentences.
  type: list
  elements: str
"""

from ..module_utils.adopt.former import unsaid


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"adopt_unsaid": unsaid}
