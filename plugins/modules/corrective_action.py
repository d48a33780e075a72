#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: corrective_action
short_description: Rehearse or carry out the written plan of a corrective action
version_added: 0.2.0
description:
  - Carries out what C(before.yml) of an incident says, in one transaction that commits only if each statement touched
    exactly the rows that were expected, each assessment answers as expected, and no invariant has moved.
  - The rows that are touched are saved as they were, and are acknowledged by each dump store before COMMIT. They never
    come to this host's disk.
  - What happened is returned as a record, however it ended.
  - The statements are judged and the queries of O(saves) are made on the control machine. This module does not parse
    SQL.
options:
  state:
    description:
      - V(rehearsed) does it on a copy of a dump, and commits there.
      - V(carried_out) does it for real. Each gate must be open, and a fresh dump is made first.
    type: str
    choices: [rehearsed, carried_out]
    required: true
  incident:
    description: The incident's name, such as V(2026-11-22-duplicate-rows).
    type: str
    required: true
  files:
    description:
      - The files of the incident by name, in base64, each as it was read once on the control machine.
      - They are C(before.yml), and for V(state=carried_out) C(rehearsal.yml), C(approval.sig) and C(after.yml) where
        they are there.
    type: dict
    required: true
  database:
    description: The database to act on. It must be the plan's, unless it is a copy of that.
    type: str
    required: true
  owner:
    description: The role that owns the tables. The statements run as it.
    type: str
    required: true
  dba:
    description:
      - The account of the person who does this. It is written into the record, and may not be the approver's.
      - For V(state=carried_out) the session is that account's own, so O(login_os_user) can be nothing else and is left
        out. The role is O(login_user), by default the one of the same name.
      - For V(state=carried_out) sudo's word for who this is must be the same or, where the task runs without sudo, the
        account that it runs as.
    type: str
    required: true
  vouched:
    description:
      - Take O(dba) for who this is where nothing on the host shows it, such as in a container, which Ansible reaches as
        root. The record says so.
    type: bool
    default: false
  confirmed:
    description: What that person has typed, which is the incident's name and the short hash of its C(before.yml).
    type: str
    default: ""
  saves:
    description:
      - For V(state=rehearsed), for each step by its id, the queries of the rows that it will touch.
    type: dict
    default: {}
  dump:
    description: For V(state=rehearsed), the name of the dump that the database is a copy of.
    type: str
    default: ""
  dump_sha256:
    description: The SHA-256 of that dump.
    type: str
    default: ""
  approvers:
    description: The file of the approvers' keys.
    type: path
    default: /etc/taaraxtak/allowed_approvers
  ledger:
    description: The folder in which this host remembers the actions that were begun on it.
    type: path
    default: /var/lib/taaraxtak/incidents
  lock:
    description: The file by whose lock there is one action at a time.
    type: path
    default: /run/taaraxtak-corrective-action.lock
  source_settings:
    description: The settings of the role C(backup) that say how dumps are compressed and signed.
    type: path
    default: /etc/taaraxtak/dump-source.json
  send_settings:
    description: The settings of the role C(backup) that say to which stores dumps are sent.
    type: path
    default: /etc/taaraxtak/dump-send.json
  send_command:
    description: The command that makes the fresh dump.
    type: path
    default: /usr/local/bin/dump-send
  send_user:
    description: The account that sends dumps. If it is empty, whoever runs the module sends them.
    type: str
    default: pgbackup
  sign_user:
    description: The account that signs dumps. If it is empty, whoever runs the module signs the saved rows.
    type: str
    default: pgdumper
  settle_timeout:
    description: For how many seconds the server is asked what became of a COMMIT whose answer was lost.
    type: int
    default: 60
extends_documentation_fragment:
  - taaraxtak.production.connection
  - taaraxtak.production.attributes
attributes:
  check_mode:
    details:
      - Is the dry run. The whole transaction is done, rolled back, and everything is asked once more.
      - Sequences that the statements ask stay moved, and the locks are held for as long as it takes.
      - Nothing is dumped, sent or noted. Neither approval nor O(confirmed) are needed.
  diff_mode:
    support: none
    details: RV(report) has what was expected and what happened.
