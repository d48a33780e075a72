# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.adopt_refusal: whether a step of an adoption may be taken now."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: adopt_refusal
short_description: Say why a step of an adoption can't be taken, or taken back, now
version_added: 0.4.0
positional: done
description:
  - Steps are taken one after the other, and taken back in the other order.
options:
  _input:
    description: The step.
    type: str
    required: true
  done:
    description: The steps that are done; to take one back, those that are begun.
    type: list
    elements: str
    required: true
  back:
    description: Whether it is to be taken back.
    type: bool
    default: false
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Stop where the step does not come now
  ansible.builtin.assert:
    that: "'retire' | taaraxtak.production.adopt_refusal(['dumps']) == ''"
"""

RETURN = r"""
_value:
  description: A sentence, or nothing where it may be.
  type: str
"""

from ..module_utils.adopt.report import refusal, way_back_refusal


def _refusal(step: str, done: t.Sequence[str], back: bool = False) -> str:
    return way_back_refusal(step, done) if back else refusal(step, done)


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"adopt_refusal": _refusal}
