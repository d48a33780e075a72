# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.adopt_crontab: jobs of a crontab that run no more."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: adopt_crontab
short_description: Make remarks of jobs of a crontab, or jobs of the remarks
version_added: 0.4.0
positional: lines
description:
  - The lines stay where they are, behind a mark.
options:
  _input:
    description: The text of the crontab.
    type: str
    required: true
  lines:
    description: The lines of the jobs, as C(crontab -l) shows them. One that isn't there is an error.
    type: list
    elements: str
    required: true
  back:
    description: Whether jobs are to be made of all such remarks. Then no line is named.
    type: bool
    default: false
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Show the crontab
  ansible.builtin.debug:
    msg: "{{ crontab | taaraxtak.production.adopt_crontab(['0 3 * * * /home/ops/backup.sh']) }}"
"""

RETURN = r"""
_value:
  description: The text of the crontab.
  type: str
"""

from ..module_utils.adopt.crontab import restored, retired


def _crontab(text: str, lines: t.Sequence[str], back: bool = False) -> str:
    return restored(text) if back else retired(text, lines)


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"adopt_crontab": _crontab}
