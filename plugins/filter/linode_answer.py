# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.linode_answer: what an answer of Linode's API means."""

from __future__ import annotations

import typing as t
from dataclasses import asdict

DOCUMENTATION = r"""
name: linode_answer
short_description: Say what an answer of Linode's API means
version_added: 0.3.0
positional: method, path, attempt
description:
  - Says whether a call was done or refused, is to be made again and after how many seconds, or whether nobody knows.
  - What was refused is one sentence, in the API's own words.
options:
  _input:
    description: What M(ansible.builtin.uri) returned, whatever it was.
    type: dict
    required: true
  method:
    description: The call's method.
    type: str
    required: true
  path:
    description: The call's path.
    type: str
    required: true
  attempt:
    description: How many times the call was made.
    type: int
    default: 1
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Stop where the call was refused
  ansible.builtin.assert:
    that: (__answer | taaraxtak.production.linode_answer('GET', '/linode/instances')).outcome == 'done'
"""

RETURN = r"""
_value:
  description:
    - C(outcome), C(wait) and C(sentence).
    - The outcome is C(done), C(planned) (skipped in check mode), C(refused), C(busy) (nothing was done), C(silent)
      (a call that can be repeated) or C(lost) (nobody knows whether it was done).
  type: dict
"""

from ..module_utils.linode.answers import judge


def _answer(answer: dict[str, t.Any], method: str, path: str, attempt: int = 1) -> dict[str, t.Any]:
    return asdict(judge(answer, method, path, attempt))


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"linode_answer": _answer}
