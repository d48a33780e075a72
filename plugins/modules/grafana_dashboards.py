#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: dashboards between a Grafana and the repository's files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: grafana_dashboards
short_description: Export dashboards to files for git, import them, or compare a server with the files
version_added: 0.1.0
description:
  - A dashboard is a file C(FOLDER/NAME.json) of the tree O(folder), or C(NAME.json) where it lies in Grafana's root.
    The name comes from its title. Its JSON is written one way only, without what changes by itself, the numbers that
    the server gives, what query variables were answered, and with every data source by its uid.
  - With O(state=exported) the tree becomes what the server has. Everything is read and checked first, written beside
    the tree and read back, then the two change names in one step, unless somebody changed the tree meanwhile. A file
    goes only where the server has said of its dashboard that there is none. Whatever fails, the tree stays as it was.
  - With O(state=imported) the server gets the tree's dashboards, or those of O(archive). What is there and equal is not
    saved again, and nothing is removed. A server whose dashboards come from files, as production's do, is refused, and
    so is one of O(production_urls).
  - With O(state=compared) nothing is changed. RV(equal) says whether every dashboard of the server is in the repository
    and equal, and comes from files, and whether every one of the repository is at the server.
  - Refused are dashboards of the schema v2, those with library panels or other data sources than O(datasource_uid),
    what looks like a secret, two dashboards of one title in a folder, and folders whose title can't be the name of a
    folder of files or that lie in another one, since Grafana takes the title from that name.
options:
  state:
    description: What to do.
    type: str
    choices: [exported, imported, compared]
    required: true
  folder:
    description:
      - The tree, a folder that is there or whose parent is. Its files that don't end with C(.json) are left alone.
      - With O(state=exported) the folder is put in place anew, so one that holds C(.git) or hidden folders is refused,
        as is one of another user, or for root one whose parent is.
      - Not read with O(state=imported) and O(archive).
    type: path
  archive:
    description:
      - A C(tar.gz) that the tool grafana-backup wrote, to be read instead of the server with O(state=exported), and
        instead of the tree with O(state=imported). Nothing of it is ever unpacked to the disk.
      - One that lacks its end, or the list of its dashboards that the tool writes, is refused.
      - With O(state=exported) the tree keeps dashboards that the archive doesn't hold.
    type: path
  url:
    description: Grafana's address, such as V(http://127.0.0.1:3000). Needed unless an archive is exported.
    type: str
  token:
    description:
      - The token of a service account. Viewer on all folders is enough to export and to compare, Editor to import.
      - The environment variable E(GRAFANA_TOKEN) is taken where neither this nor O(token_file) is given.
    type: str
  token_file:
    description: A file with the token, which nobody else may read. It is taken before O(token).
    type: path
  production_urls:
    description: Addresses of production, which nothing is ever imported into. At these hosts every port is production.
    type: list
    elements: str
    default: []
  overwrite:
    description: Whether an import replaces what the server has another version of. Else it does nothing and fails.
    type: bool
    default: true
  commit_message:
    description: What the server's list of versions says of an import.
    type: str
    default: Imported from the repository
  may_empty:
    description:
      - Whether an export may leave none of the tree's dashboards, or make an empty tree. A wrong server, or a wrong
        organisation of it, has none of them either.
    type: bool
    default: false
  datasource_uid:
    description: The uid of production's data source. Every dashboard refers to that one.
    type: str
    default: taaraxtak
  datasource_type:
    description: Its type. Grafana before 10 calls it V(postgres).
    type: str
    default: grafana-postgresql-datasource
  datasource_aliases:
    description: Other names or uids that mean the same data source, as in old dashboards.
    type: list
    elements: str
    default: []
  validate_certs:
    description: Whether the server's certificate must be right.
    type: bool
    default: true
  ca_path:
    description: A file of certificates that vouch for the server's.
    type: path
  timeout:
    description: Seconds for each step of a request, and again for the whole of its answer.
    type: int
    default: 30
extends_documentation_fragment:
  - taaraxtak.production.attributes
notes:
  - In check mode the server and the files are read and nothing is written to either.
  - The difference that is shown is that of the files' text; of an import that of the dashboards at the server. Where
    one side holds what looks like a secret, neither is shown.
  - A server at loopback is asked without a proxy, whatever the environment says.
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Write what the local Grafana has into the checkout
  taaraxtak.production.grafana_dashboards:
    state: exported
    url: http://127.0.0.1:3000
    token_file: "{{ lookup('ansible.builtin.env', 'HOME') }}/.config/taaraxtak/grafana-token"
    folder: "{{ playbook_dir }}/../dashboards"
  delegate_to: localhost

- name: Turn an old archive into files
  taaraxtak.production.grafana_dashboards:
    state: exported
    archive: 202108091949.tar.gz
    folder: "{{ playbook_dir }}/../dashboards"
  delegate_to: localhost

