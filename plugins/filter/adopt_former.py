# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.adopt_former: the policy that takes a step of an adoption back."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: adopt_former
short_description: Make the policy that takes a step of an adoption back
version_added: 0.4.0
description:
  - Roles that came after the step began, and that it did not make, keep what they have.
  - Of a database that is gone nothing is said.
options:
  _input:
    description: The policy that was exported before the step.
    type: dict
    required: true
  there:
    description: The roles of the server before the step.
    type: list
    elements: str
    required: true
  named:
    description: The roles that the step's policy names; C(public) where it grants everybody something.
    type: list
    elements: str
    required: true
  live:
    description: The roles of the server now.
    type: list
    elements: str
    required: true
  databases:
    description: The databases of the server now.
    type: list
    elements: str
    required: true
  whole:
    description: Whether the step took away what the policy does not grant. Else only what it granted is taken back.
    type: bool
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Show what takes the dumps' role back
  ansible.builtin.debug:
    msg: >-
      {{ exported | taaraxtak.production.adopt_former(there=['scraper'], named=['dumper'], live=['scraper', 'dumper'],
                                                      databases=['taaraxtak'], whole=false) }}
"""

RETURN = r"""
_value:
  description: The policy.
  type: dict
"""

from ..module_utils.adopt.former import former


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"adopt_former": former}
