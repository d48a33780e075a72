#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have sshd read its files anew, unless somebody would be shut out then."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_sshd
short_description: Have sshd read its files anew, unless somebody would be shut out then
version_added: 0.2.0
description:
  - Asks C(sshd -T) what it makes of all its files, for every account as if it came by this task's connection. The
    running sshd is told to read them only where nothing is found. What a C(Match) block says of other addresses
    than this connection's is not seen.
  - Found are another value of a required keyword, for any account, and for O(users) being left out by C(AllowUsers)
    and its like, another port or address, a method without public keys, and a forced command.
  - It fails where something is found, but not in check mode, where the files may yet be written.
extends_documentation_fragment:
  - taaraxtak.production.attributes
options:
  users:
    description: Accounts that are to log in by key.
    type: list
    elements: str
    required: true
  required:
    description: Keywords in small letters, with the values that C(sshd -T) prints for them, of every account.
    type: dict
    default: {}
  others_may:
    description: Keywords of O(required), with lists of other values that accounts outside of O(users) may have.
    type: dict
    default: {}
  reload:
    description: Whether sshd is to read its files. Without it they are only looked at.
    type: bool
    default: true
  guard:
    description:
      - Name of a guarded change, whose undoing then has sshd read its files too.
      - Not before, since the running sshd may never have read what somebody else has left there.
    type: str
  change:
    description:
      - Which change of that name, as RV(taaraxtak.production.host_files#module:change) said. It fails where that one is
        not there any more, and sshd reads nothing.
    type: str
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Have sshd read its files, unless that would shut somebody out
  taaraxtak.production.host_sshd:
    users: [alice]
    required:
      passwordauthentication: "no"
      permitrootlogin: "no"
"""

RETURN = r"""
findings:
  description: Sentences, one for each thing that is not as it should be.
  returned: always
  type: list
  elements: str
  sample: ["alice could not log in any more: allowusers nobody"]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard.systemd import also_then
from ..module_utils.hosts.accounts import names
from ..module_utils.sshd.effective import judged, shut_out
from ..module_utils.sshd.server import RELOAD_AFTER, effective_of_all, person, reload, session


def findings_of(users: list[str], required: dict[str, str], others_may: dict[str, list[str]]) -> list[str]:
    """Everything that is found, each sentence once."""
    came = session()
    # a Match block of somebody else's may open for one account what is closed for all
    said = effective_of_all([*users, *(name for name, _home in names())], came)
    found = judged(said, required, users, others_may)
    for name in users:
        # an account that is not there yet has no groups to judge by
        account = person(name)
        found += shut_out(said[name], account, came) if account else []
    return list(dict.fromkeys(found))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "users": {"type": "list", "elements": "str", "required": True},
            "required": {"type": "dict", "default": {}},
            "others_may": {"type": "dict", "default": {}},
            "reload": {"type": "bool", "default": True},
            "guard": {"type": "str"},
            "change": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params = module.params
    guard = params["guard"]
    try:
        found = findings_of(params["users"], params["required"], params["others_may"])
        if not found and params["reload"] and not module.check_mode:
            if guard:
                also_then(guard, RELOAD_AFTER, params["change"])
            reload()
    except (ValueError, OSError) as error:
        found = [str(error)]
    if found and not module.check_mode:
        module.fail_json(msg=f"{'; '.join(found)}. See /etc/ssh/sshd_config and /etc/ssh/sshd_config.d", findings=found)
    module.exit_json(changed=params["reload"], findings=found)


if __name__ == "__main__":
    main()
