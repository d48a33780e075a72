#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: who can get at a host, by which way, and what is not as it was set up; it only reads."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_access_info
short_description: Say who can get at a host, and in what state it is
version_added: 0.1.0
description:
  - Looks at everything of a host that a person would have to look for by hand, in one call, and changes nothing.
  - Each part is read for itself. One that can't be read says so and keeps no other from being read.
  - No hash of a password and no content of a secret file is read out; of keys there is the fingerprint.
  - Answers what there is, and judges nothing. M(taaraxtak.production.audit_report) does.
options:
  gather:
    description: The parts to look at; none is all of them.
    type: list
    elements: str
    choices: [accounts, certificates, clock, disk, firewall, jobs, keys, packages, privileged_files, secrets, sockets,
              sshd, sudo_rules, units, upgrades]
    default: []
  certificates:
    description:
      - Files, or patterns of their names, with certificates or lists of revoked ones, whose end V(certificates) tells.
    type: list
    elements: path
    default: []
  firewall:
    description: What M(taaraxtak.production.host_firewall) was told; without it V(firewall) can't be read.
    type: dict
    suboptions:
      admin_cidrs:
        description: Networks that ssh is open for.
        type: list
        elements: str
        required: true
      ssh_port:
        description: The port of sshd.
        type: int
        default: 22
      open:
        description: What else is open, as O(ignore:open) of M(taaraxtak.production.host_firewall) has it.
        type: list
        elements: dict
        default: []
  packages:
    description: Names or patterns of packages whose version is held against the newest one that apt knows.
    type: list
    elements: str
    default: ["postgresql-[0-9]*"]
  paths:
    description: Files and folders whose owner and mode V(secrets) tells. They are not opened.
    type: list
    elements: path
    default: []
  places:
    description: Folders on whose file systems V(disk) looks for room.
    type: list
    elements: path
    default: [/]
  units:
    description: Units of systemd that V(units) tells of, whatever their state.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - taaraxtak.production.attributes
attributes:
  check_mode:
    details: The answer is the same.
  diff_mode:
    support: none
    details: Nothing is ever changed.
seealso:
  - module: taaraxtak.production.audit_report
  - module: taaraxtak.production.pg_access_info
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Look who can get at the host
  taaraxtak.production.host_access_info:
    firewall:
      admin_cidrs: "{{ host_admin_cidrs }}"
      ssh_port: "{{ host_ssh_port }}"
      open: "{{ host_open }}"
    paths: [/etc/taaraxtak/dump_signing_key]
  become: true
  register: host

- name: Look who may run what
  taaraxtak.production.host_access_info:
    gather: [accounts, sudo_rules]
  become: true
"""

RETURN = r"""
parts:
  description: What each part says, by its name. docs/audit-report.md has their data.
  returned: success
  type: dict
  contains:
    state:
      description: V(read), V(unreadable), or V(absent) where the host has no such thing.
      type: str
    why:
      description: A sentence where it was not read.
      type: str
    data:
      description: What was read.
      type: dict
  sample:
    disk:
      state: read
      why: ""
      data: {places: [{path: /, bytes_free: 20000000000, percent_free: 61.5, percent_inodes_free: 98.0}]}
    clock:
      state: absent
      why: a container of podman has the clock of the machine underneath
      data: {}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.hosts.gather import PARTS, Options, gather

FIREWALL = {
    "admin_cidrs": {"type": "list", "elements": "str", "required": True},
    "ssh_port": {"type": "int", "default": 22},
    "open": {"type": "list", "elements": "dict", "default": []},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "gather": {"type": "list", "elements": "str", "choices": sorted(PARTS), "default": []},
            "certificates": {"type": "list", "elements": "path", "default": []},
            "firewall": {"type": "dict", "options": FIREWALL},
            "packages": {"type": "list", "elements": "str", "default": ["postgresql-[0-9]*"]},
            "paths": {"type": "list", "elements": "path", "default": []},
            "places": {"type": "list", "elements": "path", "default": ["/"]},
            "units": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    params = module.params
    options = Options(
        certificates=tuple(params["certificates"]), firewall=params["firewall"],
        packages=tuple(params["packages"]), paths=tuple(params["paths"]), places=tuple(params["places"]),
        units=tuple(params["units"]),
    )  # fmt: skip
    module.exit_json(changed=False, parts=gather(params["gather"] or PARTS, options))


if __name__ == "__main__":
    main()
