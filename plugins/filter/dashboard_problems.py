# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.dashboard_problems: a preflight on the controller, before any host is touched."""

from __future__ import annotations

import base64
import typing as t

DOCUMENTATION = r"""
name: dashboard_problems
short_description: List what is wrong with a tree of dashboards
version_added: 0.1.0
description:
  - Looks at the files of dashboards that Grafana is to provision, and returns all problems at once.
  - Each is a classic dashboard with a uid and a title, without C(id) and without secrets. Uids are unique, and titles
    in their folder.
options:
  _input:
    description: Relative path and base64 content of each file, as P(taaraxtak.production.folder#lookup) gives them.
    type: dict
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Look at the dashboards before touching any host
  ansible.builtin.assert:
    that: (lookup('taaraxtak.production.folder', 'dashboards') | taaraxtak.production.dashboard_problems) == []
"""

RETURN = r"""
_value:
  description: The problems as sentences. An empty list means that the tree is good.
  type: list
  elements: str
"""

from ..module_utils.dashboards.tree import validate


def _problems(files: dict[str, str]) -> list[str]:
    return [str(problem) for problem in validate({path: base64.b64decode(held) for path, held in files.items()})]


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"dashboard_problems": _problems}
