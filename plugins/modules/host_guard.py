#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Confirm a guarded change of a host, or have it put back at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_guard
short_description: Confirm a change that could have shut everybody out, or put back what was there
version_added: 0.2.0
description:
  - A guarded change is undone by a timer of the host's own, by systemd, unless it is confirmed in time. This says that
    it stays, after a new connection has proved that somebody still comes in, or that it goes at once.
  - Where there is no such change nothing is done, unless O(change) says which one has to be there.
extends_documentation_fragment:
  - taaraxtak.production.attributes
options:
  name:
    description: Name of the change, as O(taaraxtak.production.host_files#module:guard.name) gave it.
    type: str
    required: true
  change:
    description:
      - Which change of that name, as RV(taaraxtak.production.host_files#module:change) said. Another run's is neither
        confirmed nor put back.
      - To confirm one that is not there any more fails, since the host has put back what was there.
    type: str
  state:
    description: V(confirmed) keeps the change, V(put_back) undoes it.
    type: str
    choices: [confirmed, put_back]
    default: confirmed
seealso:
  - module: taaraxtak.production.host_files
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Keep the change, now that a new connection has come in
  taaraxtak.production.host_guard:
    name: logins
    change: "{{ written.change }}"
"""

RETURN = r"""
pending:
  description: Whether there was a change that was neither confirmed nor put back.
  returned: success
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard.systemd import confirm, one_at_a_time, pending, put_back


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "change": {"type": "str"},
            "state": {"type": "str", "choices": ["confirmed", "put_back"], "default": "confirmed"},
        },
        supports_check_mode=True,
    )
    name, change, state = (module.params[option] for option in ("name", "change", "state"))
    try:
        found = pending(name, change)
        if not module.check_mode:
            with one_at_a_time(name):
                found = confirm(name, change) if state == "confirmed" else put_back(name, change)
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    # to confirm changes nothing of the host: it ends the wait
    module.exit_json(changed=found and state == "put_back", pending=found)


if __name__ == "__main__":
    main()
