# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out a plan that the host itself takes back unless somebody confirms it in time."""

from __future__ import annotations

import hashlib
import typing as t
from pathlib import Path

from ..guard.systemd import arm, begin, put_back
from ..guard.undo import Undo
from ..hosts.running import attempt
from .plan import Action, Plan
from .wanted import name_of, parent_of
from .writer import LONGEST_NAME_PART, carry_out

Command = tuple[str, ...]


def carry_out_guarded(plan: Plan, *, name: str, seconds: int, commands: t.Sequence[t.Sequence[object]]) -> None:
    """Make the changes of *plan*, to be undone after *seconds*, when *commands* are run too.

    Raises ValueError where something could not be written: it is taken back at once then.
    """
    # where this fails the change that is pending is another's, and stays theirs
    folder = begin(name)
    try:
        undo = [command for action in reversed(plan.actions) for command in undoing(action, kept_in(folder, action))]
        for action in plan.actions:
            _keep(action, kept_in(folder, action))
        then = tuple(tuple(str(word) for word in command) for command in commands)
        arm(Undo(name, seconds, tuple(undo), then))
        carry_out(plan)
    except (ValueError, OSError) as error:
        put_back(name)
        raise ValueError(f"{error}; what had been changed is as it was") from error


def kept_in(folder: Path, action: Action) -> str:
    """Where the copy of what *action* replaces lies."""
    return str(folder / hashlib.sha256(action.path.encode()).hexdigest())


def undoing(action: Action, kept: str) -> tuple[Command, ...]:
    """The commands that put back what was at the path of *action*, which is kept at *kept*.

    They can be cut off anywhere and be run anew: what is kept stays kept.
    """
    before, path = action.before, action.path
    remove: Command = ("/usr/bin/rm", "-rf", "--", path)
    if before.kind == "missing":
        return (remove,)
    if action.verb == "mend_folder":
        return (
            ("/usr/bin/chown", "--", f"{before.uid}:{before.gid}", path),
            ("/usr/bin/chmod", "--", f"{before.mode:04o}", path),
        )
    beside = f"{parent_of(path).rstrip('/')}/{_beside(path)}"
    copy: tuple[Command, ...] = (
        ("/usr/bin/rm", "-rf", "--", beside),
        ("/usr/bin/cp", "-a", "-T", "--", kept, beside),
    )
    back: Command = ("/usr/bin/mv", "-f", "-T", "--", beside, path)
    # a file is replaced by a rename: there is no moment without it
    renamed = before.kind in ("file", "link") and action.verb != "make_folder"
    return (*copy, back) if renamed else (*copy, remove, back)


def _beside(path: str) -> str:
    """A name that programs which read a whole folder pass over, always the same for the same path."""
    return f".{name_of(path)[:LONGEST_NAME_PART]}.{hashlib.sha256(path.encode()).hexdigest()[:16]}~"


def _keep(action: Action, kept: str) -> None:
    if action.before.kind == "missing" or action.verb == "mend_folder":
        return
    if action.before.kind == "other":
        raise ValueError(f"{action.path} is a device, socket or pipe, which can't be put back: remove it first")
    # A folder may hold any number of files.
    done = attempt(["/usr/bin/cp", "-a", "-T", "--", action.path, kept], together=True, patience=3600)
    if done.returncode != 0:
        raise ValueError(f"{action.path} could not be kept: {done.stdout.decode('utf-8', 'replace').strip()}")
