#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: who may come in, by one table of nftables, and a way back by itself."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_firewall
short_description: Let in what is open and drop the rest, with a way back by itself
version_added: 0.1.0
description:
  - Owns the table C(inet taaraxtak) of nftables, which drops what comes in and is not open, on IPv4 and IPv6. It is
    replaced whole, in one step. What goes out, and what is forwarded, is not held. No other table is touched.
  - New rules are loaded only after the host has been told to put the former ones back by itself in O(seconds). They
    stay once a second call, over a new connection, says O(state=confirmed). Only then they are written where the host
    loads them at boot. Whoever has shut themselves out waits, and is in again.
  - Rules that would not let in the very ssh connection that asks for them are refused before anything is loaded.
  - What nft would refuse at boot, by a mistake in C(/etc/nftables.conf) say, is refused before anything is loaded too.
  - What is loaded is compared with what nft makes of the wanted rules, tried in a network namespace of their own, so a
    rule that somebody has added by hand is found and taken out.
options:
  admin_cidrs:
    description: Networks that ssh is open for; for anybody V(0.0.0.0/0) and V(::/0).
    type: list
    elements: str
    required: true
  ssh_port:
    description: The port of sshd.
    type: int
    default: 22
  open:
    description: What else is open.
    type: list
    elements: dict
    default: []
    suboptions:
      port:
        description: The port.
        type: int
        required: true
      protocol:
        description: Which of the two.
        type: str
        choices: [tcp, udp]
        default: tcp
      from:
        description: Networks or addresses that it is open for.
        type: list
        elements: str
        required: true
      reason:
        description: What for, in one line. It stands beside the rule.
        type: str
        required: true
  state:
    description:
      - V(applied) loads the rules where they differ, to be confirmed.
      - V(confirmed) has what is loaded stay, and changes nothing else. It fails where that isn't what the options say.
    type: str
    choices: [applied, confirmed]
    default: applied
  seconds:
    description: After how many seconds the host puts the former rules back unless they are confirmed, V(5) to V(3600).
    type: int
    default: 60
extends_documentation_fragment:
  - taaraxtak.production.attributes
notes:
  - A packet passes only where every table of the host lets it, so RV(other_tables) may drop more.
  - What docker or podman publish of their containers is forwarded and doesn't come in by this table.
  - In check mode nothing is armed, so RV(waiting) is V(false).
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Let in devops and Grafana
  taaraxtak.production.host_firewall:
    admin_cidrs: [192.0.2.0/24, "2001:db8::/32"]
    open:
      - { port: 5432, from: [198.51.100.7], reason: Grafana }
  register: firewall

- name: Have the rules stay, over a new connection
  when: firewall.waiting
  block:
    - ansible.builtin.wait_for_connection:
        timeout: 30

    - taaraxtak.production.host_firewall:
        admin_cidrs: [192.0.2.0/24, "2001:db8::/32"]
        open:
          - { port: 5432, from: [198.51.100.7], reason: Grafana }
        state: confirmed
"""

RETURN = r"""
waiting:
  description: Whether the rules go away by themselves unless they are confirmed.
  returned: success
  type: bool
  sample: true
other_tables:
  description: Tables of nftables that are not ours. They are left alone.
  returned: success
  type: list
  elements: str
  sample: [ip nat]
notes:
  description: What could not be looked at in check mode.
  returned: success
  type: list
  elements: str
  sample: []
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.firewall import host
from ..module_utils.firewall.changing import confirm, load_guarded
from ..module_utils.firewall.compare import diff_of, differs, to_keep
from ..module_utils.firewall.wanted import read_firewall, refuse_lockout
from ..module_utils.guard.systemd import one_at_a_time
from ..module_utils.sshd.server import session

OPENING: dict[str, dict[str, t.Any]] = {
    "port": {"type": "int", "required": True},
    "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
    "from": {"type": "list", "elements": "str", "required": True},
    "reason": {"type": "str", "required": True},
}


def bring(params: dict[str, t.Any], *, check: bool) -> dict[str, t.Any]:
    """Look, and do what *params* say unless it is only to be foretold."""
    firewall = read_firewall(params["admin_cidrs"], params["ssh_port"], params["open"])
    refuse_lockout(firewall, session())
    notes = host.missing(check=check)
    with one_at_a_time(host.CHANGE):
        seen = host.look()
        wanted = host.wanted(firewall, seen)
        if not notes:
            # also where nothing is to be done: somebody else's mistake would leave the next boot without any rules
            host.refuse_at_boot(wanted.ours, wanted.main)
        applying = params["state"] == "applied"
        changed = differs(seen, wanted) if applying else seen.pending or to_keep(seen, wanted)
        if applying and changed and not check:
            load_guarded(wanted, params["seconds"])
        elif not applying:
            confirm(seen, wanted, check=check)
    return {
        "changed": changed,
        "waiting": applying and changed and not check,
        "other_tables": list(seen.others),
        "notes": notes,
        "diff": diff_of(seen.state, wanted),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "admin_cidrs": {"type": "list", "elements": "str", "required": True},
            "ssh_port": {"type": "int", "default": 22},
            "open": {"type": "list", "elements": "dict", "default": [], "options": OPENING},
            "state": {"type": "str", "choices": ["applied", "confirmed"], "default": "applied"},
            "seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    try:
        result = bring(module.params, check=module.check_mode)
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    if not module._diff:
        del result["diff"]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
