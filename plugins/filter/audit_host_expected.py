# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter taaraxtak.production.audit_host_expected: what hosts are to be, by what their roles were told."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: audit_host_expected
short_description: Say what the audit expects of hosts
version_added: 0.3.0
positional: hostvars, defaults
description:
  - Makes the part of O(ignore:expected) of the module P(taaraxtak.production.audit_report#module) that is about hosts
    out of what the roles were told.
  - Which key brings dumps, a writer has said itself, in the answer that was registered as C(__audit_host).
options:
  _input:
    description: The hosts, by their names in the inventory.
    type: list
    elements: str
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
- name: Show what is expected
  ansible.builtin.debug:
    msg: "{{ groups['all'] | taaraxtak.production.audit_host_expected(hostvars, defaults) }}"
"""

RETURN = r"""
_value:
  description: What is expected, by source, and there below C(hosts) by host.
  type: dict
"""

from ansible.errors import AnsibleError
from jinja2.exceptions import UndefinedError

from ..module_utils.audit.hosts import expectations, merged, variables_of

Held = t.Mapping[str, t.Any]


def _writers(store: str, names: t.Iterable[str], hostvars: t.Mapping[str, Held]) -> list[dict[str, t.Any]]:
    """Each host with a database, and the key that it says it brings dumps to *store* with."""
    addresses, found = _addresses(hostvars[store]), []
    for name in names:
        if "database_hosts" in hostvars[name]["group_names"]:
            said = _in(hostvars[name].get("__audit_host"), "parts", "keys", "data")
            # Where the inventory names it by a fact, it is what the writer itself goes out by.
            comes = [addresses[name]] if addresses.get(name) else _texts(_in(said, "addresses"))
            for of, more in (("public", {}), ("next", {"optional": True})):
                print_ = _in(said, of, store)
                known = {"from": comes, "fingerprint": print_ if isinstance(print_, str) else ""}
                # the one that comes next is there while the key is rotated
                if of == "public" or known["fingerprint"]:
                    found.append({"name": name, **more, **{key: value for key, value in known.items() if value}})
    return found


def _texts(answer: t.Any) -> list[str]:
    return [one for one in answer if isinstance(one, str)] if isinstance(answer, list) else []


def _in(answer: t.Any, *keys: str) -> t.Any:
    """What a host's answer holds under *keys*; None where it is another one, as a host may answer anything."""
    for key in keys:
        answer = answer.get(key) if isinstance(answer, t.Mapping) else None
    return answer


def _addresses(held: Held) -> dict[str, str]:
    try:
        return {str(writer["inventory_name"]): str(writer["from"]) for writer in held["dump_store_writers"]}
    except (AnsibleError, UndefinedError):
        # They are facts of the writers, whom nobody has asked for theirs.
        return {}


def audit_host_expected(names: list[str], hostvars: t.Mapping[str, Held], defaults: Held) -> dict[str, t.Any]:
    """What audit_report expects of the sources of *names*, by source."""
    by_host = {}
    for name in names:
        held = hostvars[name]
        groups = list(held["group_names"])
        writers = _writers(name, names, hostvars) if "store_hosts" in groups else []
        by_host[name] = expectations(variables_of(held, defaults), groups, writers)
    return merged(by_host)


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"audit_host_expected": audit_host_expected}
