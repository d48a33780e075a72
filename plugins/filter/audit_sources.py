# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.audit_sources: what the tasks of an audit have registered, as sources."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: audit_sources
short_description: Make an audit's sources of what its tasks have registered
version_added: 0.3.0
positional: hostvars
description:
  - Of each host the variables C(__audit_ID), one for each source, and C(__audit_host), whose C(parts) are many, become
    what the module P(taaraxtak.production.audit_report#module) takes. A task that failed, or whose host was out of
    reach, is a source that is unreadable.
options:
  _input:
    description: The hosts that were asked, by their names in the inventory. What the controller said is always there.
    type: list
    elements: str
    required: true
  hostvars:
    description: Ansible's variable of that name.
    type: dict
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Write the reports
  taaraxtak.production.audit_report:
    folder: build/audit
    sources: "{{ groups['production_hosts'] | taaraxtak.production.audit_sources(hostvars) }}"
    hosts: [{ name: production, groups: [production_hosts] }]
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The sources.
  type: list
  elements: dict
"""

from ..module_utils.audit.answers import HOST, PREFIX, sources
from ..module_utils.audit.model import CONTROLLER
from ..module_utils.audit.registry import KINDS

NAMES = (HOST, *(PREFIX + kind.id for kind in KINDS))


def _sources(hosts: list[str], hostvars: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    places = {host: hostvars[host] for host in hosts} | {CONTROLLER: hostvars["localhost"]}
    registered = {place: {name: held[name] for name in NAMES if name in held} for place, held in places.items()}
    groups = {place: list(held.get("group_names", [])) for place, held in places.items()}
    return sources(registered, groups)


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"audit_sources": _sources}