- name: Fail where production's dashboards are not what the repository says
  taaraxtak.production.grafana_dashboards:
    state: compared
    url: https://grafana.example.org
    folder: "{{ playbook_dir }}/../dashboards"
  register: drift
  failed_when: drift is failed or not drift.equal
  delegate_to: localhost
"""

RETURN = r"""
added:
  description:
    - O(state=exported), paths of new files. O(state=imported), uids that the server did not have.
    - O(state=compared), uids that the server alone has.
  returned: success
  type: list
  elements: str
  sample: [Internet/ooni.json]
updated:
  description: Paths or uids whose content or folder differs, or differed.
  returned: success
  type: list
  elements: str
removed:
  description:
    - O(state=exported), paths of files that went, also those of dashboards that have another name or folder now.
    - O(state=compared), uids that the repository alone has. Empty with O(state=imported).
  returned: success
  type: list
  elements: str
not_provisioned:
  description: Uids of dashboards at the server that don't come from files there.
  returned: O(state=compared)
  type: list
  elements: str
contents:
  description: For each uid of RV(added) and RV(not_provisioned) a digest of what the server has there.
  returned: O(state=compared)
  type: dict
equal:
  description: Whether nothing differs and every dashboard of the server comes from files.
  returned: O(state=compared)
  type: bool
differences:
  description: For each uid of RV(updated) the difference as text, from the repository's to the server's.
  returned: O(state=compared)
  type: dict
notes:
  description: Sentences about what of the server the repository could not hold, or what of an archive was not read.
  returned: success
  type: list
  elements: str
folders:
  description: Titles of folders that were made, or would be.
  returned: O(state=imported)
  type: list
  elements: str
imported:
  description: The uids that were saved before an import failed.
  returned: O(state=imported), on failure
  type: list
  elements: str
dashboards:
  description: How many dashboards are in the tree after an export, in what is imported, or at the server compared.
  returned: success
  type: int
