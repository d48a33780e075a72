# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.ssh_time: when a key ends, in the files of OpenSSH."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

DOCUMENTATION = r"""
name: ssh_time
short_description: Write a time as OpenSSH's files have it
version_added: 0.1.0
description:
  - Writes a time as C(expiry-time) of C(authorized_keys) and C(valid-before) of C(allowed_signers) have it, in UTC.
options:
  _input:
    description: A time in UTC as C(2026-12-01T00:00:00Z), or a day.
    type: str
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Show when the key ends
  ansible.builtin.debug:
    msg: "{{ '2026-12-01T00:00:00Z' | taaraxtak.production.ssh_time }}"
"""

RETURN = r"""
_value:
  description: The time, as C(20261201000000Z).
  type: str
"""

from ..module_utils.sshd.times import ssh_time


def written(value: object) -> str:
    """The same, with Ansible's own error."""
    try:
        return ssh_time(value)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"ssh_time": written}
