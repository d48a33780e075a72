# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.linode_report: whether an instance is as it is wanted."""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime

DOCUMENTATION = r"""
name: linode_report
short_description: Compare an instance at Linode with what is wanted
version_added: 0.3.0
positional: wanted
description:
  - Says as data how the instance, its backups, its firewall and its volumes are, and as sentences what is wrong.
options:
  _input:
    description: C(instance), C(firewalls) and C(volumes) as Linode's API gives them, and C(data), what the host says.
    type: dict
    required: true
  wanted:
    description: C(label), C(type), C(region), C(image), C(firewall), C(rules) and C(backups).
    type: dict
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Stop where the instance is not as it is wanted
  ansible.builtin.assert:
    that: (__seen | taaraxtak.production.linode_report(__wanted)).problems == []
"""

RETURN = r"""
_value:
  description: C(problems), a list of sentences, beside what was seen.
  type: dict
"""

from ..module_utils.linode.judged import report


def _report(seen: dict[str, t.Any], wanted: dict[str, t.Any]) -> dict[str, t.Any]:
    return report(seen, wanted, datetime.now(UTC))


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"linode_report": _report}
