#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: grafana_panels_info
short_description: Say which panels of Grafana's dashboards work as the role that Grafana logs in as
version_added: 0.3.0
description:
  - Reads a folder of dashboards, and has PostgreSQL plan the SQL of every panel, query variable and annotation as the
    role that Grafana uses. Nothing is changed and no query is run.
  - Variables and macros are translated as Grafana's PostgreSQL datasource translates them. The SQL is then given to
    C(EXPLAIN), in a read-only transaction with a timeout that is rolled back.
  - Grafana itself is not asked, and need not be there.
options:
  path:
    description: The folder of the dashboards, on the host that runs the module. Its files are C(FOLDER/NAME.json).
    type: path
    required: true
  database:
    description: The database that the dashboards are about.
    type: str
    default: taaraxtak
  variables:
    description:
      - Values of variables by name, each a text or a list of texts.
      - The default is what a dashboard was saved with. Where the file has no value, as for query variables, some value
        of the type that the query wants stands for it.
    type: dict
    default: {}
  known_broken:
    description: Panels that are known not to work. An entry whose panel works again is an error.
    type: list
    elements: dict
    default: []
    suboptions:
      dashboard:
        description: The dashboard's uid.
        type: str
        required: true
      panel:
        description: The panel's title or id, or the name of the variable or annotation.
        type: str
        required: true
      reason:
        description: Why it does not work.
        type: str
        required: true
  slow_rows:
    description:
      - A query is slow when it reads more rows than this, by the planner's estimate, from tables that it does not
        restrict to a time.
      - V(0) is never.
    type: int
    default: 1000000
  timeout_ms:
    description: How long the planning of one query may take, in milliseconds. One that takes longer is slow.
    type: int
    default: 5000
  fail_on:
    description:
      - Fail where a panel is as bad as this. V(refused) includes broken panels, and V(slow) both.
      - Either fails on what is wrong with O(known_broken) too.
      - All that was found out is returned on that failure too.
    type: str
    choices: [never, refused, slow]
    default: never
extends_documentation_fragment:
  - taaraxtak.production.connection
  - taaraxtak.production.attributes
attributes:
  check_mode:
    details:
      - The answer is the same.
      - Where the server or the database is not there yet, it is empty in check mode, and RV(ignore:msg) says so.
  diff_mode:
    support: none
    details: Nothing is ever changed.
seealso:
  - module: taaraxtak.production.grafana_dashboards
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Look whether every panel works as grafanareader
  taaraxtak.production.grafana_panels_info:
    path: /etc/grafana/dashboards/taaraxtak
    login_user: grafanareader
    login_os_user: grafana
    fail_on: refused
  become: true

- name: The same, with one panel that is known to be broken and a value for a variable
  taaraxtak.production.grafana_panels_info:
    path: /etc/grafana/dashboards/taaraxtak
    variables:
      market: [web-hosting, proxy]
    known_broken:
      - dashboard: internet-centralisation
        panel: Providers by country
        reason: waits for the migration that adds the country
    login_user: grafanareader
    login_os_user: grafana
  become: true
"""

RETURN = r"""
panels:
  description: What came of each panel, query variable and annotation that asks the database something.
  returned: success
  type: list
  elements: dict
  sample:
    - dashboard: network-interference
      title: Network interference
      panel: Addresses of sites
      panel_id: 7
      kind: panel
      result: refused
      why: grafanareader lacks SELECT on table public.ip_hostname_mapping
      missing: [SELECT on table public.ip_hostname_mapping]
      reason: ""
  contains:
    dashboard:
      description: The dashboard's uid.
      type: str
    title:
      description: The dashboard's title.
      type: str
    panel:
      description: The panel's title, or the name of the variable or annotation.
      type: str
    panel_id:
      description: The panel's number in the dashboard; null for variables and annotations.
      type: int
    kind:
      description: V(panel), V(variable) or V(annotation).
      type: str
    result:
      description:
        - V(works), or V(slow) where it reads many rows without a time filter, or V(refused) where the role may not do
          it, or V(broken) where nobody could, such as for want of a column.
        - V(known_broken) where it is refused or broken, and listed.
      type: str
    why:
      description: What is wrong with it, of the worst of its queries.
      type: str
    missing:
      description: The privileges that the role lacks for it.
      type: list
      elements: str
    reason:
      description: The reason in O(known_broken).
      type: str
stale:
  description: Sentences about entries of O(known_broken) whose panel works again or is not there.
  returned: success
  type: list
  elements: str
summary:
  description: How many panels have each result.
  returned: success
  type: dict
  sample: {works: 21, slow: 0, refused: 1, broken: 0, known_broken: 0}
"""

import datetime as dt
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.dashboards import swap, tree
from ..module_utils.dashboards.checking import check_dashboards
from ..module_utils.dashboards.verdicts import judge, named, read_known, summary
from ..module_utils.postgres.connection import AbsentError, login_argument_spec

ENTRY = {key: {"type": "str", "required": True} for key in ("dashboard", "panel", "reason")}
BAD = {"never": (), "refused": ("refused", "broken"), "slow": ("slow", "refused", "broken")}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **login_argument_spec(),
            "path": {"type": "path", "required": True},
            "database": {"type": "str", "default": "taaraxtak"},
            "variables": {"type": "dict", "default": {}},
            "known_broken": {"type": "list", "elements": "dict", "default": [], "options": ENTRY},
            "slow_rows": {"type": "int", "default": 1_000_000},
            "timeout_ms": {"type": "int", "default": 5000},
            "fail_on": {"type": "str", "choices": list(BAD), "default": "never"},
        },
        supports_check_mode=True,
    )
    try:
        answer, problems = found(module.params)
    except ValueError as error:
        if module.check_mode and isinstance(error, AbsentError):
            foretold = error.foretold("panels")["msg"]
            module.exit_json(changed=False, msg=foretold, panels=[], stale=[], summary=summary([]))
        module.fail_json(msg=str(error))
    if problems:
        module.fail_json(msg="; ".join(problems), **answer)
    module.exit_json(changed=False, **answer)


def found(params: dict[str, t.Any]) -> tuple[dict[str, t.Any], list[str]]:
    """The module's return values, and what of them is a failure; ValueError where nothing can be said."""
    if params["timeout_ms"] <= 0 or params["slow_rows"] < 0:
        raise ValueError("timeout_ms has to be above 0, and slow_rows not below")
    known = read_known(params["known_broken"])
    folder = Path(params["path"])
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}: path is that of the dashboards on this host")
    files = swap.read(folder)
    problems = tree.validate(files)
    if problems:
        raise tree.TreeError(problems)
    dashboards, _none = tree.read(files)
    checked = check_dashboards(
        params,
        params["database"],
        dashboards,
        dt.datetime.now(dt.UTC),
        values=params["variables"],
        slow_rows=params["slow_rows"],
        timeout_ms=params["timeout_ms"],
    )
    verdicts, stale = judge(checked, known)
    answer = {"panels": [one.as_dict() for one in verdicts], "stale": stale, "summary": summary(verdicts)}
    said = BAD[params["fail_on"]]
    bad = [f"{one.title}: {named(one)} is {one.result}: {one.why}" for one in verdicts if one.result in said]
    return answer, bad + (stale if params["fail_on"] != "never" else [])


if __name__ == "__main__":
    main()
