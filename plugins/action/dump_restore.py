# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module dump_restore, and beside it, where its option progress names a file, what that file tells is shown."""

from __future__ import annotations

import contextlib
import contextvars
import copy
import os
import shlex
import threading
import time
import types
import typing as t
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible.utils.vars import merge_hash

from ..module_utils.dumps.progress import Progress
from ..module_utils.dumps.restore import told

display = Display()

# Seconds. Each look is a program on the host.
LOOK_EVERY = 2.0
LINE_EVERY = 10.0
# What a look that hangs may keep a task that is done.
GRACE = 10.0
_TERMINALS = ("/dev/pts/", "/dev/tty")


class ActionModule(ActionBase):
    """Runs the module as ever."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        del tmp
        # A job in the background has its own way to be asked.
        background = bool(self._task.async_val) and not self._connection.has_native_async
        path = self._task.args.get("progress")
        watched = bool(path) and not background and not self._task.check_mode
        with Watch(self._connection, str(path), str((task_vars or {}).get("inventory_hostname", "")), watched):
            return merge_hash(result, self._execute_module(task_vars=task_vars, wrap_async=background))


class Screen:
    """What ansible-playbook shows on, as a stream: its workers may not write there themselves."""

    def __init__(self) -> None:
        # The worker's own output leads nowhere; that of the process that it belongs to is what people see.
        try:
            self._terminal = str(Path(f"/proc/{os.getppid()}/fd/1").readlink()).startswith(_TERMINALS)
        except OSError:
            self._terminal = False

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> None:
        # A line that is drawn over and over is nothing for a log.
        display.display(text, newline=False, screen_only=self._terminal)

    def flush(self) -> None:
        """Ansible does."""


class Watch:
    """A context: looks into the file *path* of the host now and then, and shows what it tells."""

    def __init__(self, connection: t.Any, path: str, host: str, wanted: bool) -> None:
        # Of its own, since the module runs meanwhile; the programs that they start have nothing in common.
        self._connection = copy.copy(connection)
        self._command = f"cat -- {shlex.quote(path)}"
        stream = t.cast("t.TextIO", Screen())
        columns = display.columns or None
        self._progress = Progress(host, stream=stream, every=LINE_EVERY, at_once=True, columns=columns)
        self._wanted = wanted
        self._done = threading.Event()
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._look,), daemon=True)

    def __enter__(self) -> t.Self:
        if self._wanted:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._done.set()
        if self._wanted:
            self._thread.join(GRACE)
            self._progress.end()

    def _look(self) -> None:
        begun, before, since = "", b"", 0.0
        while not self._done.wait(LOOK_EVERY):
            # A look that fails says nothing of the restore, whose task tells how it went.
            with contextlib.suppress(AnsibleError, OSError):
                status, content, _said = self._connection.exec_command(self._command, sudoable=False)
                found = told.read(content) if status == 0 else None
                if found is None or self._done.is_set():
                    continue
                what, state = found
                if what != begun:
                    begun = what
                    self._progress.begin(what)
                if content != before:
                    before, since = content, time.monotonic()
                elif isinstance(state.get("seconds"), float):
                    # Nothing has moved: the rate falls, and nobody knows what is left.
                    state |= {"seconds": state["seconds"] + time.monotonic() - since, "left": None}
                self._progress.take(state)
