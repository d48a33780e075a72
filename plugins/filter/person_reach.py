# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.person_reach: what a person could reach, of what the hosts answered."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: person_reach
short_description: Say what a person could reach
version_added: 0.3.0
description:
  - Goes through what C(playbooks/person_reach.yml) has asked the hosts, and names every way of a person into them.
options:
  _input:
    description: The name of the person, which is that of the account.
    type: str
    required: true
  hosts:
    description: What each host answered, by its name.
    type: dict
    required: true
  keys:
    description: Public keys that the person has or had, as lines of C(.pub) files, or their fingerprints.
    type: list
    elements: str
    default: []
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Say what somebody could reach
  ansible.builtin.debug:
    msg: "{{ 'bob' | taaraxtak.production.person_reach(answers) }}"
"""

RETURN = r"""
_value:
  description: Each way with its C(host), C(way), C(evidence), and what would C(close) it. An empty list means none.
  type: list
  elements: dict
"""

from ..module_utils.people.reach import fingerprints, reach


def ways(person: str, hosts: dict[str, t.Any], keys: t.Sequence[str] = ()) -> list[dict[str, str]]:
    """The same as documents."""
    try:
        known = [one for one in keys if one.startswith("SHA256:")]
        known += fingerprints(one for one in keys if not one.startswith("SHA256:"))
        return [dataclasses.asdict(way) for way in reach(person, hosts, known)]
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"person_reach": ways}
