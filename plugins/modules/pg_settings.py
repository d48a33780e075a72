#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: one configuration file of a PostgreSQL server, and the server runs by it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_settings
short_description: Own one configuration file of PostgreSQL and have the server run by it
version_added: 0.1.0
description:
  - Writes the file whole, lets the server judge it before it is read in, and puts the old file back where the server
    would refuse a name or a value, or where another place that is read later gives another value.
  - Has the server read its files when this one is newer than the last reading, so a run that was interrupted is
    finished by the next one.
  - Says which settings wait for a restart, and restarts the server only where O(restart_allowed) is set.
  - If the server doesn't start, the last file that it has started with is put back, whichever run wrote the new one,
    and the server is started with that. A dot file beside O(path), which PostgreSQL doesn't read, keeps its text.
  - Judged before the file is written are the libraries that are to be preloaded and aren't yet, each by C(LOAD) in a
    session of its own (not those that say that they have to be loaded at the server's start), and whether the server
    can read the files that settings named C(*_file) name. Judged by the server before it reads the file are names,
    the form and range of values.
  - Not judged is what only a start shows, such as memory or addresses that can't be had, what is in a certificate or a
    key, and the mode of a key's file.
options:
  path:
    description: The file, in a folder that C(postgresql.conf) includes (C(include_dir)).
    type: path
    required: true
  settings:
    description: Names and values; what isn't named here is not in the file.
    type: dict
    required: true
  restart_allowed:
    description: May the server be restarted where a setting needs it?
    type: bool
    default: false
  service:
    description: The systemd unit of the server, which C(systemctl restart) restarts.
    type: str
  restart_command:
    description: Another command that restarts the server, as a list of arguments. Wins over O(service).
    type: list
    elements: str
  database:
    description: The database to log in to.
    type: str
    default: postgres
extends_documentation_fragment:
  - taaraxtak.production.connection
  - taaraxtak.production.attributes
notes:
  - O(login_user) must be a superuser, who alone reads C(pg_file_settings).
  - As root with O(login_os_user=postgres), one task writes the file, logs in by peer and restarts the service.
  - In check mode the new file isn't there for the server to judge, so names, libraries and files are checked and other
    values are not. A setting whose value can't be compared with the server's own is not foretold to need a restart.
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Set the server's memory
  become: true
  taaraxtak.production.pg_settings:
    path: /etc/postgresql/17/main/conf.d/taaraxtak.conf
    settings:
      shared_buffers: 1GB
      work_mem: 16MB
      log_connections: true
    service: postgresql@17-main
    restart_allowed: "{{ database_restart_allowed }}"
    login_os_user: postgres
"""

RETURN = r"""
path:
  description:
    - The file.
    - Where in check mode the server is not there yet, RV(reloaded) and RV(restarted) are V(false), RV(pending_restart)
      is empty, and C(msg) says what is missing.
  type: str
  returned: success
  sample: /etc/postgresql/17/main/conf.d/taaraxtak.conf
reloaded:
  description: Whether the server read its files again, or would in check mode.
  type: bool
  returned: success
restarted:
  description: Whether the server was restarted, or would be in check mode.
  type: bool
  returned: success
pending_restart:
  description: The settings that still wait for a restart.
  type: list
  elements: str
  returned: success
  sample: [shared_buffers]
"""

import os
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.postgres import connection as pg
from ..module_utils.postgres import settings as core
from ..module_utils.postgres import settings_server as edge

Run = t.Callable[[list[str]], tuple[int, str, str]]


def argument_spec() -> dict[str, t.Any]:
    """The options."""
    return {
        **pg.login_argument_spec(),
        "path": {"type": "path", "required": True},
        "settings": {"type": "dict", "required": True},
        "restart_allowed": {"type": "bool", "default": False},
        "service": {"type": "str"},
        "restart_command": {"type": "list", "elements": "str"},
        "database": {"type": "str", "default": "postgres"},
    }


class Job:
    """One run of the module. Its methods raise ValueError with a sentence for the user."""

    def __init__(self, params: dict[str, t.Any], run: Run) -> None:
        if params["restart_allowed"] and not (params["service"] or params["restart_command"]):
            raise ValueError("restart_allowed needs to know what to restart: give service or restart_command")
        self.params = params
        self.run = run
        self.server = edge.Server(params)
        self.path = Path(os.path.realpath(params["path"]))
        self.wanted = core.values(params["settings"])
        self.after = core.render(params["settings"])
        self.loaded = self.server.loaded()
        self.before = edge.read_text(self.path)
        self.times = edge.times_of(self.path)
        self.write = self.before != self.after
        self.reload = self.write or edge.newer(self.path, self.loaded)
        self.live = self.server.live()

    def predict(self) -> dict[str, t.Any]:
        """What `bring` would do, reading only."""
        if not self.write:
            self.judge()
        pending = core.predicted(self.wanted, self.server.files()[0], self.live, str(self.path))
        self.look_ahead()
        if not self.reload:
            pending = sorted(setting.name for setting in self.live if setting.pending_restart)
        restarted = bool(pending) and self.params["restart_allowed"]
        return self.answer([] if restarted else pending, restarted=restarted)

    def bring(self) -> dict[str, t.Any]:
        """Write the file, have it judged, read in, and the server restarted where it must and may be."""
        self.look_ahead()
        remembered = edge.read_text(edge.started_path(self.path))
        self.remember(remembered)
        if self.write:
            edge.write(self.path, self.after)
        try:
            places = self.judge()
        except ValueError as error:
            if not self.write:
                raise
            if remembered is None:
                edge.started_path(self.path).unlink(missing_ok=True)
            edge.put_back(self.path, self.before, self.times)
            raise ValueError(f"{error}. Nothing was changed") from error
        if self.reload:
            self.server.reload()
        live = self.server.live()
        pending = sorted(setting.name for setting in live if setting.pending_restart)
        restarted = bool(pending) and self.params["restart_allowed"]
        if restarted:
            self.restart()
            live = self.server.live()
            pending = sorted(setting.name for setting in live if setting.pending_restart)
        said = core.unseen(sorted(self.wanted), live, places)
        if said:
            raise ValueError(f"{self.path} is in place, but a new session sees other values: {'; '.join(said)}")
        return self.answer(pending, restarted=restarted)

    def look_ahead(self) -> None:
        """Try what the server's own reading of its files doesn't: libraries and files. ValueError names all."""
        said: list[str] = []
        for library in core.libraries(self.wanted, self.live):
            reason = self.server.load(library)
            if reason is not None and not core.only_at_start(reason):
                said.append(f"the library {library} can't be preloaded: {reason}")
        for name, file in core.must_exist(self.wanted).items():
            reason = self.server.lacks(file)
            if reason is not None:
                said.append(f"{name} = {core.quoted(file)}: {reason}")
        if said:
            raise ValueError(f"{'; '.join(said)}. Nothing was changed")

    def remember(self, known: str | None) -> None:
        """Keep the present file as the one to go back to, if it is older than the server's start, or there is none."""
        if self.before is not None and not edge.newer(self.path, self.server.started()):
            edge.keep_started(self.path, self.before)
        elif self.before is None and known is None:
            edge.keep_started(self.path, None)

    def judge(self) -> dict[str, str]:
        """Let the server judge its files; from which of them it takes each setting."""
        rows, messages = self.server.files()
        said = core.refused(rows, messages) or core.overridden(rows, str(self.path))
        if said:
            raise ValueError("; ".join(said))
        if self.wanted and not any(row.file == str(self.path) for row in rows):
            raise ValueError(
                f"the server does not read {self.path}: its postgresql.conf must have "
                f"include_dir = '{self.path.parent.name}' and the name must end in .conf"
            )
        return {row.name.lower(): row.file for row in rows if row.name is not None}

    def restart(self) -> None:
        """Restart the server; where it doesn't come back, with the last file that it has started with."""
        before = self.server.started()
        kept = edge.read_text(edge.started_path(self.path))
        try:
            self.command()
            self.server.wait_for_start(before)
        except ValueError as error:
            if kept is None and not self.write:
                raise ValueError(f"{error}. No file is known with which the server has started: mend it") from error
            old = self.before if kept is None else kept or None
            edge.put_back(self.path, old, self.times if old == self.before else None)
            try:
                self.command()
                self.server.wait_for_start(before)
            except ValueError as second:
                raise ValueError(
                    f"the server did not restart with the new file ({error}), "
                    f"nor with the old one, which was put back: {second}"
                ) from second
            raise ValueError(f"{error}. The old file was put back and the server restarted with it") from error
        edge.keep_started(self.path, self.after)

    def command(self) -> None:
        """Run the command that restarts the server."""
        arguments = self.params["restart_command"] or ["systemctl", "restart", self.params["service"]]
        status, out, err = self.run(arguments)
        if status != 0:
            raise ValueError(f"{' '.join(arguments)} failed with exit status {status}: {(err or out).strip()}")

    def answer(self, pending: list[str], *, restarted: bool) -> dict[str, t.Any]:
        """What the module returns; after a restart nothing should be left that waits for one."""
        return {
            "changed": self.reload or restarted,
            "path": self.params["path"],
            "reloaded": self.reload,
            "restarted": restarted,
            "pending_restart": pending,
            "diff": {
                "before": self.before or "",
                "after": self.after,
                "before_header": self.params["path"],
                "after_header": self.params["path"],
            },
        }


def main() -> None:
    """Read the options, do the job, answer."""
    module = AnsibleModule(
        argument_spec=argument_spec(),
        supports_check_mode=True,
    )
    try:
        job = Job(module.params, module.run_command)
        answer = job.predict() if module.check_mode else job.bring()
    except ValueError as error:
        if module.check_mode and isinstance(error, pg.AbsentError):
            absent = {"path": module.params["path"], "reloaded": False, "restarted": False, "pending_restart": []}
            module.exit_json(**absent, **error.foretold("the settings"))
        module.fail_json(msg=str(error))
    if answer["pending_restart"] and not answer["restarted"]:
        names = ", ".join(answer["pending_restart"])
        module.warn(
            f"{names}: a restart of the server must come first; allow it with restart_allowed, or do it yourself"
        )
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
