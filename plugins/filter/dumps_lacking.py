# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.dumps_lacking: what a new store has to have of an old one."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: dumps_lacking
short_description: Name the dumps of one store that another has to have and has not
version_added: 0.4.0
positional: new
description:
  - What the old store has up to the newest dump that both have must be in the new one. Each is brought dumps by names
    of its own; of what came to the old one later, the new one needs one of the same host, database and kind that was
    begun within half a day.
options:
  _input:
    description: C(dumps) of M(taaraxtak.production.dump_info) of the old store.
    type: list
    elements: dict
    required: true
  new:
    description: The same of the new one.
    type: list
    elements: dict
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Stop where it lacks one
  ansible.builtin.assert:
    that: old.dumps | taaraxtak.production.dumps_lacking(new.dumps) == []
"""

RETURN = r"""
_value:
  description: Their names.
  type: list
  elements: str
"""

from ..module_utils.dumps.moved import lacking


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"dumps_lacking": lacking}
