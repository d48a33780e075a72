#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: the reports of an audit, made of what its sources say."""

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_report
short_description: Judge what an audit's sources say, and write the reports
version_added: 0.2.0
description:
  - Runs on the controller. It takes what other modules have answered, one source for each host and subject, judges it,
    and writes a page for people, JSON, JUnit, metrics and a screen into O(folder). It reads nothing else.
  - A source that a host must have and that is not handed over, was not read, or has an answer that can't be
    understood, is a finding of its own.
  - The collection's C(docs/audit-report.md) says what each source holds.
options:
  folder:
    description: Where the reports are written. The last C(audit.json) there is what this run is compared with.
    type: path
    required: true
  sources:
    description: What was read, or why it was not.
    type: list
    elements: dict
    required: true
    suboptions:
      id:
        description: The kind of source.
        type: str
        required: true
      host:
        description: The host that it is of, by its name in the inventory; V(controller) for what no host answers.
        type: str
        required: true
      state:
        description: Whether it was read.
        type: str
        choices: [read, unreadable, absent]
        required: true
      why:
        description: Why it was not read, or is absent.
        type: str
        default: ""
      data:
        description: What the module has answered.
        type: dict
        default: {}
  hosts:
    description: Every host that is audited.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Its name in the inventory.
        type: str
        required: true
      groups:
        description: Its groups. They say which sources it must have.
        type: list
        elements: str
        required: true
      address:
        description: Where it is reached, for the picture.
        type: str
        default: ""
  expected:
    description: By the id of a source what the inventory expects of it.
    type: dict
    default: {}
  absent:
    description: Sources that are not there, with C(source), C(reason) and perhaps C(host).
    type: list
    elements: dict
    default: []
  accepted:
    description:
      - Deviations that are accepted, with the C(id) of the finding, its C(object), a C(reason), C(expires), the last
        day, and perhaps C(host). Where what was seen changes, the finding has another id, and counts.
    type: list
    elements: dict
    default: []
  fail_on:
    description: From which severity on a finding makes RV(status) 2.
    type: str
    choices: [low, medium, high, critical]
    default: low
  at:
    description: The time of the run, in UTC, such as V(2026-11-23T06:30:00Z). The default is now.
    type: str
extends_documentation_fragment:
  - taaraxtak.production.attributes
attributes:
  check_mode:
    details: Everything is judged, and nothing is written.
notes:
  - The task does not fail where something was found, so that the reports are told of; look at RV(status).
seealso:
  - module: taaraxtak.production.pg_access_info
  - module: taaraxtak.production.dump_info
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Write the reports
  taaraxtak.production.audit_report:
    folder: build/audit
    hosts:
      - { name: production, groups: [production_hosts, database_hosts], address: 192.0.2.10 }
      - { name: store, groups: [store_hosts] }
    sources:
      - { id: access, host: production, state: read, data: "{{ access }}" }
      - { id: dumps, host: store, state: unreadable, why: "{{ dumps.msg }}" }
      - { id: incidents, host: controller, state: absent, why: nobody keeps any here }
    expected: { dumps: { databases: [taaraxtak] } }
    accepted:
      - id: dump-unverified-3f2c1a9b00
        object: database taaraxtak
        reason: the store gets PostgreSQL 17 next week
        expires: 2027-01-31
  delegate_to: localhost
  register: audit

- name: Fail where something was found, or could not be looked at
  ansible.builtin.assert:
    that: audit.status == 0
    fail_msg: "{{ audit.screen }}"
    quiet: true
"""

RETURN = r"""
status:
  description: V(0) clean, V(2) findings as severe as O(fail_on) or worse, V(3) something could not be looked at.
  returned: success
  type: int
findings:
  description: The findings that count, the worst first.
  returned: success
  type: list
  elements: dict
summary:
  description: How many findings there are of each severity, accepted ones, and sources in each state.
  returned: success
  type: dict
new:
  description: Ids of the findings that the last run had not.
  returned: success
  type: list
  elements: str
gone:
  description: Ids of the findings that only the last run had.
  returned: success
  type: list
  elements: str
screen:
  description: All of it on one screen.
  returned: success
  type: str
files:
  description: The reports' paths.
  returned: success
  type: list
  elements: str
"""

import datetime as dt
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.audit import files
from ..module_utils.audit.declared import read_absences, read_deviations
from ..module_utils.audit.frame import Host, judge
from ..module_utils.audit.model import Document, read_source
from ..module_utils.audit.report import report

SOURCE = {
    "id": {"type": "str", "required": True},
    "host": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["read", "unreadable", "absent"], "required": True},
    "why": {"type": "str", "default": ""},
    "data": {"type": "dict", "default": {}},
}
HOST = {
    "name": {"type": "str", "required": True},
    "groups": {"type": "list", "elements": "str", "required": True},
    "address": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "sources": {"type": "list", "elements": "dict", "required": True, "options": SOURCE},
            "hosts": {"type": "list", "elements": "dict", "required": True, "options": HOST},
            "expected": {"type": "dict", "default": {}},
            "absent": {"type": "list", "elements": "dict", "default": []},
            "accepted": {"type": "list", "elements": "dict", "default": []},
            "fail_on": {"type": "str", "choices": ["low", "medium", "high", "critical"], "default": "low"},
            "at": {"type": "str"},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["folder"])
    try:
        last = files.last(folder)
        document = made(module.params, last)
        texts = files.texts(document, folder)
        if not module.check_mode:
            files.write(folder, texts)
    except ValueError as error:
        module.fail_json(msg=str(error))
    since = document["run"]["since"]
    module.exit_json(
        changed=not isinstance(last, dict) or stable(last) != stable(document),
        **{key: document[key] for key in ("status", "findings", "summary")},
        new=since["new"],
        gone=[one["id"] for one in since["gone"]],
        screen=texts[files.SCREEN],
        files=[str(folder / name) for name in texts],
        diff={"before": told(last), "after": told(document)},
    )


def made(params: dict[str, t.Any], last: Document | str | None) -> Document:
    """The report of what the options hand over; ValueError says what of them is wrong."""
    now = moment(params["at"])
    hosts = [Host(one["name"], tuple(one["groups"]), one["address"]) for one in params["hosts"]]
    judged = judge(
        [read_source(one) for one in params["sources"]],
        hosts,
        now=now,
        expected=params["expected"],
        absences=read_absences(params["absent"]),
        deviations=read_deviations(params["accepted"]),
    )
    return report(judged, hosts, now=now, fail_on=params["fail_on"], last=last)


def moment(at: str | None) -> dt.datetime:
    """The time that *at* says, or that it is; ValueError where it says none."""
    if at is None:
        return dt.datetime.now(dt.UTC)
    try:
        return dt.datetime.strptime(at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.UTC)
    except ValueError:
        raise ValueError(f"at is {at}: write a time in UTC such as 2026-11-23T06:30:00Z") from None


def stable(document: Document) -> Document:
    """A report without what changes by itself."""
    return {key: value for key, value in document.items() if key != "run"}


def told(document: Document | str | None) -> str:
    """A report's findings as lines."""
    found = document.get("findings", []) if isinstance(document, dict) else []
    return "".join(f"{one['severity']} {one['id']} {one['host']}: {one['evidence']}\n" for one in found)


if __name__ == "__main__":
    main()
