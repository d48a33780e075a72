# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.audit_host_options: what a host is asked, by what its roles were told."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: audit_host_options
short_description: Say what the audit has a host look at
version_added: 0.3.0
positional: hostvars, defaults
description:
  - Makes the options of the module P(taaraxtak.production.host_access_info#module) out of what the roles were told,
    and of what C(audit_expected) adds to it for all hosts.
options:
  _input:
    description: The host, by its name in the inventory.
    type: str
    required: true
  hostvars:
    description: Ansible's variable of that name.
    type: dict
    required: true
  defaults:
    description: The roles' defaults, for what the inventory doesn't say.
    type: dict
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Look who can get at the host
  taaraxtak.production.host_access_info: "{{ options }}"
  vars:
    options: "{{ inventory_hostname | taaraxtak.production.audit_host_options(hostvars, defaults) }}"
"""

RETURN = r"""
_value:
  description: The options.
  type: dict
"""

from ..module_utils.audit.declared import of_host, read_expected
from ..module_utils.audit.hosts import expectations, options, variables_of

Held = t.Mapping[str, t.Any]


def audit_host_options(name: str, hostvars: t.Mapping[str, Held], defaults: Held) -> dict[str, t.Any]:
    """The options of host_access_info for the host *name*."""
    variables, groups = variables_of(hostvars[name], defaults), list(hostvars[name]["group_names"])
    # The same that the judge holds against the answer, which stands on the controller.
    said = read_expected(hostvars["localhost"].get("audit_expected", {}))
    return options(of_host(expectations(variables, groups), said, name), variables, groups)


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"audit_host_options": audit_host_options}
