# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.linode_differences: what nobody changes of an instance."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: linode_differences
short_description: Say where an instance at Linode is another one than wanted
version_added: 0.3.0
positional: wanted
description:
  - Compares what only a resize, a move or a rebuild would change, the type, region and image.
options:
  _input:
    description: The instance as Linode's API gives it.
    type: dict
    required: true
  wanted:
    description: C(type), C(region) and C(image).
    type: dict
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Stop where it is another one
  ansible.builtin.assert:
    that: (__instance | taaraxtak.production.linode_differences(__wanted)) == []
"""

RETURN = r"""
_value:
  description: Each as part of a sentence. An empty list means that it is the one.
  type: list
  elements: str
"""

from ..module_utils.linode.judged import differences


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"linode_differences": differences}
