#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dump_stream
short_description: Dump now, and bring the dumps to their stores
version_added: 0.1.0
description:
  - Runs on the production host what cron runs there, C(dump-send), and returns what it reports. A dump is stored where
    the store itself has said so, with the size and SHA-256 that were seen here; nothing else counts as success.
  - What is dumped, and where to, is in the settings that the role C(backup) wrote. This module can only choose from it.
  - The archive of a store takes what came in by itself, a moment later. M(taaraxtak.production.dump_info) says when.
options:
  artefacts:
    description:
      - Dump only these, which are names of databases and V(globals), the cluster's roles and tablespaces.
      - The default is all.
    type: list
    elements: str
    default: []
  stores:
    description: Bring the dumps to these stores only, by the names that they have in the settings. The default is all.
    type: list
    elements: str
    default: []
  user:
    description: The account that sends. The module must run as it or as root.
    type: str
    default: pgbackup
  command:
    description: The sender.
    type: path
    default: /usr/local/bin/dump-send
  settings:
    description: The sender's settings. They are read in check mode alone.
    type: path
    default: /etc/taaraxtak/dump-send.json
extends_documentation_fragment:
  - taaraxtak.production.attributes
attributes:
  check_mode:
    details:
      - Nothing is started, and no connection is made. RV(planned) says what would be done.
      - Where the sender is not set up yet, RV(planned) is empty and RV(ignore:msg) says so.
  diff_mode:
    support: none
    details: A dump changes nothing that could be shown.
seealso:
  - module: taaraxtak.production.dump_info
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Dump everything now
  taaraxtak.production.dump_stream:
  become: true
  register: dumped

- name: Dump one database to one store, before a migration
  taaraxtak.production.dump_stream:
    artefacts: [globals, taaraxtak]
    stores: [vault]
  become: true
"""

RETURN = r"""
planned:
  description: What would be dumped, and where to.
  returned: in check mode
  type: list
  elements: dict
  sample: [{"store": "vault", "artefact": "globals"}, {"store": "vault", "artefact": "taaraxtak"}]
results:
  description: How it ended for each artefact and each store. RV(ignore:msg) has a sentence for each that failed.
  returned: when the sender ran, on failure too
  type: list
  elements: dict
  contains:
    store:
      description: The store's name.
      type: str
    artefact:
      description: The database, or V(globals).
      type: str
    ok:
      description: Whether the store holds the dump.
      type: bool
    name:
      description: The name of the dump.
      type: str
    reason:
      description: Why it does not hold it.
      type: str
    final:
      description: Whether another attempt would fail for the same reason.
      type: bool
    unknown:
      description: Whether the store may hold the dump although its answer was lost.
      type: bool
    attempts:
      description: How often it was tried.
      type: int
    seconds:
      description: How long it took.
      type: float
    bytes:
      description: The size of the dump as it is stored.
      type: int
    sha256:
      description: Of the dump as it is stored.
      type: str
    rows:
      description: The rows of all tables.
      type: int
manifests:
  description:
    - For each dump that was stored what its manifest says of it, as it was signed. See RV(manifests[].trailer).
    - A dump is made anew for each store.
  returned: when the sender ran, on failure too
  type: list
  elements: dict
  contains:
    store:
      description: The store that holds it.
      type: str
    trailer:
      description: Name, times, sizes, digests, versions, and the rows, bytes and SHA-256 of each table.
      type: dict
    signature:
      description: The signature of the trailer, in ssh's own form.
      type: str
"""

import os
import pwd
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.dumps.config import read_settings
from ..module_utils.dumps.control import Report, planned, read_report
from ..module_utils.dumps.stores import Settings


def command_of(params: dict[str, t.Any]) -> list[str]:
    """The sender's command line, as its own account."""
    try:
        account = pwd.getpwnam(params["user"])
    except KeyError:
        raise ValueError(f"there is no user {params['user']} on this host: apply the role backup first") from None
    if not (os.path.isfile(params["command"]) and os.access(params["command"], os.X_OK)):  # noqa: PTH113 (a string)
        raise ValueError(f"{params['command']} can't be run: apply the role backup first")
    command = [params["command"], "--json"]
    command += [f"--artefact={artefact}" for artefact in params["artefacts"]]
    command += [f"--store={store}" for store in params["stores"]]
    if os.geteuid() == account.pw_uid:
        return command
    if os.geteuid() != 0:
        raise ValueError(f"only {params['user']} or root may send dumps: set become")
    return ["/usr/sbin/runuser", "-u", params["user"], "--", *command]


def plan(module: AnsibleModule) -> None:
    """What check mode answers."""
    params = module.params
    if not os.path.exists(params["settings"]):  # noqa: PTH110 (a module's path option is a string)
        msg = f"{params['settings']} is not there yet: a real run needs the role backup to have been applied"
        module.exit_json(changed=True, planned=[], msg=msg)
    # What a real run would be refused for is no plan.
    command_of(params)
    settings = read_settings(Settings, params["settings"])
    module.exit_json(changed=True, planned=planned(settings, params["artefacts"], params["stores"]))


def answer(report: Report) -> dict[str, t.Any]:
    """The report as the module returns it; what a manifest says stands in one place only."""
    parts = ("trailer", "signature")
    return {
        "changed": report.changed,
        "results": [{key: value for key, value in one.items() if key not in parts} for one in report.results],
        "manifests": [
            {"store": one["store"], **{part: one[part] for part in parts}} for one in report.results if one["ok"]
        ],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "artefacts": {"type": "list", "elements": "str", "default": []},
            "stores": {"type": "list", "elements": "str", "default": []},
            "user": {"type": "str", "default": "pgbackup"},
            "command": {"type": "path", "default": "/usr/local/bin/dump-send"},
            "settings": {"type": "path", "default": "/etc/taaraxtak/dump-send.json"},
        },
        supports_check_mode=True,
    )
    try:
        if module.check_mode:
            plan(module)
        status, out, said = module.run_command(command_of(module.params), cwd="/")
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    try:
        report = read_report(out)
    except ValueError as error:
        module.fail_json(msg=f"{error} (exit status {status}): {said.strip()[-2000:]}")
    if status != 0 or not report.ok:
        problems = "; ".join(report.problems) or f"dump-send ended with exit status {status}: {said.strip()[-2000:]}"
        module.fail_json(msg=f"not every dump was stored: {problems}", **answer(report))
    module.exit_json(**answer(report))


if __name__ == "__main__":
    main()
