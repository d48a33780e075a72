# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.adopt_logins: logins by peer on top of a server's own."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: adopt_logins
short_description: Put logins by peer on top of pg_hba.conf and pg_ident.conf
version_added: 0.4.0
positional: policy, accounts
description:
  - The rest of both files stays as it is. Rows that it has put there before are replaced.
options:
  _input:
    description: The texts of the two files, V(hba) and V(ident).
    type: dict
    required: true
  policy:
    description: The access policy.
    type: dict
    required: true
  accounts:
    description: The accounts of the host that are to log in, as the roles that have them among their C(os_users).
    type: list
    elements: str
    required: true
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Show the files
  ansible.builtin.debug:
    msg: "{{ {'hba': hba, 'ident': ident} | taaraxtak.production.adopt_logins(access_policy, ['pgdumper']) }}"
"""

RETURN = r"""
_value:
  description:
    - The texts of the two files, V(hba) and V(ident), and V(sessions), what proves the rows.
    - Each of these has the C(account) that logs in, the C(role) and the C(database).
  type: dict
"""

from ..module_utils.adopt.logins import sessions, with_logins


def _logins(files: t.Mapping[str, str], policy: t.Mapping[str, t.Any], accounts: t.Sequence[str]) -> dict[str, t.Any]:
    made = with_logins(files["hba"], files["ident"], policy, accounts)
    return {**made, "sessions": sessions(policy, accounts)}


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"adopt_logins": _logins}