"""

import functools
import hashlib
import json
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ..module_utils.dashboards import addresses, api, archive, changes, document, exchange, swap, tree

Answer = dict[str, t.Any]


def argument_spec() -> Answer:
    """The options."""
    return {
        "state": {"type": "str", "choices": ["exported", "imported", "compared"], "required": True},
        "folder": {"type": "path"},
        "archive": {"type": "path"},
        "url": {"type": "str"},
        "token": {"type": "str", "no_log": True, "fallback": (env_fallback, ["GRAFANA_TOKEN"])},
        "token_file": {"type": "path", "no_log": False},
        "production_urls": {"type": "list", "elements": "str", "default": []},
        "overwrite": {"type": "bool", "default": True},
        "commit_message": {"type": "str", "default": "Imported from the repository"},
        "may_empty": {"type": "bool", "default": False},
        "datasource_uid": {"type": "str", "default": document.DATASOURCE_UID},
        "datasource_type": {"type": "str", "default": document.DATASOURCE_TYPE},
        "datasource_aliases": {"type": "list", "elements": "str", "default": []},
        "validate_certs": {"type": "bool", "default": True},
        "ca_path": {"type": "path"},
        "timeout": {"type": "int", "default": 30},
    }


def normal_of(params: Answer) -> exchange.Normal:
    """How a dashboard is normalised with these options."""
    return functools.partial(
        document.dashboard,
        datasource_uid=params["datasource_uid"],
        datasource_type=params["datasource_type"],
        aliases=params["datasource_aliases"],
    )


def connect(module: AnsibleModule) -> api.Grafana:
    """The server, once it has said that it is well."""
    params = module.params
    if not params["url"]:
        raise ValueError("give the url of Grafana")
    token = api.read_token(params["token_file"]) if params["token_file"] else params["token"] or ""
    if token:
        module.no_log_values.add(token)
    grafana = api.Grafana(
        api.Settings(
            url=params["url"],
            token=token,
            timeout=params["timeout"],
            validate_certs=params["validate_certs"],
            ca_path=params["ca_path"],
        )
    )
    address = addresses.read(params["url"])
    if address.scheme == "http" and not address.is_local:
        module.warn(f"the token goes to {address.host} unencrypted: use https, or a tunnel to loopback")
    grafana.check()
    return grafana


def read_archive(path: str, normal: exchange.Normal) -> tuple[list[document.Dashboard], list[str]]:
    """The archive's dashboards, and what was not read of it."""
    try:
        with Path(path).open("rb") as stream:
            contents = archive.read(stream)
        found = exchange.from_archive(contents, normal)
    except OSError as error:
        raise ValueError(f"the archive {path} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"the archive {path} is refused: {error}") from None
    notes = [f"{count} members *{kind} of the archive were not read" for kind, count in contents.ignored.items()]
    return found, notes


def read_tree(folder: str) -> dict[str, bytes]:
    """The tree's files; ValueError where it isn't there, which is a slip and no empty tree."""
    if not Path(folder).is_dir():
        raise ValueError(f"there is no folder {folder}, in which the dashboards should lie")
    return swap.read(Path(folder))


def export(module: AnsibleModule) -> Answer:
    """Bring the tree to what the server has, or let it have what the archive holds."""
    folder, normal, notes = Path(module.params["folder"]), normal_of(module.params), []
    if not module.check_mode:
        swap.recover(folder)
    # The same is refused in check mode, and before the server is asked for anything.
    before = swap.read(swap.check(folder))
    if module.params["archive"]:
        new, notes = read_archive(module.params["archive"], normal)
        after = exchange.merged(before, new, normal)
    else:
        after = exchange.exported(connect(module), before, normal, may_empty=module.params["may_empty"])
    found = changes.of_files(before, after)
    if found:
        refuse_problems(after)
    if not module.check_mode:
        swap.replace(folder, before, after, refuse_problems, module.warn)
    return {
        "changed": bool(found),
        "added": found.added,
        "updated": found.updated,
        "removed": found.removed,
        "dashboards": len(after),
        "notes": notes,
        "diff": changes.shown(before, after),
    }


def refuse_problems(files: t.Mapping[str, bytes]) -> None:
    """ValueError where the files are no tree."""
    if problems := tree.validate(files):
        raise tree.TreeError(problems)


def import_(module: AnsibleModule) -> Answer:
    """Let the server have what the tree or the archive holds."""
    params, normal, notes = module.params, normal_of(module.params), []
    if known := addresses.production(params["url"] or "", params["production_urls"]):
        raise ValueError(f"{known} is production: dashboards come there from the repository, by a pull request")
    if params["archive"]:
        wanted, notes = read_archive(params["archive"], normal)
    else:
        wanted = exchange.from_files(read_tree(params["folder"]), normal)
    grafana = connect(module)
    plan = exchange.plan_import(grafana, wanted, normal, overwrite=params["overwrite"])
    saved: list[str] = []
    if not module.check_mode:
        try:
            exchange.carry_out(grafana, plan, params["commit_message"], saved.append)
        except ValueError as error:
            # Folders that were made before are a change too, and a failure may have come after the server had saved.
            msg = f"{error}. {len(saved)} of {len(plan.steps)} dashboards had been saved before: run this again"
            module.fail_json(msg=msg, changed=bool(saved or plan.folders), imported=saved)
    return {
        "changed": bool(plan.steps),
        "added": [step.wanted.uid for step in plan.steps if step.before is None],
        "updated": [step.wanted.uid for step in plan.steps if step.before is not None],
        "removed": [],
        "folders": plan.folders,
        "dashboards": len(wanted),
        "notes": notes,
        "diff": [
            {"prepared": changes.unified(step.before, step.wanted, names=("server", "wanted"))} for step in plan.steps
        ],
    }


def compare(module: AnsibleModule) -> Answer:
    """Say how the server differs from the tree."""
    normal = normal_of(module.params)
    repository = exchange.from_files(read_tree(module.params["folder"]), normal)
    served, notes = exchange.compared(connect(module), repository, normal)
    found = changes.compare(repository, served)
    wanted, live = {one.uid: one for one in repository}, {one.dashboard.uid: one.dashboard for one in served}
    names = ("repository", "server")
    differences = {uid: changes.unified(wanted[uid], live[uid], names=names) for uid in found.changed}
    return {
        "changed": False,
        "equal": found.equal,
        "added": found.added,
        "updated": found.changed,
        "removed": found.gone,
        "not_provisioned": found.not_provisioned,
        "contents": {uid: digest(live[uid]) for uid in sorted({*found.added, *found.not_provisioned})},
        "differences": differences,
        "dashboards": len(served),
        "notes": notes,
        "diff": [{"prepared": text} for text in differences.values()],
    }


def digest(one: document.Dashboard) -> str:
    """The same for a dashboard with the same content in the same folder."""
    return hashlib.sha256(json.dumps([one.folder, one.data], sort_keys=True).encode()).hexdigest()


def main() -> None:
    """Read the options, do what the state says, answer."""
    module = AnsibleModule(
        argument_spec=argument_spec(),
        required_if=[
            ("state", "exported", ["folder"]),
            ("state", "exported", ["url", "archive"], True),
            ("state", "imported", ["url"]),
            ("state", "imported", ["folder", "archive"], True),
            ("state", "compared", ["folder", "url"]),
        ],
        supports_check_mode=True,
    )
    if module.params["state"] == "compared" and module.params["archive"]:
        module.fail_json(msg="an archive can be exported or imported; compared is a server with the tree")
    try:
        answer = {"exported": export, "imported": import_, "compared": compare}[module.params["state"]](module)
    except ValueError as error:
        module.fail_json(msg=str(error))
    if not module._diff:
        answer.pop("diff")
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
