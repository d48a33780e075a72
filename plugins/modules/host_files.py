#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write all files of a role in one task, all checked before the first is written."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_files
short_description: Write many files, checked before the first is written
version_added: 0.1.0
description:
  - Makes files, folders and links as given, and folders that hold exactly the given files, all in one task.
  - Everything is checked first, paths, owners, parent folders and each file's own validator. Then all new content is
    written beside its place, and only then is any of it renamed into its place. A check that fails, or a disk that is
    full, leaves the host as it was.
  - A link where a file is to be is replaced, never followed. On the way to a file, links are followed only where root
    or the user that runs the task made them.
  - The order of O(files) does not matter, what one entry makes may hold another.
extends_documentation_fragment:
  - taaraxtak.production.attributes
options:
  files:
    description: Files, folders and links, each path once.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path, without V(..).
        type: str
        required: true
      state:
        description:
          - What is to be there.
          - V(file) and V(link) replace a file or a link, and refuse to replace a folder. V(directory) replaces nothing.
          - V(absent) removes a file, a link or an empty folder.
        type: str
        choices: [file, directory, link, absent]
        default: file
      content:
        description: Content of the file. Exactly one of O(files[].content) and O(files[].content_base64) for a file.
        type: str
      content_base64:
        description: Content of the file, encoded in base64.
        type: str
      target:
        description: Where the link leads.
        type: str
      owner:
        description: Name or number of the user that owns it.
        type: str
        default: root
      group:
        description: Name or number of the group that owns it.
        type: str
        default: root
      mode:
        description: Four octal digits, quoted. The default is V(0644) for files and V(0755) for folders.
        type: str
      validate:
        description:
          - A command and its arguments, run without a shell when the content changes. V(%s) stands for a copy of
            the new file, with the file's own name in a private folder. It has to exit with 0.
        type: list
        elements: str
      secret:
        description: Keep the content out of the diff and of messages.
        type: bool
        default: false
  trees:
    description:
      - Folders that hold exactly the given files. What else is below them is removed, except what O(trees[].keep) or an
        entry of O(files) names.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path of the folder, at least two levels deep. It is made where it is missing.
        type: str
        required: true
      files:
        description: Relative path and base64 content of each file, as P(taaraxtak.production.folder#lookup) gives them.
        type: dict
        required: true
      owner:
        description: Name or number of the user that owns the folder and all given files.
        type: str
        default: root
      group:
        description: Name or number of the group that owns them.
        type: str
        default: root
      file_mode:
        description: Mode of the files.
        type: str
        default: "0644"
      folder_mode:
        description: Mode of the folder and those below.
        type: str
        default: "0755"
      executable:
        description: Relative paths of files that whoever may read them may also run.
        type: list
        elements: str
        default: []
      keep:
        description:
          - Names, relative paths or glob patterns of what is not removed, folders with all that they hold.
          - One that begins with C(/) is meant from the tree's own folder.
        type: list
        elements: str
        default: []
  guard:
    description:
      - For files that could shut everybody out. What is replaced is kept, and the host itself puts it back unless
        M(taaraxtak.production.host_guard) confirms the change in time, from a new connection.
      - A change that was not confirmed in an earlier run is put back first.
    type: dict
    version_added: 0.2.0
    suboptions:
      name:
        description: Name of the change.
        type: str
        required: true
      seconds:
        description: After how many seconds it is put back.
        type: int
        default: 90
      commands:
        description: What is run, without a shell, after the files were put back. It may fail.
        type: list
        elements: list
        default: []
notes:
  - In check mode nothing is written but the private copies for validators. What an earlier task of the same run may yet
    make, a user, a parent folder or a validator, is then said in RV(notes) instead of being an error.
  - A file whose owner or mode has drifted is written anew, so that no other name of the old file is touched.
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Write the files of the backup
  taaraxtak.production.host_files:
    files:
      - path: /etc/taaraxtak
        state: directory
      - path: /etc/taaraxtak/backup.json
        content: "{{ backup_settings | to_nice_json }}"
        group: pgbackup
        mode: "0640"
      - path: /etc/sudoers.d/pgbackup
        content: "pgbackup ALL=(pgdumper) NOPASSWD: /usr/local/lib/taaraxtak/dump-source\n"
        mode: "0440"
        validate: [visudo, -c, -f, "%s"]
      - path: /etc/cron.d/old-backup
        state: absent
    trees:
      - path: /usr/local/lib/taaraxtak/dumps
        files: "{{ lookup('taaraxtak.production.folder', 'dumps') }}"
        keep: [__pycache__]
"""

RETURN = r"""
guarded:
  description: Whether the host puts this run's change back unless it is confirmed.
  returned: success
  type: bool
change:
  description: What tells this run's guarded change from another run's of the same name; empty where there is none.
  returned: success
  type: str
  sample: 3f1d0c9be27a4b58
changed_paths:
  description: What was changed, or would be in check mode. Of a folder that was removed whole, the folder alone.
  returned: always, and on failure when something had been changed before it
  type: list
  elements: str
  sample: [/etc/taaraxtak/backup.json]
missing:
  description: What is wanted and not there. It is empty after a real run, so a later task can ask for what it needs.
  returned: success
  type: list
  elements: str
  sample: []
notes:
  description: Sentences about what is not there yet.
  returned: success
  type: list
  elements: str
  sample: ["there is no user pgbackup, who is to own /etc/taaraxtak/backup.json"]
"""

import contextlib
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.files.diff import diff_of
from ..module_utils.files.disk import look
from ..module_utils.files.guarded import carry_out_guarded
from ..module_utils.files.plan import Plan, decide
from ..module_utils.files.validators import validate
from ..module_utils.files.wanted import read_wanted
from ..module_utils.files.writer import PartlyWrittenError, carry_out
from ..module_utils.guard.systemd import one_at_a_time, pending, put_back, which

FILE_OPTIONS: dict[str, dict[str, t.Any]] = {
    "path": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["file", "directory", "link", "absent"], "default": "file"},
    # masked while the options are read: a misspelt option beside a secret must not show it
    "content": {"type": "str", "no_log": True},
    "content_base64": {"type": "str", "no_log": True},
    "target": {"type": "str"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str"},
    "validate": {"type": "list", "elements": "str"},
    "secret": {"type": "bool", "default": False, "no_log": False},
}

TREE_OPTIONS: dict[str, dict[str, t.Any]] = {
    "path": {"type": "str", "required": True},
    "files": {"type": "dict", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "file_mode": {"type": "str", "default": "0644"},
    "folder_mode": {"type": "str", "default": "0755"},
    "executable": {"type": "list", "elements": "str", "default": []},
    "keep": {"type": "list", "elements": "str", "default": []},
}


GUARD_OPTIONS: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "seconds": {"type": "int", "default": 90},
    "commands": {"type": "list", "elements": "list", "default": []},
}


def hide_contents(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """The options as the answer may repeat them: no secrets, and no megabytes."""
    hidden = {"content": "(secret)", "content_base64": "(secret)"}
    return {
        "files": [
            {
                key: hidden.get(key, value) if given["secret"] and value is not None else value
                for key, value in given.items()
            }
            for given in params["files"]
        ],
        "trees": [{**given, "files": dict.fromkeys(given["files"], "(not repeated)")} for given in params["trees"]],
    }


def prepare(params: dict[str, t.Any], *, planning: bool) -> tuple[Plan, list[str]]:
    """Read, look, decide and validate: everything that may fail before the first write."""
    wanted = read_wanted(params["files"], params["trees"])
    plan = decide(wanted, look(wanted, planning=planning))
    return plan, [*plan.notes, *validate(plan, planning=planning)]


def settle(guard: dict[str, t.Any] | None, *, planning: bool) -> list[str]:
    """Put back what an earlier run has not confirmed; notes where that is yet to come."""
    if guard is None or not pending(guard["name"]):
        return []
    if planning:
        return [f"the last change {guard['name']} is not confirmed: the host is about to put back what was there"]
    put_back(guard["name"])
    return [f"the last change {guard['name']} was not confirmed: what was there before it was put back first"]


def change(plan: Plan, guard: dict[str, t.Any] | None) -> None:
    """Write, and arm the way back first where one is wanted."""
    if guard is None or not plan.actions:
        carry_out(plan)
    else:
        carry_out_guarded(plan, **guard)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            # The journal would get all contents, secret ones too: a mask for each content misses those with a line's
            # end, and the module's own no_log is overruled by the task's.
            "files": {"type": "list", "elements": "dict", "default": [], "options": FILE_OPTIONS, "no_log": True},
            "trees": {"type": "list", "elements": "dict", "default": [], "options": TREE_OPTIONS, "no_log": True},
            "guard": {"type": "dict", "options": GUARD_OPTIONS},
        },
        supports_check_mode=True,
    )
    params = dict(module.params)
    guard = params["guard"]
    module.params.update(hide_contents(params))
    # from here on nothing repeats a secret, and the mask would hide every other file's content in the diff
    module.no_log_values.clear()
    try:
        with one_at_a_time(guard["name"]) if guard and not module.check_mode else contextlib.nullcontext():
            settled = settle(guard, planning=module.check_mode)
            plan, notes = prepare(params, planning=module.check_mode)
            if not module.check_mode:
                change(plan, guard)
            guarded = guard is not None and bool(plan.actions) and not module.check_mode
            made = which(guard["name"]) if guarded else ""
    except PartlyWrittenError as error:
        module.fail_json(msg=str(error), changed=bool(error.done), changed_paths=list(error.done))
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    result = {
        "changed": bool(plan.actions),
        "changed_paths": [action.path for action in plan.actions],
        "missing": [a.path for a in plan.actions if a.before.kind == "missing"] if module.check_mode else [],
        "notes": [*settled, *notes],
        "guarded": guarded,
        "change": made,
    }
    if module._diff:
        result["diff"] = [diff_of(action) for action in plan.actions]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