requirements:
  - PyYAML on the host that runs the module (Debian's python3-yaml)
seealso:
  - module: taaraxtak.production.dump_stream
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Try it, and roll it back
  taaraxtak.production.corrective_action:
    state: carried_out
    incident: 2026-11-22-duplicate-rows
    files:
      before.yml: "{{ lookup('ansible.builtin.file', 'before.yml', rstrip=false) | b64encode }}"
      rehearsal.yml: "{{ lookup('ansible.builtin.file', 'rehearsal.yml', rstrip=false) | b64encode }}"
    database: taaraxtak
    owner: taaraxtak_owner
    dba: ada
    login_user: dba
  become: true
  check_mode: true
"""

RETURN = r"""
outcome:
  description: V(committed), V(rolled back), V(not started) or V(unknown).
  returned: when the plan could be read, on failure too
  type: str
after:
  description:
    - The text of C(after.yml). Write it beside the plan, on failure too.
    - It is empty where there is nothing new to record, such as while another action is under way, and in check mode.
  returned: when the plan could be read, on failure too
  type: str
report:
  description: The text of C(after.md); in check mode what the dry run has shown.
  returned: when the plan could be read, on failure too
  type: str
rehearsal:
  description: The text of C(rehearsal.yml).
  returned: for V(state=rehearsed), on failure too
  type: str
"""

import base64
import binascii
import contextlib
import os
import pwd
import signal
import subprocess
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.actions.attempt import Attempt, Ended, Places
from ..module_utils.actions.folder import Folder
from ..module_utils.actions.records import Save
from ..module_utils.actions.report import report
from ..module_utils.dumps.control import Report, read_report
from ..module_utils.dumps.names import GLOBALS
from ..module_utils.dumps.processes import ENDING_SIGNALS, PIPE_SIZE, Child, DumpError
from ..module_utils.postgres.connection import connect, login_argument_spec


def files_of(params: dict[str, t.Any]) -> Folder:
    """The files that were handed over."""
    try:
        files = {name: base64.b64decode(text, validate=True) for name, text in params["files"].items()}
    except (binascii.Error, TypeError, ValueError):
        raise ValueError("files must have the content of each file in base64") from None
    return Folder(params["incident"], files)


def saves_of(params: dict[str, t.Any]) -> dict[str, tuple[Save, ...]]:
    """The queries of the rows that each step will touch."""
    try:
        return {
            step: tuple(Save(**{key: str(one[key]) for key in one}) for one in saves)
            for step, saves in params["saves"].items()
        }
    except TypeError:
        raise ValueError("saves must have schema, table and query for each save of a step") from None


def check_person(dba: str, os_user: str | None, *, vouched: bool) -> None:
    """ValueError where it is somebody else, for sudo, for this host or for the server."""
    if os_user not in (None, "", dba):
        raise ValueError(f"login_os_user is {os_user}, and {dba} carries it out: leave it out")
    said = os.environ.get("SUDO_USER", "")
    person = said or pwd.getpwuid(os.getuid()).pw_name
    if person == dba or (vouched and person == "root"):
        return
    raise ValueError(
        f"{'sudo says' if said else 'the account says'} that this is {person}, and not {dba}: each carries out as"
        " themselves"
    )


def attempt_of(params: dict[str, t.Any]) -> Attempt:
    """The attempt that *params* say."""
    rehearsed = params["state"] == "rehearsed"
    places = Places(
        approvers=None if rehearsed else params["approvers"],
        ledger=params["ledger"],
        lock=params["lock"],
        source=params["source_settings"],
        sending=params["send_settings"],
        user=params["send_user"],
        signer=params["sign_user"],
    )
    if not rehearsed:
        check_person(params["dba"], params["login_os_user"], vouched=params["vouched"])
        # The session is the person's own.
        params = {**params, "login_os_user": params["dba"], "login_user": params["login_user"] or params["dba"]}
    return Attempt(
        files_of(params),
        lambda: connect(params, database=params["database"]),
        dba=params["dba"],
        login="" if rehearsed else params["login_user"],
        owner=params["owner"],
        places=places,
        patience=params["settle_timeout"],
        vouched=not rehearsed and params["vouched"],
    )


def dump(module: AnsibleModule) -> Report:
    """Dump the database and the globals now, to every store."""
    params = module.params
    command = [params["send_command"], "--json", f"--artefact={GLOBALS}", f"--artefact={params['database']}"]
    become = ["/usr/sbin/runuser", "-u", params["send_user"], "--"] if params["send_user"] else []
    # What is interrupted here must not go on there: no signal comes before it is known whom to end.
    held = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        child = Child(
            [*become, *command],
            name="dump-send",
            keep_stderr=True,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
    except DumpError:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        raise
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        out = b""
        while piece := os.read(child.output, PIPE_SIZE):
            out += piece
        child.wait()
        return read_report(out.decode("utf-8", "replace"))
    except ValueError as error:
        raise ValueError(f"{error}: {child.said()}") from None
    finally:
        # It ends by a signal, and has nothing to read.
        with contextlib.suppress(ProcessLookupError):
            child.process.terminate()
        child.end()


def rehearse(module: AnsibleModule) -> None:
    """Do it on a copy."""
    params, commit = module.params, not module.check_mode
    rehearsal = attempt_of(params).rehearse(
        saves_of(params), dump=params["dump"], sha256=params["dump_sha256"], commit=commit
    )
    answer = {"outcome": rehearsal.outcome, "rehearsal": rehearsal.text(), "changed": True}
    if commit and not rehearsal.passed:
        module.fail_json(msg=f"the rehearsal failed: {rehearsal.problem or rehearsal.outcome}", **answer)
    module.exit_json(**answer)


def answer_of(ended: Ended, *, dry: bool) -> dict[str, t.Any]:
    """What is returned of an attempt; of a dry run there is no record."""
    return {
        "outcome": ended.outcome,
        "after": ended.after.text() if ended.after is not None and not dry else "",
        "report": report(ended.after) if ended.after is not None else "",
        "changed": dry or ended.outcome not in ("not started", "rolled back"),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["rehearsed", "carried_out"], "required": True},
            "incident": {"type": "str", "required": True},
            # Those of an undo are people's rows.
            "files": {"type": "dict", "required": True, "no_log": True},
            "database": {"type": "str", "required": True},
            "owner": {"type": "str", "required": True},
            "dba": {"type": "str", "required": True},
            "vouched": {"type": "bool", "default": False},
            "confirmed": {"type": "str", "default": ""},
            "saves": {"type": "dict", "default": {}},
            "dump": {"type": "str", "default": ""},
            "dump_sha256": {"type": "str", "default": ""},
            "approvers": {"type": "path", "default": "/etc/taaraxtak/allowed_approvers"},
            "ledger": {"type": "path", "default": "/var/lib/taaraxtak/incidents"},
            "lock": {"type": "path", "default": "/run/taaraxtak-corrective-action.lock"},
            "source_settings": {"type": "path", "default": "/etc/taaraxtak/dump-source.json"},
            "send_settings": {"type": "path", "default": "/etc/taaraxtak/dump-send.json"},
            "send_command": {"type": "path", "default": "/usr/local/bin/dump-send"},
            "send_user": {"type": "str", "default": "pgbackup"},
            "sign_user": {"type": "str", "default": "pgdumper"},
            "settle_timeout": {"type": "int", "default": 60},
            **login_argument_spec(),
        },
        supports_check_mode=True,
        required_if=[("state", "rehearsed", ["dump", "dump_sha256"])],
    )
    try:
        if module.params["state"] == "rehearsed":
            rehearse(module)
        attempt, database, dry = attempt_of(module.params), module.params["database"], module.check_mode
        if dry:
            ended = attempt.dry_run(database=database)
        else:
            confirmed = module.params["confirmed"]
            ended = attempt.carry_out(confirmed=confirmed, database=database, dump=lambda: dump(module))
    except (DumpError, ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    if ended.problem:
        module.fail_json(msg=f"{ended.outcome}: {ended.problem}", **answer_of(ended, dry=dry))
    module.exit_json(**answer_of(ended, dry=dry))


if __name__ == "__main__":
    main()
